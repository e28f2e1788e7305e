//! Encodes column chunks of typed values: a dictionary page if there is a dictionary, and data pages of [`PAGE_ROWS`]
//! rows with an offset index, so that a reader that wants few rows reads few pages.
//!
//! The parquet crate's general writer looks up each value in its dictionary. Here every id is already a small number,
//! so encoding a column of a million ids is little more than packing bits.

use std::io::Write;

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

/// Whole numbers within this span get a dictionary; others are written plain.
const DICTIONARY_SPAN: i64 = 1 << 16;

impl Column<'_> {
    /// Encodes the values for a column of the schema.
    pub(crate) fn encode(&self, descriptor: &ColumnDescPtr) -> Result<Chunk> {
        let mut sink = TrackedWrite::new(Vec::new());
        let mut pages = Pages::new(&mut sink);
        let statistics = match *self {
            Self::Texts { texts, numbers } => {
                write_texts(texts, numbers, descriptor.max_def_level() > 0, &mut pages)
            }
            Self::Few(values) => write_few(values, &mut pages),
            Self::Near(values) => write_near(values, &mut pages),
            Self::Sums(sums) => write_sums(sums, &mut pages),
        }?;
        let close = pages.close(descriptor, statistics)?;
        sink.flush()?;
        let bytes = sink.into_inner()?.into();
        Ok(Chunk { bytes, close })
    }
}

fn write_texts(
    texts: &Texts,
    numbers: &[u32],
    is_nullable: bool,
    pages: &mut Pages<'_>,
) -> Result<Statistics> {
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
    pages.write_dictionary(&dictionary, distinct.len())?;
    let nulls = numbers.len() - packed.len();
    let mut packed = packed.as_slice();
    for numbers in numbers.chunks(PAGE_ROWS) {
        let is_there = numbers.iter().map(|number| *number != NO_TEXT);
        let (of_page, further) = packed.split_at(is_there.clone().filter(|there| *there).count());
        packed = further;
        pages.write(numbers.len(), Encoding::RLE_DICTIONARY, |page| {
            if is_nullable {
                levels(is_there, page);
            }
            numbers_of_dictionary(of_page, distinct.len(), page);
        })?;
    }
    let of_text = |number: Option<&u32>| number.map(|number| ByteArray::from(texts.get(*number)));
    let least = of_text(distinct.iter().min_by_key(|number| texts.bytes(**number)));
    let greatest = of_text(distinct.iter().max_by_key(|number| texts.bytes(**number)));
    Ok(Statistics::new(least, greatest, None, Some(nulls as u64), false))
}

fn write_few(values: &[i32], pages: &mut Pages<'_>) -> Result<Statistics> {
    let (least, greatest) = range(values.iter().copied()).unzip();
    let statistics = Statistics::new(least, greatest, None, Some(0), false);
    let least = least.unwrap_or(0);
    let span = greatest.map_or(0, |greatest| i64::from(greatest) - i64::from(least) + 1);
    if span > DICTIONARY_SPAN {
        for values in values.chunks(PAGE_ROWS) {
            pages.write(values.len(), Encoding::PLAIN, |page| {
                page.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            })?;
        }
        return Ok(statistics);
    }
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
    pages.write_dictionary(&dictionary, distinct as usize)?;
    for packed in packed.chunks(PAGE_ROWS) {
        pages.write(packed.len(), Encoding::RLE_DICTIONARY, |page| {
            numbers_of_dictionary(packed, distinct as usize, page);
        })?;
    }
    Ok(statistics)
}

fn write_near(values: &[i64], pages: &mut Pages<'_>) -> Result<Statistics> {
    for values in values.chunks(PAGE_ROWS) {
        pages.write(values.len(), Encoding::DELTA_BINARY_PACKED, |page| {
            packed::deltas(values, page);
        })?;
    }
    let (least, greatest) = range(values.iter().copied()).unzip();
    Ok(Statistics::new(least, greatest, None, Some(0), false))
}

fn write_sums(slices: &[&[i64]], pages: &mut Pages<'_>) -> Result<Statistics> {
    let sums = || slices.iter().copied().flatten().copied();
    let mut rest = slices.iter().copied();
    let mut slice: &[i64] = &[];
    let mut of_page = Vec::new();
    loop {
        of_page.clear();
        while of_page.len() < PAGE_ROWS {
            if slice.is_empty() {
                let Some(next) = rest.next() else { break };
                slice = next;
                continue;
            }
            let taken;
            (taken, slice) = slice.split_at(slice.len().min(PAGE_ROWS - of_page.len()));
            of_page.extend_from_slice(taken);
        }
        if of_page.is_empty() {
            break;
        }
        pages.write(of_page.len(), Encoding::PLAIN, |page| {
            page_of_sums(&of_page, page)
        })?;
    }
    let there = sums().filter(|sum| *sum != ABSENT);
    let nulls = sums().count() - there.clone().count();
    let (least, greatest) = range(there).unzip();
    Ok(Statistics::new(least, greatest, None, Some(nulls as u64), false))
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

/// The least and the greatest of some values.
fn range<T: Ord + Copy>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(least, greatest), value| {
        (least.min(value), greatest.max(value))
    }))
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

/// Writes the pages of a chunk, one after another.
struct Pages<'s> {
    writer: SerializedPageWriter<'s, Vec<u8>>,
    encoder: snap::raw::Encoder,
    /// The contents of a page, before and after they are compressed.
    data: Vec<u8>,
    compressed: Vec<u8>,
    index: OffsetIndexBuilder,
    /// How the values of the pages are encoded.
    encoding: Option<Encoding>,
    dictionary_at: Option<u64>,
    first_at: Option<u64>,
    /// The number of values, including NULLs.
    values: usize,
    compressed_size: usize,
    uncompressed_size: usize,
}

impl<'s> Pages<'s> {
    fn new(sink: &'s mut TrackedWrite<Vec<u8>>) -> Self {
        Self {
            writer: SerializedPageWriter::new(sink),
            encoder: snap::raw::Encoder::new(),
            data: Vec::new(),
            compressed: Vec::new(),
            index: OffsetIndexBuilder::new(),
            encoding: None,
            dictionary_at: None,
            first_at: None,
            values: 0,
            compressed_size: 0,
            uncompressed_size: 0,
        }
    }

    /// Writes the dictionary: its values, encoded, and how many there are. The pages come after it.
    fn write_dictionary(&mut self, values: &[u8], distinct: usize) -> Result<()> {
        let page = Page::DictionaryPage {
            buf: self.compress(values)?,
            num_values: distinct as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let written = self.put(CompressedPage::new(page, values.len()))?;
        self.dictionary_at = Some(written.offset);
        Ok(())
    }

    /// Writes a page of `count` values, whose contents `append` appends.
    fn write(&mut self, count: usize, encoding: Encoding, append: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        append(&mut data);
        let page = Page::DataPage {
            buf: self.compress(&data)?,
            num_values: count as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = self.put(CompressedPage::new(page, data.len()))?;
        self.data = data;
        self.encoding = Some(encoding);
        self.first_at.get_or_insert(written.offset);
        self.values += count;
        self.index.append_row_count(count as i64);
        self.index
            .append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        Ok(())
    }

    fn compress(&mut self, data: &[u8]) -> Result<Bytes> {
        let most = snap::raw::max_compress_len(data.len());
        self.compressed.resize(self.compressed.len().max(most), 0);
        let length = self.encoder.compress(data, &mut self.compressed);
        let length = length.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Bytes::copy_from_slice(&self.compressed[..length]))
    }

    fn put(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let spec = self.writer.write_page(page)?;
        self.compressed_size += spec.compressed_size;
        self.uncompressed_size += spec.uncompressed_size;
        Ok(spec)
    }

    /// Ends the chunk.
    fn close(self, descriptor: &ColumnDescPtr, statistics: Statistics) -> Result<ColumnCloseResult> {
        let mut encodings = vec![Encoding::RLE];
        encodings.extend(self.encoding);
        if self.dictionary_at.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        let metadata = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(Compression::SNAPPY)
            .set_num_values(self.values as i64)
            .set_statistics(statistics)
            .set_dictionary_page_offset(self.dictionary_at.map(|at| at as i64))
            .set_encodings(encodings)
            .set_data_page_offset(self.first_at.unwrap_or_default() as i64)
            .set_total_compressed_size(self.compressed_size as i64)
            .set_total_uncompressed_size(self.uncompressed_size as i64)
            .build()?;
        Ok(ColumnCloseResult {
            bytes_written: self.compressed_size as u64,
            rows_written: self.values as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.index.build()),
        })
    }
}
