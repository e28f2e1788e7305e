//! The box for SQL: one SELECT on the views of the state database, with a link to share.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use gristmill_state::{Answer, Cell, MOST_ROWS, Place, ViewRow};
use maud::{Markup, html};

use super::super::address::address;
use super::super::ask::Ask;
use super::super::desk::Desk;
use super::super::layout::{Page, Part};
use super::super::parts;
use super::super::problem::Problem;
use super::{Look, download};
use crate::csv::push_row;
use crate::query::{NoAnswer, ask as answer};
use crate::shown;

/// The most characters of a question: it stands in an address.
const LONGEST: usize = 4_000;

/// Questions to begin with, which all databases understand.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "Stores by lines that could not be read",
        "SELECT store_id, count(*) AS files, sum(rejects) AS rejects\n  FROM files WHERE rejects > 0\n GROUP BY store_id ORDER BY rejects DESC",
    ),
    (
        "Files that were sent most often",
        "SELECT file_url, count(*) AS times, max(submitted) AS newest\n  FROM submissions GROUP BY file_url ORDER BY times DESC LIMIT 20",
    ),
    ("What people decided", "SELECT * FROM decisions LIMIT 50"),
];

/// Another one, which reckons with times, in the SQL of each database.
const SLOWEST: &str = "The slowest runs";
const SLOWEST_OF_SQLITE: &str = "SELECT run_id, job, started, finished,\n       round((julianday(finished) - julianday(started)) * 86400, 1) AS seconds\n  FROM runs WHERE finished IS NOT NULL\n ORDER BY seconds DESC LIMIT 20";
const SLOWEST_OF_POSTGRES: &str = "SELECT run_id, job, started, finished,\n       round(extract(epoch FROM finished::timestamptz - started::timestamptz), 1) AS seconds\n  FROM runs WHERE finished IS NOT NULL\n ORDER BY seconds DESC LIMIT 20";
const SLOWEST_OF_MYSQL: &str = "SELECT run_id, job, started, finished,\n       round(timestampdiff(MICROSECOND, left(started, 26), left(finished, 26)) / 1e6, 1) AS seconds\n  FROM runs WHERE finished IS NOT NULL\n ORDER BY seconds DESC LIMIT 20";

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Problem> {
    let state = look.desk.state().await?;
    let views = state.views().await?;
    let slowest = match state.place() {
        Place::File(_) => SLOWEST_OF_SQLITE,
        Place::Postgres(..) => SLOWEST_OF_POSTGRES,
        Place::MySql(..) => SLOWEST_OF_MYSQL,
    };
    let question = look.ask.get("q").unwrap_or_default();
    let answered = match question.is_empty() {
        true => None,
        false => Some(answer_to(look.desk, question).await),
    };
    let body = html! {
        form.stack.wide method="get" action="/sql" {
            label for="q" { "One SELECT on the views below. It only reads, for 5 seconds at most, and " (MOST_ROWS) " rows at most." }
            textarea id="q" name="q" rows="6" maxlength=(LONGEST) spellcheck="false" required { (question) }
            button type="submit" { "Ask" }
        }
        @match &answered {
            None => p.empty {
                "Write a question, or begin with one of these: "
                @for (name, sql) in EXAMPLES.into_iter().chain([(SLOWEST, slowest)]) { br; a href=(address("/sql", &[("q", sql)])) { (name) } }
            },
            Some(Err(problem)) => p.problem role="alert" { (problem.message()) },
            Some(Ok(answer)) => (result(question, answer)),
        }
        (list(&views))
    };
    Ok(Page {
        title: "SQL".to_owned(),
        section: "/sql",
        // It is answered when somebody asks, and not each time that something changes.
        parts: vec![Part::Fixed(body)],
    })
}

/// Answers a question.
pub(in crate::http) async fn answer_to(desk: &Desk, question: &str) -> Result<Answer, Problem> {
    if question.len() > LONGEST {
        return Err(Problem::Bad(format!(
            "the question is longer than {LONGEST} bytes"
        )));
    }
    // Says so if the service is only starting.
    let state = desk.state().await?;
    answer(state.answerer(), question)
        .await
        .map_err(|none| match none {
            NoAnswer::Refused(error) => Problem::Bad(error.to_string()),
            NoAnswer::Busy => Problem::Unavailable(
                "others’ questions are being answered just now: ask again in a few seconds".to_owned(),
            ),
        })
}

fn result(question: &str, answer: &Answer) -> Markup {
    html! {
        p {
            (parts::number(answer.rows.len() as u64)) @if answer.rows.len() == 1 { " row" } @else { " rows" }
            @if answer.has_more { ", and there are more: add a WHERE or a LIMIT" }
            ". " a href=(address("/sql.csv", &[("q", question)])) { "Download as CSV" }
        }
        @if answer.rows.is_empty() { p.empty { "Nothing is like that." } }
        @else {
            div.scroll role="region" aria-label="Answer" tabindex="0" {
                table {
                    thead { tr { @for column in &answer.columns { th { (shown::path(column)) } } } }
                    tbody {
                        @for row in &answer.rows {
                            tr { @for value in row { (cell(value)) } }
                        }
                    }
                }
            }
        }
    }
}

fn cell(value: &Cell) -> Markup {
    html! {
        @match value {
            Cell::Null => td.dim { "NULL" },
            Cell::Integer(number) => td.num { (number) },
            Cell::Real(number) => td.num { (number) },
            Cell::Text(text) => td { (parts::shortened(text)) },
        }
    }
}

fn list(views: &[ViewRow]) -> Markup {
    html! {
        h2 { "Views" }
        dl.views {
            @for view in views {
                dt { code { (view.name) } }
                dd { (view.about) br; span.dim { (view.columns.join(", ")) } }
            }
        }
    }
}

/// An answer as CSV.
pub(in crate::http) async fn sql_csv(State(desk): State<Arc<Desk>>, uri: Uri) -> Response {
    match csv(&desk, &uri).await {
        Ok(response) => response,
        Err(problem) => problem.page(),
    }
}

async fn csv(desk: &Desk, uri: &Uri) -> Result<Response, Problem> {
    let answer = answer_to(desk, Ask::of(uri)?.needed("q")?).await?;
    let mut csv = String::new();
    push_row(&mut csv, answer.columns.iter().map(String::as_str));
    for row in &answer.rows {
        let cells: Vec<String> = row.iter().map(text).collect();
        push_row(&mut csv, cells.iter().map(String::as_str));
    }
    Ok(download("text/csv; charset=utf-8", "answer.csv", csv))
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    }
}
