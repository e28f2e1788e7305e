//! Workbooks as ods, which LibreOffice writes: one part holds all sheets, one behind the other. Rows and cells that repeat
//! are written once.

use std::io;

use quick_xml::events::{BytesStart, Event};

use super::package::{Package, Xml, attribute, damaged, next, push_text, skip};
use super::{Row, Rows, Value, check_column, find_sheet, of_iso, unreadable};
use crate::layout::SheetSpec;

/// The most sheets that a message names.
const MOST_SHEETS: usize = 1000;

/// The rows of a sheet.
pub(super) struct SheetRows<'p> {
    xml: Xml<'p>,
    buffer: Vec<u8>,
    text: String,
    /// The cells of the row that was read last, and how often it is still to be given out.
    cells: Vec<(usize, Value)>,
    repeats: u32,
    /// The number of the next row.
    number: u32,
}

impl<'p> SheetRows<'p> {
    /// Finds the sheet.
    pub(super) fn open(package: &'p mut Package, wanted: Option<&SheetSpec>) -> io::Result<Self> {
        let mut is_locked = false;
        package.each("META-INF/manifest.xml", |start| {
            is_locked |= start.local_name().as_ref() == "encryption-data";
            Ok(())
        })?;
        if is_locked {
            return Err(unreadable(
                "it is a workbook that is protected with a password".into(),
            ));
        }
        let mut xml = package
            .xml("content.xml")?
            .ok_or_else(|| damaged("it lacks the part with its sheets"))?;
        let (mut buffer, mut names) = (Vec::new(), Vec::new());
        loop {
            buffer.clear();
            let name = match next(&mut xml, &mut buffer)? {
                Event::Start(start) if start.name().as_ref() == "table:table" => {
                    attribute(&start, "table:name")?.unwrap_or_default()
                }
                Event::Eof => {
                    find_sheet(&names, wanted)?;
                    return Err(damaged("it lacks its sheet"));
                }
                _ => continue,
            };
            names.push(name);
            let is_wanted = match wanted {
                None => true,
                Some(SheetSpec::Number(number)) => names.len() == *number,
                Some(SheetSpec::Name(_)) => find_sheet(&names[names.len() - 1..], wanted).is_ok(),
            };
            if is_wanted {
                break;
            }
            if names.len() > MOST_SHEETS {
                return Err(unreadable(format!(
                    "it is a workbook with over {MOST_SHEETS} sheets"
                )));
            }
            skip(&mut xml, &mut buffer)?;
        }
        Ok(Self {
            xml,
            buffer,
            text: String::new(),
            cells: Vec::new(),
            repeats: 0,
            number: 0,
        })
    }

    /// Reads the cells of a row that has begun.
    fn read_row(&mut self) -> io::Result<()> {
        self.cells.clear();
        let mut at = 0_usize;
        loop {
            self.buffer.clear();
            let (cell, repeats) = match next(&mut self.xml, &mut self.buffer)? {
                Event::Start(start) => match start.name().as_ref() {
                    "table:table-cell" | "table:covered-table-cell" => (
                        Cell::of(&start)?,
                        repeated(&start, "table:number-columns-repeated")?,
                    ),
                    _ => {
                        skip(&mut self.xml, &mut self.buffer)?;
                        continue;
                    }
                },
                Event::End(end) if end.name().as_ref() == "table:table-row" => return Ok(()),
                Event::Eof => return Err(damaged("its sheet was cut")),
                _ => continue,
            };
            self.read_text()?;
            if let Some(value) = cell.value(&self.text) {
                check_column(at.saturating_add(repeats as usize - 1), self.number)?;
                for column in at..at + repeats as usize {
                    self.cells.push((column, value.clone()));
                }
            }
            at = at.saturating_add(repeats as usize);
        }
    }

    /// Reads the text of a cell that has begun: its paragraphs, one a line.
    fn read_text(&mut self) -> io::Result<()> {
        self.text.clear();
        // How many paragraphs, and elements, the position is in.
        let (mut paragraphs, mut depth, mut has_paragraph) = (0_u32, 1_u32, false);
        while depth > 0 {
            self.buffer.clear();
            let event = next(&mut self.xml, &mut self.buffer)?;
            match &event {
                Event::Start(start) => {
                    depth += 1;
                    match start.name().as_ref() {
                        "text:p" => {
                            paragraphs += 1;
                            if std::mem::replace(&mut has_paragraph, true) {
                                self.text.push('\n');
                            }
                        }
                        "text:s" => {
                            let count = repeated(start, "text:c")?.min(1000);
                            (0..count).for_each(|_| self.text.push(' '));
                        }
                        "text:tab" => self.text.push('\t'),
                        "text:line-break" => self.text.push('\n'),
                        // A note at the cell is no part of it.
                        "office:annotation" => {
                            drop(event);
                            skip(&mut self.xml, &mut self.buffer)?;
                            depth -= 1;
                        }
                        _ => {}
                    }
                }
                Event::End(end) => {
                    depth -= 1;
                    paragraphs -= u32::from(end.name().as_ref() == "text:p" && paragraphs > 0);
                }
                Event::Eof => return Err(damaged("its sheet was cut")),
                event if paragraphs > 0 => push_text(event, &mut self.text)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns how often an element repeats.
fn repeated(start: &BytesStart<'_>, name: &str) -> io::Result<u32> {
    let count =
        attribute(start, name)?.map(|count| count.trim().parse::<u32>().ok().filter(|count| *count > 0));
    match count {
        None => Ok(1),
        Some(count) => {
            count.ok_or_else(|| damaged("it repeats a cell or a row a number of times that cannot be"))
        }
    }
}

/// What a cell says of its value.
struct Cell {
    kind: String,
    value: Option<String>,
}

impl Cell {
    fn of(start: &BytesStart<'_>) -> io::Result<Self> {
        if attribute(start, "calcext:value-type")?.as_deref() == Some("error") {
            return Ok(Self {
                kind: "error".to_owned(),
                value: None,
            });
        }
        let kind = attribute(start, "office:value-type")?.unwrap_or_default();
        let name = match kind.as_str() {
            "date" => "office:date-value",
            "boolean" => "office:boolean-value",
            "string" => "office:string-value",
            _ => "office:value",
        };
        Ok(Self {
            value: attribute(start, name)?,
            kind,
        })
    }

    fn value(&self, text: &str) -> Option<Value> {
        let plain = || (!text.is_empty()).then(|| Value::Text(text.to_owned()));
        match (self.kind.as_str(), &self.value) {
            ("float" | "currency" | "percentage", Some(value)) => {
                let number = value
                    .trim()
                    .parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite());
                Some(number.map_or_else(|| Value::Text(value.clone()), Value::Number))
            }
            ("date", Some(value)) => Some(of_iso(value.trim()).unwrap_or_else(|| Value::Text(value.clone()))),
            ("boolean", Some(value)) => Some(Value::Text(value.to_ascii_uppercase())),
            ("string", Some(value)) => Some(Value::Text(value.clone())),
            ("error", _) => Some(Value::Error(text.to_owned())),
            ("", _) => None,
            _ => plain(),
        }
    }
}

impl Rows for SheetRows<'_> {
    fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        while self.repeats == 0 {
            self.buffer.clear();
            let repeats = match next(&mut self.xml, &mut self.buffer)? {
                Event::Start(start) if start.name().as_ref() == "table:table-row" => {
                    repeated(&start, "table:number-rows-repeated")?
                }
                Event::End(end) if end.name().as_ref() == "table:table" => return Ok(false),
                Event::Eof => return Err(damaged("its sheet was cut")),
                _ => continue,
            };
            self.read_row()?;
            match self.cells.is_empty() {
                true => self.number = self.number.saturating_add(repeats),
                false => self.repeats = repeats,
            }
        }
        self.repeats -= 1;
        row.number = self.number;
        row.cells.clone_from(&self.cells);
        self.number = self.number.saturating_add(1);
        Ok(true)
    }
}
