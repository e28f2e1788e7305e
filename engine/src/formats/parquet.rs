//! Parquet files of others: flat columns with types. Only the columns that are asked for are read, some rows at a time. Row
//! groups can be read in any order.

mod pages;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::lines::Ending;
use super::record::{Record, Records, unreadable};
use super::spool::Spool;
use super::tables::decimal_of;
use crate::fields::Typed;
use crate::layout::MOST_COLUMNS;

/// The most rows that are decoded at a time, and the least.
const BATCH: usize = 4096;
const LEAST_BATCH: usize = 16;

/// Bytes that the texts of a column may take which are decoded at a time: each may be the longest of its dictionary.
const BATCH_BYTES: u64 = 64 << 20;

/// Files with pages of so many bytes are read by one thread, so that their pages are in memory once.
const LARGE_PAGE: u64 = 8 << 20;

/// A file may have so many rows for each of its bytes, after the first [`FREE_ROWS`]. No list of sales is that uniform.
const MOST_ROWS: u64 = 200;
const FREE_ROWS: u64 = 1 << 20;

/// The longest footer that is read: it is held in memory, some times over.
const LONGEST_FOOTER: u64 = 16 << 20;

/// A file, and what it says of itself.
pub(crate) struct ParquetFile {
    spool: Spool,
    metadata: ArrowReaderMetadata,
    names: Vec<String>,
}

impl ParquetFile {
    /// Reads what the file says of itself.
    pub(super) fn new(spool: Spool) -> io::Result<Self> {
        let (beginning, length) = (spool.beginning(4)?, spool.len());
        if beginning.is_empty() {
            return Err(unreadable("it is empty".into()));
        }
        if beginning == b"PARE" {
            return Err(unreadable(
                "it is a Parquet file whose footer is encrypted, which is not read".into(),
            ));
        }
        if beginning != b"PAR1" {
            return Err(unreadable(
                "it is no Parquet file, which format = \"parquet\" reads".into(),
            ));
        }
        let end = length.checked_sub(8).filter(|end| *end >= 4);
        let end = end.map(|end| parquet::file::reader::ChunkReader::get_bytes(&spool, end, 8));
        let is_whole = matches!(&end, Some(Ok(end)) if end[4..] == *b"PAR1");
        let Some(Ok(end)) = end.filter(|_| is_whole) else {
            return Err(unreadable(
                "it is a Parquet file, and was cut: it does not end as it should".into(),
            ));
        };
        let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
        if footer > LONGEST_FOOTER.min(length - 12) {
            return Err(unreadable(format!(
                "it is a Parquet file, and damaged: it says that its footer has {footer} bytes"
            )));
        }
        // The schema of Arrow that writers add says nothing more of flat columns.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata =
            whole(|| ArrowReaderMetadata::load(&spool, options).map_err(|error| error.to_string()))?;
        let rows: i64 = metadata.metadata().file_metadata().num_rows();
        let of_groups: i64 = metadata
            .metadata()
            .row_groups()
            .iter()
            .fold(0, |sum: i64, group| sum.saturating_add(group.num_rows()));
        if rows < 0 || rows != of_groups {
            return Err(damaged(&format!(
                "its row groups have {of_groups} rows, but it says {rows}"
            )));
        }
        if rows.unsigned_abs() > FREE_ROWS + MOST_ROWS * length {
            return Err(unreadable(format!(
                "it is a Parquet file that says it has {rows} rows in {length} bytes, as no list of sales has"
            )));
        }
        let fields = metadata.schema().fields();
        if fields.len() > MOST_COLUMNS {
            return Err(unreadable(format!(
                "it has {} columns, more than {MOST_COLUMNS}",
                fields.len()
            )));
        }
        Ok(Self {
            names: fields.iter().map(|field| field.name().clone()).collect(),
            spool,
            metadata,
        })
    }

    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Says which columns will be read: those at these positions, or as many as there are. Fails if one of them holds
    /// something else than values.
    /// Batches have no more than `most_rows` rows.
    pub(crate) fn select(
        self: &Arc<Self>,
        positions: Option<&[usize]>,
        most_rows: usize,
    ) -> io::Result<Selection> {
        let fields = self.metadata.schema().fields();
        let read: Vec<usize> = match positions {
            None => (0..fields.len())
                .filter(|at| unread(fields[*at].data_type()).is_none())
                .collect(),
            Some(positions) => {
                let mut read: Vec<_> = positions
                    .iter()
                    .copied()
                    .filter(|at| *at < fields.len())
                    .collect();
                read.sort_unstable();
                read.dedup();
                read
            }
        };
        for at in &read {
            let (name, data) = (fields[*at].name(), fields[*at].data_type());
            if let Some(kind) = unread(data) {
                return Err(unreadable(format!(
                    "its column {name} holds {kind}, which are not read: name a column of text, numbers or days"
                )));
            }
        }
        let schema = self.metadata.parquet_schema();
        let leaves =
            (0..schema.num_columns()).filter(|leaf| read.contains(&schema.get_column_root_idx(*leaf)));
        let leaves: Vec<usize> = leaves.collect();
        let largest = pages::check(&self.spool, self.metadata.metadata(), &leaves)?;
        let batch = usize::try_from(BATCH_BYTES / largest.dictionary.max(1)).unwrap_or(BATCH);
        Ok(Selection {
            file: Arc::clone(self),
            read,
            leaves,
            batch: batch.clamp(LEAST_BATCH, BATCH).min(most_rows),
            has_large_pages: largest.page > LARGE_PAGE,
        })
    }
}

/// The columns of a file that are read.
pub(crate) struct Selection {
    file: Arc<ParquetFile>,
    /// The positions of the columns, in their order.
    read: Vec<usize>,
    leaves: Vec<usize>,
    /// The most rows of a batch.
    batch: usize,
    /// Whether it has pages that only one thread should hold at a time.
    pub(crate) has_large_pages: bool,
}

impl Selection {
    /// Returns how many row groups the file has.
    pub(crate) fn groups(&self) -> usize {
        self.file.metadata.metadata().num_row_groups()
    }

    /// Opens a row group.
    pub(crate) fn open(&self, group: usize) -> io::Result<GroupReader> {
        let metadata = whole(|| self.with_dictionaries(group).map_err(|error| error.to_string()))?;
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), self.leaves.iter().copied());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.spool.clone(), metadata)
            .with_row_groups(vec![group])
            .with_batch_size(self.batch)
            .with_projection(mask);
        let reader = whole(|| builder.build().map_err(|error| error.to_string()))?;
        Ok(GroupReader { reader })
    }

    /// Has texts that are packed with a dictionary stay so: each of them is looked at once, not once for each row.
    fn with_dictionaries(&self, group: usize) -> Result<ArrowReaderMetadata, ParquetError> {
        let (metadata, schema) = (&self.file.metadata, self.file.metadata.schema());
        let columns = metadata.metadata().row_group(group).columns();
        let has_dictionary = |at: usize| {
            let mut leaves = self.leaves.iter();
            let leaf = leaves.find(|leaf| metadata.parquet_schema().get_column_root_idx(**leaf) == at);
            leaf.and_then(|leaf| columns.get(*leaf))
                .is_some_and(|column| column.dictionary_page_offset().is_some())
        };
        let field = |(at, field): (usize, &Arc<Field>)| match field.data_type() {
            DataType::Utf8 if has_dictionary(at) => {
                let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Arc::new(Field::clone(field).with_data_type(texts))
            }
            _ => Arc::clone(field),
        };
        let fields: Fields = schema.fields().iter().enumerate().map(field).collect();
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_schema(Arc::new(schema));
        ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
    }

    /// Makes a record of a row.
    pub(crate) fn record(&self, batch: &RecordBatch, row: usize, record: &mut Record) {
        record.clear();
        let mut columns = self.read.iter().zip(batch.columns()).peekable();
        // The fields keep the positions of all columns; the text shows those that are read.
        for at in 0..self.file.names.len() {
            match columns.next_if(|(position, _)| **position == at) {
                Some((_, column)) => value(column, row, record),
                None => record.fields.end_cell(Typed::Text),
            }
        }
    }

    /// Returns the columns of some rows.
    pub(crate) fn batch<'b>(&'b self, rows: &'b RecordBatch) -> Batch<'b> {
        Batch {
            read: &self.read,
            rows,
        }
    }
}

/// The rows of a row group.
pub(crate) struct GroupReader {
    reader: ParquetRecordBatchReader,
}

impl GroupReader {
    /// Decodes the next rows, if there are some.
    pub(crate) fn next(&mut self) -> io::Result<Option<RecordBatch>> {
        whole(|| self.reader.next().transpose().map_err(|error| error.to_string()))
    }
}

/// The columns of some rows.
pub(crate) struct Batch<'b> {
    read: &'b [usize],
    rows: &'b RecordBatch,
}

impl Batch<'_> {
    /// Returns how many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// Returns the column at a position of the file, if it is one that is read.
    pub(crate) fn column(&self, position: usize) -> Option<&ArrayRef> {
        let at = self.read.binary_search(&position).ok()?;
        self.rows.columns().get(at)
    }
}

/// The rows of a file, one by one.
pub(super) struct ParquetRecords {
    file: Arc<ParquetFile>,
    selection: Option<Selection>,
    /// The next row group.
    group: usize,
    reader: Option<GroupReader>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    row: usize,
}

impl ParquetRecords {
    pub(super) fn new(file: ParquetFile) -> Self {
        Self {
            file: Arc::new(file),
            selection: None,
            group: 0,
            reader: None,
            batch: None,
            row: 0,
        }
    }

    /// Decodes the next rows, if there are some.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(selection) = &self.selection else {
            return Ok(false);
        };
        self.row = 0;
        loop {
            self.batch = match &mut self.reader {
                Some(reader) => reader.next()?,
                None => None,
            };
            if self.batch.is_some() {
                return Ok(true);
            }
            if self.group == selection.groups() {
                return Ok(false);
            }
            self.reader = Some(selection.open(self.group)?);
            self.group += 1;
        }
    }
}

impl Records for ParquetRecords {
    fn names(&self) -> Option<Vec<String>> {
        Some(self.file.names.clone())
    }

    fn select(&mut self, positions: Option<&[usize]>) -> io::Result<()> {
        self.selection = Some(self.file.select(positions, BATCH)?);
        Ok(())
    }

    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        let is_over = |batch: &RecordBatch| self.row == batch.num_rows();
        if self.batch.as_ref().is_none_or(is_over) && !self.fill()? {
            return Ok(false);
        }
        if let (Some(batch), Some(selection)) = (&self.batch, &self.selection) {
            selection.record(batch, self.row, record);
            self.row += 1;
        }
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        Ending {
            is_ended: true,
            ..Ending::default()
        }
    }
}

fn damaged(why: &str) -> io::Error {
    unreadable(format!(
        "it is a Parquet file, and damaged, or packed in a way that is not read: {why}"
    ))
}

/// Calls the reader of others, whose failures, of whatever kind, are those of the file.
fn whole<T>(read: impl FnOnce() -> Result<T, String>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(&error)),
        Err(_) => Err(damaged("its reader gave up")),
    }
}

/// Says what a column holds if that is not read.
fn unread(data: &DataType) -> Option<&'static str> {
    use DataType::*;
    match data {
        Boolean => Some("yes and no"),
        Time32(_) | Time64(_) | Duration(_) | Interval(_) => Some("times without a day"),
        FixedSizeBinary(_) => Some("bytes that are no text"),
        Null => Some("nothing"),
        Utf8 | LargeUtf8 | Binary | LargeBinary | Date32 | Date64 | Timestamp(..) | Float16 | Float32
        | Float64 => None,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => None,
        data if data.is_integer() => None,
        _ => Some("lists or groups of values"),
    }
}

/// Adds the value of a column to a record. What is null is empty.
fn value(column: &ArrayRef, row: usize, record: &mut Record) {
    use DataType::*;
    if column.is_null(row) {
        return record.cell("", Typed::Text);
    }
    macro_rules! number {
        ($type:ty) => {
            record.cell(
                &column.as_primitive::<$type>().value(row).to_string(),
                Typed::Number,
            )
        };
    }
    macro_rules! places {
        ($type:ty, $places:expr) => {
            record.cell(
                &decimal_of(column.as_primitive::<$type>().value(row).into(), *$places),
                Typed::Number,
            )
        };
    }
    let moment = |record: &mut Record, value: i64, in_second: i64| {
        let second = value.div_euclid(in_second);
        record.moment(second.div_euclid(86_400), second.rem_euclid(86_400));
    };
    match column.data_type() {
        Utf8 => record.cell(column.as_string::<i32>().value(row), Typed::Text),
        Dictionary(..) => {
            let texts = column.as_dictionary::<Int32Type>();
            let text = texts.key(row).zip(texts.values().as_string_opt::<i32>());
            match text {
                Some((key, texts)) if !texts.is_null(key) => record.cell(texts.value(key), Typed::Text),
                _ => record.cell("", Typed::Text),
            }
        }
        LargeUtf8 => record.cell(column.as_string::<i64>().value(row), Typed::Text),
        Binary => record.cell(
            &String::from_utf8_lossy(column.as_binary::<i32>().value(row)),
            Typed::Text,
        ),
        LargeBinary => record.cell(
            &String::from_utf8_lossy(column.as_binary::<i64>().value(row)),
            Typed::Text,
        ),
        Int8 => number!(Int8Type),
        Int16 => number!(Int16Type),
        Int32 => number!(Int32Type),
        Int64 => number!(Int64Type),
        UInt8 => number!(UInt8Type),
        UInt16 => number!(UInt16Type),
        UInt32 => number!(UInt32Type),
        UInt64 => number!(UInt64Type),
        Float16 => record.single(
            column
                .as_primitive::<arrow_array::types::Float16Type>()
                .value(row)
                .into(),
        ),
        Float32 => record.single(column.as_primitive::<Float32Type>().value(row)),
        Float64 => record.float(column.as_primitive::<Float64Type>().value(row)),
        Decimal32(_, scale) => places!(Decimal32Type, scale),
        Decimal64(_, scale) => places!(Decimal64Type, scale),
        Decimal128(_, scale) => places!(Decimal128Type, scale),
        Decimal256(_, scale) => match column.as_primitive::<Decimal256Type>().value(row).to_i128() {
            Some(parts) => record.cell(&decimal_of(parts, *scale), Typed::Number),
            None => record.cell(
                &column.as_primitive::<Decimal256Type>().value(row).to_string(),
                Typed::Error,
            ),
        },
        Date32 => record.day(column.as_primitive::<Date32Type>().value(row).into()),
        Date64 => moment(record, column.as_primitive::<Date64Type>().value(row), 1_000),
        Timestamp(unit, _) => match unit {
            TimeUnit::Second => moment(record, column.as_primitive::<TimestampSecondType>().value(row), 1),
            TimeUnit::Millisecond => moment(
                record,
                column.as_primitive::<TimestampMillisecondType>().value(row),
                1_000,
            ),
            TimeUnit::Microsecond => moment(
                record,
                column.as_primitive::<TimestampMicrosecondType>().value(row),
                1_000_000,
            ),
            TimeUnit::Nanosecond => moment(
                record,
                column.as_primitive::<TimestampNanosecondType>().value(row),
                1_000_000_000,
            ),
        },
        // `select` has refused it.
        _ => record.cell("", Typed::Error),
    }
}

#[cfg(test)]
#[path = "parquet/tests.rs"]
mod tests;
