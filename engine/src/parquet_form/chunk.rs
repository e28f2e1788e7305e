//! Column chunks of typed values, encoded here: a dictionary page where there is a dictionary, and data pages of
//! [`PAGE_ROWS`] rows with an index of where they stand, so that a reader who wants few rows reads few pages.
//!
//! The general writer of the parquet crate asks for each value whether its dictionary knows it. Here every id is a
//! small number already, so that a column of a million ids is packed bits and little else.

use std::io::Write;
use std::ops::RangeInclusive;

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

/// In place of a text's number: there is no text.
pub(crate) const NO_TEXT: u32 = u32::MAX;

/// Rows a data page: what the parquet crate and Spark write, too. Few in tests, whose row groups have several pages.
pub(crate) const PAGE_ROWS: usize = if cfg!(test) { 100 } else { 20_000 };

/// The values of one column in a row group.
#[derive(Clone, Copy)]
pub(crate) enum Column<'v> {
    /// Texts by their numbers, [`NO_TEXT`] for NULL.
    Texts { texts: &'v Texts, numbers: &'v [u32] },
    /// Days or codes: whole numbers of which there are few distinct ones.
    Few(&'v [i32]),
    /// Whole numbers that lie near each other, or are small.
    Near(&'v [i64]),
    /// Sums in cents, [`ABSENT`] for NULL.
    Sums(&'v [i64]),
}

/// A column chunk that is ready to be written.
pub(crate) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// A chunk before it is compressed.
struct Pages {
    /// The distinct values, and how many there are.
    dictionary: Option<(Vec<u8>, usize)>,
    /// A data page for each [`PAGE_ROWS`] of the values.
    data: Vec<Vec<u8>>,
    encoding: Encoding,
    /// NULLs among them.
    values: usize,
    statistics: Statistics,
}

/// Whole numbers within this span have a dictionary; others are written as they are.
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

fn text_pages(texts: &Texts, numbers: &[u32], is_nullable: bool) -> Pages {
    // The place of each text among those that this chunk has.
    let mut places = vec![NO_TEXT; texts.len()];
    let mut distinct: Vec<u32> = Vec::new();
    let mut packed = Vec::with_capacity(numbers.len());
    for &number in numbers.iter().filter(|number| **number != NO_TEXT) {
        let place = &mut places[number as usize];
        if *place == NO_TEXT {
            *place = distinct.len() as u32;
            distinct.push(number);
        }
        packed.push(*place);
    }
    let mut dictionary = Vec::new();
    for number in &distinct {
        let text = texts.get(*number);
        dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
        dictionary.extend_from_slice(text.as_bytes());
    }
    let of_text = |number: Option<&u32>| number.map(|number| ByteArray::from(texts.get(*number)));
    let least = of_text(distinct.iter().min_by_key(|number| texts.get(**number)));
    let greatest = of_text(distinct.iter().max_by_key(|number| texts.get(**number)));
    let mut rest = packed.as_slice();
    let data = numbers.chunks(PAGE_ROWS).map(|page| {
        let mut data = Vec::new();
        let is_there = page.iter().map(|number| *number != NO_TEXT);
        let (of_page, behind) = rest.split_at(is_there.clone().filter(|there| *there).count());
        rest = behind;
        if is_nullable {
            levels(is_there, &mut data);
        }
        numbers_of_dictionary(of_page, distinct.len(), &mut data);
        data
    });
    Pages {
        data: data.collect(),
        dictionary: Some((dictionary, distinct.len())),
        encoding: Encoding::RLE_DICTIONARY,
        values: numbers.len(),
        statistics: Statistics::new(
            least,
            greatest,
            None,
            Some((numbers.len() - packed.len()) as u64),
            false,
        ),
    }
}

fn few_pages(values: &[i32]) -> Pages {
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
            data: values
                .chunks(PAGE_ROWS)
                .map(|page| page.iter().flat_map(|value| value.to_le_bytes()).collect())
                .collect(),
            encoding: Encoding::PLAIN,
            values: values.len(),
            statistics,
        };
    }
    let least = range.map_or(0, |range| *range.start());
    let mut places = vec![NO_TEXT; span as usize];
    let mut dictionary = Vec::new();
    let mut distinct = 0;
    let mut packed = Vec::with_capacity(values.len());
    for value in values {
        let place = &mut places[value.wrapping_sub(least) as usize];
        if *place == NO_TEXT {
            *place = distinct;
            distinct += 1;
            dictionary.extend_from_slice(&value.to_le_bytes());
        }
        packed.push(*place);
    }
    let data = packed.chunks(PAGE_ROWS).map(|page| {
        let mut data = Vec::new();
        numbers_of_dictionary(page, distinct as usize, &mut data);
        data
    });
    Pages {
        data: data.collect(),
        dictionary: Some((dictionary, distinct as usize)),
        encoding: Encoding::RLE_DICTIONARY,
        values: values.len(),
        statistics,
    }
}

fn near_pages(values: &[i64]) -> Pages {
    let range = range(values.iter().copied());
    let data = values.chunks(PAGE_ROWS).map(|page| {
        let mut data = Vec::with_capacity(page.len() * 2);
        packed::deltas(page, &mut data);
        data
    });
    Pages {
        dictionary: None,
        data: data.collect(),
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

fn sum_pages(sums: &[i64]) -> Pages {
    let data = sums.chunks(PAGE_ROWS).map(|page| {
        // Room for the levels too, each a bit at most. Appended sum by sum: an iterator of bytes would be taken byte by
        // byte.
        let mut data = Vec::with_capacity(size_of_val(page) + page.len() / 4 + 64);
        levels(page.iter().map(|sum| *sum != ABSENT), &mut data);
        let there = page.iter().filter(|sum| **sum != ABSENT);
        there.for_each(|sum| data.extend_from_slice(&sum.to_le_bytes()));
        data
    });
    let there = sums.iter().copied().filter(|sum| *sum != ABSENT);
    let nulls = sums.len() - there.clone().count();
    let range = range(there);
    Pages {
        dictionary: None,
        data: data.collect(),
        encoding: Encoding::PLAIN,
        values: sums.len(),
        statistics: Statistics::new(
            range.as_ref().map(|range| *range.start()),
            range.map(|range| *range.end()),
            None,
            Some(nulls as u64),
            false,
        ),
    }
}

fn range<T: Ord + Copy>(mut values: impl Iterator<Item = T>) -> Option<RangeInclusive<T>> {
    let first = values.next()?;
    let (least, greatest) = values.fold((first, first), |(least, greatest), value| {
        (least.min(value), greatest.max(value))
    });
    Some(least..=greatest)
}

/// Appends which values are there: runs with their length in bytes before them.
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

/// Appends numbers into a dictionary: their width, and runs.
fn numbers_of_dictionary(numbers: &[u32], distinct: usize, data: &mut Vec<u8>) {
    // A width of 0 bits is allowed, and not known to every reader.
    let width = packed::width_of(distinct.saturating_sub(1) as u32).max(1);
    data.push(width as u8);
    packed::hybrid(numbers, width, data);
}

impl Pages {
    fn write(self, descriptor: &ColumnDescPtr) -> Result<Chunk> {
        let bytes: usize = self.data.iter().map(Vec::len).sum();
        let mut sink = TrackedWrite::new(Vec::with_capacity(bytes / 2 + 1024));
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
        let mut first = None;
        for (number, data) in self.data.iter().enumerate() {
            let values = PAGE_ROWS.min(self.values - number * PAGE_ROWS);
            let page = Page::DataPage {
                buf: compress(data)?,
                num_values: values as u32,
                encoding: self.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let written = put(CompressedPage::new(page, data.len()))?;
            first.get_or_insert(written.offset);
            index.append_row_count(values as i64);
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

fn compress(data: &[u8]) -> Result<Bytes> {
    let compressed = snap::raw::Encoder::new().compress_vec(data);
    compressed
        .map(Bytes::from)
        .map_err(|error| ParquetError::External(Box::new(error)))
}
