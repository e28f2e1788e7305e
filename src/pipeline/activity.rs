//! Work in progress: how the pipeline knows that it is idle, and what it has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::gauges::Gauges;

/// Counts the work in progress across the stages, and what was done since the start.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_progress: AtomicUsize,
    /// For each source, whether its last listing left nothing to wait for.
    is_swept: Vec<AtomicBool>,
    /// For each source, whether it was listed.
    is_listed: Vec<AtomicBool>,
    changed: Notify,
    pub(super) tally: Arc<Tally>,
    pub(super) gauges: Arc<Gauges>,
}

/// What a pipeline did since its start.
#[derive(Debug, Default)]
pub struct Tally {
    validated: AtomicU64,
    unchanged: AtomicU64,
    held: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    runs_completed: AtomicU64,
    runs_failed: AtomicU64,
    unanswered: AtomicU64,
    files_waiting: AtomicU64,
    runs_waiting: AtomicU64,
    outages: AtomicU64,
    /// Folders of the sources that currently cannot be read.
    troubles: AtomicU64,
    /// Failures of putting away objects that have not been cured yet.
    not_put_away: AtomicU64,
    /// Jobs about which the state database and the warehouse's ledger disagree.
    stopped_jobs: AtomicU64,
}

/// One piece of work in progress. It travels with the work from stage to stage, so work between two stages is never
/// missed.
#[derive(Debug)]
pub(super) struct Token(Arc<Activity>);

impl Activity {
    /// Makes the activity of a pipeline with `sources` sources.
    pub(super) fn new(sources: usize, gauges: Arc<Gauges>) -> Self {
        let none = || (0..sources).map(|_| AtomicBool::default()).collect();
        Self {
            is_swept: none(),
            is_listed: none(),
            gauges,
            ..Self::default()
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Token {
        self.in_progress.fetch_add(1, Ordering::SeqCst);
        Token(self.clone())
    }

    /// Returns how many pieces of work are in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::SeqCst)
    }

    /// Notes whether a listing of a source left nothing to wait for.
    pub(super) fn swept(&self, source: usize, is_swept: bool) {
        if let Some(source) = self.is_listed.get(source) {
            source.store(true, Ordering::SeqCst);
        }
        if let Some(source) = self.is_swept.get(source) {
            source.store(is_swept, Ordering::SeqCst);
        }
        self.changed.notify_waiters();
    }

    /// Returns whether every source was listed.
    pub(super) fn has_listed(&self) -> bool {
        self.is_listed.iter().all(|source| source.load(Ordering::SeqCst))
    }

    /// Returns whether the last listing of every source left nothing to wait for.
    pub(super) fn are_swept(&self) -> bool {
        self.is_swept.iter().all(|source| source.load(Ordering::SeqCst))
    }

    /// Waits until every source was listed, every file was processed, and no run is left.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.are_swept() && self.in_progress.load(Ordering::SeqCst) == 0 {
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
        self.0.in_progress.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Tally {
    /// Returns how many folders of the sources could not be read at the end.
    pub fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// Returns how many failures of putting away objects were left at the end.
    pub fn not_put_away(&self) -> u64 {
        self.not_put_away.load(Ordering::Relaxed)
    }

    /// Returns how many jobs loaded nothing at the end, because the state database and the warehouse's ledger disagree.
    pub fn stopped_jobs(&self) -> u64 {
        self.stopped_jobs.load(Ordering::Relaxed)
    }

    pub(super) fn set_stopped_jobs(&self, jobs: usize) {
        self.stopped_jobs.store(jobs as u64, Ordering::Relaxed);
    }

    /// Updates one source's share of `not_put_away`.
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
    count_unchanged unchanged: "Submissions whose bytes were already known.";
    count_held held: "Submissions that are held.";
    count_rejected rejected: "Submissions rejected as a whole.";
    count_failed failed: "Submissions that could not be read or converted.";
    count_run_completed runs_completed: "Runs that completed.";
    count_run_failed runs_failed: "Runs that failed.";
    count_file_waiting files_waiting: "Files that an outage kept from being converted until the end.";
    count_run_waiting runs_waiting: "Runs that an outage kept in the queue until the end.";
    count_outage outages: "Outages that kept all runs from starting until the end.";
    count_unanswered unanswered: "Readings that were given up because the file system did not answer.";
}
