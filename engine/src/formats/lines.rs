//! The lines of a text, one after another, whatever ends them.

use std::io::{self, Read};
use std::ops::Range;

use crate::scan::CR;
use crate::text::{LONG_LINE_KEPT, LineEnds, MAX_LINE, Unit, Units, WholeText, unify};

/// How an input ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Lines that hold nothing that was read.
    pub(crate) lines: u64,
    /// Lines behind the end mark that have text.
    pub(crate) with_text: u64,
    /// Whether the last record has an end.
    pub(crate) is_ended: bool,
    /// Why the file cannot be read for certain.
    pub(crate) fault: Option<String>,
}

/// Bytes that are read at a time.
const UNIT: usize = 256 << 10;

/// Reads lines.
pub(crate) struct LineReader<R> {
    units: Units<WholeText<R>>,
    unit: Unit,
    /// What is left of the unit.
    rest: Range<usize>,
    /// The length of a line over [`MAX_LINE`] that is the whole unit.
    too_long: Option<u64>,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextLine<'u> {
    Whole(&'u [u8]),
    /// The beginning of a line that is longer than any may be, and its length.
    TooLong(&'u [u8], u64),
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(text: R) -> Self {
        Self {
            units: Units::new(WholeText::new(text), UNIT, LineEnds::Any),
            unit: Unit::new(),
            rest: 0..0,
            too_long: None,
        }
    }

    /// Returns the next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<TextLine<'_>>> {
        if self.rest.is_empty() {
            if !self.units.fill(&mut self.unit)? {
                return Ok(None);
            }
            self.rest = self.unit.lines.clone();
            self.too_long = self.unit.long_line;
            if self.too_long.is_none() && memchr::memchr(CR, &self.unit.text[self.rest.clone()]).is_some() {
                self.rest.end = unify(&mut self.unit.text, self.rest.clone());
            }
        }
        let text = &self.unit.text[self.rest.clone()];
        if let Some(length) = self.too_long.take() {
            self.rest.start = self.rest.end;
            return Ok(Some(TextLine::TooLong(
                &text[..text.len().min(LONG_LINE_KEPT)],
                length,
            )));
        }
        let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        self.rest.start += (end + 1).min(text.len());
        let line = &text[..end];
        Ok(Some(match line.len() < MAX_LINE {
            true => TextLine::Whole(line),
            false => TextLine::TooLong(&line[..LONG_LINE_KEPT], line.len() as u64),
        }))
    }

    /// Returns how the text ended, once all lines were read.
    pub(crate) fn ending(self) -> Ending {
        let (text, is_unfinished) = self.units.into_input();
        let behind = text.behind();
        Ending {
            lines: behind.lines,
            with_text: behind.with_text,
            is_ended: !is_unfinished || behind.is_marked,
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_ends_a_line() {
        let long = "x".repeat(MAX_LINE + 5);
        let text = format!("a\nb\r\nc\rd\r\r\n\n{long}\r\ne");
        let mut reader = LineReader::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            found.push(match line {
                TextLine::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                TextLine::TooLong(kept, length) => format!("{} {length}", kept.len()),
            });
        }
        let too_long = format!("{LONG_LINE_KEPT} {}", MAX_LINE + 5);
        assert_eq!(found, ["a", "b", "c", "d", "", too_long.as_str(), "e"]);
        assert!(!reader.ending().is_ended);
    }
}
