//! The API: the same facts as the commands' `--json`, and the same actions. `openapi.json` describes it for programs.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use gristmill_state::{FileFilter, RunFilter, StateError};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::actions::{act, of_api};
use super::ask::Ask;
use super::desk::Desk;
use super::pages;
use super::problem::Problem;
use crate::overview::{self, Key, ListedRun};

/// The description of the API.
const DESCRIPTION: &str = include_str!("openapi.json");

/// The most rejects and runs that one answer has.
const MOST: u32 = 100_000;

/// A route of the API.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: fn() -> MethodRouter<Arc<Desk>>,
}

macro_rules! routes {
    ($($path:literal: $method:expr),+ $(,)?) => {
        &[$(Route { path: $path, method: || $method }),+]
    };
}

/// All routes. A test compares them with the description.
pub(super) const ROUTES: &[Route] = routes! {
    "/api/openapi.json": get(description),
    "/api/status": get(status),
    "/api/files": get(files),
    "/api/files/unmatched": get(unmatched),
    "/api/rejects": get(rejects),
    "/api/jobs": get(jobs),
    "/api/jobs/history": get(job_history),
    "/api/explain/{job}": get(explain),
    "/api/runs": get(runs),
    "/api/runs/{run}/rows": get(rows),
    "/api/sql": get(sql),
    "/api/sql/views": get(views),
    "/api/store": get(store),
    "/api/trace": get(trace),
    "/api/history": get(history),
    "/api/accept": post(accept),
    "/api/withdraw": post(withdraw),
    "/api/retry": post(retry),
    "/api/jobs/{job}/pause": post(pause),
    "/api/jobs/{job}/resume": post(resume),
    "/api/jobs/{job}/run": post(run),
};

/// An answer: JSON, or what keeps it from being given, as JSON too.
type Answer = Result<Response, Refused>;

pub(super) struct Refused(Problem);

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.json()
    }
}

fn json_of(value: &impl Serialize) -> Answer {
    Ok(Json(value).into_response())
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

async fn status(State(desk): State<Arc<Desk>>) -> Answer {
    let (state, jobs) = (desk.state().await?, desk.jobs().await?);
    let statuses = desk.provinces().await?.statuses();
    json_of(&overview::status(state, &jobs, statuses).await?)
}

async fn files(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let (state, ask) = (desk.state().await?, Ask::of(&uri)?);
    let status = ask.get("status").map(|word| {
        word.to_uppercase()
            .parse()
            .map_err(|_| Problem::Bad(format!("status = {word:?} is no status of a file")))
    });
    let filter = FileFilter {
        feed: ask.text("feed"),
        status: status.transpose()?,
    };
    let mut files = overview::files(state, &*desk.jobs().await?, &filter).await?;
    files.retain(|listed| {
        ask.get("job")
            .is_none_or(|job| listed.jobs.iter().any(|taking| taking == job))
            && ask
                .get("store")
                .is_none_or(|store| listed.store.as_deref() == Some(store))
            && (!ask.is_set("no_job") || listed.is_stray)
            && ask.get("file").is_none_or(|file| listed.file.file_url == file)
    });
    json_of(&files)
}

async fn unmatched(State(desk): State<Arc<Desk>>) -> Answer {
    json_of(&overview::unmatched(desk.state().await?, &desk.settings.feeds).await?)
}

async fn rejects(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let ask = Ask::of(&uri)?;
    let limit = ask.number("limit", 100, MOST)? as usize;
    let found = overview::rejects(&desk.settings, desk.state().await?, ask.needed("file")?, limit).await?;
    json_of(&found.lines)
}

async fn jobs(State(desk): State<Arc<Desk>>) -> Answer {
    json_of(&desk.state().await?.jobs().await?)
}

async fn job_history(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let ask = Ask::of(&uri)?;
    json_of(&desk.state().await?.job_history(ask.get("job")).await?)
}

async fn explain(State(desk): State<Arc<Desk>>, Path(job): Path<String>, uri: Uri) -> Answer {
    let (state, jobs) = (desk.state().await?, desk.jobs().await?);
    let day = Ask::of(&uri)?.date("date")?;
    let unknown = || StateError::UnknownJob { job_id: job.clone() };
    let plan = jobs.job(&job).ok_or_else(unknown)?.plan();
    let plan = plan.map_err(|error| Problem::Conflict(format!("job {job}: {error}")))?;
    json_of(&overview::explain(state, plan, day, desk.now()).await?)
}

async fn runs(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let ask = Ask::of(&uri)?;
    let since = ask.get("since").map(|text| {
        text.parse().map_err(|_| {
            Problem::Bad(format!(
                "since = {text:?} is not a moment such as 2026-11-01T06:00:00Z"
            ))
        })
    });
    let filter = RunFilter {
        job_id: ask.text("job"),
        since: since.transpose()?,
        incomplete: ask.is_set("incomplete"),
        limit: Some(ask.number("limit", 50, MOST)?),
        ..RunFilter::default()
    };
    let runs = desk.state().await?.runs(&filter).await?;
    json_of(&runs.iter().map(ListedRun::new).collect::<Vec<_>>())
}

async fn rows(State(desk): State<Arc<Desk>>, Path(run): Path<String>, uri: Uri) -> Answer {
    json_of(&pages::rows_for(&desk, &run, &Ask::of(&uri)?).await?)
}

async fn sql(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    json_of(&pages::answer_to(&desk, Ask::of(&uri)?.needed("q")?).await?)
}

async fn views(State(desk): State<Arc<Desk>>) -> Answer {
    json_of(&desk.state().await?.views().await?)
}

async fn store(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    json_of(&pages::report_for(&desk, &Ask::of(&uri)?).await?)
}

fn key(ask: &Ask) -> Result<Key, Problem> {
    let date = ask.date("date")?;
    Ok(Key {
        store: ask.needed("store")?.to_owned(),
        item: ask.needed("item")?.to_owned(),
        date: date.ok_or_else(|| Problem::Bad("date is missing in the request".to_owned()))?,
    })
}

async fn trace(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let key = key(&Ask::of(&uri)?)?;
    json_of(&overview::trace(&desk.settings, desk.state().await?, &key).await?)
}

async fn history(State(desk): State<Arc<Desk>>, uri: Uri) -> Answer {
    let key = key(&Ask::of(&uri)?)?;
    json_of(&overview::history(&desk.settings, desk.state().await?, &key).await?)
}

/// Who calls, and with what.
type Caller = (State<Arc<Desk>>, ConnectInfo<SocketAddr>, HeaderMap);

async fn accept(caller: Caller, body: Bytes) -> Answer {
    answer(caller, "accept", body, None).await
}

async fn withdraw(caller: Caller, body: Bytes) -> Answer {
    answer(caller, "withdraw", body, None).await
}

async fn retry(caller: Caller, body: Bytes) -> Answer {
    answer(caller, "retry", body, None).await
}

async fn pause(caller: Caller, Path(job): Path<String>, body: Bytes) -> Answer {
    answer(caller, "pause", body, Some(job)).await
}

async fn resume(caller: Caller, Path(job): Path<String>, body: Bytes) -> Answer {
    answer(caller, "resume", body, Some(job)).await
}

async fn run(caller: Caller, Path(job): Path<String>, body: Bytes) -> Answer {
    answer(caller, "run", body, Some(job)).await
}

/// Does what the body, an object, asks for.
async fn answer(
    (State(desk), ConnectInfo(from), headers): Caller,
    action: &str,
    body: Bytes,
    job: Option<String>,
) -> Answer {
    let object: Map<String, Value> = match body.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(&body)
            .map_err(|error| Problem::Bad(format!("the body is not a JSON object: {error}")))?,
    };
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(Problem::Bad(
            "the values of the body are texts, true or false".to_owned(),
        )),
    };
    let pairs = object.into_iter().map(|(key, value)| Ok((key, text(value)?)));
    let pairs = pairs.collect::<Result<Vec<_>, Problem>>()?;
    let ask = Ask::new(pairs.into_iter().chain(job.map(|job| ("job".to_owned(), job))));
    let action = match action == "retry" && ask.get("name").is_none() {
        true => "retry-failed",
        false => action,
    };
    let done = act(&desk, action, &ask, &of_api(from, &headers)).await?;
    json_of(&json!({ "message": done.message, "result": done.data }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_just_the_routes() {
        let described: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let described: BTreeSet<_> = described["paths"].as_object().unwrap().keys().cloned().collect();
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| route.path.to_owned()).collect();
        assert_eq!(described, routes);
    }
}
