//! The Parquet of a partial: writing it, and reading it back.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Int32Type, Schema};
use bytes::Bytes;
use jiff::civil::Date;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;

use super::key::{Key, StoreDay};
use super::rows::Rows;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form::{Chunk, Column, Form, NO_TEXT, ROW_GROUP_ROWS};
use crate::rows::decimal;
use crate::symbols::{Symbols, ranked};

/// How many columns come before the measures.
const KEY_COLUMNS: usize = 3;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 64 << 10;

/// The columns of a partial, with ids as `text`.
fn schema(measures: &[Measure], text: &DataType) -> Schema {
    let mut fields = vec![
        Field::new("store_id", text.clone(), false),
        Field::new("item_id", text.clone(), true),
        Field::new("trans_date", DataType::Date32, false),
    ];
    fields.extend(
        measures
            .iter()
            .map(|measure| Field::new(&measure.name, decimal(), true)),
    );
    Schema::new(fields)
}

pub(super) fn write(rows: &Rows, measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    let form = Form::new(&schema(measures, &DataType::Utf8))?;
    let mut table = form.create(path)?;
    // Within a store, its ignored days come before its items, as NULL comes before texts.
    let mut days = rows.ignored_days.as_slice();
    let mut start = 0;
    while start < rows.keys.len() || !days.is_empty() {
        let mut columns = Columns::default();
        while columns.stores.len() < ROW_GROUP_ROWS {
            let day = days
                .first()
                .filter(|day| rows.keys.get(start).is_none_or(|key| day.store() <= key.store()));
            match (day, rows.keys.get(start)) {
                (Some(day), _) => {
                    columns.push(day.store(), NO_TEXT, day.day());
                    days = &days[1..];
                }
                (None, Some(key)) => {
                    columns.push(key.store(), key.item(), key.day());
                    columns.rows.push(start);
                    start += 1;
                }
                (None, None) => break,
            }
        }
        table.append(columns.encode(rows, &form, path)?)?;
    }
    table.finish()
}

/// A row group of a partial.
#[derive(Default)]
struct Columns {
    stores: Vec<u32>,
    items: Vec<u32>,
    dates: Vec<i32>,
    /// The rows that have amounts: those with an item, in order.
    rows: Vec<usize>,
}

impl Columns {
    fn push(&mut self, store: u32, item: u32, date: i32) {
        self.stores.push(store);
        self.items.push(item);
        self.dates.push(date);
    }

    fn encode(&self, rows: &Rows, form: &Form, path: &Path) -> Result<Vec<Chunk>, EngineError> {
        let mut amounts: Vec<Vec<i64>> = rows
            .sums
            .iter()
            .map(|_| Vec::with_capacity(self.items.len()))
            .collect();
        let mut sources = self.rows.iter();
        for item in &self.items {
            let source = (*item != NO_TEXT).then(|| sources.next()).flatten();
            for (column, sums) in amounts.iter_mut().zip(&rows.sums) {
                column.push(source.map_or(ABSENT, |row| sums[*row]));
            }
        }
        let mut columns = vec![
            Column::Texts {
                texts: &rows.stores,
                numbers: &self.stores,
            },
            Column::Texts {
                texts: &rows.items,
                numbers: &self.items,
            },
            Column::Few(&self.dates),
        ];
        columns.extend(amounts.iter().map(|sums| Column::Sums(sums)));
        form.encode(0, &columns, path)
    }
}

/// How many rows a Parquet file has.
pub(crate) fn row_count(path: &Path) -> Result<u64, EngineError> {
    let metadata = match Source::open(path)? {
        Source::Small(bytes) => ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::default()),
        Source::Large(file) => ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()),
    };
    let metadata = metadata.map_err(EngineError::parquet("read", path))?;
    Ok(metadata.metadata().file_metadata().num_rows() as u64)
}

/// A file that is read.
enum Source {
    /// All of it: the reader of the parquet crate asks for a file's length, a duplicate of its handle and a place in it
    /// for each page, which for a small file costs more than its rows.
    Small(Bytes),
    Large(File),
}

/// The largest file that is read as a whole.
const SMALL: u64 = 256 << 10;

impl Source {
    fn open(path: &Path) -> Result<Self, EngineError> {
        let open = || {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            if length > SMALL {
                return Ok(Self::Large(file));
            }
            let mut bytes = Vec::with_capacity(length as usize + 1);
            file.read_to_end(&mut bytes)?;
            Ok(Self::Small(bytes.into()))
        };
        open().map_err(|error: io::Error| EngineError::parquet("read", path)(error))
    }
}

/// The batches of a file.
fn batches(
    path: &Path,
    options: ArrowReaderOptions,
) -> Result<impl Iterator<Item = Result<RecordBatch, EngineError>>, EngineError> {
    fn reader<R: ChunkReader + 'static>(
        source: R,
        options: ArrowReaderOptions,
    ) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(source, options)?;
        builder.with_batch_size(BATCH_ROWS).build()
    }
    let reader = match Source::open(path)? {
        Source::Small(bytes) => reader(bytes, options),
        Source::Large(file) => reader(file, options),
    };
    let reader = reader.map_err(EngineError::parquet("read", path))?;
    let path = path.to_owned();
    Ok(reader.map(move |batch| batch.map_err(EngineError::parquet("read", &path))))
}

/// Reads a partial back into memory.
pub(crate) fn read(path: &Path, measures: &[Measure]) -> Result<Rows, EngineError> {
    let mut rows = Rows {
        sums: vec![Vec::new(); measures.len()],
        ..Rows::default()
    };
    let (mut stores, mut items) = (Symbols::new(), Symbols::new());
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema(measures, &dictionary)));
    for batch in batches(path, options)? {
        let batch = batch?;
        let store_numbers = numbers(batch.column(0), &mut stores);
        let item_numbers = numbers(batch.column(1), &mut items);
        let dates = batch.column(2).as_primitive::<Date32Type>().values();
        let keys = store_numbers.iter().zip(&item_numbers).zip(dates);
        for ((store, item), date) in keys {
            match item {
                &NO_TEXT => rows.ignored_days.push(StoreDay::new(*store, *date)),
                item => rows.keys.push(Key::new(*store, *item, *date)),
            }
        }
        for (measure, sums) in rows.sums.iter_mut().enumerate() {
            let column = batch
                .column(KEY_COLUMNS + measure)
                .as_primitive::<Decimal128Type>();
            let with_item = (0..batch.num_rows()).filter(|row| item_numbers[*row] != NO_TEXT);
            // Written from cents of 64 bits.
            let cents = |row| {
                if column.is_valid(row) {
                    column.value(row) as i64
                } else {
                    ABSENT
                }
            };
            sums.extend(with_item.map(cents));
        }
    }
    // The file is in the order of the texts, so that it stays sorted with ranks in place of symbols.
    let (sorted_stores, store_ranks) = ranked(&[stores.texts()]);
    let (sorted_items, item_ranks) = ranked(&[items.texts()]);
    (rows.stores, rows.items) = (sorted_stores, sorted_items);
    rows.renumber(&store_ranks[0], &item_ranks[0]);
    Ok(rows)
}

/// The symbols of a column's texts, [`NO_TEXT`] for NULL. Each distinct text is looked up once.
fn numbers(column: &ArrayRef, symbols: &mut Symbols) -> Vec<u32> {
    let column = column.as_dictionary::<Int32Type>();
    let texts = column.values().as_string::<i32>();
    let symbol_of: Vec<u32> = (0..texts.len())
        .map(|place| {
            let text = texts.value(place);
            symbols
                .find(text.as_bytes())
                .unwrap_or_else(|| symbols.insert(text))
        })
        .collect();
    let place = column.keys().iter();
    place
        .map(|place| place.map_or(NO_TEXT, |place| symbol_of[place as usize]))
        .collect()
}

/// Whether a file covers a store's day, by its partial: it has at least one well-formed line of it, with whatever code.
pub fn covers_day(path: &Path, store_id: &str, trans_date: Date) -> Result<bool, EngineError> {
    // The writer's own Arrow types are left aside: text is then plain text, however the writer held it.
    for batch in batches(path, ArrowReaderOptions::new().with_skip_arrow_metadata(true))? {
        let batch = batch?;
        let stores = batch.column(0).as_string::<i32>();
        let dates = batch.column(2).as_primitive::<Date32Type>();
        let mut rows = 0..batch.num_rows();
        if rows.any(|row| stores.value(row) == store_id && from_days(dates.value(row)) == trans_date) {
            return Ok(true);
        }
    }
    Ok(false)
}
