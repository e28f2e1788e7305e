//! Whether the service lives, and whether it works.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::desk::Desk;
use super::problem::Problem;
use crate::overview::not_ready;

/// How long the pipeline may show no sign of life.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the state database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Answers 200 while the threads that do the work have time, and a state database in a file answers. Otherwise a restart may
/// help: 503 with the reason. Before the first start is over, only the threads count. A server that is away is waited for:
/// a restart would only lose what is in progress.
pub(super) async fn healthz(State(desk): State<Arc<Desk>>) -> Response {
    answer(lives(&desk).await)
}

/// Answers 200 when files that arrive now are taken and loaded: the service runs, has looked through all its sources, and
/// waits for nothing itself. Otherwise 503 with the reason.
pub(super) async fn readyz(State(desk): State<Arc<Desk>>) -> Response {
    answer(match lives(&desk).await {
        Ok(()) => works(&desk).await,
        dead => dead,
    })
}

async fn lives(desk: &Desk) -> Result<(), String> {
    match desk.vitals.since_beat() {
        Some(silent) if silent > SILENCE => {
            return Err(format!("no sign of life for {} s", silent.as_secs()));
        }
        None => return Err("no sign of life so far".to_owned()),
        Some(_) => {}
    }
    if !desk.vitals.has_begun() || desk.settings.state.file().is_none() {
        return Ok(());
    }
    let asked = async { Ok(desk.state().await?.newest_submission().await?) };
    answered(asked).await.map(drop)
}

async fn works(desk: &Desk) -> Result<(), String> {
    if !desk.vitals.has_begun() {
        return Err("the service is starting".to_owned());
    }
    let asked = async {
        let state = desk.state().await?;
        match state.service().await? {
            None => Ok(Some("no service works on the state database".to_owned())),
            Some(_) => Ok(not_ready(state, desk.vitals.has_listed()).await?),
        }
    };
    answered(asked).await?.map_or(Ok(()), Err)
}

/// Waits for what the state database answers, but not for long.
async fn answered<T>(asked: impl Future<Output = Result<T, Problem>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|problem| problem.message()),
        Err(_) => Err(format!(
            "the state database has not answered for {} s",
            ANSWER.as_secs()
        )),
    }
}

fn answer(state: Result<(), String>) -> Response {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match state {
        Ok(()) => (plain, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, plain, format!("{reason}\n")).into_response(),
    }
}
