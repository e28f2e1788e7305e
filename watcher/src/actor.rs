//! The task that owns everything known about the folder.
//!
//! It does no I/O. At most one blocking thread looks at paths (hints and deadlines) and at most one lists
//! everything. Both report here, and one function handles every look, whatever led to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use crate::events::{Difference, fnv1a};
use crate::handle::{Command, pass_panic_on};
use crate::listing::{Found, Lister, Look, Report, Seen};
use crate::notices::{Hints, Notices};
use crate::settling::{Reason, Settling};
use crate::unmatched::Newest;
use crate::{Arrival, Event, KnownFile, Settings, Stamp, UnmatchedFile, Wanted, names};

/// The longest pause before a root that cannot be listed is tried again.
const ROOT_RETRY: Duration = Duration::from_secs(1);

/// The capacity of the report channel. Small, because each report holds a batch of looks, and a listing must
/// wait for a slow consumer.
const REPORTS: usize = 4;

/// A file that was reported, or known from the start.
struct Known {
    stamp: Stamp,
    /// When its bytes were last read, or given out to be read.
    read_at: SystemTime,
    /// When the file was looked at; an older look that arrives late from a listing proves nothing.
    at: Instant,
    /// The latest listing during which the file was seen.
    listing: u64,
}

/// A file that must not be read.
struct Refused {
    reason: String,
    /// The latest listing during which it was seen.
    listing: u64,
}

/// The receiver of the events is gone, so the task can end.
#[derive(Debug)]
struct ReceiverGone;

pub(crate) struct Actor {
    settings: Settings,
    known: HashMap<PathBuf, Known>,
    refused: HashMap<PathBuf, Refused>,
    settling: Settling,
    hints: Arc<Hints>,
    lister: Lister,
    commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::Receiver<Report>,
    /// The threads that list and look.
    threads: JoinSet<()>,
    events: mpsc::Sender<Event>,
    troubles: HashMap<PathBuf, String>,
    looking: bool,
    /// How many of the paths being looked at came from hints; the others are counted by `settling`.
    hinted: usize,
    listing: bool,
    /// The number of the latest listing.
    listings: u64,
    list_at: Option<Instant>,
    /// How many files the last listing saw, if some were still waiting at its end; reported once none is.
    unsettled: Option<u64>,
    /// The unmatched files that were last reported, and whether they were all.
    unmatched: (Vec<UnmatchedFile>, bool),
}

impl Actor {
    pub(crate) fn new(
        mut settings: Settings,
        known: HashMap<String, KnownFile>,
        wanted: Wanted,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        // Notices name absolute paths. This fails only without a current folder, which the listing will report.
        let root = &settings.folder.root;
        settings.folder.root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let root = settings.folder.root.clone();
        let at = Instant::now();
        let known = known.into_iter().map(|(path, KnownFile { stamp, read_at })| {
            let known = Known {
                stamp,
                read_at,
                at,
                listing: 0,
            };
            (PathBuf::from(path), known)
        });
        let known = known.collect();
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
            },
            commands,
            reports,
            threads: JoinSet::new(),
            events,
            troubles: HashMap::new(),
            looking: false,
            hinted: 0,
            listing: false,
            listings: 0,
            list_at: Some(at),
            unsettled: None,
            unmatched: (Vec::new(), true),
            settings,
        }
    }

    pub(crate) async fn run(mut self) {
        while self.step().await.is_ok() {}
        debug!("the receiver of the watcher's events is gone");
    }

    async fn step(&mut self) -> Result<(), ReceiverGone> {
        self.start_listing();
        self.start_looking();
        let wake_at = self.wake_at();
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(command) = self.commands.recv() => self.handle_command(command),
            Some(report) = self.reports.recv() => self.take(report).await?,
            Some(ended) = self.threads.join_next() => pass_panic_on(ended),
            () = self.hints.wake.notified() => {}
            () = self.events.closed() => return Err(ReceiverGone),
            () = timer => {}
        }
        Ok(())
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => {
                let path = PathBuf::from(path);
                self.known.remove(&path);
                self.hints.look(path, Reason::Found, true);
            }
            Command::Unread(path, false) => drop(self.known.remove(Path::new(&path))),
            Command::Unread(path, true) => {
                if let Some(known) = self.known.get_mut(Path::new(&path)) {
                    // No file has this change time, so the next look doubts it again.
                    known.stamp.changed_ns = Some(i64::MIN);
                }
            }
            Command::Recorded(..) => {}
            Command::Sweep => self.list_at = Some(Instant::now()),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let list_at = self.list_at.filter(|_| !self.listing);
        let look_at = self.settling.next_due().filter(|_| !self.looking);
        list_at.into_iter().chain(look_at).min()
    }

    fn start_listing(&mut self) {
        if !self.listing && self.list_at.is_some_and(|at| at <= Instant::now()) {
            self.list_at = None;
            self.listing = true;
            self.listings += 1;
            let lister = self.lister.clone();
            self.threads.spawn_blocking(|| lister.list());
        }
    }

    fn start_looking(&mut self) {
        if self.looking {
            return;
        }
        let pending = self.hints.take();
        if pending.list {
            self.list_at = Some(Instant::now());
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
        if let Some(known) = self.known.get_mut(&path) {
            if at < known.at {
                return Ok(());
            }
            known.listing = self.listings;
            difference = stamp.since(known.stamp);
            match difference {
                Difference::Same if !is_closed => {
                    self.settling.forget(&path, at);
                    return self.doubt_now_and_then(path, why, wall).await;
                }
                Difference::Unknown if !is_closed => {
                    known.stamp = stamp;
                    self.settling.forget(&path, at);
                    return self.send(arrival(&path, stamp, Event::Restamped)).await;
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
            at,
            listing: self.listings,
        };
        self.known.insert(path, known);
        self.send(event).await
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
            _ => self.send(Event::Refused { name, reason }).await,
        }
    }

    /// Has a file that looks the same read again, once in each span of `sweep_hash`. Each file has a moment of its own
    /// in the span, so that not all are read at once.
    async fn doubt_now_and_then(
        &mut self,
        path: PathBuf,
        why: Reason,
        wall: SystemTime,
    ) -> Result<(), ReceiverGone> {
        let (Some(span), Reason::Found) = (self.settings.sweep_hash, why) else {
            return Ok(());
        };
        let Some(known) = self.known.get_mut(&path) else {
            return Ok(());
        };
        if span_of(&path, known.read_at, span) == span_of(&path, wall, span) {
            return Ok(());
        }
        known.read_at = wall;
        let stamp = known.stamp;
        self.send(arrival(&path, stamp, Event::Doubted)).await
    }

    async fn looked(&mut self, seen: Seen) -> Result<(), ReceiverGone> {
        self.looking = false;
        self.hinted = 0;
        if seen.link_met {
            self.list_at = Some(Instant::now());
        }
        for (path, error) in self.troubles_of(seen) {
            self.trouble(path, error).await?;
        }
        match self.unsettled {
            Some(listed) if self.waiting() == 0 => {
                self.unsettled = None;
                self.send(Event::Swept { listed, waiting: 0 }).await
            }
            _ => Ok(()),
        }
    }

    async fn listed(&mut self, mut seen: Seen) -> Result<(), ReceiverGone> {
        self.listing = false;
        self.drop_absent(&seen);
        let pause = match seen.troubles.contains_key(&self.settings.folder.root) {
            true => self.settings.sweep.min(ROOT_RETRY),
            false => self.settings.sweep,
        };
        self.list_at.get_or_insert(Instant::now() + pause);

        let listed = seen.files;
        self.report_unmatched(std::mem::take(&mut seen.unmatched), seen.troubles.is_empty())
            .await?;
        let troubles = self.troubles_of(seen);
        let ended: Vec<PathBuf> = self
            .troubles
            .keys()
            .filter(|path| !troubles.contains_key(*path))
            .cloned()
            .collect();
        for path in ended {
            self.troubles.remove(&path);
            self.send(Event::Recovered { path }).await?;
        }
        for (path, error) in troubles {
            self.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.unsettled = (waiting > 0).then_some(listed);
        self.send(Event::Swept { listed, waiting }).await
    }

    async fn report_unmatched(&mut self, newest: Newest, is_all: bool) -> Result<(), ReceiverGone> {
        let files = newest.into_files();
        let is_first = self.listings == 1;
        if !is_first && (&files, is_all) == (&self.unmatched.0, self.unmatched.1) {
            return Ok(());
        }
        self.unmatched = (files.clone(), is_all);
        self.send(Event::Unmatched { files, is_all }).await
    }

    /// Forgets the files that this listing should have seen but did not.
    fn drop_absent(&mut self, seen: &Seen) {
        self.refused.retain(|_, refused| refused.listing == self.listings);
        // An empty root may be the bare mount point of a share that is unmounted: once it is mounted again, its
        // files are the same.
        if seen.files == 0 {
            return;
        }
        let root = &self.settings.folder.root;
        self.known.retain(|path, known| {
            known.listing == self.listings
                || seen
                    .troubles
                    .keys()
                    .any(|folder| root.join(path).starts_with(folder))
        });
    }

    /// The folders that cannot be listed. A failure to watch is added under the root, unless the root has an error
    /// already.
    fn troubles_of(&self, seen: Seen) -> HashMap<PathBuf, String> {
        let mut troubles = seen.troubles;
        if let Some(error) = seen.unwatched {
            troubles.entry(self.settings.folder.root.clone()).or_insert(error);
        }
        troubles
    }

    /// Reports a trouble, unless it was reported already with the same text.
    async fn trouble(&mut self, path: PathBuf, error: String) -> Result<(), ReceiverGone> {
        let before = self.troubles.insert(path.clone(), error.clone());
        if before.as_ref() == Some(&error) {
            return Ok(());
        }
        self.send(Event::Trouble { path, error }).await
    }

    async fn send(&self, event: Event) -> Result<(), ReceiverGone> {
        self.events.send(event).await.map_err(|_| ReceiverGone)
    }

    fn waiting(&self) -> u64 {
        (self.settling.len() + self.hints.len() + self.hinted) as u64
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
