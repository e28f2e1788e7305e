//! Workbooks as xlsx: what a workbook says of itself, and the rows of a sheet.

use std::io;

use quick_xml::events::{BytesStart, Event};

use super::package::{Package, Xml, attribute, damaged, next, push_text, skip};
use super::{Row, Rows, Value, check_column, column, find_sheet, of_iso, of_serial, unreadable};
use crate::layout::SheetSpec;

/// Bytes that the texts which cells share may have, and how many there may be: they stay in memory.
const MOST_TEXT: usize = 48 << 20;
const MOST_TEXTS: usize = 4 << 20;

/// The most formats of cells. Excel itself keeps 64,000.
const MOST_FORMATS: usize = 1 << 17;

/// A workbook, apart from its sheets.
pub(super) struct Book {
    /// The part with the sheet that is read.
    sheet: String,
    is_1904: bool,
    texts: Texts,
    /// For each format of cells, whether it shows dates.
    dates: Vec<bool>,
}

/// The texts that cells share, one behind the other, and where each of them ends.
#[derive(Default)]
struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    fn get(&self, at: usize) -> Option<&str> {
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)? as usize,
        };
        self.text.get(start..*self.ends.get(at)? as usize)
    }
}

impl Book {
    pub(super) fn read(package: &mut Package, wanted: Option<&SheetSpec>) -> io::Result<Self> {
        let mut book = "xl/workbook.xml".to_owned();
        package.each("_rels/.rels", |start| {
            if is_relation(start, "officeDocument")?
                && let Some(target) = attribute(start, "Target")?
            {
                book = target.trim_start_matches('/').to_owned();
            }
            Ok(())
        })?;
        let (folder, name) = book.rsplit_once('/').unwrap_or(("", &book));
        let within = |target: &str| match target.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None if folder.is_empty() => target.to_owned(),
            None => format!("{folder}/{target}"),
        };
        let (mut sheets, mut texts, mut styles) =
            (Vec::new(), within("sharedStrings.xml"), within("styles.xml"));
        package.each(&within(&format!("_rels/{name}.rels")), |start| {
            let (Some(id), Some(target)) = (attribute(start, "Id")?, attribute(start, "Target")?) else {
                return Ok(());
            };
            if is_relation(start, "sharedStrings")? {
                texts = within(&target);
            } else if is_relation(start, "styles")? {
                styles = within(&target);
            } else if is_relation(start, "worksheet")? {
                sheets.push((id, within(&target)));
            }
            Ok(())
        })?;
        let (mut names, mut is_1904) = (Vec::new(), false);
        let is_book = package.each(&book, |start| {
            match start.local_name().as_ref() {
                "workbookPr" => {
                    is_1904 = matches!(attribute(start, "date1904")?.as_deref(), Some("1" | "true"));
                }
                "sheet" => {
                    let id = attribute(start, "r:id")?
                        .or(attribute(start, "id")?)
                        .unwrap_or_default();
                    // Sheets with charts have no cells.
                    if let Some((_, path)) = sheets.iter().find(|(of, _)| *of == id) {
                        names.push((attribute(start, "name")?.unwrap_or_default(), path.clone()));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        if !is_book {
            return Err(unreadable(
                "it is a zip archive without a workbook in it, which format = \"xlsx\" does not read".into(),
            ));
        }
        let shown: Vec<_> = names.iter().map(|(name, _)| name).collect();
        let sheet = find_sheet(&shown, wanted)?;
        Ok(Self {
            sheet: names.swap_remove(sheet).1,
            is_1904,
            texts: read_texts(package, &texts)?,
            dates: read_formats(package, &styles)?,
        })
    }
}

/// Returns whether an element is a relation of a type, whose name differs between editions of the standard.
fn is_relation(start: &BytesStart<'_>, kind: &str) -> io::Result<bool> {
    let of = attribute(start, "Type")?;
    Ok(of.is_some_and(|of| of.rsplit('/').next() == Some(kind)))
}

fn read_texts(package: &mut Package, name: &str) -> io::Result<Texts> {
    let mut texts = Texts::default();
    let Some(mut xml) = package.xml(name)? else {
        return Ok(texts);
    };
    let (mut buffer, mut text) = (Vec::new(), String::new());
    loop {
        buffer.clear();
        match next(&mut xml, &mut buffer)? {
            Event::Start(start) if start.local_name().as_ref() == "si" => {}
            Event::Eof => return Ok(texts),
            _ => continue,
        }
        text.clear();
        read_text(&mut xml, &mut buffer, "si", &mut text)?;
        texts.text.push_str(&text);
        texts.ends.push(texts.text.len() as u32);
        if texts.text.len() > MOST_TEXT || texts.ends.len() > MOST_TEXTS {
            return Err(unreadable(format!(
                "it is a workbook with over {} MiB of texts, or over {MOST_TEXTS} of them, more than are kept in memory: have the \
                 store send text",
                MOST_TEXT >> 20
            )));
        }
    }
}

/// Reads the text of an element that has begun, without what says how it is pronounced.
fn read_text(xml: &mut Xml<'_>, buffer: &mut Vec<u8>, element: &str, text: &mut String) -> io::Result<()> {
    let mut is_in_text = false;
    loop {
        buffer.clear();
        let event = next(xml, buffer)?;
        match &event {
            Event::Start(start) => match start.local_name().as_ref() {
                "t" => is_in_text = true,
                "rPh" => {
                    drop(event);
                    skip(xml, buffer)?;
                }
                _ => {}
            },
            Event::End(end) => match end.local_name().as_ref() {
                "t" => is_in_text = false,
                name if name == element => break,
                _ => {}
            },
            Event::Eof => return Err(damaged("a part of it was cut")),
            _ if is_in_text => push_text(&event, text)?,
            _ => {}
        }
    }
    if text.contains("_x") {
        *text = unescaped(text);
    }
    Ok(())
}

/// Returns a text with the characters that Excel writes as `_x000D_`.
fn unescaped(text: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once("_x") {
        let escaped = behind.get(..5).and_then(|code| code.strip_suffix('_'));
        let code = escaped.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        result.push_str(before);
        match character {
            Some(character) => {
                result.push(character);
                rest = &behind[5..];
            }
            None => {
                result.push_str("_x");
                rest = behind;
            }
        }
    }
    result.push_str(rest);
    result
}

fn read_formats(package: &mut Package, name: &str) -> io::Result<Vec<bool>> {
    let (mut own, mut dates, mut is_of_cells) = (Vec::new(), Vec::new(), false);
    package.each(name, |start| {
        let number = |name| -> io::Result<u32> {
            Ok(attribute(start, name)?
                .and_then(|number| number.parse().ok())
                .unwrap_or(0))
        };
        match start.local_name().as_ref() {
            "numFmt" => {
                let code = attribute(start, "formatCode")?.unwrap_or_default();
                own.push((number("numFmtId")?, is_date_format(&code)));
            }
            "cellXfs" => is_of_cells = true,
            "cellStyles" | "dxfs" | "cellStyleXfs" => is_of_cells = false,
            "xf" if is_of_cells => {
                let format = number("numFmtId")?;
                let is_own = own.iter().find(|(of, _)| *of == format);
                dates.push(is_own.map_or(
                    matches!(format, 14..=22 | 27..=36 | 45 | 47 | 50..=58),
                    |(_, is_date)| *is_date,
                ));
            }
            _ => {}
        }
        match own.len().max(dates.len()) > MOST_FORMATS {
            true => Err(unreadable(format!(
                "it is a workbook with over {MOST_FORMATS} formats of cells"
            ))),
            false => Ok(()),
        }
    })?;
    Ok(dates)
}

/// Returns whether a format such as `dd/mm/yyyy` shows dates. Only its first part counts, without what stands in quotes,
/// brackets, and behind characters that make the next one stand for itself.
pub(super) fn is_date_format(code: &str) -> bool {
    let mut letters = code.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ';' => return false,
            '\\' | '_' | '*' => _ = letters.next(),
            '"' => _ = letters.by_ref().find(|c| *c == '"'),
            '[' => {
                let inside: String = letters.by_ref().take_while(|c| *c != ']').collect();
                // [h] counts hours: it is a duration.
                if matches!(
                    inside.to_ascii_lowercase().as_str(),
                    "h" | "hh" | "m" | "mm" | "s" | "ss"
                ) {
                    return false;
                }
            }
            'd' | 'D' | 'y' | 'Y' | 'm' | 'M' | 'h' | 'H' | 's' | 'S' => return true,
            // `General`, which has none of these letters, and E+00 of numbers.
            _ => {}
        }
    }
    false
}

/// The rows of a sheet.
pub(super) struct SheetRows<'p> {
    xml: Xml<'p>,
    book: &'p Book,
    buffer: Vec<u8>,
    text: String,
    /// The number of the row behind the last one.
    number: u32,
}

impl<'p> SheetRows<'p> {
    pub(super) fn open(package: &'p mut Package, book: &'p Book) -> io::Result<Self> {
        let mut xml = package
            .xml(&book.sheet)?
            .ok_or_else(|| damaged("it lacks the part with its sheet"))?;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            match next(&mut xml, &mut buffer)? {
                Event::Start(start) if start.local_name().as_ref() == "sheetData" => break,
                Event::Eof => return Err(damaged("its sheet has no rows, or was cut")),
                _ => {}
            }
        }
        Ok(Self {
            xml,
            book,
            buffer,
            text: String::new(),
            number: 0,
        })
    }

    /// Reads the value of a cell that has begun.
    fn value(&mut self, kind: &str, format: usize) -> io::Result<Option<Value>> {
        let mut value = None;
        loop {
            self.buffer.clear();
            let is_value = match next(&mut self.xml, &mut self.buffer)? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "v" => Some(true),
                    "is" => Some(false),
                    _ => None,
                },
                Event::End(end) if end.local_name().as_ref() == "c" => return Ok(value),
                Event::Eof => return Err(damaged("its sheet was cut")),
                _ => continue,
            };
            self.text.clear();
            match is_value {
                None => skip(&mut self.xml, &mut self.buffer)?,
                Some(false) => {
                    read_text(&mut self.xml, &mut self.buffer, "is", &mut self.text)?;
                    value = Some(Value::Text(self.text.clone()));
                }
                Some(true) => {
                    self.value_text()?;
                    value = match kind {
                        "inlineStr" => value,
                        kind => self.read(kind, format)?,
                    };
                }
            }
        }
    }

    /// Reads the text of a value that has begun.
    fn value_text(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            let event = next(&mut self.xml, &mut self.buffer)?;
            match &event {
                Event::End(_) => return Ok(()),
                Event::Eof => return Err(damaged("its sheet was cut")),
                event => push_text(event, &mut self.text)?,
            }
        }
    }

    /// Makes a value of a cell's text.
    fn read(&self, kind: &str, format: usize) -> io::Result<Option<Value>> {
        let text = self.text.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(match kind {
            "s" => {
                let shared = text.trim().parse().ok().and_then(|at| self.book.texts.get(at));
                Value::Text(
                    shared
                        .ok_or_else(|| damaged("a cell names a text that there is not"))?
                        .to_owned(),
                )
            }
            "b" => Value::Text(if text.trim() == "0" { "FALSE" } else { "TRUE" }.to_owned()),
            "e" => Value::Error(text.to_owned()),
            "d" => of_iso(text.trim()).unwrap_or_else(|| Value::Text(text.to_owned())),
            "str" => Value::Text(unescaped(text)),
            _ => {
                let text = text.trim();
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                match number {
                    None => Value::Text(text.to_owned()),
                    Some(number) if self.book.dates.get(format) == Some(&true) => {
                        of_serial(number, self.book.is_1904).unwrap_or(Value::Number(number))
                    }
                    Some(number) => Value::Number(number),
                }
            }
        }))
    }
}

impl Rows for SheetRows<'_> {
    fn next(&mut self, row: &mut Row) -> io::Result<bool> {
        let (mut column_after, mut is_in_row) = (0, false);
        loop {
            self.buffer.clear();
            let (at, kind, format) = match next(&mut self.xml, &mut self.buffer)? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "row" => {
                        let reference = attribute(&start, "r")?;
                        let reference = reference.map(|reference| {
                            reference
                                .trim()
                                .parse::<u32>()
                                .ok()
                                .and_then(|reference| reference.checked_sub(1))
                        });
                        row.number = match reference {
                            None => self.number,
                            Some(reference) => reference.ok_or_else(|| damaged("a row has no number"))?,
                        };
                        self.number = row.number.saturating_add(1);
                        is_in_row = true;
                        continue;
                    }
                    "c" if is_in_row => {
                        let reference = attribute(&start, "r")?;
                        let at = match &reference {
                            None => column_after,
                            Some(reference) => {
                                let letters = reference.trim_end_matches(|c: char| c.is_ascii_digit());
                                column(letters).ok_or_else(|| damaged("a cell has no name that can be"))?
                            }
                        };
                        let kind = attribute(&start, "t")?.unwrap_or_default();
                        let format = attribute(&start, "s")?.and_then(|format| format.trim().parse().ok());
                        (at, kind, format.unwrap_or(0))
                    }
                    _ => continue,
                },
                Event::End(end) => match end.local_name().as_ref() {
                    "row" if is_in_row => return Ok(true),
                    "sheetData" => return Ok(false),
                    _ => continue,
                },
                Event::Eof => return Err(damaged("its sheet was cut")),
                _ => continue,
            };
            if at < column_after {
                return Err(damaged(&format!(
                    "the cells of row {} are not in order",
                    self.number
                )));
            }
            column_after = at + 1;
            if let Some(value) = self.value(&kind, format)? {
                check_column(at, row.number)?;
                row.cells.push((at, value));
            }
        }
    }
}
