//! Reads the sums of one measure from a summary, as whole cents.
//!
//! The Arrow reader builds 128-bit decimals first, which takes longer than comparing the stored values.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::LoadError;
use crate::input::{Stored, unusable};

/// A reader of a measure's sums in one row group.
pub(super) struct StoredSums<'s> {
    path: &'s Path,
    column: ColumnReaderImpl<Int64Type>,
    is_nullable: bool,
    /// The number of the next row.
    at: usize,
}

/// The sums of some rows: whether each row has one (empty if all do), and the existing sums.
#[derive(PartialEq, Eq)]
pub(super) struct Sums {
    there: Vec<i16>,
    cents: Vec<i64>,
}

impl<'s> StoredSums<'s> {
    /// Opens a measure that is stored as 64-bit cents.
    pub(super) fn open(stored: &'s Stored, group: usize, measure: &str) -> Result<Self, LoadError> {
        let path = stored.path();
        let open = || {
            let column = stored.column(measure).ok_or("it lacks a measure")?;
            let rows = stored.groups()[group].num_rows() as usize;
            let chunk = stored.groups()[group].column(column);
            let file = Arc::new(File::open(path)?);
            let pages = SerializedPageReader::new(file, chunk, rows, stored.pages(group, measure))?;
            let descriptor = chunk.column_descr_ptr();
            Ok::<_, Box<dyn std::error::Error>>(Self {
                path,
                is_nullable: descriptor.max_def_level() > 0,
                column: ColumnReaderImpl::new(descriptor, Box::new(pages)),
                at: 0,
            })
        };
        open().map_err(|error| unusable(path, error))
    }

    /// Reads some rows, by their numbers within the row group. They must come after those that were read before.
    pub(super) fn read(&mut self, rows: Range<usize>) -> Result<Sums, LoadError> {
        let (mut there, mut cents) = (Vec::new(), Vec::new());
        let mut read = || {
            self.column.skip_records(rows.start - self.at)?;
            let mut left = rows.len();
            while left > 0 {
                let levels = self.is_nullable.then_some(&mut there);
                let (count, ..) = self.column.read_records(left, levels, None, &mut cents)?;
                if count == 0 {
                    return Err(ParquetError::EOF("it ends early".into()));
                }
                left -= count;
            }
            Ok(())
        };
        read().map_err(|error| unusable(self.path, error))?;
        self.at = rows.end;
        Ok(Sums { there, cents })
    }
}

impl Sums {
    /// The sum of each row, in cents.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<i64>> {
        let mut cents = self.cents.iter().copied();
        let of_row = move |is_there: bool| if is_there { cents.next() } else { None };
        let rows = self.there.len().max(self.cents.len());
        (0..rows)
            .map(|row| self.there.get(row).is_none_or(|level| *level > 0))
            .map(of_row)
    }
}
