//! Formats: what gives the records of a file, if it is not plain delimited text.
//!
//! A format knows how to find the next record and its fields, and nothing else: what a record means, whether it counts,
//! and where it goes is the same for all formats. Plain delimited text, which most files are, has a faster way
//! ([`crate::scan`]); objects of JSON in lines, and row groups of Parquet, can be read by several threads.

mod dbf;
mod delimited;
mod dos;
mod ebcdic;
mod fixed;
mod json;
mod lines;
mod parquet;
mod spool;
mod tables;
mod workbook;

use std::io::{self, Read};
use std::path::Path;

use encoding_rs::UTF_8;

pub(crate) use self::dbf::is_dbf;
pub(crate) use self::dos::Dos;
pub(crate) use self::ebcdic::{Ebcdic, PageReader};
pub(crate) use self::json::{Cell, CellKind, LONGEST as LONGEST_OBJECT, Objects, Value, are_lines, values};
pub(crate) use self::lines::Ending;
pub(crate) use self::parquet::{Batch, ParquetFile, Selection};
use self::spool::Spool;
use self::tables::Page;
#[cfg(test)]
pub(crate) use self::tables::decimal_of as decimal_text;
use crate::containers::Unreadable;
use crate::error::EngineError;
use crate::fields::Fields;
use crate::layout::{Charset, Delimited, FeedLayout, Format, TableFormat};
use crate::rejects::Reason;

/// The most columns of a table: one with more is no table of sales.
pub(crate) const MOST_COLUMNS: usize = 1024;

/// A record of a file.
#[derive(Default)]
pub(crate) struct Record {
    /// Its text as it stands in the file, without what ends it.
    pub(crate) text: Vec<u8>,
    /// Its fields, if it has no fault.
    pub(crate) fields: Fields,
    /// Why it has no fields.
    pub(crate) fault: Option<Reason>,
    /// If it is longer than any record may be: its length in bytes. `text` then holds its beginning.
    pub(crate) too_long: Option<u64>,
}

/// Gives the records of a file, one after another.
///
/// Every part of the input becomes part of a record, so that each of them can be counted. Memory does not depend on the
/// size of the input.
pub(crate) trait Records {
    /// Returns the names of the columns, if the file says them apart from its records.
    fn names(&self) -> Option<Vec<String>> {
        None
    }

    /// Says which fields will be read, before the first record is: those at these positions, or as many as there are.
    /// Fails if the file holds something else there than values.
    fn select(&mut self, _positions: Option<&[usize]>) -> io::Result<()> {
        Ok(())
    }

    /// Reads the next record. Returns `false` at the end.
    fn next(&mut self, record: &mut Record) -> io::Result<bool>;

    /// Returns how the input ended, once all records were read.
    fn ending(self: Box<Self>) -> Ending;
}

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

/// Makes the error of a file that cannot be read because of what it is.
fn unreadable(reason: String) -> io::Error {
    io::Error::other(Unreadable(reason))
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

impl Record {
    fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.fault = None;
        self.too_long = None;
    }
}
