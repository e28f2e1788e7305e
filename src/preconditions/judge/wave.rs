//! What is judged: a wave, and the files of its job that belong to it.

use std::collections::BTreeSet;

use gristmill_state::{Facts, FileFact, InForce, RunRow};
use jiff::Zoned;
use jiff::civil::Date;

use super::super::plan::JobPlan;

/// A file of the job.
pub(super) struct Matching<'f> {
    pub(super) file: &'f FileFact,
    pub(super) store: Option<String>,
}

impl<'f> Matching<'f> {
    /// Returns the version in force, if it was submitted after `run` chose its inputs.
    pub(super) fn since(&self, run: Option<&RunRow>) -> Option<&'f InForce> {
        let seen = run.map_or(0, |run| run.as_of_submission);
        self.file
            .in_force
            .as_ref()
            .filter(|version| version.submission_id > seen)
    }
}

/// The files of one wave, and what they are judged by.
pub(super) struct Wave<'f> {
    pub(super) plan: &'f JobPlan,
    pub(super) facts: &'f Facts,
    pub(super) date: Option<Date>,
    pub(super) files: &'f [Matching<'f>],
    /// The files that a person took out.
    pub(super) taken_out: &'f [&'f FileFact],
    /// The stores that the job lists, or else those of this wave and of earlier ones.
    pub(super) expected_stores: &'f BTreeSet<&'f str>,
    pub(super) now: Zoned,
}
