//! The conversions in progress, and those that wait for their turn.
//!
//! Small files that arrive close together are converted as a group, so that each of them does not cost a task, a query
//! to the state database and a sync to disk. A large file is a group of its own.
//!
//! A file that an outage keeps from being converted is no failure: it waits, and its jobs wait for it
//! ([`waiting`](super::waiting)). A file during whose conversion the process died is a suspect: it is converted alone,
//! one suspect after the other, so that of a group only the culprit is ever to blame. After the third time it is FAILED.

mod queue;
mod task;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use gristmill_engine::Captures;
use gristmill_state::{WaitKind, WorkerRole};
use gristmill_watcher::Arrival;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::queue::Queue;
use self::task::Task;
use super::Components;
use super::activity::Token;
use super::arrived::Arrived;
use super::conversion::content;
use super::delegation::{By, Room, room_with_worker};
use super::judge::ToJudge;
use super::outcomes::{Ended, end_attempts, note_waiting};
use super::recordable::Recordable;
use super::retry::with_retries;
use super::sources::Sources;
use super::waiting::WaitingFiles;

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
    task: Task,
    room: Arc<Semaphore>,
    tasks: JoinSet<anyhow::Result<Ended>>,
    queue: Queue,
    /// The files in progress, including all that wait, and the newest arrival of each since.
    files: HashMap<String, Option<Postponed>>,
    /// The files that were submitted, and had changed when they were read: their next arrival is a submission.
    submitted: HashSet<String>,
    waiting: WaitingFiles,
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
            task: Task {
                components,
                sources,
                records,
                judge,
            },
            room,
            tasks: JoinSet::new(),
            queue: Queue::new(attempts),
            files: HashMap::new(),
            submitted: HashSet::new(),
            waiting: WaitingFiles::default(),
            may_be_gone: true,
        })
    }

    /// Returns whether more files may come.
    pub(super) fn has_room_to_wait(&self) -> bool {
        self.queue.has_room()
    }

    /// Waits for the end of a conversion, the end of a pause, or for room to start a conversion. Dropping it loses
    /// nothing.
    pub(super) async fn next(&mut self) -> anyhow::Result<Next> {
        let due = self.waiting.next_due();
        let room = self.room.clone();
        tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next() => Ok(Next::Ended(ended??)),
            permit = room.acquire_owned(), if self.queue.has_next(By::Service) => {
                Ok(Next::Room(Room::here(permit?)))
            }
            room = room_with_worker(&self.task.components, WorkerRole::Convert), if self.queue.has_next(By::Worker) => {
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
        let feeds = &self.task.components.settings.feeds;
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
        self.queue.push(arrived);
        self.note_queue();
    }

    fn note_queue(&self) {
        let gauges = &self.task.components.activity.gauges;
        gauges.set_to_convert(self.queue.len());
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
            self.queue.push_suspect(suspect);
        }
        self.note_queue();
        for arrived in again {
            self.enqueue(arrived);
        }
        if was_suspect {
            self.queue.suspect_ended();
        }
        if let Some(has_room) = probed {
            for arrived in self.waiting.probed(has_room) {
                self.enqueue(arrived);
            }
        }
        for mut arrived in alone {
            self.queue.acquit(&arrived.arrival.path);
            if let Some(feed) = self
                .task
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
            self.queue.acquit(&path);
            if !self
                .task
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
                    self.task.components.activity.tally.count_file_waiting();
                    self.take_postponed(&path);
                }
            } else if self.files.get(&path).is_some_and(Option::is_some) {
                self.take_postponed(&path);
            } else {
                self.task.components.activity.gauges.count_retry();
                self.waiting.add(failed);
            }
        }
        if let Some((files, pause)) = self.waiting.put_off() {
            note_waiting(&self.task.components, &files, pause).await?;
        }
        self.submitted.extend(changed);
        for path in paths {
            self.queue.acquit(&path);
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

    /// Starts to convert what is next.
    fn start_next(&mut self, room: Room) {
        if let Some(group) = self.queue.next(room.by()) {
            self.tasks.spawn(self.task.clone().run(group, room));
        }
        self.note_queue();
    }

    /// Forgets that an earlier process died with files that are not read again. To be called once every source was listed.
    pub(super) async fn forget_the_unread(&mut self) -> anyhow::Result<()> {
        let unread = self.queue.acquit_all_but(|path| self.files.contains_key(path));
        if unread.is_empty() {
            return Ok(());
        }
        let unread: Vec<&str> = unread.iter().map(String::as_str).collect();
        end_attempts(&self.task.components, &unread).await
    }

    /// Forgets the files that waited for an earlier process, or for this one, and have left their source meanwhile.
    pub(super) async fn forget_the_gone(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.may_be_gone) && self.waiting.is_empty() {
            return Ok(());
        }
        let state = &self.task.components.state;
        let waiting = with_retries(&self.task.components.patience, "asking what waits", || async {
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
            let feeds = &self.task.components.settings.feeds;
            let is_wanted = feeds.has_file(&file) || feeds.of_archive(&file).is_some();
            // A source that does not answer may still have the file.
            match content(&self.task.components, &file).exists().await {
                Ok(true) if is_wanted => self.may_be_gone = true,
                Ok(_) => gone.push(file),
                Err(_) => self.may_be_gone = true,
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        with_retries(
            &self.task.components.patience,
            "forgetting files that are gone",
            || async { Ok(state.end_waiting(WaitKind::File, &gone).await?) },
        )
        .await
        .context("cannot forget in the state database the files that are gone")?;
        let _ = self
            .task
            .judge
            .send(ToJudge::wake(self.task.components.activity.begin()))
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
