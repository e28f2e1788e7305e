//! The one order of files that hold the same store and day: the greater [`Age`] is the newer file.
//!
//! Everything that has to know which of two files is newer asks here: the digest of a run's inputs, the merge, `trace`,
//! and the choice between jobs. Order of submission alone would not do, because a backlog is read in no particular
//! order; nor would the time of writing alone, because a store's clock may run ahead.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::file::Stamp;

/// How far a file's time of writing may lie ahead of its arrival before somebody is told: clocks of good hosts differ
/// by less.
pub(crate) const TOLERANCE_NS: i64 = 60_000_000_000;

/// The place of a submission in the order of files: by the time of writing, then by the number of the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Age {
    /// When the file was written, in nanoseconds since 1970, but no later than it arrived. A file that is read again
    /// keeps its time.
    pub written_ns: i64,
    /// The submission.
    pub submission_id: i64,
}

impl Stamp {
    /// Returns how far the file's time of writing lies ahead of `arrival`, in seconds, if that is worth telling.
    pub fn seconds_ahead(&self, arrival: Timestamp) -> Option<i64> {
        let arrived_ns = i64::try_from(arrival.as_nanosecond()).unwrap_or(i64::MAX);
        let ahead = self.modified_ns.saturating_sub(arrived_ns);
        (ahead > TOLERANCE_NS).then_some(ahead / 1_000_000_000)
    }
}
