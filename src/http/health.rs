//! Whether the service lives, and whether it works.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::desk::Desk;
use crate::overview::not_ready;

/// How long the pipeline may show no sign of life.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the state database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Answers 200 while the threads that do the work have time, and the state database answers. Otherwise a restart may
/// help: 503 with the reason. Before the first start is over, only the threads count.
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
    if !desk.vitals.has_begun() {
        return Ok(());
    }
    let asked = async { desk.state().await?.newest_submission().await.map_err(Into::into) };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(problem)) => Err(super::problem::Problem::message(&problem)),
        Err(_) => Err(format!(
            "the state database has not answered for {} s",
            ANSWER.as_secs()
        )),
    }
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
    let reason = asked
        .await
        .map_err(|problem: super::problem::Problem| problem.message())?;
    reason.map_or(Ok(()), Err)
}

fn answer(state: Result<(), String>) -> Response {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match state {
        Ok(()) => (plain, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, plain, format!("{reason}\n")).into_response(),
    }
}
