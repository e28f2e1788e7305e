//! The one form of Parquet that goes to the lake: Snappy, v1 pages, dictionaries and statistics, which every reader
//! knows (Redshift's COPY among them).
//!
//! Typed rows (converted files, partials, summaries) are encoded here, column chunk by column chunk, so that threads
//! can encode side by side: [`Table`]. Texts of reference feeds and rejects go through the parquet crate's own writer:
//! [`TextFile`](crate::text_file::TextFile).

mod chunk;
mod packed;
mod stored;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescPtr};

pub(crate) use self::chunk::{Chunk, Column, NO_TEXT};
pub(crate) use self::stored::StoredTable;
use crate::error::EngineError;

/// Rows a row group: what a writer holds in memory before it goes to disk. Few in tests, whose files have several groups.
pub(crate) const ROW_GROUP_ROWS: usize = if cfg!(test) { 300 } else { 256 << 10 };

/// Bytes that go to a file at once.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// How files are written.
pub(crate) fn properties() -> WriterProperties {
    let line_number = ColumnPath::from("line_number");
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Line numbers climb, each its own value: differences are small where a dictionary would be large.
        .set_column_dictionary_enabled(line_number.clone(), false)
        .set_column_encoding(line_number, Encoding::DELTA_BINARY_PACKED)
        .build()
}

/// The columns of a file of typed rows.
#[derive(Clone)]
pub(crate) struct Form(SchemaDescPtr);

/// A file of typed rows that is being written.
pub(crate) struct Table {
    path: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
}

impl Form {
    pub(crate) fn new(schema: &Schema) -> Result<Self, EngineError> {
        let descriptor = ArrowSchemaConverter::new().convert(schema);
        let descriptor =
            descriptor.map_err(EngineError::parquet("make the columns of", Path::new("Parquet")))?;
        Ok(Self(Arc::new(descriptor)))
    }

    /// Encodes columns of a row group from the one at `first` on, each with as many values.
    pub(crate) fn encode(
        &self,
        first: usize,
        columns: &[Column<'_>],
        path: &Path,
    ) -> Result<Vec<Chunk>, EngineError> {
        let descriptors = &self.0.columns()[first..];
        let encoded = descriptors
            .iter()
            .zip(columns)
            .map(|(descriptor, column)| column.encode(descriptor));
        encoded
            .collect::<Result<_, _>>()
            .map_err(EngineError::parquet("write", path))
    }

    /// Creates a file.
    pub(crate) fn create(&self, path: &Path) -> Result<Table, EngineError> {
        let file = File::create(path).map_err(EngineError::write(path))?;
        // The writer's own buffer has 8 KiB, in which chunks go to it piece by piece.
        let file = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
        let writer = SerializedFileWriter::new(file, self.0.root_schema_ptr(), Arc::new(properties()));
        Ok(Table {
            path: path.to_owned(),
            writer: writer.map_err(EngineError::parquet("write", path))?,
        })
    }
}

impl Table {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an encoded row group.
    pub(crate) fn append(&mut self, chunks: Vec<Chunk>) -> Result<(), EngineError> {
        let append = || {
            let mut group = self.writer.next_row_group()?;
            for chunk in chunks {
                group.append_column(&chunk.bytes, chunk.close)?;
            }
            group.close().map(|_| ())
        };
        append().map_err(EngineError::parquet("write", &self.path))
    }

    /// Writes the footer.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        let closed = self.writer.close();
        closed
            .map(|_| ())
            .map_err(EngineError::parquet("write", &self.path))
    }
}
