//! For tests: reads Parquet files back with the parquet crate, each cell as text.

use std::fs::File;
use std::path::Path;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::amount::format_cents;
use crate::date::from_days;

/// Returns the rows of a file: an amount as `-12.50`, a day as `2026-03-01`, NULL as `None`. A missing file has none.
pub(crate) fn rows_of(path: &Path) -> Vec<Vec<Option<String>>> {
    if !path.exists() {
        return Vec::new();
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path).unwrap(), options);
    let mut rows = Vec::new();
    for batch in reader.unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let cell = |column: &dyn Array, row| match column.data_type() {
            _ if column.is_null(row) => None,
            DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
            DataType::Date32 => Some(from_days(column.as_primitive::<Date32Type>().value(row)).to_string()),
            DataType::Int32 => Some(column.as_primitive::<Int32Type>().value(row).to_string()),
            DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
            DataType::Decimal128(18, 2) => {
                let cents = column.as_primitive::<Decimal128Type>().value(row);
                Some(format_cents(i64::try_from(cents).unwrap()))
            }
            other => panic!("no gristmill column has the type {other}"),
        };
        rows.extend((0..batch.num_rows()).map(|row| {
            let columns = batch.columns().iter();
            columns.map(|column| cell(column, row)).collect::<Vec<_>>()
        }));
    }
    rows
}
