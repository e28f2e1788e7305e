//! Files in force that a person should look at: those with rejects, and those that may have been cut.

use std::collections::BTreeMap;

use gristmill_state::{StateDb, StateError};
use serde::Serialize;

/// A file that counts although some of its lines are rejects.
#[derive(Debug, Serialize)]
pub(crate) struct WithRejects {
    pub(crate) file: String,
    pub(crate) rejects: u64,
    pub(crate) lines: u64,
    pub(crate) percent: f64,
}

/// What is told of a file whose last line has no end.
pub(crate) const OPEN: &str =
    "its last line does not end: if other files of the feed end theirs, it may have been cut";

/// Returns the files whose versions in force have rejects, the largest share first.
pub(crate) async fn with_rejects(state: &StateDb) -> Result<Vec<WithRejects>, StateError> {
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
pub(crate) async fn may_be_cut(state: &StateDb, feed: Option<&str>) -> Result<Vec<String>, StateError> {
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
pub(crate) fn is_odd(ended: usize, open: usize) -> bool {
    ended >= open && ended > 0
}

/// Says which lines look like data and were not read.
pub(crate) fn of_lines(skipped_rows: u64, behind_end: u64) -> Vec<String> {
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
