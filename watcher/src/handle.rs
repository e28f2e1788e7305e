//! Starts the watcher, and controls it while it runs.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::bucket::{BucketSettings, WatchedBucket};
use crate::folder::WatchedFolder;
use crate::watching::{self, Command, Watched};
use crate::{Event, KnownFiles, Settings, Stamp, Wanted};

/// A running watcher. It ends with [`stop`](Handle::stop), and also when this handle or the receiver of its
/// events is dropped. If the channel of its events closes before that, it has failed by a fault of its own; another
/// one may be started in its place.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts to watch a folder and all below, on the current tokio runtime.
///
/// `known` holds what was read before (kept by the caller from an earlier run): a file that still has its stamp is not
/// reported again. `events` should be bounded: while its receiver is busy, the watcher waits
/// and loses nothing.
///
/// # Panics
/// Outside a tokio runtime.
pub fn watch(settings: Settings, known: KnownFiles, wanted: Wanted, events: mpsc::Sender<Event>) -> Handle {
    let folder = WatchedFolder::new(settings, known, wanted, events.clone());
    Handle::start(folder, events)
}

/// Starts to watch a bucket, like [`watch`]. Paths are keys relative to its prefix, not percent-encoded.
///
/// # Panics
/// Outside a tokio runtime.
pub fn watch_bucket(
    settings: BucketSettings,
    known: KnownFiles,
    wanted: Wanted,
    events: mpsc::Sender<Event>,
) -> Handle {
    let bucket = WatchedBucket::new(settings, known, wanted, events.clone());
    Handle::start(bucket, events)
}

impl Handle {
    fn start(watched: impl Watched + Send + 'static, events: mpsc::Sender<Event>) -> Self {
        let (commands, asked) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Dropping it anywhere (it may be waiting for a slow receiver) loses nothing: it keeps no state on disk.
                _ = stopped => {}
                () = watching::watch(watched, asked, events) => {}
            }
        });
        Self { commands, stop, task }
    }

    /// Forgets the stamp of a file and looks at it at once, so that it arrives again, for a retry. A young file has to
    /// settle first; one that is gone causes no event.
    pub fn look_again(&self, path: &str) {
        // Sending fails only once the task has ended; then there is nothing to do. The same holds below.
        let _ = self.commands.send(Command::LookAgain(path.to_owned()));
    }

    /// Says that a file that was reported with this stamp, maybe as doubted, had changed when it was read. It is looked at
    /// again, and reported as it was: unless it has been reported with another stamp since, which is on its way already.
    pub fn changed(&self, path: &str, stamp: Stamp, is_doubted: bool) {
        let _ = self
            .commands
            .send(Command::Changed(path.to_owned(), stamp, is_doubted));
    }

    /// Forgets what is known of a file that could not be read, so that the next sweep reports it again:
    /// as doubted, if it was. For a bucket this does nothing.
    pub fn unread(&self, path: &str, is_doubted: bool) {
        let _ = self.commands.send(Command::Unread(path.to_owned(), is_doubted));
    }

    /// Says that the outcome for a file with this stamp, good or bad, is durable. Only then are its messages deleted
    /// from the queue. For a folder this does nothing.
    pub fn recorded(&self, path: &str, stamp: Stamp) {
        let _ = self.commands.send(Command::Recorded(path.to_owned(), stamp));
    }

    /// Lists everything now, or right after the listing in progress; [`Event::Swept`] follows when it is done.
    pub fn sweep_now(&self) {
        let _ = self.commands.send(Command::Sweep);
    }

    /// Ends the watcher: after this nothing is added to the events.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the watcher failed before it was stopped");
        }
    }
}
