//! Parquet files of others: flat columns with types. Only the columns that are asked for are read, some rows at a time.

mod pages;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::spool::Spool;
use super::tables::decimal_of;
use super::{Ending, MOST_COLUMNS, Record, Records, unreadable};
use crate::fields::Typed;

/// The most rows that are decoded at a time, and the least.
const BATCH: usize = 4096;
const LEAST_BATCH: usize = 16;

/// Bytes that the texts of a column may take which are decoded at a time: each may be the longest of its dictionary.
const BATCH_BYTES: u64 = 64 << 20;

/// A file may have so many rows for each of its bytes, after the first [`FREE_ROWS`]. No list of sales is that uniform.
const MOST_ROWS: u64 = 200;
const FREE_ROWS: u64 = 1 << 20;

/// The longest footer that is read: it is held in memory, some times over.
const LONGEST_FOOTER: u64 = 16 << 20;

/// The rows of a file.
pub(super) struct ParquetRecords {
    spool: Spool,
    metadata: ArrowReaderMetadata,
    names: Vec<String>,
    /// For each column that is read: its position, in the order of the columns.
    read: Vec<usize>,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    row: usize,
}

impl ParquetRecords {
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
        let told: i64 = metadata
            .metadata()
            .row_groups()
            .iter()
            .fold(0, |sum: i64, group| sum.saturating_add(group.num_rows()));
        if rows < 0 || rows != told {
            return Err(damaged(&format!(
                "its row groups have {told} rows, but it says {rows}"
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
            read: Vec::new(),
            reader: None,
            batch: None,
            row: 0,
        })
    }

    /// Decodes the next rows, if there are some.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        self.row = 0;
        self.batch = whole(|| reader.next().transpose().map_err(|error| error.to_string()))?;
        Ok(self.batch.is_some())
    }
}

impl Records for ParquetRecords {
    fn names(&self) -> Option<Vec<String>> {
        Some(self.names.clone())
    }

    fn select(&mut self, positions: Option<&[usize]>) -> io::Result<()> {
        let fields = self.metadata.schema().fields().clone();
        self.read = match positions {
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
        for at in &self.read {
            let (name, data) = (fields[*at].name(), fields[*at].data_type());
            if let Some(kind) = unread(data) {
                return Err(unreadable(format!(
                    "its column {name} holds {kind}, which are not read: name a column of text, numbers or days"
                )));
            }
        }
        let schema = self.metadata.parquet_schema();
        let leaves =
            (0..schema.num_columns()).filter(|leaf| self.read.contains(&schema.get_column_root_idx(*leaf)));
        let leaves: Vec<usize> = leaves.collect();
        let dictionary = pages::check(&self.spool, self.metadata.metadata(), &leaves)?;
        let batch = usize::try_from(BATCH_BYTES / dictionary.max(1)).unwrap_or(BATCH);
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.spool.clone(), self.metadata.clone());
        let mask = ProjectionMask::leaves(schema, leaves);
        let built = whole(|| {
            let builder = builder
                .with_batch_size(batch.clamp(LEAST_BATCH, BATCH))
                .with_projection(mask);
            builder.build().map_err(|error| error.to_string())
        })?;
        self.reader = Some(built);
        Ok(())
    }

    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.row == batch.num_rows())
        {
            if !self.fill()? {
                return Ok(false);
            }
        }
        let Some(batch) = &self.batch else {
            return Ok(false);
        };
        let mut columns = self.read.iter().zip(batch.columns()).peekable();
        // The fields keep the positions of all columns; the text shows those that are read.
        for at in 0..self.names.len() {
            match columns.next_if(|(position, _)| **position == at) {
                Some((_, column)) => value(column, self.row, record),
                None => record.fields.end_cell(Typed::Text),
            }
        }
        self.row += 1;
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
