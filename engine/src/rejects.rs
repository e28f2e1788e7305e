//! Rejects: lines that failed validation, kept with their number, their text and a reason.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::EngineError;
use crate::text_file::TextFile;

/// Why a line is a reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "`Reason::text` explains each")]
pub enum Reason {
    MissingColumn,
    Amount,
    Code,
    Date,
    StoreEmpty,
    StoreTooLong,
    StoreText,
    ItemEmpty,
    ItemTooLong,
    ItemText,
    ReferenceText,
    UnclosedQuote,
    TextAfterQuote,
    LongLine,
    Kind,
    Json,
    LongObject,
    ErrorCell,
}

impl Reason {
    /// All of them.
    const ALL: [Self; 18] = [
        Self::MissingColumn,
        Self::Amount,
        Self::Code,
        Self::Date,
        Self::StoreEmpty,
        Self::StoreTooLong,
        Self::StoreText,
        Self::ItemEmpty,
        Self::ItemTooLong,
        Self::ItemText,
        Self::ReferenceText,
        Self::UnclosedQuote,
        Self::TextAfterQuote,
        Self::LongLine,
        Self::Kind,
        Self::Json,
        Self::LongObject,
        Self::ErrorCell,
    ];

    /// Returns the reason that is told in these words.
    pub fn of_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }

    /// Returns the reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::MissingColumn => "a column is missing",
            Self::Amount => "amount is not a decimal with at most 2 places and 18 digits",
            Self::Code => "code is not a whole number",
            Self::Date => "trans_date is not a calendar date in a form of values.dates",
            Self::StoreEmpty => "store_id is empty",
            Self::StoreTooLong => "store_id is too long",
            Self::StoreText => "store_id is not valid text",
            Self::ItemEmpty => "item_id is empty",
            Self::ItemTooLong => "item_id is too long",
            Self::ItemText => "item_id is not valid text",
            Self::ReferenceText => "a column is not valid text",
            Self::UnclosedQuote => "a quote is not closed",
            Self::TextAfterQuote => "text follows a closing quote",
            Self::LongLine => "the line is longer than 1 MiB",
            Self::Json => "the record is no JSON object, or lacks the array that explode names",
            Self::LongObject => "the object is longer than 8 MiB",
            Self::ErrorCell => "a cell holds an error, such as #N/A",
            Self::Kind => "the record is of no kind that records.kind names",
        }
    }
}

/// One reject, read back from a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reject {
    /// The line's number, counted from 1.
    pub line_number: u64,
    /// Why it is a reject.
    pub reason: String,
    /// The line without its line ending. Bytes that are not valid UTF-8 are written as `\xNN`. Of a line over 1 MiB,
    /// only the beginning is kept.
    pub text: String,
}

/// Writes rejects to Parquet (`line_number`, `reason`, `text`). The file is created only when there are rejects.
pub(crate) struct RejectWriter {
    path: PathBuf,
    file: Option<TextFile>,
    line_numbers: Int64Builder,
    reasons: StringBuilder,
    texts: StringBuilder,
    text_bytes: usize,
}

/// A batch is written once it has this many bytes of text, so that a file of garbage needs no more memory than a good
/// one.
const BATCH_BYTES: usize = 4 << 20;

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("line_number", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
    ])
}

impl RejectWriter {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            line_numbers: Int64Builder::new(),
            reasons: StringBuilder::new(),
            texts: StringBuilder::new(),
            text_bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, line_number: u64, reason: Reason, text: &[u8]) -> Result<(), EngineError> {
        self.line_numbers.append_value(line_number as i64);
        self.reasons.append_value(reason.text());
        match std::str::from_utf8(text) {
            Ok(text) => self.texts.append_value(text),
            Err(_) => self.texts.append_value(escape(text)),
        }
        self.text_bytes += text.len() + 32;
        if self.text_bytes >= BATCH_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Finishes the file, and returns whether there is one.
    pub(crate) fn finish(mut self) -> Result<bool, EngineError> {
        if self.text_bytes > 0 {
            self.flush()?;
        }
        match self.file.take() {
            Some(file) => file.finish().map(|()| true),
            None => Ok(false),
        }
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.text_bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.line_numbers.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.texts.finish()),
        ];
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(TextFile::create(&self.path, schema())?),
        };
        file.write(|schema| RecordBatch::try_new(schema, columns))
    }
}

/// Returns the text with every byte that is not part of valid UTF-8 written as `\xNN`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// Reads the first `limit` rejects from a file that conversion wrote.
pub fn read_rejects(path: &Path, limit: usize) -> Result<Vec<Reject>, EngineError> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    let file = File::open(path).map_err(EngineError::parquet("read", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_limit(limit).build())
        .map_err(EngineError::parquet("read", path))?;
    let mut rejects = Vec::new();
    for batch in reader {
        let batch = batch.map_err(EngineError::parquet("read", path))?;
        let line_numbers = batch.column(0).as_primitive::<Int64Type>();
        let reasons = batch.column(1).as_string::<i32>();
        let texts = batch.column(2).as_string::<i32>();
        rejects.extend((0..batch.num_rows()).map(|row| Reject {
            line_number: line_numbers.value(row) as u64,
            reason: reasons.value(row).to_owned(),
            text: texts.value(row).to_owned(),
        }));
    }
    Ok(rejects)
}
