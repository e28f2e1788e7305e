//! Calendar days as 32-bit day numbers since 1970-01-01, which Arrow calls Date32.

use std::ops::RangeInclusive;

use jiff::civil::Date;

/// The days of the years 1 to 9999.
pub(crate) const DAYS: RangeInclusive<i32> = -719_162..=2_932_896;

/// One piece of a date format: a number of fixed width, or a literal byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Year,
    Month,
    Day,
    Literal(u8),
}

/// A date format of fixed width, made of `%Y`, `%m`, `%d` (each once) and literal ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormat {
    pieces: Vec<Piece>,
}

/// A text that is not a date format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a date format: use %Y, %m and %d once each, with only ASCII text between them")]
pub struct DateFormatError(String);

impl DateFormat {
    /// Parses a format such as `%Y-%m-%d` or `%d/%m/%Y`.
    pub fn parse(text: &str) -> Result<Self, DateFormatError> {
        let fail = || DateFormatError(text.to_owned());
        let mut pieces = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            pieces.push(match byte {
                b'%' => match bytes.next() {
                    Some(b'Y') => Piece::Year,
                    Some(b'm') => Piece::Month,
                    Some(b'd') => Piece::Day,
                    _ => return Err(fail()),
                },
                other if other.is_ascii_graphic() || other == b' ' => Piece::Literal(other),
                _ => return Err(fail()),
            });
        }
        let once = |piece| pieces.iter().filter(|p| **p == piece).count() == 1;
        if once(Piece::Year) && once(Piece::Month) && once(Piece::Day) {
            Ok(Self { pieces })
        } else {
            Err(fail())
        }
    }

    /// Returns the day number of a date, or `None` if the text has another format or is not a calendar day of the years
    /// 1 to 9999.
    pub fn parse_days(&self, text: &[u8]) -> Option<i32> {
        let (mut year, mut month, mut day) = (0, 0, 0);
        let mut rest = text;
        for piece in &self.pieces {
            match piece {
                Piece::Year => (year, rest) = number(rest, 4)?,
                Piece::Month => (month, rest) = number(rest, 2)?,
                Piece::Day => (day, rest) = number(rest, 2)?,
                Piece::Literal(byte) => rest = rest.strip_prefix(std::slice::from_ref(byte))?,
            }
        }
        if rest.is_empty() {
            days(year, month, day)
        } else {
            None
        }
    }

    /// Returns a regex that matches texts of this width and shape.
    pub(crate) fn regex_source(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Year => r"\d{4}".to_owned(),
                Piece::Month | Piece::Day => r"\d{2}".to_owned(),
                Piece::Literal(byte) => regex::escape(&char::from(*byte).to_string()),
            })
            .collect()
    }
}

/// Reads a number of exactly `width` ASCII digits.
fn number(text: &[u8], width: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(width)?;
    let mut value = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some((value, rest))
}

/// Returns the day number of a civil date. It counts from 0000-03-01, so that the leap day comes last in its year.
pub(crate) fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    Some(days as i32 - 719_468)
}

/// Returns the day number of a civil date of the years 1 to 9999: days since 1970-01-01.
pub fn day_number(date: Date) -> i32 {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let number = days(
        year.unsigned_abs().into(),
        month.unsigned_abs().into(),
        day.unsigned_abs().into(),
    );
    number.unwrap_or(*DAYS.start())
}

/// Returns the civil date of a day number. Day numbers come from [`DateFormat::parse_days`] or from Parquet that this
/// crate wrote, so they lie in the years 1 to 9999.
pub fn from_days(days: i32) -> Date {
    jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(i64::from(days)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_calendar_library() {
        let iso = DateFormat::parse("%Y-%m-%d").unwrap();
        let mut date = jiff::civil::date(1, 1, 1);
        let mut expected = -719_162;
        // Every day of three centuries, and elsewhere a step that reaches every day of the year.
        loop {
            assert_eq!(
                iso.parse_days(date.to_string().as_bytes()),
                Some(expected),
                "{date}"
            );
            assert_eq!(from_days(expected), date);
            assert_eq!(day_number(date), expected);
            let step = if (1850..2150).contains(&date.year()) {
                1
            } else {
                19
            };
            let Ok(next) = date.checked_add(jiff::Span::new().days(step)) else {
                break;
            };
            date = next;
            expected += step as i32;
        }
    }

    #[test]
    fn invalid_days_are_rejected() {
        let iso = DateFormat::parse("%Y-%m-%d").unwrap();
        for bad in [
            "",
            "2016-6-1",
            "2016-02-30",
            "2015-02-29",
            "1900-02-29",
            "2016-13-01",
            "2016-00-10",
            "2016-01-00",
            "0000-01-01",
            "2016-06-01 ",
            "2016/06/01",
            "x016-06-01",
            "2016-06-011",
        ] {
            assert_eq!(iso.parse_days(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn other_formats() {
        let days = |format: &str, text: &str| DateFormat::parse(format).unwrap().parse_days(text.as_bytes());
        assert_eq!(days("%Y%m%d", "20160601"), Some(16_953));
        assert_eq!(days("%d/%m/%Y", "01/06/2016"), Some(16_953));
        for bad in ["", "%Y-%m", "%Y-%m-%d-%d", "%y%m%d", "%Y%m%d%H", "%Y–%m–%d", "%"] {
            assert!(DateFormat::parse(bad).is_err(), "{bad}");
        }
    }
}
