//! The first stage: arrivals become conversions, many at once, and each conversion becomes a record of its submission.
//!
//! Small files that arrive close together are converted as a group, so that each of them does not cost a task, a query
//! to the state database and a sync to disk. A large file is a group of its own.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::{Captures, FeedLayout};
use gristmill_state::{SubmissionOutcome, SubmissionRecord};
use gristmill_watcher::{Arrival, Event, Stamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::activity::Token;
use super::conversion::{Outcome, convert_files};
use super::record::Recordable;
use super::retry::{StepError, with_retries};
use super::sources::{SourceEvent, Sources, to_state};
use super::unmatched::note_unmatched;
use super::{Parts, stopped};
use crate::guards;

/// Files up to this size are converted in groups. It is less than a thread reads at a time.
const SMALL: u64 = 128 << 10;

/// The most files in a group. After a crash, a whole group is converted again.
const GROUP: usize = 256;

/// The most events that are received at a time.
const EVENTS: usize = 1024;

/// Handles events until it is stopped or the watchers end. Conversions in progress are finished.
pub(super) async fn convert_arrivals(
    parts: Arc<Parts>,
    sources: Arc<Sources>,
    mut events: mpsc::Receiver<SourceEvent>,
    records: mpsc::Sender<Recordable>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut conversions = Conversions::new(parts.clone(), sources, records.clone());
    let mut troubles = HashSet::new();
    let mut received = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = conversions.tasks.join_next() => {
                conversions.ended(ended??).await?;
                continue;
            }
            permit = conversions.room.clone().acquire_owned(), if !conversions.small.is_empty() => {
                conversions.start_group(permit?);
                continue;
            }
            count = events.recv_many(&mut received, EVENTS), if conversions.small.len() < GROUP => {
                if count == 0 {
                    break;
                }
            }
        }
        let mut restamped = Vec::new();
        for SourceEvent { source, event } in received.drain(..) {
            match event {
                Event::Arrived(arrival) => {
                    let token = parts.activity.begin();
                    parts.progress.file_arrived(arrival.stamp.bytes);
                    conversions.take(arrival, token, false).await?;
                }
                Event::Doubted(arrival) => {
                    let token = parts.activity.begin();
                    parts.progress.file_arrived(arrival.stamp.bytes);
                    conversions.take(arrival, token, true).await?;
                }
                Event::Restamped(Arrival { path, stamp }) => restamped.push((path, to_state(stamp))),
                Event::Unmatched { files, is_all } => {
                    note_unmatched(&parts, source, files, is_all).await?;
                }
                Event::Refused { name, reason } => {
                    if let Some(record) = refused(&parts, name, reason).await? {
                        let token = parts.activity.begin();
                        let _ = records.send(Recordable { record, token }).await;
                    }
                }
                Event::Swept { listed, waiting } => {
                    tracing::debug!(listed, waiting, "listed the source");
                    parts.activity.swept(source, waiting == 0);
                }
                Event::BadMessage { id, error } => {
                    tracing::warn!(id, "{error}");
                }
                Event::Trouble { path, error } => {
                    tracing::warn!(path = %path.display(), "{error}");
                    troubles.insert(path);
                    parts.activity.tally.set_troubles(troubles.len());
                }
                Event::Recovered { path } => {
                    tracing::info!(path = %path.display(), "the folder can be read again");
                    troubles.remove(&path);
                    parts.activity.tally.set_troubles(troubles.len());
                }
            }
        }
        if !restamped.is_empty() {
            with_retries("completing stamps", || async {
                Ok(parts.state.restamp(&restamped, false).await?)
            })
            .await
            .context("cannot complete stamps in the state database")?;
        }
    }
    while conversions
        .tasks
        .join_next()
        .await
        .transpose()?
        .transpose()?
        .is_some()
    {}
    Ok(())
}

/// A file that has arrived, with what its name says.
pub(super) struct Arrived {
    pub(super) arrival: Arrival,
    pub(super) feed: Arc<FeedLayout>,
    /// Whether it counts as submitted only if its bytes are not those of its newest submission.
    pub(super) is_doubted: bool,
    captures: Captures,
    token: Token,
}

/// An arrival that waits until an earlier one of the same file is done.
struct Postponed {
    arrival: Arrival,
    token: Token,
    is_doubted: bool,
}

/// The result of a conversion task.
struct Ended {
    /// The files that are no longer in progress.
    paths: Vec<String>,
    /// The files that failed at their first attempt and are worth another.
    failed: Vec<(Arrived, StepError)>,
}

/// The conversions in progress. There is never more than one for the same file, so its submissions are recorded in the
/// order of their arrival, however long each takes.
struct Conversions {
    parts: Arc<Parts>,
    sources: Arc<Sources>,
    records: mpsc::Sender<Recordable>,
    room: Arc<Semaphore>,
    tasks: JoinSet<anyhow::Result<Ended>>,
    /// Small files that wait for their group.
    small: VecDeque<Arrived>,
    /// The files in progress, including those that wait for their group, and the newest arrival of each since.
    files: HashMap<String, Option<Postponed>>,
}

impl Conversions {
    fn new(parts: Arc<Parts>, sources: Arc<Sources>, records: mpsc::Sender<Recordable>) -> Self {
        let room = Arc::new(Semaphore::new(parts.max_conversions));
        Self {
            parts,
            sources,
            records,
            room,
            tasks: JoinSet::new(),
            small: VecDeque::new(),
            files: HashMap::new(),
        }
    }

    /// Starts a conversion, adds a small file to the next group, or postpones it while the same file is in progress.
    /// Waits for room; meanwhile the event channel fills up, which holds up the watcher.
    async fn take(&mut self, arrival: Arrival, token: Token, is_doubted: bool) -> anyhow::Result<()> {
        let Some((feed, captures)) = self.parts.settings.feeds.of_file(&arrival.path) else {
            return Ok(());
        };
        match self.files.entry(arrival.path.clone()) {
            Entry::Occupied(mut in_progress) => {
                let before = in_progress.get().as_ref();
                let is_doubted = is_doubted && before.is_none_or(|before| before.is_doubted);
                in_progress.insert(Some(Postponed {
                    arrival,
                    token,
                    is_doubted,
                }));
                return Ok(());
            }
            Entry::Vacant(free) => free.insert(None),
        };
        let is_small = arrival.stamp.bytes <= SMALL;
        let arrived = Arrived {
            arrival,
            feed: feed.clone(),
            is_doubted,
            captures,
            token,
        };
        if is_small {
            self.small.push_back(arrived);
        } else {
            let permit = self.room.clone().acquire_owned().await?;
            self.start(vec![arrived], permit);
        }
        Ok(())
    }

    /// Frees the files that are done, starts arrivals that were postponed until then, and retries what failed.
    async fn ended(&mut self, ended: Ended) -> anyhow::Result<()> {
        for (arrived, error) in ended.failed {
            self.try_again(arrived, error);
        }
        for path in ended.paths {
            if let Some(Postponed {
                arrival,
                token,
                is_doubted,
            }) = self.files.remove(&path).flatten()
            {
                self.take(arrival, token, is_doubted).await?;
            }
        }
        Ok(())
    }

    fn start_group(&mut self, permit: OwnedSemaphorePermit) {
        let group = self.small.drain(..self.small.len().min(GROUP)).collect();
        self.start(group, permit);
    }

    fn start(&mut self, group: Vec<Arrived>, permit: OwnedSemaphorePermit) {
        let (parts, sources, records) = (self.parts.clone(), self.sources.clone(), self.records.clone());
        self.tasks.spawn(async move {
            let outcomes = convert_files(&parts, &group).await?;
            drop(permit);
            let (mut paths, mut failed) = (Vec::new(), Vec::new());
            for (arrived, outcome) in group.into_iter().zip(outcomes) {
                match outcome {
                    Err(error) if error.is_transient() => failed.push((arrived, error)),
                    outcome => {
                        paths.push(arrived.arrival.path.clone());
                        send_on(&parts, &sources, &records, arrived, outcome).await;
                    }
                }
            }
            Ok(Ended { paths, failed })
        });
    }

    /// Retries a failed conversion by itself. The other files of its group do not wait for it.
    fn try_again(&mut self, arrived: Arrived, error: StepError) {
        let (parts, sources, records) = (self.parts.clone(), self.sources.clone(), self.records.clone());
        let room = self.room.clone();
        let span = tracing::info_span!("file", path = arrived.arrival.path);
        let again = async move {
            let first = std::sync::Mutex::new(Some(error));
            let outcome = with_retries("the conversion", || async {
                if let Some(error) = first.lock().ok().and_then(|mut first| first.take()) {
                    return Err(error);
                }
                let _permit = room.acquire().await.map_err(StepError::permanent)?;
                let outcomes = convert_files(&parts, std::slice::from_ref(&arrived)).await;
                let outcome = outcomes.map_err(StepError::permanent)?.pop();
                outcome.unwrap_or(Ok(Outcome::Gone))
            })
            .await;
            let paths = vec![arrived.arrival.path.clone()];
            send_on(&parts, &sources, &records, arrived, outcome).await;
            Ok(Ended {
                paths,
                failed: Vec::new(),
            })
        };
        self.tasks.spawn(again.instrument(span));
    }
}

/// Passes on the record of a conversion, if there is something to record.
async fn send_on(
    parts: &Parts,
    sources: &Sources,
    records: &mpsc::Sender<Recordable>,
    arrived: Arrived,
    outcome: Result<Outcome, StepError>,
) {
    parts.progress.file_done();
    let Arrived {
        arrival,
        feed,
        is_doubted,
        captures,
        token,
    } = arrived;
    let path = arrival.path.as_str();
    let outcome = match outcome {
        Ok(Outcome::Recorded(outcome)) => *outcome,
        Ok(Outcome::Gone) => {
            tracing::debug!(path, "the file was gone before it could be read");
            sources.recorded(path, arrival.stamp);
            return;
        }
        Ok(Outcome::Same) => {
            tracing::debug!(path, "the file has the bytes of its newest submission");
            sources.recorded(path, arrival.stamp);
            return;
        }
        Ok(Outcome::Unanswered) => {
            tracing::debug!(
                path,
                "the file could not be read now: the next listing finds it again"
            );
            parts.activity.tally.count_unanswered();
            sources.unread(path, is_doubted);
            return;
        }
        Ok(Outcome::Changed) => {
            tracing::debug!(
                path,
                "the file changed while it was read; it is read again once it has settled"
            );
            sources.wait_for(path, &parts.activity);
            return;
        }
        Err(error) => SubmissionOutcome::Failed {
            error: error.to_string(),
        },
    };
    let record = submission(&feed, captures, &arrival, outcome);
    // The record stage ends only after this one, or with an error that ends the whole pipeline.
    let _ = records.send(Recordable { record, token }).await;
}

fn submission(
    feed: &FeedLayout,
    captures: Captures,
    arrival: &Arrival,
    outcome: SubmissionOutcome,
) -> SubmissionRecord {
    SubmissionRecord {
        file_url: arrival.path.clone(),
        feed: feed.name.clone(),
        store_id: captures.store,
        business_date: captures.date,
        stamp: to_state(arrival.stamp),
        guards: guards::of_feed(feed),
        outcome,
    }
}

/// Makes the record of a file whose name cannot be used, unless the state database already has it.
async fn refused(parts: &Parts, name: String, reason: String) -> anyhow::Result<Option<SubmissionRecord>> {
    let Some((feed, captures)) = parts.settings.feeds.of_file(&name) else {
        return Ok(None);
    };
    let known = parts
        .state
        .file(&name)
        .await
        .context("cannot look up a refused file")?;
    if known.is_some_and(|file| file.last_error.as_ref() == Some(&reason)) {
        return Ok(None);
    }
    let stamp = Stamp {
        bytes: 0,
        modified_ns: 0,
        identity: 0,
        changed_ns: None,
    };
    let arrival = Arrival { path: name, stamp };
    Ok(Some(submission(
        &feed,
        captures,
        &arrival,
        SubmissionOutcome::Failed { error: reason },
    )))
}
