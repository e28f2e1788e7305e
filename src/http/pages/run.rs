//! One run: its steps in time, what it read, and what it changed.

use gristmill_state::{InputFile, RunRow, RunState, StateError};
use maud::{Markup, html};

use super::super::address::{of_job, of_run};
use super::super::charts;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview::took;
use crate::shown;

/// How many inputs are listed.
const LISTED: usize = 500;

pub(super) async fn page(look: &Look<'_>, run_id: &str) -> Result<Page, Problem> {
    let state = look.desk.state().await?;
    let unknown = || StateError::UnknownRun {
        run_id: run_id.to_owned(),
    };
    let run = state.run(run_id).await?.ok_or_else(unknown)?;
    let inputs = state.run_inputs(run_id).await?;
    let waiting = state.waiting().await?;
    let waits = waiting.iter().find(|waits| waits.subject == run_id);
    let head = html! {
        p {
            (parts::run_state(&run)) " " (parts::changes(&run))
            @if let Some(error) = &run.error { br; span.reason { (shown::shown(error)) } }
            @if let Some(waits) = waits { br; span.reason { "waits since " (parts::ago(waits.since)) ": " (shown::shown(&waits.reason)) } }
        }
        dl {
            dt { "Job" } dd { a href=(of_job(&run.job_id)) { (shown::path(&run.job_id)) } @if let Some(wave) = run.wave { ", the wave of " (wave) } }
            dt { "Cause" } dd { (run.cause) }
            dt { "Complete" } dd { (shown::or_dash(run.completeness_percent.map(crate::preconditions::percent))) }
            dt { "Took" } dd { (shown::or_dash(took(&run).map(shown::duration))) @if run.attempts > 1 { ", at attempt " (run.attempts) } }
            @if let Some(outcome) = run.outcome { dt { "Outcome" } dd { (outcome) } }
            @if let Some(operation) = &run.cluster_operation { dt { "On the cluster" } dd { code { (shown::shown(operation)) } } }
        }
        @if run.state == RunState::Failed {
            (parts::action(look.viewer, "retry", &[("name", run_id)], "Retry it", look.here))
        }
        (charts::steps(&run, inputs.iter().map(|input| input.submitted).max()))
    };
    Ok(Page {
        title: format!("Run {run_id}"),
        section: "/runs",
        parts: vec![
            Part::Live("run", head),
            Part::Live("rows", rows(&run)),
            Part::Live("inputs", inputs_table(&inputs)),
        ],
    })
}

/// The rows of the summary, and what became of them: the counts must balance.
fn rows(run: &RunRow) -> Markup {
    let (Some(summary), Some(changes)) = (&run.summary, &run.changes) else {
        return html! {};
    };
    let written = changes.inserted + changes.updated + changes.unchanged;
    html! {
        h2 { "Rows" }
        p {
            (parts::number(summary.rows)) " rows of the summary = "
            (parts::number(changes.inserted)) " inserted + " (parts::number(changes.updated)) " updated + "
            (parts::number(changes.unchanged)) " unchanged "
            @if written == summary.rows { (parts::chip("good", "balances")) } @else { (parts::chip("bad", "does not balance")) }
            @if changes.deleted > 0 { "; " (parts::number(changes.deleted)) " deleted that its files no longer have" }
        }
        @if changes.inserted + changes.updated + changes.deleted > 0 {
            p { a href={ (of_run(&run.run_id)) "/rows" } { "Which rows changed, and by which file" } }
        }
    }
}

/// The versions that it read.
fn inputs_table(inputs: &[InputFile]) -> Markup {
    let sum = |of: fn(&InputFile) -> u64| parts::number(inputs.iter().map(of).sum());
    html! {
        h2 { "Inputs" }
        @if inputs.is_empty() { p.empty { "It read no file." } }
        @else {
            div.scroll role="region" aria-label="Inputs" tabindex="0" {
                table {
                    thead { tr {
                        th { "File" } th { "Version" } th { "Submitted" } (parts::counts_head()) th { "Days" }
                    } }
                    tbody {
                        @for input in inputs.iter().take(LISTED) {
                            @let version = &input.version;
                            tr {
                                td { (parts::file(&input.file_url)) }
                                td { (parts::hash(version)) }
                                td { (parts::moment(input.submitted)) }
                                (parts::counts(version))
                                td {
                                    @if input.days.is_all() { "all" }
                                    @else if input.days.is_unread() { "none: emptied or left out" }
                                    @else { (input.days.named.len()) " days apart from the rest" }
                                }
                            }
                        }
                    }
                    tfoot { tr {
                        th { (inputs.len()) " versions" } td {} td {}
                        td.num { (sum(|input| input.version.lines)) } td.num { (sum(|input| input.version.rows)) }
                        td.num { (sum(|input| input.version.ignored)) } td.num { (sum(|input| input.version.skipped)) }
                        td.num { (sum(|input| input.version.rejects)) }
                        td { @if inputs.iter().all(|input| parts::balances(&input.version)) { "yes" } @else { (parts::chip("bad", "no")) } } td {}
                    } }
                }
            }
            @if inputs.len() > LISTED { p.dim { "The first " (LISTED) " are listed." } }
        }
    }
}
