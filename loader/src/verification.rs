//! What a full comparison of the warehouse with a summary finds.

use crate::{LedgerEntry, LoadCounts};

/// What a full comparison has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The newest entry of the scope in the ledger. If that is another run than the one compared with, the warehouse and
    /// whoever asked do not agree on what was loaded last; a newer one is neither compared with nor mended.
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
    /// What was done to make them agree.
    pub mended: Option<LoadCounts>,
}

impl Verification {
    /// How many rows differ.
    pub fn differences(&self) -> u64 {
        self.missing + self.different + self.surplus
    }

    /// Whether a newer run of the scope stands in the warehouse, so that nothing was compared.
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

/// A key on which warehouse and summary do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The store.
    pub store_id: String,
    /// The item.
    pub item_id: String,
    /// The business day, as `YYYY-MM-DD`.
    pub trans_date: String,
    /// The amounts that the warehouse holds, as text, whatever they are; `None` without a row.
    pub warehouse: Option<Vec<Option<String>>>,
    /// The amounts of the summary; `None` without a row.
    pub summary: Option<Vec<Option<String>>>,
}
