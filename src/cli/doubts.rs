//! Files in force that a person should look at: those with rejects, and those that may have been cut.

use std::collections::BTreeMap;

use gristmill_state::{StateDb, StateError};
use serde::Serialize;

use super::output;

/// A file that counts although some of its lines are rejects.
#[derive(Debug, Serialize)]
pub(super) struct WithRejects {
    file: String,
    rejects: u64,
    lines: u64,
    percent: f64,
}

/// What is told of a file whose last line has no end.
pub(super) const OPEN: &str =
    "its last line does not end: if other files of the feed end theirs, it may have been cut";

/// How many files are printed; `--json` has all of them.
const SHOWN: usize = 10;

/// Returns the files whose versions in force have rejects, the largest share first.
pub(super) async fn with_rejects(state: &StateDb) -> Result<Vec<WithRejects>, StateError> {
    let found = state.files_with_rejects().await?.into_iter();
    let mut found: Vec<_> = found
        .map(|(file, rejects, lines)| WithRejects {
            file,
            rejects,
            lines,
            percent: 100.0 * rejects as f64 / lines.max(1) as f64,
        })
        .collect();
    found.sort_by(|one, other| other.percent.total_cmp(&one.percent));
    Ok(found)
}

/// Returns the files, of one feed or of all, whose version in force does not end its last line although most others of
/// the feed do. Ordered by path.
pub(super) async fn may_be_cut(state: &StateDb, feed: Option<&str>) -> Result<Vec<String>, StateError> {
    let mut of_feed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (feed, file) in state.files_without_end(feed).await? {
        of_feed.entry(feed).or_default().push(file);
    }
    let mut cut = Vec::new();
    for (feed, open) in of_feed {
        // As `is_odd` says, but without counting a feed's files to the last.
        if state.has_ends(&feed, open.len() as u64).await? {
            cut.extend(open);
        }
    }
    cut.sort_unstable();
    Ok(cut)
}

/// Returns whether most of the others end their last line, seen from one of those that do not.
pub(super) fn is_odd(ended: usize, open: usize) -> bool {
    ended >= open && ended > 0
}

/// Says which lines look like data and were not read.
pub(super) fn of_lines(skipped_rows: u64, behind_end: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if skipped_rows > 0 {
        notes.push(format!(
            "{skipped_rows} of the skipped lines would be rows: they begin with one of records.skip, or stand above the header"
        ));
    }
    if behind_end > 0 {
        notes.push(format!(
            "{behind_end} lines with text stand behind the Ctrl-Z that ends the file, and are not read"
        ));
    }
    notes
}

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
