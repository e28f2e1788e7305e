//! The values that go into a warehouse and come out of it.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use tokio::sync::watch;

use crate::LoadError;

/// One run's summary, to be loaded.
#[derive(Debug, Clone)]
pub struct Load {
    /// The run; the ledger holds each run once for each target.
    pub run_id: String,
    /// What the run belongs to: its job, or job and date if the job runs for each date. Runs of one scope are ordered
    /// by `sequence`.
    pub scope: String,
    /// Increases from run to run of a scope.
    pub sequence: i64,
    /// Parquet: `store_id`, `item_id`, `trans_date`, then the measures as decimal(18,2); sorted by the three keys,
    /// one row for each key.
    pub summary: PathBuf,
    /// Parquet: `store_id`, `trans_date`: every (store, date) that the run's inputs cover, each once. It includes those
    /// of the summary; any other means that the store's rows of that date are gone. Kept in memory during the load.
    pub coverage: PathBuf,
    /// Rows of the summary. A file with another number of rows is not loaded.
    pub rows: u64,
    /// Digest of the summary, kept in the ledger.
    pub digest: String,
    /// The run of this scope that was loaded last, as far as the caller knows. It only saves time: it is used if the
    /// warehouse agrees that it was the last, and that no other scope has loaded its days since.
    pub base: Option<Base>,
    /// Becomes true once the summary's files are stored safely. Later readers rely on them, so the load does not commit
    /// before. `None`: they are safe already.
    pub is_safe: Option<watch::Receiver<bool>>,
}

/// What a scope loaded last: the next load sends only what differs from it.
#[derive(Debug, Clone)]
pub struct Base {
    /// The run.
    pub run_id: String,
    /// Its summary, as [`Load::summary`].
    pub summary: PathBuf,
    /// Its coverage, as [`Load::coverage`].
    pub coverage: PathBuf,
    /// Rows of its summary.
    pub rows: u64,
}

impl Base {
    /// Fails unless the summary holds as many rows as its run wrote.
    pub(crate) fn expect_rows(&self, found: u64) -> Result<(), LoadError> {
        expect_rows(&self.summary, found, self.rows)
    }

    /// Fails if rows of the summary lie outside the coverage: one of the two is not what the run wrote.
    pub(crate) fn expect_covered(&self, uncovered: u64) -> Result<(), LoadError> {
        expect_covered(&self.coverage, uncovered)
    }
}

fn expect_covered(path: &Path, uncovered: u64) -> Result<(), LoadError> {
    if uncovered == 0 {
        return Ok(());
    }
    let reason = format!("{uncovered} rows of the summary lie outside of it");
    Err(LoadError::Input {
        path: path.to_path_buf(),
        reason,
    })
}

fn expect_rows(path: &Path, found: u64, written: u64) -> Result<(), LoadError> {
    if found == written {
        return Ok(());
    }
    let reason = format!("it holds {found} rows, and the run wrote {written}");
    Err(LoadError::Input {
        path: path.to_path_buf(),
        reason,
    })
}

impl Load {
    /// Fails unless the summary held as many rows as the run wrote.
    pub(crate) fn expect_rows(&self, staged: u64) -> Result<(), LoadError> {
        expect_rows(&self.summary, staged, self.rows)
    }

    /// Waits until the files are safe. Fails if the sender is dropped before it says so.
    pub(crate) async fn until_safe(&self) -> Result<(), LoadError> {
        let Some(is_safe) = &self.is_safe else {
            return Ok(());
        };
        let safe = is_safe.clone().wait_for(|safe| *safe).await.map(drop);
        safe.map_err(|_| LoadError::Input {
            path: self.summary.clone(),
            reason: "the run stopped before it was stored safely".into(),
        })
    }

    /// Fails if rows of the summary lie outside the coverage: a later run could not delete them.
    pub(crate) fn expect_covered(&self, uncovered: u64) -> Result<(), LoadError> {
        expect_covered(&self.coverage, uncovered)
    }
}

/// The outcome of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The rows and the ledger's entry are committed.
    Loaded(LoadCounts),
    /// This run is already in the ledger; nothing was changed.
    AlreadyLoaded(LedgerEntry),
    /// A newer run of the same scope is in the ledger; nothing was changed.
    Superseded {
        /// The newest run of the scope.
        by: LedgerEntry,
    },
}

/// What a load did to the target's rows. Inserted, updated and unchanged add up to the summary's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Keys that the target did not have before.
    pub inserted: u64,
    /// Keys whose amounts changed.
    pub updated: u64,
    /// Keys that the summary no longer has.
    pub deleted: u64,
    /// Keys whose amounts were already right; their rows were not touched.
    pub unchanged: u64,
}

impl LoadCounts {
    /// Derives the counts from the numbers of rows that were staged, inserted, written and deleted.
    pub(crate) fn of(staged: u64, inserted: u64, written: u64, deleted: u64) -> Self {
        // A manual edit between the statements may skew the numbers; they only inform people.
        let updated = written.saturating_sub(inserted);
        Self {
            inserted,
            updated,
            deleted,
            unchanged: staged.saturating_sub(written),
        }
    }
}

/// One row of the ledger: a run that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The run.
    pub run_id: String,
    /// The table it was loaded into, `schema.table`, or `table` where there are no schemas.
    pub target: String,
    /// The run's scope.
    pub scope: String,
    /// The run's place in its scope.
    pub sequence: i64,
    /// Rows of the summary.
    pub rows: u64,
    /// Digest of the summary.
    pub digest: String,
    /// When it was loaded, by the warehouse's clock: ISO 8601 in UTC, to the millisecond.
    pub loaded_at: String,
}

/// One row of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The store.
    pub store_id: String,
    /// The item.
    pub item_id: String,
    /// The business day.
    pub trans_date: Date,
    /// The measures in the target's order, in cents; `None` where no line with the measure's code exists.
    pub amounts: Vec<Option<i64>>,
}
