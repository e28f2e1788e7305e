//! Stores × days: what each store of a job has reported on each day.

use std::collections::BTreeMap;

use gristmill_state::{Outcome, Report};
use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use super::super::ask::{address, of_file};
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::preconditions::JobPlan;
use crate::shown;

/// How many stores and days stand on one page.
const STORES: u32 = 50;
const DAYS: i64 = 14;

/// What a store has reported on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    OnTime,
    Late,
    Corrected,
    Held,
    Rejected,
    Withdrawn,
    Missing,
    NotYet,
}

impl Cell {
    /// Returns its colour, its sign and its word.
    fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::OnTime => ("good", "✓", "on time"),
            Self::Late => ("warn", "L", "late"),
            Self::Corrected => ("busy", "C", "corrected"),
            Self::Held => ("warn", "H", "held"),
            Self::Rejected => ("bad", "R", "rejected"),
            Self::Withdrawn => ("calm", "W", "withdrawn"),
            Self::Missing => ("bad", "✗", "missing"),
            Self::NotYet => ("calm", "·", "not yet"),
        }
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
    let begin = |day: Date| {
        let zoned = day.to_zoned(plan.time_zone.clone());
        zoned.map(|zoned| zoned.timestamp()).map_err(anyhow::Error::from)
    };
    let span = (begin(first)?, begin(last.saturating_add(1.day()))?);
    let reports = state.reports(&job, &stores, (first, last), span).await?;
    let cells = by_cell(&reports, plan);
    let days: Vec<_> = (0..DAYS).map(|day| first.saturating_add(day.days())).collect();
    let has_begun = days.iter().any(|day| {
        stores
            .iter()
            .any(|store| cells.contains_key(&(store.as_str(), *day)))
    });
    let matrix = html! {
        @if stores.is_empty() {
            p.empty { "No store has sent a file to this job so far. If the names of its files say the store, write " code { "{store}" } " in its pattern." }
        } @else {
            div.scroll role="region" aria-label="Stores and days" tabindex="0" {
                table.matrix {
                    thead { tr { th { "Store" } @for day in &days { th title=(day) { (day.strftime("%d").to_string()) br; span.dim { (day.strftime("%b").to_string()) } } } } }
                    tbody {
                        @for store in &stores {
                            tr {
                                th scope="row" { a href=(address("/files", &[("job", &job), ("store", store)])) { (shown::path(store)) } }
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
                @for kind in [Cell::OnTime, Cell::Late, Cell::Corrected, Cell::Held, Cell::Rejected, Cell::Withdrawn, Cell::Missing] {
                    @let (tone, sign, word) = kind.shown();
                    span class={ "cell " (tone) } aria-hidden="true" { (sign) } " " (word) " "
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

type Cells<'r> = BTreeMap<(&'r str, Date), (Cell, &'r str)>;

/// Sums up what was reported by store and day, each with the file that was sent last.
fn by_cell<'r>(reports: &'r [Report], plan: &JobPlan) -> Cells<'r> {
    let mut of_day: BTreeMap<(&str, Date), Vec<&Report>> = BTreeMap::new();
    for report in reports {
        let came = report.submitted.to_zoned(plan.time_zone.clone()).date();
        let day = report.wave.unwrap_or(came);
        of_day.entry((&report.store_id, day)).or_default().push(report);
    }
    let cells = of_day.into_iter().filter_map(|((store, day), reports)| {
        let last = reports.last()?;
        Some(((store, day), (kind(&reports, plan, day), last.file_url.as_str())))
    });
    cells.collect()
}

fn kind(reports: &[&Report], plan: &JobPlan, day: Date) -> Cell {
    let valid = |report: &&&Report| {
        matches!(
            report.outcome,
            Outcome::Validated | Outcome::Unchanged | Outcome::Accepted
        )
    };
    match reports.last().map(|report| report.outcome) {
        Some(Outcome::Held) => return Cell::Held,
        Some(Outcome::Rejected | Outcome::Failed) => return Cell::Rejected,
        Some(Outcome::Withdrawn) => return Cell::Withdrawn,
        _ => {}
    }
    let deadline = plan
        .deadline
        .and_then(|time| day.to_datetime(time).to_zoned(plan.time_zone.clone()).ok());
    let first = reports.iter().find(valid);
    if let (Some(deadline), Some(first)) = (deadline, first)
        && first.submitted > deadline.timestamp()
    {
        return Cell::Late;
    }
    let new_bytes = reports
        .iter()
        .filter(|report| report.outcome == Outcome::Validated);
    match new_bytes.count() {
        0 | 1 => Cell::OnTime,
        _ => Cell::Corrected,
    }
}

fn cell(cells: &Cells<'_>, store: &str, day: Date, today: Date, has_begun: bool) -> Markup {
    match cells.get(&(store, day)) {
        Some((kind, file)) => {
            let (tone, sign, word) = kind.shown();
            html! { a class={ "cell " (tone) } href=(of_file(file)) title={ (word) ": " (shown::path(file)) } aria-label={ "store " (store) ", " (day) ": " (word) } { (sign) } }
        }
        None => {
            // A day on which no store reported is one of rest, or from before the first.
            let is_day_of_some = cells.keys().any(|(_, some)| *some == day);
            let kind = match day < today && has_begun && is_day_of_some {
                true => Cell::Missing,
                false => Cell::NotYet,
            };
            let (tone, sign, word) = kind.shown();
            html! { span class={ "cell " (tone) } title=(word) role="img" aria-label={ "store " (store) ", " (day) ": " (word) } { (sign) } }
        }
    }
}
