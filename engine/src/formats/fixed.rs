//! Text whose fields have fixed positions, with or without line ends.
//!
//! Positions count characters of the decoded text. In the encodings that such files have, a character is one byte.

use std::io::{self, Read};

use super::lines::{Ending, LineReader, TextLine};
use super::record::{Record, Records};
use crate::fields::Fields;
use crate::layout::{Cut, Fixed};
use crate::text::WholeText;

/// Opens the records of a text.
pub(super) fn open<'t>(text: Box<dyn Read + Send + 't>, fixed: &'t Fixed) -> Box<dyn Records + 't> {
    match fixed.record_length {
        None => Box::new(FixedLines {
            lines: LineReader::new(text),
            cuts: &fixed.cuts,
        }),
        Some(length) => Box::new(FixedBlocks {
            text: WholeText::new(text),
            length,
            cuts: &fixed.cuts,
            buffer: Vec::new(),
            taken: 0,
            is_ended: true,
        }),
    }
}

/// Records that end with their lines.
struct FixedLines<'l, R> {
    lines: LineReader<R>,
    cuts: &'l [Cut],
}

/// Records of one length, one behind the other.
struct FixedBlocks<'l, R> {
    text: WholeText<R>,
    /// Characters of a record.
    length: usize,
    cuts: &'l [Cut],
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    taken: usize,
    /// Whether the last record has its whole length.
    is_ended: bool,
}

impl<R: Read> Records for FixedLines<'_, R> {
    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        match self.lines.next()? {
            None => return Ok(false),
            Some(TextLine::TooLong(kept, length)) => {
                record.text.extend_from_slice(kept);
                record.too_long = Some(length);
            }
            Some(TextLine::Whole(line)) => {
                record.text.extend_from_slice(line);
                cut(&mut record.fields, line, self.cuts);
            }
        }
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        self.lines.ending()
    }
}

impl<R: Read> Records for FixedBlocks<'_, R> {
    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        let whole = loop {
            match end_of(&self.buffer[self.taken..], self.length) {
                Some(end) => break Some(end),
                None if self.fill()? => {}
                None => break None,
            }
        };
        let rest = &self.buffer[self.taken..];
        let text = &rest[..whole.unwrap_or(rest.len())];
        if text.is_empty() {
            return Ok(false);
        }
        let characters = || text.iter().filter(|byte| is_start(**byte)).count();
        // Line ends behind the last record are no part of one.
        self.is_ended = whole.is_some() || characters() == self.length || text.trim_ascii().is_empty();
        self.taken += text.len();
        record.text.extend_from_slice(text);
        cut(&mut record.fields, text, self.cuts);
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        let behind = self.text.behind();
        // The padding, or the mark, stands behind a whole record, so it is a line of its own.
        Ending {
            lines: behind.lines,
            with_text: behind.with_text,
            is_ended: self.is_ended,
            fault: None,
        }
    }
}

impl<R: Read> FixedBlocks<'_, R> {
    /// Reads more text, and returns whether there was some.
    fn fill(&mut self) -> io::Result<bool> {
        super::fill(&mut self.buffer, &mut self.taken, &mut self.text)
    }
}

/// Returns whether a byte of UTF-8 begins a character. So does one that is not part of valid text.
fn is_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Returns where the first characters of a text end: the beginning of the next one, or the end of the text. `None` if
/// there are too few, or if more of the last one may follow.
fn end_of(text: &[u8], characters: usize) -> Option<usize> {
    let ahead = text.get(..characters)?;
    if ahead.is_ascii() {
        return Some(characters);
    }
    let mut starts = (0..text.len()).filter(|at| is_start(text[*at]));
    starts.nth(characters)
}

/// Cuts a record into its fields.
fn cut(fields: &mut Fields, text: &[u8], cuts: &[Cut]) {
    fields.clear();
    let starts: Option<Vec<usize>> =
        (!text.is_ascii()).then(|| (0..text.len()).filter(|at| is_start(text[*at])).collect());
    let characters = starts.as_ref().map_or(text.len(), Vec::len);
    let byte = |character: usize| match &starts {
        None => character.min(text.len()),
        Some(starts) => starts.get(character).copied().unwrap_or(text.len()),
    };
    for cut in cuts {
        if cut.to <= characters || cut.may_end {
            fields.extend(&text[byte(cut.from)..byte(cut.to)]);
            fields.end_field();
        } else {
            fields.lack_field();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::READ;

    /// Returns the fields of each record; `-` for one that it lacks.
    fn read(
        text: &str,
        record_length: Option<usize>,
        cuts: &[(usize, usize, bool)],
    ) -> (Vec<Vec<String>>, bool) {
        let cut = |&(from, to, may_end): &(usize, usize, bool)| Cut { from, to, may_end };
        let fixed = Fixed {
            cuts: cuts.iter().map(cut).collect(),
            record_length,
        };
        let mut records = open(Box::new(text.as_bytes()), &fixed);
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.next(&mut record).unwrap() {
            let field = |at| match record.fields.get(at) {
                Some(field) => String::from_utf8(field.to_vec()).unwrap(),
                None => "-".to_owned(),
            };
            all.push((0..cuts.len()).map(field).collect());
        }
        (all, records.ending().is_ended)
    }

    #[test]
    fn lines_are_cut_at_characters() {
        let cuts = [(0, 3, false), (5, 8, false), (3, 5, true)];
        let (all, is_ended) = read("abcdefgh\r\nabcdé\nåbcdéfgh+\n", None, &cuts);
        assert_eq!(
            all,
            [["abc", "fgh", "de"], ["abc", "-", "dé"], ["åbc", "fgh", "dé"]],
            "{all:?}"
        );
        assert!(is_ended);
        let (short, _) = read("ab\n", None, &[(0, 3, true), (1, 3, false), (3, 5, true)]);
        assert_eq!(short, [["ab", "-", ""]]);
    }

    #[test]
    fn records_without_line_ends() {
        let cuts = [(0, 2, false), (2, 4, false)];
        assert_eq!(
            read("abcdefgh", Some(4), &cuts),
            (
                vec![vec!["ab".into(), "cd".into()], vec!["ef".into(), "gh".into()]],
                true
            )
        );
        let (all, is_ended) = read("abédef", Some(4), &cuts);
        assert_eq!(
            (all, is_ended),
            (
                vec![vec!["ab".into(), "éd".into()], vec!["ef".into(), "-".into()]],
                false
            )
        );
        let long = "abcd".repeat(READ);
        let (all, _) = read(&long, Some(4), &cuts);
        assert_eq!(all.len(), READ);
        assert!(all.iter().all(|record| record == &["ab", "cd"]));
        let accents = "éa".repeat(READ);
        assert_eq!(read(&accents, Some(2), &[(0, 1, false)]).0.len(), READ);
    }
}
