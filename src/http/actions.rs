//! What people do here: accept, withdraw, retry, pause, resume, run now. The same for forms and for the API.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use gristmill_state::{Late, Withdraw};
use serde_json::{Value, json};

use super::ask::Ask;
use super::desk::Desk;
use super::pages::SAID;
use super::problem::Problem;
use crate::actions;

/// What came of an action.
pub(super) struct Done {
    /// In words.
    pub(super) message: String,
    /// As the command's `--json` tells it, where there is one.
    pub(super) data: Value,
}

/// Does what a form asks for, and leads back to the page that it stands on.
pub(super) async fn of_form(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(action): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let ask = Ask::new(form);
    match act(
        &desk,
        &action,
        &ask,
        &format!("the status page, from {}", from.ip()),
    )
    .await
    {
        Ok(done) => {
            let number = desk.say(done.message).to_string();
            Redirect::to(&back(&ask, &number)).into_response()
        }
        Err(problem) => problem.page(),
    }
}

/// Returns the page to go back to, with the number of what is to be said there.
fn back(ask: &Ask, said: &str) -> String {
    let next = ask
        .get("next")
        .filter(|next| next.starts_with('/') && !next.starts_with("//"));
    let next = next.unwrap_or("/").parse().unwrap_or_default();
    match Ask::of(&next) {
        Ok(query) => query.with(next.path(), SAID, said),
        Err(_) => "/".to_owned(),
    }
}

/// Returns who acts by the API.
pub(super) fn of_api(from: SocketAddr, headers: &HeaderMap) -> String {
    // Whoever holds the token may say on whose behalf it acts.
    let on_behalf = headers
        .get("x-on-behalf-of")
        .and_then(|value| value.to_str().ok());
    match on_behalf {
        Some(name) => format!("{name} by the API, from {}", from.ip()),
        None => format!("the API, from {}", from.ip()),
    }
}

/// Does something. Whoever calls this has checked that it may.
pub(super) async fn act(desk: &Desk, action: &str, ask: &Ask, who: &str) -> Result<Done, Problem> {
    let settings = &desk.settings;
    let state = desk.to_write(who).await?;
    let done = match action {
        "accept" => {
            let late = match ask.is_set("add") {
                true => Late::Add,
                false => Late::Replace,
            };
            let file = ask.needed("file")?;
            let accepted = actions::accept(settings, &state, file, late, who).await?;
            let what = match accepted.is_whole {
                true => "its held version is in force",
                false => "its held days count",
            };
            Done {
                message: format!("{file}: {what}."),
                data: json!(accepted),
            }
        }
        "withdraw" => {
            let file = ask.needed("file")?;
            let how = match ask.date("day")? {
                Some(_) if ask.is_set("keep_rows") => {
                    return Err(Problem::Bad(
                        "keep_rows is for whole files: leave day out".to_owned(),
                    ));
                }
                Some(day) => Withdraw::Day(day),
                None => Withdraw::File {
                    keeps_rows: ask.is_set("keep_rows"),
                },
            };
            let withdrawn = actions::withdraw(settings, &state, file, how, who).await?;
            Done {
                message: format!("{file} is withdrawn."),
                data: json!(withdrawn),
            }
        }
        "retry" => retried(actions::retry(&state, vec![ask.needed("name")?.to_owned()]).await?),
        "retry-failed" => retried(actions::retry_failed(&state).await?),
        "pause" | "resume" => {
            let (job, is_enabled) = (ask.needed("job")?, action == "resume");
            actions::set_enabled(settings, &state, job, is_enabled).await?;
            let word = if is_enabled { "enabled" } else { "paused" };
            Done {
                message: format!("Job {job} is {word}."),
                data: json!({ "job": job, "enabled": is_enabled }),
            }
        }
        "run" => {
            let known = desk.jobs().await?;
            let of = (ask.needed("job")?, ask.date("date")?);
            let (queued, corrects) = actions::run_now(settings, &state, &known, of, desk.now()).await?;
            let sentence = actions::describe(&queued);
            Done {
                data: json!({ "message": &sentence, "corrects": &corrects }),
                message: [Some(sentence), corrects]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" "),
            }
        }
        _ => return Err(Problem::NotFound(format!("there is no action {action:?}"))),
    };
    tracing::info!(
        action,
        who,
        "done on the status page: {}",
        crate::shown::path(&done.message)
    );
    Ok(done)
}

fn retried(retried: actions::Retried) -> Done {
    let runs = retried
        .runs
        .iter()
        .map(|(_, enqueued)| actions::describe(enqueued));
    let files = match retried.files.len() {
        0 => None,
        count => Some(format!("Reading {count} files again.")),
    };
    let sentences: Vec<_> = files.into_iter().chain(runs).collect();
    let runs: Vec<_> = retried.runs.iter().map(|(run, _)| run).collect();
    Done {
        data: json!({ "files": retried.files, "runs": runs }),
        message: match sentences.is_empty() {
            true => "Nothing has failed.".to_owned(),
            false => sentences.join(" "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_to_a_page_of_ours() {
        let back = |next: &str| back(&Ask::new([("next".to_owned(), next.to_owned())]), "7");
        assert_eq!(back("/file?path=a%20b"), "/file?path=a%20b&said=7");
        assert_eq!(back("/jobs/J1?said=3"), "/jobs/J1?said=7");
        for elsewhere in ["https://evil.example/", "//evil.example", "", "nonsense"] {
            assert_eq!(back(elsewhere), "/?said=7", "{elsewhere:?}");
        }
    }
}
