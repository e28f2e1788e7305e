//! What the stages measure in memory, for metrics: it begins anew with each start.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gristmill_state::Histogram;
use jiff::civil::Date;
use tokio::sync::mpsc;

use crate::preconditions::Verdict;

/// A queue between two stages.
pub(super) struct Queue {
    name: &'static str,
    depth: Box<dyn Fn() -> usize + Send + Sync>,
}

/// What the stages measure.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    retries: AtomicU64,
    conversions: Mutex<Histogram>,
    to_convert: AtomicUsize,
    queues: OnceLock<Vec<Queue>>,
    /// The newest wave of each job that was judged, and how many stores it lacks.
    missing: Mutex<HashMap<String, (Option<Date>, u64)>>,
}

impl Queue {
    /// Watches a channel, without keeping it open.
    pub(super) fn of<T: Send + 'static>(name: &'static str, sender: &mpsc::Sender<T>) -> Self {
        let sender = sender.downgrade();
        let depth = move || {
            let sender = sender.upgrade();
            sender.map_or(0, |sender| sender.max_capacity() - sender.capacity())
        };
        Self {
            name,
            depth: Box::new(depth),
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Gauges {
    /// Counts a failure that leads to another try.
    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Notes how long the conversion of a file took.
    pub(super) fn converted_in(&self, took: Duration) {
        let mut conversions = self.conversions.lock().unwrap_or_else(PoisonError::into_inner);
        conversions.observe(took.as_secs_f64());
    }

    pub(super) fn conversions(&self) -> Histogram {
        let conversions = self.conversions.lock().unwrap_or_else(PoisonError::into_inner);
        conversions.clone()
    }

    /// Notes how many files wait for their conversion.
    pub(super) fn set_to_convert(&self, files: usize) {
        self.to_convert.store(files, Ordering::Relaxed);
    }

    /// Notes the queues between the stages.
    pub(super) fn watch(&self, queues: Vec<Queue>) {
        // There is one pipeline, which has its queues once.
        let _ = self.queues.set(queues);
    }

    /// Returns the queues in memory, and how much is in each.
    pub(super) fn queues(&self) -> Vec<(&'static str, u64)> {
        let queues = self.queues.get().into_iter().flatten();
        let depths = queues.map(|queue| (queue.name, (queue.depth)() as u64));
        let conversions = self.to_convert.load(Ordering::Relaxed) as u64;
        depths.chain([("conversions", conversions)]).collect()
    }

    /// Notes how many stores a wave lacks.
    pub(super) fn judged(&self, job: &str, verdict: &Verdict) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = missing.entry(job.to_owned()).or_insert((verdict.wave, 0));
        if newest.0 <= verdict.wave {
            *newest = (verdict.wave, verdict.missing_stores());
        }
    }

    /// Returns how many stores the newest wave of each job lacks.
    pub(super) fn missing(&self) -> BTreeMap<String, u64> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing
            .iter()
            .map(|(job, (_, lacks))| (job.clone(), *lacks))
            .collect()
    }
}
