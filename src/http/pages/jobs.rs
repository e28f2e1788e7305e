//! Jobs: their configuration at a glance, and where each stands.

use maud::html;

use super::super::address::of_job;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::shown;

/// How many jobs stand on one page.
const AT_ONCE: usize = 200;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let state = look.desk.state().await?;
    let known = look.desk.jobs().await?;
    let number = look.ask.number("page", 1, 100_000)?.max(1) as usize;
    let text = look.ask.get("q").unwrap_or_default().to_lowercase();
    let mut jobs = state.jobs().await?;
    jobs.retain(|job| job.config.id.to_lowercase().contains(&text));
    let from = (number - 1) * AT_ONCE;
    let before = (number > 1).then(|| look.ask.with("/jobs", "page", &(number - 1).to_string()));
    let after =
        (from + AT_ONCE < jobs.len()).then(|| look.ask.with("/jobs", "page", &(number + 1).to_string()));
    let list = html! {
        @if number > 1 && from >= jobs.len() {
            (parts::beyond(number, look.ask.with("/jobs", "page", "")))
        } @else if jobs.is_empty() {
            p.empty { "No job is like that. A " code { "[[job]]" } " table in the settings file adds one at the next start." }
        } @else {
            div.scroll role="region" aria-label="Jobs" tabindex="0" {
                table {
                    thead { tr { th { "Job" } th { "Feed" } th { "Files" } th.num { "At least" } th { "Trigger" } th { "Last run" } th { "Began" } } }
                    tbody {
                        @for job in jobs.iter().skip(from).take(AT_ONCE) {
                            tr {
                                td {
                                    a href=(of_job(&job.config.id)) { (shown::path(&job.config.id)) }
                                    @if !job.config.enabled { " " (parts::chip("calm", "paused")) }
                                    @if let Some(Err(error)) = known.job(&job.config.id).map(|known| known.plan()) {
                                        br; span.reason { (shown::shown(&error.to_string())) }
                                    }
                                }
                                td { (job.config.feed) }
                                td { code { (shown::path(&job.config.files)) } }
                                td.num { (job.config.min_files) }
                                td { (job.config.trigger) }
                                td {
                                    @match &job.last_run_id { Some(run) => (parts::run(run)), None => "none so far" }
                                    @if let Some(status) = job.last_exec_status {
                                        @let tone = match status.as_str() { "COMPLETED" => "good", "FAILED" => "bad", _ => "busy" };
                                        " " (parts::chip(tone, status.as_str()))
                                    }
                                }
                                td { (parts::moment_or_dash(job.last_run)) }
                            }
                        }
                    }
                }
            }
            (parts::pager(before, after))
        }
    };
    let search = html! {
        form.filters method="get" action="/jobs" role="search" {
            span { label for="q" { "Job" } input id="q" type="search" name="q" value=(look.ask.get("q").unwrap_or_default()); }
            button type="submit" { "Show" }
        }
    };
    Ok(Page {
        title: "Jobs".to_owned(),
        section: "/jobs",
        parts: vec![Part::Fixed(search), Part::Live("jobs", list)],
    })
}
