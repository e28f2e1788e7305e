//! Reading a partial's Parquet back.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Schema};
use bytes::Bytes;
use jiff::civil::Date;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
use super::rows::Rows;
use crate::amount::ABSENT;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form::NO_TEXT;
use crate::symbols::{Symbols, ranked};

/// How many columns come before the measures.
const KEY_COLUMNS: usize = 3;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 64 << 10;

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

/// A partial's file, opened: its metadata are read, its rows are not.
pub(crate) struct PartialReader<'p> {
    path: &'p Path,
    source: Source,
    metadata: ArrowReaderMetadata,
}

impl<'p> PartialReader<'p> {
    pub(crate) fn open(path: &'p Path) -> Result<Self, EngineError> {
        let source = Source::open(path)?;
        let metadata = with_dictionaries(&source).map_err(EngineError::parquet("read", path))?;
        Ok(Self {
            path,
            source,
            metadata,
        })
    }

    /// How many rows the file has.
    pub(crate) fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows() as usize
    }

    /// The stores of the file, in their order.
    pub(crate) fn stores(self) -> Result<Vec<StoreRows>, EngineError> {
        let mut stores: Vec<StoreRows> = Vec::new();
        let mut count = 0;
        for batch in self.batches(1, None)? {
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

    /// Reads the rows, or some of them, back into memory; `None` if they have more stores or items than keys can tell
    /// apart.
    pub(crate) fn read(
        self,
        measures: &[Measure],
        only: Option<Range<usize>>,
    ) -> Result<Option<Rows>, EngineError> {
        let mut rows = Rows {
            sums: vec![Vec::new(); measures.len()],
            ..Rows::default()
        };
        let (mut stores, mut items) = (Symbols::new(), Symbols::new());
        let columns = KEY_COLUMNS + measures.len();
        for batch in self.batches(columns, only)? {
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

    /// The batches of the first columns, of some rows of the file or of all.
    fn batches(
        self,
        columns: usize,
        rows: Option<Range<usize>>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, EngineError>>, EngineError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.source, self.metadata);
        let first_columns = ProjectionMask::leaves(builder.parquet_schema(), 0..columns);
        let builder = builder.with_batch_size(BATCH_ROWS).with_projection(first_columns);
        let reader = match rows {
            Some(rows) => only(builder, rows).build(),
            None => builder.build(),
        };
        let reader = reader.map_err(EngineError::parquet("read", self.path))?;
        Ok(reader.map(|batch| batch.map_err(EngineError::parquet("read", self.path))))
    }
}

/// The metadata of a file, with its texts as dictionaries. All else is as the file has it: some of its writers say of
/// every column that it may be NULL.
fn with_dictionaries(source: &Source) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let of_file = ArrowReaderMetadata::load(source, options)?;
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = of_file.schema().fields().iter();
    let fields = fields.map(|field| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(dictionary.clone()),
        _ => field.as_ref().clone(),
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(of_file.metadata().clone(), options)
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
    for batch in PartialReader::open(path)?.batches(KEY_COLUMNS, None)? {
        let batch = batch?;
        let stores = batch.column(0).as_dictionary::<Int32Type>();
        let texts = stores.values().as_string::<i32>();
        let dates = batch.column(2).as_primitive::<Date32Type>();
        let rows = stores.keys().values().iter().zip(dates.values());
        let is_wanted = |(store, date): (&i32, &i32)| {
            texts.value(*store as usize) == store_id && from_days(*date) == trans_date
        };
        if rows.into_iter().any(is_wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}
