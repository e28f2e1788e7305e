//! The conversions in progress, and those that wait for their turn.
//!
//! Small files that arrive close together are converted as a group, so that each of them does not cost a task, a query
//! to the state database and a sync to disk. A large file is a group of its own.
//!
//! A file that an outage keeps from being converted is no failure: it waits, and its jobs wait for it
//! ([`waiting`](super::waiting)). A file during whose conversion the process died is a suspect: it is converted alone,
//! one suspect after the other, so that of a group only the culprit is ever to blame. After the third time it is FAILED.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::Captures;
use gristmill_state::{WaitKind, WorkerRole};
use gristmill_watcher::Arrival;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Components;
use super::activity::Token;
use super::archives::unpack;
use super::arrived::Arrived;
use super::conversion::{content, convert_files};
use super::delegation::{By, Ending, Room, convert_by_worker, room_with_worker};
use super::judge::ToJudge;
use super::outcomes::{
    Done, Ended, Sorted, end_attempts, kills, note_attempts, note_ends, note_waiting, send_on, sort,
};
use super::panics::contained;
use super::recordable::Recordable;
use super::retry::{StepError, with_retries};
use super::sources::{Sources, to_state};
use super::steps::Outcome;
use super::waiting::WaitingFiles;

/// Files up to this size are converted in groups. It is less than a thread reads at a time.
const SMALL: u64 = 128 << 10;

/// The most files in a group. After a crash, a whole group is converted again.
const GROUP: usize = 256;

/// No more files are received while so many large ones wait for room.
const LARGE: usize = 16;

/// How often a process may die while it converts a file.
const MOST_ATTEMPTS: u32 = 3;

/// An arrival that waits until an earlier one of the same file is done.
struct Postponed {
    arrival: Arrival,
    token: Token,
    is_doubted: bool,
}

/// What is next.
pub(super) enum Next {
    Ended(Ended),
    Room(Room),
    Due,
}

/// The conversions in progress. There is never more than one for the same file, so its submissions are recorded in the
/// order of their arrival, however long each takes.
pub(super) struct Conversions {
    components: Arc<Components>,
    sources: Arc<Sources>,
    records: mpsc::Sender<Recordable>,
    /// Jobs that waited for a file may run once it waits no longer.
    judge: mpsc::Sender<ToJudge>,
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
    /// The files that were submitted, and had changed when they were read: their next arrival is a submission.
    submitted: HashSet<String>,
    waiting: WaitingFiles,
    /// The files with which an earlier process, or a worker, has died, as they were then, and how often.
    attempts: HashMap<String, (gristmill_state::Stamp, u32)>,
    /// Whether the state database may name files that wait and are not among `files`.
    may_be_gone: bool,
}

impl Conversions {
    pub(super) async fn new(
        components: Arc<Components>,
        sources: Arc<Sources>,
        records: mpsc::Sender<Recordable>,
        judge: mpsc::Sender<ToJudge>,
    ) -> anyhow::Result<Self> {
        let attempts = with_retries(&components.patience, "reading the attempts at files", || async {
            Ok(components.state.attempts().await?)
        });
        let attempts = attempts.await.context("cannot read the attempts at files")?;
        let room = Arc::new(Semaphore::new(components.max_conversions));
        Ok(Self {
            components,
            sources,
            records,
            judge,
            room,
            tasks: JoinSet::new(),
            small: VecDeque::new(),
            large: VecDeque::new(),
            large_is_next: true,
            suspects: VecDeque::new(),
            is_suspect_in_progress: false,
            files: HashMap::new(),
            submitted: HashSet::new(),
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
            permit = room.acquire_owned(), if has_next => Ok(Next::Room(Room::here(permit?))),
            room = room_with_worker(&self.components, WorkerRole::Convert), if self.has_next_for_worker() => {
                Ok(Next::Room(room))
            }
            () = sleep_until(due), if due.is_some() => Ok(Next::Due),
            else => std::future::pending().await,
        }
    }

    /// Does what is next.
    pub(super) async fn handle(&mut self, next: Next) -> anyhow::Result<()> {
        match next {
            Next::Ended(ended) => self.ended(ended).await,
            Next::Room(room) => {
                self.start_next(room);
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
        let feeds = &self.components.settings.feeds;
        let of_feed = feeds.of_file(&arrival.path);
        let is_archive = of_feed.is_none();
        let of_feed = of_feed.or_else(|| Some((feeds.of_archive(&arrival.path)?, Captures::default())));
        let Some((feed, captures)) = of_feed else {
            return;
        };
        let path = arrival.path.clone();
        // Whoever looked at it could not know that nothing had come of what was submitted.
        let is_doubted = is_doubted && !self.submitted.contains(&path);
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
        self.submitted.remove(&path);
        self.files.insert(path, None);
        self.enqueue(Arrived {
            is_doubted,
            is_archive,
            ..Arrived::new(arrival, feed, captures, token)
        });
    }

    fn enqueue(&mut self, arrived: Arrived) {
        if self.attempts_at(&arrived) > 0 {
            self.suspects.push_back(arrived);
        } else if arrived.is_alone
            || arrived.is_archive
            || arrived.is_probe
            || arrived.arrival.stamp.bytes > SMALL
        {
            self.large.push_back(arrived);
        } else {
            self.small.push_back(arrived);
        }
        self.note_queue();
    }

    fn note_queue(&self) {
        let files = self.small.len() + self.large.len() + self.suspects.len();
        self.components.activity.gauges.set_to_convert(files);
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
            changed,
            failed,
            alone,
            was_suspect,
            probed,
            again,
            suspects,
        } = ended;
        for suspect in suspects {
            let attempts = self.attempts_at(&suspect) + 1;
            let stamp = to_state(suspect.arrival.stamp);
            self.attempts
                .insert(suspect.arrival.path.clone(), (stamp, attempts));
            self.enqueue(suspect);
        }
        for arrived in again {
            self.enqueue(arrived);
        }
        if was_suspect {
            self.is_suspect_in_progress = false;
        }
        if let Some(has_room) = probed {
            for arrived in self.waiting.probed(has_room) {
                self.enqueue(arrived);
            }
        }
        for mut arrived in alone {
            self.attempts.remove(&arrived.arrival.path);
            if let Some(feed) = self
                .components
                .settings
                .feeds
                .archives()
                .filter(|_| arrived.is_archive)
            {
                arrived.feed = feed.clone();
                arrived.captures = Captures::default();
            }
            self.enqueue(arrived);
        }
        for failed in failed {
            let path = failed.arrived.arrival.path.clone();
            self.attempts.remove(&path);
            if !self
                .components
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
                    self.components.activity.tally.count_file_waiting();
                    self.take_postponed(&path);
                }
            } else if self.files.get(&path).is_some_and(Option::is_some) {
                self.take_postponed(&path);
            } else {
                self.components.activity.gauges.count_retry();
                self.waiting.add(failed);
            }
        }
        if let Some((files, pause)) = self.waiting.put_off() {
            note_waiting(&self.components, &files, pause).await?;
        }
        self.submitted.extend(changed);
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

    /// Returns whether something waits that a worker can convert.
    fn has_next_for_worker(&self) -> bool {
        self.small.iter().any(can_be_handed_out) || self.large.front().is_some_and(can_be_handed_out)
    }

    /// Takes the next small files that a worker can convert.
    fn small_for_worker(&mut self) -> Vec<Arrived> {
        let (mut group, mut rest) = (Vec::new(), VecDeque::new());
        for arrived in self.small.drain(..) {
            match group.len() < GROUP && can_be_handed_out(&arrived) {
                true => group.push(arrived),
                false => rest.push_back(arrived),
            }
        }
        self.small = rest;
        group
    }

    fn start_next(&mut self, room: Room) {
        let is_here = room.by() == By::Service;
        if is_here
            && !self.is_suspect_in_progress
            && let Some(suspect) = self.suspects.pop_front()
        {
            self.is_suspect_in_progress = true;
            let attempts = self.attempts_at(&suspect);
            self.start(vec![suspect], room, Some(attempts));
            return;
        }
        let large = match self.large_is_next || self.small.is_empty() {
            true => self
                .large
                .pop_front_if(|large| is_here || can_be_handed_out(large)),
            false => None,
        };
        self.large_is_next = large.is_none();
        let group: Vec<_> = match large {
            Some(large) => vec![large],
            None if is_here => self.small.drain(..self.small.len().min(GROUP)).collect(),
            None => self.small_for_worker(),
        };
        if !group.is_empty() {
            self.start(group, room, None);
        }
    }

    /// Starts to convert a group. `attempts` is how often the process has died with a suspect.
    fn start(&mut self, group: Vec<Arrived>, room: Room, attempts: Option<u32>) {
        self.note_queue();
        let (components, sources, records) = (
            self.components.clone(),
            self.sources.clone(),
            self.records.clone(),
        );
        let judge = self.judge.clone();
        self.tasks.spawn(async move {
            let mut group = group;
            let mut again = Vec::new();
            let outcomes = match attempts.filter(|attempts| *attempts >= MOST_ATTEMPTS) {
                Some(attempts) => vec![Err(kills(attempts))],
                None => {
                    note_attempts(&components, &group).await?;
                    match room.by() {
                        By::Service => convert_here(&components, &records, &group).await?,
                        By::Worker => {
                            let outcomes = match convert_by_worker(&components, &group).await {
                                Ending::Done(outcomes) => outcomes,
                                Ending::NotDone { worker_died: true } => {
                                    return Ok(Ended::with_worker(group));
                                }
                                Ending::NotDone { worker_died: false } => {
                                    group.iter().map(|_| None).collect()
                                }
                            };
                            let (done, not_done) = divide(group, outcomes);
                            let paths = not_done.iter().map(|arrived| arrived.arrival.path.as_str());
                            end_attempts(&components, &paths.collect::<Vec<_>>()).await?;
                            again = not_done;
                            let outcomes;
                            (group, outcomes) = done.into_iter().unzip();
                            outcomes
                        }
                    }
                }
            };
            drop(room);
            if attempts.is_some() {
                // Before the next suspect may end the process: what of this one is not recorded by then is no proof.
                end_attempts(&components, &[group[0].arrival.path.as_str()]).await?;
            }
            let Sorted { mut ended, done } = sort(group, outcomes);
            ended.again = again;
            if note_ends(&components, &ended, &done).await? {
                // If that stage is gone, the pipeline stops, and the next start judges all that is open.
                let _ = judge.send(ToJudge::wake(components.activity.begin())).await;
            }
            for (arrived, outcome) in done {
                ended.paths.push(arrived.arrival.path.clone());
                send_on(&components, &sources, &records, arrived, outcome).await;
            }
            ended.was_suspect = attempts.is_some();
            Ok(ended)
        });
    }

    /// Forgets that an earlier process died with files that are not read again. To be called once every source was listed.
    pub(super) async fn forget_the_unread(&mut self) -> anyhow::Result<()> {
        let is_unread = |path: &String| !self.files.contains_key(path);
        let unread: Vec<String> = self
            .attempts
            .keys()
            .filter(|path| is_unread(path))
            .cloned()
            .collect();
        if unread.is_empty() {
            return Ok(());
        }
        self.attempts.retain(|path, _| !is_unread(path));
        end_attempts(
            &self.components,
            &unread.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await
    }

    /// Forgets the files that waited for an earlier process, or for this one, and have left their source meanwhile.
    pub(super) async fn forget_the_gone(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.may_be_gone) && self.waiting.is_empty() {
            return Ok(());
        }
        let state = &self.components.state;
        let waiting = with_retries(&self.components.patience, "asking what waits", || async {
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
            let feeds = &self.components.settings.feeds;
            let is_wanted = feeds.has_file(&file) || feeds.of_archive(&file).is_some();
            // A source that does not answer may still have the file.
            match content(&self.components, &file).exists().await {
                Ok(true) if is_wanted => self.may_be_gone = true,
                Ok(_) => gone.push(file),
                Err(_) => self.may_be_gone = true,
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        with_retries(
            &self.components.patience,
            "forgetting files that are gone",
            || async { Ok(state.end_waiting(WaitKind::File, &gone).await?) },
        )
        .await
        .context("cannot forget in the state database the files that are gone")?;
        let _ = self
            .judge
            .send(ToJudge::wake(self.components.activity.begin()))
            .await;
        Ok(())
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Returns whether a worker can convert a file. The members of an archive are recorded one after the other; what finds out
/// whether there is room finds it out for this host; and what was doubted for nothing, the state database is told at once.
fn can_be_handed_out(arrived: &Arrived) -> bool {
    !(arrived.is_for_service || arrived.is_archive || arrived.is_probe || arrived.is_doubted)
}

/// Divides files into those that a worker has converted, with the outcome of each, and those that the service has to convert.
fn divide(group: Vec<Arrived>, outcomes: Vec<Option<Outcome>>) -> (Vec<Done>, Vec<Arrived>) {
    let (mut done, mut not_done) = (Vec::new(), Vec::new());
    for (mut arrived, outcome) in group.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => done.push((arrived, Ok(outcome))),
            None => {
                arrived.is_for_service = true;
                not_done.push(arrived);
            }
        }
    }
    (done, not_done)
}

/// Converts a group in this process.
async fn convert_here(
    components: &Arc<Components>,
    records: &mpsc::Sender<Recordable>,
    group: &[Arrived],
) -> anyhow::Result<Vec<Result<Outcome, StepError>>> {
    let convert = async {
        match group {
            [archive] if archive.is_archive => Ok(vec![unpack(components, records, archive).await?]),
            files => convert_files(components, files).await,
        }
    };
    match contained(convert).await {
        Ok(outcomes) => outcomes,
        Err(panicked) => {
            let error = StepError::permanent(panicked);
            Ok(group.iter().map(|_| Err(error.of_group())).collect())
        }
    }
}
