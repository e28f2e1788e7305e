//! The converted file: the typed rows of one file version as Parquet, with the number of the line each came from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Int32Type, Int64Type, Schema};
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::EngineError;
use crate::parquet_form;

/// Rows a batch: some megabytes in the builders, whatever the file's size.
const BATCH_ROWS: usize = 32 << 10;

/// decimal(18,2), which Parquet stores as INT64.
pub(crate) fn decimal() -> DataType {
    DataType::Decimal128(18, 2)
}

/// One validated point-of-sale row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Counted from 1.
    pub line_number: u64,
    /// The shop.
    pub store_id: String,
    /// In cents.
    pub amount: i64,
    /// The transaction code.
    pub code: i32,
    /// The item.
    pub item_id: String,
    /// The business day.
    pub trans_date: Date,
}

/// Writes the rows of a sales feed.
pub(crate) struct SalesWriter {
    path: PathBuf,
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    line_numbers: Int64Builder,
    stores: StringBuilder,
    amounts: Decimal128Builder,
    codes: Int32Builder,
    items: StringBuilder,
    dates: Date32Builder,
    rows: usize,
}

impl SalesWriter {
    pub(crate) fn create(path: &Path) -> Result<Self, EngineError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("line_number", DataType::Int64, false),
            Field::new("store_id", DataType::Utf8, false),
            Field::new("amount", decimal(), false),
            Field::new("code", DataType::Int32, false),
            Field::new("item_id", DataType::Utf8, false),
            Field::new("trans_date", DataType::Date32, false),
        ]));
        Ok(Self {
            path: path.to_owned(),
            writer: parquet_form::create(path, schema.clone())?,
            schema,
            line_numbers: Int64Builder::new(),
            stores: StringBuilder::new(),
            amounts: Decimal128Builder::new().with_data_type(decimal()),
            codes: Int32Builder::new(),
            items: StringBuilder::new(),
            dates: Date32Builder::new(),
            rows: 0,
        })
    }

    pub(crate) fn push(
        &mut self,
        line_number: u64,
        store_id: &str,
        cents: i64,
        code: i32,
        item_id: &str,
        trans_date: i32,
    ) -> Result<(), EngineError> {
        self.line_numbers.append_value(line_number as i64);
        self.stores.append_value(store_id);
        self.amounts.append_value(i128::from(cents));
        self.codes.append_value(code);
        self.items.append_value(item_id);
        self.dates.append_value(trans_date);
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        self.flush()?;
        parquet_form::finish(self.writer, &self.path)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.line_numbers.finish()),
            Arc::new(self.stores.finish()),
            Arc::new(self.amounts.finish()),
            Arc::new(self.codes.finish()),
            Arc::new(self.items.finish()),
            Arc::new(self.dates.finish()),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        write(&mut self.writer, batch, &self.path)
    }
}

/// Writes the rows of a reference feed: every column as text.
pub(crate) struct TextWriter {
    path: PathBuf,
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    line_numbers: Int64Builder,
    columns: Vec<StringBuilder>,
    rows: usize,
}

impl TextWriter {
    pub(crate) fn create(path: &Path, columns: &[String]) -> Result<Self, EngineError> {
        let mut fields = vec![Field::new("line_number", DataType::Int64, false)];
        fields.extend(columns.iter().map(|name| Field::new(name, DataType::Utf8, false)));
        let schema = Arc::new(Schema::new(fields));
        Ok(Self {
            path: path.to_owned(),
            writer: parquet_form::create(path, schema.clone())?,
            schema,
            line_numbers: Int64Builder::new(),
            columns: columns.iter().map(|_| StringBuilder::new()).collect(),
            rows: 0,
        })
    }

    /// Appends one row; `texts` yields one text a column.
    pub(crate) fn push<'t>(
        &mut self,
        line_number: u64,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<(), EngineError> {
        self.line_numbers.append_value(line_number as i64);
        for (column, text) in self.columns.iter_mut().zip(texts) {
            column.append_value(text);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        self.flush()?;
        parquet_form::finish(self.writer, &self.path)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.line_numbers.finish())];
        columns.extend(
            self.columns
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        write(&mut self.writer, batch, &self.path)
    }
}

fn write(
    writer: &mut ArrowWriter<File>,
    batch: Result<RecordBatch, arrow::error::ArrowError>,
    path: &Path,
) -> Result<(), EngineError> {
    let batch = batch.map_err(EngineError::parquet("write", path))?;
    writer.write(&batch).map_err(EngineError::parquet("write", path))
}

/// Reads the rows of one key from a converted file: how a row of the warehouse is derived anew.
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
                    // Written from cents of 64 bits.
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
