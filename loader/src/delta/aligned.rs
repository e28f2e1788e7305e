//! Compares two summaries that have the same keys, as after a correction of amounts, by their stored bytes.
//!
//! A writer stores the same keys as the same bytes. So it is enough to compare the bytes of the key columns, one row
//! group after another on all processors, to decode only those pages of measures whose bytes differ, and to read the
//! keys of changed rows alone. That is many times faster than the walk over all rows. Where the bytes do not tell, the
//! comparison gives up, and the walk has to find the difference.

mod bytes;
mod sums;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use rayon::prelude::*;

use self::bytes::{Extent, StoredBytes};
use self::sums::StoredSums;
use super::{Fault, Tally};
use crate::LoadError;
use crate::input::{Stored, SummaryBatch};
use crate::target::KEYS;

/// The largest number of changed rows, which are kept in memory. With more, the walk is just as fast. The limit is
/// tiny in tests, so that a few rows exceed it.
pub(super) const MOST_CHANGED: usize = if cfg!(test) { 3 } else { 100_000 };

/// The rows whose amounts changed, where nothing else did.
pub(super) struct ChangedRows {
    /// The changed rows of the new summary, in its order.
    pub batches: Vec<SummaryBatch>,
    /// How many rows each summary has.
    rows: u64,
}

impl ChangedRows {
    pub(super) fn tally(&self) -> Tally {
        Tally {
            rows: self.rows,
            base_rows: self.rows,
            changed: self.batches.iter().map(|batch| batch.len() as u64).sum(),
            ..Tally::default()
        }
    }
}

/// Why a comparison has no result.
enum Unfinished {
    /// The summaries have different keys, or store the same values differently, or differ in too many rows.
    GaveUp,
    Failed(Fault),
}

impl From<Fault> for Unfinished {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// Finds the changed rows. Returns `None` if the walk has to find the difference.
pub(super) fn changed_rows(
    new: &Path,
    old: &Path,
    measures: &[String],
) -> Result<Option<ChangedRows>, Fault> {
    let new = Stored::open(new).map_err(Fault::Load)?;
    let old = Stored::open(old).map_err(Fault::Base)?;
    let pair = Pair {
        new: &new,
        old: &old,
        measures,
    };
    match pair.changed_rows() {
        Ok(changed) => Ok(Some(changed)),
        Err(Unfinished::GaveUp) => Ok(None),
        Err(Unfinished::Failed(fault)) => Err(fault),
    }
}

/// Two summaries.
struct Pair<'a> {
    new: &'a Stored,
    old: &'a Stored,
    measures: &'a [String],
}

/// What both summaries record of one column in one row group.
struct Chunks<'a> {
    new: &'a ColumnChunkMetaData,
    old: &'a ColumnChunkMetaData,
}

impl<'a> Pair<'a> {
    fn changed_rows(&self) -> Result<ChangedRows, Unfinished> {
        let groups = self.new.groups();
        let rows = |group: &RowGroupMetaData| group.num_rows();
        if !groups.iter().map(rows).eq(self.old.groups().iter().map(rows)) {
            return Err(Unfinished::GaveUp);
        }
        let found_so_far = AtomicUsize::new(0);
        let numbers = (0..groups.len()).into_par_iter().map(|group| {
            let numbers = self.changed_in(group)?;
            let found_before = found_so_far.fetch_add(numbers.len(), Ordering::Relaxed);
            match found_before + numbers.len() <= MOST_CHANGED {
                true => Ok(numbers),
                false => Err(Unfinished::GaveUp),
            }
        });
        // Rows are read only once it is certain that they are wanted.
        let numbers: Vec<Vec<usize>> = numbers.collect::<Result<_, Unfinished>>()?;
        let batches = numbers.par_iter().enumerate();
        let batches = batches.map(|(group, rows)| self.rows(group, rows).map_err(Fault::Load));
        let batches: Vec<Vec<SummaryBatch>> = batches.collect::<Result<_, Fault>>()?;
        Ok(ChangedRows {
            batches: batches.into_iter().flatten().collect(),
            rows: self.new.rows(),
        })
    }

    /// Returns the numbers of a row group's rows whose amounts differ, in order.
    fn changed_in(&self, group: usize) -> Result<Vec<usize>, Unfinished> {
        let mut bytes = StoredBytes::of(self.new, self.old);
        for key in KEYS {
            let chunks = self.chunks(group, key)?;
            if !chunks.are_read_alike() || !chunks.are_same(&mut bytes)? {
                return Err(Unfinished::GaveUp);
            }
        }
        let mut changed = Vec::new();
        for measure in self.measures {
            let rows = self.differing_pages(&mut bytes, group, measure)?;
            if !rows.is_empty() {
                changed.extend(self.differing_rows(group, measure, &rows)?);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// Returns a column's chunks in a row group. Gives up if one of the files lacks the column.
    fn chunks(&self, group: usize, column: &str) -> Result<Chunks<'a>, Unfinished> {
        let chunk = |stored: &'a Stored| -> Result<_, Unfinished> {
            let column = stored.column(column).ok_or(Unfinished::GaveUp)?;
            Ok(stored.groups()[group].column(column))
        };
        Ok(Chunks {
            new: chunk(self.new)?,
            old: chunk(self.old)?,
        })
    }

    /// Returns the rows in those pages of a measure that differ; all rows, if something differs and the files do not
    /// tell in which page. Gives up if the measure is not stored in both files as 64-bit cents.
    fn differing_pages(
        &self,
        bytes: &mut StoredBytes<'_>,
        group: usize,
        measure: &str,
    ) -> Result<Vec<Range<usize>>, Unfinished> {
        let chunks = self.chunks(group, measure)?;
        if !chunks.hold_cents() {
            return Err(Unfinished::GaveUp);
        }
        let rows = self.new.groups()[group].num_rows() as usize;
        let all = std::iter::once(0..rows).collect();
        if !chunks.are_read_alike() {
            return Ok(all);
        }
        let Some(pages) = self.alike_pages(group, measure, &chunks) else {
            let are_same = chunks.are_same(bytes)?;
            return Ok(if are_same { Vec::new() } else { all });
        };
        let mut differing = Vec::new();
        let mut pages = pages.into_iter().peekable();
        while let Some((new, old)) = pages.next() {
            if !bytes.are_same(extent(&new), extent(&old))? {
                let end = pages
                    .peek()
                    .map_or(rows, |(next, _)| next.first_row_index as usize);
                differing.push(new.first_row_index as usize..end);
            }
        }
        Ok(differing)
    }

    /// Returns the pages of a measure in both files, if both record them and begin them at the same rows, and if a page
    /// can be read by itself.
    fn alike_pages(
        &self,
        group: usize,
        measure: &str,
        chunks: &Chunks<'_>,
    ) -> Option<Vec<(PageLocation, PageLocation)>> {
        // A page of dictionary indexes means nothing without its dictionary.
        if chunks.new.dictionary_page_offset().is_some() {
            return None;
        }
        let new = self.new.pages(group, measure)?;
        let old = self.old.pages(group, measure)?;
        let first_row = |page: &PageLocation| page.first_row_index;
        let begin_alike = new.iter().map(first_row).eq(old.iter().map(first_row));
        begin_alike.then(|| new.into_iter().zip(old).collect())
    }

    /// Returns which of these rows of a row group have different amounts.
    fn differing_rows(
        &self,
        group: usize,
        measure: &str,
        rows: &[Range<usize>],
    ) -> Result<Vec<usize>, Fault> {
        let mut new_sums = StoredSums::open(self.new, group, measure).map_err(Fault::Load)?;
        let mut old_sums = StoredSums::open(self.old, group, measure).map_err(Fault::Base)?;
        let mut differing = Vec::new();
        for rows in rows {
            let new = new_sums.read(rows.clone()).map_err(Fault::Load)?;
            let old = old_sums.read(rows.clone()).map_err(Fault::Base)?;
            if new != old {
                let sums = new.iter().zip(old.iter());
                let differ = rows.clone().zip(sums).filter(|(_, (new, old))| new != old);
                differing.extend(differ.map(|(row, _)| row));
            }
        }
        Ok(differing)
    }

    /// Reads rows of the new summary, by their numbers within a row group.
    fn rows(&self, group: usize, rows: &[usize]) -> Result<Vec<SummaryBatch>, LoadError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let measures = self.measures.iter().map(String::as_str);
        let columns: Vec<&str> = KEYS.into_iter().chain(measures).collect();
        let rows: Vec<_> = rows.iter().map(|&row| row..row + 1).collect();
        let batches = self.new.group_batches(group, &columns, &rows)?;
        batches
            .map(|batch| SummaryBatch::of(&self.new.columns(&batch?), self.measures))
            .collect()
    }
}

impl Chunks<'_> {
    /// Returns whether the same bytes mean the same values in both.
    fn are_read_alike(&self) -> bool {
        self.new.column_descr() == self.old.column_descr()
            && self.new.compression() == self.old.compression()
            && self.new.num_values() == self.old.num_values()
            && self.new.encodings().eq(self.old.encodings())
    }

    /// Returns whether both have the same bytes.
    fn are_same(&self, bytes: &mut StoredBytes<'_>) -> Result<bool, Fault> {
        bytes.are_same(self.new.byte_range(), self.old.byte_range())
    }

    /// Returns whether both are a measure as it is stored: 64-bit cents.
    fn hold_cents(&self) -> bool {
        self.new.column_type() == Type::INT64 && self.new.column_descr() == self.old.column_descr()
    }
}

fn extent(page: &PageLocation) -> Extent {
    (page.offset as u64, page.compressed_page_size as u64)
}
