//! Reading a run's summary and coverage from Parquet, batch by batch.
//!
//! The files may be larger than memory, and Parquet is read with blocking calls: a thread reads and hands batches over
//! a short channel. It stops when the receiver is dropped. Nothing is trusted: columns, types, order of the keys and
//! the range of amounts and dates are checked here, once for all dialects.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, Date32Array, Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type};
use jiff::civil::Date;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use tokio::sync::mpsc;

use crate::LoadError;
use crate::target::KEYS;

/// Rows of a batch: some hundred kilobytes.
const BATCH: usize = 8192;

/// decimal(18,2) ends here.
const MAX_CENTS: i128 = 999_999_999_999_999_999;

/// Days from 1970-01-01 to 0001-01-01 and 9999-12-31: the years that every warehouse and `YYYY-MM-DD` can hold.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Batches as they are read.
pub(crate) type Batches<T> = mpsc::Receiver<Result<T, LoadError>>;

/// Some rows of a summary, in the order of the keys.
pub(crate) struct SummaryBatch {
    pub stores: StringArray,
    pub items: StringArray,
    pub dates: Date32Array,
    amounts: Vec<Decimal128Array>,
}

impl SummaryBatch {
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

    fn key(&self, row: usize) -> (&str, &str, i32) {
        (
            self.stores.value(row),
            self.items.value(row),
            self.dates.value(row),
        )
    }
}

/// Some of the (store, date) pairs that a run covers.
pub(crate) struct CoverageBatch {
    pub stores: StringArray,
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
    let mut last: Option<(String, String, i32)> = None;
    batches(path, move |columns| {
        let batch = SummaryBatch {
            stores: columns.text(KEYS[0])?,
            items: columns.text(KEYS[1])?,
            dates: columns.date(KEYS[2])?,
            amounts: measures
                .iter()
                .map(|name| columns.amount(name))
                .collect::<Result<_, _>>()?,
        };
        for row in 0..batch.len() {
            let key = batch.key(row);
            let before = match row {
                0 => last
                    .as_ref()
                    .map(|(store, item, date)| (store.as_str(), item.as_str(), *date)),
                _ => Some(batch.key(row - 1)),
            };
            if before.is_some_and(|before| before >= key) {
                return Err(
                    columns.unusable("its rows are not in the order of the keys, or hold a key twice")
                );
            }
        }
        last = batch.len().checked_sub(1).map(|row| {
            let (store, item, date) = batch.key(row);
            (store.to_string(), item.to_string(), date)
        });
        Ok(batch)
    })
}

/// Reads a coverage.
pub(crate) fn coverage(path: &Path) -> Batches<CoverageBatch> {
    batches(path, |columns| {
        Ok(CoverageBatch {
            stores: columns.text(KEYS[0])?,
            dates: columns.date(KEYS[2])?,
        })
    })
}

/// A day as date columns hold it.
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
    mut typed: impl FnMut(Columns<'_>) -> Result<T, LoadError> + Send + 'static,
) -> Batches<T> {
    let (sender, receiver) = mpsc::channel(2);
    let path = path.to_path_buf();
    tokio::task::spawn_blocking(move || {
        let reader = match reader(&path) {
            Ok(reader) => reader,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        for batch in reader {
            let batch = batch.map_err(|error| unusable(&path, error)).and_then(|batch| {
                typed(Columns {
                    path: &path,
                    batch: &batch,
                })
            });
            let failed = batch.is_err();
            // An error here is a receiver that wants no more.
            if sender.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn reader(
    path: &PathBuf,
) -> Result<impl Iterator<Item = arrow::error::Result<RecordBatch>> + use<>, LoadError> {
    let file = File::open(path).map_err(|error| unusable(path, error))?;
    // The writer's own Arrow types are left aside: text is then plain text, however the writer held it.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.with_batch_size(BATCH).build())
        .map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, reason: impl ToString) -> LoadError {
    LoadError::Input {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

/// A batch's columns by name and type.
struct Columns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl Columns<'_> {
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

    fn text(&self, name: &str) -> Result<StringArray, LoadError> {
        let column = self.get(name)?;
        let text = column.as_string_opt::<i32>();
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
