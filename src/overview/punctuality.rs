//! What a store has reported on a day, and when its files came beside the time at which they usually do.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_state::{Outcome, Report, StateDb};
use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::preconditions::JobPlan;

/// On how many days files must have come for their time to be a usual one.
const USUAL: usize = 3;

/// What a store has reported on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    OnTime,
    Late,
    Corrected,
    Held,
    Rejected,
    Withdrawn,
    Missing,
    NotYet,
}

impl Fate {
    /// Returns the words for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::OnTime => "on time",
            Self::Late => "late",
            Self::Corrected => "corrected",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Missing => "missing",
            Self::NotYet => "not yet",
        }
    }

    /// Returns what became of a day of a job by the reports of one store, at least one, in the order of recording.
    pub(crate) fn of(reports: &[&Report], plan: &JobPlan, day: Date) -> Self {
        match reports.last().map(|report| report.outcome) {
            Some(Outcome::Held) => return Self::Held,
            Some(Outcome::Rejected | Outcome::Failed) => return Self::Rejected,
            Some(Outcome::Withdrawn) => return Self::Withdrawn,
            _ => {}
        }
        let deadline = plan
            .deadline
            .and_then(|time| day.to_datetime(time).to_zoned(plan.time_zone.clone()).ok());
        if let (Some(deadline), Some(first)) = (deadline, first_valid(reports))
            && first.submitted > deadline.timestamp()
        {
            return Self::Late;
        }
        let new_bytes = reports
            .iter()
            .filter(|report| report.outcome == Outcome::Validated);
        match new_bytes.count() {
            0 | 1 => Self::OnTime,
            _ => Self::Corrected,
        }
    }
}

fn first_valid<'r>(reports: &[&'r Report]) -> Option<&'r Report> {
    let is_valid = |outcome| {
        matches!(
            outcome,
            Outcome::Validated | Outcome::Unchanged | Outcome::Accepted
        )
    };
    reports.iter().copied().find(|report| is_valid(report.outcome))
}

/// Groups reports by store and day: the day in the file's name or, for a job that does not run by day, the day on which it
/// came, in the job's time zone.
pub(crate) fn by_store_and_day<'r>(
    reports: &'r [Report],
    plan: &JobPlan,
) -> BTreeMap<(&'r str, Date), Vec<&'r Report>> {
    let mut of_day: BTreeMap<_, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        let came = report.submitted.to_zoned(plan.time_zone.clone()).date();
        let day = report.wave.unwrap_or(came);
        of_day
            .entry((report.store_id.as_str(), day))
            .or_default()
            .push(report);
    }
    of_day
}

/// Returns the moments at which a span of days begins and ends in a job's time zone.
pub(crate) fn moments(plan: &JobPlan, (first, last): (Date, Date)) -> anyhow::Result<(Timestamp, Timestamp)> {
    let begin = |day: Date| anyhow::Ok(day.to_zoned(plan.time_zone.clone())?.timestamp());
    Ok((begin(first)?, begin(last.saturating_add(1.day()))?))
}

/// When a store's files of a job came.
#[derive(Debug, Serialize)]
pub(crate) struct Punctuality {
    pub(crate) job: String,
    /// The zone of all times of day.
    pub(crate) time_zone: Option<String>,
    /// Whether the days are those in the files' names; otherwise, those on which files came.
    pub(crate) is_by_name: bool,
    /// The time of day after which files are late, if the job has one.
    pub(crate) deadline: Option<Time>,
    /// After how many minutes of the day its first file usually comes: the median. None after too few days.
    pub(crate) usual_minutes: Option<i64>,
    /// Newest first. Days on which nothing was expected are left out.
    pub(crate) days: Vec<PunctualDay>,
}

/// A day of a store.
#[derive(Debug, Serialize)]
pub(crate) struct PunctualDay {
    pub(crate) day: Date,
    pub(crate) fate: Fate,
    /// When its first valid file came.
    pub(crate) first: Option<Timestamp>,
    /// After how many minutes of the day that was: more than 1440 if it was on a later day.
    pub(crate) minutes: Option<i64>,
    /// The file that was sent last.
    pub(crate) file: Option<String>,
}

/// Finds when a store's files of a job came on the days of a span.
pub(crate) async fn punctuality(
    state: &StateDb,
    plan: &JobPlan,
    store: &str,
    (first, last): (Date, Date),
    now: Timestamp,
) -> anyhow::Result<Punctuality> {
    let span = moments(plan, (first, last))?;
    let reports = state
        .reports(&plan.id, &[store.to_owned()], (first, last), span)
        .await?;
    let mut days = Vec::new();
    let mut reported = BTreeSet::new();
    for ((_, day), reports) in by_store_and_day(&reports, plan) {
        let came = first_valid(&reports).map(|report| report.submitted);
        reported.insert(day);
        days.push(PunctualDay {
            day,
            fate: Fate::of(&reports, plan, day),
            first: came,
            minutes: came.and_then(|at| minutes_of(plan, day, at)),
            file: reports.last().map(|report| report.file_url.clone()),
        });
    }
    // On a day for which no store has sent anything, nothing is missing; nor before the store's first file.
    let of_any: BTreeSet<Date> = match plan.files.is_dated() {
        true => state
            .days_of_job(&plan.id, (first, last))
            .await?
            .into_iter()
            .collect(),
        false => {
            let minutes = state.minutes_of_job(&plan.id, span).await?;
            let date = |at: Timestamp| at.to_zoned(plan.time_zone.clone()).date();
            minutes.into_iter().map(date).collect()
        }
    };
    let begins = match plan.stores.contains(store) {
        true => Some(first),
        false => state.first_report(store, &plan.id).await?.map(|first| {
            let came = first.submitted.to_zoned(plan.time_zone.clone()).date();
            first.wave.unwrap_or(came)
        }),
    };
    let today = now.to_zoned(plan.time_zone.clone()).date();
    let lacking = of_any.into_iter().filter(|day| {
        !reported.contains(day) && *day <= today && begins.is_some_and(|begins| *day >= begins)
    });
    days.extend(lacking.map(|day| PunctualDay {
        day,
        fate: if day < today { Fate::Missing } else { Fate::NotYet },
        first: None,
        minutes: None,
        file: None,
    }));
    days.sort_by_key(|day| std::cmp::Reverse(day.day));
    Ok(Punctuality {
        job: plan.id.clone(),
        time_zone: plan.time_zone.iana_name().map(str::to_owned),
        is_by_name: plan.files.is_dated(),
        deadline: plan.deadline,
        usual_minutes: median(days.iter().filter_map(|day| day.minutes).collect()),
        days,
    })
}

fn minutes_of(plan: &JobPlan, day: Date, at: Timestamp) -> Option<i64> {
    let begin = day.to_zoned(plan.time_zone.clone()).ok()?.timestamp();
    Some(at.duration_since(begin).as_mins())
}

fn median(mut minutes: Vec<i64>) -> Option<i64> {
    minutes.sort_unstable();
    (minutes.len() >= USUAL).then(|| minutes[minutes.len() / 2])
}

/// Shows minutes of a day as a time: `06:05`, and `06:05 the next day` or `06:05, 3 days later` beyond its end.
pub(crate) fn time_of_day(minutes: i64) -> String {
    let time = minutes.rem_euclid(1440);
    let time = format!("{:02}:{:02}", time / 60, time % 60);
    match minutes.div_euclid(1440) {
        0 => time,
        1 => format!("{time} the next day"),
        -1 => format!("{time} the day before"),
        days if days > 0 => format!("{time}, {days} days later"),
        days => format!("{time}, {} days before", -days),
    }
}

/// Shows how much earlier or later than usual something was: `20 min later`, `2 h 05 min earlier`.
pub(crate) fn beside_usual(minutes: i64, usual: i64) -> String {
    let (gap, word) = match minutes - usual {
        0 => return "as usual".to_owned(),
        gap if gap > 0 => (gap, "later"),
        gap => (-gap, "earlier"),
    };
    match gap {
        ..60 => format!("{gap} min {word}"),
        _ => format!("{} h {:02} min {word}", gap / 60, gap % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_told_beyond_the_day() {
        let shown = [365, 1439, 1440 + 365, 3 * 1440 + 5, -10].map(time_of_day);
        assert_eq!(
            shown,
            [
                "06:05",
                "23:59",
                "06:05 the next day",
                "00:05, 3 days later",
                "23:50 the day before"
            ]
        );
        let beside = [(400, 400), (420, 400), (200, 400)].map(|(at, usual)| beside_usual(at, usual));
        assert_eq!(beside, ["as usual", "20 min later", "3 h 20 min earlier"]);
    }

    #[test]
    fn a_time_is_usual_after_some_days() {
        assert_eq!(median(vec![10, 20]), None);
        assert_eq!(median(vec![900, 10, 20]), Some(20));
    }
}
