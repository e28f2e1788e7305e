//! Stores × days: what each store of a job has reported on each day.

use std::collections::BTreeMap;

use gristmill_state::Report;
use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use super::super::address::of_file;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview::{Fate, by_store_and_day, moments};
use crate::preconditions::JobPlan;
use crate::shown;

/// How many stores and days stand on one page.
const STORES: u32 = 50;
const DAYS: i64 = 14;

/// Returns the colour and the sign of what a store has reported on a day.
pub(super) fn sign(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::OnTime => ("good", "✓"),
        Fate::Late => ("warn", "L"),
        Fate::Corrected => ("busy", "C"),
        Fate::Held => ("warn", "H"),
        Fate::Rejected => ("bad", "R"),
        Fate::Withdrawn => ("calm", "W"),
        Fate::Missing => ("bad", "✗"),
        Fate::NotYet => ("calm", "·"),
    }
}

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let (desk, ask) = (look.desk, look.ask);
    let state = desk.state().await?;
    let known = desk.jobs().await?;
    let chosen = ask
        .text("job")
        .or_else(|| known.jobs().next().map(|job| job.config.id.clone()));
    let Some(job) = chosen else {
        return Ok(titled(vec![Part::Fixed(html! {
            p.empty { "There is no job yet: add a " code { "[[job]]" } " table to the settings file." }
        })]));
    };
    let names: Vec<_> = known.jobs().map(|job| job.config.id.clone()).collect();
    let unknown = || Problem::NotFound(format!("there is no job {}", shown::path(&job)));
    let plan = known.job(&job).ok_or_else(unknown)?.plan();
    let plan = plan.map_err(|error| Problem::Conflict(format!("job {job}: {error}")))?;
    let today = desk.now().to_zoned(plan.time_zone.clone()).date();
    let last = ask.date("to")?.unwrap_or(today);
    let first = last.saturating_sub((DAYS - 1).days());
    let number = ask.number("page", 1, 1_000_000)?.max(1);
    let offset = (number - 1).saturating_mul(STORES);
    let mut stores = match plan.stores.is_empty() {
        true => state.stores_of_job(&job, offset, STORES + 1).await?,
        false => {
            let listed = plan.stores.iter().skip(offset as usize).take(STORES as usize + 1);
            listed.cloned().collect()
        }
    };
    let has_more = stores.len() > STORES as usize;
    stores.truncate(STORES as usize);
    let span = moments(plan, (first, last))?;
    let reports = state.reports(&job, &stores, (first, last), span).await?;
    let cells = by_cell(&reports, plan);
    let days: Vec<_> = (0..DAYS).map(|day| first.saturating_add(day.days())).collect();
    let has_begun = days.iter().any(|day| {
        stores
            .iter()
            .any(|store| cells.contains_key(&(store.as_str(), *day)))
    });
    let matrix = html! {
        @if stores.is_empty() && number > 1 {
            (parts::beyond(number, ask.with("/stores", "page", "")))
        } @else if stores.is_empty() {
            p.empty { "No store has sent a file to this job so far. If the names of its files say the store, write " code { "{store}" } " in its pattern." }
        } @else {
            div.scroll role="region" aria-label="Stores and days" tabindex="0" {
                table.matrix {
                    thead { tr { th { "Store" } @for day in &days { th title=(day) { (day.strftime("%d").to_string()) br; span.dim { (day.strftime("%b").to_string()) } } } } }
                    tbody {
                        @for store in &stores {
                            tr {
                                th scope="row" { (parts::store(store)) }
                                @for day in &days { td { (cell(&cells, store, *day, today, has_begun)) } }
                            }
                        }
                    }
                }
            }
            (parts::pager(
                (number > 1).then(|| ask.with("/stores", "page", &(number - 1).to_string())),
                has_more.then(|| ask.with("/stores", "page", &(number + 1).to_string())),
            ))
        }
    };
    let earlier = ask.with("/stores", "to", &first.saturating_sub(1.day()).to_string());
    let later = (last < today).then(|| {
        ask.with(
            "/stores",
            "to",
            &last.saturating_add(DAYS.days()).min(today).to_string(),
        )
    });
    Ok(titled(vec![
        Part::Fixed(choice(&job, &names)),
        Part::Fixed(html! {
            p.legend {
                @for fate in [Fate::OnTime, Fate::Late, Fate::Corrected, Fate::Held, Fate::Rejected, Fate::Withdrawn, Fate::Missing] {
                    @let (tone, sign) = sign(fate);
                    span class={ "cell " (tone) } aria-hidden="true" { (sign) } " " (fate.words()) " "
                }
            }
            p.dim {
                @if plan.files.is_dated() { "Days are those in the files’ names." } @else { "Days are those on which files came, in the job’s time zone." }
                @if plan.deadline.is_none() { " The job has no deadline, so nothing is late." }
            }
            nav.pager aria-label="Days" { a href=(earlier) { "← Earlier days" } @if let Some(later) = later { a href=(later) { "Later days →" } } }
        }),
        Part::Live("matrix", matrix),
    ]))
}

fn titled(parts: Vec<Part>) -> Page {
    Page {
        title: "Stores × days".to_owned(),
        section: "/stores",
        parts,
    }
}

fn choice(job: &str, names: &[String]) -> Markup {
    html! {
        form.filters method="get" action="/stores" {
            span { label for="job" { "Job" }
                @if names.len() <= 100 {
                    select id="job" name="job" { @for name in names { option value=(name) selected[name == job] { (shown::path(name)) } } }
                } @else {
                    input id="job" name="job" value=(job);
                }
            }
            button type="submit" { "Show" }
        }
    }
}

type Cells<'r> = BTreeMap<(&'r str, Date), (Fate, &'r str)>;

/// Sums up what was reported by store and day, each with the file that was sent last.
fn by_cell<'r>(reports: &'r [Report], plan: &JobPlan) -> Cells<'r> {
    let of_day = by_store_and_day(reports, plan).into_iter();
    let cells = of_day.filter_map(|((store, day), reports)| {
        let last = reports.last()?;
        Some((
            (store, day),
            (Fate::of(&reports, plan, day), last.file_url.as_str()),
        ))
    });
    cells.collect()
}

fn cell(cells: &Cells<'_>, store: &str, day: Date, today: Date, has_begun: bool) -> Markup {
    match cells.get(&(store, day)) {
        Some((fate, file)) => {
            let ((tone, sign), word) = (sign(*fate), fate.words());
            html! { a class={ "cell " (tone) } href=(of_file(file)) title={ (word) ": " (shown::path(file)) } aria-label={ "store " (store) ", " (day) ": " (word) } { (sign) } }
        }
        None => {
            // A day on which no store reported is one of rest, or from before the first.
            let is_day_of_some = cells.keys().any(|(_, some)| *some == day);
            let fate = match day < today && has_begun && is_day_of_some {
                true => Fate::Missing,
                false => Fate::NotYet,
            };
            let ((tone, sign), word) = (sign(fate), fate.words());
            html! { span class={ "cell " (tone) } title=(word) role="img" aria-label={ "store " (store) ", " (day) ": " (word) } { (sign) } }
        }
    }
}
