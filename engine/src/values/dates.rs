//! Dates as tills write them: parts in any order, of one or two digits, months by name, and a time of day behind.

use super::{Problem, ValuesSpec, without_blanks};
use crate::date::{DAYS, days};

/// The forms of dates, and when a business day begins.
#[derive(Clone, Debug)]
pub struct DateRule {
    forms: Vec<DateForm>,
    /// Minutes after midnight.
    day_begins: u32,
}

/// One form of dates.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DateForm(Vec<Piece>);

/// A piece of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Specifier {
        specifier: Specifier,
        /// Whether the piece before or behind is a number too, so that all digits must be there.
        is_fixed: bool,
    },
    /// One blank or more.
    Blank,
    Literal(char),
}

/// What a piece says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Specifier {
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Hour,
    Hour12,
    Minute,
    Second,
    AmPm,
    Zone,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl DateRule {
    /// Checks the forms. `has_times` says that dates have a time of day whatever their form.
    pub fn new(spec: &ValuesSpec, has_times: bool) -> Result<Self, Problem> {
        let usual = ["%Y-%m-%d".to_owned()];
        let written = spec.dates.as_deref().unwrap_or(&usual);
        let fail = |problem| ("values.dates", problem);
        if written.is_empty() {
            return Err(fail("is empty: write a form such as \"%Y-%m-%d\"".to_owned()));
        }
        let forms: Vec<_> = written
            .iter()
            .map(|text| {
                DateForm::parse(text).map_err(|problem| fail(format!("has {text:?}, which {problem}")))
            })
            .collect::<Result<_, _>>()?;
        for (at, one) in forms.iter().enumerate() {
            for (behind, other) in forms.iter().enumerate().skip(at + 1) {
                if let Some(text) = one
                    .read_otherwise_by(other)
                    .or_else(|| other.read_otherwise_by(one))
                {
                    let (one, other) = (&written[at], &written[behind]);
                    return Err(fail(format!(
                        "has {one:?} and {other:?}, which read {text} as different days: leave one of them out, or give \
                         the files of each a profile of their own"
                    )));
                }
            }
        }
        let day_begins = match spec.day_begins.as_deref() {
            None => 0,
            Some(text) => time_of_day(text).ok_or_else(|| {
                (
                    "values.day_begins",
                    format!("is {text:?}: write a time of day such as \"04:00\""),
                )
            })?,
        };
        if day_begins > 0 && !has_times && !forms.iter().any(DateForm::has_time) {
            let problem = "needs a time of day in values.dates, such as \"%Y-%m-%d %H:%M\"";
            return Err(("values.day_begins", problem.into()));
        }
        Ok(Self { forms, day_begins })
    }

    /// Returns the day number of a date. `None` if no form reads it, or if it is no day of the years 1 to 9999.
    pub fn read(&self, text: &[u8]) -> Option<i32> {
        let (day, minute) = self.day_and_minute(without_blanks(std::str::from_utf8(text).ok()?))?;
        self.business_day(day, minute)
    }

    /// Reads a day such as `2016-06-01`, with a time behind it or without, which needs no form.
    pub(crate) fn read_typed(&self, text: &[u8]) -> Option<i32> {
        let text = std::str::from_utf8(text).ok()?;
        let (day, time) = text.split_once(' ').unwrap_or((text, ""));
        let mut numbers = day.splitn(3, '-').map(|number| number.parse().ok());
        let day = days(numbers.next()??, numbers.next()??, numbers.next()??)?;
        self.business_day(day, time.get(..5).and_then(time_of_day))
    }

    /// Returns the day to which a moment belongs.
    pub(crate) fn business_day(&self, day: i32, minute: Option<u32>) -> Option<i32> {
        let is_of_day_before = minute.is_some_and(|minute| minute < self.day_begins);
        let day = day - i32::from(is_of_day_before);
        DAYS.contains(&day).then_some(day)
    }

    /// Returns the calendar day of a date and, if it has a time of day, the minutes since midnight.
    pub fn day_and_minute(&self, text: &str) -> Option<(i32, Option<u32>)> {
        self.forms.iter().find_map(|form| form.read(text))
    }
}

fn time_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|number: &u32| is_number && *number <= most)
    };
    Some(number(hour, 23)? * 60 + number(minute, 59)?)
}

impl Specifier {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'Y' => Self::Year,
            'y' => Self::ShortYear,
            'm' => Self::Month,
            'b' => Self::MonthName,
            'd' => Self::Day,
            'j' => Self::DayOfYear,
            'H' => Self::Hour,
            'I' => Self::Hour12,
            'M' => Self::Minute,
            'S' => Self::Second,
            'p' => Self::AmPm,
            'z' => Self::Zone,
            _ => return None,
        })
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::MonthName | Self::AmPm | Self::Zone)
    }

    /// Returns the least and the greatest number of digits.
    fn digits(self, is_fixed: bool) -> (usize, usize) {
        match self {
            Self::Year => (4, 4),
            Self::ShortYear => (2, 2),
            Self::DayOfYear if is_fixed => (3, 3),
            Self::DayOfYear => (1, 3),
            _ if is_fixed => (2, 2),
            _ => (1, 2),
        }
    }
}

impl DateForm {
    fn parse(text: &str) -> Result<Self, String> {
        let help = || {
            "cannot be used: it may have %Y or %y, %m or %b, %d, or %j in place of month and day, and a time behind \
             (%H or %I and %p, %M, %S, %z), each once"
                .to_owned()
        };
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            pieces.push(match c {
                '%' => Piece::Specifier {
                    specifier: rest.next().and_then(Specifier::of).ok_or_else(help)?,
                    is_fixed: false,
                },
                ' ' => Piece::Blank,
                c if c.is_control() || c.is_ascii_digit() => return Err(help()),
                c => Piece::Literal(c),
            });
        }
        let is_number = |piece: Option<&Piece>| matches!(piece, Some(Piece::Specifier { specifier, .. }) if specifier.is_number());
        let fixed: Vec<bool> = (0..pieces.len())
            .map(|at| {
                is_number(at.checked_sub(1).and_then(|at| pieces.get(at))) || is_number(pieces.get(at + 1))
            })
            .collect();
        for (piece, fixed) in pieces.iter_mut().zip(fixed) {
            if let Piece::Specifier { is_fixed, .. } = piece {
                *is_fixed = fixed;
            }
        }
        let form = Self(pieces);
        let count = |wanted: &[Specifier]| {
            form.specifiers()
                .filter(|specifier| wanted.contains(specifier))
                .count()
        };
        let is_date = count(&[Specifier::Year, Specifier::ShortYear]) == 1
            && match count(&[Specifier::DayOfYear]) {
                0 => count(&[Specifier::Month, Specifier::MonthName]) == 1 && count(&[Specifier::Day]) == 1,
                1 => count(&[Specifier::Month, Specifier::MonthName, Specifier::Day]) == 0,
                _ => false,
            };
        let hours = count(&[Specifier::Hour, Specifier::Hour12]);
        let is_time = [
            Specifier::Minute,
            Specifier::Second,
            Specifier::AmPm,
            Specifier::Zone,
        ]
        .map(|specifier| count(&[specifier]));
        let [minutes, seconds, am_pm, zones] = is_time;
        let is_time = hours <= 1
            && minutes <= hours
            && seconds <= minutes
            && zones <= hours
            && am_pm == count(&[Specifier::Hour12]);
        if is_date && is_time { Ok(form) } else { Err(help()) }
    }

    fn specifiers(&self) -> impl Iterator<Item = Specifier> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Specifier { specifier, .. } => Some(*specifier),
            _ => None,
        })
    }

    fn has_time(&self) -> bool {
        self.specifiers()
            .any(|specifier| matches!(specifier, Specifier::Hour | Specifier::Hour12))
    }

    /// Returns the day number of a date and, if the form has a time of day, the minutes since midnight.
    fn read(&self, text: &str) -> Option<(i32, Option<u32>)> {
        let mut read = Read::default();
        let mut rest = text;
        for piece in &self.0 {
            rest = match piece {
                Piece::Specifier { specifier, is_fixed } => read.specifier(*specifier, *is_fixed, rest)?,
                Piece::Blank => {
                    let behind = rest.trim_start_matches(' ');
                    if behind.len() == rest.len() {
                        return None;
                    }
                    behind
                }
                Piece::Literal(c) => rest.strip_prefix(*c)?,
            };
        }
        if !rest.is_empty() {
            return None;
        }
        let day = match read.day_of_year {
            Some(day) => {
                let first = days(read.year, 1, 1)?;
                let last = days(read.year, 12, 31)?;
                let day = first + i32::try_from(day).ok()? - 1;
                (first..=last).contains(&day).then_some(day)?
            }
            None => days(read.year, read.month, read.day)?,
        };
        Some((day, read.minutes()?))
    }

    /// Returns a text that this form writes, and that another one reads as another day.
    fn read_otherwise_by(&self, other: &Self) -> Option<String> {
        // In these years, every part of a date can be taken for every other one.
        let years = [2003, 2012];
        let all = years
            .into_iter()
            .flat_map(|year| (1..=12).map(move |month| (year, month)));
        for (year, month) in all {
            for day in 1..=31 {
                let Some(number) = days(year, month, day) else {
                    continue;
                };
                for is_padded in [true, false] {
                    let text = self.write((year, month, day), number, is_padded);
                    if other.read(&text).is_some_and(|(read, _)| read != number) {
                        return Some(text);
                    }
                }
            }
        }
        None
    }

    /// Writes a day as this form does, with a time in the afternoon.
    fn write(&self, (year, month, day): (u32, u32, u32), number: i32, is_padded: bool) -> String {
        let day_of_year = days(year, 1, 1).map_or(0, |first| (number - first + 1).unsigned_abs());
        let mut text = String::new();
        for piece in &self.0 {
            let (specifier, is_fixed) = match piece {
                Piece::Specifier { specifier, is_fixed } => (*specifier, *is_fixed),
                Piece::Blank => {
                    text.push(' ');
                    continue;
                }
                Piece::Literal(c) => {
                    text.push(*c);
                    continue;
                }
            };
            let value = match specifier {
                Specifier::Year => year,
                Specifier::ShortYear => year % 100,
                Specifier::Month => month,
                Specifier::Day => day,
                Specifier::DayOfYear => day_of_year,
                Specifier::Hour => 14,
                Specifier::Hour12 => 2,
                Specifier::Minute => 33,
                Specifier::Second => 7,
                Specifier::MonthName => {
                    text.push_str(&MONTHS[month as usize - 1][..3]);
                    continue;
                }
                Specifier::AmPm => {
                    text.push_str("PM");
                    continue;
                }
                Specifier::Zone => {
                    text.push('Z');
                    continue;
                }
            };
            let (least, most) = specifier.digits(is_fixed);
            let width = if is_padded { most } else { least };
            text.push_str(&format!("{value:0width$}"));
        }
        text
    }
}

/// The parts of a date that have been read.
#[derive(Default)]
struct Read {
    year: u32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: Option<u32>,
    minute: u32,
    is_afternoon: Option<bool>,
}

impl Read {
    /// Reads one specifier, and returns what follows it.
    fn specifier<'t>(&mut self, specifier: Specifier, is_fixed: bool, text: &'t str) -> Option<&'t str> {
        match specifier {
            Specifier::MonthName => {
                let (month, rest) = month_by_name(text)?;
                self.month = month;
                return Some(rest);
            }
            Specifier::AmPm => {
                let (word, rest) = text.split_at_checked(2)?;
                self.is_afternoon = Some(word.eq_ignore_ascii_case("PM"));
                return (word.eq_ignore_ascii_case("AM") || self.is_afternoon == Some(true)).then_some(rest);
            }
            Specifier::Zone => return without_zone(text),
            _ => {}
        }
        let (least, most) = specifier.digits(is_fixed);
        let found = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if found < least {
            return None;
        }
        let (digits, rest) = text.split_at(found);
        let value: u32 = digits.parse().ok()?;
        match specifier {
            Specifier::Year => self.year = value,
            Specifier::ShortYear => self.year = value + if value < 69 { 2000 } else { 1900 },
            Specifier::Month => self.month = value,
            Specifier::Day => self.day = value,
            Specifier::DayOfYear => self.day_of_year = Some(value),
            Specifier::Hour => self.hour = Some(value).filter(|hour| *hour < 24),
            Specifier::Hour12 => self.hour = Some(value).filter(|hour| (1..=12).contains(hour)),
            Specifier::Minute => self.minute = value,
            Specifier::Second => {
                // A leap second, and parts of a second.
                let fraction = rest.strip_prefix('.').unwrap_or(rest);
                let rest = match fraction.len() < rest.len() {
                    true => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
                    false => rest,
                };
                return (value <= 60).then_some(rest);
            }
            Specifier::MonthName | Specifier::AmPm | Specifier::Zone => {}
        }
        let is_time = !matches!(specifier, Specifier::Hour | Specifier::Hour12) || self.hour.is_some();
        (is_time && self.minute < 60).then_some(rest)
    }

    /// Returns the minutes since midnight, if there is a time: `Some(None)` if there is none.
    #[allow(clippy::option_option, reason = "no time is not a wrong time")]
    fn minutes(&self) -> Option<Option<u32>> {
        let hour = match (self.hour, self.is_afternoon) {
            (None, _) => return Some(None),
            (Some(hour), None) => hour,
            (Some(hour), Some(is_afternoon)) => hour % 12 + if is_afternoon { 12 } else { 0 },
        };
        Some(Some(hour * 60 + self.minute))
    }
}

/// Reads the English name of a month, whole or its first three letters.
fn month_by_name(text: &str) -> Option<(u32, &str)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, rest) = text.split_at(letters);
    let is_name = |month: &&str| name.eq_ignore_ascii_case(month) || name.eq_ignore_ascii_case(&month[..3]);
    let month = MONTHS.iter().position(is_name)?;
    Some((month as u32 + 1, rest))
}

/// Takes a time zone off: `Z`, `+02`, `+0200`, `+02:00`. The time before it is the store's own.
fn without_zone(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some(rest);
    }
    let digits = |text: &str| text.bytes().take(2).take_while(u8::is_ascii_digit).count() == 2;
    let rest = text.strip_prefix(['+', '-'])?;
    if !digits(rest) {
        return None;
    }
    let hours = &rest[2..];
    let minutes = hours.strip_prefix(':').unwrap_or(hours);
    Some(if digits(minutes) { &minutes[2..] } else { hours })
}

#[cfg(test)]
#[path = "dates_tests.rs"]
mod tests;
