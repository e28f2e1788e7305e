//! The Parquet of a partial: writing it, and reading it back.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Int32Type, Schema};
use bytes::Bytes;
use jiff::civil::Date;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::{ChunkReader, Length};

use super::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
use super::rows::Rows;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form::{Chunk, Column, Form, NO_TEXT, ROW_GROUP_ROWS, Table};
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
    let mut file = PartialFile::create(path, measures)?;
    file.append(rows)?;
    file.finish()
}

/// A partial that is being written.
pub(crate) struct PartialFile {
    form: Form,
    table: Table,
}

impl PartialFile {
    pub(crate) fn create(path: &Path, measures: &[Measure]) -> Result<Self, EngineError> {
        let form = Form::new(&schema(measures))?;
        Ok(Self {
            table: form.create(path)?,
            form,
        })
    }

    /// Appends rows whose stores come after those before.
    pub(crate) fn append(&mut self, rows: &Rows) -> Result<(), EngineError> {
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
            let chunks = columns.encode(rows, &self.form, self.table.path())?;
            self.table.append(chunks)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), EngineError> {
        self.table.finish()
    }
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

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Self::Small(bytes) => Box::new(bytes.get_read(start)?),
            Self::Large(file) => Box::new(file.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Small(bytes) => bytes.get_bytes(start, length),
            Self::Large(file) => file.get_bytes(start, length),
        }
    }
}

fn metadata(path: &Path) -> Result<ArrowReaderMetadata, EngineError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ArrowReaderMetadata::load(&Source::open(path)?, options).map_err(EngineError::parquet("read", path))
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

/// The batches of some columns and rows of a file; of all rows if none are named.
fn batches(
    path: &Path,
    options: ArrowReaderOptions,
    columns: usize,
    rows: Option<Range<usize>>,
) -> Result<impl Iterator<Item = Result<RecordBatch, EngineError>>, EngineError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(Source::open(path)?, options)
        .map_err(EngineError::parquet("read", path))?;
    let first_columns = ProjectionMask::leaves(builder.parquet_schema(), 0..columns);
    let builder = builder.with_batch_size(BATCH_ROWS).with_projection(first_columns);
    let reader = match rows {
        Some(rows) => only(builder, rows).build(),
        None => builder.build(),
    };
    let path = path.to_owned();
    let reader = reader.map_err(EngineError::parquet("read", &path))?;
    Ok(reader.map(move |batch| batch.map_err(EngineError::parquet("read", &path))))
}

/// Has only some rows read. Row groups that have none of them are not touched.
fn only(
    builder: ParquetRecordBatchReaderBuilder<Source>,
    rows: Range<usize>,
) -> ParquetRecordBatchReaderBuilder<Source> {
    let (mut start, mut first, mut groups) = (0, None, Vec::new());
    for (number, group) in builder.metadata().row_groups().iter().enumerate() {
        let end = start + group.num_rows() as usize;
        if start < rows.end && rows.start < end {
            first.get_or_insert(start);
            groups.push(number);
        }
        start = end;
    }
    builder
        .with_row_groups(groups)
        .with_offset(rows.start - first.unwrap_or(rows.start))
        .with_limit(rows.len())
}

/// Where the rows of a store stand in a partial's file.
pub(crate) struct StoreRows {
    pub(crate) id: String,
    pub(crate) rows: Range<usize>,
}

/// The stores of a partial's file, in their order.
pub(crate) fn stores(path: &Path) -> Result<Vec<StoreRows>, EngineError> {
    let mut stores: Vec<StoreRows> = Vec::new();
    let mut count = 0;
    for batch in batches(path, with_dictionaries(path)?, 1, None)? {
        let batch = batch?;
        let column = batch.column(0).as_dictionary::<Int32Type>();
        let texts = column.values().as_string::<i32>();
        let places = column.keys().values();
        for run in places.chunk_by(|one, two| one == two) {
            let id = texts.value(run[0] as usize);
            let rows = count..count + run.len();
            count = rows.end;
            match stores.last_mut() {
                Some(last) if last.id == id => last.rows.end = rows.end,
                _ => stores.push(StoreRows {
                    id: id.to_owned(),
                    rows,
                }),
            }
        }
    }
    Ok(stores)
}

/// Reads a partial, or some rows of its file, back into memory; `None` if they have more stores or items than keys can
/// tell apart.
pub(crate) fn read(
    path: &Path,
    measures: &[Measure],
    only: Option<Range<usize>>,
) -> Result<Option<Rows>, EngineError> {
    let mut rows = Rows {
        sums: vec![Vec::new(); measures.len()],
        ..Rows::default()
    };
    let (mut stores, mut items) = (Symbols::new(), Symbols::new());
    let columns = KEY_COLUMNS + measures.len();
    for batch in batches(path, with_dictionaries(path)?, columns, only)? {
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
    // The dictionary is that of a row group, of which this may be a part.
    let mut symbol_of = vec![NO_TEXT; texts.len()];
    let mut symbol = |place: usize| {
        if symbol_of[place] == NO_TEXT {
            let text = texts.value(place);
            symbol_of[place] = symbols
                .find(text.as_bytes())
                .unwrap_or_else(|| symbols.insert(text));
        }
        symbol_of[place]
    };
    column
        .keys()
        .iter()
        .map(|place| place.map_or(NO_TEXT, |place| symbol(place as usize)))
        .collect()
}

/// Whether a file covers a store's day, by its partial: it has at least one well-formed line of it, with whatever code.
pub fn covers_day(path: &Path, store_id: &str, trans_date: Date) -> Result<bool, EngineError> {
    // The writer's own Arrow types are left aside: text is then plain text, however the writer held it.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    for batch in batches(path, options, KEY_COLUMNS, None)? {
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
