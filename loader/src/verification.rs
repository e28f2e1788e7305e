//! The result of a full comparison of the warehouse with a summary.

use crate::{LedgerEntry, LoadCounts};

/// The result of a full comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The newest entry of the scope in the ledger. If it is not the run that was compared, the warehouse and the caller
    /// disagree about which run was loaded last. If it is a newer run, nothing was compared or mended.
    pub newest: Option<LedgerEntry>,
    /// Rows of the summary that were compared.
    pub rows: u64,
    /// Rows of the summary that the warehouse lacks.
    pub missing: u64,
    /// Rows that the warehouse holds with other amounts.
    pub different: u64,
    /// Rows of the warehouse that the summary lacks, on the days that it covers.
    pub surplus: u64,
    /// Covered days that another scope has loaded since; their rows were not compared.
    pub left_to_others: u64,
    /// The first differences.
    pub listed: Vec<Difference>,
    /// What was done to make the warehouse agree; `None` if nothing was mended.
    pub mended: Option<LoadCounts>,
}

impl Verification {
    /// How many rows differ.
    pub fn differences(&self) -> u64 {
        self.missing + self.different + self.surplus
    }

    /// Whether the warehouse holds a newer run of the scope, so that nothing was compared.
    pub(crate) fn is_overtaken(&self, sequence: i64) -> bool {
        self.newest
            .as_ref()
            .is_some_and(|newest| newest.sequence > sequence)
    }

    pub(crate) fn note(&mut self, difference: Difference, listed: usize) {
        match (&difference.warehouse, &difference.summary) {
            (None, _) => self.missing += 1,
            (Some(_), Some(_)) => self.different += 1,
            (Some(_), None) => self.surplus += 1,
        }
        if self.listed.len() < listed {
            self.listed.push(difference);
        }
    }
}

/// A key on which the warehouse and the summary disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The store.
    pub store_id: String,
    /// The item.
    pub item_id: String,
    /// The business day, as `YYYY-MM-DD`.
    pub trans_date: String,
    /// The amounts in the warehouse, as text, valid or not; `None` without a row.
    pub warehouse: Option<Vec<Option<String>>>,
    /// The amounts of the summary; `None` without a row.
    pub summary: Option<Vec<Option<String>>>,
}
