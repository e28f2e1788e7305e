//! The one form of Parquet that goes to the lake: Snappy, v1 pages, dictionaries and statistics, which every reader
//! supports, including Redshift's COPY.
//!
//! Typed rows (converted files, partials, summaries) are encoded here, column chunk by column chunk, so that threads
//! can encode in parallel: [`TypedFile`]. Texts of reference feeds and rejects go through the parquet crate's own writer:
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

use arrow_schema::Schema;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescPtr};

pub(crate) use self::chunk::{Chunk, Column, NO_TEXT};
pub(crate) use self::stored::{StoredFile, damaged};
use crate::error::EngineError;

/// Rows per row group, which a writer holds in memory before writing them to disk. The number is low in tests, so that
/// their files have several groups.
pub(crate) const ROW_GROUP_ROWS: usize = if cfg!(test) { 300 } else { 256 << 10 };

/// Bytes that are written to a file at once.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// Returns the settings that files are written with.
pub(crate) fn properties() -> WriterProperties {
    let line_number = ColumnPath::from("line_number");
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Line numbers ascend and are all distinct: their differences are small, but a dictionary would be large.
        .set_column_dictionary_enabled(line_number.clone(), false)
        .set_column_encoding(line_number, Encoding::DELTA_BINARY_PACKED)
        .build()
}

/// The columns of a file of typed rows.
#[derive(Clone)]
pub(crate) struct Form(SchemaDescPtr);

/// A file of typed rows that is being written.
pub(crate) struct TypedFile {
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

    /// Encodes columns of a row group, from the one at `first` on. All must have the same number of values.
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
    pub(crate) fn create(&self, path: &Path) -> Result<TypedFile, EngineError> {
        let file = File::create(path).map_err(EngineError::write(path))?;
        // The writer's own buffer has only 8 KiB, so chunks would be written in small pieces.
        let file = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
        let writer = SerializedFileWriter::new(file, self.0.root_schema_ptr(), Arc::new(properties()));
        Ok(TypedFile {
            path: path.to_owned(),
            writer: writer.map_err(EngineError::parquet("write", path))?,
        })
    }
}

impl TypedFile {
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
