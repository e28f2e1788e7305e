//! Files: search and filters over all of them, and those that no feed matches.

use gristmill_state::{FilePart, FileStatus, UNMATCHED};
use maud::{Markup, html};

use super::super::address::of_job;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview;
use crate::shown;

/// How many files stand on one page.
const AT_ONCE: u32 = 100;

/// The statuses that one can ask for.
const STATUSES: [FileStatus; 6] = [
    FileStatus::Validated,
    FileStatus::Held,
    FileStatus::Rejected,
    FileStatus::Failed,
    FileStatus::Withdrawn,
    FileStatus::Submitted,
];

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let (desk, ask) = (look.desk, look.ask);
    let state = desk.state().await?;
    let number = ask.number("page", 1, 1_000_000)?.max(1);
    let status = ask.get("status").map(|word| {
        word.to_uppercase()
            .parse()
            .map_err(|_| Problem::Bad(format!("{word:?} is no status of a file")))
    });
    let part = FilePart {
        text: ask.text("q"),
        feed: ask.text("feed"),
        status: status.transpose()?,
        job: ask.text("job"),
        store: ask.text("store"),
        newest_first: ask.get("sort") != Some("path"),
        offset: (number - 1).saturating_mul(AT_ONCE),
        limit: AT_ONCE + 1,
    };
    let mut files = state.file_part(&part).await?;
    let has_more = files.len() > AT_ONCE as usize;
    files.truncate(AT_ONCE as usize);
    let jobs = desk.jobs().await?;
    let rows = files.iter().map(|file| {
        let (taking, store) = jobs.taking(file);
        let version = file.newest_version().or(file.in_force.as_ref()).map(|row| &row.version);
        html! {
            tr {
                td { (parts::file(&file.file_url)) @if let Some(error) = &file.last_error { br; span.dim { (shown::shown(error)) } } }
                td { (parts::status(file.status)) }
                td { (parts::moment(file.submitted)) }
                td { (file.feed) }
                td { @match store.as_deref().or(file.store_id.as_deref()) { Some(store) => (parts::store(store)), None => "–" } }
                td {
                    @for job in &taking { a href=(of_job(job)) { (shown::path(job)) } " " }
                    @if jobs.stray(overview::named(file)).is_some() { (parts::chip("warn", "no job")) }
                }
                td.num { (shown::or_dash(version.map(|version| parts::number(version.lines)))) }
                td.num { (shown::or_dash(version.map(|version| parts::number(version.rows)))) }
                td.num { (shown::or_dash(version.map(|version| parts::number(version.rejects)))) }
            }
        }
    });
    let rows: Vec<_> = rows.collect();
    let before = (number > 1).then(|| ask.with("/files", "page", &(number - 1).to_string()));
    let after = has_more.then(|| ask.with("/files", "page", &(number + 1).to_string()));
    let is_any = ["q", "feed", "status", "job", "store"]
        .iter()
        .any(|key| ask.get(key).is_some());
    let list = html! {
        @if rows.is_empty() {
            @if number > 1 {
                (parts::beyond(number, ask.with("/files", "page", "")))
            } @else if is_any {
                p.empty { "No file is like that. " a href="/files" { "Show all files" } }
            } @else {
                p.empty { "No file has come so far: put files where " code { "[source]" } " of the settings file looks." }
            }
        } @else {
            div.scroll role="region" aria-label="Files" tabindex="0" {
                table {
                    thead { tr {
                        th { "File" } th { "Status" } th { "Submitted" } th { "Feed" } th { "Store" } th { "Job" }
                        th.num { "Lines" } th.num { "Rows" } th.num { "Rejects" }
                    } }
                    tbody { @for row in &rows { (row) } }
                }
            }
            (parts::pager(before, after))
        }
    };
    Ok(Page {
        title: "Files".to_owned(),
        section: "/files",
        parts: vec![Part::Fixed(filters(look)), Part::Live("files", list)],
    })
}

fn filters(look: &Look<'_>) -> Markup {
    let ask = look.ask;
    let of = |key| ask.get(key).unwrap_or_default();
    let feeds = look.desk.settings.feeds.iter().map(|feed| feed.name.as_str());
    html! {
        form.filters method="get" action="/files" role="search" {
            span { label for="q" { "Name" } input id="q" type="search" name="q" value=(of("q")); }
            span { label for="status" { "Status" }
                select id="status" name="status" {
                    option value="" { "any" }
                    @for status in STATUSES {
                        @let word = status.as_str().to_lowercase();
                        option value=(word) selected[of("status") == word] { (word) }
                    }
                }
            }
            span { label for="feed" { "Feed" }
                select id="feed" name="feed" {
                    option value="" { "any" }
                    @for feed in feeds { option value=(feed) selected[of("feed") == feed] { (feed) } }
                }
            }
            span { label for="job" { "Job" } input id="job" name="job" value=(of("job")) size="12"; }
            span { label for="store" { "Store" } input id="store" name="store" value=(of("store")) size="8"; }
            span { label for="sort" { "Order" }
                select id="sort" name="sort" {
                    option value="" { "newest first" }
                    option value="path" selected[of("sort") == "path"] { "by name" }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

/// The files that no feed matches.
pub(super) async fn unmatched(look: &Look<'_>) -> Result<Page, Problem> {
    let state = look.desk.state().await?;
    let files = overview::unmatched(state, &look.desk.settings.feeds).await?;
    let list = html! {
        p { "Nothing is read of these: their names match " code { "files" } " of no feed. Correct the pattern, or have the files renamed." }
        @if files.is_empty() { p.empty { "Every file that was found matches a feed." } }
        @else {
            div.scroll role="region" aria-label="Files that match no feed" tabindex="0" {
                table {
                    thead { tr { th { "File" } th.num { "Bytes" } th { "Written" } th { "Noticed" } th { "Nearly matches" } } }
                    tbody {
                        @for found in files.iter().take(1000) {
                            tr {
                                td.path { (shown::path(&found.file.file_url)) }
                                td.num { (parts::number(found.file.bytes)) }
                                td { (parts::moment(found.file.modified)) }
                                td { (parts::moment(found.file.noticed)) }
                                td { (found.nearest.as_deref().map_or_else(|| "–".to_owned(), shown::path)) }
                            }
                        }
                    }
                }
            }
            @if files.len() as u64 >= u64::from(UNMATCHED) { p.dim { "There may be more." } }
            @if files.len() > 1000 { p.dim { "The first 1000 of " (files.len()) ": " code { "gristmill files --unmatched" } " lists all." } }
        }
    };
    Ok(Page {
        title: "Files that match no feed".to_owned(),
        section: "/files",
        parts: vec![Part::Live("unmatched", list)],
    })
}
