//! The decision on one version.

use jiff::civil::Date;

use super::{
    Candidate, DayVerdict, Decision, Holding, Holdings, Late, SameDay, SameJob, Standing, TakenOver,
};
use crate::day::VersionDay;

/// What one day meets.
enum Met<'h> {
    /// Nothing that it would lower or double.
    Nothing,
    /// The day would be taken from files whose names fit it less well.
    WeakerClaims(Vec<&'h Holding>),
    /// The day stands in other files; the first of them has the strongest claim.
    OtherFile(Vec<&'h Holding>),
    /// More than the version reports stands already.
    More(&'h Holding),
}

/// Decides about a version that is not in force yet.
pub(crate) fn decide(candidate: &Candidate<'_>, holdings: &Holdings, same_job: &dyn SameJob) -> Decision {
    if let Some(reason) = other_store(candidate).filter(|_| candidate.guards.check_store) {
        let reason = format!("{reason} (the feed has check_store = true)");
        return Decision::Refused { reason };
    }
    let Some(newest) = candidate.days.iter().map(|day| day.trans_date).max() else {
        let (days, taken_over) = (Vec::new(), Vec::new());
        return Decision::InForce { days, taken_over };
    };
    let met: Vec<Met<'_>> = candidate
        .days
        .iter()
        .map(|day| candidate.meets(day, newest, holdings, same_job))
        .collect();
    let is_accepted = candidate.accepted.is_some();
    if let Some(held) = candidate.whole_is_held(newest, &met, holdings, same_job)
        && !is_accepted
    {
        return held;
    }
    let (mut days, mut taken_over) = (Vec::new(), Vec::new());
    for (day, met) in candidate.days.iter().zip(met) {
        let late = match day.trans_date < newest {
            true => candidate.accepted.unwrap_or(candidate.guards.late),
            // Only a person can have the newest day replace what stands, or added to it.
            false => candidate.accepted.unwrap_or(Late::Hold),
        };
        let verdict = candidate.verdict(day, met, late, &mut taken_over);
        days.push(candidate.as_accepted_before(day, newest, verdict, holdings));
    }
    Decision::InForce { days, taken_over }
}

/// Returns what is wrong if a file's name says another store than its lines.
pub(crate) fn other_store(candidate: &Candidate<'_>) -> Option<String> {
    let named = candidate.named_store?;
    let other = candidate.days.iter().find(|day| !names(named, &day.store_id))?;
    Some(format!(
        "its name says store {named}, but it has lines of store {}",
        other.store_id
    ))
}

/// Returns whether the store in a file's name is that of its lines: the same text, or what stands behind a prefix, as
/// `1003` in `IL-1003`.
fn names(named: &str, store_id: &str) -> bool {
    let prefix = store_id.strip_suffix(named);
    prefix.is_some_and(|prefix| !prefix.ends_with(char::is_alphanumeric))
}

impl Candidate<'_> {
    fn meets<'h>(
        &self,
        day: &VersionDay,
        newest: Date,
        holdings: &'h Holdings,
        same_job: &dyn SameJob,
    ) -> Met<'h> {
        let standing = self.standing(day, holdings, same_job);
        let mut others: Vec<&Holding> = standing
            .iter()
            .copied()
            .filter(|held| held.file_id != self.file_id)
            .collect();
        if !self.guards.newest_file_counts && self.guards.same_day == SameDay::Hold && !others.is_empty() {
            let claim = claim(self.named_store, self.named_date, day);
            others.sort_by_key(|held| std::cmp::Reverse(held.claim()));
            return match others.first() {
                Some(strongest) if strongest.claim() >= claim => Met::OtherFile(others),
                _ => Met::WeakerClaims(others),
            };
        }
        match self.base(&standing) {
            Some(base) if self.is_shrunk(day, &base.day, is_reused(newest, day, base)) => Met::More(base),
            _ => Met::Nothing,
        }
    }

    /// Returns what stands for a day: what the file itself has reported of it, and other files of the same job.
    fn standing<'h>(
        &self,
        day: &VersionDay,
        holdings: &'h Holdings,
        same_job: &dyn SameJob,
    ) -> Vec<&'h Holding> {
        let counts = holdings.of_day(day).iter().filter(|held| held.standing.counts());
        let is_met = |held: &&Holding| {
            held.file_id == self.file_id || same_job.are_of_one_job(self.file_url, &held.file_url)
        };
        counts.filter(is_met).collect()
    }

    /// Returns what a day replaces: what the file itself has reported of it or, where the newest file counts, the newest
    /// of the older files.
    fn base<'h>(&self, standing: &[&'h Holding]) -> Option<&'h Holding> {
        let is_replaced = |held: &&&Holding| {
            held.standing == Standing::Stands
                && held.version_id != self.version_id
                && match held.file_id == self.file_id {
                    true => true,
                    false => self.guards.newest_file_counts && held.modified_ns <= self.modified_ns,
                }
        };
        let replaced = standing.iter().filter(is_replaced);
        replaced.max_by_key(|held| held.modified_ns).copied()
    }

    /// Returns whether a day reports so much less than what stands that it cannot be meant to replace it. Where the file
    /// has begun a new day since, a single line of the old one may stand for all lines there were: then the amounts tell
    /// too.
    fn is_shrunk(&self, day: &VersionDay, base: &VersionDay, has_new_day: bool) -> bool {
        let percent = self.guards.shrink_percent;
        let is_less = |now: u64, before: u64| (now as f64) * 100.0 < percent * before as f64;
        let (lines, before) = (day.lines, base.lines);
        let by_lines = lines.zip(before).map(|(lines, before)| is_less(lines, before));
        let by_turnover = is_less(day.turnover, base.turnover);
        match by_lines {
            None => by_turnover,
            Some(is_less) => is_less || (has_new_day && by_turnover),
        }
    }

    /// Holds the version as a whole if its newest day has shrunk, or stands in other files.
    fn whole_is_held(
        &self,
        newest: Date,
        met: &[Met<'_>],
        holdings: &Holdings,
        same_job: &dyn SameJob,
    ) -> Option<Decision> {
        let of_newest = || {
            let days = self.days.iter().zip(met);
            days.filter(|(day, _)| day.trans_date == newest)
        };
        let in_others: Vec<_> = of_newest()
            .filter_map(|(day, met)| match met {
                Met::OtherFile(others) => Some((day, *others.first()?)),
                _ => None,
            })
            .collect();
        if in_others.len() == of_newest().count() {
            let (day, other) = in_others.first()?;
            return Some(Decision::Held {
                reason: stands_in(day, other),
                other_file_id: Some(other.file_id),
            });
        }
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for (day, _) in of_newest() {
            let standing = self.standing(day, holdings, same_job);
            if let Some(base) = self.base(&standing) {
                now.push(day);
                before.push(base);
            }
        }
        let (first, total) = (before.first()?, totals(&now)?);
        let total_before = totals(&before.iter().map(|held| &held.day).collect::<Vec<_>>())?;
        self.is_shrunk(&total, &total_before, false)
            .then(|| Decision::Held {
                reason: format!(
                    "it has {} of {}, where {} has {}: less than shrink_percent = {}",
                    in_words(&total),
                    total.trans_date,
                    match first.file_id == self.file_id {
                        true => "the version in force",
                        false => &first.file_url,
                    },
                    in_words(&total_before),
                    self.guards.shrink_percent,
                ),
                other_file_id: None,
            })
    }

    /// Lets lines that a person has accepted count again when a newer version of the same days repeats them.
    fn as_accepted_before(
        &self,
        day: &VersionDay,
        newest: Date,
        verdict: DayVerdict,
        holdings: &Holdings,
    ) -> DayVerdict {
        let mut accepted = holdings.of_day(day).iter().filter(|held| {
            held.file_id == self.file_id && held.standing == Standing::Counts && held.newest == Some(newest)
        });
        let is_same = |held: &&Holding| held.day.lines == day.lines && held.day.turnover == day.turnover;
        match (&verdict, accepted.find(is_same)) {
            (DayVerdict::Held { .. }, Some(accepted)) => DayVerdict::Added {
                other_file_id: accepted.other_file_id,
            },
            _ => verdict,
        }
    }

    fn verdict(
        &self,
        day: &VersionDay,
        met: Met<'_>,
        late: Late,
        taken_over: &mut Vec<TakenOver>,
    ) -> DayVerdict {
        let mut take_over = |held: &Holding, standing, reason| {
            taken_over.push(TakenOver {
                file_id: held.file_id,
                version_id: held.version_id,
                store_id: day.store_id.clone(),
                trans_date: day.trans_date,
                standing,
                reason,
            });
        };
        match met {
            Met::Nothing => DayVerdict::Stands,
            Met::WeakerClaims(others) => {
                for held in others {
                    let reason = format!(
                        "{} has that day too, and its name fits better: {}",
                        self.file_url,
                        in_words(&held.day)
                    );
                    take_over(held, Standing::Held, Some(reason));
                }
                DayVerdict::Stands
            }
            Met::OtherFile(others) => match late {
                Late::Add => DayVerdict::Added {
                    other_file_id: others.first().map(|other| other.file_id),
                },
                Late::Replace => {
                    for other in others {
                        take_over(other, Standing::Replaced, None);
                    }
                    DayVerdict::Stands
                }
                Late::Hold => DayVerdict::Held {
                    reason: others
                        .first()
                        .map_or_else(String::new, |other| stands_in(day, other)),
                    other_file_id: others.first().map(|other| other.file_id),
                },
            },
            Met::More(base) => match late {
                Late::Add => DayVerdict::Added {
                    other_file_id: (base.file_id != self.file_id).then_some(base.file_id),
                },
                Late::Replace => DayVerdict::Stands,
                Late::Hold => {
                    let other = (base.file_id != self.file_id).then_some(base);
                    let of_other = other.map_or_else(String::new, |other| format!(" in {}", other.file_url));
                    DayVerdict::Held {
                        reason: format!(
                            "{} of store {}, {}, where {} stand{of_other}",
                            in_words(day),
                            day.store_id,
                            day.trans_date,
                            in_words(&base.day)
                        ),
                        other_file_id: other.map(|other| other.file_id),
                    }
                }
            },
        }
    }
}

/// Returns whether a version whose newest day is `newest` has begun a new day since an older day was reported.
fn is_reused(newest: Date, day: &VersionDay, base: &Holding) -> bool {
    day.trans_date < newest && base.newest.is_none_or(|before| before < newest)
}

impl Holding {
    fn claim(&self) -> i32 {
        claim(self.named_store.as_deref(), self.named_date, &self.day)
    }
}

/// Returns how well a file's name fits a store and day: a name that says both is the strongest claim, and a name that
/// says another store or day the weakest.
fn claim(store: Option<&str>, date: Option<Date>, day: &VersionDay) -> i32 {
    let fits = |is_same: Option<bool>| is_same.map_or(0, |is_same| if is_same { 1 } else { -1 });
    fits(store.map(|store| names(store, &day.store_id))) + fits(date.map(|date| date == day.trans_date))
}

fn stands_in(day: &VersionDay, other: &Holding) -> String {
    format!(
        "store {}, {} is already in {} ({}; here {})",
        day.store_id,
        day.trans_date,
        other.file_url,
        in_words(&other.day),
        in_words(day)
    )
}

/// Adds up several stores' reports of one day; `None` if there are none.
fn totals(days: &[&VersionDay]) -> Option<VersionDay> {
    let first = (*days.first()?).clone();
    let lines = days.iter().map(|day| day.lines).sum();
    let turnover = days
        .iter()
        .fold(0, |sum: u64, day| sum.saturating_add(day.turnover));
    Some(VersionDay {
        lines,
        turnover,
        ..first
    })
}

/// Formats what is reported of a day: its lines or, where they were not counted, its amounts.
fn in_words(day: &VersionDay) -> String {
    match day.lines {
        Some(1) => "1 line".to_owned(),
        Some(lines) => format!("{lines} lines"),
        None => format!("amounts of {}.{:02}", day.turnover / 100, day.turnover % 100),
    }
}
