//! A folder, as it is watched: everything known about it.
//!
//! At most one blocking thread looks at paths (hints and deadlines) and at most one sweeps. Both report here, and one
//! function handles every look, whatever led to it.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::folders::Folders;
use super::listing::{Found, Lister, Look, Report, Seen};
use super::notices::{Hints, Notices};
use super::settling::{Reason, Settling};
use crate::events::{Difference, fnv1a};
use crate::known::{Known, KnownFiles};
use crate::reporting::{Events, ReceiverGone};
use crate::watching::{Command, Watched, returned};
use crate::{Arrival, Event, Settings, Stamp, UnmatchedFile, Wanted, names};

/// The longest pause before a root that cannot be listed is tried again.
const ROOT_RETRY: Duration = Duration::from_secs(1);

/// The capacity of the report channel. Small: each report holds many looks, and a listing must wait for a slow consumer.
const REPORTS: usize = 4;

/// A file that must not be read, and the latest listing during which it was seen.
struct Refused {
    reason: String,
    listing: u64,
}

pub(crate) struct WatchedFolder {
    settings: Settings,
    /// The files that were reported, or known from the start.
    known: KnownFiles,
    refused: HashMap<PathBuf, Refused>,
    settling: Settling,
    hints: Arc<Hints>,
    lister: Lister,
    reports: mpsc::Receiver<Report>,
    /// The threads that list and look.
    threads: JoinSet<()>,
    events: Events,
    looking: bool,
    /// How many of the paths being looked at came from hints; the others are counted by `settling`.
    hinted: usize,
    listing: bool,
    /// The number of the latest full listing, and when it began.
    listings: u64,
    listed_from: Instant,
    /// When the next sweep is due.
    list_at: Option<Instant>,
    /// From when on a sweep must be a full listing.
    full_at: Instant,
    /// The folders as they were last read, if notices can be relied on: then a sweep need only compare them.
    folders: Option<Folders>,
    /// Files that the next sweep must look at.
    again: HashSet<PathBuf>,
}

impl WatchedFolder {
    pub(crate) fn new(
        mut settings: Settings,
        known: KnownFiles,
        wanted: Wanted,
        events: mpsc::Sender<Event>,
    ) -> Self {
        // Notices name absolute paths. This fails only without a current folder, which the listing will report.
        let root = &settings.folder.root;
        settings.folder.root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let root = settings.folder.root.clone();
        let at = Instant::now();
        let hints = Arc::new(Hints::default());
        let notices = Arc::new(Mutex::new(Notices::new(
            root.clone(),
            wanted.clone(),
            hints.clone(),
        )));
        let (sender, reports) = mpsc::channel(REPORTS);
        Self {
            known,
            refused: HashMap::new(),
            settling: Settling::new(settings.settle),
            hints,
            lister: Lister {
                folder: settings.folder.clone(),
                wanted,
                notices,
                reports: sender,
                now: settings.now,
            },
            reports,
            threads: JoinSet::new(),
            events: Events::new(events),
            looking: false,
            hinted: 0,
            listing: false,
            listings: 0,
            listed_from: at,
            list_at: Some(at),
            full_at: at,
            folders: None,
            again: HashSet::new(),
            settings,
        }
    }

    /// Forgets a file and looks at it.
    fn look_again(&mut self, path: PathBuf) {
        self.known.remove(&path);
        self.hints.look(path, Reason::Found, true);
    }

    /// Has the next look doubt a file.
    fn doubt_next(&mut self, path: &Path, mut known: Known) {
        // No file has this change time.
        known.stamp.changed_ns = Some(i64::MIN);
        self.known.put(path, known);
    }

    /// Has everything listed, at once or right after the sweep in progress.
    fn list_all_now(&mut self) {
        self.full_at = Instant::now();
        self.list_at = Some(self.full_at);
    }

    fn start_listing(&mut self) {
        let now = Instant::now();
        if self.listing || self.list_at.is_none_or(|at| now < at) {
            return;
        }
        self.list_at = None;
        self.listing = true;
        let (lister, noticed) = (self.lister.clone(), self.hints.take_noticed());
        let again = mem::take(&mut self.again);
        match self.folders.take() {
            Some(folders) if now < self.full_at => {
                for path in again {
                    self.hints.look(path, Reason::Found, true);
                }
                self.threads
                    .spawn_blocking(move || lister.compare(folders, &noticed));
            }
            _ => {
                self.listings += 1;
                self.listed_from = now;
                let hash = self.settings.sweep_hash.unwrap_or(Duration::MAX);
                self.full_at = now + self.settings.relist.min(hash);
                self.threads.spawn_blocking(|| lister.list());
            }
        }
    }

    fn start_looking(&mut self) {
        if self.looking {
            return;
        }
        let pending = self.hints.take();
        if pending.list {
            self.list_all_now();
        }
        let mut paths = pending.looks;
        paths.retain(|path, why| !self.settling.needs_no_look(path, *why));
        self.hinted = paths.len();
        for path in self.settling.take_due(Instant::now()) {
            paths.entry(path).or_insert(Reason::Due);
        }
        if !paths.is_empty() {
            self.looking = true;
            let lister = self.lister.clone();
            self.threads.spawn_blocking(|| lister.look(paths));
        }
    }

    async fn handle_look(&mut self, look: Look) -> Result<(), ReceiverGone> {
        let Look { path, why, found, at } = look;
        let stamp = match found {
            Found::File(stamp) => stamp,
            Found::Nothing => {
                if self.settling.forget(&path, at) {
                    debug!(?path, "the file disappeared before it settled");
                }
                return Ok(());
            }
            Found::Refused(reason) => return self.refuse(path, reason, at).await,
        };
        self.refused.remove(&path);
        let wall = (self.settings.now)();
        let is_closed = self.settling.is_closed(&path, why);
        let mut difference = Difference::Sent;
        if let Some(mut known) = self.known.get(&path) {
            if at < known.seen {
                return Ok(());
            }
            difference = stamp.since(known.stamp);
            known.seen = at;
            if difference == Difference::Unknown && !is_closed {
                known.stamp = stamp;
            }
            self.known.put(&path, known);
            match difference {
                Difference::Same if !is_closed => {
                    self.settling.forget(&path, at);
                    return self.doubt_now_and_then(path, known, why, wall).await;
                }
                Difference::Unknown if !is_closed => {
                    self.settling.forget(&path, at);
                    return self.events.send(arrival(&path, stamp, Event::Restamped)).await;
                }
                _ => {}
            }
        }
        let Some(whole) = self.settling.look(&path, stamp, why, at, wall) else {
            return Ok(());
        };
        let event = match difference {
            Difference::Sent | Difference::Unknown => Event::Arrived,
            // Nobody changes a file by mistake and closes it after writing.
            Difference::Touched if whole.is_closed => Event::Arrived,
            Difference::Touched | Difference::Same => Event::Doubted,
        };
        let event = arrival(&path, stamp, event);
        let known = Known {
            stamp,
            read_at: wall,
            seen: at,
        };
        self.known.put(&path, known);
        self.events.send(event).await
    }

    /// Reports a file that must not be read, unless it was reported already with the same reason.
    async fn refuse(&mut self, path: PathBuf, reason: String, at: Instant) -> Result<(), ReceiverGone> {
        self.settling.forget(&path, at);
        self.known.remove(&path);
        let refused = Refused {
            reason: reason.clone(),
            listing: self.listings,
        };
        let name = names::escaped(&path);
        match self.refused.insert(path, refused) {
            Some(before) if before.reason == reason => Ok(()),
            _ => self.events.send(Event::Refused { name, reason }).await,
        }
    }

    /// Has a file that looks the same read again once in each span of `sweep_hash`, at a moment of its own in the span.
    async fn doubt_now_and_then(
        &mut self,
        path: PathBuf,
        mut known: Known,
        why: Reason,
        wall: SystemTime,
    ) -> Result<(), ReceiverGone> {
        let (Some(span), Reason::Found) = (self.settings.sweep_hash, why) else {
            return Ok(());
        };
        if span_of(&path, known.read_at, span) == span_of(&path, wall, span) {
            return Ok(());
        }
        known.read_at = wall;
        self.known.put(&path, known);
        self.events
            .send(arrival(&path, known.stamp, Event::Doubted))
            .await
    }

    async fn looked(&mut self, seen: Seen) -> Result<(), ReceiverGone> {
        self.looking = false;
        self.hinted = 0;
        if seen.link_met {
            self.list_all_now();
        } else if seen.is_unsure {
            self.full_at = Instant::now();
        }
        for (path, error) in self.troubles_of(seen) {
            self.events.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.events.looked(waiting).await
    }

    async fn listed(&mut self, mut seen: Seen) -> Result<(), ReceiverGone> {
        self.listing = false;
        self.drop_absent(&seen);
        self.folders = seen.is_sure().then(|| mem::take(&mut seen.folders));
        let pause = match seen.troubles.contains_key(&self.settings.folder.root) {
            true => self.settings.sweep.min(ROOT_RETRY),
            false => self.settings.sweep,
        };
        self.list_at.get_or_insert(Instant::now() + pause);

        let listed = seen.files;
        let unmatched = mem::take(&mut seen.unmatched);
        self.events
            .report_unmatched(unmatched, seen.troubles.is_empty())
            .await?;
        let troubles = self.troubles_of(seen);
        let ended: Vec<PathBuf> = self
            .events
            .troubled()
            .filter(|path| !troubles.contains_key(*path))
            .map(Path::to_owned)
            .collect();
        for path in ended {
            self.events.recovered(path).await?;
        }
        for (path, error) in troubles {
            self.events.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.events.swept(listed, waiting).await
    }

    /// Ends a sweep that has compared the folders.
    async fn compared(&mut self, mut seen: Seen) -> Result<(), ReceiverGone> {
        self.listing = false;
        self.list_at.get_or_insert(Instant::now() + self.settings.sweep);
        if seen.link_met || !seen.is_sure() {
            self.list_all_now();
        }
        let listed = seen.folders.values().map(|folder| folder.files).sum();
        self.folders = Some(mem::take(&mut seen.folders));
        if let Some((before, were_all)) = self.events.unmatched().cloned() {
            let mut newest = mem::take(&mut seen.unmatched);
            let is_elsewhere = |file: &UnmatchedFile| {
                let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                !seen.listed.contains(folder)
            };
            for file in before.into_iter().filter(is_elsewhere) {
                newest.add(file);
            }
            self.events
                .report_unmatched(newest, were_all && !seen.is_partial)
                .await?;
        }
        for (path, error) in self.troubles_of(seen) {
            self.events.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.events.swept(listed, waiting).await
    }

    /// Forgets the files that this listing should have seen but did not.
    fn drop_absent(&mut self, seen: &Seen) {
        self.refused.retain(|_, refused| refused.listing == self.listings);
        // An empty root may be the bare mount point of a share that is unmounted: later, its files are the same. So are
        // those in a folder that cannot be listed now; which they are is not known.
        if seen.files > 0 && !seen.is_partial {
            self.known.forget_unseen_since(self.listed_from);
        }
    }

    /// The folders that cannot be listed. A failure to watch is added under the root, unless that has an error already.
    fn troubles_of(&self, seen: Seen) -> HashMap<PathBuf, String> {
        let mut troubles = seen.troubles;
        if let Some(error) = seen.unwatched {
            troubles.entry(self.settings.folder.root.clone()).or_insert(error);
        }
        troubles
    }

    fn waiting(&self) -> u64 {
        (self.settling.len() + self.hints.len() + self.hinted) as u64
    }
}

impl Watched for WatchedFolder {
    type Report = Report;

    fn start(&mut self) -> Option<Instant> {
        self.start_listing();
        self.start_looking();
        let list_at = self.list_at.filter(|_| !self.listing);
        let look_at = self.settling.next_due().filter(|_| !self.looking);
        list_at.into_iter().chain(look_at).min()
    }

    async fn next(&mut self) -> Option<Report> {
        tokio::select! {
            report = self.reports.recv() => report,
            Some(ended) = self.threads.join_next() => returned(ended).and(None),
            () = self.hints.wake.notified() => None,
        }
    }

    async fn take(&mut self, report: Report) -> Result<(), ReceiverGone> {
        match report {
            Report::Looks(looks) => {
                for look in looks {
                    self.handle_look(look).await?;
                }
                Ok(())
            }
            Report::Looked(seen) => self.looked(seen).await,
            Report::Listed(seen) => self.listed(seen).await,
            Report::Compared(seen) => self.compared(seen).await,
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => self.look_again(path.into()),
            Command::Changed(path, stamp, is_doubted) => {
                let path = PathBuf::from(path);
                match self.known.get(&path) {
                    Some(known) if known.stamp != stamp => {}
                    Some(known) if is_doubted => {
                        self.doubt_next(&path, known);
                        self.hints.look(path, Reason::Found, true);
                    }
                    _ => self.look_again(path),
                }
            }
            Command::Unread(path, is_doubted) => {
                let path = PathBuf::from(path);
                match self.known.get(&path) {
                    Some(known) if is_doubted => self.doubt_next(&path, known),
                    _ if is_doubted => return,
                    _ => self.known.remove(&path),
                }
                self.again.insert(path);
            }
            Command::Recorded(..) => {}
            Command::Sweep => self.list_all_now(),
        }
    }
}

/// The number of the span in which a moment lies. Spans begin for each file at another time.
fn span_of(path: &Path, moment: SystemTime, span: Duration) -> i128 {
    let span = span.as_nanos().max(1) as i128;
    let phase = i128::from(fnv1a(&path.to_string_lossy())) % span;
    let moment = match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    (moment + phase).div_euclid(span)
}

fn arrival(path: &Path, stamp: Stamp, event: fn(Arrival) -> Event) -> Event {
    match path.to_str() {
        Some(path) => event(Arrival {
            path: path.to_owned(),
            stamp,
        }),
        None => Event::Refused {
            name: names::escaped(path),
            reason: "the name is not UTF-8; rename the file".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
