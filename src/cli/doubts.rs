//! Files in force that a person should look at, as `status` prints them.

use super::output;
use crate::overview::WithRejects;

/// How many files are printed; `--json` has all of them.
const SHOWN: usize = 10;

/// Prints both.
pub(super) fn print(rejects: &[WithRejects], cut: &[String]) -> std::io::Result<()> {
    if !rejects.is_empty() {
        let rows = rejects.iter().take(SHOWN).map(|file| {
            [
                output::path(&file.file),
                file.rejects.to_string(),
                file.lines.to_string(),
                format!("{:.1} %", file.percent),
            ]
        });
        output::table(["file with rejects", "rejects", "lines", "share"], rows, "")?;
        more(rejects.len())?;
    }
    if !cut.is_empty() {
        output::line(
            "The last line of these files does not end, unlike those of most others; they may have been cut:",
        )?;
        for file in cut.iter().take(SHOWN) {
            output::line(format!("  {}", output::path(file)))?;
        }
        more(cut.len())?;
    }
    Ok(())
}

fn more(count: usize) -> std::io::Result<()> {
    match count.checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => output::line(format!("  and {more} more: --json lists all")),
    }
}
