//! Sums that grow while rows are read on one thread, and go to files when memory runs short. Conversion and what makes a
//! partial anew sum by it, so that both come to the same.

use crate::budget::Share;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::partial::Partial;
use crate::scratch::Scratch;
use crate::sums::{DayLines, DayTotals, SumTable};

/// At the end of a file, the sums of its threads are there twice: in their tables, and combined.
const COPIES: usize = 2;

/// The sums of the rows that one thread reads.
pub(crate) struct Summing<'l> {
    pub(crate) table: SumTable,
    measures: &'l [Measure],
    scratch: Scratch<'l>,
    /// Sums that were spilled to files because the table had become too large.
    spilled: Vec<Partial>,
    /// What these sums report of each store and day.
    days: DayTotals,
    /// The memory that the table holds.
    share: Share,
}

impl<'l> Summing<'l> {
    pub(crate) fn new(measures: &'l [Measure], scratch: Scratch<'l>) -> Self {
        Self {
            table: SumTable::new(measures.len()),
            measures,
            scratch,
            spilled: Vec::new(),
            days: DayTotals::default(),
            share: scratch.memory.share(),
        }
    }

    /// Returns the sums of another thread that reads the same file: none so far.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.measures, self.scratch)
    }

    /// Takes the memory that the table needs by now. Returns whether it has become too large, so that it must be spilled.
    pub(crate) fn is_too_large(&mut self) -> bool {
        let needed = self.table.memory().saturating_mul(COPIES);
        !self.share.try_resize(needed) || self.table.is_short_of_numbers()
    }

    /// Moves the sums to a file. The table is empty then, and its symbols mean nothing any more.
    pub(crate) fn spill(&mut self) -> Result<(), EngineError> {
        let table = std::mem::replace(&mut self.table, SumTable::new(self.measures.len()));
        let sums = table.into_sums();
        self.days.add(&sums);
        let partial = Partial::of(vec![sums], self.measures, self.scratch.folder)?;
        self.spilled.push(partial.spill(self.scratch.folder)?);
        self.share.try_resize(0);
        Ok(())
    }

    /// Combines the sums of the threads that read a file. Returns its partial, and what it reports of each store and day.
    /// `None` if there are no threads.
    pub(crate) fn finish(threads: Vec<Self>) -> Result<Option<(Partial, Vec<DayLines>)>, EngineError> {
        let Some(Self {
            measures, scratch, ..
        }) = threads.first()
        else {
            return Ok(None);
        };
        let (measures, folder) = (*measures, scratch.folder);
        let (mut sums, mut spilled) = (Vec::new(), Vec::new());
        let (mut days, mut shares) = (DayTotals::default(), Vec::new());
        for thread in threads {
            shares.push(thread.share);
            let of_thread = thread.table.into_sums();
            days.merge(thread.days);
            days.add(&of_thread);
            sums.push(of_thread);
            spilled.extend(thread.spilled);
        }
        let mut partial = Partial::of(sums, measures, folder)?.keeping(shares);
        for earlier in spilled {
            partial = partial.with(earlier, folder)?;
        }
        Ok(Some((partial, days.into_days())))
    }
}
