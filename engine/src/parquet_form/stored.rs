//! Reads files of this form back: partials, of which a run has one for each of its files, and converted files.
//!
//! The parquet crate finds, reads and decompresses pages. Their contents are decoded here, directly into the types that
//! sums are held in: with either of the crate's own readers, a merge of many small partials takes over a third longer
//! (decision 121).

mod pages;
mod source;
mod values;

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use parquet::column::reader::ColumnReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};

use self::source::Source;
use self::values::{Few, Sums, TextNumbers, Values};
use crate::date::DAYS;
use crate::error::EngineError;
use crate::symbols::Texts;

/// An open file of typed rows: its metadata have been read, its rows have not.
pub(crate) struct StoredFile {
    path: PathBuf,
    reader: SerializedFileReader<Source>,
}

/// A range of rows of one row group, by their positions within it.
#[derive(Clone)]
pub(crate) struct GroupRows {
    group: usize,
    rows: Range<usize>,
}

impl StoredFile {
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, EngineError> {
        let source = Source::open(path).map_err(EngineError::parquet("read", path))?;
        let open = || {
            let reader = SerializedFileReader::new(source)?;
            match counts_agree(reader.metadata()) {
                true => Ok(reader),
                false => Err(damaged("its row counts disagree")),
            }
        };
        let reader = catching_panics(open).map_err(EngineError::parquet("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// Returns how many rows the file has.
    pub(crate) fn rows(&self) -> usize {
        self.reader.metadata().file_metadata().num_rows() as usize
    }

    /// Returns where a range of the rows is, row group by row group.
    pub(crate) fn groups(&self, rows: Range<usize>) -> Vec<GroupRows> {
        let mut start = 0;
        let groups = self.reader.metadata().row_groups().iter().enumerate();
        let groups = groups.filter_map(|(group, metadata)| {
            let first = start;
            start += metadata.num_rows() as usize;
            let within = rows.start.max(first)..rows.end.min(start);
            let is_wanted = !within.is_empty();
            is_wanted.then(|| GroupRows {
                group,
                rows: within.start - first..within.end - first,
            })
        });
        groups.collect()
    }

    /// Reads a column of texts: returns those that its row group has, and for each row the number of its text. `absent`
    /// stands for NULL; without it, no row may be NULL.
    pub(crate) fn texts(
        &self,
        rows: &GroupRows,
        column: usize,
        absent: Option<u32>,
    ) -> std::result::Result<(Texts, Vec<u32>), EngineError> {
        let mut values = TextNumbers {
            texts: Texts::default(),
            absent,
        };
        let numbers = self.column(rows, column, &mut values)?;
        Ok((values.texts, numbers))
    }

    /// Reads a column of days.
    pub(crate) fn days(&self, rows: &GroupRows, column: usize) -> std::result::Result<Vec<i32>, EngineError> {
        self.column(rows, column, &mut Few::of(DAYS))
    }

    /// Reads a column of transaction codes.
    pub(crate) fn codes(
        &self,
        rows: &GroupRows,
        column: usize,
    ) -> std::result::Result<Vec<i32>, EngineError> {
        self.column(rows, column, &mut Few::of(i32::MIN..=i32::MAX))
    }

    /// Reads a column of amounts in cents, of which no row is NULL. The parquet crate decodes them: they are stored as
    /// differences, and only read to make a partial anew.
    pub(crate) fn amounts(
        &self,
        GroupRows { group, rows }: &GroupRows,
        column: usize,
    ) -> std::result::Result<Vec<i64>, EngineError> {
        let read = || {
            let group = self.reader.get_row_group(*group)?;
            let is_nullable = group.metadata().column(column).column_descr().max_def_level() > 0;
            let ColumnReader::Int64ColumnReader(mut amounts) = group.get_column_reader(column)? else {
                return Err(damaged("a column has the wrong type"));
            };
            if is_nullable {
                return Err(damaged("an amount may be NULL"));
            }
            let mut found = Vec::new();
            let skipped = amounts.skip_records(rows.start)?;
            while found.len() < rows.len() {
                let (records, _, _) =
                    amounts.read_records(rows.len() - found.len(), None, None, &mut found)?;
                if records == 0 {
                    return Err(damaged("it has fewer values than rows"));
                }
            }
            match skipped == rows.start && found.len() == rows.len() {
                true => Ok(found),
                false => Err(damaged("it has fewer values than rows")),
            }
        };
        catching_panics(read).map_err(EngineError::parquet("read", &self.path))
    }

    /// Reads a column of sums in cents, [`ABSENT`](crate::amount::ABSENT) for NULL.
    pub(crate) fn sums(&self, rows: &GroupRows, column: usize) -> std::result::Result<Vec<i64>, EngineError> {
        self.column(rows, column, &mut Sums)
    }

    fn column<V: Values>(
        &self,
        GroupRows { group, rows }: &GroupRows,
        column: usize,
        values: &mut V,
    ) -> std::result::Result<Vec<V::Value>, EngineError> {
        let read = || {
            let group = self.reader.get_row_group(*group)?;
            let metadata = group.metadata().column(column);
            if metadata.column_type() != V::STORED_AS {
                return Err(damaged("a column has the wrong type"));
            }
            let is_nullable = metadata.column_descr().max_def_level() > 0;
            let count = metadata.num_values() as usize;
            let pages = group.get_column_page_reader(column)?;
            pages::read(pages, count, rows.clone(), is_nullable, values)
        };
        catching_panics(read).map_err(EngineError::parquet("read", &self.path))
    }
}

/// Returns whether all row counts in the metadata agree: if one were too low, rows would be lost silently.
fn counts_agree(metadata: &ParquetMetaData) -> bool {
    let groups = metadata.row_groups();
    let in_groups = groups
        .iter()
        .try_fold(0_i64, |rows, group| rows.checked_add(group.num_rows()));
    let agrees = |group: &RowGroupMetaData| {
        let mut columns = group.columns().iter();
        group.num_rows() >= 0 && columns.all(|column| column.num_values() == group.num_rows())
    };
    in_groups == Some(metadata.file_metadata().num_rows()) && groups.iter().all(agrees)
}

/// Reads, and turns a panic into an error that names the file, so that a damaged partial is made anew. The parquet crate
/// panics over damaged metadata: over an offset that is negative (`ColumnChunkMetaData::byte_range`), for one.
fn catching_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = panic::catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(damaged("parts of it make no sense")))
}

/// The failure to read a damaged file.
pub(crate) fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the file is damaged: {what}"))
}
