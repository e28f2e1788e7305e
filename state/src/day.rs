//! What the lines of a file report of one day.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a version reports of one store and day, by lines with a code that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDay {
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// How many lines; `None` if an earlier gristmill converted it, and only its sums are known.
    pub lines: Option<u64>,
    /// The totals of all measures without their signs, in cents.
    pub turnover: u64,
}
