//! What is known of stores and days, in memory, while a group of submissions is decided about.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;

use super::{Candidate, DayVerdict, Holding, Standing, TakenOver};
use crate::day::VersionDay;

/// The holdings of some stores and days.
#[derive(Debug, Default)]
pub(crate) struct Holdings(HashMap<(String, Date), Vec<Holding>>);

/// The store-days of files whose holdings have changed.
pub(crate) type Touched = BTreeSet<(String, Date, i64)>;

impl Holdings {
    pub(crate) fn add(&mut self, holding: Holding) {
        let day = (holding.day.store_id.clone(), holding.day.trans_date);
        self.0.entry(day).or_default().push(holding);
    }

    /// Returns the holdings of a store and day.
    pub(crate) fn of_day(&self, day: &VersionDay) -> &[Holding] {
        let of_day = self.0.get(&(day.store_id.clone(), day.trans_date));
        of_day.map_or(&[], Vec::as_slice)
    }

    /// Returns the holdings of a file's store and day.
    pub(crate) fn of_file_day(
        &self,
        store: &str,
        date: Date,
        file_id: i64,
    ) -> impl Iterator<Item = &Holding> {
        let of_day = self.0.get(&(store.to_owned(), date));
        of_day
            .into_iter()
            .flatten()
            .filter(move |held| held.file_id == file_id)
    }

    /// Iterates over all holdings.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holding> {
        self.0.values().flatten()
    }

    /// Notes what a version that comes into force by a submission does to what stands.
    pub(crate) fn put_in_force(
        &mut self,
        candidate: &Candidate<'_>,
        days: &[DayVerdict],
        taken_over: &[TakenOver],
        submission: i64,
        touched: &mut Touched,
    ) {
        let generation = candidate.days.iter().map(|day| day.trans_date).max();
        for (day, verdict) in candidate.days.iter().zip(days) {
            let of_day = self.0.entry((day.store_id.clone(), day.trans_date)).or_default();
            of_day.retain(|held| {
                held.file_id != candidate.file_id
                    || held.version_id != candidate.version_id
                        && match verdict {
                            // Lines of the day that come in later files stay beside what its own file reports.
                            DayVerdict::Stands => {
                                held.newest > generation && held.standing != Standing::Stands
                            }
                            // A newer version of the same later file.
                            DayVerdict::Added { .. } => {
                                held.newest != generation || held.standing == Standing::Stands
                            }
                            // What was accepted goes on counting until the new lines are accepted too.
                            DayVerdict::Held { .. } => held.newest != generation || held.standing.counts(),
                        }
            });
            let (standing, reason, other_file_id) = match verdict {
                DayVerdict::Stands => (Standing::Stands, None, None),
                DayVerdict::Added { other_file_id } => (Standing::Counts, None, *other_file_id),
                DayVerdict::Held {
                    reason,
                    other_file_id,
                } => (Standing::Held, Some(reason.clone()), *other_file_id),
            };
            of_day.push(Holding {
                file_id: candidate.file_id,
                file_url: candidate.file_url.to_owned(),
                named_store: candidate.named_store.map(str::to_owned),
                named_date: candidate.named_date,
                modified_ns: candidate.modified_ns,
                version_id: candidate.version_id,
                newest: generation,
                standing,
                since: submission,
                reason,
                other_file_id,
                day: day.clone(),
            });
            touched.insert((day.store_id.clone(), day.trans_date, candidate.file_id));
        }
        for taken in taken_over {
            let of_day = self.0.get_mut(&(taken.store_id.clone(), taken.trans_date));
            let ours = of_day
                .into_iter()
                .flatten()
                .filter(|held| held.file_id == taken.file_id && held.version_id == taken.version_id);
            for held in ours {
                held.standing = taken.standing;
                held.since = submission;
                held.reason = taken.reason.clone();
                held.other_file_id = Some(candidate.file_id);
            }
            touched.insert((taken.store_id.clone(), taken.trans_date, taken.file_id));
        }
    }

    /// Replaces the number that stands for the nth submission of a group, `-n`, by the submission's own.
    pub(crate) fn number(&mut self, numbers: &[i64]) {
        for held in self.0.values_mut().flatten().filter(|held| held.since < 0) {
            let number = usize::try_from(-held.since - 1)
                .ok()
                .and_then(|at| numbers.get(at));
            held.since = number.copied().unwrap_or(held.since);
        }
    }

    /// Changes the holdings of a day that `is_meant` selects; `change` returns whether to keep each.
    pub(crate) fn change(
        &mut self,
        day: &VersionDay,
        mut change: impl FnMut(&mut Holding) -> bool,
        is_meant: impl Fn(&Holding) -> bool,
        touched: &mut Touched,
    ) {
        let day = (day.store_id.clone(), day.trans_date);
        let Some(of_day) = self.0.get_mut(&day) else {
            return;
        };
        of_day.retain_mut(|held| {
            if !is_meant(held) {
                return true;
            }
            touched.insert((day.0.clone(), day.1, held.file_id));
            change(held)
        });
    }
}
