//! Two summaries with the same keys: what a correction of amounts makes.
//!
//! A writer that gets the same keys writes the same bytes for them. So the stored bytes of the columns are compared: keys
//! row group by row group, measures page by page. Where all keys are the same, only pages of measures whose bytes differ
//! are decoded, and keys only of rows that changed. That is many times as fast as the walk over all rows. It finds the
//! same, or declines.

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use super::{Fault, Part, Tally};
use crate::LoadError;
use crate::input::{self, Stored, SummaryBatch, unusable};
use crate::target::KEYS;

/// Bytes that are compared at a time.
const CHUNK: usize = 256 * 1024;

/// Changed rows that are held in memory. With more of them the walk is no slower.
const MOST_CHANGED: usize = 100_000;

/// Gives out the changed rows. `None`: the keys are not the same, or not stored in the same way; nothing was given out.
/// `Some(None)`: the receiver wants no more.
pub(super) fn merge(
    new: &Path,
    old: &Path,
    measures: &[String],
    mut emit: impl FnMut(Part) -> bool,
) -> Result<Option<Option<Tally>>, Fault> {
    let (new, old) = (
        Stored::open(new).map_err(Fault::Load)?,
        Stored::open(old).map_err(Fault::Base)?,
    );
    let Some(differing) = differing_measures(&new, &old, measures)? else {
        return Ok(None);
    };
    let Some(changed) = changed_rows(&new, &old, &differing)? else {
        return Ok(None);
    };
    let rows = new.rows();
    let tally = Tally {
        rows,
        base_rows: rows,
        changed: changed.len() as u64,
        ..Tally::default()
    };
    if !changed.is_empty() {
        let columns: Vec<&str> = KEYS
            .into_iter()
            .chain(measures.iter().map(String::as_str))
            .collect();
        let ranges = changed.into_iter().map(|row| row..row + 1);
        let selected = RowSelection::from_consecutive_ranges(ranges, rows as usize);
        let batches = new.batches(&columns, Some(selected)).map_err(Fault::Load)?;
        for batch in batches {
            let batch = batch.and_then(|batch| SummaryBatch::of(&new.columns(&batch), measures));
            if !emit(Part::Write(batch.map_err(Fault::Load)?)) {
                return Ok(Some(None));
            }
        }
    }
    Ok(Some(Some(tally)))
}

/// A measure that is not the same in some of these rows.
struct Differing<'a> {
    measure: &'a str,
    /// Numbers of rows, in their order.
    rows: Vec<Range<usize>>,
}

/// The measures whose bytes differ; `None` if those of a key do, or the files are not laid out alike.
fn differing_measures<'a>(
    new: &Stored,
    old: &Stored,
    measures: &'a [String],
) -> Result<Option<Vec<Differing<'a>>>, Fault> {
    let (groups, others) = (new.groups(), old.groups());
    let alike = groups.len() == others.len()
        && groups
            .iter()
            .zip(others)
            .all(|(group, other)| group.num_rows() == other.num_rows());
    if !alike {
        return Ok(None);
    }
    let mut compare = Compare::default();
    for key in KEYS {
        let (Some(mine), Some(theirs)) = (new.column(key), old.column(key)) else {
            return Ok(None);
        };
        for (group, other) in groups.iter().zip(others) {
            let (mine, theirs) = (group.column(mine), other.column(theirs));
            let alike = are_read_alike(mine, theirs);
            if !alike || !compare.same(new, mine.byte_range(), old, theirs.byte_range())? {
                return Ok(None);
            }
        }
    }
    let mut differing = Vec::new();
    for measure in measures {
        let (Some(mine), Some(theirs)) = (new.column(measure), old.column(measure)) else {
            return Ok(None);
        };
        let (mut rows, mut first) = (Vec::new(), 0);
        for (at, group) in groups.iter().enumerate() {
            for differing in differing_rows(&mut compare, (new, mine), (old, theirs), at)? {
                rows.push(first + differing.start..first + differing.end);
            }
            first += group.num_rows() as usize;
        }
        if !rows.is_empty() {
            differing.push(Differing { measure, rows });
        }
    }
    Ok(Some(differing))
}

/// The rows of a row group whose pages of a column differ, by their numbers within it. All, if its pages cannot be told
/// apart or are not read alike.
fn differing_rows(
    compare: &mut Compare,
    (new, mine): (&Stored, usize),
    (old, theirs): (&Stored, usize),
    group: usize,
) -> Result<Vec<Range<usize>>, Fault> {
    let rows = new.groups()[group].num_rows() as usize;
    let chunk = new.groups()[group].column(mine);
    let alike = are_read_alike(chunk, old.groups()[group].column(theirs));
    // A page of numbers into a dictionary says nothing by itself.
    let by_page = alike && chunk.dictionary_page_offset().is_none();
    let (Some(mine), Some(theirs), true) = (new.pages(group, mine), old.pages(group, theirs), by_page) else {
        return Ok(std::iter::once(0..rows).collect());
    };
    let first_row = |page: &PageLocation| page.first_row_index as usize;
    if !mine.iter().map(first_row).eq(theirs.iter().map(first_row)) {
        return Ok(std::iter::once(0..rows).collect());
    }
    let mut differing = Vec::new();
    let place = |page: &PageLocation| (page.offset as u64, page.compressed_page_size as u64);
    for (number, (page, other)) in mine.iter().zip(&theirs).enumerate() {
        if !compare.same(new, place(page), old, place(other))? {
            differing.push(first_row(page)..mine.get(number + 1).map_or(rows, first_row));
        }
    }
    Ok(differing)
}

/// Rows of the file in which one of the measures differs, in their order; `None` if they are too many. Each measure is
/// decoded by a thread of its own.
fn changed_rows(
    new: &Stored,
    old: &Stored,
    differing: &[Differing<'_>],
) -> Result<Option<Vec<usize>>, Fault> {
    let found = std::thread::scope(|scope| {
        let of_measures = differing
            .iter()
            .map(|measure| scope.spawn(|| measure.changed_rows(new, old)));
        let threads: Vec<_> = of_measures.collect();
        let found = threads.into_iter().map(|thread| match thread.join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        found.collect::<Result<Option<Vec<_>>, Fault>>()
    })?;
    let Some(found) = found else { return Ok(None) };
    let mut changed = found.concat();
    changed.sort_unstable();
    changed.dedup();
    Ok((changed.len() <= MOST_CHANGED).then_some(changed))
}

impl Differing<'_> {
    /// Rows of the file in which the measure differs, in their order; `None` if they are too many.
    fn changed_rows(&self, new: &Stored, old: &Stored) -> Result<Option<Vec<usize>>, Fault> {
        let mut changed: Vec<usize> = Vec::new();
        let all = new.rows() as usize;
        let selected = || {
            Some(RowSelection::from_consecutive_ranges(
                self.rows.iter().cloned(),
                all,
            ))
        };
        let mine = new.batches(&[self.measure], selected()).map_err(Fault::Load)?;
        let mut theirs = old.batches(&[self.measure], selected()).map_err(Fault::Base)?;
        let mut numbers = self.rows.iter().cloned().flatten();
        for batch in mine {
            let mine = batch
                .and_then(|batch| new.columns(&batch).amount(self.measure))
                .map_err(Fault::Load)?;
            let theirs = match theirs.next() {
                Some(batch) => batch.and_then(|batch| old.columns(&batch).amount(self.measure)),
                None => Err(unusable(old.path(), "it ends early")),
            };
            let theirs = theirs.map_err(Fault::Base)?;
            if theirs.len() != mine.len() {
                return Err(Fault::Base(unusable(
                    old.path(),
                    "its batches are of another size",
                )));
            }
            let numbered = numbers.by_ref().take(mine.len()).enumerate();
            changed.extend(
                numbered
                    .filter(|&(at, _)| !input::same_amount(&mine, at, &theirs, at))
                    .map(|(_, row)| row),
            );
            if changed.len() > MOST_CHANGED {
                return Ok(None);
            }
        }
        Ok(Some(changed))
    }
}

/// Whether the same bytes would say the same in both.
fn are_read_alike(mine: &ColumnChunkMetaData, theirs: &ColumnChunkMetaData) -> bool {
    mine.column_descr() == theirs.column_descr()
        && mine.compression() == theirs.compression()
        && mine.num_values() == theirs.num_values()
        && mine.encodings().eq(theirs.encodings())
}

/// Where something lies in a file, and its length.
type Place = (u64, u64);

/// Compares what is stored.
#[derive(Default)]
struct Compare {
    mine: Vec<u8>,
    theirs: Vec<u8>,
}

impl Compare {
    /// Whether the same bytes lie in two places.
    fn same(
        &mut self,
        new: &Stored,
        (start, length): Place,
        old: &Stored,
        (other, other_length): Place,
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
