//! What a run reads: the versions in force, without the days that do not count, and older versions for days that only
//! they give.

use std::collections::BTreeMap;

use gristmill_state::{
    DayEffect, DayFact, Facts, FileFact, InForce, InputDay, InputDays, RunInput, Standing,
};
use jiff::civil::Date;

/// The wave that inputs are chosen for.
pub(super) struct Wave<'f> {
    pub(super) facts: &'f Facts,
    pub(super) date: Option<Date>,
    /// The newest submission that the wave's last run saw.
    pub(super) seen: i64,
    /// Whether of several files with one store and day only the newest counts.
    pub(super) newest_file_counts: bool,
}

impl Wave<'_> {
    /// Chooses what a run over some files reads. Files of other waves may give single days of this one.
    pub(super) fn inputs<'f>(&self, files: impl Iterator<Item = &'f FileFact>) -> Vec<RunInput> {
        let mut inputs = Vec::new();
        let files: Vec<&FileFact> = files.collect();
        for file in &files {
            let days = self.facts.days_of(file.file_id);
            if let Some(version) = &file.in_force {
                inputs.push(self.in_force(file, version, days));
            }
            inputs.extend(self.older(file, days));
        }
        if self.date.is_some() {
            inputs.extend(self.of_other_waves(&files));
        }
        inputs
    }

    /// Returns whether a person has changed what counts of the files since the wave's last run.
    pub(super) fn is_changed<'f>(&self, files: impl Iterator<Item = &'f FileFact>) -> bool {
        let files: Vec<&FileFact> = files.collect();
        let is_news = |input: &RunInput| input.submission_id > self.seen;
        let is_added = self.date.is_some() && self.of_other_waves(&files).iter().any(is_news);
        is_added
            || files.iter().any(|file| {
                self.facts.days_of(file.file_id).iter().any(|day| {
                    let is_news = day.since_submission > self.seen;
                    is_news && matches!(day.standing, Standing::Withdrawn | Standing::Counts)
                })
            })
    }

    /// Returns whether a day is added to the files of another wave: that of its own date.
    fn is_of_other_wave(&self, day: &DayFact) -> bool {
        let is_added = day.standing == Standing::Counts && day.other_file_id.is_some();
        is_added && self.date.is_some_and(|date| day.trans_date != date)
    }

    fn in_force(&self, file: &FileFact, version: &InForce, days: &[DayFact]) -> RunInput {
        let named = days.iter().filter(|day| day.version_id == version.version_id);
        let named = named.filter_map(|day| {
            let effect = match day.standing {
                _ if self.is_of_other_wave(day) => DayEffect::LeftOut,
                Standing::Stands => return None,
                Standing::Counts if self.newest_file_counts => DayEffect::Added,
                Standing::Counts => return None,
                Standing::Withdrawn if day.since_submission > self.seen => DayEffect::Emptied,
                Standing::Withdrawn | Standing::Held | Standing::Replaced => DayEffect::LeftOut,
            };
            Some(named_day(day, effect))
        });
        RunInput {
            file_id: file.file_id,
            version_id: version.version_id,
            submission_id: version.submission_id,
            days: InputDays {
                others_count: true,
                named: named.collect(),
            },
        }
    }

    /// Returns older versions of a file, each with the days that only it gives.
    fn older(&self, file: &FileFact, days: &[DayFact]) -> Vec<RunInput> {
        let in_force = file.in_force.as_ref().map(|version| version.version_id);
        let mut named: BTreeMap<i64, (i64, Vec<InputDay>)> = BTreeMap::new();
        for day in days.iter().filter(|day| Some(day.version_id) != in_force) {
            let effect = match day.standing {
                _ if self.is_of_other_wave(day) => continue,
                // Of a file that was withdrawn, but whose rows are kept, nothing is read.
                Standing::Stands if in_force.is_none() => continue,
                Standing::Stands => DayEffect::Counts,
                Standing::Counts if self.newest_file_counts => DayEffect::Added,
                Standing::Counts => DayEffect::Counts,
                Standing::Withdrawn if day.since_submission > self.seen => DayEffect::Emptied,
                Standing::Withdrawn | Standing::Held | Standing::Replaced => continue,
            };
            let (submission, of_version) = named.entry(day.version_id).or_default();
            *submission = day.since_submission.max(*submission);
            of_version.push(named_day(day, effect));
        }
        named
            .into_iter()
            .map(|(version_id, (submission_id, named))| only(file.file_id, version_id, submission_id, named))
            .collect()
    }

    /// Returns the days of this wave that files of other waves add to it.
    fn of_other_waves(&self, files: &[&FileFact]) -> Vec<RunInput> {
        let of_wave = |file_id: i64| files.iter().any(|file| file.file_id == file_id);
        let mut named: BTreeMap<(i64, i64), (i64, Vec<InputDay>)> = BTreeMap::new();
        for day in &self.facts.days {
            let is_added = day.standing == Standing::Counts
                && Some(day.trans_date) == self.date
                && !of_wave(day.file_id)
                && day.other_file_id.is_some_and(of_wave);
            if is_added {
                let effect = match self.newest_file_counts {
                    true => DayEffect::Added,
                    false => DayEffect::Counts,
                };
                let (submission, of_version) = named.entry((day.file_id, day.version_id)).or_default();
                *submission = day.since_submission.max(*submission);
                of_version.push(named_day(day, effect));
            }
        }
        named
            .into_iter()
            .map(|((file_id, version_id), (submission_id, named))| {
                only(file_id, version_id, submission_id, named)
            })
            .collect()
    }
}

fn only(file_id: i64, version_id: i64, submission_id: i64, named: Vec<InputDay>) -> RunInput {
    RunInput {
        file_id,
        version_id,
        submission_id,
        days: InputDays {
            others_count: false,
            named,
        },
    }
}

fn named_day(day: &DayFact, effect: DayEffect) -> InputDay {
    InputDay {
        store_id: day.store_id.clone(),
        trans_date: day.trans_date,
        effect,
    }
}
