//! Real folders, real inotify.
//!
//! Where a test says that something happens *because of* one trigger, the others are an hour away: `NEVER`.

mod arriving;
mod bad_input;
mod doubts;
mod running;
mod sweeps;
mod trouble;
mod unmatched;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{
    Event, Handle, KnownFile, KnownFiles, OwnFiles, Settings, SourceFolder, Stamp, UnmatchedFile, Want,
    Wanted, watch,
};

const NEVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(200);

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "real files carry real times")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn every_file() -> Wanted {
    Arc::new(|_| Want::Yes)
}

/// A folder, and the settings of the watcher on it.
struct Scene {
    /// Holds `root`, and room for files to be moved in from.
    dir: TempDir,
    root: PathBuf,
    settle: Duration,
    sweep: Duration,
    relist: Duration,
    sweep_hash: Option<Duration>,
    follow_links: bool,
    own: Arc<OwnFiles>,
    wanted: Wanted,
    known: HashMap<String, KnownFile>,
}

struct Watched {
    handle: Handle,
    events: mpsc::Receiver<Event>,
}

impl Scene {
    fn new(settle: Duration, sweep: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("incoming");
        fs::create_dir(&root).unwrap();
        Self {
            dir,
            root,
            settle,
            sweep,
            relist: NEVER,
            sweep_hash: None,
            follow_links: false,
            own: Arc::new(OwnFiles::new(Vec::new(), Vec::new(), Vec::new(), now)),
            wanted: every_file(),
            known: HashMap::new(),
        }
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that looks a day old.
    fn old_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let yesterday = now() - Duration::from_secs(86_400);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(yesterday)
            .unwrap();
        path
    }

    /// Writes a file elsewhere and renames it into place.
    fn rename_in(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::write(self.outside("writing"), text).unwrap();
        fs::rename(self.outside("writing"), &path).unwrap();
        path
    }

    /// Makes a file known, as read just now.
    fn knows(&mut self, name: &str, stamp: Stamp) {
        let read_at = now();
        self.known.insert(name.to_owned(), KnownFile { stamp, read_at });
    }

    fn folder(&self) -> SourceFolder {
        SourceFolder {
            root: self.root.clone(),
            follow_links: self.follow_links,
            own: self.own.clone(),
        }
    }

    fn start_with_room(&self, room: usize) -> Watched {
        let (sender, events) = mpsc::channel(room);
        let settings = Settings {
            folder: self.folder(),
            settle: self.settle,
            sweep: self.sweep,
            relist: self.relist,
            sweep_hash: self.sweep_hash,
            now,
        };
        let mut known = KnownFiles::default();
        for (path, file) in &self.known {
            known.insert(path, *file);
        }
        Watched {
            handle: watch(settings, known, self.wanted.clone(), sender),
            events,
        }
    }

    /// Starts, and waits for the end of the first listing, which must report no files.
    async fn start(&self) -> Watched {
        let mut watched = self.start_with_room(16);
        assert!(matches!(watched.next().await, Event::Swept { waiting: 0, .. }));
        watched
    }
}

impl Watched {
    /// The next event, apart from what nobody wants.
    async fn next(&mut self) -> Event {
        loop {
            match self.any().await {
                Event::Unmatched { .. } => {}
                event => return event,
            }
        }
    }

    async fn any(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("no event came")
            .expect("the watcher has ended")
    }

    /// The next event, apart from the ends of listings.
    async fn next_news(&mut self) -> Event {
        loop {
            match self.next().await {
                Event::Swept { .. } => {}
                event => return event,
            }
        }
    }

    async fn arrival(&mut self) -> (String, Stamp) {
        match self.next_news().await {
            Event::Arrived(arrival) => (arrival.path, arrival.stamp),
            event => panic!("no arrival: {event:?}"),
        }
    }

    async fn doubted(&mut self) -> (String, Stamp) {
        match self.next_news().await {
            Event::Doubted(arrival) => (arrival.path, arrival.stamp),
            event => panic!("no doubt: {event:?}"),
        }
    }

    /// The paths of the next `count` arrivals, sorted.
    async fn arrivals(&mut self, count: usize) -> Vec<String> {
        let mut paths = Vec::new();
        while paths.len() < count {
            paths.push(self.arrival().await.0);
        }
        paths.sort();
        paths
    }

    /// Fails if any event but the end of a listing comes within this time.
    async fn quiet(&mut self, time: Duration) {
        if let Ok(event) = timeout(time, self.next_news()).await {
            panic!("unexpected event: {event:?}");
        }
    }

    /// Requests a listing, and fails if it reports anything. Returns the number of files that it saw.
    async fn sweep_quietly(&mut self) -> u64 {
        self.handle.sweep_now();
        loop {
            match self.next().await {
                Event::Swept { listed, waiting: 0 } => return listed,
                Event::Swept { .. } => {}
                event => panic!("unexpected event: {event:?}"),
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    Stamp::of(&fs::metadata(path).unwrap())
}
