//! Reads lists of rows of which some may hold impossible values: those are left out, and told.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::damage::Damage;
use crate::dialect::{DatabaseError, Datum, Result, Row};

/// The most characters of an impossible value that are shown.
const SHOWN: usize = 60;

/// What rows of a query are about.
#[derive(Clone, Copy)]
pub(super) enum About {
    /// Jobs, by `job_config_id`.
    Jobs,
    /// Runs, by `run_id`.
    Runs,
    /// Files, by `file_url`.
    Files,
    /// Days of files; the job that they are read for waits.
    Days,
    /// Loads that the warehouse's ledger lists.
    Ledger,
    /// Edits of jobs. They are only shown: no job waits for them.
    Edits,
    /// Waves that may have to run, by `job_config_id`.
    OpenWaves,
    /// Files that a job takes; the job that they are read for waits.
    JobFiles,
}

impl About {
    pub(super) fn damage(self, row: &Row, column: &str) -> Damage {
        let text = |column: &str| row.get::<Option<String>>(column).ok().flatten();
        let named = |column: &str| text(column).unwrap_or_default();
        let (subject, table, job_id, file_url) = match self {
            Self::Jobs => {
                let job = named("job_config_id");
                (format!("job `{job}`"), "aggr_job_configuration", Some(job), None)
            }
            Self::Runs => (
                format!("run `{}`", named("run_id")),
                "job_run",
                text("job_config_id"),
                None,
            ),
            Self::Files => {
                let file = named("file_url");
                (
                    format!("file `{}`", file.escape_debug()),
                    "ingested_file_status",
                    None,
                    Some(file),
                )
            }
            Self::Days => (
                format!("a day of store `{}`", named("store_id").escape_debug()),
                "file_day",
                None,
                None,
            ),
            Self::Ledger => (
                format!("run `{}`", named("run_id")),
                "ledger_run",
                text("job_config_id"),
                None,
            ),
            Self::Edits => (
                format!("an edit of job `{}`", named("job_config_id")),
                "job_edit",
                None,
                None,
            ),
            Self::OpenWaves => (
                "a wave that may have to run".to_owned(),
                "open_wave",
                text("job_config_id"),
                None,
            ),
            Self::JobFiles => ("a file of a wave".to_owned(), "job_file", None, None),
        };
        let value = row.datum(column).ok().and_then(Datum::shown);
        // Some queries join tables, and give columns names of their own.
        let (table, column) = match column {
            "valid_submitted" | "input_submitted" | "submitted" => ("submission", "submitted_timestamp"),
            "created_timestamp" | "first_date" | "last_date" => ("file_version", column),
            _ => (table, column),
        };
        let (run_id, wave) = match self {
            Self::Runs => (text("run_id"), text("wave")),
            Self::Jobs
            | Self::Files
            | Self::Days
            | Self::Ledger
            | Self::Edits
            | Self::OpenWaves
            | Self::JobFiles => (None, None),
        };
        Damage {
            subject,
            job_id,
            run_id,
            wave,
            file_url,
            table,
            column: column.to_owned(),
            value: value.map(|value| value.chars().take(SHOWN).collect()),
        }
    }
}

/// The rows that could be read, and what is wrong with the others.
pub(super) struct Whole<T> {
    pub(super) rows: Vec<T>,
    pub(super) damages: Vec<Damage>,
}

impl<T> Whole<T> {
    /// Returns the rows if all of them could be read.
    pub(super) fn all(self) -> Result<Vec<T>> {
        match self.damages.into_iter().next() {
            None => Ok(self.rows),
            Some(damage) => Err(DatabaseError::Damaged(Box::new(damage))),
        }
    }
}

/// Reads rows one by one. A row that holds an impossible value is left out.
pub(super) fn whole<T>(rows: Vec<Row>, about: About, read: impl Fn(&Row) -> Result<T>) -> Result<Whole<T>> {
    let mut whole = Whole {
        rows: Vec::with_capacity(rows.len()),
        damages: Vec::new(),
    };
    for row in &rows {
        match read(row) {
            Ok(value) => whole.rows.push(value),
            Err(DatabaseError::Column { column, .. }) => whole.damages.push(about.damage(row, &column)),
            Err(error) => return Err(error),
        }
    }
    Ok(whole)
}

/// What was told of impossible values, each once.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashSet<Damage>>);

impl Told {
    /// Returns the rows that could be read. Warns of the others, unless that was done before.
    pub(super) fn tell<T>(&self, whole: Whole<T>) -> Vec<T> {
        self.tell_of(&whole.damages);
        whole.rows
    }

    /// Returns the impossible values that were told so far.
    pub(super) fn so_far(&self) -> Vec<Damage> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut damages: Vec<_> = told.iter().cloned().collect();
        damages.sort_unstable();
        damages
    }

    /// Warns of impossible values, unless that was done before.
    pub(super) fn tell_of(&self, damages: &[Damage]) {
        // A set is whole even if another holder of the lock panicked.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for damage in damages {
            if told.insert(damage.clone()) {
                tracing::warn!("{damage}; until then, what it is about waits");
            }
        }
    }
}
