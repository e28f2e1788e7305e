//! One job: what it waits for, its configuration and who changed it, and its runs over time.

use gristmill_state::{JobEdit, JobRow, RunFilter, StateError, Waves};
use maud::{Markup, html};

use super::super::address::address;
use super::super::charts;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview::{describe_edit, explain_waves};
use crate::preconditions::{JobParams, JobPlan, Verdict, WaveState};
use crate::shown;

/// How many runs are listed, and drawn.
const RUNS: u32 = 60;

/// How many edits are listed.
const EDITS: usize = 50;

/// How many waves are told, the newest first.
const WAVES: usize = 7;

pub(super) async fn page(look: &Look<'_>, job: &str) -> Result<Page, Problem> {
    let desk = look.desk;
    let state = desk.state().await?;
    let unknown = || StateError::UnknownJob {
        job_id: job.to_owned(),
    };
    let row = state.job(job).await?.ok_or_else(unknown)?;
    let known = desk.jobs().await?;
    let plan = known.job(job).map(|known| known.plan());
    let filter = RunFilter {
        job_id: Some(job.to_owned()),
        limit: Some(RUNS),
        ..RunFilter::default()
    };
    let runs = state.runs(&filter).await?;
    let edits = state.job_history(Some(job)).await?;
    let now = desk.now();
    let waits = match &plan {
        Some(Ok(plan)) => {
            let day = look.ask.date("date")?;
            let today = now.to_zoned(plan.time_zone.clone()).date();
            let waves = match day {
                Some(day) if plan.files.is_dated() => Waves::These([Some(day)].into()),
                _ => Waves::NewestAt(today),
            };
            let mut verdicts = explain_waves(state, plan, waves, now).await?;
            verdicts.reverse();
            verdicts.truncate(WAVES);
            waves_of(look, plan, &verdicts)
        }
        Some(Err(error)) => {
            html! { p.problem { "Its configuration must be corrected: " (shown::shown(&error.to_string())) } }
        }
        None => html! { p.empty { "It was added a moment ago." } },
    };
    let lags = charts::durations(&runs);
    Ok(Page {
        title: format!("Job {}", shown::path(job)),
        section: "/jobs",
        parts: vec![
            Part::Live("waits", waits),
            Part::Fixed(actions(
                look,
                &row,
                plan.as_ref().and_then(|plan| plan.as_ref().ok().copied()),
            )),
            Part::Live(
                "runs",
                html! {
                    h2 { "Runs" }
                    @if !runs.is_empty() { (lags) }
                    (parts::runs(&runs, "It has not run so far.", false))
                    @if runs.len() as u32 == RUNS { p { a href=(address("/runs", &[("job", job)])) { "All its runs" } } }
                },
            ),
            Part::Live("configuration", configuration(&row, &edits)),
        ],
    })
}

/// The newest waves with their preconditions.
fn waves_of(look: &Look<'_>, plan: &JobPlan, verdicts: &[Verdict]) -> Markup {
    html! {
        @if verdicts.is_empty() {
            p.empty { "It waits for a file that matches " code { (shown::path(plan.files.as_str())) } "." }
        }
        @for verdict in verdicts {
            section {
                h2 {
                    @match verdict.wave { Some(day) => { "The wave of " (day) }, None => "Now" } " "
                    @let (tone, word) = match verdict.state {
                        WaveState::Running => ("busy", "a run is queued or running"),
                        WaveState::Ready => ("busy", "ready: every precondition holds"),
                        WaveState::Complete => ("good", "complete"),
                        WaveState::Waiting => ("warn", "waits"),
                    };
                    (parts::chip(tone, word))
                }
                @if let Some(done) = &verdict.done { p { (shown::shown(&done.text)) } }
                (parts::checks(&verdict.checks, verdict.state == WaveState::Complete, |_| html! {}))
                @if !verdict.unlisted_files.is_empty() {
                    p.dim { (verdict.unlisted_files.len()) " files match its pattern, but their stores are not in " code { "stores" } }
                }
                @if let Some(day) = verdict.wave {
                    @let day = day.to_string();
                    (parts::action(look.viewer, "run", &[("job", &plan.id), ("date", &day)], "Run this wave now", look.here))
                }
            }
        }
    }
}

fn actions(look: &Look<'_>, row: &JobRow, plan: Option<&JobPlan>) -> Markup {
    let job = row.config.id.as_str();
    let is_dated = plan.is_some_and(|plan| plan.files.is_dated());
    html! {
        div.actions {
            a href=(address("/stores", &[("job", job)])) { "Stores × days" } " "
            a href=(address("/files", &[("job", job)])) { "Its files" } " "
            @if is_dated {
                form.inline method="get" action=(super::super::address::of_job(job)) {
                    label { "The wave of " input name="date" value=(look.ask.get("date").unwrap_or_default()) placeholder="2016-06-01" size="11"; }
                    button type="submit" { "Show" }
                }
            } @else {
                (parts::action(look.viewer, "run", &[("job", job)], "Run now", look.here))
            }
            @match row.config.enabled {
                true => (parts::action(look.viewer, "pause", &[("job", job)], "Pause", look.here)),
                false => (parts::action(look.viewer, "resume", &[("job", job)], "Resume", look.here)),
            }
        }
    }
}

/// The configuration as it stands, and who changed it.
fn configuration(row: &JobRow, edits: &[JobEdit]) -> Markup {
    let config = &row.config;
    let params = serde_json::from_str::<JobParams>(&config.params);
    html! {
        h2 { "Configuration" }
        dl {
            dt { "Enabled" } dd { @if config.enabled { "yes" } @else { "paused" } }
            dt { "Feed" } dd { (config.feed) }
            dt { "Files" } dd { code { (shown::path(&config.files)) } }
            dt { "At least" } dd { (config.min_files) " files" }
            dt { "Trigger" } dd { (config.trigger) }
            @match &params {
                Ok(params) if params.brief().is_empty() => {},
                Ok(params) => { dt { "Also" } dd { (shown::shown(&params.brief())) } },
                Err(_) => { dt { "job_params" } dd { code { (shown::shown(&config.params)) } } },
            }
            @if let Some(criterion) = &config.addl_criteria { dt { "job_addl_criteria" } dd { code { (shown::shown(criterion)) } } }
        }
        h2 { "Who changed it" }
        @if edits.is_empty() { p.empty { "Nobody since its history is kept." } }
        @else {
            div.scroll role="region" aria-label="Edits" tabindex="0" {
                table {
                    thead { tr { th { "When" } th { "Who" } th { "What" } } }
                    tbody {
                        @for edit in edits.iter().take(EDITS) {
                            tr { td { (parts::moment(edit.at)) } td { (shown::shown(&edit.who)) } td { (shown::shown(&describe_edit(edit))) } }
                        }
                    }
                }
            }
        }
    }
}
