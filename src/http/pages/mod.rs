//! The pages, one file each, and which address leads to which.

mod file;
mod files;
mod job;
mod jobs;
mod row;
mod rows;
mod run;
mod runs;
mod sql;
mod store;
mod stores;
mod today;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{Html, IntoResponse, Response};

pub(super) use self::file::rejects_csv;
pub(super) use self::rows::rows_for;
pub(super) use self::sql::{answer_to, sql_csv};
pub(super) use self::store::{report_file, report_for};
use super::ask::{Ask, segments};
use super::desk::Desk;
use super::layout::{self, Page};
use super::problem::Problem;
use super::session::viewer;
use super::viewer::Viewer;

/// The key in an address by which a page shows what came of what the viewer just did.
pub(super) const SAID: &str = "said";

/// Shows the page of an address.
pub(super) async fn show(State(desk): State<Arc<Desk>>, headers: HeaderMap, uri: Uri) -> Response {
    let viewer = viewer(&desk, &headers);
    match page(&desk, &uri, viewer).await {
        Ok(page) => {
            let said = Ask::of(&uri).ok().and_then(|ask| desk.said(ask.get(SAID)?));
            let here = here(&uri);
            Html(layout::document(&page, viewer, said.as_deref(), &here)).into_response()
        }
        // A program that asks for what is not there is answered as a program.
        Err(problem) if uri.path().starts_with("/api/") => problem.json(),
        Err(problem) => problem.page(),
    }
}

/// Returns the page of an address.
pub(super) async fn page(desk: &Desk, uri: &Uri, viewer: Viewer) -> Result<Page, Problem> {
    let ask = Ask::of(uri)?;
    let segments = segments(uri).unwrap_or_default();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    let here = here(uri);
    let look = Look {
        desk,
        ask: &ask,
        viewer,
        here: &here,
    };
    match segments[..] {
        [] if uri.path() == "/" => today::page(&look).await,
        ["files"] => files::page(&look).await,
        ["files", "unmatched"] => files::unmatched(&look).await,
        ["file"] => file::page(&look).await,
        ["jobs"] => jobs::page(&look).await,
        ["jobs", job] => job::page(&look, job).await,
        ["runs"] => runs::page(&look).await,
        ["runs", run] => run::page(&look, run).await,
        ["runs", run, "rows"] => rows::page(&look, run).await,
        ["stores"] => stores::page(&look).await,
        ["store"] => store::page(&look).await,
        ["sql"] => sql::page(&look).await,
        ["row"] => row::page(&look).await,
        _ => Err(Problem::NotFound("there is no page at this address".to_owned())),
    }
}

/// Returns the address of a page without what was said on it.
fn here(uri: &Uri) -> String {
    let path = uri.path();
    match Ask::of(uri) {
        Ok(ask) => ask.with(path, SAID, ""),
        Err(_) => path.to_owned(),
    }
}

/// Who looks at what.
struct Look<'l> {
    desk: &'l Desk,
    ask: &'l Ask,
    viewer: Viewer,
    /// The page's own address, to come back to.
    here: &'l str,
}

/// Answers with a file to keep. Its name is plain ASCII.
fn download(media_type: &'static str, name: &str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, text).into_response()
}
