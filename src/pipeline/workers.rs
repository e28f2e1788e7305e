//! Works on the files of a group, on as many threads as there are free cores.
//!
//! These are threads of their own and not rayon's: a thread that is lost in a call to a file system takes nothing from
//! anybody else ([`stuck`](super::stuck)).

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Parts;
use super::conversion::{Attempt, Outcome, Step};
use super::panics::contained_here;
use super::reading::Reading;
use super::retry::StepError;
use super::stuck::{PATIENCE, StuckReads};

/// How often to look whether a thread stands still.
const LOOKS: Duration = Duration::from_millis(500);

/// The files, and what to do with them.
struct Work<F> {
    readings: Vec<Reading>,
    steps: Vec<Mutex<Option<Attempt>>>,
    next: AtomicUsize,
    stuck: Arc<StuckReads>,
    work: F,
    done: mpsc::UnboundedSender<(usize, Attempt)>,
}

/// Applies `work` to each file, and returns the results in their order. A file whose reading stands still is given up.
pub(super) async fn in_parallel(
    parts: &Parts,
    readings: &[Reading],
    steps: Vec<Attempt>,
    work: impl Fn(usize, &Reading, Attempt) -> Attempt + Send + Sync + 'static,
) -> anyhow::Result<Vec<Attempt>> {
    let count = readings.len();
    let (done, mut results) = mpsc::unbounded_channel();
    let shared = Arc::new(Work {
        readings: readings.to_vec(),
        steps: steps.into_iter().map(|step| Mutex::new(Some(step))).collect(),
        next: AtomicUsize::new(0),
        stuck: parts.stuck.clone(),
        work,
        done,
    });
    let mut outcomes: Vec<Option<Attempt>> = (0..count).map(|_| None).collect();
    let mut left = count;
    let mut threads = JoinSet::new();
    let start = |threads: &mut JoinSet<()>| {
        let shared = shared.clone();
        threads.spawn_blocking(move || shared.work_off());
    };
    // One core is waited for; others are taken if they are free.
    let mut cores = vec![parts.cores.acquire().await?];
    start(&mut threads);
    while cores.len() < count
        && let Ok(core) = parts.cores.try_acquire()
    {
        cores.push(core);
        start(&mut threads);
    }
    let mut waiting = HashSet::new();
    let mut looks = tokio::time::interval(LOOKS);
    while left > 0 {
        tokio::select! {
            biased;
            Some((number, attempt)) = results.recv() => {
                let outcome = &mut outcomes[number];
                // A file that was given up has its outcome.
                if outcome.is_none() {
                    if readings[number].watch.is_given_up() {
                        note_stuck(parts, &readings[number]);
                    }
                    *outcome = Some(attempt);
                    left -= 1;
                }
            }
            Some(ended) = threads.join_next() => ended?,
            _ = looks.tick() => {
                for (number, (reading, outcome)) in readings.iter().zip(&mut outcomes).enumerate() {
                    if outcome.is_some() || !reading.watch.is_stuck(LOOKS) {
                        continue;
                    }
                    // Whoever waits needs no core.
                    if waiting.insert(number) {
                        cores.pop();
                    }
                    if reading.watch.is_stuck(PATIENCE) && !reading.has_limits() {
                        reading.watch.give_up();
                        note_stuck(parts, reading);
                        *outcome = Some(Ok(Step::Done(Outcome::Unanswered)));
                        left -= 1;
                        // Another thread goes on in the place of the one that is lost.
                        start(&mut threads);
                    }
                }
            }
        }
    }
    threads.detach_all();
    Ok(outcomes.into_iter().flatten().collect())
}

fn note_stuck(parts: &Parts, reading: &Reading) {
    if let Some(source) = reading.source {
        parts.stuck.add(&reading.file, source, reading.watch.clone());
    }
}

impl<F: Fn(usize, &Reading, Attempt) -> Attempt> Work<F> {
    fn work_off(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(step) = self.steps.get(number) else {
                return;
            };
            let step = step.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(step) = step else { continue };
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
            if self.done.send((number, attempt)).is_err() {
                return;
            }
        }
    }
}
