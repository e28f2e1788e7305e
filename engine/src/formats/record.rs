//! Records, and what gives them.

use std::io;

use super::lines::Ending;
use crate::containers::Unreadable;
use crate::fields::{Fields, Typed};
use crate::rejects::Reason;
use crate::text::MAX_LINE;

/// A record of a file.
#[derive(Default)]
pub struct Record {
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

/// Makes the error of a file that cannot be read because of what it is.
pub(super) fn unreadable(reason: String) -> io::Error {
    io::Error::other(Unreadable(reason))
}

impl Record {
    /// Returns its text as it stands in the file, without what ends it. Of a record that is too long, it is the beginning.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns its fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter()
    }

    /// Returns whether the field at a position, from 0, is a number of a format that has such.
    pub fn is_number(&self, position: usize) -> bool {
        self.fields.typed(position) == Typed::Number
    }

    /// Returns whether it has all of its fields, and is not longer than a record may be.
    pub fn is_whole(&self) -> bool {
        self.fault.is_none() && self.too_long.is_none() && self.text.len() < MAX_LINE
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.fault = None;
        self.too_long = None;
    }
}
