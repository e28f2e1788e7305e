//! Two summaries with the same keys: what a correction of amounts makes.
//!
//! A writer that gets the same keys writes the same bytes for them. So the stored bytes of the columns are compared, row
//! group by row group. Where all keys are the same, only measures whose bytes differ are decoded, and keys only of rows
//! that changed. That is several times as fast as the walk over all rows. It finds the same, or declines.

use std::os::unix::fs::FileExt;
use std::path::Path;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ColumnChunkMetaData;

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
        let batches = new.batches(&columns, None, Some(selected)).map_err(Fault::Load)?;
        for batch in batches {
            let batch = batch.and_then(|batch| SummaryBatch::of(&new.columns(&batch), measures));
            if !emit(Part::Write(batch.map_err(Fault::Load)?)) {
                return Ok(Some(None));
            }
        }
    }
    Ok(Some(Some(tally)))
}

/// A measure that is not the same in these row groups.
struct Differing<'a> {
    measure: &'a str,
    groups: Vec<usize>,
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
    let mut same = Compare::default();
    for key in KEYS {
        let (Some(mine), Some(theirs)) = (new.column(key), old.column(key)) else {
            return Ok(None);
        };
        for (group, other) in groups.iter().zip(others) {
            if !same.bytes(new, group.column(mine), old, other.column(theirs))? {
                return Ok(None);
            }
        }
    }
    let mut differing = Vec::new();
    for measure in measures {
        let (Some(mine), Some(theirs)) = (new.column(measure), old.column(measure)) else {
            return Ok(None);
        };
        let mut differs = Vec::new();
        for (at, (group, other)) in groups.iter().zip(others).enumerate() {
            if !same.bytes(new, group.column(mine), old, other.column(theirs))? {
                differs.push(at);
            }
        }
        if !differs.is_empty() {
            differing.push(Differing {
                measure,
                groups: differs,
            });
        }
    }
    Ok(Some(differing))
}

/// Rows of the file in which one of the measures differs, in their order; `None` if they are too many.
fn changed_rows(
    new: &Stored,
    old: &Stored,
    differing: &[Differing<'_>],
) -> Result<Option<Vec<usize>>, Fault> {
    let mut rows: Vec<usize> = Vec::new();
    for Differing { measure, groups } in differing {
        for &group in groups {
            let mut row: usize = new.groups()[..group]
                .iter()
                .map(|group| group.num_rows() as usize)
                .sum();
            let mine = new
                .batches(&[measure], Some(vec![group]), None)
                .map_err(Fault::Load)?;
            let mut theirs = old
                .batches(&[measure], Some(vec![group]), None)
                .map_err(Fault::Base)?;
            for batch in mine {
                let mine = batch
                    .and_then(|batch| new.columns(&batch).amount(measure))
                    .map_err(Fault::Load)?;
                let theirs = match theirs.next() {
                    Some(batch) => batch.and_then(|batch| old.columns(&batch).amount(measure)),
                    None => Err(unusable(old.path(), "it ends early")),
                };
                let theirs = theirs.map_err(Fault::Base)?;
                if theirs.len() != mine.len() {
                    return Err(Fault::Base(unusable(
                        old.path(),
                        "its batches are of another size",
                    )));
                }
                rows.extend(
                    (0..mine.len())
                        .filter(|&at| !input::same_amount(&mine, at, &theirs, at))
                        .map(|at| row + at),
                );
                row += mine.len();
                if rows.len() > MOST_CHANGED {
                    return Ok(None);
                }
            }
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(Some(rows))
}

/// Compares what is stored.
#[derive(Default)]
struct Compare {
    mine: Vec<u8>,
    theirs: Vec<u8>,
}

impl Compare {
    /// Whether two columns of a row group hold the same: their bytes are, and are read in the same way.
    fn bytes(
        &mut self,
        new: &Stored,
        mine: &ColumnChunkMetaData,
        old: &Stored,
        theirs: &ColumnChunkMetaData,
    ) -> Result<bool, Fault> {
        let ((start, length), (other, other_length)) = (mine.byte_range(), theirs.byte_range());
        let alike = length == other_length
            && mine.column_descr() == theirs.column_descr()
            && mine.compression() == theirs.compression()
            && mine.num_values() == theirs.num_values()
            && mine.encodings().eq(theirs.encodings());
        if !alike {
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
