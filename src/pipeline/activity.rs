//! What is in hand: how the pipeline knows that it is idle, and what it has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what is in hand between the stages, and what was done since the start.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_hand: AtomicUsize,
    /// Of each source, whether the last listing left nothing to wait for.
    is_swept: Vec<AtomicBool>,
    changed: Notify,
    pub(super) tally: Tally,
}

/// What a pipeline did since its start.
#[derive(Debug, Default)]
pub struct Tally {
    validated: AtomicU64,
    unchanged: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    runs_completed: AtomicU64,
    runs_failed: AtomicU64,
    /// Folders of the source that cannot be read now.
    troubles: AtomicU64,
    /// What failed when objects were last to be put away.
    not_put_away: AtomicU64,
}

/// One thing in hand. It travels with its work from stage to stage, so that work between two stages is never missed.
#[derive(Debug)]
pub(super) struct Token(Arc<Activity>);

impl Activity {
    /// Of a pipeline with so many sources.
    pub(super) fn new(sources: usize) -> Self {
        Self {
            is_swept: (0..sources).map(|_| AtomicBool::default()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Token {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        Token(self.clone())
    }

    /// How many things are in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Notes whether a listing of a source has left nothing to wait for.
    pub(super) fn swept(&self, source: usize, is_swept: bool) {
        if let Some(source) = self.is_swept.get(source) {
            source.store(is_swept, Ordering::SeqCst);
        }
        self.changed.notify_waiters();
    }

    /// Waits until each source was listed, every file of theirs was worked off, and no run is left.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let are_swept = self.is_swept.iter().all(|source| source.load(Ordering::SeqCst));
            if are_swept && self.in_hand.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        self.0.begin()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Tally {
    /// Folders of the source that could not be read at the end.
    pub fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// What failed when objects that were taken were last to be put away.
    pub fn not_put_away(&self) -> u64 {
        self.not_put_away.load(Ordering::Relaxed)
    }

    /// One source's share of it has changed.
    pub(super) fn change_not_put_away(&self, before: u64, now: u64) {
        self.not_put_away.fetch_add(now, Ordering::Relaxed);
        self.not_put_away.fetch_sub(before, Ordering::Relaxed);
    }

    pub(super) fn set_troubles(&self, troubles: usize) {
        self.troubles.store(troubles as u64, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($count:ident $counter:ident: $what:literal;)+) => {
        impl Tally {
            $(
                #[doc = $what]
                pub fn $counter(&self) -> u64 {
                    self.$counter.load(Ordering::Relaxed)
                }

                pub(super) fn $count(&self) {
                    self.$counter.fetch_add(1, Ordering::Relaxed);
                }
            )+
        }
    };
}

counters! {
    count_validated validated: "Submissions that came into force.";
    count_unchanged unchanged: "Submissions with bytes that were known.";
    count_rejected rejected: "Submissions rejected as a whole.";
    count_failed failed: "Submissions that could not be read or converted.";
    count_run_completed runs_completed: "Runs that were completed.";
    count_run_failed runs_failed: "Runs that failed.";
}
