//! Signs of life of a pipeline, for those who watch it from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gristmill_state::Histogram;

use super::activity::Activity;

/// How often a sign of life is given.
const BEAT: Duration = Duration::from_secs(1);

/// Signs of life of a pipeline.
#[derive(Debug, Default)]
pub struct Vitals {
    /// That of the newest pipeline: one that begins anew has another.
    activity: Mutex<Option<Arc<Activity>>>,
    last_beat: Mutex<Option<Instant>>,
}

impl Vitals {
    /// Notes the activity of the pipeline, once it has one.
    pub(super) fn show(&self, activity: &Arc<Activity>) {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner) = Some(activity.clone());
    }

    /// Notes that a pipeline begins, which has no activity yet.
    pub(super) fn begin(&self) {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn activity(&self) -> Option<Arc<Activity>> {
        self.activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns whether the pipeline has begun to work: the state database is open, and up to date.
    pub fn has_begun(&self) -> bool {
        self.activity().is_some()
    }

    /// Returns whether every source was listed at least once.
    pub fn has_listed(&self) -> bool {
        self.activity().is_some_and(|activity| activity.has_listed())
    }

    /// Returns how many pieces of work are in progress between the arrival of a file and its record, its run or its load.
    pub fn in_progress(&self) -> usize {
        self.activity().map_or(0, |activity| activity.in_progress())
    }

    /// Returns how many failures led to another try since the start.
    pub fn retries(&self) -> u64 {
        self.activity().map_or(0, |activity| activity.gauges.retries())
    }

    /// Returns how long files took to be converted since the start, in seconds.
    pub fn conversions(&self) -> Histogram {
        let activity = self.activity();
        activity.map_or_else(Histogram::default, |activity| activity.gauges.conversions())
    }

    /// Returns the queues in memory, and how much is in each.
    pub fn queues(&self) -> Vec<(&'static str, u64)> {
        let activity = self.activity();
        activity.map_or_else(Vec::new, |activity| activity.gauges.queues())
    }

    /// Returns how many stores the newest wave of each job lacks.
    pub fn missing_stores(&self) -> BTreeMap<String, u64> {
        let activity = self.activity();
        activity.map_or_else(BTreeMap::new, |activity| activity.gauges.missing())
    }

    /// Gives signs of life for as long as it is polled: the threads that do the pipeline's work have time for it.
    pub async fn beat(&self) {
        loop {
            *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Returns how long ago the last sign of life was given; `None` if there was none so far.
    pub fn since_beat(&self) -> Option<Duration> {
        let last = *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed())
    }
}
