//! What is held, as several commands print it.

use super::output;
use crate::overview::Held;

/// Prints what is held, if anything is.
pub(super) fn print<'h>(held: impl IntoIterator<Item = &'h Held>) -> std::io::Result<()> {
    let mut held = held.into_iter().peekable();
    if held.peek().is_none() {
        return Ok(());
    }
    output::line("held, so it does not count:")?;
    let rows = held.map(|held| {
        let row = &held.row;
        let day = row.store_id.iter().zip(row.trans_date);
        let day = day.map(|(store, date)| format!("{store}, {date}")).next();
        let ways = [Some(held.accept.clone()), held.withdraw_other.clone()];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        [
            output::path(&row.file_url),
            day.unwrap_or_else(|| "all of it".to_owned()),
            row.reason.clone(),
            ways.join("\nor "),
        ]
    });
    output::table(["file", "store and day", "because", "decide by"], rows, "")
}
