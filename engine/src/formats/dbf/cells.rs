//! The columns of a table of dBASE, and what their bytes say.

use super::super::record::Record;
use super::super::tables::{self, Page};
use crate::fields::Typed;

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where it begins in a record.
    pub(super) at: usize,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Which of the bits for NULL is its own.
    pub(super) null_bit: Option<usize>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// C.
    Text,
    /// N and F: a number as text.
    Number,
    /// D.
    Date,
    /// L.
    Logical,
    /// I: a whole number.
    Integer,
    /// B of FoxPro: a double.
    Double,
    /// Y: ten-thousandths.
    Currency,
    /// T: a day and a time.
    Moment,
    /// `_NullFlags` of Visual FoxPro, which is no column for people.
    NullBits,
    /// Another type, by its letter.
    Unread(char),
}

/// The Julian day of 1970-01-01.
const UNIX_DAY: i64 = 2_440_588;

impl Kind {
    /// The letters of all types.
    pub(super) const LETTERS: &[u8] = b"CNFDLIBYTMGPWVQ0+@O";

    fn of(letter: u8, version: u8) -> Self {
        match letter {
            b'C' => Self::Text,
            b'N' | b'F' => Self::Number,
            b'D' => Self::Date,
            b'L' => Self::Logical,
            b'I' => Self::Integer,
            // In other versions, it is a memo.
            b'B' if matches!(version, 0x30..=0x32) => Self::Double,
            b'Y' => Self::Currency,
            b'T' => Self::Moment,
            b'0' => Self::NullBits,
            other => Self::Unread(char::from(other)),
        }
    }
}

impl Column {
    /// Reads a column of the header whose values begin `at` bytes into a record. `bits` counts the bits for NULL of the
    /// columns so far. `Err` says what is wrong.
    pub(super) fn new(bytes: &[u8], version: u8, at: usize, bits: &mut usize) -> Result<Self, String> {
        let name = bytes[..11].split(|byte| *byte == 0).next().unwrap_or_default();
        let name: String = String::from_utf8_lossy(name).trim().to_owned();
        let kind = Kind::of(bytes[11], version);
        let length = match kind {
            // A long text has its length in both bytes.
            Kind::Text => usize::from(u16::from_le_bytes([bytes[16], bytes[17]])),
            _ => bytes[16].into(),
        };
        let needed = match kind {
            Kind::Date | Kind::Double | Kind::Currency | Kind::Moment => Some(8),
            Kind::Integer => Some(4),
            Kind::Logical => Some(1),
            _ => None,
        };
        if !Kind::LETTERS.contains(&bytes[11]) {
            return Err(format!(
                "its column {name:?} has a type that there is not, {:#04x}",
                bytes[11]
            ));
        }
        if length == 0 || needed.is_some_and(|needed| needed != length) {
            return Err(format!(
                "its column {name:?} of type {} has {length} bytes",
                char::from(bytes[11])
            ));
        }
        let is_of_foxpro = matches!(version, 0x30..=0x32);
        // Texts of varying length have a bit of their own before.
        *bits += usize::from(is_of_foxpro && matches!(bytes[11], b'V' | b'Q'));
        let is_nullable = is_of_foxpro && bytes[18] & 2 != 0;
        let null_bit = is_nullable.then_some(*bits);
        *bits += usize::from(is_nullable);
        Ok(Self {
            name,
            kind,
            at,
            length,
            null_bit,
        })
    }

    /// Adds what its bytes say to a record.
    pub(super) fn read(&self, bytes: &[u8], page: &Page, record: &mut Record) {
        let text = || {
            String::from_utf8_lossy(bytes)
                .trim_matches(['\0', ' '])
                .to_owned()
        };
        match self.kind {
            Kind::Text => record.cell(page.decode(bytes).trim_end_matches(['\0', ' ']), Typed::Text),
            Kind::Number => match tables::number(&text()) {
                Some(number) => record.cell(&number, Typed::Number),
                // Asterisks stand for a number that was too long.
                None => record.cell(&text(), Typed::Text),
            },
            Kind::Date => match date(&text()) {
                Some(date) => record.cell(&date, Typed::Date),
                None => record.cell(&text(), Typed::Text),
            },
            Kind::Logical => record.cell(
                match bytes[0] {
                    b'T' | b't' | b'Y' | b'y' => "T",
                    b'F' | b'f' | b'N' | b'n' => "F",
                    _ => "",
                },
                Typed::Text,
            ),
            Kind::Integer => record.cell(&i32::from_le_bytes(array(bytes)).to_string(), Typed::Number),
            Kind::Double => record.float(f64::from_le_bytes(array(bytes))),
            Kind::Currency => {
                let number = tables::decimal_of(i64::from_le_bytes(array(bytes)).into(), 4);
                record.cell(&number, Typed::Number);
            }
            Kind::Moment => {
                let [day, milliseconds] = [array(bytes), array(&bytes[4..])].map(i32::from_le_bytes);
                if day == 0 || bytes.iter().all(|byte| *byte == b' ') {
                    return record.cell("", Typed::Text);
                }
                record.moment(i64::from(day) - UNIX_DAY, i64::from(milliseconds) / 1000);
            }
            Kind::NullBits | Kind::Unread(_) => record.cell("", Typed::Text),
        }
    }
}

/// Returns the first bytes as an array. The header was checked for their number.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

/// Writes a date of eight digits with its marks.
fn date(text: &str) -> Option<String> {
    let are_digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))
}
