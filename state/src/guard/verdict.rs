//! What is decided about, and what comes of it.

use jiff::civil::Date;

use super::{Guards, Late, Standing};
use crate::day::VersionDay;

/// A version that is about to come into force.
#[derive(Debug)]
pub(crate) struct Candidate<'c> {
    pub(crate) file_id: i64,
    pub(crate) file_url: &'c str,
    pub(crate) named_store: Option<&'c str>,
    pub(crate) named_date: Option<Date>,
    pub(crate) modified_ns: i64,
    pub(crate) version_id: i64,
    pub(crate) days: &'c [VersionDay],
    pub(crate) guards: Guards,
    /// Set when a person has accepted it: what it does to what stands.
    pub(crate) accepted: Option<Late>,
}

/// What becomes of a version.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// It comes into force.
    InForce {
        /// What becomes of its days, in their order.
        days: Vec<DayVerdict>,
        /// The days that it takes from other files.
        taken_over: Vec<TakenOver>,
    },
    /// It is held as a whole.
    Held {
        reason: String,
        /// The file that holds its days as well.
        other_file_id: Option<i64>,
    },
    /// It is refused.
    Refused { reason: String },
}

/// What becomes of one day of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DayVerdict {
    /// It is what the file reports of the day.
    Stands,
    /// It is added to what stands, in this file or in another.
    Added { other_file_id: Option<i64> },
    /// It is held.
    Held {
        reason: String,
        other_file_id: Option<i64>,
    },
}

/// A day of another file that does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenOver {
    pub(crate) file_id: i64,
    pub(crate) version_id: i64,
    pub(crate) store_id: String,
    pub(crate) trans_date: Date,
    pub(crate) standing: Standing,
    /// Why it is held, if it is.
    pub(crate) reason: Option<String>,
}
