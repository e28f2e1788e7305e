//! Decides when a file is whole, from looks and deadlines. Does no I/O and reads no clock.
//!
//! One map and one queue of deadlines serve any number of files, so a backlog of a hundred thousand young
//! files costs one timer. A waiting file is looked at again when its deadline comes and not before, so notices
//! about a file that is being written cost nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::Stamp;

/// The pause between a writer's close and the second look: long enough for a writer that closes the file and opens it
/// again at once (as many copy tools do to set times or ownership), and too short to matter otherwise.
const AFTER_CLOSE: Duration = Duration::from_millis(50);

/// A file last written this many settling times ago counts as unchanged since an earlier look.
const COLD: u32 = 10;

/// Why a file is looked at, which decides what the look proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// It was renamed into place: whole. (A file in a folder that was renamed is merely found.)
    Renamed,
    /// A writer closed it: whole if unchanged at a second look soon after.
    Closed,
    /// It was created or changed just now: it may still be written to, whatever its mtime says.
    Changed,
    /// A listing found it, or the caller asked for a look: whole if it is old enough.
    Found,
    /// Its deadline has come.
    Due,
}

struct Waiting {
    stamp: Stamp,
    looked: Instant,
    due: Instant,
    /// Whether a writer has closed it since it began to wait.
    is_closed: bool,
}

/// A file that is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Whole {
    /// Whether a writer was seen to close it.
    pub(crate) is_closed: bool,
}

/// The files that are not yet known to be whole.
pub(crate) struct Settling {
    settle: Duration,
    waiting: HashMap<PathBuf, Waiting>,
    /// May hold outdated deadlines; the current one is in `waiting`.
    deadlines: BinaryHeap<Reverse<(Instant, PathBuf)>>,
}

impl Settling {
    pub(crate) fn new(settle: Duration) -> Self {
        Self {
            settle,
            waiting: HashMap::new(),
            deadlines: BinaryHeap::new(),
        }
    }

    /// Records a look, made at `at`, that found `stamp`. If the file is whole, it waits no longer.
    ///
    /// `wall` is the wall-clock time, used only to measure the file's age.
    pub(crate) fn look(
        &mut self,
        path: &Path,
        stamp: Stamp,
        why: Reason,
        at: Instant,
        wall: SystemTime,
    ) -> Option<Whole> {
        let is_closed = self.is_closed(path, why);
        let before = self.waiting.get(path).map(|file| file.stamp);
        let whole = match why {
            Reason::Renamed => true,
            Reason::Due => before == Some(stamp),
            Reason::Found => before.is_none() && self.is_cold(stamp, wall),
            Reason::Closed | Reason::Changed => false,
        };
        if whole {
            self.waiting.remove(path);
        } else if why == Reason::Closed {
            self.wait(path, stamp, at, AFTER_CLOSE.min(self.settle), is_closed);
        } else if why == Reason::Due || before.is_none() {
            self.wait(path, stamp, at, self.settle, is_closed);
        }
        whole.then_some(Whole { is_closed })
    }

    /// Whether a look for this reason comes after a writer was seen to close the file.
    pub(crate) fn is_closed(&self, path: &Path, why: Reason) -> bool {
        why == Reason::Closed || self.waiting.get(path).is_some_and(|file| file.is_closed)
    }

    /// Whether a look for this reason would change nothing, because the file waits for its deadline anyway.
    pub(crate) fn needs_no_look(&self, path: &Path, why: Reason) -> bool {
        matches!(why, Reason::Changed | Reason::Found) && self.waiting.contains_key(path)
    }

    /// Stops waiting for a file, because a look at `at` has shown that there is nothing to wait for. Returns
    /// true if the file was waiting.
    ///
    /// A look older than the one recorded (from a delayed listing) proves nothing.
    pub(crate) fn forget(&mut self, path: &Path, at: Instant) -> bool {
        let outdated = self.waiting.get(path).is_some_and(|file| file.looked <= at);
        outdated && self.waiting.remove(path).is_some()
    }

    /// The files whose deadlines have come. They keep waiting until they are looked at.
    pub(crate) fn take_due(&mut self, at: Instant) -> Vec<PathBuf> {
        let mut due = Vec::new();
        while let Some(next) = self.next_due().filter(|&next| next <= at) {
            if let Some(Reverse((_, path))) = self.deadlines.pop()
                && self.waiting.get(&path).is_some_and(|file| file.due == next)
            {
                due.push(path);
            }
        }
        due
    }

    /// When `take_due` is to be called next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((due, _))| *due)
    }

    /// How many files wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn wait(&mut self, path: &Path, stamp: Stamp, looked: Instant, pause: Duration, is_closed: bool) {
        let due = looked + pause;
        let waiting = Waiting {
            stamp,
            looked,
            due,
            is_closed,
        };
        self.waiting.insert(path.to_owned(), waiting);
        self.deadlines.push(Reverse((due, path.to_owned())));
    }

    /// A modification time in the future proves nothing: the clocks disagree.
    fn is_cold(&self, stamp: Stamp, wall: SystemTime) -> bool {
        let Ok(wall) = wall.duration_since(SystemTime::UNIX_EPOCH) else {
            return false;
        };
        let age = wall.as_nanos() as i128 - i128::from(stamp.modified_ns);
        age >= (self.settle * COLD).as_nanos() as i128
    }
}

#[cfg(test)]
mod tests;
