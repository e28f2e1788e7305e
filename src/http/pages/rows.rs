//! The rows that a run changed: what each was and became, and the file behind that.

use gristmill_loader::RowChange;
use gristmill_state::StateError;
use maud::{Markup, html};

use super::super::address::{address, of_run};
use super::super::ask::Ask;
use super::super::desk::Desk;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::Look;
use crate::overview::{Amounts, ChangedRows, ChangedSlice, FileBehind, changed};
use crate::shown;

/// How many rows stand on one page, and in one answer of the API.
const AT_ONCE: u32 = 50;
const MOST: u32 = 500;

pub(super) async fn page(look: &Look<'_>, run_id: &str) -> Result<Page, Problem> {
    let number = look.ask.number("page", 1, 1_000_000)?.max(1);
    let path = format!("{}/rows", of_run(run_id));
    let skipped = (number - 1).saturating_mul(AT_ONCE);
    let found = rows(look.desk, run_id, look.ask, (skipped, AT_ONCE)).await;
    let found = match found {
        // What retention has removed is no failure of the page.
        Err(Problem::Failed(error)) => {
            Err(html! { p.problem { (shown::shown(&crate::causes::joined(&error, ": "))) } })
        }
        found => Ok(found?),
    };
    let to = |number: u32| look.ask.with(&path, "page", &number.to_string());
    let body = match found {
        Err(problem) => problem,
        Ok(found) => html! {
            p {
                "Rows that run " (parts::run(run_id)) " changed in the warehouse, "
                @match &found.before {
                    Some(before) => { "beside what run " (parts::run(before)) " had loaded, and the files of which the two read different versions." },
                    None => "which had nothing of its scope before.",
                }
            }
            (filter(look.ask, &path))
            (table(&found))
            (parts::pager((number > 1).then(|| to(number - 1)), found.has_more.then(|| to(number + 1))))
        },
    };
    Ok(Page {
        title: format!("Rows of run {run_id}"),
        section: "/runs",
        // They stay as they are: the run is over.
        parts: vec![Part::Fixed(body)],
    })
}

/// Finds the changed rows that a request asks for.
async fn rows(
    desk: &Desk,
    run_id: &str,
    ask: &Ask,
    (skipped, limit): (u32, u32),
) -> Result<ChangedRows, Problem> {
    let only = match ask.get("change") {
        None => None,
        Some("added") => Some(RowChange::Added),
        Some("changed") => Some(RowChange::Changed),
        Some("removed") => Some(RowChange::Removed),
        Some(other) => {
            let known = "added, changed or removed";
            return Err(Problem::Bad(format!("change = {other:?} is none of {known}")));
        }
    };
    let state = desk.state().await?;
    let unknown = || StateError::UnknownRun {
        run_id: run_id.to_owned(),
    };
    let run = state.run(run_id).await?.ok_or_else(unknown)?;
    let slice = ChangedSlice {
        only,
        skipped: skipped as usize,
        limit: limit as usize,
    };
    Ok(changed(&desk.settings, state, &run, slice).await?)
}

/// Finds the changed rows that a program asks for.
pub(in crate::http) async fn rows_for(desk: &Desk, run_id: &str, ask: &Ask) -> Result<ChangedRows, Problem> {
    let skipped = ask.number("offset", 0, 100_000_000)?;
    let limit = ask.number("limit", AT_ONCE, MOST)?;
    rows(desk, run_id, ask, (skipped, limit)).await
}

fn filter(ask: &Ask, path: &str) -> Markup {
    let chosen = ask.get("change").unwrap_or_default();
    html! {
        form.filters method="get" action=(path) {
            span { label for="change" { "Rows" }
                select id="change" name="change" {
                    @for (value, name) in [("", "all that changed"), ("added", "added"), ("changed", "with other amounts"), ("removed", "removed")] {
                        option value=(value) selected[chosen == value] { (name) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn table(found: &ChangedRows) -> Markup {
    html! {
        @if found.rows.is_empty() { p.empty { "No row is like that: the run changed none, or it has loaded nothing." } }
        @else {
            div.scroll role="region" aria-label="Changed rows" tabindex="0" {
                table {
                    thead { tr {
                        th { "Store" } th { "Item" } th { "Day" }
                        @for column in &found.columns { th.num { (column) } }
                        th { "By the file" }
                    } }
                    tbody {
                        @for row in &found.rows {
                            @let (store, item, date) = (row.store_id.as_str(), row.item_id.as_str(), row.trans_date.to_string());
                            tr {
                                td { (parts::store(store)) }
                                td { a href=(address("/row", &[("store", store), ("item", item), ("date", &date)])) { (shown::path(item)) } }
                                td { (date) }
                                @for at in 0..found.columns.len() { td.num { (amount(row.before.as_ref(), row.after.as_ref(), at)) } }
                                td {
                                    @if row.files.is_empty() { span.dim { "none: all versions are those of before" } }
                                    @for file in &row.files { (behind(file)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An amount as it was and became; `no row` where there was none.
fn amount(before: Option<&Amounts>, after: Option<&Amounts>, at: usize) -> Markup {
    let of = |amounts: Option<&Amounts>| match amounts {
        None => "no row".to_owned(),
        Some(amounts) => shown::or_dash(amounts.get(at).cloned().flatten()),
    };
    let (before, after) = (of(before), of(after));
    html! { @if before == after { (after) } @else { (before) " → " strong { (after) } } }
}

fn behind(file: &FileBehind) -> Markup {
    let hashes = |hashes: &[String]| match hashes.is_empty() {
        true => "none".to_owned(),
        false => {
            let short = hashes.iter().map(|hash| hash.get(..16).unwrap_or(hash));
            short.collect::<Vec<_>>().join(", ")
        }
    };
    html! {
        (parts::file(&file.file)) " "
        span.dim { code { (hashes(&file.before)) } " → " code { (hashes(&file.after)) } }
        br;
    }
}
