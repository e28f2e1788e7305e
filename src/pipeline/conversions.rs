//! The conversions in progress, and those that wait for their turn.
//!
//! Small files that arrive close together are converted as a group, so that each of them does not cost a task, a query
//! to the state database and a sync to disk. A large file is a group of its own.
//!
//! A file that an outage keeps from being converted is no failure: it waits, and its jobs wait for it
//! ([`waiting`](super::waiting)). A file during whose conversion the process died is a suspect: it is converted alone,
//! one suspect after the other, so that of a group only the culprit is ever to blame. After the third time it is FAILED.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gristmill_engine::{Captures, FeedLayout};
use gristmill_state::{SubmissionOutcome, WaitKind, WaitingFile};
use gristmill_watcher::Arrival;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Parts;
use super::activity::Token;
use super::conversion::{Outcome, content, convert_files};
use super::intake::submission;
use super::panics::contained;
use super::record::Recordable;
use super::retry::{StepError, with_retries};
use super::sources::{Sources, to_state};
use super::waiting::{Failed, WaitingFiles};

/// Files up to this size are converted in groups. It is less than a thread reads at a time.
const SMALL: u64 = 128 << 10;

/// The most files in a group. After a crash, a whole group is converted again.
const GROUP: usize = 256;

/// No more files are received while so many large ones wait for room.
const LARGE: usize = 16;

/// How often a process may die while it converts a file.
const MOST_ATTEMPTS: u32 = 3;

/// A file that has arrived, with what its name says.
pub(super) struct Arrived {
    pub(super) arrival: Arrival,
    pub(super) feed: Arc<FeedLayout>,
    /// Whether it counts as submitted only if its bytes are not those of its newest submission.
    pub(super) is_doubted: bool,
    pub(super) captures: Captures,
    /// How often it has failed in this process.
    pub(super) failures: u32,
    /// Whether it is to be converted by itself: a group that it was in has failed as a whole.
    is_alone: bool,
    /// Whether it was tried to find out if there is room again.
    pub(super) is_probe: bool,
    token: Token,
}

/// An arrival that waits until an earlier one of the same file is done.
struct Postponed {
    arrival: Arrival,
    token: Token,
    is_doubted: bool,
}

/// The result of a conversion task.
pub(super) struct Ended {
    /// The files that are no longer in progress.
    paths: Vec<String>,
    /// The files that are tried again after a pause.
    failed: Vec<Failed>,
    /// The files that are tried again at once, each by itself.
    alone: Vec<Arrived>,
    was_suspect: bool,
    /// What was found out of the room, if that was to be found out.
    probed: Option<bool>,
}

/// What is next.
pub(super) enum Next {
    Ended(Ended),
    Room(OwnedSemaphorePermit),
    Due,
}

/// The conversions in progress. There is never more than one for the same file, so its submissions are recorded in the
/// order of their arrival, however long each takes.
pub(super) struct Conversions {
    parts: Arc<Parts>,
    sources: Arc<Sources>,
    records: mpsc::Sender<Recordable>,
    room: Arc<Semaphore>,
    tasks: JoinSet<anyhow::Result<Ended>>,
    /// Small files that wait for their group.
    small: VecDeque<Arrived>,
    /// Files that are converted by themselves.
    large: VecDeque<Arrived>,
    /// Whether a large file is next, if there are both.
    large_is_next: bool,
    suspects: VecDeque<Arrived>,
    is_suspect_in_progress: bool,
    /// The files in progress, including all that wait, and the newest arrival of each since.
    files: HashMap<String, Option<Postponed>>,
    waiting: WaitingFiles,
    /// The files with which an earlier process has died, as they were then, and how often.
    attempts: HashMap<String, (gristmill_state::Stamp, u32)>,
    /// Whether the state database may name files that wait and are not among `files`.
    may_be_gone: bool,
}

impl Conversions {
    pub(super) async fn new(
        parts: Arc<Parts>,
        sources: Arc<Sources>,
        records: mpsc::Sender<Recordable>,
    ) -> anyhow::Result<Self> {
        let attempts = with_retries(&parts.patience, "reading the attempts at files", || async {
            Ok(parts.state.attempts().await?)
        });
        let attempts = attempts.await.context("cannot read the attempts at files")?;
        let room = Arc::new(Semaphore::new(parts.max_conversions));
        Ok(Self {
            parts,
            sources,
            records,
            room,
            tasks: JoinSet::new(),
            small: VecDeque::new(),
            large: VecDeque::new(),
            large_is_next: true,
            suspects: VecDeque::new(),
            is_suspect_in_progress: false,
            files: HashMap::new(),
            waiting: WaitingFiles::default(),
            attempts,
            may_be_gone: true,
        })
    }

    /// Returns whether more files may come.
    pub(super) fn has_room_to_wait(&self) -> bool {
        self.small.len() < GROUP && self.large.len() < LARGE
    }

    /// Waits for the end of a conversion, the end of a pause, or for room to start a conversion. Dropping it loses
    /// nothing.
    pub(super) async fn next(&mut self) -> anyhow::Result<Next> {
        let has_suspect = !self.is_suspect_in_progress && !self.suspects.is_empty();
        let has_next = has_suspect || !self.large.is_empty() || !self.small.is_empty();
        let due = self.waiting.next_due();
        let room = self.room.clone();
        tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next() => Ok(Next::Ended(ended??)),
            permit = room.acquire_owned(), if has_next => Ok(Next::Room(permit?)),
            () = sleep_until(due), if due.is_some() => Ok(Next::Due),
            else => std::future::pending().await,
        }
    }

    /// Does what is next.
    pub(super) async fn handle(&mut self, next: Next) -> anyhow::Result<()> {
        match next {
            Next::Ended(ended) => self.ended(ended).await,
            Next::Room(permit) => {
                self.start_next(permit);
                Ok(())
            }
            Next::Due => {
                for arrived in self.waiting.take_due(Instant::now()) {
                    self.enqueue(arrived);
                }
                Ok(())
            }
        }
    }

    /// Finishes the conversions in progress.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Adds an arrival to those that wait for their turn, or postpones it while the same file is in progress.
    pub(super) fn take(&mut self, arrival: Arrival, token: Token, is_doubted: bool) {
        let Some((feed, captures)) = self.parts.settings.feeds.of_file(&arrival.path) else {
            return;
        };
        let (feed, path) = (feed.clone(), arrival.path.clone());
        if let Some(newest) = self.files.get_mut(&path) {
            let is_doubted = is_doubted && newest.as_ref().is_none_or(|before| before.is_doubted);
            *newest = Some(Postponed {
                arrival,
                token,
                is_doubted,
            });
            // What waits is not what is there now, so it need not be tried any more.
            if self.waiting.remove(&path) {
                self.take_postponed(&path);
            }
            return;
        }
        self.files.insert(path, None);
        self.enqueue(Arrived {
            arrival,
            feed,
            is_doubted,
            captures,
            failures: 0,
            is_alone: false,
            is_probe: false,
            token,
        });
    }

    fn enqueue(&mut self, arrived: Arrived) {
        if self.attempts_at(&arrived) > 0 {
            self.suspects.push_back(arrived);
        } else if arrived.is_alone || arrived.is_probe || arrived.arrival.stamp.bytes > SMALL {
            self.large.push_back(arrived);
        } else {
            self.small.push_back(arrived);
        }
    }

    /// How often the process has died with just this file.
    fn attempts_at(&self, arrived: &Arrived) -> u32 {
        let now = to_state(arrived.arrival.stamp);
        let known = self.attempts.get(&arrived.arrival.path);
        let known = known.filter(|(stamp, _)| {
            (stamp.bytes, stamp.modified_ns, stamp.inode) == (now.bytes, now.modified_ns, now.inode)
        });
        known.map_or(0, |(_, attempts)| *attempts)
    }

    /// Frees the files that are done, starts arrivals that were postponed until then, and has others tried again.
    async fn ended(&mut self, ended: Ended) -> anyhow::Result<()> {
        let Ended {
            paths,
            failed,
            alone,
            was_suspect,
            probed,
        } = ended;
        if was_suspect {
            self.is_suspect_in_progress = false;
        }
        if let Some(has_room) = probed {
            for arrived in self.waiting.probed(has_room) {
                self.enqueue(arrived);
            }
        }
        for arrived in alone {
            self.attempts.remove(&arrived.arrival.path);
            self.enqueue(arrived);
        }
        for failed in failed {
            let path = failed.arrived.arrival.path.clone();
            self.attempts.remove(&path);
            if !self
                .parts
                .patience
                .tries_again(&failed.error, failed.arrived.failures)
            {
                tracing::error!(
                    path,
                    "cannot be converted now, and waits for the next start: {}",
                    failed.error
                );
                let others = match failed.error.is_of_room() {
                    true => self.waiting.give_up_room(),
                    false => Vec::new(),
                };
                for path in others.into_iter().chain([path]) {
                    self.parts.activity.tally.count_file_waiting();
                    self.take_postponed(&path);
                }
            } else if self.files.get(&path).is_some_and(Option::is_some) {
                self.take_postponed(&path);
            } else {
                self.waiting.add(failed);
            }
        }
        if let Some((files, pause)) = self.waiting.put_off() {
            note_waiting(&self.parts, &files, pause).await?;
        }
        for path in paths {
            self.attempts.remove(&path);
            self.take_postponed(&path);
        }
        Ok(())
    }

    /// Frees a file, and takes the arrival that waited for that.
    fn take_postponed(&mut self, path: &str) {
        if let Some(Postponed {
            arrival,
            token,
            is_doubted,
        }) = self.files.remove(path).flatten()
        {
            self.take(arrival, token, is_doubted);
        }
    }

    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        if !self.is_suspect_in_progress
            && let Some(suspect) = self.suspects.pop_front()
        {
            self.is_suspect_in_progress = true;
            let attempts = self.attempts_at(&suspect);
            self.start(vec![suspect], permit, Some(attempts));
            return;
        }
        let large = match self.large_is_next || self.small.is_empty() {
            true => self.large.pop_front(),
            false => None,
        };
        self.large_is_next = large.is_none();
        let group: Vec<_> = match large {
            Some(large) => vec![large],
            None => self.small.drain(..self.small.len().min(GROUP)).collect(),
        };
        if !group.is_empty() {
            self.start(group, permit, None);
        }
    }

    /// Starts to convert a group. `attempts` is how often the process has died with a suspect.
    fn start(&mut self, group: Vec<Arrived>, permit: OwnedSemaphorePermit, attempts: Option<u32>) {
        let (parts, sources, records) = (self.parts.clone(), self.sources.clone(), self.records.clone());
        self.tasks.spawn(async move {
            let outcomes = match attempts.filter(|attempts| *attempts >= MOST_ATTEMPTS) {
                Some(attempts) => vec![Err(kills(attempts))],
                None => {
                    note_attempts(&parts, &group).await?;
                    match contained(convert_files(&parts, &group)).await {
                        Ok(outcomes) => outcomes?,
                        Err(panicked) => {
                            let error = StepError::permanent(panicked);
                            group.iter().map(|_| Err(error.of_group())).collect()
                        }
                    }
                }
            };
            drop(permit);
            if attempts.is_some() {
                // Before the next suspect may end the process: what of this one is not recorded by then is no proof.
                end_attempts(&parts, &[group[0].arrival.path.as_str()]).await?;
            }
            let Sorted { mut ended, done } = sort(group, outcomes);
            note_ends(&parts, &ended, &done).await?;
            for (arrived, outcome) in done {
                ended.paths.push(arrived.arrival.path.clone());
                send_on(&parts, &sources, &records, arrived, outcome).await;
            }
            ended.was_suspect = attempts.is_some();
            Ok(ended)
        });
    }

    /// Forgets the files that waited for an earlier process, or for this one, and have left their source meanwhile.
    pub(super) async fn forget_the_gone(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.may_be_gone) && self.waiting.is_empty() {
            return Ok(());
        }
        let state = &self.parts.state;
        let waiting = with_retries(&self.parts.patience, "asking what waits", || async {
            Ok(state.waiting().await?)
        });
        let waiting = waiting
            .await
            .context("cannot ask the state database what waits")?;
        let mut gone = Vec::new();
        for file in waiting.into_iter().filter(|waits| waits.kind == WaitKind::File) {
            let file = file.subject;
            if self.files.contains_key(&file) {
                continue;
            }
            let is_wanted = self.parts.settings.feeds.of_file(&file).is_some();
            // A source that does not answer may still have the file.
            match content(&self.parts, &file).exists().await {
                Ok(true) if is_wanted => self.may_be_gone = true,
                Ok(_) => gone.push(file),
                Err(_) => self.may_be_gone = true,
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        with_retries(&self.parts.patience, "forgetting files that are gone", || async {
            Ok(state.end_waiting(WaitKind::File, &gone).await?)
        })
        .await
        .context("cannot forget in the state database the files that are gone")
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn kills(attempts: u32) -> StepError {
    StepError::permanent(anyhow::anyhow!(
        "the process died {attempts} times while it converted this file: it may need more memory than there is; look \
         for the cause in the system's log, then run `gristmill retry`"
    ))
}

/// Records that the files are being converted, so that a process that dies meanwhile knows of it.
async fn note_attempts(parts: &Parts, group: &[Arrived]) -> anyhow::Result<()> {
    let files: Vec<_> = group
        .iter()
        .map(|arrived| (arrived.arrival.path.as_str(), to_state(arrived.arrival.stamp)))
        .collect();
    with_retries(&parts.patience, "recording attempts", || async {
        Ok(parts.state.begin_attempts(&files).await?)
    })
    .await
    .context("cannot record attempts at files in the state database")
}

/// Records that attempts have ended without killing the process.
async fn end_attempts(parts: &Parts, files: &[&str]) -> anyhow::Result<()> {
    with_retries(&parts.patience, "recording attempts", || async {
        Ok(parts.state.end_attempts(files).await?)
    })
    .await
    .context("cannot record attempts at files in the state database")
}

/// A file whose conversion has ended, and how.
type Done = (Arrived, Result<Outcome, StepError>);

/// What came of a group.
struct Sorted {
    ended: Ended,
    done: Vec<Done>,
}

fn sort(group: Vec<Arrived>, outcomes: Vec<Result<Outcome, StepError>>) -> Sorted {
    let mut ended = Ended {
        paths: Vec::new(),
        failed: Vec::new(),
        alone: Vec::new(),
        was_suspect: false,
        probed: None,
    };
    let mut done = Vec::new();
    let is_group = group.len() > 1;
    for (mut arrived, outcome) in group.into_iter().zip(outcomes) {
        if std::mem::take(&mut arrived.is_probe) {
            let has_room = match &outcome {
                Ok(outcome) => matches!(outcome, Outcome::Recorded(_)),
                Err(error) => !error.is_of_room(),
            };
            ended.probed = Some(has_room);
        }
        let error = match outcome {
            Err(error) => error,
            Ok(outcome) => {
                done.push((arrived, Ok(outcome)));
                continue;
            }
        };
        // Of a group that failed as a whole, each is tried by itself, unless there was no room for any.
        if is_group && error.is_of_group() && !error.is_of_room() {
            arrived.is_alone = true;
            ended.alone.push(arrived);
            continue;
        }
        arrived.failures += 1;
        match error.is_worth_another(arrived.failures) {
            true => ended.failed.push(Failed::new(arrived, error)),
            false => done.push((arrived, Err(error))),
        }
    }
    Sorted { ended, done }
}

/// Records what has ended without a submission. What waits must be known before the others of its group are: otherwise
/// a job could run without it.
async fn note_ends(parts: &Parts, ended: &Ended, done: &[Done]) -> anyhow::Result<()> {
    let without_record = done
        .iter()
        .filter(|(_, outcome)| {
            outcome
                .as_ref()
                .is_ok_and(|outcome| !matches!(outcome, Outcome::Recorded(_)))
        })
        .map(|(arrived, _)| arrived);
    let over: Vec<&str> = without_record
        .clone()
        .chain(&ended.alone)
        .map(|arrived| arrived.arrival.path.as_str())
        .collect();
    if !over.is_empty() {
        end_attempts(parts, &over).await?;
    }
    let waited: Vec<String> = without_record
        .filter(|arrived| arrived.failures > 0)
        .map(|arrived| arrived.arrival.path.clone())
        .collect();
    if !waited.is_empty() {
        with_retries(&parts.patience, "recording the end of waiting", || async {
            Ok(parts.state.end_waiting(WaitKind::File, &waited).await?)
        })
        .await
        .context("cannot record in the state database what waits no longer")?;
    }
    let failed = &ended.failed;
    for failed in failed {
        let path = failed.arrived.arrival.path.as_str();
        let pause = failed.pause;
        tracing::warn!(
            path,
            ?pause,
            "the conversion failed and will be tried again: {}",
            failed.error
        );
    }
    let Some(longest) = failed.iter().map(|failed| failed.pause).max() else {
        return Ok(());
    };
    let files: Vec<_> = failed.iter().map(Failed::as_waiting).collect();
    note_waiting(parts, &files, longest).await
}

async fn note_waiting(parts: &Parts, files: &[WaitingFile], pause: Duration) -> anyhow::Result<()> {
    let next_try = parts.after(pause);
    with_retries(&parts.patience, "recording what waits", || async {
        Ok(parts.state.note_waiting_files(files, next_try).await?)
    })
    .await
    .context("cannot record in the state database which files wait")
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
        ..
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
        Ok(Outcome::Stopped) => {
            tracing::debug!(path, "the file is left for the next start");
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
