//! Files that have arrived, and that an outage keeps from being converted: their jobs wait for them. Nothing else would
//! tell a job that a file is there, and it would run without it.

use gristmill_state::{WaitKind, Waiting};
use jiff::civil::Date;
use serde_json::json;

use super::check::{Check, some_of};
use super::plan::JobPlan;
use super::verdict::{Verdict, WaveState};

/// Adds the files that a job has to wait for to the verdicts on its waves.
pub(super) fn add(plan: &JobPlan, verdicts: &mut [Verdict], waiting: &[Waiting]) {
    let files = waiting.iter().filter(|waiting| waiting.kind == WaitKind::File);
    let files: Vec<_> = files.filter_map(|file| Some((file, day(plan, file)?))).collect();
    for verdict in verdicts {
        // A file without a day is of every wave.
        let is_of_wave = |day: Option<Date>| day.is_none() || verdict.wave.is_none() || verdict.wave == day;
        let of_wave: Vec<_> = files.iter().filter(|(_, day)| is_of_wave(*day)).collect();
        let named: Vec<_> = of_wave
            .iter()
            .map(|(file, _)| format!("{} ({})", file.subject, file.reason))
            .collect();
        verdict.waits_for_files = of_wave.iter().map(|(file, _)| file.subject.clone()).collect();
        if named.is_empty() {
            continue;
        }
        let facts = format!("cannot be converted yet: {}", some_of(&named));
        let check = Check::new("files that wait", false, facts).with(json!({ "files": named }));
        verdict.checks.push(check);
        verdict.is_over = false;
        if verdict.state != WaveState::Running {
            verdict.state = WaveState::Waiting;
        }
    }
}

/// Returns the business day of a file that is part of a job, or that it requires. `None`: it is neither.
fn day(plan: &JobPlan, file: &Waiting) -> Option<Option<Date>> {
    let feed = file.feed.as_deref().unwrap_or_default();
    let member = plan.member(feed, &file.subject, file.store_id.as_deref());
    let mut required = plan.requires.iter();
    let mut required = || required.find_map(|required| required.files.captures(&file.subject));
    member
        .map(|found| found.date)
        .or_else(|| required().map(|found| found.date))
}
