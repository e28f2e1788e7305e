//! What keeps a request from being answered, as a page or as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use gristmill_state::StateError;
use maud::html;
use serde_json::json;

use super::layout;
use crate::causes;
use crate::preconditions::ReloadConflict;
use crate::shown;
use crate::usage::Usage;

/// What keeps a request from being answered.
#[derive(Debug)]
pub(super) enum Problem {
    /// There is no such page or thing.
    NotFound(String),
    /// The request cannot be carried out as it was made.
    Bad(String),
    /// What stands does not allow it.
    Conflict(String),
    /// The token is missing.
    Unauthorized(String),
    /// It is never allowed.
    Forbidden(String),
    /// The service cannot answer yet, or not so many at once; or somebody keeps the state database locked.
    Unavailable(String),
    /// Something failed.
    Failed(anyhow::Error),
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns what to tell people. Messages name no secrets, and no causes beyond what a command would print.
    pub(super) fn message(&self) -> String {
        let message = match self {
            Self::NotFound(message)
            | Self::Bad(message)
            | Self::Conflict(message)
            | Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::Unavailable(message) => message.clone(),
            Self::Failed(error) => causes::joined(error, ": "),
        };
        shown::shown(&message)
    }

    fn log(&self) {
        if let Self::Failed(error) = self {
            tracing::warn!(
                "a request to the status page failed: {}",
                causes::joined(error, ": ")
            );
        }
    }

    /// Returns it as a page.
    pub(super) fn page(&self) -> Response {
        self.log();
        let status = self.status();
        let title = match self {
            Self::NotFound(_) => "Not found",
            Self::Bad(_) => "That cannot be done",
            Self::Conflict(_) => "Not as things stand",
            Self::Unauthorized(_) => "Sign in first",
            Self::Forbidden(_) => "Not allowed",
            Self::Unavailable(_) => "Not yet",
            Self::Failed(_) => "Something failed",
        };
        let body = html! {
            h1 { (title) }
            p.problem { (self.message()) }
            p {
                @if let Self::Unauthorized(_) = self { a href="/sign-in" { "Sign in" } " · " }
                a href="/" { "Go to Today" }
            }
        };
        (status, Html(layout::bare(title, &body))).into_response()
    }

    /// Returns it as JSON.
    pub(super) fn json(&self) -> Response {
        self.log();
        (self.status(), Json(json!({ "error": self.message() }))).into_response()
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        let message = || causes::joined(&error, ": ");
        if error.is::<Usage>() {
            return Self::Bad(message());
        }
        if error.is::<ReloadConflict>() {
            return Self::Conflict(message());
        }
        match error.downcast_ref() {
            Some(
                StateError::UnknownJob { .. }
                | StateError::UnknownRun { .. }
                | StateError::UnknownFile { .. },
            ) => Self::NotFound(message()),
            Some(
                StateError::NothingHeld { .. }
                | StateError::NothingInForce { .. }
                | StateError::Overtaken { .. }
                | StateError::WrongState { .. },
            ) => Self::Conflict(message()),
            Some(busy @ StateError::Busy { .. }) => Self::Unavailable(format!("{busy}, and try again")),
            _ => Self::Failed(error),
        }
    }
}
