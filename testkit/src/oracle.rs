//! The oracle: computes with DuckDB, in `oracle.py`, what the warehouse must hold for a set of files.
//!
//! It shares no code with the engine, only these rules:
//!
//! - **Lines.** LF, CR LF, CR and CR CR LF end lines, even inside quotes. Bytes after the last end are a line, if there
//!   are any. The text ends at a Ctrl-Z, and NULs at its end are padding; what is not read counts as skipped lines. A
//!   line of 1 MiB or more, without its end, is a reject whatever it contains. A line of ASCII whitespace only, or one
//!   that starts with `--`, is skipped. Byte order marks at the beginning of a line are left out.
//! - **Encodings.** A UTF-8, UTF-16LE or UTF-16BE byte order mark decides, and is not part of the first line; without
//!   one, the declared encoding applies. Bytes that cannot be decoded are invalid text, and so is U+FFFD in text that
//!   was decoded from an encoding other than UTF-8.
//! - **Fields** are separated by tabs. One whose first byte is `"` is quoted: it ends at the next `"` that is not
//!   doubled, and a tab or the line end must follow, else the line is a reject. Quotes elsewhere are plain text.
//!   Nothing after the last needed column is looked at.
//! - **Header.** A line that is no row and has three of the names `store_id`, `amount`, `code`, `item_id` and
//!   `trans_date` among its fields (in any case, whatever the blanks) is a header. So is the first line that is neither
//!   skipped nor too long, when it has the needed columns and neither its amount nor its code (by declared position,
//!   spaces trimmed) has the form of a number; but not if it has none of the names, and its date is a date or another
//!   line has its store or item. A header is skipped. If it does not name all five columns once, or if it is not the
//!   first line but among the first 20, the file counts for nothing. Files whose columns move are not for the oracle.
//! - **Amount:** spaces trimmed, `[+-]?(\d+(\.\d*)?|\.\d+)`, at most two places, below 10^16 in magnitude; or nothing,
//!   where the code is none of 4, 5 and 6. Files whose bad amounts, dates or ids are all in a known other form are not
//!   for the oracle.
//! - **Code:** spaces trimmed, `[+-]?\d+` that fits 32 bits. **Date:** spaces trimmed, `YYYY-MM-DD`, where month and day
//!   may have one digit, a real day of the years 1 to 9999.
//! - **Store and item:** without blanks, and characters that are not seen, at the ends; not empty, 25 characters at most,
//!   valid text, no NUL and no such character inside, not marked as text for Excel (`="1"`, `'1`).
//! - Every line that breaks a rule is a reject, whatever its code. A good line whose code is not 4, 5 or 6 is ignored.
//! - A file with rejects in more than a tenth of its lines, or with no row and no ignored line, counts for nothing.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::venv;

/// What the feed of the files declares.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The encoding of files without a byte order mark, by a name that both Python and the web use, such as
    /// `windows-1252`.
    pub encoding: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { encoding: "utf-8" }
    }
}

/// One row of the summary. Rows sort by the bytes of their keys, as in summaries.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The store.
    pub store_id: String,
    /// The item.
    pub item_id: String,
    /// The day, `YYYY-MM-DD`.
    pub trans_date: String,
    /// The sum over code 4 with two places, such as `-12.50`; `None` if there is no line of that code.
    pub sale_amount: Option<String>,
    /// The sum over code 5.
    pub tax_amount: Option<String>,
    /// The sum over code 6.
    pub discount_amount: Option<String>,
}

/// What became of the lines of one file: `lines = rows + ignored + skipped + rejects`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Good lines with code 4, 5 or 6.
    pub rows: u64,
    /// Good lines with another code.
    pub ignored: u64,
    /// Blank lines, comments and the header.
    pub skipped: u64,
    /// Bad lines.
    pub rejects: u64,
    /// Whether the file as a whole counts for nothing.
    pub rejected: bool,
}

#[derive(Deserialize)]
struct Answer {
    summary: Vec<Row>,
    counts: Vec<Counts>,
}

/// Returns the summary of `files` together, sorted by its keys.
pub fn summary(files: &[PathBuf], options: Options) -> Vec<Row> {
    ask(files, options).summary
}

/// Returns the counts of each file, in the order given.
pub fn counts(files: &[PathBuf], options: Options) -> Vec<Counts> {
    ask(files, options).counts
}

fn ask(files: &[PathBuf], options: Options) -> Answer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle.py");
    let mut child = Command::new(venv::python())
        .arg(&script)
        .args(["--encoding", options.encoding])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run the oracle: {error}; `scripts/test --setup` installs it"));
    // The script reads all of its input before it writes: neither side can block the other.
    let mut input = child.stdin.take().expect("standard input is piped");
    for file in files {
        let path = [file.as_os_str().as_bytes(), b"\0"].concat();
        input
            .write_all(&path)
            .unwrap_or_else(|error| panic!("the oracle does not read its input: {error}"));
    }
    drop(input);
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("cannot wait for the oracle: {error}"));
    assert!(
        output.status.success(),
        "the oracle failed ({}): its own message is above",
        output.status
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("cannot read the oracle's answer: {error}"))
}

#[cfg(test)]
mod tests;
