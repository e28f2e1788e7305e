//! Starting the watcher, and what can be asked of it while it runs.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::actor::Actor;
use crate::bucket::{self, BucketSettings};
use crate::{Event, Settings, Stamp, Wanted};

/// What a watcher can be asked for. Paths are relative to the root.
#[derive(Debug)]
pub(crate) enum Command {
    LookAgain(String),
    Recorded(String, Stamp),
    Sweep,
}

/// A running watcher. It ends with [`stop`](Handle::stop), and also when this handle or the receiver of its
/// events is dropped.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts to watch a folder and all below, on the current tokio runtime.
///
/// `known` holds the stamps that were told before (kept by the caller from an earlier run): a file that still
/// has its stamp is not told again. `events` should be bounded: while its receiver is busy the watcher waits,
/// and forgets nothing.
///
/// # Panics
/// Outside a tokio runtime.
pub fn watch(
    settings: Settings,
    known: HashMap<String, Stamp>,
    wanted: Wanted,
    events: mpsc::Sender<Event>,
) -> Handle {
    let (commands, asked) = mpsc::unbounded_channel();
    Handle::start(commands, Actor::new(settings, known, wanted, asked, events).run())
}

/// Starts to watch a bucket, likewise. Paths are keys relative to its prefix, as they are (not percent-encoded).
///
/// # Panics
/// Outside a tokio runtime.
pub fn watch_bucket(
    settings: BucketSettings,
    known: HashMap<String, Stamp>,
    wanted: Wanted,
    events: mpsc::Sender<Event>,
) -> Handle {
    let (commands, asked) = mpsc::unbounded_channel();
    Handle::start(
        commands,
        bucket::Actor::new(settings, known, wanted, asked, events).run(),
    )
}

impl Handle {
    fn start(
        commands: mpsc::UnboundedSender<Command>,
        actor: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Wherever it stands (it may wait for a slow receiver), nothing is lost: all it has is in memory.
                _ = stopped => {}
                () = actor => {}
            }
        });
        Self { commands, stop, task }
    }

    /// Forgets the stamp of a file and looks at it at once, so that it arrives again: for a retry, or when it
    /// has changed while it was read. A young file has to settle first; one that is gone is not told of.
    pub fn look_again(&self, path: &str) {
        // Once the task has ended there is nothing to be done, here and below.
        let _ = self.commands.send(Command::LookAgain(path.to_owned()));
    }

    /// Says that what came of a file with this stamp is durable, whatever it was. A message of the queue is deleted
    /// only after that; for a folder it means nothing.
    pub fn recorded(&self, path: &str, stamp: Stamp) {
        let _ = self.commands.send(Command::Recorded(path.to_owned(), stamp));
    }

    /// Lists everything now, or right after the listing that is under way; [`Event::Swept`] tells when it is
    /// done.
    pub fn sweep_now(&self) {
        let _ = self.commands.send(Command::Sweep);
    }

    /// Ends the watcher: after this nothing is added to the events.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the watcher had failed before it was stopped");
        }
    }
}
