//! Files in force that a person should look at: those with rejects, and those that may have been cut.

use std::collections::{HashMap, HashSet};

use gristmill_state::FileRow;
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

/// How many files are printed; `--json` has all of them.
const SHOWN: usize = 10;

/// Returns the files whose versions in force have rejects, the largest share first.
pub(super) fn with_rejects(files: &[FileRow]) -> Vec<WithRejects> {
    let in_force = files
        .iter()
        .filter_map(|file| Some((file, &file.in_force.as_ref()?.version)));
    let mut found: Vec<_> = in_force
        .filter(|(_, version)| version.rejects > 0)
        .map(|(file, version)| WithRejects {
            file: file.file_url.clone(),
            rejects: version.rejects,
            lines: version.lines,
            percent: 100.0 * version.rejects as f64 / version.lines.max(1) as f64,
        })
        .collect();
    found.sort_by(|one, other| other.percent.total_cmp(&one.percent));
    found
}

/// Returns the files whose version in force does not end its last line although most others of the feed do.
pub(super) fn may_be_cut(files: &[FileRow]) -> HashSet<&str> {
    let ends = |file: &FileRow| file.in_force.as_ref()?.version.last_line_ended;
    let mut of_feed: HashMap<&str, (usize, usize)> = HashMap::new();
    for file in files {
        let (ended, open) = of_feed.entry(&file.feed).or_default();
        match ends(file) {
            Some(true) => *ended += 1,
            Some(false) => *open += 1,
            None => {}
        }
    }
    let is_odd_one = |feed: &str| of_feed.get(feed).is_some_and(|(ended, open)| *ended > open - 1);
    let open = files.iter().filter(|file| ends(file) == Some(false));
    open.filter(|file| is_odd_one(&file.feed))
        .map(|file| file.file_url.as_str())
        .collect()
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
