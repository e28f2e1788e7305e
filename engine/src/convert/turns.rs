//! Turns: threads read units in any order, but write their output in the order of the input.
//!
//! Between the start of a unit and the end of its turn, a thread must not wait for work of the pool: while waiting, it
//! might pick up the reader of a later unit, which waits for this very turn. So nothing in between calls rayon.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

/// Whose turn it is, and the writer that is used in turn.
pub(super) struct Turns<W> {
    state: Mutex<State<W>>,
    moved: Condvar,
}

struct State<W> {
    /// The unit whose turn it is.
    next: u64,
    /// The number of lines in all units before it.
    lines: u64,
    /// The line counts of finished units that are not part of `lines` yet, such as units that had nothing to write
    /// and did not wait.
    early: BTreeMap<u64, u64>,
    /// The number of threads that wait for their turn. Waking costs a system call, so it is done only if one waits.
    waiting: usize,
    /// Set when a thread gave up its unit: no further turn comes.
    is_broken: bool,
    writer: W,
}

/// One unit's turn. If it is dropped unused, no later turn comes, and the threads that wait for one give up.
pub(super) struct Turn<'t, W> {
    turns: &'t Turns<W>,
    unit: u64,
    is_over: bool,
}

impl<W> Turns<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            state: Mutex::new(State {
                next: 0,
                lines: 0,
                early: BTreeMap::new(),
                waiting: 0,
                is_broken: false,
                writer,
            }),
            moved: Condvar::new(),
        }
    }

    /// Returns the turn of a unit that a thread is about to read.
    pub(super) fn of(&self, unit: u64) -> Turn<'_, W> {
        Turn {
            turns: self,
            unit,
            is_over: false,
        }
    }

    pub(super) fn into_writer(self) -> W {
        self.state.into_inner().expect("no holder panics").writer
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().expect("no holder panics")
    }
}

impl<W> Turn<'_, W> {
    /// Ends the turn of a unit that has nothing to write, without waiting.
    pub(super) fn pass(mut self, lines: u64) {
        let mut state = self.turns.state();
        state.early.insert(self.unit, lines);
        self.is_over = true;
        self.turns.advance(state);
    }

    /// Waits for the turn and calls `write` with the number of lines in the units before. Returns `None` if the turn
    /// does not come because another thread has failed.
    pub(super) fn take<T>(mut self, lines: u64, write: impl FnOnce(u64, &mut W) -> T) -> Option<T> {
        let written = self.take_part(lines, write)?;
        self.pass(0);
        Some(written)
    }

    /// Does the same for the first lines of the unit, whose turn it stays.
    pub(super) fn take_part<T>(&mut self, lines: u64, write: impl FnOnce(u64, &mut W) -> T) -> Option<T> {
        let mut state = self.turns.state();
        state.waiting += 1;
        let mut state = self
            .turns
            .moved
            .wait_while(state, |state| state.next != self.unit && !state.is_broken)
            .expect("no holder panics");
        state.waiting -= 1;
        if state.is_broken {
            return None;
        }
        let before = state.lines;
        let written = write(before, &mut state.writer);
        state.lines += lines;
        Some(written)
    }
}

impl<W> Turns<W> {
    fn advance(&self, mut state: MutexGuard<'_, State<W>>) {
        let State {
            next, lines, early, ..
        } = &mut *state;
        while let Some(of_unit) = early.remove(next) {
            *lines += of_unit;
            *next += 1;
        }
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.moved.notify_all();
        }
    }
}

impl<W> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        if !self.is_over {
            // A poisoned lock means that a writer panicked, so no turn comes either.
            if let Ok(mut state) = self.turns.state.lock() {
                state.is_broken = true;
            }
            self.turns.moved.notify_all();
        }
    }
}
