//! Compares two summaries with the same keys, as after a correction of amounts.
//!
//! A writer stores the same keys as the same bytes. So this compares the stored bytes of the columns, one row group
//! after another on all processors. Where all keys are the same, it decodes only those pages of measures whose bytes
//! differ, and the keys only of changed rows. That is many times faster than the walk over all rows. It either finds
//! the same difference or declines.

mod sums;

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use rayon::prelude::*;

use self::sums::StoredSums;
use super::{Fault, Piece, Tally};
use crate::LoadError;
use crate::input::{Stored, SummaryBatch, unusable};
use crate::target::KEYS;

/// How many bytes are compared at a time.
const CHUNK: usize = 256 * 1024;

/// The largest number of changed rows, which are kept in memory. With more, the walk is just as fast. The limit is
/// tiny in tests, so that a few rows exceed it.
pub(super) const MOST_CHANGED: usize = if cfg!(test) { 3 } else { 100_000 };

/// Emits the changed rows. `None`: the keys differ or are stored differently, or too many rows changed; nothing was
/// emitted. `Some(None)`: the receiver wants no more.
pub(super) fn merge(
    new: &Path,
    old: &Path,
    measures: &[String],
    mut emit: impl FnMut(Piece) -> bool,
) -> Result<Option<Option<Tally>>, Fault> {
    let (new, old) = (
        Stored::open(new).map_err(Fault::Load)?,
        Stored::open(old).map_err(Fault::Base)?,
    );
    let (groups, others) = (new.groups(), old.groups());
    let rows = |group: &RowGroupMetaData| group.num_rows();
    if !groups.iter().map(rows).eq(others.iter().map(rows)) {
        return Ok(None);
    }
    let pair = Pair {
        new: &new,
        old: &old,
        measures,
    };
    let so_far = AtomicUsize::new(0);
    let changed = (0..groups.len()).into_par_iter().map(|group| {
        let changed = pair.changed(group)?;
        Ok(changed.filter(|rows| {
            let rows = rows.len();
            so_far.fetch_add(rows, Ordering::Relaxed) + rows <= MOST_CHANGED
        }))
    });
    let Some(changed) = changed.collect::<Result<Option<Vec<_>>, Fault>>()? else {
        return Ok(None);
    };
    let found = changed.par_iter().enumerate();
    let found = found.map(|(group, rows)| pair.rows(group, rows).map_err(Fault::Load));
    let found = found.collect::<Result<Vec<_>, Fault>>()?;
    let rows = new.rows();
    let mut tally = Tally {
        rows,
        base_rows: rows,
        ..Tally::default()
    };
    for batch in found.into_iter().flatten() {
        tally.changed += batch.len() as u64;
        if !emit(Piece::Write(batch)) {
            return Ok(Some(None));
        }
    }
    Ok(Some(Some(tally)))
}

/// Two summaries whose row groups have the same numbers of rows.
struct Pair<'a> {
    new: &'a Stored,
    old: &'a Stored,
    measures: &'a [String],
}

impl<'a> Pair<'a> {
    /// The numbers of a row group's rows whose amounts differ. `None` if it is stored differently, or has other keys.
    fn changed(&self, group: usize) -> Result<Option<Vec<usize>>, Fault> {
        let mut compare = Compare::default();
        for key in KEYS {
            let Some((mine, theirs)) = self.chunks(group, key) else {
                return Ok(None);
            };
            let (extent, other) = (mine.byte_range(), theirs.byte_range());
            if !are_read_alike(mine, theirs) || !compare.same(self.new, extent, self.old, other)? {
                return Ok(None);
            }
        }
        let mut changed = Vec::new();
        for measure in self.measures {
            let Some(rows) = self.differing_pages(&mut compare, group, measure)? else {
                return Ok(None);
            };
            if !rows.is_empty() {
                changed.extend(self.differing_rows(group, measure, &rows)?);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(Some(changed))
    }

    /// A column's two chunks in a row group, if it is in both files.
    fn chunks(
        &self,
        group: usize,
        column: &str,
    ) -> Option<(&'a ColumnChunkMetaData, &'a ColumnChunkMetaData)> {
        let chunk = |stored: &'a Stored| Some(stored.groups()[group].column(stored.column(column)?));
        Some((chunk(self.new)?, chunk(self.old)?))
    }

    /// The rows in those pages of a measure that differ; all rows, if something differs and the files do not record page
    /// locations. `None` if the measure is not stored in both files as 64-bit cents.
    fn differing_pages(
        &self,
        compare: &mut Compare,
        group: usize,
        measure: &str,
    ) -> Result<Option<Vec<Range<usize>>>, Fault> {
        let Some((mine, theirs)) = self.chunks(group, measure) else {
            return Ok(None);
        };
        if mine.column_type() != Type::INT64 || mine.column_descr() != theirs.column_descr() {
            return Ok(None);
        }
        let rows = self.new.groups()[group].num_rows() as usize;
        let all = std::iter::once(0..rows).collect();
        if !are_read_alike(mine, theirs) {
            return Ok(Some(all));
        }
        let pages = self.new.pages(group, measure).zip(self.old.pages(group, measure));
        let pages = pages.filter(|(pages, others)| {
            let first_row = |page: &PageLocation| page.first_row_index;
            // A page of dictionary indexes means nothing without its dictionary.
            mine.dictionary_page_offset().is_none()
                && pages.iter().map(first_row).eq(others.iter().map(first_row))
        });
        let Some((pages, others)) = pages else {
            let same = compare.same(self.new, mine.byte_range(), self.old, theirs.byte_range())?;
            return Ok(Some(if same { Vec::new() } else { all }));
        };
        let mut differing = Vec::new();
        let extent = |page: &PageLocation| (page.offset as u64, page.compressed_page_size as u64);
        for (number, (page, other)) in pages.iter().zip(&others).enumerate() {
            if !compare.same(self.new, extent(page), self.old, extent(other))? {
                let next = pages.get(number + 1);
                let end = next.map_or(rows, |next| next.first_row_index as usize);
                differing.push(page.first_row_index as usize..end);
            }
        }
        Ok(Some(differing))
    }

    /// Which of these rows of a row group have different amounts.
    fn differing_rows(
        &self,
        group: usize,
        measure: &str,
        rows: &[Range<usize>],
    ) -> Result<Vec<usize>, Fault> {
        let mut mine = StoredSums::open(self.new, group, measure).map_err(Fault::Load)?;
        let mut theirs = StoredSums::open(self.old, group, measure).map_err(Fault::Base)?;
        let mut differing = Vec::new();
        for rows in rows {
            let mine = mine.read(rows.clone()).map_err(Fault::Load)?;
            let theirs = theirs.read(rows.clone()).map_err(Fault::Base)?;
            if mine == theirs {
                continue;
            }
            let pairs = mine.iter().zip(theirs.iter());
            differing.extend(
                rows.clone()
                    .zip(pairs)
                    .filter(|(_, (mine, theirs))| mine != theirs)
                    .map(|(row, _)| row),
            );
        }
        Ok(differing)
    }

    /// These rows of a row group of the new summary.
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

/// Whether the same bytes mean the same values in both.
fn are_read_alike(mine: &ColumnChunkMetaData, theirs: &ColumnChunkMetaData) -> bool {
    mine.column_descr() == theirs.column_descr()
        && mine.compression() == theirs.compression()
        && mine.num_values() == theirs.num_values()
        && mine.encodings().eq(theirs.encodings())
}

/// An offset in a file, and a length.
type Extent = (u64, u64);

/// Compares stored bytes; the buffers are reused.
#[derive(Default)]
struct Compare {
    mine: Vec<u8>,
    theirs: Vec<u8>,
}

impl Compare {
    /// Whether the two files have the same bytes in these extents.
    fn same(
        &mut self,
        new: &Stored,
        (start, length): Extent,
        old: &Stored,
        (other, other_length): Extent,
    ) -> Result<bool, Fault> {
        if length != other_length {
            return Ok(false);
        }
        let mut done = 0;
        while done < length {
            let size = CHUNK.min((length - done) as usize);
            read(new, start + done, &mut self.mine, size).map_err(Fault::Load)?;
            read(old, other + done, &mut self.theirs, size).map_err(Fault::Base)?;
            if self.mine != self.theirs {
                return Ok(false);
            }
            done += size as u64;
        }
        Ok(true)
    }
}

fn read(stored: &Stored, from: u64, into: &mut Vec<u8>, size: usize) -> Result<(), LoadError> {
    into.resize(size, 0);
    let done = stored.file().read_exact_at(into, from);
    done.map_err(|error| unusable(stored.path(), error))
}
