//! The converted file: the typed rows of one file version as Parquet, each with the number of its line.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_schema::DataType;
use jiff::civil::Date;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::EngineError;

/// Returns the type decimal(18,2), which Parquet stores as INT64.
pub(crate) fn decimal() -> DataType {
    DataType::Decimal128(18, 2)
}

/// One validated point-of-sale row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The line's number, counted from 1.
    pub line_number: u64,
    /// The store.
    pub store_id: String,
    /// The amount in cents.
    pub amount: i64,
    /// The transaction code.
    pub code: i32,
    /// The item.
    pub item_id: String,
    /// The business day.
    pub trans_date: Date,
}

/// Reads the rows of one key from a converted file, from which a row of the warehouse can be derived again.
pub fn rows_of_key(
    path: &Path,
    store_id: &str,
    item_id: &str,
    trans_date: Date,
) -> Result<Vec<Row>, EngineError> {
    let action = "read";
    let file = File::open(path).map_err(EngineError::parquet(action, path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(EngineError::parquet(action, path))?;
    let mut found = Vec::new();
    for batch in reader {
        let batch = batch.map_err(EngineError::parquet(action, path))?;
        let line_numbers = batch.column(0).as_primitive::<Int64Type>();
        let stores = batch.column(1).as_string::<i32>();
        let amounts = batch.column(2).as_primitive::<Decimal128Type>();
        let codes = batch.column(3).as_primitive::<Int32Type>();
        let items = batch.column(4).as_string::<i32>();
        let dates = batch.column(5).as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let date = crate::date::from_days(dates.value(row));
            if items.value(row) == item_id && stores.value(row) == store_id && date == trans_date {
                found.push(Row {
                    line_number: line_numbers.value(row) as u64,
                    store_id: store_id.to_owned(),
                    // It was written from 64-bit cents.
                    amount: amounts.value(row) as i64,
                    code: codes.value(row),
                    item_id: item_id.to_owned(),
                    trans_date,
                });
            }
        }
    }
    Ok(found)
}
