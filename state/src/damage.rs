//! Values that cannot be what they stand for, such as a time on 30 February.
//!
//! People edit the state database with SQL, and disks fail. Every value is therefore checked where it is read. A row with
//! an impossible value is left out of lists, and what it is about waits until it is corrected; all else goes on.

use std::fmt;

use serde::Serialize;

/// A row of the state database that holds an impossible value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Damage {
    /// What the row is about, such as "run `IL-2026`".
    pub subject: String,
    /// The job that waits until the value is corrected, if it is about one.
    pub job_id: Option<String>,
    /// The run that the row is about.
    pub run_id: Option<String>,
    /// The wave of that run, as it stands in its row: empty for a job that does not run by day.
    pub wave: Option<String>,
    /// The file that the row is about; the jobs that it is part of wait.
    pub file_url: Option<String>,
    /// The table of the row, or the one that it begins with if it joins several.
    pub table: &'static str,
    /// The column.
    pub column: String,
    /// What the column holds, shortened; `None` for NULL.
    pub value: Option<String>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            table,
            column,
            ..
        } = self;
        let value = self
            .value
            .as_ref()
            .map_or_else(|| "NULL".to_owned(), |value| format!("{value:?}"));
        write!(
            f,
            "the state database holds an impossible value of {subject}: {table}.{column} is {value}; correct it with SQL"
        )
    }
}

impl std::error::Error for Damage {}
