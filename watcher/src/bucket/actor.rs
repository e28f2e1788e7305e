//! The task that owns what is known of the bucket.
//!
//! It sends no request itself: a listing task hands it pages, and a few more ask for single objects that somebody told
//! of. Every look is judged in one place, whatever led to it. An object is whole once it is there, so nothing settles.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use object_store::Error as StoreError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::BucketSettings;
use super::listing::{Listed, Lister, Look, Report, apart, is_looked_at, look};
use crate::error::Error;
use crate::handle::Command;
use crate::queue::{self, Done, Notice};
use crate::{Arrival, Event, Stamp, Wanted};

/// How many objects are asked for at once.
const ASKING: usize = 16;

/// The pages and notices on their way here. Few: a listing has to wait for a slow consumer.
const ON_THE_WAY: usize = 2;

/// The pauses after a failure, which double up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// An object that was told, or was known from the start.
struct Known {
    stamp: Stamp,
    /// When it was last asked for and had this stamp; an older look, still on its way from a listing, proves nothing.
    at: Instant,
    /// Whether what came of it is recorded.
    is_durable: bool,
}

/// The receiver of the events is gone, so nobody wants to hear more.
#[derive(Debug)]
struct Unheard;

/// Something that failed, and what it takes to try again.
#[derive(Default)]
struct Failing {
    pause: Duration,
    until: Option<Instant>,
}

pub(crate) struct Actor {
    settings: BucketSettings,
    wanted: Wanted,
    known: HashMap<String, Known>,
    /// Keys that no object can be asked for by, and that were told of.
    refused: HashSet<String>,
    /// Paths to ask for.
    hints: HashSet<String>,
    /// Those that could not be asked for, until they can.
    failed: HashSet<String>,
    asking: JoinSet<Result<Look, (String, StoreError)>>,
    looks: Failing,
    listings: Failing,
    is_listing: bool,
    sweep_at: Instant,
    poll_at: Instant,
    /// The objects that the last sweep saw, if looks were still to come at its end: to be told when none is.
    unsettled: Option<u64>,
    /// What is in trouble, and was told to be.
    troubles: HashSet<PathBuf>,
    pages: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    notices: mpsc::Receiver<Notice>,
    done: mpsc::UnboundedSender<Done>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
}

impl Actor {
    pub(crate) fn new(
        settings: BucketSettings,
        known: HashMap<String, Stamp>,
        wanted: Wanted,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let at = Instant::now();
        let is_durable = true;
        let known = known
            .into_iter()
            .map(|(path, stamp)| {
                (
                    path,
                    Known {
                        stamp,
                        at,
                        is_durable,
                    },
                )
            })
            .collect();
        let (notify, notices) = mpsc::channel(ON_THE_WAY);
        let (done, ended) = mpsc::unbounded_channel();
        if let Some(queue) = settings.queue.clone() {
            tokio::spawn(queue::listen(queue, settings.bucket.clone(), notify, ended));
        }
        Self {
            settings,
            wanted,
            known,
            refused: HashSet::new(),
            hints: HashSet::new(),
            failed: HashSet::new(),
            asking: JoinSet::new(),
            looks: Failing::default(),
            listings: Failing::default(),
            is_listing: false,
            sweep_at: at,
            poll_at: at,
            unsettled: None,
            troubles: HashSet::new(),
            pages: mpsc::channel(ON_THE_WAY),
            notices,
            done,
            commands,
            events,
        }
    }

    pub(crate) async fn run(mut self) {
        while self.step().await.is_ok() {}
        debug!("nobody listens to the watcher any longer");
    }

    async fn step(&mut self) -> Result<(), Unheard> {
        self.start_listing();
        self.start_looking();
        self.tell_settled().await?;
        let wake_at = self.wake_at();
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(command) = self.commands.recv() => self.obey(command),
            Some(report) = self.pages.1.recv() => self.take(report).await?,
            Some(looked) = self.asking.join_next() => {
                if let Ok(looked) = looked {
                    self.looked(looked).await?;
                }
            }
            Some(notice) = self.notices.recv() => self.hear(notice).await?,
            () = self.events.closed() => return Err(Unheard),
            () = timer => {}
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => {
                self.known.remove(&path);
                self.hints.insert(path);
            }
            Command::Recorded(path, stamp) => {
                if let Some(known) = self.known.get_mut(&path)
                    && known.stamp == stamp
                {
                    known.is_durable = true;
                    let seen_at = known.at;
                    self.done(path, seen_at);
                }
            }
            Command::Sweep => self.sweep_at = Instant::now(),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let list_at = self.listings.until.unwrap_or(self.sweep_at.min(self.poll_at));
        let list_at = (!self.is_listing).then_some(list_at);
        self.looks.until.into_iter().chain(list_at).min()
    }

    fn start_listing(&mut self) {
        let now = Instant::now();
        let is_due = self.sweep_at <= now || self.poll_at <= now;
        if self.is_listing || !is_due || self.listings.until.is_some_and(|until| now < until) {
            return;
        }
        self.is_listing = true;
        let starts = match self.sweep_at <= now {
            true => Vec::new(),
            false => (self.settings.starts)(),
        };
        let lister = Lister {
            bucket: self.settings.bucket.clone(),
            wanted: self.wanted.clone(),
            reports: self.pages.0.clone(),
        };
        tokio::spawn(lister.list(apart(starts)));
    }

    fn start_looking(&mut self) {
        if self.looks.until.is_some_and(|until| until <= Instant::now()) {
            self.looks.until = None;
            self.hints.extend(self.failed.iter().cloned());
        }
        while self.asking.len() < ASKING
            && let Some(path) = self.hints.iter().next().cloned()
        {
            self.hints.remove(&path);
            let bucket = self.settings.bucket.clone();
            self.asking.spawn(async move { look(&bucket, path).await });
        }
    }

    async fn hear(&mut self, notice: Notice) -> Result<(), Unheard> {
        let queue = self.settings.queue.as_ref().map_or("", |queue| queue.url());
        let queue = PathBuf::from(queue);
        match notice {
            Notice::Look(paths) => {
                for path in paths {
                    if is_looked_at(&path, &self.wanted) {
                        self.hints.insert(path);
                    } else {
                        self.done(path, Instant::now());
                    }
                }
                Ok(())
            }
            Notice::Refused(id, error) => self.tell(Event::BadMessage { id, error }).await,
            Notice::Trouble(error) => self.trouble(queue, error).await,
            Notice::Recovered => self.recovered(queue).await,
        }
    }

    async fn take(&mut self, report: Report) -> Result<(), Unheard> {
        match report {
            Report::Page(looks) => {
                for look in looks {
                    // Some tools keep a folder as an empty object whose key ends in `/`, and a listing does not tell
                    // it from an empty file. Asked itself, it is not there.
                    if look.stamp.is_some_and(|stamp| stamp.bytes == 0) && self.is_news(&look) {
                        self.hints.insert(look.path);
                    } else {
                        self.judge(look).await?;
                    }
                }
                Ok(())
            }
            Report::Refused(path, error) => self.refuse(path, &error).await,
            Report::Listed(listed) => self.listed(listed).await,
        }
    }

    async fn looked(&mut self, looked: Result<Look, (String, StoreError)>) -> Result<(), Unheard> {
        match looked {
            Ok(look) => {
                let (path, at) = (look.path.clone(), look.at);
                self.judge(look).await?;
                // What is told now is done when it is recorded; all else is done already.
                if self.known.get(&path).is_none_or(|known| known.is_durable) {
                    self.done(path.clone(), at);
                }
                self.failed.remove(&path);
                self.recovered_if_all_is_well().await
            }
            Err((path, StoreError::InvalidPath { source })) => {
                self.failed.remove(&path);
                self.done(path.clone(), Instant::now());
                self.refuse(path, &source).await
            }
            Err((path, source)) => {
                let error = Error::Look {
                    url: format!("{}/{path}", self.settings.bucket.url()),
                    source,
                };
                self.failed.insert(path);
                self.looks.fail();
                self.trouble(self.root(), error.to_string()).await
            }
        }
    }

    fn is_news(&self, look: &Look) -> bool {
        self.known
            .get(&look.path)
            .is_none_or(|known| Some(known.stamp) != look.stamp)
    }

    async fn judge(&mut self, look: Look) -> Result<(), Unheard> {
        let Look { path, stamp, at } = look;
        if let Some(known) = self.known.get_mut(&path) {
            if at < known.at {
                return Ok(());
            }
            if Some(known.stamp) == stamp {
                known.at = at;
                return Ok(());
            }
        }
        let Some(stamp) = stamp else {
            self.known.remove(&path);
            return Ok(());
        };
        let is_durable = false;
        self.known.insert(
            path.clone(),
            Known {
                stamp,
                at,
                is_durable,
            },
        );
        self.tell(Event::Arrived(Arrival { path, stamp })).await
    }

    async fn listed(&mut self, listed: Listed) -> Result<(), Unheard> {
        let Listed {
            is_full,
            began,
            objects,
            requests,
            error,
        } = listed;
        let now = Instant::now();
        debug!(is_full, objects, requests, took = ?now - began, ?error, "listed the bucket");
        self.is_listing = false;
        self.poll_at = now + self.settings.poll;
        if is_full && self.sweep_at <= began {
            self.sweep_at = now + self.settings.sweep;
        }
        match error {
            Some(source) => {
                self.listings.fail();
                self.poll_at = now;
                if is_full {
                    self.sweep_at = now;
                }
                let url = self.settings.bucket.url().to_owned();
                let error = Error::ListBucket { url, source };
                self.trouble(self.root(), error.to_string()).await?;
            }
            None => {
                self.listings = Failing::default();
                if is_full {
                    self.drop_absent(began);
                }
                self.recovered_if_all_is_well().await?;
            }
        }
        if is_full {
            let waiting = self.waiting();
            self.unsettled = (waiting > 0).then_some(objects);
            self.tell(Event::Swept {
                listed: objects,
                waiting,
            })
            .await?;
        }
        Ok(())
    }

    /// Forgets the objects that a full listing would have seen and has not.
    fn drop_absent(&mut self, began: Instant) {
        let done = &self.done;
        self.known.retain(|path, known| {
            let is_there = known.at >= began;
            if !is_there {
                let _ = done.send((path.clone(), began));
            }
            is_there
        });
    }

    async fn tell_settled(&mut self) -> Result<(), Unheard> {
        match self.unsettled {
            Some(listed) if self.waiting() == 0 => {
                self.unsettled = None;
                self.tell(Event::Swept { listed, waiting: 0 }).await
            }
            _ => Ok(()),
        }
    }

    async fn refuse(&mut self, path: String, error: &object_store::path::Error) -> Result<(), Unheard> {
        if !self.refused.insert(path.clone()) {
            return Ok(());
        }
        let reason = format!("the key cannot be used: {error}; rename the object");
        let name = path;
        self.tell(Event::Refused { name, reason }).await
    }

    /// Tells of a trouble when it begins. The texts of those that follow differ, if only in how long a request took.
    async fn trouble(&mut self, path: PathBuf, error: String) -> Result<(), Unheard> {
        if !self.troubles.insert(path.clone()) {
            debug!(error, "the trouble goes on");
            return Ok(());
        }
        self.tell(Event::Trouble { path, error }).await
    }

    async fn recovered_if_all_is_well(&mut self) -> Result<(), Unheard> {
        if self.failed.is_empty() {
            self.looks = Failing::default();
        }
        if !self.failed.is_empty() || self.listings.until.is_some() {
            return Ok(());
        }
        self.recovered(self.root()).await
    }

    async fn recovered(&mut self, path: PathBuf) -> Result<(), Unheard> {
        match self.troubles.remove(&path) {
            true => self.tell(Event::Recovered { path }).await,
            false => Ok(()),
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Unheard> {
        self.events.send(event).await.map_err(|_| Unheard)
    }

    /// Lets the messages about a path go, as far as they were received before this moment.
    fn done(&self, path: String, seen_at: Instant) {
        // Without a queue nobody waits for it.
        let _ = self.done.send((path, seen_at));
    }

    /// What troubles with the bucket are told under.
    fn root(&self) -> PathBuf {
        PathBuf::from(self.settings.bucket.url())
    }

    fn waiting(&self) -> u64 {
        (self.hints.len() + self.asking.len()) as u64
    }
}

impl Failing {
    /// Has it tried again after a pause, unless that is so already.
    fn fail(&mut self) {
        let now = Instant::now();
        if self.until.is_none_or(|until| until <= now) {
            self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
            self.until = Some(now + self.pause);
        }
    }
}
