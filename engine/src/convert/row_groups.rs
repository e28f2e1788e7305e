//! Reads the row groups of a Parquet file, on one thread or several.
//!
//! Rows whose values are certain are added column by column (`sales::typed`); of any other, a record is made, and read as
//! those of all formats are.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::conversion::Conversion;
use super::lines::Lines;
use super::reader::{Files, Order, UnitOutput, finish, write};
use super::turns::Turns;
use crate::error::EngineError;
use crate::feed_lines::FeedLines;
use crate::findings::Findings;
use crate::formats::{Ending, ParquetFile, Record, Selection};
use crate::key::MOST_STORES;
use crate::layout::FeedLayout;
use crate::rejects::RejectWriter;

/// Rows after which what they yield is written. They cannot use up the numbers that are left for stores, and make one row
/// group of the converted file.
const UNIT_ROWS: usize = MOST_STORES / 2;

/// The same for the bytes of rejects.
const UNIT: usize = 1 << 20;

/// Reads all rows.
pub(super) fn read<L: FeedLines>(
    file: ParquetFile,
    layout: &FeedLayout,
    rejects: Option<&Path>,
    order: Order,
    feed: L,
    converted: Option<L::File>,
) -> Result<Conversion, EngineError> {
    let mut first = Lines::new(layout, feed, rejects.is_some());
    let mut files = Files {
        converted,
        rejects: rejects.map(RejectWriter::new),
        findings: Findings::default(),
    };
    let ending = Ending {
        is_ended: true,
        ..Ending::default()
    };
    if !first.take_names(file.names()) {
        let output = UnitOutput {
            text: &[],
            too_long: None,
            written: None,
        };
        write(&first, output, 0, &mut files)?;
        return finish(vec![first], files, ending, layout);
    }
    let selection = Arc::new(file)
        .select(Some(&first.read_positions()), UNIT_ROWS)
        .map_err(EngineError::Read)?;
    let groups = Groups {
        selection,
        next: Mutex::new(0),
        turns: Turns::new(files),
    };
    let is_in_order = order == Order::OfLines || first.controls.is_some() || groups.selection.has_large_pages;
    let threads_wanted = match is_in_order {
        true => 1,
        false => rayon::current_num_threads().min(groups.selection.groups()).max(1),
    };
    let threads = Mutex::new(Vec::new());
    let run = |thread| {
        let outcome = groups.read(thread);
        threads.lock().expect("no holder panics").push(outcome);
    };
    if threads_wanted == 1 {
        run(first);
    } else {
        first.reads_alone = false;
        let others: Vec<_> = (1..threads_wanted).map(|_| first.another()).collect();
        rayon::in_place_scope(|scope| {
            for other in others {
                let run = &run;
                scope.spawn(move |_| run(other));
            }
            run(first);
        });
    }
    let threads = threads.into_inner().expect("no holder panics");
    let threads = threads.into_iter().collect::<Result<Vec<_>, _>>()?;
    finish(threads, groups.turns.into_writer(), ending, layout)
}

/// The row groups of a file, which threads take in turn.
struct Groups<F> {
    selection: Selection,
    /// The next one.
    next: Mutex<usize>,
    turns: Turns<Files<F>>,
}

impl<F: Send> Groups<F> {
    fn read<'c, L: FeedLines<File = F>>(
        &self,
        mut thread: Lines<'c, L>,
    ) -> Result<Lines<'c, L>, EngineError> {
        while let Some(group) = self.take() {
            let read = self.read_group(group, &mut thread);
            if !matches!(read, Ok(true)) {
                // The other threads need not read the rest of a file that has failed.
                *self.next.lock().expect("no holder panics") = usize::MAX;
            }
            read?;
        }
        Ok(thread)
    }

    fn take(&self) -> Option<usize> {
        let mut next = self.next.lock().expect("no holder panics");
        let group = Some(*next).filter(|group| *group < self.selection.groups())?;
        *next += 1;
        Some(group)
    }

    /// Reads a row group. Returns `false` if another thread has failed.
    fn read_group<L: FeedLines<File = F>>(
        &self,
        group: usize,
        lines: &mut Lines<'_, L>,
    ) -> Result<bool, EngineError> {
        let mut turn = self.turns.of(group as u64);
        let mut reader = self.selection.open(group).map_err(EngineError::Read)?;
        // The texts of rejects, and the rows of the group that were read before and had nothing to write.
        let (mut text, mut record, mut before) = (Vec::new(), Record::default(), 0);
        lines.number = 0;
        loop {
            let batch = reader.next().map_err(EngineError::Read)?;
            let rows = batch.as_ref().map_or(0, |batch| batch.num_rows());
            if rows == 0 || lines.number as usize + rows > UNIT_ROWS || text.len() >= UNIT {
                let count = u64::from(std::mem::take(&mut lines.number));
                lines.report.lines += count;
                let written = lines.feed.end_unit()?;
                if written.is_none() && !lines.has_output() {
                    before += count;
                } else {
                    let output = UnitOutput {
                        text: &text,
                        too_long: None,
                        written,
                    };
                    let wrote = turn.take_part(before + count, |lines_before, files| {
                        write(lines, output, lines_before + before, files)
                    });
                    let Some(wrote) = wrote else {
                        return Ok(false);
                    };
                    wrote?;
                    before = 0;
                }
                lines.clear_output();
                text.clear();
            }
            let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) else {
                break;
            };
            lines.feed.read_batch(&self.selection.batch(&batch));
            for row in 0..rows {
                if lines.row(row) {
                    continue;
                }
                self.selection.record(&batch, row, &mut record);
                let start = text.len();
                text.extend_from_slice(&record.text);
                let rejects_before = lines.rejects.len();
                lines.record(&mut record, start..text.len());
                if lines.rejects.len() == rejects_before {
                    text.truncate(start);
                }
            }
            if lines.columns_moved {
                return Err(EngineError::ColumnsMoved);
            }
        }
        turn.pass(before);
        Ok(true)
    }
}
