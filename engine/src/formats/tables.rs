//! What the formats of tables have in common: cells with types, and the code pages of their texts.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::json::decimal;
use super::record::Record;
use crate::date::{DAYS, from_days};
use crate::fields::Typed;
use crate::layout::Charset;
use crate::text::Dos;

/// The longest text of a number that is written without an exponent: no amount has so many digits.
const LONGEST_NUMBER: usize = 40;

impl Record {
    /// Adds a cell. Its text becomes part of the record's text too, behind a tab.
    pub(super) fn cell(&mut self, text: &str, typed: Typed) {
        if self.fields.len() > 0 {
            self.text.push(b'\t');
        }
        let is_plain = |byte: &u8| !matches!(byte, b'\t' | b'\r' | b'\n');
        if text.bytes().all(|byte| is_plain(&byte)) {
            self.text.extend_from_slice(text.as_bytes());
        } else {
            let plain = text.bytes().map(|byte| if is_plain(&byte) { byte } else { b' ' });
            self.text.extend(plain);
        }
        self.fields.extend(text.as_bytes());
        self.fields.end_cell(typed);
    }

    /// Adds a floating-point number: its shortest decimal text.
    pub(super) fn float(&mut self, number: f64) {
        self.float_text(number.is_finite(), &number.to_string(), || format!("{number:e}"));
    }

    /// Adds the same of single precision.
    pub(super) fn single(&mut self, number: f32) {
        self.float_text(number.is_finite(), &number.to_string(), || format!("{number:e}"));
    }

    fn float_text(&mut self, is_finite: bool, text: &str, exponent: impl Fn() -> String) {
        match is_finite {
            true if text.len() <= LONGEST_NUMBER => self.cell(text, Typed::Number),
            true => self.cell(&exponent(), Typed::Number),
            false => self.cell(text, Typed::Error),
        }
    }

    /// Adds a day, given as days since 1970-01-01.
    pub(super) fn day(&mut self, day: i64) {
        match civil(day) {
            Some(day) => self.cell(&day, Typed::Date),
            None => self.cell(&format!("day {day}"), Typed::Error),
        }
    }

    /// Adds a moment: a day, and the seconds since its beginning.
    pub(super) fn moment(&mut self, day: i64, second: i64) {
        let (day, second) = (day + second.div_euclid(86_400), second.rem_euclid(86_400));
        let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        match civil(day) {
            Some(day) => self.cell(&format!("{day} {time}"), Typed::Date),
            None => self.cell(&format!("day {day} {time}"), Typed::Error),
        }
    }
}

/// Writes a day as `2016-06-01`, if it is one of the years 1 to 9999.
fn civil(day: i64) -> Option<String> {
    let day = i32::try_from(day).ok().filter(|day| DAYS.contains(day))?;
    Some(from_days(day).to_string())
}

/// Writes a number that is given as text with as few digits as it has. `None` if the text is no number.
pub(super) fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !(whole.is_empty() && places.is_empty())
        && are_digits(whole)
        && are_digits(places)
        && exponent.parse::<i32>().is_ok();
    is_number.then(|| decimal(&format!("{sign}{whole}.{places}e{exponent}")))
}

/// Writes a number that is given as a whole number of parts, with as few digits as it has.
pub(crate) fn decimal_of(parts: i128, places: i8) -> String {
    decimal(&format!("{parts}e{}", -i16::from(places)))
}

/// What the bytes of a text stand for.
pub(super) enum Page {
    Encoding(&'static Encoding),
    Dos(Box<[char; 256]>),
}

impl Page {
    /// Finds the page of a table of dBASE: that of the settings, or that of its mark. `Err` is why it has none.
    pub(super) fn of_table(charset: Option<Charset>, mark: u8) -> Result<Self, String> {
        match charset {
            Some(Charset::Text(encoding)) => return Ok(Self::Encoding(encoding)),
            Some(Charset::Dos(dos)) => return Ok(Self::Dos(Box::new(dos.table()))),
            Some(Charset::Ebcdic(ebcdic)) => return Ok(Self::Dos(Box::new(ebcdic.characters()))),
            None => {}
        }
        let dos = match mark {
            0x01 | 0x09 | 0x0B | 0x0D | 0x0F | 0x11 | 0x15 | 0x18 | 0x19 | 0x1B => 437,
            0x02 | 0x0A | 0x0E | 0x10 | 0x12 | 0x14 | 0x16 | 0x1A | 0x1D | 0x25 | 0x37 => 850,
            0x1F | 0x22 | 0x23 | 0x40 | 0x64 | 0x87 => 852,
            0x6B | 0x88 => 857,
            0x24 => 860,
            0x67 => 861,
            0x1C | 0x6C => 863,
            0x08 | 0x17 | 0x66 => 865,
            0x6A | 0x86 => 737,
            _ => 0,
        };
        if let Some(dos) = Dos::numbered(dos) {
            return Ok(Self::Dos(Box::new(dos.table())));
        }
        let label = match mark {
            0x00 | 0xF0 => return Ok(Self::Encoding(UTF_8)),
            0x03 | 0x57..=0x59 => "windows-1252",
            0x04 => "macintosh",
            0x13 | 0x7B => "shift_jis",
            0x26 | 0x65 => "ibm866",
            0x4D | 0x7A => "gbk",
            0x4E | 0x79 => "euc-kr",
            0x4F | 0x78 => "big5",
            0x50 | 0x7C => "windows-874",
            0x7D => "windows-1255",
            0x7E => "windows-1256",
            0x96 => "x-mac-cyrillic",
            0xC8 => "windows-1250",
            0xC9 => "windows-1251",
            0xCA => "windows-1254",
            0xCB => "windows-1253",
            0xCC => "windows-1257",
            _ => "",
        };
        let page = Encoding::for_label(label.as_bytes()).map(Self::Encoding);
        page.ok_or_else(|| {
            format!("its header has the mark {mark:#04x} of a code page that is not known: say which one it is with encoding")
        })
    }

    /// Decodes a text. What stands for no character becomes the replacement character.
    pub(super) fn decode<'t>(&self, bytes: &'t [u8]) -> Cow<'t, str> {
        if bytes.is_ascii() {
            return String::from_utf8_lossy(bytes);
        }
        match self {
            Self::Encoding(encoding) => encoding.decode_without_bom_handling(bytes).0,
            Self::Dos(characters) => bytes.iter().map(|byte| characters[usize::from(*byte)]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_few_digits_as_they_need() {
        for (text, expected) in [
            ("2.50", "2.5"),
            ("-0.50", "-0.5"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("+7", "7"),
            ("123.00", "123"),
            ("1.5E+2", "150"),
            ("5.", "5"),
        ] {
            assert_eq!(number(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "****", "12,50", "1e", "x", "- 1", "1 2"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(
            (decimal_of(-12_345, 4), decimal_of(25, -2)),
            ("-1.2345".to_owned(), "2500".to_owned())
        );
    }

    #[test]
    fn cells_become_fields_and_a_text_that_people_can_read() {
        let mut record = Record::default();
        record.cell("a\tb", Typed::Text);
        record.float(0.1 + 0.2);
        record.float(2.5);
        record.float(f64::NAN);
        record.single(0.1);
        record.moment(0, 90_000);
        record.day(-1);
        record.day(i64::MAX);
        assert_eq!(
            String::from_utf8_lossy(&record.text),
            "a b\t0.30000000000000004\t2.5\tNaN\t0.1\t1970-01-02 01:00:00\t1969-12-31\tday 9223372036854775807"
        );
        let typed = |at| record.fields.typed(at);
        assert_eq!(record.fields.get(0), Some(&b"a\tb"[..]));
        assert_eq!(
            [typed(0), typed(1), typed(3), typed(5), typed(7), typed(8)],
            [
                Typed::Text,
                Typed::Number,
                Typed::Error,
                Typed::Date,
                Typed::Error,
                Typed::Text
            ]
        );
    }
}
