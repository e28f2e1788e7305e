//! Tables of dBASE III and later, Clipper and FoxPro, without memos.
//!
//! A table is a header, which says how many records of which length follow, and these records, one behind the other.
//! It is read as it comes. A header that does not fit what follows it has the file rejected: there is no telling which of
//! the two is right.

mod cells;

use std::io::{self, Read};

use self::cells::{Column, Kind};
use super::lines::Ending;
use super::record::{Record, Records, unreadable};
use super::tables::Page;
use crate::fields::Typed;
use crate::layout::{Charset, MOST_COLUMNS};

/// The length of a header without its columns, and of a column.
const PART: usize = 32;

/// Behind the columns of Visual FoxPro: the name of a database.
const BACKLINK: usize = 263;

/// Ends the list of columns.
const LAST_COLUMN: u8 = 0x0D;

/// Ends a table.
const END_MARK: u8 = 0x1A;

/// How the first byte of a table may be, with or without files for memos and SQL beside it.
const VERSIONS: [u8; 13] = [
    0x03, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0x8E, 0xCB, 0xE5, 0xF5, 0xFB,
];

/// Returns whether a file begins like a table of dBASE.
pub(crate) fn is_dbf(beginning: &[u8]) -> bool {
    let Some((header, columns)) = beginning.split_at_checked(PART) else {
        return false;
    };
    let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let is_name = |name: &[u8]| {
        name.first()
            .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
    };
    let (length, record) = (number(8), number(10));
    (VERSIONS.contains(&header[0]) || header[0] == 4)
        && (1..=12).contains(&header[2])
        && (1..=31).contains(&header[3])
        && length > PART
        && record > 1
        && (header[0] == 4
            || columns.get(11).is_some_and(|kind| Kind::LETTERS.contains(kind)) && is_name(columns))
}

/// The records of a table.
pub(super) struct DbfRecords<R> {
    input: R,
    columns: Vec<Column>,
    page: Page,
    /// Where the bits that say which values are NULL stand in a record.
    null_bits: Option<usize>,
    /// How many records the header says.
    announced: u64,
    read: u64,
    /// One record.
    bytes: Vec<u8>,
}

impl<R: Read> DbfRecords<R> {
    /// Reads the header. `charset` is what the settings say of the encoding, if they say something.
    pub(super) fn new(mut input: R, charset: Option<Charset>) -> io::Result<Self> {
        let mut header = [0; PART];
        let read = fill(&mut input, &mut header)?;
        let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        match header[0] {
            _ if read == 0 => return Err(unreadable("it is empty".into())),
            4 => {
                let reason =
                    "it is a table of dBASE 7, which is not read: have the store save it as dBASE III or IV";
                return Err(unreadable(reason.into()));
            }
            version if read < PART || !VERSIONS.contains(&version) => {
                return Err(unreadable(
                    "it is no dBASE table, which format = \"dbf\" reads".into(),
                ));
            }
            _ => {}
        }
        let announced = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let (length, record) = (number(8), number(10));
        let lies = |what: String| unreadable(format!("its header lies: {what}"));
        let mut rest = vec![
            0;
            length
                .checked_sub(PART)
                .ok_or_else(|| lies(format!("it says that it has {length} bytes")))?
        ];
        if fill(&mut input, &mut rest)? < rest.len() {
            return Err(unreadable("it was cut within its header".into()));
        }
        let end = rest.chunks(PART).position(|column| column[0] == LAST_COLUMN);
        let end = end.ok_or_else(|| lies("its list of columns does not end".into()))? * PART;
        let behind = rest.len() - end - 1;
        if behind > BACKLINK {
            return Err(lies(format!("{behind} bytes follow its columns")));
        }
        let (mut columns, mut at, mut bits) = (Vec::new(), 1, 0);
        for column in rest[..end].chunks_exact(PART) {
            let column = Column::new(column, header[0], at, &mut bits).map_err(lies)?;
            at += column.length;
            columns.push(column);
        }
        if at != record {
            return Err(lies(format!(
                "its columns have {at} bytes, but it says that a record has {record}"
            )));
        }
        let visible = columns
            .iter()
            .filter(|column| column.kind != Kind::NullBits)
            .count();
        if visible > MOST_COLUMNS {
            return Err(lies(format!(
                "it has {visible} columns, more than {MOST_COLUMNS}"
            )));
        }
        let null_bits = columns.iter().find(|column| column.kind == Kind::NullBits);
        if null_bits.is_some_and(|column| column.length * 8 < bits) {
            return Err(lies("it has fewer bits for NULL than columns that may be".into()));
        }
        Ok(Self {
            null_bits: null_bits.map(|column| column.at),
            page: Page::of_table(charset, header[29]).map_err(unreadable)?,
            input,
            columns,
            announced: announced.into(),
            read: 0,
            bytes: vec![0; record],
        })
    }

    /// Checks that nothing follows the last record, and reads on to the end of the input.
    fn end(&mut self) -> io::Result<()> {
        let mut byte = [0];
        if fill(&mut self.input, &mut byte)? == 1 && !matches!(byte[0], END_MARK | 0) {
            let announced = self.announced;
            return Err(unreadable(format!(
                "its header lies: it counts {announced} records, but more follow: it was changed while it was written, or damaged"
            )));
        }
        io::copy(&mut self.input, &mut io::sink()).map(|_| ())
    }

    /// Returns whether a value is NULL, by the bits of the record.
    fn is_null(&self, column: &Column) -> bool {
        let bit = self.null_bits.zip(column.null_bit);
        bit.is_some_and(|(at, bit)| self.bytes[at + bit / 8] >> (bit % 8) & 1 == 1)
    }
}

impl<R: Read> Records for DbfRecords<R> {
    fn names(&self) -> Option<Vec<String>> {
        let visible = self.columns.iter().filter(|column| column.kind != Kind::NullBits);
        Some(visible.map(|column| column.name.clone()).collect())
    }

    fn select(&mut self, positions: Option<&[usize]>) -> io::Result<()> {
        for position in positions.unwrap_or_default() {
            if let Some(Column {
                name,
                kind: Kind::Unread(letter),
                ..
            }) = self.columns.get(*position)
            {
                return Err(unreadable(format!(
                    "its column {name} has the type {letter}, which is not read: types are C, N, F, D, L, I, B, Y and T"
                )));
            }
        }
        Ok(())
    }

    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        if self.read == self.announced {
            self.end()?;
            return Ok(false);
        }
        let read = fill(&mut self.input, &mut self.bytes)?;
        let (announced, before) = (self.announced, self.read);
        self.read += 1;
        let cut = || {
            unreadable(format!(
                "it was cut: its header counts {announced} records, but only {before} came"
            ))
        };
        match self.bytes[0] {
            _ if read < self.bytes.len() => return Err(cut()),
            // A deleted record says nothing, like a blank one.
            b'*' => return Ok(true),
            b' ' => {}
            END_MARK => return Err(cut()),
            mark => {
                return Err(unreadable(format!(
                    "its header lies, or it is damaged: record {} begins with the byte {mark:#04x}, and neither with a blank \
                     nor with *",
                    self.read
                )));
            }
        }
        for column in self.columns.iter().filter(|column| column.kind != Kind::NullBits) {
            if self.is_null(column) {
                record.cell("", Typed::Text);
            } else {
                column.read(
                    &self.bytes[column.at..column.at + column.length],
                    &self.page,
                    record,
                );
            }
        }
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        Ending {
            is_ended: true,
            ..Ending::default()
        }
    }
}

/// Reads until the buffer is full or the input ends, and returns how many bytes were read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[path = "dbf/tests.rs"]
mod tests;
