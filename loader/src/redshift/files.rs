//! Writes rows for COPY: Parquet files with the table's columns in its order, and a manifest.
//!
//! COPY from Parquet goes by the order of the columns, and rejects amounts that are not stored as whole numbers. A
//! manifest must give each file's length, and say that a missing file is an error. Source: pages "COPY from columnar
//! data formats" and "Using a manifest to specify data files".

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use serde_json::json;

use super::bucket::StagingBucket;
use crate::LoadError;
use crate::input::SummaryBatch;
use crate::target::KEYS;

/// Rows of a file: a few megabytes, so that several slices of a cluster load in parallel, and a file fits in memory.
const ROWS: usize = 500_000;

/// decimal(18,2): up to 18 digits are stored as INT64.
const AMOUNT: (u8, i8) = (18, 2);

/// What was written for one COPY.
pub(super) struct Written {
    pub manifest: String,
    pub rows: u64,
}

/// Writes the files of one table.
pub(super) struct Files<'a> {
    bucket: &'a StagingBucket,
    folder: Path,
    name: &'static str,
    schema: SchemaRef,
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// Rows of the open file, and of all files.
    open: usize,
    rows: u64,
    entries: Vec<serde_json::Value>,
}

impl<'a> Files<'a> {
    /// Files of rows with these measures; of keys only, if there are none.
    pub(super) fn of_rows(
        bucket: &'a StagingBucket,
        folder: &Path,
        name: &'static str,
        measures: &[String],
    ) -> Self {
        let keys = [
            Field::new(KEYS[0], DataType::Utf8View, false),
            Field::new(KEYS[1], DataType::Utf8View, false),
            Field::new(KEYS[2], DataType::Date32, false),
        ];
        let amount = |name| Field::new(name, DataType::Decimal128(AMOUNT.0, AMOUNT.1), true);
        let fields: Vec<Field> = keys.into_iter().chain(measures.iter().map(amount)).collect();
        Self::new(bucket, folder, name, fields)
    }

    /// Files of stores and dates.
    pub(super) fn of_days(bucket: &'a StagingBucket, folder: &Path, name: &'static str) -> Self {
        let fields = vec![
            Field::new(KEYS[0], DataType::Utf8, false),
            Field::new(KEYS[2], DataType::Date32, false),
        ];
        Self::new(bucket, folder, name, fields)
    }

    fn new(bucket: &'a StagingBucket, folder: &Path, name: &'static str, fields: Vec<Field>) -> Self {
        Self {
            bucket,
            folder: folder.clone(),
            name,
            schema: Arc::new(Schema::new(fields)),
            writer: None,
            open: 0,
            rows: 0,
            entries: Vec::new(),
        }
    }

    /// Adds rows of a summary, with the columns that these files have.
    pub(super) async fn put_rows(&mut self, batch: &SummaryBatch) -> Result<(), LoadError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(batch.stores.clone()),
            Arc::new(batch.items.clone()),
            Arc::new(batch.dates.clone()),
        ];
        for amounts in &batch.amounts[..self.schema.fields().len() - KEYS.len()] {
            // The range was checked when the batch was read.
            let amounts = amounts.clone().with_precision_and_scale(AMOUNT.0, AMOUNT.1);
            columns.push(Arc::new(amounts.map_err(|error| self.failed(error))?));
        }
        self.put(columns).await
    }

    /// Adds columns of the right types.
    pub(super) async fn put(&mut self, columns: Vec<ArrayRef>) -> Result<(), LoadError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| self.failed(error))?;
        if self.writer.is_none() {
            self.writer = Some(self.begin()?);
        }
        if let Some(writer) = &mut self.writer {
            let written = writer.write(&batch);
            written.map_err(|error| self.failed(error))?;
        }
        self.open += batch.num_rows();
        self.rows += batch.num_rows() as u64;
        match self.open {
            ROWS.. => self.end().await,
            _ => Ok(()),
        }
    }

    /// Finishes the last file, and writes the manifest after all files. `None`: there were no rows.
    pub(super) async fn finish(mut self) -> Result<Option<Written>, LoadError> {
        self.end().await?;
        if self.entries.is_empty() {
            return Ok(None);
        }
        let path = self.folder.clone().join(format!("{}.manifest", self.name));
        let manifest = json!({ "entries": self.entries }).to_string();
        self.bucket.put(&path, manifest.into_bytes()).await?;
        Ok(Some(Written {
            manifest: self.bucket.url(&path),
            rows: self.rows,
        }))
    }

    fn begin(&self) -> Result<ArrowWriter<Vec<u8>>, LoadError> {
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(Vec::new(), self.schema.clone(), options)
            .map_err(|error| self.failed(error))
    }

    async fn end(&mut self) -> Result<(), LoadError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let bytes = writer.into_inner().map_err(|error| self.failed(error))?;
        let number = self.entries.len();
        let path = self
            .folder
            .clone()
            .join(format!("{}-{number}.parquet", self.name));
        self.entries.push(json!({
            "url": self.bucket.url(&path),
            "mandatory": true,
            "meta": { "content_length": bytes.len() },
        }));
        self.open = 0;
        self.bucket.put(&path, bytes).await
    }

    fn failed(&self, reason: impl ToString) -> LoadError {
        crate::input::unusable(std::path::Path::new(self.name), reason)
    }
}
