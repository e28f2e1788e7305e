//! The first stage: arrivals become conversions, many at once, and each conversion a record of its submission.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::{Captures, ConversionReport, FeedLayout, Scratch};
use gristmill_state::{SubmissionOutcome, SubmissionRecord, VersionRecord};
use gristmill_watcher::{Arrival, Event, Handle, Stamp};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::activity::Token;
use super::reading::{Files, Read, Reading};
use super::record::Recordable;
use super::retry::{StepError, with_retries};
use super::{Parts, crash_point, stopped};
use crate::lake::{Spooled, VersionObject};

/// Takes events until it is stopped or the watcher ends. Conversions in hand are finished.
pub(super) async fn convert_arrivals(
    parts: Arc<Parts>,
    watcher: Arc<Handle>,
    mut events: mpsc::Receiver<Event>,
    records: mpsc::Sender<Recordable>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut conversions = Conversions::new(parts.clone(), watcher, records.clone());
    let mut troubles = HashSet::new();
    loop {
        let event = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = conversions.tasks.join_next() => {
                conversions.ended(ended?).await?;
                continue;
            }
            event = events.recv() => event,
        };
        match event {
            None => break,
            Some(Event::Arrived(arrival)) => {
                let token = parts.activity.begin();
                parts.progress.file_arrived(arrival.stamp.bytes);
                conversions.take(arrival, token).await?;
            }
            Some(Event::Refused { name, reason }) => {
                if let Some(record) = refused(&parts, name, reason).await? {
                    let _ = records
                        .send(Recordable {
                            record,
                            token: parts.activity.begin(),
                        })
                        .await;
                }
            }
            Some(Event::Swept { listed, waiting }) => {
                tracing::debug!(listed, waiting, "listed the source");
                parts.activity.swept(waiting == 0);
            }
            Some(Event::Trouble { path, error }) => {
                tracing::warn!(path = %path.display(), "{error}");
                troubles.insert(path);
                parts.activity.tally.set_troubles(troubles.len());
            }
            Some(Event::Recovered { path }) => {
                tracing::info!(path = %path.display(), "the folder can be read again");
                troubles.remove(&path);
                parts.activity.tally.set_troubles(troubles.len());
            }
        }
    }
    while conversions.tasks.join_next().await.transpose()?.is_some() {}
    Ok(())
}

/// The conversions in hand. Of one file there is never more than one, so that its submissions are recorded in the order
/// of their arrival however long each takes.
struct Conversions {
    parts: Arc<Parts>,
    watcher: Arc<Handle>,
    records: mpsc::Sender<Recordable>,
    room: Arc<Semaphore>,
    /// Each ends with the path of its file.
    tasks: JoinSet<String>,
    /// The files in hand, and the newest arrival of each since.
    files: HashMap<String, Option<(Arrival, Token)>>,
}

impl Conversions {
    fn new(parts: Arc<Parts>, watcher: Arc<Handle>, records: mpsc::Sender<Recordable>) -> Self {
        let room = Arc::new(Semaphore::new(parts.threads));
        Self {
            parts,
            watcher,
            records,
            room,
            tasks: JoinSet::new(),
            files: HashMap::new(),
        }
    }

    /// Starts a conversion, or puts it off while the same file is in hand. Waits for room, which fills the channel of
    /// events and then holds up the watcher.
    async fn take(&mut self, arrival: Arrival, token: Token) -> anyhow::Result<()> {
        match self.files.entry(arrival.path.clone()) {
            Entry::Occupied(mut in_hand) => {
                in_hand.insert(Some((arrival, token)));
                Ok(())
            }
            Entry::Vacant(free) => {
                free.insert(None);
                self.start(arrival, token).await
            }
        }
    }

    /// Starts what was put off until this conversion had ended.
    async fn ended(&mut self, path: String) -> anyhow::Result<()> {
        match self.files.remove(&path).flatten() {
            Some((arrival, token)) => self.take(arrival, token).await,
            None => Ok(()),
        }
    }

    async fn start(&mut self, arrival: Arrival, token: Token) -> anyhow::Result<()> {
        let permit = self.room.clone().acquire_owned().await?;
        let (parts, watcher, records) = (self.parts.clone(), self.watcher.clone(), self.records.clone());
        let span = tracing::info_span!("file", path = arrival.path);
        let conversion = async move {
            let path = arrival.path.clone();
            take(&parts, &watcher, arrival, token, &records).await;
            drop(permit);
            path
        };
        self.tasks.spawn(conversion.instrument(span));
        Ok(())
    }
}

/// Converts one arrival and sends on what is to be recorded.
async fn take(
    parts: &Parts,
    watcher: &Handle,
    arrival: Arrival,
    token: Token,
    records: &mpsc::Sender<Recordable>,
) {
    let Some((feed, captures)) = parts.settings.feeds.of_file(&arrival.path) else {
        return;
    };
    let outcome = with_retries("the conversion", || convert_file(parts, feed, &arrival)).await;
    parts.progress.file_done();
    let outcome = match outcome {
        Ok(Outcome::Recorded(outcome)) => *outcome,
        Ok(Outcome::Gone) => {
            tracing::debug!("the file was gone before it could be read");
            return;
        }
        Ok(Outcome::Changed) => {
            tracing::debug!("the file changed while it was read; it is waited for");
            parts.activity.swept(false);
            watcher.look_again(&arrival.path);
            watcher.sweep_now();
            return;
        }
        Err(error) => SubmissionOutcome::Failed {
            error: error.to_string(),
        },
    };
    let record = submission(feed, captures, &arrival, outcome);
    // The recorder ends only after this stage, or with an error that ends the whole pipeline.
    let _ = records.send(Recordable { record, token }).await;
}

/// What came of reading a file.
enum Outcome {
    Recorded(Box<SubmissionOutcome>),
    /// It is no more.
    Gone,
    /// It is another file than the one that arrived.
    Changed,
}

async fn convert_file(
    parts: &Parts,
    feed: &Arc<FeedLayout>,
    arrival: &Arrival,
) -> Result<Outcome, StepError> {
    let known_size = parts
        .state
        .file(&arrival.path)
        .await?
        .and_then(|file| file.in_force)
        .is_some_and(|known| {
            known.version.bytes == arrival.stamp.bytes && known.version.layout_digest == feed.digest()
        });
    let reading = Reading {
        path: parts.settings.source.join(&arrival.path),
        stamp: arrival.stamp,
        feed: feed.clone(),
    };
    if known_size {
        // A file of the size that is in force often holds the same bytes; hashing them is cheaper than converting.
        let hashed = reading.clone();
        let hash = tokio::task::spawn_blocking(move || hashed.hash())
            .await
            .map_err(StepError::permanent)?;
        let content_hash = match hash? {
            Read::Whole(hash) => hash,
            Read::Gone => return Ok(Outcome::Gone),
            Read::Changed => return Ok(Outcome::Changed),
        };
        if parts
            .state
            .version_by_hash(&arrival.path, &content_hash, feed.digest())
            .await?
            .is_some()
        {
            let layout_digest = feed.digest().to_owned();
            let unchanged = SubmissionOutcome::Unchanged {
                content_hash,
                layout_digest,
            };
            parts.progress.bytes_read(arrival.stamp.bytes);
            return Ok(Outcome::Recorded(Box::new(unchanged)));
        }
    }
    let files = Files {
        converted: parts.lake.spool(),
        partial: parts.lake.spool(),
        rejects: parts.lake.spool(),
    };
    let progress = parts.progress.clone();
    let convert = parts.settings.convert;
    let folder = parts.lake.scratch();
    let converted = tokio::task::spawn_blocking(move || {
        let mut told = 0;
        let scratch = Scratch {
            folder: &folder,
            memory: convert.memory_limit.for_a_thread(),
        };
        let read = reading.convert(&files, convert.keep, scratch, |bytes| {
            progress.bytes_read(bytes - told);
            told = bytes;
        });
        read.map(|read| (read, files))
    });
    let (read, files) = converted.await.map_err(StepError::permanent)??;
    let (report, content_hash) = match read {
        Read::Whole(converted) => converted,
        Read::Gone => return Ok(Outcome::Gone),
        Read::Changed => return Ok(Outcome::Changed),
    };
    let known = parts
        .state
        .version_by_hash(&arrival.path, &content_hash, feed.digest())
        .await?;
    Ok(Outcome::Recorded(Box::new(match known {
        Some(_) => SubmissionOutcome::Unchanged {
            content_hash,
            layout_digest: feed.digest().to_owned(),
        },
        None => {
            let version = publish(parts, feed, &arrival.path, report, content_hash, files).await;
            SubmissionOutcome::Converted(version.map_err(StepError::transient)?)
        }
    })))
}

/// Puts the outputs of a conversion into the lake. A rejected file leaves only its rejects there.
async fn publish(
    parts: &Parts,
    feed: &FeedLayout,
    file_url: &str,
    report: ConversionReport,
    content_hash: String,
    files: Files,
) -> anyhow::Result<VersionRecord> {
    let put = async |kind: VersionObject, file: Spooled| -> anyhow::Result<Option<String>> {
        let object = kind.name(feed, file_url, &content_hash);
        parts.lake.publish(file, &object).await?;
        Ok(Some(object.to_string()))
    };
    let (mut converted, mut partial, mut reject_lines) = (None, None, None);
    if report.rejected_because.is_none() {
        if files.converted.path().exists() {
            converted = put(VersionObject::Converted, files.converted).await?;
        }
        crash_point("after-converted");
        if feed.sales().is_some() {
            partial = put(VersionObject::Partial, files.partial).await?;
            crash_point("after-partial");
        }
    }
    if report.rejects > 0 {
        reject_lines = put(VersionObject::Rejects, files.rejects).await?;
    }
    Ok(VersionRecord {
        content_hash,
        layout_digest: feed.digest().to_owned(),
        bytes: report.bytes,
        lines: report.lines,
        rows: report.rows,
        ignored: report.ignored,
        skipped: report.skipped,
        rejects: report.rejects,
        drift_lines: report.drift_lines,
        first_date: report.first_date,
        last_date: report.last_date,
        rejected_because: report.rejected_because,
        converted,
        partial,
        reject_lines,
    })
}

fn submission(
    feed: &FeedLayout,
    captures: Captures,
    arrival: &Arrival,
    outcome: SubmissionOutcome,
) -> SubmissionRecord {
    let Stamp {
        bytes,
        modified_ns,
        inode,
    } = arrival.stamp;
    SubmissionRecord {
        file_url: arrival.path.clone(),
        feed: feed.name.clone(),
        store_id: captures.store,
        business_date: captures.date,
        stamp: gristmill_state::Stamp {
            bytes,
            modified_ns,
            inode,
        },
        outcome,
    }
}

/// The record of a file whose name cannot be used, unless it stands in the state database already.
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
        inode: 0,
    };
    let arrival = Arrival { path: name, stamp };
    Ok(Some(submission(
        feed,
        captures,
        &arrival,
        SubmissionOutcome::Failed { error: reason },
    )))
}
