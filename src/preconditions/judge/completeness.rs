//! How much of a wave has come, and whether a run over it is complete.
//!
//! A wave is measured in stores: those that the job lists, or else those of this and of earlier waves. A file whose name
//! has no store stands for itself. A store has arrived when all of its files have.

use std::collections::BTreeSet;

use gristmill_state::{RunRow, Trigger};

use super::super::verdict::Progress;
use super::wave::{Matching, Wave};

/// What a run over a wave's files would be.
pub(super) struct Completeness {
    /// The share of the wave that it has.
    pub(super) percent: f64,
    /// Whether it leaves the wave open, for files that the job still needs.
    pub(super) leaves_open: bool,
}

impl<'f> Wave<'f> {
    /// Returns the stores of these files, or those of them that the job lists.
    fn stores_of(&self, files: &[&'f Matching<'f>]) -> BTreeSet<&'f str> {
        files
            .iter()
            .filter_map(|matching| matching.store.as_deref())
            .collect()
    }

    /// Counts what `min_files` counts: stores if the job lists them, otherwise files.
    pub(super) fn count(&self, files: &[&'f Matching<'f>]) -> usize {
        match self.plan.stores.is_empty() {
            true => files.len(),
            false => self.stores_of(files).len(),
        }
    }

    /// Returns the expected stores of which there is no file here, in order.
    pub(super) fn missing(&self, files: &[&'f Matching<'f>]) -> Vec<&'f str> {
        let present = self.stores_of(files);
        let expected = self.expected_stores.iter().copied();
        expected.filter(|store| !present.contains(store)).collect()
    }

    /// Returns whether these files are as many as the job requires; there is no run without a file.
    pub(super) fn are_enough(&self, files: &[&'f Matching<'f>]) -> bool {
        self.count(files) >= (self.plan.min_files as usize).max(1)
    }

    /// Measures a run over the files in force. `reported` are those submitted since the wave's last complete run, and
    /// `holds` says whether they satisfy the job.
    pub(super) fn completeness(
        &self,
        valid: &[&'f Matching<'f>],
        arrived: &[&'f Matching<'f>],
        last: Option<&RunRow>,
        holds: bool,
    ) -> Completeness {
        let corrects = self.corrects(valid, arrived, last);
        let (files, is_satisfied) = match corrects {
            true => (valid, self.are_enough(valid)),
            false => (arrived, holds),
        };
        let percent = self.percent(files);
        Completeness {
            percent,
            leaves_open: !is_satisfied && percent < 100.0,
        }
    }

    /// Returns whether a run now would correct a wave that is complete, rather than begin the next one.
    ///
    /// The wave of a day, and that of a job that runs at any new file, stays the same wave for ever. Otherwise a deadline
    /// divides waves by days: files that come on the day of a complete wave correct it. Without a deadline, only a person
    /// runs a job before its next wave is there.
    fn corrects(
        &self,
        valid: &[&'f Matching<'f>],
        arrived: &[&'f Matching<'f>],
        last: Option<&RunRow>,
    ) -> bool {
        let Some(last) = last.filter(|last| !last.incomplete) else {
            return false;
        };
        if self.date.is_some() || self.plan.trigger == Trigger::Any || arrived.is_empty() {
            return true;
        }
        self.plan.deadline.is_none() || self.is_of_today(valid, last)
    }

    /// Returns whether a complete run belongs to today's wave. A late file may have completed yesterday's wave only
    /// today, so it depends on most of the run's files, as far as they were not submitted again since.
    fn is_of_today(&self, valid: &[&'f Matching<'f>], run: &RunRow) -> bool {
        let zone = self.now.time_zone();
        let days: Vec<_> = valid
            .iter()
            .filter(|matching| matching.since(Some(run)).is_none())
            .filter_map(|matching| matching.file.in_force.as_ref())
            .map(|version| version.submitted.to_zoned(zone.clone()).date())
            .collect();
        let of_today = days.iter().filter(|day| **day == self.now.date()).count();
        2 * of_today > days.len()
    }

    /// Returns the share of the expected stores that have arrived, in percent. It is 100 only if none is missing and the
    /// files are as many as the job requires.
    fn percent(&self, arrived: &[&'f Matching<'f>]) -> f64 {
        let here: BTreeSet<_> = arrived.iter().map(|matching| matching.file.file_id).collect();
        let (mut expected, mut came) = (self.expected_stores.clone(), BTreeSet::new());
        let mut late = BTreeSet::new();
        for matching in self.files {
            let unit = matching.store.as_deref().unwrap_or(&matching.file.file_url);
            expected.insert(unit);
            match here.contains(&matching.file.file_id) {
                true => came.insert(unit),
                false => late.insert(unit),
            };
        }
        let share = |came: usize, expected: usize| 100.0 * came as f64 / expected.max(1) as f64;
        let of_stores = share(came.difference(&late).count(), expected.len());
        match self.plan.stores.is_empty() {
            true => of_stores.min(share(arrived.len(), self.plan.min_files as usize)),
            false => of_stores,
        }
        .min(100.0)
    }

    /// Returns what of the next wave has come, if the job goes from wave to wave: a dated job has a wave for each day,
    /// and a job that runs at any new file has only one.
    pub(super) fn next_wave(
        &self,
        valid: &[&'f Matching<'f>],
        arrived: &[&'f Matching<'f>],
    ) -> Option<Progress> {
        let goes_on = self.date.is_none() && self.plan.trigger == Trigger::All;
        goes_on.then(|| match self.plan.stores.is_empty() {
            true => Progress {
                arrived: arrived.len(),
                expected: valid.len().max(self.plan.min_files as usize),
                unit: "files",
            },
            false => Progress {
                arrived: self.count(arrived),
                expected: self.plan.stores.len(),
                unit: "stores",
            },
        })
    }
}
