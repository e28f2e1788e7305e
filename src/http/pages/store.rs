//! One store: when its files came, which of its days count, which lines could not be read, what is held, and its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use gristmill_state::{FileOfStore, FileStatus, Standing, StoreDay};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::super::address::{address, of_file, of_job};
use super::super::ask::Ask;
use super::super::desk::Desk;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::stores::sign;
use super::{Look, download};
use crate::overview::{Depth, Fate, Punctuality, StoreReport, beside_usual, store_report, time_of_day};
use crate::report::{self, Form};
use crate::shown;

/// How many days stand on one page, and on none more.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;

/// How many files stand on one page.
const FILES: u32 = 50;

/// How much of the rejects is read for a page.
const DEPTH: Depth = Depth {
    files: 20,
    lines: 1_000,
};

/// How many lines of each reason are shown.
const LINES: usize = 5;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let (desk, ask) = (look.desk, look.ask);
    let Some(store) = ask.get("store") else {
        return Ok(Page {
            title: "Store".to_owned(),
            section: "/stores",
            parts: vec![Part::Fixed(html! {
                (choice(""))
                p.empty { "Name a store: this page shows when its files came, which of its days count, and what could not be read. "
                    a href="/stores" { "Stores × days" } " lists them." }
            })],
        });
    };
    let state = desk.state().await?;
    let span = span(desk, ask)?;
    let report = report_of(desk, store, span, DEPTH).await?;
    let number = ask.number("page", 1, 1_000_000)?.max(1);
    let offset = (number - 1).saturating_mul(FILES);
    let mut files = state.files_of_store(store, None, (offset, FILES + 1)).await?;
    let has_more = files.len() > FILES as usize;
    files.truncate(FILES as usize);
    let pager = parts::pager(
        (number > 1).then(|| ask.with("/store", "page", &(number - 1).to_string())),
        has_more.then(|| ask.with("/store", "page", &(number + 1).to_string())),
    );
    let counts = state.status_counts_of_store(store).await?;
    Ok(Page {
        title: format!("Store {}", shown::path(store)),
        section: "/stores",
        parts: vec![
            Part::Fixed(choice(store)),
            Part::Live("held", held(look, &report, &counts)),
            Part::Fixed(sending(ask, store, span)),
            Part::Live("punctuality", punctual(&report)),
            Part::Live("coverage", coverage(&report)),
            Part::Live("reasons", reasons(&report)),
            Part::Live("files", html! { (files_table(&files)) (pager) }),
        ],
    })
}

/// Returns the days that the address asks for: the newest ones unless it says otherwise.
fn span(desk: &Desk, ask: &Ask) -> Result<(Date, Date), Problem> {
    let today = desk.now().to_zoned(TimeZone::UTC).date();
    let last = ask.date("to")?.unwrap_or(today);
    let first = ask
        .date("since")?
        .unwrap_or_else(|| last.saturating_sub((DAYS - 1).days()));
    let longest = last.saturating_sub((MOST_DAYS - 1).days());
    match first {
        _ if first > last => Err(Problem::Bad(format!("since = {first} is after {last}"))),
        _ => Ok((first.max(longest), last)),
    }
}

pub(in crate::http) async fn report_of(
    desk: &Desk,
    store: &str,
    span: (Date, Date),
    depth: Depth,
) -> Result<StoreReport, Problem> {
    let (state, jobs) = (desk.state().await?, desk.jobs().await?);
    let depth = (depth, desk.now());
    Ok(store_report(&desk.settings, (state, &jobs), store, span, depth).await?)
}

/// Tells of a store for a program.
pub(in crate::http) async fn report_for(desk: &Desk, ask: &Ask) -> Result<StoreReport, Problem> {
    report_of(desk, ask.needed("store")?, span(desk, ask)?, report::DEPTH).await
}

/// The report to send to the store, as a file.
pub(in crate::http) async fn report_file(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Response {
    match file(&desk, &name, &uri).await {
        Ok(response) => response,
        Err(problem) => problem.page(),
    }
}

async fn file(desk: &Desk, name: &str, uri: &Uri) -> Result<Response, Problem> {
    let form = match name {
        "report.html" => Form::Html,
        "report.csv" => Form::Csv,
        _ => return Err(Problem::NotFound("there is no page at this address".to_owned())),
    };
    let report = report_for(desk, &Ask::of(uri)?).await?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let store: String = report
        .store
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let name = format!("store-{store}-{}.{}", report.first, form.extension());
    Ok(download(form.media_type(), &name, form.of(&report)))
}

fn choice(store: &str) -> Markup {
    html! {
        form.filters method="get" action="/store" role="search" {
            span { label for="store" { "Store" } input id="store" name="store" value=(store) required; }
            button type="submit" { "Show" }
        }
    }
}

/// What is held of it, and how its files stand.
fn held(look: &Look<'_>, report: &StoreReport, counts: &[(FileStatus, u64)]) -> Markup {
    let total: u64 = counts.iter().map(|(_, files)| files).sum();
    let of_status = |status: FileStatus| {
        let word = status.as_str().to_lowercase();
        address("/files", &[("store", report.store.as_str()), ("status", &word)])
    };
    html! {
        @if total == 0 {
            p.empty {
                "No file of this store has come so far: no name of a file says it, and no line is of it. Files say their store where "
                code { "{store}" } " stands in the pattern of their feed or job."
            }
        } @else {
            p.counts {
                (parts::number(total)) @if total == 1 { " file" } @else { " files" }
                @for (status, files) in counts.iter().filter(|(status, _)| *status != FileStatus::Validated) {
                    " · " a href=(of_status(*status)) { (parts::number(*files)) " " (status) }
                }
            }
        }
        @if !report.held.is_empty() {
            section.needs aria-label="Held" {
                h2 { "Held: it does not count before somebody decides" }
                (parts::held(&report.held, look.viewer))
            }
        }
    }
}

/// The ways to send this to the store, and to other days.
fn sending(ask: &Ask, store: &str, (first, last): (Date, Date)) -> Markup {
    let since = first.to_string();
    let to = last.to_string();
    let query = [("store", store), ("since", since.as_str()), ("to", to.as_str())];
    let earlier = first.saturating_sub(1.day()).to_string();
    html! {
        p {
            "From " (first) " to " (last) ". Report to send to the store: "
            a href=(address("/store/report.html", &query)) { "HTML" } ", "
            a href=(address("/store/report.csv", &query)) { "CSV" } "."
        }
        nav.pager aria-label="Days" {
            a href=(address("/store", &[("store", store), ("to", &earlier)])) { "← Earlier days" }
            @if ask.get("to").is_some() { a href=(address("/store", &[("store", store)])) { "The newest days →" } }
        }
    }
}

fn punctual(report: &StoreReport) -> Markup {
    html! {
        h2 { "When its files came" }
        @if report.punctuality.is_empty() { p.empty { "No job takes files with this store in their names, so none is expected." } }
        @for of_job in &report.punctuality { (of_one_job(of_job)) }
    }
}

fn of_one_job(of: &Punctuality) -> Markup {
    let counted = |fate| of.days.iter().filter(|day| day.fate == fate).count();
    let fates = [Fate::Missing, Fate::Late, Fate::Rejected, Fate::Held];
    html! {
        p {
            "Job " a href=(of_job(&of.job)) { (shown::path(&of.job)) } ": "
            @match of.usual_minutes {
                Some(usual) => { "its first file usually comes at " (time_of_day(usual)) },
                None => "too few days to know its usual time",
            }
            @if let Some(deadline) = of.deadline { ", and is late after " (deadline.strftime("%H:%M").to_string()) }
            " (" (of.time_zone.as_deref().unwrap_or("the job’s time zone")) "; days are "
            @if of.is_by_name { "those in the files’ names" } @else { "those on which files came" } "). "
            @for fate in fates {
                @let days = counted(fate);
                @if days > 0 { (parts::chip(sign(fate).0, fate.words())) " " (days) " " }
            }
        }
        @if of.days.is_empty() { p.empty { "Nothing was expected on these days." } }
        @else {
            div.scroll role="region" aria-label={ "When files came for job " (shown::path(&of.job)) } tabindex="0" {
                table {
                    thead { tr { th { "Day" } th { "What became of it" } th { "First file" } th { "Beside the usual time" } th { "Newest file" } } }
                    tbody {
                        @for day in &of.days {
                            tr {
                                td { (day.day) }
                                td { (parts::chip(sign(day.fate).0, day.fate.words())) }
                                td { (shown::or_dash(day.minutes.map(time_of_day))) }
                                td { @match (day.minutes, of.usual_minutes) { (Some(at), Some(usual)) => (beside_usual(at, usual)), _ => "–" } }
                                td { @match &day.file { Some(file) => (parts::file(file)), None => "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What counts of each business day.
fn coverage(report: &StoreReport) -> Markup {
    let mut by_day: BTreeMap<Date, Vec<&StoreDay>> = BTreeMap::new();
    for day in &report.days {
        by_day.entry(day.trans_date).or_default().push(day);
    }
    html! {
        h2 { "What its days hold" }
        @if by_day.is_empty() { p.empty { "No file holds a line of these days." } }
        @else {
            div.scroll role="region" aria-label="What its days hold" tabindex="0" {
                table {
                    thead { tr { th { "Day" } th.num { "Lines that count" } th { "Files" } } }
                    tbody {
                        @for (date, days) in by_day.iter().rev() {
                            @let counting: Vec<_> = days.iter().filter(|day| counts(day)).collect();
                            tr {
                                td { (date) }
                                td.num { (match counting.is_empty() {
                                    true => "none".to_owned(),
                                    false => shown::or_dash(counting.iter().map(|day| day.lines).sum::<Option<u64>>().map(parts::number)),
                                }) }
                                td {
                                    @for day in days {
                                        a.path href=(of_file(&day.file_url)) { (shown::path(&day.file_url)) }
                                        @if !counts(day) { " " (parts::chip("warn", standing(day.standing))) }
                                        @if let Some(reason) = &day.reason { " " span.dim { (shown::shown(reason)) } }
                                        br;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn counts(day: &StoreDay) -> bool {
    matches!(day.standing, Standing::Stands | Standing::Counts)
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Stands | Standing::Counts => "counts",
        Standing::Held => "held",
        Standing::Withdrawn => "withdrawn",
        Standing::Replaced => "replaced by another file",
    }
}

fn reasons(report: &StoreReport) -> Markup {
    let shared = report
        .files
        .iter()
        .filter(|file| file.is_shared && file.rejects > 0)
        .count();
    html! {
        h2 { "Lines that could not be read" }
        @if report.reasons.is_empty() { p.empty { "Every line of its files of these days could be read." } }
        @for of_reason in &report.reasons {
            details {
                summary { (parts::chip("bad", &parts::number(of_reason.lines.len() as u64))) " " (shown::shown(&of_reason.reason)) }
                p { "For the store: " (of_reason.advice) }
                div.scroll role="region" aria-label={ "Lines: " (shown::shown(&of_reason.reason)) } tabindex="0" {
                    table {
                        thead { tr { th { "File" } th.num { "Line" } th { "Text" } } }
                        tbody {
                            @for line in of_reason.lines.iter().take(LINES) {
                                tr { td { (parts::file(&line.file)) } td.num { (line.line_number) } td { code { (parts::shortened(&line.text)) } } }
                            }
                        }
                    }
                }
                @if of_reason.lines.len() > LINES { p.dim { "The first " (LINES) " are shown; the report and each file’s page have more." } }
            }
        }
        @if report.is_cut { p.dim { "Only the newest files, and the first lines of each, are counted here; the report has more." } }
        @if shared > 0 { p.dim { (shared) " files with lines that could not be read may hold those of other stores, and are not counted here." } }
    }
}

fn files_table(files: &[FileOfStore]) -> Markup {
    html! {
        h2 { "Its files" }
        @if files.is_empty() { p.empty { "None so far." } }
        @else {
            div.scroll role="region" aria-label="Files" tabindex="0" {
                table {
                    thead { tr { th { "File" } th { "Status" } th { "Submitted" } th.num { "Lines" } th.num { "Rows" } th.num { "Rejects" } } }
                    tbody {
                        @for of_store in files {
                            @let file = &of_store.file;
                            @let version = file.newest_version().or(file.in_force.as_ref()).map(|row| &row.version);
                            tr {
                                td {
                                    (parts::file(&file.file_url))
                                    @if of_store.is_shared { " " (parts::chip("calm", "of several stores")) }
                                    @if let Some(error) = &file.last_error { br; span.dim { (shown::shown(error)) } }
                                }
                                td { (parts::status(file.status)) }
                                td { (parts::moment(file.submitted)) }
                                td.num { (shown::or_dash(version.map(|version| parts::number(version.lines)))) }
                                td.num { (shown::or_dash(version.map(|version| parts::number(version.rows)))) }
                                td.num { (shown::or_dash(version.map(|version| parts::number(version.rejects)))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
