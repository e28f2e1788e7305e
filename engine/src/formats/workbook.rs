//! Workbooks: xlsx and ods, which are zip archives of XML and are read row by row, and xlsb and xls, whose binary records
//! the crate calamine knows.
//!
//! A record is a row of one sheet, with the number that it has there: rows that a workbook leaves out are blank records.

mod binary;
mod cfb;
mod ods;
mod package;
mod xlsx;

use std::io;

use self::package::{Package, damaged};
use super::Reading;
use super::lines::Ending;
use super::record::{Record, Records, unreadable};
use super::spool::Spool;
use crate::error::EngineError;
use crate::fields::Typed;
use crate::layout::{MOST_COLUMNS, SheetSpec};

/// The most rows of a sheet.
const MOST_ROWS: u32 = 1 << 20;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    /// Days since 1970-01-01 and, if there is a time of day, the seconds.
    Date(i64, Option<i64>),
    Error(String),
}

/// A row of a sheet: its number, from 0, and its filled cells with their columns, from 0, in their order.
#[derive(Debug, Default)]
struct Row {
    number: u32,
    cells: Vec<(usize, Value)>,
}

/// Gives the rows of a sheet that have cells, in their order.
trait Rows {
    /// Reads the next row. Returns `false` at the end.
    fn next(&mut self, row: &mut Row) -> io::Result<bool>;
}

/// Has the rows of a sheet read.
pub(super) fn open<T>(
    spool: &Spool,
    sheet: Option<&SheetSpec>,
    reading: impl Reading<T>,
) -> Result<T, EngineError> {
    let beginning = spool.beginning(8).map_err(EngineError::Read)?;
    match &beginning[..] {
        [] => Err(EngineError::Read(unreadable("it is empty".into()))),
        [b'P', b'K', 3, 4, ..] => open_zip(spool, sheet, reading),
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" => {
            let rows = binary::xls(spool, sheet).map_err(EngineError::Read)?;
            reading.read(Box::new(SheetRecords::new(rows)))
        }
        _ => Err(EngineError::Read(unreadable(
            "it is no workbook (xlsx, xls, xlsb or ods), which format = \"xlsx\" reads".into(),
        ))),
    }
}

fn open_zip<T>(spool: &Spool, sheet: Option<&SheetSpec>, reading: impl Reading<T>) -> Result<T, EngineError> {
    let mut package = Package::open(spool).map_err(EngineError::Read)?;
    if package.has("content.xml") && package.has("mimetype") {
        let rows = ods::SheetRows::open(&mut package, sheet).map_err(EngineError::Read)?;
        return reading.read(Box::new(SheetRecords::new(rows)));
    }
    if package.has("xl/workbook.bin") {
        binary::check_xlsb(&mut package).map_err(EngineError::Read)?;
        let mut book = binary::Xlsb::open(spool).map_err(EngineError::Read)?;
        let rows = book.rows(sheet).map_err(EngineError::Read)?;
        return reading.read(Box::new(SheetRecords::new(rows)));
    }
    let book = xlsx::Book::read(&mut package, sheet).map_err(EngineError::Read)?;
    let rows = xlsx::SheetRows::open(&mut package, &book).map_err(EngineError::Read)?;
    reading.read(Box::new(SheetRecords::new(rows)))
}

/// Finds the sheet that the settings name among those of a workbook.
fn find_sheet<S: AsRef<str>>(sheets: &[S], wanted: Option<&SheetSpec>) -> io::Result<usize> {
    let found = match wanted {
        None => (!sheets.is_empty()).then_some(0),
        Some(SheetSpec::Number(number)) => (1..=sheets.len()).contains(number).then(|| number - 1),
        Some(SheetSpec::Name(name)) => {
            let is_named = |sheet: &S| sheet.as_ref().trim().eq_ignore_ascii_case(name.trim());
            let exact = sheets.iter().position(|sheet| sheet.as_ref() == name);
            exact.or_else(|| sheets.iter().position(is_named))
        }
    };
    found.ok_or_else(|| {
        let names: Vec<_> = sheets
            .iter()
            .take(20)
            .map(|sheet| format!("{:?}", sheet.as_ref()))
            .collect();
        let wanted = match wanted {
            None => "no sheet with cells".to_owned(),
            Some(SheetSpec::Number(number)) => format!("no sheet {number}"),
            Some(SheetSpec::Name(name)) => format!("no sheet {name:?}"),
        };
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        unreadable(format!(
            "the workbook has {wanted}; its sheets are {names}: name one with sheet"
        ))
    })
}

/// Finds the column that the letters of a cell's name stand for, from 0.
fn column(letters: &str) -> Option<usize> {
    let letter = |at: usize, letter: u8| {
        Some(at * 26 + usize::from(letter.to_ascii_uppercase().checked_sub(b'A')?) + 1)
    };
    let is_name = (1..=3).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters
        .bytes()
        .filter(|_| is_name)
        .try_fold(0, letter)?
        .checked_sub(1)
}

/// Checks that a cell may stand in a column.
fn check_column(column: usize, row: u32) -> io::Result<()> {
    if column < MOST_COLUMNS {
        return Ok(());
    }
    Err(unreadable(format!(
        "row {} of its sheet has a cell in column {}, beyond the {MOST_COLUMNS} columns that are read",
        row + 1,
        column + 1
    )))
}

/// The rows of a sheet as records.
struct SheetRecords<R> {
    rows: R,
    /// The row that was read last, until its record was given out.
    row: Row,
    has_row: bool,
    /// The number of the next record, from 0.
    number: u32,
    /// The most cells of a row so far: a row that ends before has empty ones.
    width: usize,
}

impl<R: Rows> SheetRecords<R> {
    fn new(rows: R) -> Self {
        Self {
            rows,
            row: Row::default(),
            has_row: false,
            number: 0,
            width: 0,
        }
    }
}

impl<R: Rows> Records for SheetRecords<R> {
    fn select(&mut self, positions: Option<&[usize]>) -> io::Result<()> {
        let last = positions.unwrap_or_default().iter().max();
        self.width = last.map_or(0, |last| last + 1);
        Ok(())
    }

    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        if !self.has_row {
            self.row.cells.clear();
            self.has_row = self.rows.next(&mut self.row)?;
            if !self.has_row {
                return Ok(false);
            }
            if self.row.number < self.number || self.row.number >= MOST_ROWS {
                return Err(damaged(&format!(
                    "row {} stands behind row {}",
                    u64::from(self.row.number) + 1,
                    self.number
                )));
            }
        }
        self.number += 1;
        if self.row.number >= self.number {
            // The workbook leaves this row out.
            return Ok(true);
        }
        self.has_row = false;
        let mut cells = self.row.cells.iter().peekable();
        while let Some((column, _)) = cells.peek() {
            let at = record.fields.len();
            if *column != at {
                record.cell("", Typed::Text);
                continue;
            }
            match cells.next() {
                Some((_, Value::Text(text))) => record.cell(text, Typed::Text),
                Some((_, Value::Number(number))) => record.float(*number),
                Some((_, Value::Date(day, None))) => record.day(*day),
                Some((_, Value::Date(day, Some(second)))) => record.moment(*day, *second),
                Some((_, Value::Error(text))) => record.cell(text, Typed::Error),
                None => {}
            }
        }
        self.width = self.width.max(record.fields.len());
        while record.fields.len() < self.width {
            record.fields.end_cell(Typed::Text);
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

/// Returns the day and the time of a serial number of Excel. `None` if it is none: a time without a day, or the 29th of
/// February 1900, which there was not.
fn of_serial(serial: f64, is_1904: bool) -> Option<Value> {
    const LAST: f64 = 2_958_466.0;
    if !(0.0..LAST).contains(&serial) || (serial < 1.0 && !is_1904) {
        return None;
    }
    let (whole, part) = (serial.floor() as i64, serial.fract());
    let day = match (is_1904, whole) {
        (true, whole) => whole - 24_107,
        (false, 60) => return None,
        (false, ..60) => whole - 25_568,
        (false, whole) => whole - 25_569,
    };
    let second = (part * 86_400.0).round() as i64;
    Some(match second {
        0 => Value::Date(day, None),
        86_400 => Value::Date(day + 1, None),
        second => Value::Date(day, Some(second)),
    })
}

/// Returns the day and the time of a text such as `2016-06-01T10:00:00`.
fn of_iso(text: &str) -> Option<Value> {
    let (day, time) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = day.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let day = crate::date::days(parts.next()??, parts.next()??, parts.next()??)?.into();
    if time.is_empty() {
        return Some(Value::Date(day, None));
    }
    let mut parts = time.splitn(3, ':').map(|part| part.get(..2)?.parse::<i64>().ok());
    let (hour, minute, second) = (
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    );
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then_some(Value::Date(day, Some(hour * 3600 + minute * 60 + second)))
}

#[cfg(test)]
#[path = "workbook/tests.rs"]
mod tests;
