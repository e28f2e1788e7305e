//! Finds what changed between the summary that a scope loaded last and the new one.
//!
//! Both are sorted by the keys, so one pass over both finds it, batch by batch. Only the two coverages are kept in
//! memory. This module does not check whether the warehouse still holds the older summary.

mod aligned;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::days::{Days, Lookup};
use crate::input::{self, SummaryBatch};
use crate::{Base, Load, LoadError, LoadMode};

/// A piece of the difference.
pub(crate) enum Piece {
    /// Rows to be inserted or updated.
    Write(SummaryBatch),
    /// Rows to be deleted, by their keys.
    Remove(SummaryBatch),
    /// The end, with the totals of all pieces before it.
    End(Tally),
}

/// The totals of a walk over both summaries, in rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Rows of the new summary.
    pub rows: u64,
    /// Keys that only the new one has.
    pub inserted: u64,
    /// Keys with other amounts.
    pub changed: u64,
    /// Keys to be deleted.
    pub removed: u64,
    /// Rows of the new summary outside its coverage.
    pub uncovered: u64,
    /// Rows of the base.
    pub base_rows: u64,
    /// Rows of the base outside its coverage.
    pub base_uncovered: u64,
}

impl Tally {
    /// Whether the counts of a load are those of a warehouse that holds the base. `exactly`: only the base's rows can be
    /// on the days in question, so all counts must match.
    pub(crate) fn fits(&self, exactly: bool, inserted: u64, written: u64, removed: u64) -> bool {
        removed == self.removed
            && if exactly {
                inserted == self.inserted && written == self.inserted + self.changed
            } else {
                inserted <= self.inserted
            }
    }
}

/// Why a summary, or its difference from the base, cannot be staged.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The new summary or its coverage cannot be read, or the warehouse failed: nothing can be loaded.
    Load(LoadError),
    /// The base's summary or coverage cannot be read: the load has to do without the base.
    Base(LoadError),
    /// Another session has loaded the run, and removed what was staged for it, or a newer run: the ledger tells.
    Overtaken(LoadError),
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<Fault> for LoadError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Load(error) | Fault::Base(error) | Fault::Overtaken(error) => error,
        }
    }
}

/// The pieces of a difference, while it is being found.
pub(crate) type Pieces = mpsc::Receiver<Result<Piece, Fault>>;

/// A difference, delivered while it is being found.
pub(crate) struct Delta {
    /// Days that the base does not cover: the warehouse's rows there have to be compared.
    pub added: Arc<Days>,
    pub pieces: Pieces,
}

/// Starts comparing a load with its base.
pub(crate) async fn begin(
    load: &Load,
    base: &Base,
    measures: &[String],
    mode: LoadMode,
) -> Result<Delta, Fault> {
    let (covered, before) = tokio::join!(Days::read(&load.coverage), Days::read(&base.coverage));
    let (covered, before) = (covered.map_err(Fault::Load)?, before.map_err(Fault::Base)?);
    let added = Arc::new(covered.without(&before));
    let dropped = before.without(&covered);
    let (sender, pieces) = mpsc::channel(4);
    let (summary, base, measures) = (load.summary.clone(), base.clone(), measures.to_vec());
    let lacking = Arc::clone(&added);
    tokio::task::spawn_blocking(move || {
        let reach = Reach {
            covered: &covered,
            dropped: &dropped,
            added: &lacking,
            deletes: mode == LoadMode::ReplaceDays,
        };
        // Sending fails if the receiver wants no more.
        let emit = |piece| sender.blocking_send(Ok(piece)).is_ok();
        match walk(&summary, &base, &measures, reach, emit) {
            Ok(Some(tally)) => {
                let sound = base
                    .expect_rows(tally.base_rows)
                    .and_then(|()| base.expect_covered(tally.base_uncovered));
                drop(sender.blocking_send(sound.map(|()| Piece::End(tally)).map_err(Fault::Base)));
            }
            Ok(None) => {}
            Err(fault) => drop(sender.blocking_send(Err(fault))),
        }
    });
    Ok(Delta { added, pieces })
}

/// Compares both summaries in the fastest way that they allow. `None`: the receiver wants no more.
fn walk(
    summary: &Path,
    base: &Base,
    measures: &[String],
    reach: Reach<'_>,
    mut emit: impl FnMut(Piece) -> bool,
) -> Result<Option<Tally>, Fault> {
    // If both cover the same days, rows with the base's keys are covered exactly if the base's are.
    if reach.dropped.is_empty()
        && reach.added.is_empty()
        && let Some(changed) = aligned::changed_rows(summary, &base.summary, measures)?
    {
        let tally = changed.tally();
        let are_wanted = changed.batches.into_iter().all(|batch| emit(Piece::Write(batch)));
        return Ok(are_wanted.then_some(tally));
    }
    let new = received(input::summary(summary, measures));
    let old = received(input::summary(&base.summary, measures));
    let new = Walk::new(new, Fault::Load);
    let old = Walk::new(old, Fault::Base);
    merge(new, old, reach, emit)
}

fn received<T>(mut batches: input::Batches<T>) -> impl Iterator<Item = Result<T, LoadError>> {
    std::iter::from_fn(move || batches.blocking_recv())
}

/// The days that the two summaries cover.
struct Reach<'a> {
    covered: &'a Days,
    /// Covered only by the base: the new summary must not change them.
    dropped: &'a Days,
    /// Covered only by the new summary: the base can have no rows there.
    added: &'a Days,
    /// Whether rows that the new summary lacks are deleted from the warehouse.
    deletes: bool,
}

/// Walks over both summaries. `None`: the receiver wants no more.
fn merge<N, O>(
    mut new: Walk<N>,
    mut old: Walk<O>,
    reach: Reach<'_>,
    mut emit: impl FnMut(Piece) -> bool,
) -> Result<Option<Tally>, Fault>
where
    N: Iterator<Item = Result<SummaryBatch, LoadError>>,
    O: Iterator<Item = Result<SummaryBatch, LoadError>>,
{
    let mut tally = Tally::default();
    let mut covered = Lookup::new(reach.covered);
    let mut dropped = Lookup::new(reach.dropped);
    let mut added = Lookup::new(reach.added);
    let (drops, adds) = (!reach.dropped.is_empty(), !reach.added.is_empty());
    loop {
        if !(new.fill(Piece::Write, &mut emit)? && old.fill(Piece::Remove, &mut emit)?) {
            return Ok(None);
        }
        let order = match (&new.batch, &old.batch) {
            (None, None) => return Ok(Some(tally)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(n), Some(o)) if n.same_key(new.row, o, old.row) => std::cmp::Ordering::Equal,
            (Some(n), Some(o)) => n.key(new.row).cmp(&o.key(old.row)),
        };
        tally.rows += u64::from(order.is_le());
        tally.base_rows += u64::from(order.is_ge());
        if adds
            && order.is_ge()
            && let Some(o) = &old.batch
        {
            let (store, _, date) = o.key(old.row);
            tally.base_uncovered += u64::from(added.has(store, date));
        }
        match order {
            std::cmp::Ordering::Equal => {
                if let (Some(n), Some(o)) = (&new.batch, &old.batch) {
                    if drops {
                        let (store, _, date) = n.key(new.row);
                        tally.uncovered += u64::from(dropped.has(store, date));
                    }
                    if !n.same_amounts(new.row, o, old.row) {
                        tally.changed += 1;
                        new.pick();
                    }
                }
                new.row += 1;
                old.row += 1;
            }
            std::cmp::Ordering::Less => {
                if let Some(n) = &new.batch {
                    let (store, _, date) = n.key(new.row);
                    tally.uncovered += u64::from(!covered.has(store, date));
                }
                tally.inserted += 1;
                new.pick();
                new.row += 1;
            }
            std::cmp::Ordering::Greater => {
                if reach.deletes
                    && let Some(o) = &old.batch
                {
                    let (store, _, date) = o.key(old.row);
                    if covered.has(store, date) {
                        tally.removed += 1;
                        old.pick();
                    }
                }
                old.row += 1;
            }
        }
    }
}

/// A position in a summary.
struct Walk<I> {
    batches: I,
    /// `None` before the first and after the last.
    batch: Option<SummaryBatch>,
    row: usize,
    /// Rows of the batch that belong to the difference.
    picked: Vec<u32>,
    fault: fn(LoadError) -> Fault,
}

impl<I: Iterator<Item = Result<SummaryBatch, LoadError>>> Walk<I> {
    fn new(batches: I, fault: fn(LoadError) -> Fault) -> Self {
        Self {
            batches,
            batch: None,
            row: 0,
            picked: Vec::new(),
            fault,
        }
    }

    /// Moves on to the next batch if this one is finished, and emits the rows that were picked from it. Returns false if
    /// the receiver wants no more.
    fn fill(
        &mut self,
        piece: fn(SummaryBatch) -> Piece,
        emit: &mut impl FnMut(Piece) -> bool,
    ) -> Result<bool, Fault> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.len()) {
            if let Some(done) = self.batch.take()
                && !self.picked.is_empty()
            {
                let picked = done.picked(&self.picked);
                self.picked.clear();
                if !emit(piece(picked)) {
                    return Ok(false);
                }
            }
            match self.batches.next() {
                Some(batch) => self.batch = Some(batch.map_err(self.fault)?),
                None => return Ok(true),
            }
            self.row = 0;
        }
        Ok(true)
    }

    fn pick(&mut self) {
        // A batch has only a few thousand rows, so the cast keeps the value.
        self.picked.push(self.row as u32);
    }
}

#[cfg(test)]
mod tests;
