//! The one form of Parquet that goes to the lake: Snappy, v1 pages, dictionaries and statistics, which every reader
//! knows (Redshift's COPY among them).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::error::EngineError;

/// Rows a row group: what the writer holds in memory before it goes to disk.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// Creates a file for batches of `schema`.
pub(crate) fn create(path: &Path, schema: Arc<Schema>) -> Result<ArrowWriter<File>, EngineError> {
    let line_number = ColumnPath::from("line_number");
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Line numbers climb, each its own value: differences are small where a dictionary would be large.
        .set_column_dictionary_enabled(line_number.clone(), false)
        .set_column_encoding(line_number, Encoding::DELTA_BINARY_PACKED)
        .build();
    let file = File::create(path).map_err(EngineError::write(path))?;
    ArrowWriter::try_new(file, schema, Some(properties)).map_err(EngineError::parquet("write", path))
}

/// Writes the footer.
pub(crate) fn finish(writer: ArrowWriter<File>, path: &Path) -> Result<(), EngineError> {
    writer
        .close()
        .map(|_| ())
        .map_err(EngineError::parquet("write", path))
}
