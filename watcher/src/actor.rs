//! The task that owns what is known of the folder.
//!
//! It does no I/O. One blocking thread at a time looks at paths (hints and deadlines), another at a time
//! lists everything; both report here, and every report is judged in one place, whatever led to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::handle::Command;
use crate::listing::{Lister, Look, Report, Seen};
use crate::notices::{Hints, Notices};
use crate::settling::{Reason, Settling};
use crate::{Arrival, Event, Settings, Stamp, Wanted, names};

/// How long to wait at most before a root that cannot be listed is asked for again.
const ROOT_RETRY: Duration = Duration::from_secs(1);

/// Reports on their way here. Few: each holds a batch of looks, and a listing has to wait for a slow
/// consumer.
const REPORTS: usize = 4;

/// A file that was told, or was known from the start.
struct Known {
    stamp: Stamp,
    /// When the file was looked at; an older look, still on its way from a listing, proves nothing.
    at: Instant,
    /// The last listing in whose time the file was there.
    listing: u64,
}

/// The receiver of the events is gone, so nobody wants to hear more.
#[derive(Debug)]
struct Unheard;

pub(crate) struct Actor {
    settings: Settings,
    known: HashMap<PathBuf, Known>,
    settling: Settling,
    hints: Arc<Hints>,
    lister: Lister,
    commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::Receiver<Report>,
    events: mpsc::Sender<Event>,
    troubles: HashMap<PathBuf, String>,
    looking: bool,
    /// How many of the paths in the hands of the looking thread came from hints; the others are among those
    /// that settle.
    in_hand: usize,
    listing: bool,
    /// The number of the latest listing.
    listings: u64,
    list_at: Option<Instant>,
    /// The files that the last listing saw, if some were waiting at its end: to be told when none is.
    unsettled: Option<u64>,
}

impl Actor {
    pub(crate) fn new(
        mut settings: Settings,
        known: HashMap<String, Stamp>,
        wanted: Wanted,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        // Notices name absolute paths. Where this fails, there is no current folder, and the listing will say
        // so.
        settings.root = std::path::absolute(&settings.root).unwrap_or(settings.root);
        let root = settings.root.clone();
        let at = Instant::now();
        let known = known
            .into_iter()
            .map(|(path, stamp)| {
                (
                    PathBuf::from(path),
                    Known {
                        stamp,
                        at,
                        listing: 0,
                    },
                )
            })
            .collect();
        let hints = Arc::new(Hints::default());
        let notices = Arc::new(Mutex::new(Notices::new(
            root.clone(),
            wanted.clone(),
            hints.clone(),
        )));
        let (sender, reports) = mpsc::channel(REPORTS);
        Self {
            known,
            settling: Settling::new(settings.settle),
            hints,
            lister: Lister {
                root,
                wanted,
                notices,
                reports: sender,
            },
            commands,
            reports,
            events,
            troubles: HashMap::new(),
            looking: false,
            in_hand: 0,
            listing: false,
            listings: 0,
            list_at: Some(at),
            unsettled: None,
            settings,
        }
    }

    pub(crate) async fn run(mut self) {
        while self.step().await.is_ok() {}
        debug!("nobody listens to the watcher any longer");
    }

    async fn step(&mut self) -> Result<(), Unheard> {
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
            Some(command) = self.commands.recv() => self.obey(command),
            Some(report) = self.reports.recv() => self.take(report).await?,
            () = self.hints.wake.notified() => {}
            () = self.events.closed() => return Err(Unheard),
            () = timer => {}
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => {
                let path = PathBuf::from(path);
                self.known.remove(&path);
                self.hints.look(path, Reason::Found, true);
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
            spawn_blocking(|| lister.list());
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
        self.in_hand = paths.len();
        for path in self.settling.take_due(Instant::now()) {
            paths.entry(path).or_insert(Reason::Due);
        }
        if !paths.is_empty() {
            self.looking = true;
            let lister = self.lister.clone();
            spawn_blocking(|| lister.look(paths));
        }
    }

    async fn take(&mut self, report: Report) -> Result<(), Unheard> {
        match report {
            Report::Looks(looks) => {
                for look in looks {
                    self.judge(look).await?;
                }
                Ok(())
            }
            Report::Looked(seen) => self.looked(seen).await,
            Report::Listed(seen) => self.listed(seen).await,
        }
    }

    async fn judge(&mut self, look: Look) -> Result<(), Unheard> {
        let Look { path, why, stamp, at } = look;
        let Some(stamp) = stamp else {
            if self.settling.forget(&path, at) {
                debug!(?path, "the file has gone before it had settled");
            }
            return Ok(());
        };
        if let Some(known) = self.known.get_mut(&path) {
            if at < known.at {
                return Ok(());
            }
            known.listing = self.listings;
            if known.stamp == stamp {
                self.settling.forget(&path, at);
                return Ok(());
            }
        }
        if !self.settling.look(&path, stamp, why, at, (self.settings.now)()) {
            return Ok(());
        }
        let event = arrival(&path, stamp);
        self.known.insert(
            path,
            Known {
                stamp,
                at,
                listing: self.listings,
            },
        );
        self.tell(event).await
    }

    async fn looked(&mut self, seen: Seen) -> Result<(), Unheard> {
        self.looking = false;
        self.in_hand = 0;
        if seen.link_met {
            self.list_at = Some(Instant::now());
        }
        for (path, error) in self.troubles_of(seen) {
            self.trouble(path, error).await?;
        }
        match self.unsettled {
            Some(listed) if self.waiting() == 0 => {
                self.unsettled = None;
                self.tell(Event::Swept { listed, waiting: 0 }).await
            }
            _ => Ok(()),
        }
    }

    async fn listed(&mut self, seen: Seen) -> Result<(), Unheard> {
        self.listing = false;
        self.drop_absent(&seen);
        let pause = match seen.troubles.contains_key(&self.settings.root) {
            true => self.settings.sweep.min(ROOT_RETRY),
            false => self.settings.sweep,
        };
        self.list_at.get_or_insert(Instant::now() + pause);

        let listed = seen.files;
        let troubles = self.troubles_of(seen);
        let ended: Vec<PathBuf> = self
            .troubles
            .keys()
            .filter(|path| !troubles.contains_key(*path))
            .cloned()
            .collect();
        for path in ended {
            self.troubles.remove(&path);
            self.tell(Event::Recovered { path }).await?;
        }
        for (path, error) in troubles {
            self.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.unsettled = (waiting > 0).then_some(listed);
        self.tell(Event::Swept { listed, waiting }).await
    }

    /// Forgets the files that this listing would have seen and has not.
    fn drop_absent(&mut self, seen: &Seen) {
        // An empty root may be the bare mount point of a share that is away: when that is back, its files are
        // the same.
        if seen.files == 0 {
            return;
        }
        let root = &self.settings.root;
        self.known.retain(|path, known| {
            known.listing == self.listings
                || seen
                    .troubles
                    .keys()
                    .any(|folder| root.join(path).starts_with(folder))
        });
    }

    /// The folders that cannot be listed; a root that is merely not watched is one of them only when told.
    fn troubles_of(&self, seen: Seen) -> HashMap<PathBuf, String> {
        let mut troubles = seen.troubles;
        if let Some(error) = seen.unwatched {
            troubles.entry(self.settings.root.clone()).or_insert(error);
        }
        troubles
    }

    /// Tells of a trouble, unless it was told already.
    async fn trouble(&mut self, path: PathBuf, error: String) -> Result<(), Unheard> {
        let before = self.troubles.insert(path.clone(), error.clone());
        if before.as_ref() == Some(&error) {
            return Ok(());
        }
        self.tell(Event::Trouble { path, error }).await
    }

    async fn tell(&self, event: Event) -> Result<(), Unheard> {
        self.events.send(event).await.map_err(|_| Unheard)
    }

    fn waiting(&self) -> u64 {
        (self.settling.len() + self.hints.len() + self.in_hand) as u64
    }
}

fn arrival(path: &Path, stamp: Stamp) -> Event {
    match path.to_str() {
        Some(path) => Event::Arrived(Arrival {
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
