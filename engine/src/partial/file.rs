//! The Parquet of a partial: writing it, and reading it back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Int32Type, Schema};
use jiff::civil::Date;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
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

/// The columns of a partial.
fn schema(measures: &[Measure]) -> Schema {
    let mut fields = vec![
        Field::new("store_id", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, true),
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
    let form = Form::new(&schema(measures))?;
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

fn metadata(path: &Path) -> Result<ArrowReaderMetadata, EngineError> {
    let file = File::open(path).map_err(EngineError::parquet("read", path))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ArrowReaderMetadata::load(&file, options).map_err(EngineError::parquet("read", path))
}

/// How many rows a Parquet file has.
pub(crate) fn row_count(path: &Path) -> Result<u64, EngineError> {
    Ok(metadata(path)?.metadata().file_metadata().num_rows() as u64)
}

/// Has texts read as dictionaries. All else is as the file has it: some of its writers say of every column that it may
/// be NULL.
fn with_dictionaries(path: &Path) -> Result<ArrowReaderOptions, EngineError> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let of_file = metadata(path)?;
    let fields = of_file
        .schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(dictionary.clone()),
            _ => field.as_ref().clone(),
        });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    Ok(ArrowReaderOptions::new().with_schema(Arc::new(schema)))
}

/// The batches of a file.
fn batches(
    path: &Path,
    options: ArrowReaderOptions,
) -> Result<impl Iterator<Item = Result<RecordBatch, EngineError>>, EngineError> {
    let file = File::open(path).map_err(EngineError::parquet("read", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(EngineError::parquet("read", path))?;
    let path = path.to_owned();
    Ok(reader.map(move |batch| batch.map_err(EngineError::parquet("read", &path))))
}

/// Reads a partial back into memory; `None` if it has more stores or items than keys can tell apart.
pub(crate) fn read(path: &Path, measures: &[Measure]) -> Result<Option<Rows>, EngineError> {
    let mut rows = Rows {
        sums: vec![Vec::new(); measures.len()],
        ..Rows::default()
    };
    let (mut stores, mut items) = (Symbols::new(), Symbols::new());
    for batch in batches(path, with_dictionaries(path)?)? {
        let batch = batch?;
        let store_numbers = numbers(batch.column(0), &mut stores);
        let item_numbers = numbers(batch.column(1), &mut items);
        if stores.len() > MOST_STORES || items.len() > MOST_ITEMS {
            return Ok(None);
        }
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
    Ok(Some(rows))
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
