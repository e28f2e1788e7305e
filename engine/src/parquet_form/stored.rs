//! Reads files of this form back: partials, of which a run has one for each of its files.
//!
//! The parquet crate finds, reads and decompresses pages. Their contents are decoded here, directly into the types that
//! sums are held in. The general reader would first build arrays of 128-bit decimals, which for a small file costs
//! several times as much as everything else.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};

use super::packed;
use crate::amount::ABSENT;
use crate::date::DAYS;
use crate::error::EngineError;
use crate::symbols::Texts;

/// A file that is being read.
enum Source {
    /// The whole file in memory. For each page of a file, the parquet crate's reader asks for its length, duplicates
    /// its handle and seeks, which for a small file costs more than decoding its rows.
    Small(Bytes),
    Large(File),
}

/// The size in bytes of the largest file that is read into memory as a whole.
const SMALL: u64 = 256 << 10;

impl Source {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > SMALL {
            return Ok(Self::Large(file));
        }
        let mut bytes = Vec::with_capacity(length as usize + 1);
        file.read_to_end(&mut bytes)?;
        Ok(Self::Small(bytes.into()))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        match self {
            Self::Small(bytes) => Length::len(bytes),
            Self::Large(file) => file.len(),
        }
    }
}

impl ChunkReader for Source {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(match self {
            Self::Small(bytes) => Box::new(bytes.get_read(start)?),
            Self::Large(file) => Box::new(file.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match self {
            Self::Small(bytes) => bytes.get_bytes(start, length),
            Self::Large(file) => file.get_bytes(start, length),
        }
    }
}

/// An open file of typed rows: its metadata have been read, its rows have not.
pub(crate) struct StoredTable {
    path: PathBuf,
    reader: SerializedFileReader<Source>,
}

/// A range of rows of one row group, by their positions within it.
#[derive(Clone)]
pub(crate) struct GroupRows {
    group: usize,
    rows: Range<usize>,
}

impl StoredTable {
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
        let mut texts = Texts::default();
        let numbers = self.column(rows, column, Type::BYTE_ARRAY, absent, |content| match content {
            PageContent::Dictionary(mut values, count) => {
                for _ in 0..count {
                    let length = u32::from_le_bytes(*take(&mut values)?) as usize;
                    let (text, rest) = values.split_at_checked(length)?;
                    texts.push(std::str::from_utf8(text).ok()?);
                    values = rest;
                }
                Some(Vec::new())
            }
            PageContent::Indices(indices) => {
                let known = texts.len() as u32;
                indices.iter().all(|index| *index < known).then_some(indices)
            }
            PageContent::Plain(_) => None,
        })?;
        Ok((texts, numbers))
    }

    /// Reads a column of days.
    pub(crate) fn days(&self, rows: &GroupRows, column: usize) -> std::result::Result<Vec<i32>, EngineError> {
        let mut dictionary = Vec::new();
        self.column(rows, column, Type::INT32, None, |content| match content {
            PageContent::Dictionary(values, _) => {
                dictionary = days(values)?;
                Some(Vec::new())
            }
            PageContent::Indices(indices) => {
                let values = indices
                    .iter()
                    .map(|index| dictionary.get(*index as usize).copied());
                values.collect()
            }
            PageContent::Plain(values) => days(values),
        })
    }

    /// Reads a column of sums in cents, [`ABSENT`] for NULL.
    pub(crate) fn sums(&self, rows: &GroupRows, column: usize) -> std::result::Result<Vec<i64>, EngineError> {
        self.column(rows, column, Type::INT64, Some(ABSENT), |content| match content {
            PageContent::Plain(values) => plain(values, i64::from_le_bytes),
            PageContent::Dictionary(..) | PageContent::Indices(_) => None,
        })
    }

    /// Reads the values of some rows. `decode` decodes the contents of a page, or returns `None` if they are damaged.
    fn column<T: Copy>(
        &self,
        GroupRows { group, rows }: &GroupRows,
        column: usize,
        stored_as: Type,
        absent: Option<T>,
        decode: impl FnMut(PageContent<'_>) -> Option<Vec<T>>,
    ) -> std::result::Result<Vec<T>, EngineError> {
        let read = || {
            let group = self.reader.get_row_group(*group)?;
            let metadata = group.metadata().column(column);
            if metadata.column_type() != stored_as {
                return Err(damaged("a column has the wrong type"));
            }
            let is_nullable = metadata.column_descr().max_def_level() > 0;
            let count = metadata.num_values() as usize;
            let pages = group.get_column_page_reader(column)?;
            values(pages, count, rows.clone(), is_nullable, absent, decode)
        };
        catching_panics(read).map_err(EngineError::parquet("read", &self.path))
    }
}

/// The contents of a page.
enum PageContent<'p> {
    /// The encoded values of a dictionary, and how many there are.
    Dictionary(&'p [u8], usize),
    /// Indices into the dictionary.
    Indices(Vec<u32>),
    /// Plain values.
    Plain(&'p [u8]),
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

/// Reads the values of some rows of a column chunk, which has `count` values. Skips pages that have none of the rows.
fn values<T: Copy>(
    mut pages: Box<dyn PageReader>,
    count: usize,
    rows: Range<usize>,
    is_nullable: bool,
    absent: Option<T>,
    mut decode: impl FnMut(PageContent<'_>) -> Option<Vec<T>>,
) -> Result<Vec<T>> {
    // The values of the pages that were read, and the number of their first row.
    let (mut found, mut first) = (Vec::new(), None);
    let mut start = 0;
    while start < rows.end {
        let Some(next) = pages.peek_next_page()? else {
            return Err(damaged("it has fewer values than rows"));
        };
        if !next.is_dict {
            let of_page = next.num_rows.or(next.num_levels).unwrap_or_default();
            if of_page > count - start {
                return Err(damaged("it has more values than rows"));
            }
            start += of_page;
            if start <= rows.start {
                pages.skip_next_page()?;
                continue;
            }
            first.get_or_insert(start - of_page);
        }
        let decoded = match pages.get_next_page()? {
            Some(Page::DictionaryPage { buf, num_values, .. }) => {
                decode(PageContent::Dictionary(&buf, num_values as usize)).map(|_| ())
            }
            Some(Page::DataPage {
                buf,
                num_values,
                encoding,
                ..
            }) => {
                let page = data_page(&buf, num_values as usize, encoding, is_nullable, &mut decode);
                page.and_then(|page| page.append_to(&mut found, absent))
            }
            _ => None,
        };
        decoded.ok_or_else(|| damaged("a page cannot be decoded"))?;
    }
    let first = first.unwrap_or_default();
    found.truncate(rows.end - first);
    found.drain(..rows.start - first);
    Ok(found)
}

/// The values of a page, and which rows have one, unless all do.
struct Sparse<T> {
    present: Option<Vec<u32>>,
    values: Vec<T>,
}

impl<T: Copy> Sparse<T> {
    /// Appends one value per row: `absent` for a row that has none. Returns `None` if such a row is not allowed.
    fn append_to(self, found: &mut Vec<T>, absent: Option<T>) -> Option<()> {
        let Some(present) = self.present else {
            found.extend(self.values);
            return Some(());
        };
        let absent = absent?;
        let mut at = 0;
        // The processor cannot predict which rows have none, so both candidates are ready before one is chosen.
        found.extend(present.into_iter().map(|level| {
            let value = self.values.get(at).copied().unwrap_or(absent);
            at += level as usize;
            if level == 1 { value } else { absent }
        }));
        Some(())
    }
}

fn data_page<T>(
    mut page: &[u8],
    count: usize,
    encoding: Encoding,
    is_nullable: bool,
    mut decode: impl FnMut(PageContent<'_>) -> Option<Vec<T>>,
) -> Option<Sparse<T>> {
    let mut present = None;
    if is_nullable {
        let length = u32::from_le_bytes(*take(&mut page)?) as usize;
        let (levels, rest) = page.split_at_checked(length)?;
        let levels = packed::unpacked(levels, 1, count)?;
        present = levels.contains(&0).then_some(levels);
        page = rest;
    }
    let there = present
        .as_ref()
        .map_or(count, |levels| levels.iter().filter(|level| **level == 1).count());
    let values = match encoding {
        Encoding::RLE_DICTIONARY => {
            let [width] = *take(&mut page)?;
            decode(PageContent::Indices(packed::unpacked(page, width.into(), there)?))?
        }
        Encoding::PLAIN => decode(PageContent::Plain(page))?,
        _ => return None,
    };
    (values.len() == there).then_some(Sparse { present, values })
}

/// Decodes plain days. Returns `None` if keys cannot hold one of them.
fn days(bytes: &[u8]) -> Option<Vec<i32>> {
    let days = plain(bytes, i32::from_le_bytes)?;
    days.iter().all(|day| DAYS.contains(day)).then_some(days)
}

/// Decodes plain values of a fixed length.
fn plain<T, const N: usize>(bytes: &[u8], value: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (values, rest) = bytes.as_chunks();
    rest.is_empty()
        .then(|| values.iter().copied().map(value).collect())
}

/// Removes the first bytes and returns them.
fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

/// Reads, and turns a panic into an error: the parquet crate asserts some properties of what it reads, and a panic
/// would not name the file.
fn catching_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = panic::catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(damaged("parts of it make no sense")))
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the file is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes, many of which look like lengths and headers of pages.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => 0..8_u8, 1 => any::<u8>()];
        prop::collection::vec(byte, 0..40)
    }

    #[test]
    fn a_level_other_than_present_or_absent_is_rejected() {
        let sums = |level| {
            let levels = [5 << 1, level, 3 << 1, 1];
            let mut page = (levels.len() as u32).to_le_bytes().to_vec();
            page.extend(levels);
            page.extend([7_i64, 8, 9].into_iter().flat_map(i64::to_le_bytes));
            let sums = data_page(&page, 8, Encoding::PLAIN, true, |content| match content {
                PageContent::Plain(values) => plain(values, i64::from_le_bytes),
                _ => None,
            });
            let mut found = Vec::new();
            sums?.append_to(&mut found, Some(ABSENT))?;
            Some(found)
        };
        let absent = [ABSENT; 5];
        assert_eq!(sums(0), Some([&absent[..], &[7, 8, 9]].concat()));
        assert_eq!(sums(2), None);
    }

    proptest! {
        #[test]
        fn a_damaged_page_is_rejected_or_read(
            page in bytes(),
            count in 0..100_usize,
            is_nullable in any::<bool>(),
            encoding in prop::sample::select(vec![Encoding::PLAIN, Encoding::RLE_DICTIONARY, Encoding::RLE]),
        ) {
            let mut found = Vec::new();
            let values = data_page(&page, count, encoding, is_nullable, |content| match content {
                PageContent::Plain(values) => plain(values, i32::from_le_bytes),
                PageContent::Indices(indices) => Some(indices.into_iter().map(u32::cast_signed).collect()),
                PageContent::Dictionary(..) => None,
            });
            if values.and_then(|values| values.append_to(&mut found, Some(0))).is_some() {
                prop_assert_eq!(found.len(), count);
            }
        }
    }
}
