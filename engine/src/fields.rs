//! Cuts lines into fields.

use crate::blocks::Lines;
use crate::rejects::Reason;
use crate::scan::QUOTE;

/// Walks the lines of a block and finds the fields of each, up to the last column that is wanted.
pub(crate) struct LineCursor<'a> {
    lines: Lines<'a>,
    delimiter: u8,
    /// Where the next line starts in the text.
    start: usize,
    /// The first mark of the next line.
    mark: usize,
}

/// The fields of one line: ranges of its text, or of a copy without quotes where it has quoted fields.
#[derive(Default)]
pub(crate) struct Fields {
    ranges: Vec<(u32, u32)>,
    unquoted: Vec<u8>,
    is_unquoted: bool,
    /// Whether the line has columns past the last one that is wanted.
    pub(crate) has_more: bool,
}

/// What a line turned out to be before its values are looked at.
pub(crate) enum LineShape {
    /// A blank line or a comment.
    Skipped,
    /// Its fields are in [`Fields`].
    Fields,
    /// It cannot be cut into fields.
    Broken(Reason),
}

impl<'a> LineCursor<'a> {
    pub(crate) fn new(lines: Lines<'a>, delimiter: u8) -> Self {
        Self {
            lines,
            delimiter,
            start: 0,
            mark: 0,
        }
    }

    /// The next line's text without its end, and its shape; `fields` receives up to `wanted` fields of it.
    pub(crate) fn next(&mut self, wanted: usize, fields: &mut Fields) -> Option<(&'a [u8], LineShape)> {
        let Lines { text, marks } = self.lines;
        let start = self.start;
        let first = *text.get(start)?;
        if (first == b'-' && text.get(start + 1) == Some(&b'-')) || first.is_ascii_whitespace() {
            let line = self.skip_line();
            if first == b'-' || line.trim_ascii().is_empty() {
                return Some((line, LineShape::Skipped));
            }
            self.start = start;
            self.mark = marks.partition_point(|at| (*at as usize) < start);
        }
        fields.ranges.clear();
        fields.is_unquoted = false;
        fields.has_more = false;
        let mut field_start = start;
        loop {
            let at = marks[self.mark] as usize;
            self.mark += 1;
            let byte = text[at];
            if byte == self.delimiter {
                fields.ranges.push((field_start as u32, at as u32));
                field_start = at + 1;
                if fields.ranges.len() == wanted {
                    fields.has_more = true;
                    return Some((self.skip_line(), LineShape::Fields));
                }
            } else if byte == b'\n' {
                let end = line_end(text, field_start, at);
                fields.ranges.push((field_start as u32, end as u32));
                self.start = at + 1;
                return Some((&text[start..line_end(text, start, at)], LineShape::Fields));
            } else if at == field_start {
                let line = self.skip_line();
                let shape = match fields.split(line, self.delimiter, wanted) {
                    Ok(()) => LineShape::Fields,
                    Err(reason) => LineShape::Broken(reason),
                };
                return Some((line, shape));
            }
        }
    }

    /// Moves behind the line's newline, and returns the whole line without its end.
    fn skip_line(&mut self) -> &'a [u8] {
        let Lines { text, marks } = self.lines;
        let line_start = self.start;
        loop {
            let at = marks[self.mark] as usize;
            self.mark += 1;
            if text[at] == b'\n' {
                self.start = at + 1;
                return &text[line_start..line_end(text, line_start, at)];
            }
        }
    }
}

/// Where a line's content ends: before its newline, and before the CR that may come before that.
fn line_end(text: &[u8], start: usize, newline: usize) -> usize {
    if newline > start && text[newline - 1] == b'\r' {
        newline - 1
    } else {
        newline
    }
}

impl Fields {
    /// The fields found, in order. `block` is the text that the line came from.
    pub(crate) fn get<'t>(&'t self, block: &'t [u8], position: usize) -> Option<&'t [u8]> {
        let (start, end) = *self.ranges.get(position)?;
        let text = if self.is_unquoted { &self.unquoted } else { block };
        Some(&text[start as usize..end as usize])
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// All fields found, in order.
    pub(crate) fn iter<'t>(&'t self, block: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        (0..self.len()).filter_map(move |position| self.get(block, position))
    }

    /// Cuts any line, one with quoted fields too: the fields are in a copy of it without the quotes.
    pub(crate) fn split(&mut self, line: &[u8], delimiter: u8, wanted: usize) -> Result<(), Reason> {
        self.ranges.clear();
        self.unquoted.clear();
        self.is_unquoted = true;
        self.has_more = false;
        let mut rest = line;
        loop {
            let start = self.unquoted.len() as u32;
            if let Some(quoted) = rest.strip_prefix(&[QUOTE]) {
                rest = self.unquote_field(quoted)?;
                if !rest.is_empty() && rest[0] != delimiter {
                    return Err(Reason::TextAfterQuote);
                }
            } else {
                let end = memchr::memchr(delimiter, rest).unwrap_or(rest.len());
                self.unquoted.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
            self.ranges.push((start, self.unquoted.len() as u32));
            if rest.is_empty() {
                return Ok(());
            }
            rest = &rest[1..];
            if self.ranges.len() == wanted {
                self.has_more = true;
                return Ok(());
            }
        }
    }

    /// Copies a field up to its closing quote, and returns what follows that.
    fn unquote_field<'l>(&mut self, mut rest: &'l [u8]) -> Result<&'l [u8], Reason> {
        loop {
            let quote = memchr::memchr(QUOTE, rest).ok_or(Reason::UnclosedQuote)?;
            self.unquoted.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(&[QUOTE]) {
                Some(after) => {
                    self.unquoted.push(QUOTE);
                    rest = after;
                }
                None => return Ok(rest),
            }
        }
    }
}
