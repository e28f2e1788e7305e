//! Workbooks as xlsb and xls, which the crate calamine reads.
//!
//! It takes the memory that a file says it needs, and gives up where a record is not as it should be. So what a file says
//! is looked at first, and its giving up is the fault of the file.

use std::io::{self, BufReader, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, DataRef, ExcelDateTime, Range, Reader, Xls, XlsError};

use super::super::spool::{Spool, SpoolReader};
use super::package::{LONGEST_CELL, Package, damaged};
use super::{Row, Rows, Value, cfb, check_column, find_sheet, of_iso, unreadable};
use crate::layout::SheetSpec;

/// The largest xls that is read: all of it is in memory. 65,536 rows, the most of a sheet, have about a third of it.
const LARGEST_XLS: u64 = 24 << 20;

/// The most bytes and the greatest number of texts that cells of an xlsb share.
const MOST_TEXT: u64 = 64 << 20;
const MOST_TEXTS: u64 = 1 << 20;

/// The number of an xlsb's record that holds a shared text.
const TEXT_RECORD: u64 = 0x13;

/// Calls the reader of others.
fn whole<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(&error.to_string())),
        Err(_) => Err(damaged("its reader gave up")),
    }
}

/// Returns the value of a date, which `number` is if it is a time without a day.
fn date(date: &ExcelDateTime) -> Value {
    let number = date.as_f64();
    if date.is_duration() || number < 1.0 {
        return Value::Number(number);
    }
    let (year, month, day, hour, minute, second, milliseconds) = date.to_ymd_hms_milli();
    let Some(day) = crate::date::days(year.into(), month.into(), day.into()) else {
        return Value::Number(number);
    };
    let second =
        i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) + i64::from(milliseconds >= 500);
    Value::Date(day.into(), (second > 0).then_some(second))
}

fn truth(is_true: bool) -> Value {
    Value::Text(if is_true { "TRUE" } else { "FALSE" }.to_owned())
}

/// Reads a sheet of an xls, which is in memory then.
pub(super) fn xls(spool: &Spool, wanted: Option<&SheetSpec>) -> io::Result<XlsRows> {
    if spool.len() > LARGEST_XLS {
        return Err(unreadable(format!(
            "it is an old workbook (xls) of over {} MiB, more than is kept in memory: have the store save it as xlsx",
            LARGEST_XLS >> 20
        )));
    }
    let mut bytes = Vec::new();
    spool.reader().read_to_end(&mut bytes)?;
    cfb::check(&bytes)?;
    let opened = catch_unwind(AssertUnwindSafe(|| Xls::new(Cursor::new(bytes))));
    let mut book = match opened {
        Ok(Err(XlsError::Password)) => {
            return Err(unreadable(
                "it is a workbook that is protected with a password".into(),
            ));
        }
        Ok(Err(error)) => return Err(damaged(&error.to_string())),
        Ok(Ok(book)) => book,
        Err(_) => return Err(damaged("its reader gave up")),
    };
    let sheets: Vec<_> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == calamine::SheetType::WorkSheet)
        .collect();
    let names: Vec<String> = sheets.iter().map(|sheet| sheet.name.clone()).collect();
    let at = find_sheet(&names, wanted)?;
    let range = whole(|| book.worksheet_range(&names[at]))?;
    Ok(XlsRows { range, at: 0 })
}

/// The rows of a sheet of an xls.
pub(super) struct XlsRows {
    range: Range<Data>,
    /// The next row of the range.
    at: usize,
}

impl Rows for XlsRows {
    fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        let Some((first_row, first_column)) = self.range.start() else {
            return Ok(false);
        };
        let (height, width) = self.range.get_size();
        while row.cells.is_empty() {
            if self.at == height {
                return Ok(false);
            }
            row.number = first_row + self.at as u32;
            for column in 0..width {
                let value = match self.range.get((self.at, column)) {
                    None | Some(Data::Empty) => continue,
                    Some(Data::Int(number)) => Value::Number(*number as f64),
                    Some(Data::Float(number)) => Value::Number(*number),
                    Some(Data::String(text) | Data::DurationIso(text)) => Value::Text(text.clone()),
                    Some(Data::Bool(is_true)) => truth(*is_true),
                    Some(Data::DateTime(moment)) => date(moment),
                    Some(Data::DateTimeIso(text)) => {
                        of_iso(text).unwrap_or_else(|| Value::Text(text.clone()))
                    }
                    Some(Data::Error(error)) => Value::Error(error.to_string()),
                };
                let column = first_column as usize + column;
                check_column(column, row.number)?;
                row.cells.push((column, value));
            }
            self.at += 1;
        }
        Ok(true)
    }
}

/// Looks at the records of an xlsb's parts before they are read: each is held in memory, and so are the texts.
pub(super) fn check_xlsb(package: &mut Package) -> io::Result<()> {
    for name in package
        .names()
        .into_iter()
        .filter(|name| name.starts_with("xl/") && name.ends_with(".bin"))
    {
        let Some(part) = package.part(&name)? else {
            continue;
        };
        let mut part = BufReader::with_capacity(64 << 10, part);
        let is_of_texts = name.ends_with("sharedstrings.bin");
        let (mut bytes, mut texts) = (0, 0);
        while let Some(kind) = compact(&mut part, 2)? {
            let length = compact(&mut part, 4)?.ok_or_else(|| damaged("a record of it was cut"))?;
            let skipped = io::copy(&mut part.by_ref().take(length), &mut io::sink())?;
            if length > LONGEST_CELL as u64 || skipped < length {
                return Err(damaged(&format!(
                    "a record of it says that it has {length} bytes"
                )));
            }
            bytes += length;
            texts += u64::from(kind == TEXT_RECORD);
            if is_of_texts && (bytes > MOST_TEXT || texts > MOST_TEXTS) {
                return Err(unreadable(format!(
                    "it is a workbook with over {} MiB of texts, or over {MOST_TEXTS} of them, more than are kept in memory",
                    MOST_TEXT >> 20
                )));
            }
        }
    }
    Ok(())
}

/// Reads a number of up to `most` bytes, the last of which is below 0x80. `None` at the end.
fn compact(part: &mut impl Read, most: u32) -> io::Result<Option<u64>> {
    let mut number = 0;
    for at in 0..most {
        let mut byte = [0];
        match part.read(&mut byte)? {
            0 if at == 0 => return Ok(None),
            0 => return Err(damaged("a record of it was cut")),
            _ => {}
        }
        number |= u64::from(byte[0] & 0x7F) << (7 * at);
        if byte[0] < 0x80 {
            break;
        }
    }
    Ok(Some(number))
}

/// A workbook as xlsb.
pub(super) struct Xlsb(calamine::Xlsb<BufReader<SpoolReader>>);

impl Xlsb {
    pub(super) fn open(spool: &Spool) -> io::Result<Self> {
        whole(|| calamine::Xlsb::new(BufReader::new(spool.reader()))).map(Self)
    }

    /// Returns the rows of a sheet.
    pub(super) fn rows(
        &mut self,
        wanted: Option<&SheetSpec>,
    ) -> io::Result<XlsbRows<impl FnMut() -> io::Result<Option<FoundCell>>>> {
        let sheets = self.0.sheets_metadata().iter();
        let names: Vec<_> = sheets
            .filter(|sheet| sheet.typ == calamine::SheetType::WorkSheet)
            .map(|sheet| sheet.name.clone())
            .collect();
        let at = find_sheet(&names, wanted)?;
        let mut cells = whole(|| self.0.worksheet_cells_reader(&names[at]))?;
        let next = move || loop {
            let Some(cell) = whole(|| cells.next_cell())? else {
                return Ok(None);
            };
            let (row, column) = cell.get_position();
            let value = match cell.get_value() {
                DataRef::Empty => continue,
                DataRef::Int(number) => Value::Number(*number as f64),
                DataRef::Float(number) => Value::Number(*number),
                DataRef::String(text) | DataRef::DurationIso(text) => Value::Text(text.clone()),
                DataRef::SharedString(text) => Value::Text((*text).to_owned()),
                DataRef::Bool(is_true) => truth(*is_true),
                DataRef::DateTime(moment) => date(moment),
                DataRef::DateTimeIso(text) => of_iso(text).unwrap_or_else(|| Value::Text(text.clone())),
                DataRef::Error(error) => Value::Error(error.to_string()),
            };
            return Ok(Some((row, column as usize, value)));
        };
        Ok(XlsbRows {
            next,
            ahead: None,
            is_over: false,
        })
    }
}

/// A filled cell: its row and column, from 0, and its value.
type FoundCell = (u32, usize, Value);

/// The rows of a sheet of an xlsb.
pub(super) struct XlsbRows<F> {
    /// Finds the next filled cell.
    next: F,
    /// The first cell of the next row.
    ahead: Option<FoundCell>,
    /// Whether there is no further cell: its reader must not be asked again.
    is_over: bool,
}

impl<F: FnMut() -> io::Result<Option<FoundCell>>> Rows for XlsbRows<F> {
    fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        let first = match self.ahead.take() {
            None if self.is_over => None,
            None => (self.next)()?,
            ahead => ahead,
        };
        let Some((number, mut column, mut value)) = first else {
            return Ok(false);
        };
        row.number = number;
        loop {
            check_column(column, number)?;
            if row.cells.last().is_some_and(|(last, _)| *last >= column) {
                return Err(damaged(&format!(
                    "the cells of row {} are not in order",
                    u64::from(number) + 1
                )));
            }
            row.cells.push((column, value));
            match (self.next)()? {
                Some(next) if next.0 == number => (_, column, value) = next,
                ahead => {
                    self.is_over = ahead.is_none();
                    self.ahead = ahead;
                    return Ok(true);
                }
            }
        }
    }
}
