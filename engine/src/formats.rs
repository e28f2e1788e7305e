//! Formats: what gives the records of a file, if it is not plain delimited text.
//!
//! A format knows how to find the next record and its fields, and nothing else: what a record means, whether it counts,
//! and where it goes is the same for all formats. Plain delimited text, which most files are, has a faster way
//! ([`crate::scan`]).

mod delimited;
mod ebcdic;
mod fixed;
mod json;
mod lines;

use std::io::{self, Read};

pub(crate) use self::ebcdic::{Ebcdic, EbcdicReader};
pub(crate) use self::json::{Value, values};
pub(crate) use self::lines::Ending;
use crate::fields::Fields;
use crate::layout::{Delimited, FeedLayout, Format};
use crate::rejects::Reason;

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
