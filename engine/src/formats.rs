//! Formats: what gives the records of a file, if it is not plain delimited text.
//!
//! A format knows how to find the next record and its fields, and nothing else: what a record means, whether it counts,
//! and where it goes is the same for all formats. Plain delimited text, which most files are, has a faster way
//! ([`crate::scan`]); objects of JSON in lines, and row groups of Parquet, can be read by several threads.

mod dbf;
mod delimited;
mod fixed;
mod json;
mod lines;
mod parquet;
mod record;
mod spool;
mod tables;
mod workbook;

use std::io::{self, Read};
use std::path::Path;

use encoding_rs::UTF_8;

pub(crate) use self::dbf::is_dbf;
pub(crate) use self::json::{Cell, CellKind, LONGEST as LONGEST_OBJECT, Objects, Value, are_lines, values};
pub(crate) use self::lines::Ending;
pub(crate) use self::parquet::{Batch, ParquetFile, Selection};
pub(crate) use self::record::{Record, Records};
use self::spool::Spool;
#[cfg(test)]
pub(crate) use self::tables::decimal_of as decimal_text;
use crate::error::EngineError;
use crate::layout::{Charset, Delimited, FeedLayout, Format, TableFormat};

/// Opens the records of a text that is UTF-8, as far as it is valid.
pub(crate) fn open<'t>(text: Box<dyn Read + Send + 't>, layout: &'t FeedLayout) -> Box<dyn Records + 't> {
    match &layout.format {
        Format::Delimited(delimited) => Box::new(delimited::DelimitedRecords::new(text, delimited)),
        Format::Fixed(fixed) => fixed::open(text, fixed),
        Format::Json(json) => Box::new(json::JsonRecords::new(text, json)),
        // Its bytes are no text: `open_table` reads them.
        Format::Table(_) => Box::new(NoRecords),
    }
}

/// What has the records of a file read.
pub(crate) trait Reading<T> {
    /// Reads all records.
    fn read(self, records: Box<dyn Records + '_>) -> Result<T, EngineError>;

    /// Reads all rows of a Parquet file, if that is done in another way than one by one.
    fn read_parquet(self, file: ParquetFile) -> Result<T, EngineError>
    where
        Self: Sized,
    {
        self.read(Box::new(parquet::ParquetRecords::new(file)))
    }
}

/// Has the rows of a table read, whose bytes are `input`. What must be read here and there may be copied to `folder`.
pub(crate) fn open_table<T>(
    input: impl Read + Send,
    (table, layout): (&TableFormat, &FeedLayout),
    folder: &Path,
    reading: impl Reading<T>,
) -> Result<T, EngineError> {
    match table {
        TableFormat::Dbf => {
            let charset = match layout.charset {
                // The default; tables say themselves what they are written in.
                Charset::Text(encoding) if encoding == UTF_8 => None,
                charset => Some(charset),
            };
            let records = dbf::DbfRecords::new(input, charset).map_err(EngineError::Read)?;
            reading.read(Box::new(records))
        }
        TableFormat::Parquet => {
            let spool = Spool::of(input, folder)?;
            reading.read_parquet(ParquetFile::new(spool).map_err(EngineError::Read)?)
        }
        TableFormat::Workbook { sheet, .. } => {
            workbook::open(&Spool::of(input, folder)?, sheet.as_ref(), reading)
        }
    }
}

/// No records at all.
struct NoRecords;

impl Records for NoRecords {
    fn next(&mut self, _: &mut Record) -> io::Result<bool> {
        Ok(false)
    }

    fn ending(self: Box<Self>) -> Ending {
        Ending::default()
    }
}

/// Opens the records of delimited text, whatever feed it belongs to.
pub(crate) fn delimited<'t>(text: impl Read + 't, dialect: &'t Delimited) -> Box<dyn Records + 't> {
    Box::new(delimited::DelimitedRecords::new(text, dialect))
}

/// How many bytes are read at a time.
const READ: usize = 64 << 10;

/// Drops what was taken from the beginning of a buffer, and reads more. Returns whether there was some.
fn fill(buffer: &mut Vec<u8>, taken: &mut usize, input: &mut impl Read) -> io::Result<bool> {
    buffer.drain(..std::mem::take(taken));
    let before = buffer.len();
    buffer.resize(before + READ, 0);
    let read = loop {
        match input.read(&mut buffer[before..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    buffer.truncate(before + read);
    Ok(read > 0)
}
