//! The task that owns what is known of the folder.
//!
//! It does no I/O. One blocking thread at a time looks at paths (hints and deadlines), another at a time lists
//! everything; both report here, and every report is judged in one place, whatever led to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, error::SendError};
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::listing::{Lister, Look, Report, Seen};
use crate::notices::{Hints, Notices};
use crate::settling::{Reason, Settling};
use crate::{Arrival, Event, Settings, Stamp, Wanted, names};

/// How long to wait at most before a root that cannot be listed is asked for again.
const ROOT_RETRY: Duration = Duration::from_secs(1);

/// Reports on their way here. Few: each holds a batch of looks, and a listing has to wait for a slow consumer.
const REPORTS: usize = 4;

#[derive(Debug)]
pub(crate) enum Command {
    LookAgain(PathBuf),
    Sweep,
}

/// A file that was told, or was known from the start.
struct Known {
    stamp: Stamp,
    /// When the file was looked at; an older look, still on its way from a listing, proves nothing.
    at: Instant,
    /// The last listing in whose time the file was there.
    listing: u64,
}

/// The receiver of the events is gone, so nobody wants to hear more.
type Unheard = SendError<Event>;

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
    /// The number of paths in the hands of the looking thread.
    looking: usize,
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
        // Notices name absolute paths. Where this fails, there is no current folder, and the listing will say so.
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
            looking: 0,
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
            () = self.events.closed() => return Err(SendError(Event::Swept { listed: 0, waiting: 0 })),
            () = timer => {}
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::LookAgain(path) => {
                self.known.remove(&path);
                self.hints.look(path, Reason::Found, true);
            }
            Command::Sweep => self.list_at = Some(Instant::now()),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let list_at = self.list_at.filter(|_| !self.listing);
        let look_at = self.settling.next_due().filter(|_| self.looking == 0);
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
        if self.looking > 0 {
            return;
        }
        let pending = self.hints.take();
        if pending.list {
            self.list_at = Some(Instant::now());
        }
        let mut paths = pending.looks;
        paths.retain(|path, why| !self.settling.needs_no_look(path, *why));
        for path in self.settling.take_due(Instant::now()) {
            paths.entry(path).or_insert(Reason::Due);
        }
        if !paths.is_empty() {
            self.looking = paths.len();
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
            if self.settling.forget(&path) {
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
                self.settling.forget(&path);
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
        self.events.send(event).await
    }

    async fn looked(&mut self, seen: Seen) -> Result<(), Unheard> {
        self.looking = 0;
        if seen.link_met {
            self.list_at = Some(Instant::now());
        }
        for (path, error) in self.troubles_of(seen) {
            self.trouble(path, error).await?;
        }
        match self.unsettled {
            Some(listed) if self.waiting() == 0 => {
                self.unsettled = None;
                self.events.send(Event::Swept { listed, waiting: 0 }).await
            }
            _ => Ok(()),
        }
    }

    async fn listed(&mut self, seen: Seen) -> Result<(), Unheard> {
        self.listing = false;
        // An empty root may be the bare mount point of a share that is away: when that is back, its files are the same.
        if seen.troubles.is_empty() && seen.files > 0 {
            self.known.retain(|_, known| known.listing == self.listings);
        }
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
            self.events.send(Event::Recovered { path }).await?;
        }
        for (path, error) in troubles {
            self.trouble(path, error).await?;
        }
        let waiting = self.waiting();
        self.unsettled = (waiting > 0).then_some(listed);
        self.events.send(Event::Swept { listed, waiting }).await
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
        self.events.send(Event::Trouble { path, error }).await
    }

    fn waiting(&self) -> u64 {
        (self.settling.len() + self.hints.len() + self.looking) as u64
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
mod tests {
    use super::*;

    fn seen(troubles: &[(&str, &str)]) -> Seen {
        let troubles = troubles
            .iter()
            .map(|(path, error)| (PathBuf::from(path), (*error).to_owned()))
            .collect();
        Seen {
            files: 1,
            troubles,
            unwatched: None,
            link_met: false,
        }
    }

    fn look(why: Reason, bytes: u64, at: Instant) -> Look {
        let stamp = Stamp {
            bytes,
            modified_ns: 0,
            inode: 1,
        };
        Look {
            path: PathBuf::from("a"),
            why,
            stamp: Some(stamp),
            at,
        }
    }

    fn actor() -> (Actor, mpsc::Receiver<Event>) {
        let (sender, events) = mpsc::channel(16);
        let minute = Duration::from_secs(60);
        let now = || std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let settings = Settings {
            root: PathBuf::from("/in"),
            settle: minute,
            sweep: minute,
            now,
        };
        let (_, commands) = mpsc::unbounded_channel();
        (
            Actor::new(settings, HashMap::new(), Arc::new(|_| true), commands, sender),
            events,
        )
    }

    /// What was told, without the ends of listings.
    fn told(events: &mut mpsc::Receiver<Event>) -> Vec<String> {
        std::iter::from_fn(|| events.try_recv().ok())
            .filter_map(|event| match event {
                Event::Trouble { path, error } => Some(format!("{}: {error}", path.display())),
                Event::Recovered { path } => Some(format!("{}: well", path.display())),
                Event::Arrived(arrival) => Some(format!("{}: {} bytes", arrival.path, arrival.stamp.bytes)),
                Event::Swept { .. } | Event::Refused { .. } => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn trouble_is_told_when_it_begins_changes_and_ends() {
        let (mut actor, mut events) = actor();
        actor.looked(seen(&[("/in/d", "closed")])).await.unwrap();
        assert_eq!(told(&mut events), ["/in/d: closed"]);
        actor.listed(seen(&[("/in/d", "closed")])).await.unwrap();
        assert!(told(&mut events).is_empty());
        actor.looked(seen(&[])).await.unwrap();
        assert!(
            told(&mut events).is_empty(),
            "a look elsewhere says nothing of it"
        );
        actor.listed(seen(&[("/in/d", "broken")])).await.unwrap();
        assert_eq!(told(&mut events), ["/in/d: broken"]);
        actor.listed(seen(&[])).await.unwrap();
        assert_eq!(told(&mut events), ["/in/d: well"]);
    }

    #[tokio::test]
    async fn a_listing_with_trouble_forgets_no_file() {
        let (mut actor, _events) = actor();
        actor
            .judge(look(Reason::Renamed, 1, Instant::now()))
            .await
            .unwrap();
        actor.listings = 7;
        actor.listed(seen(&[("/in/d", "closed")])).await.unwrap();
        assert_eq!(actor.known.len(), 1);
        actor.listed(seen(&[])).await.unwrap();
        assert_eq!(actor.known.len(), 0);
    }

    #[tokio::test]
    async fn a_root_that_is_not_watched_is_trouble_and_listed_as_usual() {
        let (mut actor, mut events) = actor();
        actor
            .judge(look(Reason::Renamed, 1, Instant::now()))
            .await
            .unwrap();
        told(&mut events);
        actor.listings = 7;
        let unwatched = || Seen {
            unwatched: Some("used up".to_owned()),
            ..seen(&[])
        };
        actor.looked(unwatched()).await.unwrap();
        actor.list_at = None;
        actor.listed(unwatched()).await.unwrap();
        assert_eq!(told(&mut events), ["/in: used up"], "told once");
        assert_eq!(
            actor.known.len(),
            0,
            "all was listed, so what is gone is forgotten"
        );
        assert!(
            actor.list_at.unwrap() > Instant::now() + 2 * ROOT_RETRY,
            "nothing is listed more often"
        );
        actor.listed(seen(&[])).await.unwrap();
        assert_eq!(told(&mut events), ["/in: well"]);
    }

    #[tokio::test]
    async fn an_older_look_from_a_listing_does_not_undo_a_newer_one() {
        let (mut actor, mut events) = actor();
        let before = Instant::now();
        actor
            .judge(look(Reason::Renamed, 2, before + Duration::from_millis(1)))
            .await
            .unwrap();
        actor.judge(look(Reason::Found, 1, before)).await.unwrap();
        assert_eq!(told(&mut events), ["a: 2 bytes"]);
    }
}
