//! What a feed says about days that shrink, come late, or stand in two files.

use crate::members::Takers;
use crate::text::words;

words! {
    /// What becomes of a few lines of an older day.
    Late {
        /// The older day stays as it was; the lines are held.
        Hold = "hold",
        /// They are added to what stands for the day.
        Add = "add",
        /// They replace the day.
        Replace = "replace",
    }
}

words! {
    /// What becomes of a second file of one store and day.
    SameDay {
        /// It is held.
        Hold = "hold",
        /// It is added to the first.
        Add = "add",
    }
}

/// The guards of a feed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// What becomes of a few lines of an older day.
    pub late: Late,
    /// Below this percentage of the lines that stand, a day counts as shrunk; 0 turns that off.
    pub shrink_percent: f64,
    /// What becomes of a second file of one store and day.
    pub same_day: SameDay,
    /// Whether a file whose name says another store than its lines is rejected.
    pub check_store: bool,
    /// Whether of several files with one store and day only the newest counts.
    pub newest_file_counts: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            late: Late::Hold,
            shrink_percent: 50.0,
            same_day: SameDay::Hold,
            check_store: false,
            newest_file_counts: false,
        }
    }
}

/// Tells whether two files (by path) belong to one job, so that a run would sum them.
pub trait SameJob: Sync {
    /// Returns whether a job reads both files.
    fn are_of_one_job(&self, one: &str, other: &str) -> bool;

    /// Returns who knows which jobs take a file. Without that, the files that are recorded wait to be matched until
    /// [`StateDb::match_files`](crate::StateDb::match_files) is called.
    fn takers(&self) -> Option<&dyn Takers> {
        None
    }
}

impl<F: Fn(&str, &str) -> bool + Sync> SameJob for F {
    fn are_of_one_job(&self, one: &str, other: &str) -> bool {
        self(one, other)
    }
}
