//! What waits for an outage to end, as `status` tells it.

use gristmill_state::{WaitKind, Waiting};
use jiff::Timestamp;

use super::output;

/// Of more files than this, one is named.
const NAMED: usize = 3;

/// Prints what waits, since when and why, and when it is tried again.
pub(super) fn print(waiting: &[Waiting], now: Timestamp) -> std::io::Result<()> {
    let of_kind = |kind| waiting.iter().filter(move |waits| waits.kind == kind);
    for waits in of_kind(WaitKind::Service) {
        output::line(format!(
            "{} is waited for {}",
            waits.subject,
            describe(waits, now)
        ))?;
    }
    for waits in of_kind(WaitKind::Run) {
        output::line(format!("run {} waits {}", waits.subject, describe(waits, now)))?;
    }
    let files: Vec<_> = of_kind(WaitKind::File).collect();
    match files[..] {
        [first, ..] if files.len() > NAMED => output::line(format!(
            "{} files cannot be converted yet, such as {} {}",
            files.len(),
            output::path(&first.subject),
            describe(first, now)
        )),
        _ => files.iter().try_for_each(|waits| {
            let file = output::path(&waits.subject);
            output::line(format!("{file} cannot be converted yet {}", describe(waits, now)))
        }),
    }
}

fn describe(waits: &Waiting, now: Timestamp) -> String {
    let next = match waits.next_try > now {
        true => format!("next try at {}", output::moment(waits.next_try)),
        false => "it is tried again now, or at the next start".to_owned(),
    };
    format!(
        "(since {}): {}; {next}",
        output::moment(waits.since),
        waits.reason
    )
}
