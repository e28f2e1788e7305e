//! The loop of every watcher. What differs between a folder and a bucket lies behind [`Watched`].
//!
//! The loop does no I/O, and neither does what lies behind it: threads or tasks of its own list and look, and report to it.

use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tracing::debug;

use crate::reporting::ReceiverGone;
use crate::{Event, Stamp};

/// What a watcher can be told to do. Paths are relative to the root.
#[derive(Debug)]
pub(crate) enum Command {
    LookAgain(String),
    Changed(String, Stamp, bool),
    Unread(String, bool),
    Recorded(String, Stamp),
    Sweep,
}

/// A folder or a bucket: everything known of it, and what lists it and looks at it.
pub(crate) trait Watched {
    /// What a listing, a look or a notice has found.
    type Report: Send;

    /// Starts the listings and looks that are due, and returns when the next ones will be. Called after everything else,
    /// because anything may have made something due.
    fn start(&mut self) -> Option<Instant>;

    /// Waits until something happens. `None` means that it needs nothing but another [`start`](Watched::start). The wait
    /// may be given up at any moment, and loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Self::Report>> + Send;

    /// Takes in what was found, and sends what is news. Waits while the receiver of the events is busy.
    fn take(&mut self, report: Self::Report) -> impl Future<Output = Result<(), ReceiverGone>> + Send;

    /// Does what it is told.
    fn obey(&mut self, command: Command);
}

/// Watches a folder or bucket until nobody receives its events any more.
pub(crate) async fn watch(
    mut watched: impl Watched,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
) {
    let mut taken = Ok(());
    while taken.is_ok() {
        let due = watched.start();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(command) = commands.recv() => watched.obey(command),
            report = watched.next() => if let Some(report) = report {
                taken = watched.take(report).await;
            },
            () = events.closed() => taken = Err(ReceiverGone),
            () = timer => {}
        }
    }
    debug!("the receiver of the watcher's events is gone");
}

/// What a thread or task of a watcher has returned; `None` if it was cancelled. Its panic is passed on: without that part
/// the watcher would wait for ever, and nobody would know.
pub(crate) fn returned<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        ended => ended.ok(),
    }
}
