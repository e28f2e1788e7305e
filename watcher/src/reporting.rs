//! Sends a watcher's events, and remembers what they said, so that nothing is said twice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::unmatched::Newest;
use crate::{Event, UnmatchedFile};

/// The receiver of the events is gone, so the watcher can end.
#[derive(Debug)]
pub(crate) struct ReceiverGone;

/// The events of one watcher.
pub(crate) struct Events {
    sender: mpsc::Sender<Event>,
    /// How many files the last sweep saw, if some were still waiting at its end; reported once none is.
    unsettled: Option<u64>,
    /// The unmatched files that were last reported, and whether they were all; `None` before the first full listing.
    unmatched: Option<(Vec<UnmatchedFile>, bool)>,
    /// The troubles that were reported and have not ended.
    troubles: HashMap<PathBuf, String>,
}

impl Events {
    pub(crate) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self {
            sender,
            unsettled: None,
            unmatched: None,
            troubles: HashMap::new(),
        }
    }

    pub(crate) async fn send(&self, event: Event) -> Result<(), ReceiverGone> {
        self.sender.send(event).await.map_err(|_| ReceiverGone)
    }

    /// Reports the end of a sweep.
    pub(crate) async fn swept(&mut self, listed: u64, waiting: u64) -> Result<(), ReceiverGone> {
        self.unsettled = (waiting > 0).then_some(listed);
        self.send(Event::Swept { listed, waiting }).await
    }

    /// Reports the end of the last sweep once more, when none of its files waits any longer.
    pub(crate) async fn looked(&mut self, waiting: u64) -> Result<(), ReceiverGone> {
        match self.unsettled {
            Some(listed) if waiting == 0 => self.swept(listed, 0).await,
            _ => Ok(()),
        }
    }

    /// The unmatched files that were last reported, and whether they were all; `None` before the first full listing.
    pub(crate) fn unmatched(&self) -> Option<&(Vec<UnmatchedFile>, bool)> {
        self.unmatched.as_ref()
    }

    /// Reports the unmatched files, and whether they are all, if anything about them has changed.
    pub(crate) async fn report_unmatched(
        &mut self,
        newest: Newest,
        is_all: bool,
    ) -> Result<(), ReceiverGone> {
        let now = (newest.into_files(), is_all);
        if self.unmatched.as_ref() == Some(&now) {
            return Ok(());
        }
        let (files, is_all) = self.unmatched.insert(now).clone();
        self.send(Event::Unmatched { files, is_all }).await
    }

    /// The paths whose trouble was reported and has not ended.
    pub(crate) fn troubled(&self) -> impl Iterator<Item = &Path> {
        self.troubles.keys().map(PathBuf::as_path)
    }

    /// Reports a trouble, unless it was reported already with the same text.
    pub(crate) async fn trouble(&mut self, path: PathBuf, error: String) -> Result<(), ReceiverGone> {
        let before = self.troubles.insert(path.clone(), error.clone());
        if before.as_ref() == Some(&error) {
            return Ok(());
        }
        self.send(Event::Trouble { path, error }).await
    }

    /// Reports that a trouble has ended, if there was one.
    pub(crate) async fn recovered(&mut self, path: PathBuf) -> Result<(), ReceiverGone> {
        match self.troubles.remove(&path) {
            Some(_) => self.send(Event::Recovered { path }).await,
            None => Ok(()),
        }
    }
}
