//! Works on the files of a group, on as many threads as there are free cores.
//!
//! These are threads of their own and not rayon's: a thread that is lost in a call to a file system takes nothing from
//! anybody else ([`stuck`](super::stuck)).

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Components;
use super::panics::contained_here;
use super::reading::Reading;
use super::retry::StepError;
use super::steps::{Attempt, Outcome, Step};
use super::stuck::{PATIENCE, StuckReads};

/// How often to look whether a thread stands still.
const LOOKS: Duration = Duration::from_millis(500);

/// The files, and what to do with them.
struct Work<F> {
    readings: Vec<Reading>,
    slots: Vec<Mutex<Slot>>,
    next: AtomicUsize,
    stuck: Arc<StuckReads>,
    work: F,
    /// How many files have no outcome yet.
    left: AtomicUsize,
    /// Told when none is left, and of no other outcome: to wake somebody costs as much as to convert a small file.
    all_done: Notify,
}

/// How far the work on a file has come.
enum Slot {
    ToDo(Attempt),
    Doing,
    /// It has its outcome. A file that was given up has it before its thread returns.
    Done(Attempt),
    /// The outcome was fetched.
    Gone,
}

/// Applies `work` to each file, and returns the results in their order. A file whose reading stands still is given up.
pub(super) async fn in_parallel(
    components: &Components,
    readings: &[Reading],
    steps: Vec<Attempt>,
    work: impl Fn(usize, &Reading, Attempt) -> Attempt + Send + Sync + 'static,
) -> anyhow::Result<Vec<Attempt>> {
    let count = readings.len();
    let slots = steps.into_iter().map(|step| Mutex::new(Slot::ToDo(step)));
    let shared = Arc::new(Work {
        readings: readings.to_vec(),
        slots: slots.collect(),
        next: AtomicUsize::new(0),
        stuck: components.stuck.clone(),
        work,
        left: AtomicUsize::new(count),
        all_done: Notify::new(),
    });
    let mut threads = JoinSet::new();
    let start = |threads: &mut JoinSet<()>| {
        let shared = shared.clone();
        threads.spawn_blocking(move || shared.work_off());
    };
    // One core is waited for; others are taken if they are free.
    let mut cores = vec![components.cores.acquire().await?];
    start(&mut threads);
    while cores.len() < count
        && let Ok(core) = components.cores.try_acquire()
    {
        cores.push(core);
        start(&mut threads);
    }
    let (mut waiting, mut given_up) = (HashSet::new(), HashSet::new());
    let mut looks = tokio::time::interval(LOOKS);
    while shared.left.load(Ordering::Acquire) > 0 {
        tokio::select! {
            biased;
            () = shared.all_done.notified() => {}
            Some(ended) = threads.join_next() => ended?,
            _ = looks.tick() => {
                for (number, reading) in readings.iter().enumerate() {
                    if !reading.watch.is_stuck(LOOKS) || shared.is_done(number) {
                        continue;
                    }
                    // Whoever waits needs no core.
                    if waiting.insert(number) {
                        cores.pop();
                    }
                    if reading.watch.is_stuck(PATIENCE) && !reading.has_limits() {
                        reading.watch.give_up();
                        given_up.insert(number);
                        note_stuck(components, reading);
                        shared.end(number, Ok(Step::Done(Outcome::Unanswered)));
                        // Another thread goes on in the place of the one that is lost.
                        start(&mut threads);
                    }
                }
            }
        }
    }
    threads.detach_all();
    for (number, reading) in readings.iter().enumerate() {
        // Some give up by themselves.
        if reading.watch.is_given_up() && !given_up.contains(&number) {
            note_stuck(components, reading);
        }
    }
    let outcomes = shared.slots.iter().map(|slot| match exchange(slot, Slot::Gone) {
        Slot::Done(attempt) => attempt,
        _ => unreachable!("none is left"),
    });
    Ok(outcomes.collect())
}

fn note_stuck(components: &Components, reading: &Reading) {
    if let Some(source) = reading.source {
        components.stuck.add(&reading.file, source, reading.watch.clone());
    }
}

fn exchange(slot: &Mutex<Slot>, new: Slot) -> Slot {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *slot, new)
}

impl<F> Work<F> {
    fn is_done(&self, number: usize) -> bool {
        let slot = self.slots[number].lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*slot, Slot::Done(_))
    }

    /// Gives a file its outcome, unless it has one.
    fn end(&self, number: usize, attempt: Attempt) {
        let mut slot = self.slots[number].lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*slot, Slot::Doing) {
            return;
        }
        *slot = Slot::Done(attempt);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_done.notify_one();
        }
    }
}

impl<F: Fn(usize, &Reading, Attempt) -> Attempt> Work<F> {
    fn work_off(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = self.slots.get(number) else {
                return;
            };
            let Slot::ToDo(step) = exchange(slot, Slot::Doing) else {
                continue;
            };
            let reading = &self.readings[number];
            let is_to_read = matches!(step, Ok(Step::New | Step::Hashed(_)));
            let source = reading.source.filter(|_| is_to_read);
            let is_hopeless = source.is_some_and(|source| self.stuck.is_hopeless(&reading.file, source));
            let attempt = match is_hopeless {
                true => Ok(Step::Done(Outcome::Unanswered)),
                // What is broken by a panic is of this file alone.
                false => contained_here(|| (self.work)(number, reading, step))
                    .unwrap_or_else(|panicked| Err(StepError::permanent(panicked))),
            };
            self.end(number, attempt);
        }
    }
}
