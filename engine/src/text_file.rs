//! A Parquet file of texts with their line numbers, for reference rows and rejects. There are few of either, so the
//! parquet crate's own writer is fast enough.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;

use crate::error::EngineError;
use crate::parquet_form::properties;

pub(crate) struct TextFile {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

impl TextFile {
    pub(crate) fn create(path: &Path, schema: Schema) -> Result<Self, EngineError> {
        let file = File::create(path).map_err(EngineError::write(path))?;
        let schema = Arc::new(schema);
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties()));
        Ok(Self {
            path: path.to_owned(),
            schema,
            writer: writer.map_err(EngineError::parquet("write", path))?,
        })
    }

    /// Appends a batch, which `batch` builds with the file's schema.
    pub(crate) fn write(
        &mut self,
        batch: impl FnOnce(Arc<Schema>) -> Result<RecordBatch, ArrowError>,
    ) -> Result<(), EngineError> {
        let batch = batch(self.schema.clone()).map_err(EngineError::parquet("write", &self.path))?;
        self.writer
            .write(&batch)
            .map_err(EngineError::parquet("write", &self.path))
    }

    /// Writes the footer.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        let closed = self.writer.close();
        closed
            .map(|_| ())
            .map_err(EngineError::parquet("write", &self.path))
    }
}
