//! The story of one file: what it is now, what is held or rejected of it, and everything that came of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use gristmill_engine::Reject;
use gristmill_state::{FileRow, FileStatus, InterventionRow, Outcome, SubmissionRow, VersionRow};
use maud::{Markup, html};

use super::super::address::{address, of_job};
use super::super::ask::Ask;
use super::super::desk::Desk;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::{Look, download};
use crate::csv::push_row;
use crate::overview::{self, Held};
use crate::shown;

/// How many rejects stand on the page.
const REJECTS: usize = 100;

/// How many rejects a download has at most.
const DOWNLOADED: usize = 1_000_000;

/// How many submissions, decisions and runs are listed.
const LISTED: u32 = 50;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let path = look.ask.needed("path")?;
    let state = look.desk.state().await?;
    let file = state.file(path).await?;
    let file = file.ok_or_else(|| {
        Problem::NotFound(format!(
            "there is no file {}: it may have been renamed",
            shown::path(path)
        ))
    })?;
    let versions = state.versions_of(path).await?;
    let submissions = state.submissions_of(path, LISTED).await?;
    let decisions = state.interventions_of(path, LISTED).await?;
    let runs = state.runs_of_file(path, LISTED).await?;
    let held = state
        .held()
        .await?
        .into_iter()
        .filter(|held| held.file_url == path);
    let held: Vec<_> = held.map(Held::new).collect();
    let (taking, store) = look.desk.jobs().await?.taking(&file);
    let head = html! {
        p {
            (parts::status(file.status)) " since " (parts::ago(file.updated))
            @if let Some(error) = &file.last_error { br; span.reason { (shown::shown(error)) } }
            @if let Some(note) = &file.last_note { br; span.dim { (shown::shown(note)) } }
        }
        dl {
            dt { "Feed" } dd { (file.feed) }
            dt { "Store" } dd { @match store.as_deref().or(file.store_id.as_deref()) { Some(store) => (parts::store(store)), None => "none in its name" } }
            @if let Some(day) = file.business_date { dt { "Day" } dd { (day) } }
            dt { "Jobs" } dd {
                @if taking.is_empty() { "none takes it" }
                @for job in &taking { a href=(of_job(job)) { (shown::path(job)) } " " }
            }
        }
        @if !held.is_empty() {
            section.needs aria-label="Held" {
                h2 { "Held: it does not count before somebody decides" }
                (parts::held(&held, look.viewer))
                (parts::action(look.viewer, "accept", &[("file", path)], "Accept", look.here)) " "
                (parts::action(look.viewer, "accept", &[("file", path), ("add", "true")], "Accept, and add to what stands", look.here))
            }
        }
        (decide(look, &file))
    };
    let compared = compared(look, &file, &versions).await?;
    Ok(Page {
        title: shown::path(path),
        section: "/files",
        parts: vec![
            Part::Live("state", head),
            Part::Live("versions", versions_table(&file, &versions)),
            Part::Fixed(compared),
            Part::Live("rejects", rejects(look, &file).await),
            Part::Live("submissions", history(&submissions, &decisions)),
            Part::Live(
                "runs",
                html! { h2 { "Runs that read it" } (parts::runs(&runs, "No run has read it.", true)) },
            ),
        ],
    })
}

/// The ways to take a file out, or to read it again.
fn decide(look: &Look<'_>, file: &FileRow) -> Markup {
    let path = file.file_url.as_str();
    let can_withdraw = file.in_force.is_some() || file.status == FileStatus::Held;
    html! {
        @if look.viewer.can_sign_in {
            div.actions {
                (parts::action(look.viewer, "retry", &[("name", path)], "Read again", look.here))
                @if can_withdraw {
                    details {
                        summary { "Withdraw…" }
                        form.stack method="post" action="/act/withdraw" {
                            input type="hidden" name="next" value=(look.here);
                            input type="hidden" name="file" value=(path);
                            p { "The next run of its job covers its days without its rows, so the warehouse loses them, unless another file has them." }
                            label { "Only this day " input name="day" placeholder="2016-06-01" size="12" pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"; }
                            label { input type="checkbox" name="keep_rows" value="true"; " Keep its rows: the store has closed, and what it reported is right" }
                            button type="submit" { "Withdraw it" }
                        }
                    }
                }
            }
        }
    }
}

/// The versions, newest first, with counts that must balance.
fn versions_table(file: &FileRow, versions: &[VersionRow]) -> Markup {
    let in_force = file.in_force.as_ref().map(|row| row.version_id);
    html! {
        h2 { "Versions" }
        @if versions.is_empty() { p.empty { "No submission of it could be read so far." } }
        @else {
            div.scroll role="region" aria-label="Versions" tabindex="0" {
                table {
                    thead { tr {
                        th { "Version" } th { "Converted" } th.num { "Bytes" } (parts::counts_head()) th { "Days" }
                    } }
                    tbody {
                        @for (number, row) in versions.iter().enumerate() {
                            @let version = &row.version;
                            tr {
                                td {
                                    (parts::hash(version))
                                    @if in_force == Some(row.version_id) { " " (parts::chip("good", "in force")) }
                                    @if let Some(before) = versions.get(number + 1) {
                                        @let (from, to) = (before.version_id.to_string(), row.version_id.to_string());
                                        br; a href=(address("/file", &[("path", &file.file_url), ("from", &from), ("to", &to)])) { "what changed" }
                                    }
                                    @if let Some(reason) = &version.rejected_because { br; span.reason { "rejected: " (shown::shown(reason)) } }
                                }
                                td { (parts::moment(row.created)) }
                                td.num { (parts::number(version.bytes)) }
                                (parts::counts(version))
                                td { @match (version.first_date, version.last_date) {
                                    (Some(first), Some(last)) if first == last => { (first) },
                                    (Some(first), Some(last)) => { (first) " to " (last) },
                                    _ => "–",
                                } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What changed between two versions, if the address names them: the rows and sums by day.
async fn compared(look: &Look<'_>, file: &FileRow, versions: &[VersionRow]) -> Result<Markup, Problem> {
    let of = |key| {
        let id: Option<i64> = look.ask.get(key)?.parse().ok();
        versions.iter().find(|row| Some(row.version_id) == id)
    };
    let (Some(from), Some(to)) = (of("from"), of("to")) else {
        return Ok(html! {});
    };
    let state = look.desk.state().await?;
    let found = overview::between(&look.desk.settings, state, &file.feed, (from, to)).await;
    let short = |row: &VersionRow| row.version.content_hash.get(..16).unwrap_or_default().to_owned();
    Ok(html! {
        h2 { "From version " code { (short(from)) } " to " code { (short(to)) } }
        @match found {
            Err(error) => p.problem { (shown::shown(&error.to_string())) },
            Ok(difference) if difference.days.is_empty() => p.empty { "Their rows and sums by day are the same." },
            Ok(difference) => div.scroll role="region" aria-label="What changed" tabindex="0" {
                table {
                    thead { tr { th { "Day" } th.num { "Rows" } @for name in &difference.measures { th.num { (name) } } } }
                    tbody {
                        @for day in &difference.days {
                            tr {
                                td { (day.trans_date) }
                                td.num { (change(day.before.rows.map(parts::number), day.after.rows.map(parts::number))) }
                                @for at in 0..difference.measures.len() {
                                    td.num { (change(day.before.sums.get(at).cloned().flatten(), day.after.sums.get(at).cloned().flatten())) }
                                }
                            }
                        }
                    }
                }
            },
        }
    })
}

/// A value before and after, or the value alone if it is the same.
fn change(before: Option<String>, after: Option<String>) -> String {
    match before == after {
        true => shown::or_dash(after),
        false => format!("{} → {}", shown::or_dash(before), shown::or_dash(after)),
    }
}

/// The first rejected lines of the version that the status is about.
async fn rejects(look: &Look<'_>, file: &FileRow) -> Markup {
    let version = file
        .newest_version()
        .or(file.in_force.as_ref())
        .map(|row| &row.version);
    let count = version.map_or(0, |version| version.rejects);
    if count == 0 {
        return html! { h2 { "Rejects" } p.empty { "No line was rejected." } };
    }
    let found = read_rejects(look.desk, &file.file_url, REJECTS).await;
    html! {
        h2 { "Rejects" }
        @match found {
            Err(problem) => { p.problem { (problem.message()) } },
            Ok(lines) if lines.is_empty() => {
                p.empty { (parts::number(count)) " lines were rejected; the lake’s retention has removed them." }
            },
            Ok(lines) => {
                p {
                    (lines.len()) " of " (parts::number(count)) " lines. "
                    a href=(address("/file/rejects.csv", &[("path", &file.file_url)])) { "Download as CSV" }
                }
                div.scroll role="region" aria-label="Rejects" tabindex="0" {
                    table {
                        thead { tr { th.num { "Line" } th { "Reason" } th { "Text" } } }
                        tbody {
                            @for reject in &lines {
                                tr { td.num { (reject.line_number) } td { (shown::shown(&reject.reason)) } td { code { (parts::shortened(&reject.text)) } } }
                            }
                        }
                    }
                }
            },
        }
    }
}

/// Reads the first rejects of a file from the lake.
async fn read_rejects(desk: &Desk, path: &str, limit: usize) -> Result<Vec<Reject>, Problem> {
    let found = overview::rejects(&desk.settings, desk.state().await?, path, limit).await?;
    Ok(found.lines)
}

/// What came of each submission, and what people decided.
fn history(submissions: &[SubmissionRow], decisions: &[InterventionRow]) -> Markup {
    html! {
        h2 { "Submissions" }
        div.scroll role="region" aria-label="Submissions" tabindex="0" {
            table {
                thead { tr { th { "When" } th { "Outcome" } th { "Version" } th { "Why" } } }
                tbody {
                    @for one in submissions {
                        tr {
                            td { (parts::moment(one.submitted)) }
                            td { (parts::chip(tone(one.outcome), one.outcome.as_str())) }
                            td { @match &one.content_hash { Some(hash) => code { (hash.get(..16).unwrap_or(hash)) }, None => "–" } }
                            td { (one.error.as_deref().map(shown::shown).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        @if !decisions.is_empty() {
            h2 { "Decisions" }
            ul { @for one in decisions { li { (parts::moment(one.at)) ": " (one.action) " by " (shown::shown(&one.who)) } } }
        }
    }
}

fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Validated | Outcome::Accepted => "good",
        Outcome::Unchanged | Outcome::Withdrawn => "calm",
        Outcome::Held => "warn",
        Outcome::Rejected | Outcome::Failed => "bad",
    }
}

/// The rejects of a file as CSV.
pub(in crate::http) async fn rejects_csv(State(desk): State<Arc<Desk>>, uri: Uri) -> Response {
    match csv(&desk, &uri).await {
        Ok(response) => response,
        Err(problem) => problem.page(),
    }
}

async fn csv(desk: &Desk, uri: &Uri) -> Result<Response, Problem> {
    let ask = Ask::of(uri)?;
    let path = ask.needed("path")?;
    let mut csv = String::from("file,line,reason,text\r\n");
    for reject in read_rejects(desk, path, DOWNLOADED).await? {
        let line = reject.line_number.to_string();
        push_row(&mut csv, [path, &line, &reject.reason, &reject.text]);
    }
    Ok(download("text/csv; charset=utf-8", "rejects.csv", csv))
}
