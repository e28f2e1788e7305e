//! Column chunks of typed values, encoded here: a dictionary page where there is a dictionary, and one data page.
//!
//! The general writer of the parquet crate asks for each value whether its dictionary knows it. Here every id is a
//! small number already, so that a column of a million ids is packed bits and little else.

use std::io::Write;
use std::ops::RangeInclusive;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::packed;
use crate::amount::ABSENT;
use crate::symbols::Texts;

/// In place of a text's number: there is no text.
pub(crate) const NO_TEXT: u32 = u32::MAX;

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
    data: Vec<u8>,
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
    let mut data = Vec::new();
    if is_nullable {
        levels(
            numbers.iter().map(|number| u32::from(*number != NO_TEXT)),
            &mut data,
        );
    }
    numbers_of_dictionary(&packed, distinct.len(), &mut data);
    Pages {
        dictionary: Some((dictionary, distinct.len())),
        data,
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
            data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
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
    let mut data = Vec::new();
    numbers_of_dictionary(&packed, distinct as usize, &mut data);
    Pages {
        dictionary: Some((dictionary, distinct as usize)),
        data,
        encoding: Encoding::RLE_DICTIONARY,
        values: values.len(),
        statistics,
    }
}

fn near_pages(values: &[i64]) -> Pages {
    let range = range(values.iter().copied());
    let mut data = Vec::with_capacity(values.len() * 2);
    packed::deltas(values, &mut data);
    Pages {
        dictionary: None,
        data,
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
    // Room for the levels too, each a bit at most. Appended sum by sum: an iterator of bytes would be taken byte by byte.
    let mut data = Vec::with_capacity(size_of_val(sums) + sums.len() / 4 + 64);
    levels(sums.iter().map(|sum| u32::from(*sum != ABSENT)), &mut data);
    let there = || sums.iter().copied().filter(|sum| *sum != ABSENT);
    let start = data.len();
    there().for_each(|sum| data.extend_from_slice(&sum.to_le_bytes()));
    let nulls = sums.len() - (data.len() - start) / size_of::<i64>();
    let range = range(there());
    Pages {
        dictionary: None,
        data,
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
fn levels(levels: impl Iterator<Item = u32>, data: &mut Vec<u8>) {
    let levels: Vec<u32> = levels.collect();
    let start = data.len();
    data.extend_from_slice(&[0; 4]);
    packed::hybrid(&levels, 1, data);
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
        let mut sink = TrackedWrite::new(Vec::with_capacity(self.data.len() / 2 + 1024));
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut metadata = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(Compression::SNAPPY)
            .set_num_values(self.values as i64)
            .set_statistics(self.statistics);
        let (mut compressed, mut uncompressed) = (0, 0);
        let mut put = |page: CompressedPage| -> Result<u64> {
            let spec = writer.write_page(page)?;
            compressed += spec.compressed_size;
            uncompressed += spec.uncompressed_size;
            Ok(spec.offset)
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
            let offset = put(CompressedPage::new(page, values.len()))?;
            metadata = metadata.set_dictionary_page_offset(Some(offset as i64));
        }
        let page = Page::DataPage {
            buf: compress(&self.data)?,
            num_values: self.values as u32,
            encoding: self.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let offset = put(CompressedPage::new(page, self.data.len()))?;
        let metadata = metadata
            .set_encodings(encodings)
            .set_data_page_offset(offset as i64)
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
                offset_index: None,
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
