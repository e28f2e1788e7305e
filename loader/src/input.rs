//! Reads a run's summary and coverage from Parquet, batch by batch.
//!
//! The files may be larger than memory, and reading Parquet blocks: so a thread reads, and sends batches over a short
//! channel. It stops when the receiver is dropped. The files are not trusted: columns, types, the order of the keys and
//! the ranges of amounts and dates are checked here, once for all dialects.
//!
//! Text is read as Arrow views: a page's distinct values are stored once, and short texts are compared as numbers.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type};
use arrow_array::{Array, Date32Array, Decimal128Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use jiff::civil::Date;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use tokio::sync::mpsc;

use crate::LoadError;
use crate::target::KEYS;

/// Rows of a batch: a few hundred kilobytes.
const BATCH: usize = 8192;

/// The largest decimal(18,2), in cents.
const MAX_CENTS: i128 = 999_999_999_999_999_999;

/// Days since 1970-01-01 of 0001-01-01 and 9999-12-31: the range that every warehouse and `YYYY-MM-DD` can hold.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Batches, as the reading thread sends them.
pub(crate) type Batches<T> = mpsc::Receiver<Result<T, LoadError>>;

/// Some rows of a summary, in the order of the keys.
pub(crate) struct SummaryBatch {
    pub stores: StringViewArray,
    pub items: StringViewArray,
    pub dates: Date32Array,
    pub amounts: Vec<Decimal128Array>,
}

impl SummaryBatch {
    pub(crate) fn of(columns: &BatchColumns<'_>, measures: &[String]) -> Result<Self, LoadError> {
        Ok(Self {
            stores: columns.text(KEYS[0])?,
            items: columns.text(KEYS[1])?,
            dates: columns.date(KEYS[2])?,
            amounts: measures
                .iter()
                .map(|name| columns.amount(name))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.dates.len()
    }

    /// The amounts of a row, in cents.
    pub(crate) fn amounts(&self, row: usize) -> impl Iterator<Item = Option<i64>> {
        // The range was checked when the batch was made, so the narrowing keeps the value.
        self.amounts
            .iter()
            .map(move |column| column.is_valid(row).then(|| column.value(row) as i64))
    }

    pub(crate) fn key(&self, row: usize) -> (&str, &str, i32) {
        (
            self.stores.value(row),
            self.items.value(row),
            self.dates.value(row),
        )
    }

    /// Whether a row has the same key as a row of another batch (or of this one).
    pub(crate) fn same_key(&self, row: usize, other: &Self, other_row: usize) -> bool {
        self.dates.value(row) == other.dates.value(other_row) && self.same_texts(row, other, other_row)
    }

    /// Whether a row has the same store and item as a row of another batch (or of this one).
    pub(crate) fn same_texts(&self, row: usize, other: &Self, other_row: usize) -> bool {
        same_text(&self.items, row, &other.items, other_row)
            && same_text(&self.stores, row, &other.stores, other_row)
    }

    /// Whether a row has the same amounts as a row of another batch.
    pub(crate) fn same_amounts(&self, row: usize, other: &Self, other_row: usize) -> bool {
        let mut pairs = self.amounts.iter().zip(&other.amounts);
        pairs.all(|(mine, theirs)| same_amount(mine, row, theirs, other_row))
    }

    /// Some of the rows, as a new batch.
    pub(crate) fn picked(&self, rows: &[u32]) -> Self {
        let rows = || rows.iter().map(|row| *row as usize);
        let text =
            |column: &StringViewArray| StringViewArray::from_iter_values(rows().map(|row| column.value(row)));
        let amount = |column: &Decimal128Array| {
            let cents = rows().map(|row| column.is_valid(row).then(|| column.value(row)));
            Decimal128Array::from_iter(cents).with_data_type(column.data_type().clone())
        };
        Self {
            stores: text(&self.stores),
            items: text(&self.items),
            dates: Date32Array::from_iter_values(rows().map(|row| self.dates.value(row))),
            amounts: self.amounts.iter().map(amount).collect(),
        }
    }
}

/// Compares two amounts.
fn same_amount(mine: &Decimal128Array, row: usize, theirs: &Decimal128Array, other_row: usize) -> bool {
    match (mine.is_valid(row), theirs.is_valid(other_row)) {
        (true, true) => mine.value(row) == theirs.value(other_row),
        (mine, theirs) => mine == theirs,
    }
}

/// Compares two texts. A view of a text of at most 12 bytes holds the text itself, padded with zeros.
fn same_text(mine: &StringViewArray, row: usize, theirs: &StringViewArray, other_row: usize) -> bool {
    let (view, other) = (mine.views()[row], theirs.views()[other_row]);
    // The low 32 bits of a view are its length.
    match view as u32 {
        ..=12 => view == other,
        _ => mine.value(row) == theirs.value(other_row),
    }
}

/// Some of the (store, date) pairs that a run covers.
pub(crate) struct CoverageBatch {
    pub stores: StringViewArray,
    pub dates: Date32Array,
}

impl CoverageBatch {
    pub(crate) fn len(&self) -> usize {
        self.dates.len()
    }
}

/// Reads a summary with these measures.
pub(crate) fn summary(path: &Path, measures: &[String]) -> Batches<SummaryBatch> {
    let measures = measures.to_vec();
    let columns = KEYS.map(String::from).into_iter().chain(measures.clone());
    let mut last: Option<(String, String, i32)> = None;
    batches(path, columns.collect(), move |columns| {
        let batch = SummaryBatch::of(&columns, &measures)?;
        let last_before = last
            .as_ref()
            .map(|(store, item, date)| (store.as_str(), item.as_str(), *date));
        if !is_in_order(&batch, last_before) {
            return Err(columns.unusable("its rows are not in the order of the keys, or hold a key twice"));
        }
        last = batch.len().checked_sub(1).map(|row| {
            let (store, item, date) = batch.key(row);
            (store.to_string(), item.to_string(), date)
        });
        Ok(batch)
    })
}

/// Whether each row's key is greater than the one before it.
fn is_in_order(batch: &SummaryBatch, last_before: Option<(&str, &str, i32)>) -> bool {
    let starts_well = batch.len() == 0 || last_before.is_none_or(|before| before < batch.key(0));
    starts_well
        && (1..batch.len()).all(|row| {
            let is_next_date = batch.dates.value(row - 1) < batch.dates.value(row)
                && same_text(&batch.items, row - 1, &batch.items, row)
                && same_text(&batch.stores, row - 1, &batch.stores, row);
            // This holds for most rows, and numbers compare faster than texts.
            is_next_date || batch.key(row - 1) < batch.key(row)
        })
}

/// Reads a coverage.
pub(crate) fn coverage(path: &Path) -> Batches<CoverageBatch> {
    let columns = vec![KEYS[0].to_string(), KEYS[2].to_string()];
    batches(path, columns, |columns| {
        Ok(CoverageBatch {
            stores: columns.text(KEYS[0])?,
            dates: columns.date(KEYS[2])?,
        })
    })
}

/// A day, in the form of date columns.
pub(crate) fn days(day: Date) -> i32 {
    // jiff's days lie within four million of 1970, so the narrowing keeps the value.
    (day.duration_since(EPOCH).as_hours() / 24) as i32
}

/// The day of a date column's value.
pub(crate) fn day(days_since_1970: i32) -> Option<Date> {
    EPOCH
        .checked_add(jiff::SignedDuration::from_hours(24 * i64::from(days_since_1970)))
        .ok()
}

fn batches<T: Send + 'static>(
    path: &Path,
    wanted: Vec<String>,
    mut typed: impl FnMut(BatchColumns<'_>) -> Result<T, LoadError> + Send + 'static,
) -> Batches<T> {
    let (sender, receiver) = mpsc::channel(2);
    let path = path.to_path_buf();
    tokio::task::spawn_blocking(move || {
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let opened = Stored::open(&path).and_then(|stored| {
            let batches = stored.batches(&wanted)?;
            Ok((stored, batches))
        });
        let (stored, batches) = match opened {
            Ok(opened) => opened,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        for batch in batches {
            let batch = batch.and_then(|batch| typed(stored.columns(&batch)));
            let failed = batch.is_err();
            // Sending fails if the receiver wants no more batches.
            if sender.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// An open Parquet file: its metadata is read, its rows are not.
pub(crate) struct Stored {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Stored {
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|error| unusable(path, error))?;
        // Ignoring the writer's Arrow types makes text plain text, however the writer stored it. The offset index allows
        // single rows to be read.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| unusable(path, error))?;
        let fields = metadata.schema().fields().iter().map(with_views);
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)
            .map_err(|error| unusable(path, error))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            metadata,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn rows(&self) -> u64 {
        let rows = self.groups().iter().map(|group| group.num_rows() as u64);
        rows.sum()
    }

    pub(crate) fn groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }

    /// The locations of a column's data pages in a row group, if the file records them.
    pub(crate) fn pages(&self, group: usize, column: &str) -> Option<Vec<PageLocation>> {
        let index = self.metadata.metadata().page_index_for_row_group(group);
        index.page_locations(self.column(column)?).cloned()
    }

    /// A column's index among the columns of a row group.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let columns = self.metadata.parquet_schema().columns();
        columns.iter().position(|column| column.path().parts() == [name])
    }

    /// Reads those of the wanted columns that exist.
    pub(crate) fn batches(
        &self,
        wanted: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LoadError>> + use<>, LoadError> {
        self.built(self.builder(wanted)?)
    }

    /// Reads the wanted columns of some rows of a row group: `rows` are ranges of row numbers within it, in order.
    pub(crate) fn group_batches(
        &self,
        group: usize,
        wanted: &[&str],
        rows: &[Range<usize>],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LoadError>> + use<>, LoadError> {
        let all = self.groups()[group].num_rows() as usize;
        let rows = RowSelection::from_consecutive_ranges(rows.iter().cloned(), all);
        let builder = self.builder(wanted)?.with_row_groups(vec![group]);
        self.built(builder.with_row_selection(rows))
    }

    fn builder(&self, wanted: &[&str]) -> Result<ParquetRecordBatchReaderBuilder<File>, LoadError> {
        // A separate handle with its own position: others may read the file at the same time.
        let file = File::open(&self.path).map_err(|error| unusable(&self.path, error))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let columns = ProjectionMask::columns(builder.parquet_schema(), wanted.iter().copied());
        Ok(builder.with_projection(columns).with_batch_size(BATCH))
    }

    fn built(
        &self,
        builder: ParquetRecordBatchReaderBuilder<File>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LoadError>> + use<>, LoadError> {
        let path = self.path.clone();
        let batches = builder.build().map_err(|error| unusable(&path, error))?;
        Ok(batches.map(move |batch| batch.map_err(|error| unusable(&path, error))))
    }

    /// The columns of a batch of this file.
    pub(crate) fn columns<'a>(&'a self, batch: &'a RecordBatch) -> BatchColumns<'a> {
        BatchColumns {
            path: &self.path,
            batch,
        }
    }
}

fn with_views(field: &FieldRef) -> Field {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => field.as_ref().clone(),
    }
}

pub(crate) fn unusable(path: &Path, reason: impl ToString) -> LoadError {
    LoadError::Input {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

/// A batch's columns, by name and with their types checked.
pub(crate) struct BatchColumns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl BatchColumns<'_> {
    fn unusable(&self, reason: impl ToString) -> LoadError {
        unusable(self.path, reason)
    }

    fn get(&self, name: &str) -> Result<&dyn Array, LoadError> {
        let column = self.batch.column_by_name(name);
        column
            .map(AsRef::as_ref)
            .ok_or_else(|| self.unusable(format!("it has no column {name}")))
    }

    fn wrong_type(&self, name: &str, found: &DataType, wanted: &str) -> LoadError {
        self.unusable(format!("its column {name} is {found}, not {wanted}"))
    }

    fn no_nulls<A: Array + Clone>(&self, name: &str, column: &A) -> Result<A, LoadError> {
        match column.null_count() {
            0 => Ok(column.clone()),
            _ => Err(self.unusable(format!("its column {name} holds a NULL"))),
        }
    }

    fn text(&self, name: &str) -> Result<StringViewArray, LoadError> {
        let column = self.get(name)?;
        let text = column.as_string_view_opt();
        self.no_nulls(
            name,
            text.ok_or_else(|| self.wrong_type(name, column.data_type(), "text"))?,
        )
    }

    fn date(&self, name: &str) -> Result<Date32Array, LoadError> {
        let column = self.get(name)?;
        let dates = column.as_primitive_opt::<Date32Type>();
        let dates = self.no_nulls(
            name,
            dates.ok_or_else(|| self.wrong_type(name, column.data_type(), "a date"))?,
        )?;
        match dates.values().iter().all(|day| DAYS.contains(day)) {
            true => Ok(dates),
            false => Err(self.unusable(format!(
                "its column {name} holds a day outside the years 1 to 9999"
            ))),
        }
    }

    fn amount(&self, name: &str) -> Result<Decimal128Array, LoadError> {
        let column = self.get(name)?;
        let amounts = column
            .as_primitive_opt::<Decimal128Type>()
            .filter(|amounts| amounts.scale() == 2);
        let amounts =
            amounts.ok_or_else(|| self.wrong_type(name, column.data_type(), "a decimal with 2 places"))?;
        match amounts
            .iter()
            .flatten()
            .all(|cents| cents.unsigned_abs() <= MAX_CENTS as u128)
        {
            true => Ok(amounts.clone()),
            false => Err(self.unusable(format!(
                "its column {name} holds an amount of more than 16 digits"
            ))),
        }
    }
}
