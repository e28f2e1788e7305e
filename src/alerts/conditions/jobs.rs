//! Conditions about jobs: runs that failed, provinces that are not complete at a time, and files that have not reached the
//! warehouse.

use std::collections::HashSet;
use std::time::Duration;

use gristmill_state::{JobRow, StateError, WaitKind};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::super::finding::{Finding, Found, sooner};
use super::{Scene, has};
use crate::overview::judge_newest;
use crate::preconditions::{IndexedJob, JobPlan};
use crate::settings::Day;
use crate::shown::duration;

/// How many provinces are judged in one look, to say what they wait for.
const JUDGED: usize = 50;

/// Finds the waves whose newest run has failed.
pub(super) async fn failed(scene: &Scene<'_>, jobs: &[String]) -> Result<Found, StateError> {
    let failed = scene.state.failed_waves().await?.into_iter();
    let findings = failed.filter(|wave| has(jobs, &wave.job_id)).map(|wave| Finding {
        subject: of_wave(&wave.job_id, wave.wave),
        facts: format!(
            "run {} failed: {}; `gristmill retry {}` runs it again",
            wave.run_id,
            wave.error.unwrap_or_default(),
            wave.run_id
        ),
        since: wave.failed,
    });
    Ok(Found {
        findings: findings.collect(),
        next: None,
    })
}

/// Finds the jobs that had not got everything at the time of day that came last.
pub(super) async fn incomplete(
    scene: &Scene<'_>,
    jobs: &[String],
    (at, day): (Time, Day),
    known: &HashSet<String>,
) -> Result<Found, StateError> {
    let mut found = Found::default();
    let mut to_judge = Vec::new();
    for (row, indexed, plan) in active(scene, jobs).await? {
        let Some(moment) = Moment::before(scene.now, at, day, &plan.time_zone) else {
            continue;
        };
        sooner(&mut found.next, Some(moment.next));
        let id = row.config.id.clone();
        if is_complete(scene, plan, moment.day).await? || !existed(scene, &id, moment.at).await? {
            continue;
        }
        let subject = of_wave(&id, None);
        let facts = match plan.files.is_dated() {
            true => format!("the wave of {} is not complete", moment.day),
            false => format!("no complete run since the beginning of {}", moment.day),
        };
        // What it waits for is found out once: a criterion is a process.
        if !known.contains(&subject) && to_judge.len() < JUDGED {
            to_judge.push((row, indexed));
        }
        found.findings.push(Finding {
            subject,
            facts,
            since: moment.at,
        });
    }
    for judged in judge_newest(scene.state, to_judge, scene.now).await? {
        let (waits_for, subject) = (judged.status.waits_for, of_wave(&judged.status.job, None));
        let mut findings = found.findings.iter_mut();
        if !waits_for.is_empty()
            && let Some(finding) = findings.find(|finding| finding.subject == subject)
        {
            finding.facts = format!("{}; it waits for {}", finding.facts, waits_for.join("; "));
        }
    }
    Ok(found)
}

/// Finds the waves with files that have not reached the warehouse for longer than `over`, and files that wait so long for an
/// outage to end.
pub(super) async fn lag(scene: &Scene<'_>, jobs: &[String], over: Duration) -> Result<Found, StateError> {
    let mut found = Found::default();
    let late = |since: Timestamp, next: &mut Option<Timestamp>| {
        let due = since.checked_add(over).unwrap_or(Timestamp::MAX);
        match due <= scene.now {
            true => true,
            false => {
                sooner(next, Some(due));
                false
            }
        }
    };
    for wave in scene.state.unloaded_waves().await? {
        if !has(jobs, &wave.job_id) || !late(wave.since, &mut found.next) {
            continue;
        }
        let span = duration(scene.now.duration_since(wave.since));
        found.findings.push(Finding {
            subject: of_wave(&wave.job_id, wave.wave),
            facts: match wave.files {
                1 => format!("a file has not been in the warehouse for {span}"),
                files => format!("{files} files are not in the warehouse yet, the first for {span}"),
            },
            since: wave.since,
        });
    }
    for waits in scene.state.waiting().await? {
        let is_file = waits.kind == WaitKind::File && jobs.is_empty();
        if is_file && late(waits.since, &mut found.next) {
            found.findings.push(Finding {
                subject: format!("file {}", waits.subject),
                facts: format!("cannot be converted: {}", waits.reason),
                since: waits.since,
            });
        }
    }
    Ok(found)
}

/// The last time of day that has come, and the day that it is about.
pub(super) struct Moment {
    /// When it came.
    pub(super) at: Timestamp,
    /// The day.
    pub(super) day: Date,
    /// When it comes next.
    pub(super) next: Timestamp,
}

impl Moment {
    pub(super) fn before(now: Timestamp, at: Time, day: Day, zone: &TimeZone) -> Option<Self> {
        let today = now.to_zoned(zone.clone()).date();
        let moment = |date: Date| Some(date.to_datetime(at).to_zoned(zone.clone()).ok()?.timestamp());
        let (yesterday, tomorrow) = (today.checked_sub(1.day()).ok()?, today.checked_add(1.day()).ok()?);
        let (date, next) = match moment(today)? <= now {
            true => (today, tomorrow),
            false => (yesterday, today),
        };
        Some(Self {
            at: moment(date)?,
            day: match day {
                Day::Today => date,
                Day::Yesterday => date.checked_sub(1.day()).ok()?,
            },
            next: moment(next)?,
        })
    }
}

/// Returns the jobs that can run, of those that are named.
pub(super) async fn active<'s>(
    scene: &Scene<'s>,
    names: &[String],
) -> Result<Vec<(JobRow, &'s IndexedJob, &'s JobPlan)>, StateError> {
    let rows = scene.state.jobs().await?.into_iter();
    let rows = rows.filter(|row| row.config.enabled && has(names, &row.config.id));
    let known = rows.filter_map(|row| {
        let indexed = scene.jobs.job(&row.config.id)?;
        Some((row, &**indexed, indexed.plan().ok()?))
    });
    Ok(known.collect())
}

/// Returns whether a job was there at a moment: nothing was expected of it before.
pub(super) async fn existed(scene: &Scene<'_>, job: &str, at: Timestamp) -> Result<bool, StateError> {
    let added = scene.state.job_added(job).await?;
    Ok(added.is_none_or(|added| added <= at))
}

async fn is_complete(scene: &Scene<'_>, plan: &JobPlan, day: Date) -> Result<bool, StateError> {
    if plan.files.is_dated() {
        return scene.state.is_complete(&plan.id, day).await;
    }
    let last = scene.state.last_complete(&[&plan.id]).await?.pop();
    let finished = last.and_then(|run| run.finished);
    Ok(finished.is_some_and(|finished| finished >= start_of(day, &plan.time_zone)))
}

/// Returns when a day begins.
pub(super) fn start_of(day: Date, zone: &TimeZone) -> Timestamp {
    let start = day.to_zoned(zone.clone());
    start.map_or(Timestamp::MAX, |start| start.timestamp())
}

fn of_wave(job: &str, wave: Option<Date>) -> String {
    match wave {
        Some(wave) => format!("job {job}, {wave}"),
        None => format!("job {job}"),
    }
}
