//! Sends OpenLineage events of runs, beside the stages.
//!
//! The state database knows what is still to be told, so neither a crash nor a receiver that is down loses any of it: a
//! trigger notes it together with what happened to the run. The events are made when they are sent, one after the other in
//! their order. Nothing else waits for that. An event whose sending was interrupted is sent again.

use std::sync::Arc;

use anyhow::Context;
use gristmill_state::LineageEvent;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::activity::{Activity, Token};
use super::retry::{StepError, pause_after, with_retries};
use super::{Components, stopped};
use crate::causes;
use crate::lineage;
use crate::settings::LineageSettings;
use crate::web::{self, RetryAfter};

/// How many events are read at a time.
const PAGE: u32 = 20;

/// How much of what a receiver says is logged, in characters.
const SAID: usize = 200;

/// Wakes the task, if there is one.
pub(super) struct Wake(Option<mpsc::Sender<Token>>);

impl Wake {
    /// Says that something may be to be told. It counts as work in progress until it was tried.
    pub(super) fn wake(&self, activity: &Arc<Activity>) {
        if let Some(task) = &self.0 {
            // A full channel still holds a wake that will be received.
            let _ = task.try_send(activity.begin());
        }
    }
}

/// Starts the task if the settings ask for it. It begins with what the last process left untold.
pub(super) fn start(
    components: &Arc<Components>,
    stages: &mut JoinSet<anyhow::Result<()>>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Wake> {
    let Some(settings) = components.settings.lineage.clone() else {
        return Ok(Wake(None));
    };
    let (sender, woken) = mpsc::channel(1);
    let task = Task {
        components: components.clone(),
        settings,
        client: web::client()?,
        failures: 0,
        dropped: None,
    };
    stages.spawn(task.run(woken, stop.clone()));
    let wake = Wake(Some(sender));
    wake.wake(&components.activity);
    Ok(wake)
}

struct Task {
    components: Arc<Components>,
    settings: LineageSettings,
    client: reqwest::Client,
    /// How often in a row the receiver did not take an event that it may take later.
    failures: u32,
    /// How many events had been dropped when that was last looked at.
    dropped: Option<u64>,
}

/// What a receiver made of an event.
enum Answer {
    Taken,
    /// It will never take it.
    Refused(String),
    /// It may take it later, and may ask to be left alone until then.
    Failed(String, Option<RetryAfter>),
}

impl Task {
    async fn run(
        mut self,
        mut woken: mpsc::Receiver<Token>,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut again_at = Instant::now();
        loop {
            let is_failing = self.failures > 0;
            let token = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                () = tokio::time::sleep_until(again_at), if is_failing => None,
                Some(token) = woken.recv() => match is_failing {
                    // It is tried when the pause is over. `--until-idle` does not wait for that.
                    true => continue,
                    false => Some(token),
                },
            };
            let problem = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                problem = self.send_all() => problem?,
            };
            drop(token);
            self.tell_of_dropped().await?;
            let Some((problem, asked)) = problem else {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!(url = %self.settings.url, "lineage events are taken again");
                }
                continue;
            };
            self.failures += 1;
            let pause = web::pause(asked, pause_after(self.failures), self.components.clock.now());
            again_at = Instant::now() + pause;
            self.components.activity.gauges.count_retry();
            match self.failures {
                1 => tracing::warn!(
                    url = %self.settings.url,
                    "lineage events are not taken, and are kept and sent again later: {problem}"
                ),
                _ => {
                    tracing::debug!(url = %self.settings.url, ?pause, "lineage events are still not taken: {problem}")
                }
            }
        }
    }

    /// Sends everything that is to be told, until the receiver does not take something that it may take later.
    async fn send_all(&self) -> anyhow::Result<Option<(String, Option<RetryAfter>)>> {
        loop {
            let state = &self.components.state;
            let page = with_retries(&self.components.patience, "asking what is to be told", || async {
                Ok(state.lineage_events(PAGE).await?)
            });
            let page = page.await.context("cannot read the lineage events")?;
            if page.is_empty() {
                return Ok(None);
            }
            for event in page {
                let body = with_retries(&self.components.patience, "reading a run", || self.event(&event));
                let answer = match body.await.context("cannot read the run of a lineage event")? {
                    Some(body) => self.send(&body).await,
                    None => Answer::Refused("the state database has the run no longer".to_owned()),
                };
                let is_dropped = match answer {
                    Answer::Taken => false,
                    Answer::Failed(problem, asked) => return Ok(Some((problem, asked))),
                    Answer::Refused(problem) => {
                        tracing::error!(
                            run_id = event.run_id,
                            event = event.kind.as_str(),
                            "a lineage event is dropped: {problem}"
                        );
                        true
                    }
                };
                let end = || async { Ok(state.end_lineage_event(event.event_id, is_dropped).await?) };
                with_retries(&self.components.patience, "noting what was told", end)
                    .await
                    .context("cannot note in the state database that a lineage event was sent")?;
            }
        }
    }

    /// Makes an event of what is known now.
    async fn event(&self, event: &LineageEvent) -> Result<Option<Value>, StepError> {
        let state = &self.components.state;
        let Some(run) = state.run(&event.run_id).await? else {
            return Ok(None);
        };
        let inputs = state.run_inputs(&event.run_id).await?;
        Ok(Some(lineage::event(
            &self.components.settings,
            &self.settings,
            event,
            &run,
            &inputs,
        )))
    }

    async fn send(&self, event: &Value) -> Answer {
        let mut request = self
            .client
            .post(self.settings.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(event.to_string());
        if let Ok(Some(key)) = self.settings.api_key() {
            request = request.bearer_auth(key);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Failed(causes::joined(&error.without_url().into(), ": "), None),
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Taken;
        }
        let asked = RetryAfter::of(&response);
        let said = response.text().await.unwrap_or_default();
        let said: String = said.chars().take(SAID).collect();
        let problem = format!("{status} {}", said.trim());
        match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Refused(problem)
            }
            // The key or the URL may be wrong, which a person can mend.
            _ => Answer::Failed(problem, asked),
        }
    }

    /// Says how many events were dropped because too many were kept.
    async fn tell_of_dropped(&mut self) -> anyhow::Result<()> {
        let state = &self.components.state;
        let dropped = with_retries(&self.components.patience, "asking what was dropped", || async {
            Ok(state.lineage_dropped().await?)
        });
        let dropped = dropped.await.context("cannot count the lineage events")?;
        if let Some(before) = self.dropped.filter(|before| *before < dropped) {
            tracing::warn!(
                events = dropped - before,
                url = %self.settings.url,
                "lineage events were dropped: the receiver refused them, or has taken none for so long that there were \
                 more than 10,000"
            );
        }
        self.dropped = Some(dropped);
        Ok(())
    }
}
