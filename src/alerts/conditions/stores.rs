//! Conditions about stores: those that have sent nothing for some waves, or by a time of day.

use std::collections::BTreeMap;

use gristmill_state::{LastReport, StateError};
use jiff::Timestamp;
use jiff::civil::{Date, Time};

use super::super::finding::{Finding, Found, sooner};
use super::Scene;
use super::jobs::{Moment, active, existed, start_of};
use crate::preconditions::JobPlan;
use crate::settings::Day;
use crate::shown::moment;

/// Finds the stores that have sent nothing for the last waves of a job. The wave in progress counts once it has run.
pub(super) async fn silent_for(scene: &Scene<'_>, jobs: &[String], waves: u32) -> Result<Found, StateError> {
    let mut found = Found::default();
    for (_, _, plan) in active(scene, jobs).await? {
        let today = scene.now.to_zoned(plan.time_zone.clone()).date();
        let facts = |last: String| format!("has sent nothing for {waves} waves or more; {last}");
        if plan.files.is_dated() {
            let recent = scene
                .state
                .recent_waves(&plan.id, today, waves.saturating_add(1))
                .await?;
            let in_progress = usize::from(recent.first().is_some_and(|(_, has_run)| !has_run));
            let Some((first, _)) = recent.get(in_progress + waves as usize - 1) else {
                continue;
            };
            for (store, last) in expected(scene, plan, today).await? {
                let day = last.and_then(|last| last.wave);
                if day.is_none_or(|day| day < *first) {
                    let since = start_of(*first, &plan.time_zone);
                    found
                        .findings
                        .push(finding(plan, &store, facts(last_day(day)), since));
                }
            }
        } else {
            let runs = scene.state.recent_runs(&plan.id, waves.saturating_add(1)).await?;
            // What came before the run ahead of these waves is of an earlier wave.
            let bound = match runs.get(waves as usize) {
                Some(bound) => *bound,
                None if runs.len() == waves as usize => Timestamp::MIN,
                None => continue,
            };
            for (store, last) in expected(scene, plan, today).await? {
                let submitted = last.and_then(|last| last.submitted);
                if submitted.is_none_or(|submitted| submitted <= bound) {
                    let since = submitted.or(runs.last().copied()).unwrap_or(scene.now);
                    found
                        .findings
                        .push(finding(plan, &store, facts(last_time(submitted)), since));
                }
            }
        }
    }
    Ok(found)
}

/// Finds the stores that had sent nothing for a day at the time of day that came last.
pub(super) async fn silent_at(
    scene: &Scene<'_>,
    jobs: &[String],
    (at, day): (Time, Day),
) -> Result<Found, StateError> {
    let mut found = Found::default();
    for (row, _, plan) in active(scene, jobs).await? {
        let Some(due) = Moment::before(scene.now, at, day, &plan.time_zone) else {
            continue;
        };
        sooner(&mut found.next, Some(due.next));
        if !existed(scene, &row.config.id, due.at).await? {
            continue;
        }
        let start = start_of(due.day, &plan.time_zone);
        for (store, last) in expected(scene, plan, due.day).await? {
            let (day, submitted) = last.map_or((None, None), |last| (last.wave, last.submitted));
            let is_there = match plan.files.is_dated() {
                true => day == Some(due.day),
                false => submitted.is_some_and(|submitted| submitted >= start),
            };
            if is_there {
                continue;
            }
            let last = if plan.files.is_dated() {
                last_day(day)
            } else {
                last_time(submitted)
            };
            let facts = format!("has sent nothing for {}; {last}", due.day);
            found.findings.push(finding(plan, &store, facts, due.at));
        }
    }
    Ok(found)
}

/// Returns the stores that a job lists or, if it lists none, that it has heard of, each with its last report.
async fn expected(
    scene: &Scene<'_>,
    plan: &JobPlan,
    today: Date,
) -> Result<BTreeMap<String, Option<LastReport>>, StateError> {
    let day = plan.files.is_dated().then_some(today);
    let reports = scene.state.last_reports(&plan.id, day).await?;
    let mut expected: BTreeMap<_, _> = plan.stores.iter().map(|store| (store.clone(), None)).collect();
    for report in reports {
        if plan.stores.is_empty() || plan.stores.contains(&report.store_id) {
            expected.insert(report.store_id.clone(), Some(report));
        }
    }
    Ok(expected)
}

fn finding(plan: &JobPlan, store: &str, facts: String, since: Timestamp) -> Finding {
    Finding {
        subject: format!("store {store} of job {}", plan.id),
        facts,
        since,
    }
}

fn last_day(day: Option<Date>) -> String {
    day.map_or("no file so far".to_owned(), |day| {
        format!("its last file is of {day}")
    })
}

fn last_time(submitted: Option<Timestamp>) -> String {
    submitted.map_or("no file so far".to_owned(), |at| {
        format!("its last file came at {}", moment(at))
    })
}
