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
pub(crate) use self::json::{Cell, CellKind, LONGEST as LONGEST_OBJECT, Objects, are_lines};
pub use self::json::{Value, json_objects};
pub(crate) use self::lines::Ending;
pub(crate) use self::parquet::{Batch, ParquetFile, Selection};
pub use self::record::Record;
pub(crate) use self::record::Records;
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

/// Gives the first `most` records of a delimited text, whatever feed it belongs to.
pub fn read_delimited(text: &str, dialect: &Delimited, most: usize, mut give: impl FnMut(&Record)) {
    let mut records = delimited::DelimitedRecords::new(text.as_bytes(), dialect);
    let mut record = Record::default();
    for _ in 0..most {
        // Reading from memory does not fail.
        if !matches!(records.next(&mut record), Ok(true)) {
            break;
        }
        give(&record);
    }
}

/// Gives the first rows of a table, and returns the names of its columns if it says them apart from its rows. They count as
/// one of the `most` rows. A layout of text gives none. The table must be small enough to stay in memory: there is no
/// scratch folder.
pub fn read_table(
    table: &[u8],
    layout: &FeedLayout,
    most: usize,
    give: impl FnMut(&Record),
) -> Result<Option<Vec<String>>, EngineError> {
    match &layout.format {
        Format::Table(format) => open_table(table, (format, layout), Path::new(""), FirstRows { most, give }),
        Format::Delimited(_) | Format::Fixed(_) | Format::Json(_) => Ok(None),
    }
}

/// Reads the first rows of a table.
struct FirstRows<G> {
    most: usize,
    give: G,
}

impl<G: FnMut(&Record)> Reading<Option<Vec<String>>> for FirstRows<G> {
    fn read(mut self, mut records: Box<dyn Records + '_>) -> Result<Option<Vec<String>>, EngineError> {
        let names = records.names();
        records.select(None).map_err(EngineError::Read)?;
        let mut record = Record::default();
        for _ in usize::from(names.is_some())..self.most {
            if !records.next(&mut record).map_err(EngineError::Read)? {
                break;
            }
            (self.give)(&record);
        }
        Ok(names)
    }
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
