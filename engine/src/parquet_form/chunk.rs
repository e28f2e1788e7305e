//! Encodes column chunks of typed values: a dictionary page if there is a dictionary, and data pages of [`PAGE_ROWS`]
//! rows with an offset index, so that a reader that wants few rows reads few pages.
//!
//! The parquet crate's general writer looks up each value in its dictionary. Here every id is already a small number,
//! so encoding a column of a million ids is little more than packing bits.

use std::io::Write;
use std::ops::{Range, RangeInclusive};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::packed;
use crate::amount::ABSENT;
use crate::symbols::Texts;

/// Stands in place of a text's number when there is no text.
pub(crate) const NO_TEXT: u32 = u32::MAX;

/// Rows per data page, the same as in the parquet crate and Spark. The number is low in tests, so that their row groups
/// have several pages.
pub(crate) const PAGE_ROWS: usize = if cfg!(test) { 100 } else { 20_000 };

/// The values of one column in a row group.
#[derive(Clone, Copy)]
pub(crate) enum Column<'v> {
    /// Texts by their numbers, [`NO_TEXT`] for NULL.
    Texts { texts: &'v Texts, numbers: &'v [u32] },
    /// Days or codes: whole numbers with few distinct values.
    Few(&'v [i32]),
    /// Whole numbers that are close together, or small.
    Near(&'v [i64]),
    /// Sums in cents, [`ABSENT`] for NULL: these slices one after another.
    Sums(&'v [&'v [i64]]),
}

/// A column chunk that is ready to be written.
pub(crate) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Appends the data page for a range of values.
type PageOf<'v> = dyn FnMut(Range<usize>, &mut Vec<u8>) + 'v;

/// A chunk before it is encoded page by page.
struct Pages<'v> {
    /// The distinct values, encoded, and how many there are.
    dictionary: Option<(Vec<u8>, usize)>,
    /// Encodes one page. It is called for consecutive ranges that cover all values.
    page: Box<PageOf<'v>>,
    encoding: Encoding,
    /// The number of values, including NULLs.
    values: usize,
    statistics: Statistics,
}

/// Whole numbers within this span get a dictionary; others are written plain.
const DICTIONARY_SPAN: i64 = 1 << 16;

impl Column<'_> {
    /// Encodes the values for a column of the schema.
    pub(crate) fn encode(&self, descriptor: &ColumnDescPtr) -> Result<Chunk> {
        let is_nullable = descriptor.max_def_level() > 0;
        let pages = match *self {
            Self::Texts { texts, numbers } => text_pages(texts, numbers, is_nullable),
            Self::Few(values) => few_pages(values),
            Self::Near(values) => near_pages(values),
            Self::Sums(sums) => sum_pages(sums),
        };
        pages.write(descriptor)
    }
}

fn text_pages<'v>(texts: &'v Texts, numbers: &'v [u32], is_nullable: bool) -> Pages<'v> {
    // The index of each text in this chunk's dictionary.
    let mut indices = vec![NO_TEXT; texts.len()];
    let mut distinct: Vec<u32> = Vec::new();
    let mut packed = Vec::with_capacity(numbers.len());
    for &number in numbers.iter().filter(|number| **number != NO_TEXT) {
        let index = &mut indices[number as usize];
        if *index == NO_TEXT {
            *index = distinct.len() as u32;
            distinct.push(number);
        }
        packed.push(*index);
    }
    let mut dictionary = Vec::new();
    for number in &distinct {
        let text = texts.bytes(*number);
        dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
        dictionary.extend_from_slice(text);
    }
    let of_text = |number: Option<&u32>| number.map(|number| ByteArray::from(texts.get(*number)));
    let least = of_text(distinct.iter().min_by_key(|number| texts.bytes(**number)));
    let greatest = of_text(distinct.iter().max_by_key(|number| texts.bytes(**number)));
    let (count, nulls) = (distinct.len(), numbers.len() - packed.len());
    let mut packed_from = 0;
    let page = move |values: Range<usize>, data: &mut Vec<u8>| {
        let is_there = numbers[values].iter().map(|number| *number != NO_TEXT);
        let of_page = packed_from..packed_from + is_there.clone().filter(|there| *there).count();
        packed_from = of_page.end;
        if is_nullable {
            levels(is_there, data);
        }
        numbers_of_dictionary(&packed[of_page], count, data);
    };
    Pages {
        dictionary: Some((dictionary, count)),
        page: Box::new(page),
        encoding: Encoding::RLE_DICTIONARY,
        values: numbers.len(),
        statistics: Statistics::new(least, greatest, None, Some(nulls as u64), false),
    }
}

fn few_pages(values: &[i32]) -> Pages<'_> {
    let range = range(values.iter().copied());
    let statistics = Statistics::new(
        range.as_ref().map(|range| *range.start()),
        range.as_ref().map(|range| *range.end()),
        None,
        Some(0),
        false,
    );
    let span = range
        .as_ref()
        .map_or(0, |range| i64::from(*range.end()) - i64::from(*range.start()) + 1);
    if span > DICTIONARY_SPAN {
        return Pages {
            dictionary: None,
            page: Box::new(|rows, data| {
                data.extend(values[rows].iter().flat_map(|value| value.to_le_bytes()))
            }),
            encoding: Encoding::PLAIN,
            values: values.len(),
            statistics,
        };
    }
    let least = range.map_or(0, |range| *range.start());
    let mut indices = vec![NO_TEXT; span as usize];
    let mut dictionary = Vec::new();
    let mut distinct = 0;
    let mut packed = Vec::with_capacity(values.len());
    for value in values {
        let index = &mut indices[value.wrapping_sub(least) as usize];
        if *index == NO_TEXT {
            *index = distinct;
            distinct += 1;
            dictionary.extend_from_slice(&value.to_le_bytes());
        }
        packed.push(*index);
    }
    Pages {
        dictionary: Some((dictionary, distinct as usize)),
        page: Box::new(move |rows, data| numbers_of_dictionary(&packed[rows], distinct as usize, data)),
        encoding: Encoding::RLE_DICTIONARY,
        values: values.len(),
        statistics,
    }
}

fn near_pages(values: &[i64]) -> Pages<'_> {
    let range = range(values.iter().copied());
    Pages {
        dictionary: None,
        page: Box::new(|rows, data| packed::deltas(&values[rows], data)),
        encoding: Encoding::DELTA_BINARY_PACKED,
        values: values.len(),
        statistics: Statistics::new(
            range.as_ref().map(|range| *range.start()),
            range.map(|range| *range.end()),
            None,
            Some(0),
            false,
        ),
    }
}

fn sum_pages<'v>(slices: &'v [&'v [i64]]) -> Pages<'v> {
    let sums = || slices.iter().copied().flatten().copied();
    let there = sums().filter(|sum| *sum != ABSENT);
    let nulls = sums().count() - there.clone().count();
    let range = range(there);
    // The remaining slices, and the rest of the current one.
    let (mut slices, mut slice): (_, &[i64]) = (slices.iter(), &[]);
    let mut of_page = Vec::new();
    let page = move |rows: Range<usize>, data: &mut Vec<u8>| {
        of_page.clear();
        while of_page.len() < rows.len() {
            if slice.is_empty() {
                slice = slices.next().expect("there are as many sums as rows");
                continue;
            }
            let taken;
            (taken, slice) = slice.split_at(slice.len().min(rows.len() - of_page.len()));
            of_page.extend_from_slice(taken);
        }
        page_of_sums(&of_page, data);
    };
    Pages {
        dictionary: None,
        page: Box::new(page),
        encoding: Encoding::PLAIN,
        values: sums().count(),
        statistics: Statistics::new(
            range.as_ref().map(|range| *range.start()),
            range.map(|range| *range.end()),
            None,
            Some(nulls as u64),
            false,
        ),
    }
}

fn page_of_sums(sums: &[i64], data: &mut Vec<u8>) {
    levels(sums.iter().map(|sum| *sum != ABSENT), data);
    let start = data.len();
    data.resize(start + size_of_val(sums), 0);
    let (slots, _) = data[start..].as_chunks_mut();
    let mut there = 0;
    // The processor cannot predict which sums are absent, so there is no branch: each is written, and an absent one is
    // overwritten by the next.
    for sum in sums {
        slots[there] = sum.to_le_bytes();
        there += usize::from(*sum != ABSENT);
    }
    data.truncate(start + there * size_of::<i64>());
}

fn range<T: Ord + Copy>(mut values: impl Iterator<Item = T>) -> Option<RangeInclusive<T>> {
    let first = values.next()?;
    let (least, greatest) = values.fold((first, first), |(least, greatest), value| {
        (least.min(value), greatest.max(value))
    });
    Some(least..=greatest)
}

/// Appends which values are present (definition levels): their length in bytes, then runs.
fn levels(is_there: impl ExactSizeIterator<Item = bool> + Clone, data: &mut Vec<u8>) {
    let start = data.len();
    data.extend_from_slice(&[0; 4]);
    if is_there.clone().all(|there| there) {
        packed::run(1, is_there.len(), 1, data);
    } else {
        let levels: Vec<u32> = is_there.map(u32::from).collect();
        packed::hybrid(&levels, 1, data);
    }
    let length = (data.len() - start - 4) as u32;
    data[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends dictionary indices: their width, then runs.
fn numbers_of_dictionary(numbers: &[u32], distinct: usize, data: &mut Vec<u8>) {
    // A width of 0 bits is allowed, but not every reader supports it.
    let width = packed::width_of(distinct.saturating_sub(1) as u32).max(1);
    data.push(width as u8);
    packed::hybrid(numbers, width, data);
}

impl Pages<'_> {
    fn write(mut self, descriptor: &ColumnDescPtr) -> Result<Chunk> {
        let mut encoder = snap::raw::Encoder::new();
        let mut buffer = Vec::new();
        let mut compress = |data: &[u8]| {
            buffer.resize(buffer.len().max(snap::raw::max_compress_len(data.len())), 0);
            let length = encoder.compress(data, &mut buffer);
            let length = length.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok::<_, ParquetError>(Bytes::copy_from_slice(&buffer[..length]))
        };
        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut metadata = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(Compression::SNAPPY)
            .set_num_values(self.values as i64)
            .set_statistics(self.statistics);
        let (mut compressed, mut uncompressed) = (0, 0);
        let mut put = |page: CompressedPage| -> Result<PageWriteSpec> {
            let spec = writer.write_page(page)?;
            compressed += spec.compressed_size;
            uncompressed += spec.uncompressed_size;
            Ok(spec)
        };
        let mut encodings = vec![Encoding::RLE, self.encoding];
        if let Some((values, distinct)) = self.dictionary {
            encodings.push(Encoding::PLAIN);
            let page = Page::DictionaryPage {
                buf: compress(&values)?,
                num_values: distinct as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let written = put(CompressedPage::new(page, values.len()))?;
            metadata = metadata.set_dictionary_page_offset(Some(written.offset as i64));
        }
        let mut index = OffsetIndexBuilder::new();
        let (mut first, mut data) = (None, Vec::new());
        for start in (0..self.values).step_by(PAGE_ROWS) {
            let rows = start..self.values.min(start + PAGE_ROWS);
            let count = rows.len();
            data.clear();
            (self.page)(rows, &mut data);
            let page = Page::DataPage {
                buf: compress(&data)?,
                num_values: count as u32,
                encoding: self.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let written = put(CompressedPage::new(page, data.len()))?;
            first.get_or_insert(written.offset);
            index.append_row_count(count as i64);
            index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        }
        let metadata = metadata
            .set_encodings(encodings)
            .set_data_page_offset(first.unwrap_or_default() as i64)
            .set_total_compressed_size(compressed as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .build()?;
        sink.flush()?;
        Ok(Chunk {
            close: ColumnCloseResult {
                bytes_written: compressed as u64,
                rows_written: self.values as u64,
                metadata,
                bloom_filter: None,
                column_index: None,
                offset_index: Some(index.build()),
            },
            bytes: sink.into_inner()?.into(),
        })
    }
}
