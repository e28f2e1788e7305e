//! A bucket, as it is watched: everything known about it.
//!
//! A listing task hands it pages, and a few more tasks look up single objects that an event or a command named. One
//! function handles every look, whatever led to it. An object is whole once it exists, so nothing has to settle.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use object_store::Error as ObjectError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::BucketSettings;
use super::listing::{Listed, Lister, Look, Report, apart, is_looked_at, look};
use crate::error::Error;
use crate::known::{Known, KnownFiles};
use crate::queue::{self, Done, Notice};
use crate::reporting::{Events, ReceiverGone};
use crate::watching::{Command, Watched, returned};
use crate::{Arrival, Event, Wanted};

/// How many objects are looked up at once.
const LOOKUPS: usize = 16;

/// The capacity of the channels for pages and for notices. Small, because a listing must wait for a slow consumer.
const CAPACITY: usize = 2;

/// The first pause after a failure, and the longest: each pause is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What the tasks have found.
pub(crate) enum Found {
    Listing(Report),
    Lookup(Result<Look, (String, ObjectError)>),
    Notice(Notice),
}

/// When to try a failed operation again.
#[derive(Default)]
struct Failing {
    pause: Duration,
    until: Option<Instant>,
}

pub(crate) struct WatchedBucket {
    settings: BucketSettings,
    wanted: Wanted,
    /// The objects that were reported, or known from the start. When one was read is not of interest: its ETag shows
    /// every change.
    known: KnownFiles,
    /// The objects that were reported and whose outcome is not recorded yet.
    reported: HashSet<String>,
    /// Paths whose keys cannot be requested, and which were reported.
    refused: HashSet<String>,
    /// Paths to look up.
    hints: HashSet<String>,
    /// Paths whose lookup failed, until one succeeds.
    failed: HashSet<String>,
    lookups: JoinSet<Result<Look, (String, ObjectError)>>,
    /// The tasks that list, and that receive messages.
    tasks: JoinSet<()>,
    looks: Failing,
    listings: Failing,
    is_listing: bool,
    sweep_at: Instant,
    poll_at: Instant,
    pages: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    notices: mpsc::Receiver<Notice>,
    done: mpsc::UnboundedSender<Done>,
    events: Events,
}

impl WatchedBucket {
    pub(crate) fn new(
        settings: BucketSettings,
        known: KnownFiles,
        wanted: Wanted,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let at = Instant::now();
        let (notify, notices) = mpsc::channel(CAPACITY);
        let (done, ended) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        if let Some(queue) = settings.queue.clone() {
            tasks.spawn(queue::listen(queue, settings.bucket.clone(), notify, ended));
        }
        Self {
            settings,
            wanted,
            known,
            reported: HashSet::new(),
            refused: HashSet::new(),
            hints: HashSet::new(),
            failed: HashSet::new(),
            lookups: JoinSet::new(),
            tasks,
            looks: Failing::default(),
            listings: Failing::default(),
            is_listing: false,
            sweep_at: at,
            poll_at: at,
            pages: mpsc::channel(CAPACITY),
            notices,
            done,
            events: Events::new(events),
        }
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
        self.tasks.spawn(lister.list(apart(starts)));
    }

    fn start_looking(&mut self) {
        if self.looks.until.is_some_and(|until| until <= Instant::now()) {
            self.looks.until = None;
            self.hints.extend(self.failed.iter().cloned());
        }
        while self.lookups.len() < LOOKUPS
            && let Some(path) = self.hints.iter().next().cloned()
        {
            self.hints.remove(&path);
            let bucket = self.settings.bucket.clone();
            self.lookups.spawn(async move { look(&bucket, path).await });
        }
    }

    async fn handle_notice(&mut self, notice: Notice) -> Result<(), ReceiverGone> {
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
            Notice::Refused(id, error) => self.events.send(Event::BadMessage { id, error }).await,
            Notice::Trouble(error) => self.trouble(queue, error).await,
            Notice::Recovered => self.events.recovered(queue).await,
        }
    }

    async fn handle_listing(&mut self, report: Report) -> Result<(), ReceiverGone> {
        match report {
            Report::Page(looks) => {
                for look in looks {
                    // Some tools keep a folder as an empty object whose key ends in `/`. In a listing it looks like
                    // an empty file, but a lookup does not find it.
                    if look.stamp.is_some_and(|stamp| stamp.bytes == 0) && self.is_news(&look) {
                        self.hints.insert(look.path);
                    } else {
                        self.handle_look(look).await?;
                    }
                }
                Ok(())
            }
            Report::Refused(path, error) => self.refuse(path, &error).await,
            Report::Listed(listed) => self.listed(listed).await,
        }
    }

    async fn looked(&mut self, looked: Result<Look, (String, ObjectError)>) -> Result<(), ReceiverGone> {
        match looked {
            Ok(look) => {
                let (path, at) = (look.path.clone(), look.at);
                self.handle_look(look).await?;
                // A file reported just now is done once it is recorded; everything else is done already.
                if !self.reported.contains(&path) {
                    self.done(path.clone(), at);
                }
                self.failed.remove(&path);
                self.recovered_if_all_is_well().await
            }
            Err((path, ObjectError::InvalidPath { source })) => {
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
            .get(Path::new(&look.path))
            .is_none_or(|known| Some(known.stamp) != look.stamp)
    }

    async fn handle_look(&mut self, look: Look) -> Result<(), ReceiverGone> {
        let Look { path, stamp, at } = look;
        if let Some(mut known) = self.known.get(Path::new(&path)) {
            if at < known.seen {
                return Ok(());
            }
            if Some(known.stamp) == stamp {
                known.seen = at;
                self.known.put(Path::new(&path), known);
                return Ok(());
            }
        }
        let Some(stamp) = stamp else {
            self.known.remove(Path::new(&path));
            self.reported.remove(&path);
            return Ok(());
        };
        let known = Known {
            stamp,
            read_at: SystemTime::UNIX_EPOCH,
            seen: at,
        };
        self.known.put(Path::new(&path), known);
        self.reported.insert(path.clone());
        self.events.send(Event::Arrived(Arrival { path, stamp })).await
    }

    async fn listed(&mut self, listed: Listed) -> Result<(), ReceiverGone> {
        let Listed {
            is_full,
            began,
            objects,
            requests,
            unmatched,
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
                    self.events.report_unmatched(unmatched, true).await?;
                }
                self.recovered_if_all_is_well().await?;
            }
        }
        if is_full {
            let waiting = self.waiting();
            self.events.swept(objects, waiting).await?;
        }
        Ok(())
    }

    /// Forgets the objects that a full listing should have seen but did not.
    fn drop_absent(&mut self, began: Instant) {
        self.known.forget_unseen_since(began);
        let (done, known) = (&self.done, &self.known);
        self.reported.retain(|path| {
            let is_there = known.get(Path::new(path)).is_some();
            if !is_there {
                let _ = done.send((path.clone(), began));
            }
            is_there
        });
    }

    async fn refuse(&mut self, path: String, error: &object_store::path::Error) -> Result<(), ReceiverGone> {
        if !self.refused.insert(path.clone()) {
            return Ok(());
        }
        let reason = format!("the key cannot be used: {error}; rename the object");
        let name = path;
        self.events.send(Event::Refused { name, reason }).await
    }

    /// Reports a trouble when it begins. Later texts may differ, if only in how long a request took.
    async fn trouble(&mut self, path: PathBuf, error: String) -> Result<(), ReceiverGone> {
        if self.events.troubled().any(|troubled| troubled == path) {
            debug!(error, "the trouble continues");
            return Ok(());
        }
        self.events.trouble(path, error).await
    }

    async fn recovered_if_all_is_well(&mut self) -> Result<(), ReceiverGone> {
        if self.failed.is_empty() {
            self.looks = Failing::default();
        }
        if !self.failed.is_empty() || self.listings.until.is_some() {
            return Ok(());
        }
        self.events.recovered(self.root()).await
    }

    /// Forgets an object and asks for it.
    fn look_again(&mut self, path: String) {
        self.known.remove(Path::new(&path));
        self.reported.remove(&path);
        self.hints.insert(path);
    }

    /// Releases the messages about a path that were received before this moment.
    fn done(&self, path: String, seen_at: Instant) {
        // Without a queue, nothing receives this.
        let _ = self.done.send((path, seen_at));
    }

    /// The path under which troubles with the bucket are reported.
    fn root(&self) -> PathBuf {
        PathBuf::from(self.settings.bucket.url())
    }

    fn waiting(&self) -> u64 {
        (self.hints.len() + self.lookups.len()) as u64
    }
}

impl Watched for WatchedBucket {
    type Report = Found;

    fn start(&mut self) -> Option<Instant> {
        self.start_listing();
        self.start_looking();
        let list_at = self.listings.until.unwrap_or(self.sweep_at.min(self.poll_at));
        let list_at = (!self.is_listing).then_some(list_at);
        self.looks.until.into_iter().chain(list_at).min()
    }

    async fn next(&mut self) -> Option<Found> {
        tokio::select! {
            report = self.pages.1.recv() => report.map(Found::Listing),
            Some(looked) = self.lookups.join_next() => returned(looked).map(Found::Lookup),
            Some(ended) = self.tasks.join_next() => returned(ended).and(None),
            Some(notice) = self.notices.recv() => Some(Found::Notice(notice)),
        }
    }

    async fn take(&mut self, found: Found) -> Result<(), ReceiverGone> {
        match found {
            Found::Listing(report) => self.handle_listing(report).await,
            Found::Lookup(looked) => {
                self.looked(looked).await?;
                let waiting = self.waiting();
                self.events.looked(waiting).await
            }
            Found::Notice(notice) => self.handle_notice(notice).await,
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => self.look_again(path),
            Command::Changed(path, stamp, _) => {
                let known = self.known.get(Path::new(&path));
                if known.is_none_or(|known| known.stamp == stamp) {
                    self.look_again(path);
                }
            }
            Command::Recorded(path, stamp) => {
                if let Some(known) = self.known.get(Path::new(&path))
                    && known.stamp == stamp
                {
                    self.reported.remove(&path);
                    self.done(path, known.seen);
                }
            }
            Command::Unread(..) => {}
            Command::Sweep => self.sweep_at = Instant::now(),
        }
    }
}

impl Failing {
    /// Schedules another try after a pause, unless one is scheduled already.
    fn fail(&mut self) {
        let now = Instant::now();
        if self.until.is_none_or(|until| until <= now) {
            self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
            self.until = Some(now + self.pause);
        }
    }
}
