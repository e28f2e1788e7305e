//! What people decide about files, and what it changes.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

/// What to take out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdraw {
    /// The whole file.
    File {
        /// Whether the warehouse keeps the file's rows: its store reports no more, but what it reported is right.
        keeps_rows: bool,
    },
    /// One business day of the file.
    Day(Date),
}

/// One store's day of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayOfFile {
    /// Path relative to the source.
    pub file_url: String,
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// How many lines the file has of it, if that is known.
    pub lines: Option<u64>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Whether it was a whole version, not only held days of one.
    pub is_whole: bool,
    /// The days that count now.
    pub days: Vec<DayOfFile>,
    /// The days of other files that do not count any more.
    pub replaced: Vec<DayOfFile>,
}

/// What was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Withdrawn {
    /// The days that the warehouse loses, unless another file gives them.
    pub days: Vec<DayOfFile>,
    /// Days of other files that count again.
    pub released: Vec<DayOfFile>,
    /// Files that were held because of this one, and have come into force.
    pub in_force: Vec<String>,
    /// Whether the warehouse keeps the file's rows.
    pub keeps_rows: bool,
}

/// Something that waits until a person accepts it: a version of a file, or one store's day of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldRow {
    /// Path relative to the source.
    pub file_url: String,
    /// The store and the day, if not the whole version is held.
    pub store_id: Option<String>,
    /// The business day.
    pub trans_date: Option<Date>,
    /// Why.
    pub reason: String,
    /// The file that has the same store and day.
    pub other_file: Option<String>,
    /// How many lines are held, if that is known.
    pub lines: Option<u64>,
    /// When it was submitted.
    pub submitted: Timestamp,
}
