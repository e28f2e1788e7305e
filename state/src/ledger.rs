//! What the warehouse's ledger says about runs, and where this database disagrees.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;

use crate::run::RunRow;

/// A run in the warehouse's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerLoad {
    /// The table that it was loaded into.
    pub target: String,
    /// Name of the run.
    pub run_id: String,
    /// The job.
    pub job_id: String,
    /// The business day, for jobs that run by day.
    pub wave: Option<Date>,
    /// Its place in the order of loads.
    pub sequence: i64,
    /// Rows of its summary.
    pub rows: u64,
    /// When it was loaded, by the warehouse's clock.
    pub loaded: String,
}

/// Where this database and the warehouse's ledger disagree.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LedgerNews {
    /// Runs that the ledger has and this database lacks, which nobody has accepted yet. Their jobs load nothing.
    pub unknown: Vec<LedgerLoad>,
    /// The last load of each job and wave that the ledger lacks, in the order of loads.
    pub lost: Vec<RunRow>,
}

impl LedgerNews {
    /// Returns the jobs that load nothing, or not everything, because of the disagreement.
    pub fn jobs(&self) -> BTreeSet<&str> {
        let unknown = self.unknown.iter().map(|load| load.job_id.as_str());
        unknown
            .chain(self.lost.iter().map(|run| run.job_id.as_str()))
            .collect()
    }

    /// Returns whether a run that this database does not know keeps a job from loading.
    pub fn stops(&self, job_id: &str) -> bool {
        self.unknown.iter().any(|load| load.job_id == job_id)
    }
}
