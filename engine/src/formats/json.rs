//! JSON: one object a line, or one array of objects. A record is an object, or an element of the arrays in it.

mod objects;
mod template;
mod tree;
mod values;

use std::io::{self, Cursor, Read};

pub(crate) use self::objects::Objects;
pub(crate) use self::template::{Cell, CellKind};
pub(super) use self::tree::decimal;
pub use self::values::{Value, json_objects};
use super::lines::Ending;
use super::record::{Record, Records};
use crate::layout::Json;
use crate::rejects::Reason;
use crate::scan::READ_BEHIND;
use crate::text::WholeText;

/// The greatest length of an object in bytes: it is held in memory, and takes up to 16 times as much there.
pub(crate) const LONGEST: usize = 8 << 20;

/// How many bytes of a longer object are kept.
const KEPT: usize = 4096;

/// The records of JSON.
pub(super) struct JsonRecords<'l, R> {
    input: WholeText<R>,
    objects: Objects<'l>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that belong to objects before.
    taken: usize,
    shape: Shape,
    /// Lines above the first object that have not been given out.
    blank: u64,
    /// The text of the last object, and room behind it.
    object: Vec<u8>,
    /// Whether the last object has an end.
    is_ended: bool,
    /// Why the file cannot be read to its end.
    fault: Option<String>,
}

/// How objects follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Unknown,
    Lines,
    Array,
    /// The array has ended.
    Over,
}

/// Where the next object is in the buffer.
enum Found {
    /// It ends there; what follows it begins at the second position.
    Whole(usize, usize),
    /// More must be read.
    Unfinished,
}

impl<'l, R: Read> JsonRecords<'l, R> {
    pub(super) fn new(input: R, json: &'l Json) -> Self {
        Self {
            input: WholeText::new(input),
            objects: Objects::new(json),
            buffer: Vec::new(),
            taken: 0,
            shape: Shape::Unknown,
            blank: 0,
            object: Vec::new(),
            is_ended: true,
            fault: None,
        }
    }

    /// Reads more bytes, and returns whether there were some.
    fn fill(&mut self) -> io::Result<bool> {
        super::fill(&mut self.buffer, &mut self.taken, &mut self.input)
    }

    /// Steps over blanks and, in an array, over what stands between objects. Returns the next byte.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.buffer.get(self.taken).copied() {
                Some(b' ' | b'\t' | b'\r' | b'\n') if self.shape != Shape::Lines => self.taken += 1,
                Some(b',') if self.shape == Shape::Array => self.taken += 1,
                Some(byte) => return Ok(Some(byte)),
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Finds out how objects follow each other: an array begins with its bracket. Lines above the first object are counted.
    fn find_shape(&mut self) -> io::Result<()> {
        loop {
            match self.buffer.get(self.taken).copied() {
                Some(b'\n') => self.blank += 1,
                Some(b' ' | b'\t' | b'\r') => {}
                None if self.fill()? => continue,
                Some(b'[') => {
                    self.taken += 1;
                    (self.shape, self.blank) = (Shape::Array, 0);
                    return Ok(());
                }
                _ => {
                    self.shape = Shape::Lines;
                    return Ok(());
                }
            }
            self.taken += 1;
        }
    }

    /// Reads the text of the next object. Of one that is too long, returns the beginning, and `true`. `None` at the end.
    fn object(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        if self.shape == Shape::Unknown {
            self.find_shape()?;
        }
        let Some(first) = self.next_byte()? else {
            if self.shape == Shape::Array {
                self.fault = Some("its array of records does not end, so the file was cut".to_owned());
                self.shape = Shape::Over;
            }
            return Ok(None);
        };
        match self.shape {
            Shape::Array if first == b']' => {
                self.taken += 1;
                self.shape = Shape::Over;
                if self.next_byte()?.is_some() {
                    self.fault = Some("text follows the array of its records".to_owned());
                    // It is not looked at.
                    while self.fill()? {
                        self.taken = self.buffer.len();
                    }
                    self.taken = self.buffer.len();
                }
                return Ok(None);
            }
            Shape::Over => return Ok(None),
            _ => {}
        }
        let mut scan = Scan::default();
        let mut scanned = 0;
        let mut kept: Option<Vec<u8>> = None;
        loop {
            let rest = &self.buffer[self.taken..];
            let found = match self.shape {
                Shape::Array => scan.element(rest, &mut scanned),
                _ => line(rest, &mut scanned),
            };
            if let Found::Whole(end, behind) = found {
                let (text, is_too_long) = match kept {
                    Some(kept) => (kept, true),
                    None if end > LONGEST => (rest[..KEPT].to_vec(), true),
                    None => (rest[..end].to_vec(), false),
                };
                self.taken += behind;
                return Ok(Some((text, is_too_long)));
            }
            if rest.len() > LONGEST || kept.is_some() {
                kept.get_or_insert_with(|| rest[..KEPT].to_vec());
                self.taken = self.buffer.len();
                scanned = 0;
            }
            if !self.fill()? {
                let rest = self.buffer.split_off(self.taken);
                self.is_ended = self.shape != Shape::Lines || rest.trim_ascii().is_empty();
                self.taken = self.buffer.len();
                return Ok(Some(kept.map_or((rest, false), |kept| (kept, true))));
            }
        }
    }
}

impl<R: Read> Records for JsonRecords<'_, R> {
    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        if self.blank == 0 && self.objects.give(&self.object, record).is_some() {
            return Ok(true);
        }
        if self.shape == Shape::Unknown {
            self.find_shape()?;
        }
        if self.blank > 0 {
            self.blank -= 1;
            return Ok(true);
        }
        let Some((text, is_too_long)) = self.object()? else {
            return Ok(false);
        };
        if is_too_long {
            record.fault = Some(Reason::LongObject);
            record.text = text;
            return Ok(true);
        }
        self.object = text;
        let object = 0..self.object.len();
        self.object.resize(object.end + READ_BEHIND, 0);
        let is_like_others =
            self.objects.cells(&self.object, &object).is_some() && std::str::from_utf8(&self.object).is_ok();
        match is_like_others {
            true => self.objects.record(&self.object, &object, record),
            false => {
                self.object.truncate(object.end);
                self.objects.first(&self.object, record);
            }
        }
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        let behind = self.input.behind();
        Ending {
            // The padding, or the mark, stands in a line of its own.
            lines: behind.lines,
            with_text: behind.with_text,
            is_ended: self.fault.is_none() && (self.is_ended || behind.is_marked),
            fault: self.fault,
        }
    }
}

/// Bytes in which a file must show how its objects follow each other to be read by all threads.
const BEGINNING: usize = 64 << 10;

/// Returns a text again, and whether it is known to have an object a line.
pub(crate) fn are_lines<'t>(
    mut text: Box<dyn Read + Send + 't>,
) -> io::Result<(Box<dyn Read + Send + 't>, bool)> {
    let mut beginning = Vec::new();
    let first = loop {
        let before = beginning.len();
        text.by_ref().take(1 << 10).read_to_end(&mut beginning)?;
        let first = beginning[before..]
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        if first.is_some() || beginning.len() == before || beginning.len() >= BEGINNING {
            break first.copied();
        }
    };
    let are_lines = first.is_some_and(|first| first != b'[');
    Ok((Box::new(Cursor::new(beginning).chain(text)), are_lines))
}

/// Looks for the end of a line. `scanned` says how much was looked at before.
fn line(text: &[u8], scanned: &mut usize) -> Found {
    match memchr::memchr(b'\n', &text[*scanned..]) {
        Some(end) => Found::Whole(*scanned + end, *scanned + end + 1),
        None => {
            *scanned = text.len();
            Found::Unfinished
        }
    }
}

/// Looks for the end of an element of an array.
#[derive(Default)]
struct Scan {
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Scan {
    fn element(&mut self, text: &[u8], scanned: &mut usize) -> Found {
        while let Some(byte) = text.get(*scanned) {
            let at = *scanned;
            *scanned += 1;
            if self.is_in_text {
                match byte {
                    _ if std::mem::take(&mut self.is_escaped) => {}
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_text = true,
                b'{' | b'[' => self.depth += 1,
                // The end of the array itself.
                b']' if self.depth == 0 => return Found::Whole(at, at),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 0 => return Found::Whole(at, at + 1),
                _ => {}
            }
        }
        Found::Unfinished
    }
}

#[cfg(test)]
#[path = "json/tests.rs"]
mod tests;
