//! The files that an outage keeps from being converted, until each is tried again.
//!
//! Where the lake is full, it is for all of them: the smallest is tried now and then, by itself, and the others follow when
//! that succeeds. A larger one, tried at the same time, could take just the room that the small one needs.
//! Every other failure is of its own file.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill_state::WaitingFile;
use tokio::time::Instant;

use super::arrived::Arrived;
use super::retry::{StepError, pause_after};

/// A file that could not be converted, and is to be tried again.
pub(super) struct Failed {
    pub(super) arrived: Arrived,
    pub(super) error: StepError,
    /// The pause before that.
    pub(super) pause: Duration,
}

impl Failed {
    pub(super) fn new(arrived: Arrived, error: StepError) -> Self {
        Self {
            pause: pause_after(arrived.failures),
            arrived,
            error,
        }
    }

    /// Returns what the state database keeps of it.
    pub(super) fn as_waiting(&self) -> WaitingFile {
        WaitingFile {
            file_url: self.arrived.arrival.path.clone(),
            feed: self.arrived.feed.name.clone(),
            store_id: self.arrived.captures.store.clone(),
            reason: self.error.to_string(),
        }
    }
}

/// Files that wait.
#[derive(Default)]
pub(super) struct WaitingFiles {
    by_time: BTreeMap<(Instant, u64), Failed>,
    /// How many were added so far.
    added: u64,
    /// The files that wait for room.
    room: Vec<Failed>,
    /// When the next file is tried, to find out whether there is room.
    room_due: Option<Instant>,
    /// How many times there was none.
    room_failures: u32,
    /// Whether the files that wait for room were put off since [`put_off`](Self::put_off) was asked.
    is_put_off: bool,
}

impl WaitingFiles {
    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty() && self.room.is_empty()
    }

    /// Adds a file.
    pub(super) fn add(&mut self, failed: Failed) {
        if failed.error.is_of_room() {
            if self.room.is_empty() && self.room_due.is_none() {
                self.wait_for_room();
            }
            self.room.push(failed);
            return;
        }
        let due = Instant::now() + failed.pause;
        self.added += 1;
        self.by_time.insert((due, self.added), failed);
    }

    /// Removes a file, and returns whether it was there.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let is_it = |failed: &Failed| failed.arrived.arrival.path == path;
        let (by_time, room) = (self.by_time.len(), self.room.len());
        self.by_time.retain(|_, failed| !is_it(failed));
        self.room.retain(|failed| !is_it(failed));
        (by_time, room) != (self.by_time.len(), self.room.len())
    }

    /// Returns when the next file is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.by_time.keys().next().map(|(due, _)| *due);
        let of_room = self.room_due.filter(|_| !self.room.is_empty());
        first.into_iter().chain(of_room).min()
    }

    /// Takes the files that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arrived> {
        let later = self.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.by_time, later);
        let mut due: Vec<_> = due.into_values().map(|failed| failed.arrived).collect();
        if self.room_due.is_some_and(|room_due| room_due <= now) {
            self.room_due = None;
            let bytes = |(_, failed): &(usize, &Failed)| failed.arrived.arrival.stamp.bytes;
            if let Some((smallest, _)) = self.room.iter().enumerate().min_by_key(bytes) {
                let mut probe = self.room.swap_remove(smallest);
                probe.arrived.is_probe = true;
                due.push(probe.arrived);
            }
        }
        due
    }

    /// Says what came of the file that was tried to find out whether there is room, and returns the files that may be
    /// converted now.
    pub(super) fn probed(&mut self, has_room: bool) -> Vec<Arrived> {
        if !has_room {
            self.wait_for_room();
            self.is_put_off = true;
            return Vec::new();
        }
        self.room_failures = 0;
        self.room_due = None;
        self.room.drain(..).map(|failed| failed.arrived).collect()
    }

    fn wait_for_room(&mut self) {
        self.room_failures += 1;
        self.room_due = Some(Instant::now() + pause_after(self.room_failures));
    }

    /// Returns the files whose next try was put off, and until when, since this was last asked.
    pub(super) fn put_off(&mut self) -> Option<(Vec<WaitingFile>, Duration)> {
        if !std::mem::take(&mut self.is_put_off) || self.room.is_empty() {
            return None;
        }
        let pause = self.room_due?.saturating_duration_since(Instant::now());
        Some((self.room.iter().map(Failed::as_waiting).collect(), pause))
    }

    /// Gives up the files that wait for room, and returns their paths.
    pub(super) fn give_up_room(&mut self) -> Vec<String> {
        self.room_due = None;
        let given_up = self.room.drain(..);
        given_up.map(|failed| failed.arrived.arrival.path).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use gristmill_engine::{Captures, FeedLayout, FeedSpec};
    use gristmill_watcher::{Arrival, Stamp};

    use super::*;
    use crate::pipeline::activity::Activity;

    fn without_room(path: &str, bytes: u64, activity: &Arc<Activity>) -> Failed {
        let arrival = Arrival {
            path: path.to_owned(),
            stamp: Stamp {
                bytes,
                modified_ns: 0,
                identity: 0,
                changed_ns: None,
            },
        };
        let feed = Arc::new(FeedLayout::new(&FeedSpec::default()).unwrap());
        let mut arrived = Arrived::new(arrival, feed, Captures::default(), activity.begin());
        arrived.failures = 1;
        let full = io::Error::from(io::ErrorKind::StorageFull);
        Failed::new(arrived, StepError::transient(full))
    }

    #[test]
    fn the_smallest_file_finds_out_whether_there_is_room() {
        let activity = Arc::new(Activity::new(1, Arc::default()));
        let mut waiting = WaitingFiles::default();
        for (path, bytes) in [("middle", 20), ("small", 10), ("large", 1 << 30)] {
            waiting.add(without_room(path, bytes, &activity));
        }
        let probe = |waiting: &mut WaitingFiles| {
            let due = waiting.next_due().unwrap();
            let tried = waiting.take_due(due);
            assert!(tried.len() == 1 && tried[0].is_probe);
            tried[0].arrival.path.clone()
        };
        assert_eq!(probe(&mut waiting), "small");
        // There was none even for it.
        waiting.add(without_room("small", 10, &activity));
        waiting.probed(false);
        assert_eq!(probe(&mut waiting), "small");
        let mut others: Vec<_> = waiting
            .probed(true)
            .into_iter()
            .map(|file| file.arrival.path)
            .collect();
        others.sort();
        assert_eq!(others, ["large", "middle"]);
        assert!(waiting.is_empty());
    }
}
