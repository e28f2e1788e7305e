//! The first stage: arrivals become conversions ([`conversions`](super::conversions)), many at once.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use gristmill_state::{SubmissionOutcome, SubmissionRecord};
use gristmill_watcher::{Arrival, Event, Stamp};
use tokio::sync::{mpsc, watch};

use super::conversions::Conversions;
use super::judge::ToJudge;
use super::recordable::{Recordable, submission};
use super::retry::with_retries;
use super::sources::{SourceEvent, Sources, to_state};
use super::unmatched::note_unmatched;
use super::{Components, stopped};

/// The most events that are received at a time.
const EVENTS: usize = 1024;

/// The characters that are kept of a path that is too long.
const SHORTENED: usize = 200;

/// Handles events until it is stopped or the watchers end. Conversions in progress are finished.
pub(super) async fn convert_arrivals(
    components: Arc<Components>,
    sources: Arc<Sources>,
    mut events: mpsc::Receiver<SourceEvent>,
    records: mpsc::Sender<Recordable>,
    judge: mpsc::Sender<ToJudge>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut conversions = Conversions::new(components.clone(), sources, records.clone(), judge).await?;
    let mut troubles = HashSet::new();
    let mut received = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            next = conversions.next() => {
                conversions.handle(next?).await?;
                continue;
            }
            count = events.recv_many(&mut received, EVENTS), if conversions.has_room_to_wait() => {
                if count == 0 {
                    break;
                }
            }
        }
        let mut restamped = Vec::new();
        for SourceEvent { source, event } in received.drain(..) {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    let place = &components.settings.sources[source].place;
                    bail!("no file of the source {place} would be seen any more: {error}");
                }
            };
            match with_short_paths(&components, event) {
                Event::Arrived(arrival) => {
                    let token = components.activity.begin();
                    components.progress.file_arrived(arrival.stamp.bytes);
                    conversions.take(arrival, token, false);
                }
                Event::Doubted(arrival) => {
                    let token = components.activity.begin();
                    components.progress.file_arrived(arrival.stamp.bytes);
                    conversions.take(arrival, token, true);
                }
                Event::Restamped(Arrival { path, stamp }) => restamped.push((path, to_state(stamp))),
                Event::Unmatched { files, is_all } => {
                    note_unmatched(&components, source, files, is_all).await?;
                }
                Event::Refused { name, reason } => {
                    if let Some(record) = refused(&components, name, reason).await? {
                        let token = components.activity.begin();
                        let recordable = Recordable {
                            record,
                            doubted: None,
                            token,
                        };
                        let _ = records.send(recordable).await;
                    }
                }
                Event::Swept { listed, waiting } => {
                    tracing::debug!(listed, waiting, "listed the source");
                    conversions.forget_the_gone().await?;
                    components.activity.swept(source, waiting == 0);
                    if components.activity.are_swept() {
                        conversions.forget_the_unread().await?;
                    }
                }
                Event::BadMessage { id, error } => {
                    tracing::warn!(id, "{error}");
                }
                Event::Trouble { path, error } => {
                    tracing::warn!(path = %path.display(), "{error}");
                    troubles.insert(path);
                    components.activity.tally.set_troubles(troubles.len());
                }
                Event::Recovered { path } => {
                    tracing::info!(path = %path.display(), "the folder can be read again");
                    troubles.remove(&path);
                    components.activity.tally.set_troubles(troubles.len());
                }
            }
        }
        if !restamped.is_empty() {
            with_retries(&components.patience, "completing stamps", || async {
                Ok(components.state.restamp(&restamped, false).await?)
            })
            .await
            .context("cannot complete stamps in the state database")?;
        }
    }
    conversions.finish().await
}

/// Refuses a file whose path the state database cannot hold. One that no feed matches is listed under the path's beginning.
fn with_short_paths(components: &Components, event: Event) -> Event {
    let refuses = |path: &str| components.state.place().refuses_path(path);
    match event {
        Event::Arrived(Arrival { path, stamp }) => match refuses(&path) {
            Some(reason) => Event::Refused { name: path, reason },
            None => Event::Arrived(Arrival { path, stamp }),
        },
        Event::Unmatched { mut files, is_all } => {
            for file in &mut files {
                if refuses(&file.path).is_some() {
                    file.path = shortened(&file.path);
                }
            }
            Event::Unmatched { files, is_all }
        }
        other => other,
    }
}

/// Makes the record of a file whose name cannot be used, unless the state database already has it.
async fn refused(
    components: &Components,
    name: String,
    reason: String,
) -> anyhow::Result<Option<SubmissionRecord>> {
    let Some((feed, captures)) = components.settings.feeds.of_file(&name) else {
        return Ok(None);
    };
    let path = match components.state.place().refuses_path(&name) {
        Some(_) => shortened(&name),
        None => name,
    };
    let known = with_retries(&components.patience, "looking up a refused file", || async {
        Ok(components.state.file(&path).await?)
    });
    let known = known.await.context("cannot look up a refused file")?;
    if known.is_some_and(|file| file.last_error.as_ref() == Some(&reason)) {
        return Ok(None);
    }
    let stamp = Stamp {
        bytes: 0,
        modified_ns: 0,
        identity: 0,
        changed_ns: None,
    };
    let arrival = Arrival { path, stamp };
    Ok(Some(submission(
        &feed,
        captures,
        &arrival,
        SubmissionOutcome::Failed { error: reason },
    )))
}

/// Returns what stands for a path that is too long to be recorded: its beginning, and a hash.
fn shortened(path: &str) -> String {
    let beginning: String = path.chars().take(SHORTENED).collect();
    format!("{beginning}…{}", &blake3::hash(path.as_bytes()).to_hex()[..16])
}
