//! Splits any line into fields, including quoted ones.
//!
//! Most lines never come here: [`crate::sales`] reads plain ones in place. This module is the reference that it must
//! agree with.

use std::ops::Range;

use crate::rejects::Reason;
use crate::scan::QUOTE;

/// The fields of one line, in a copy of it without quotes.
#[derive(Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    ranges: Vec<Range<usize>>,
    /// What the first fields are, if they are cells of a table; all others are text.
    typed: Vec<Typed>,
    /// Whether the line has more fields than were wanted.
    pub(crate) has_more: bool,
}

/// What a field is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Text, which the settings say how to read.
    #[default]
    Text,
    /// A number: digits, with a point and a sign where it has them, whatever the settings say of texts.
    Number,
    /// A day as `2016-06-01`, with a time of day behind if it has one.
    Date,
    /// No value: what the cell says is an error.
    Error,
}

impl Fields {
    /// Returns the field at a position.
    pub(crate) fn get(&self, position: usize) -> Option<&[u8]> {
        let range = self
            .ranges
            .get(position)
            .filter(|range| range.start <= range.end)?;
        Some(&self.text[range.clone()])
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Returns all fields found, in order. Only records of fixed positions lack fields between others, and these have
    /// no header.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ranges.len()).filter_map(|position| self.get(position))
    }

    /// Returns what the field at a position is.
    pub(crate) fn typed(&self, position: usize) -> Typed {
        self.typed.get(position).copied().unwrap_or_default()
    }

    /// Removes all fields.
    pub(crate) fn clear(&mut self) {
        self.typed.clear();
        self.ranges.clear();
        self.text.clear();
        self.has_more = false;
    }

    /// Appends to the text of the last field.
    pub(crate) fn extend(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Ends the last field.
    pub(crate) fn end_field(&mut self) {
        let start = self.ranges.last().map_or(0, |range| range.end);
        self.ranges.push(start..self.text.len());
    }

    /// Ends the last field, which is a cell of a table.
    pub(crate) fn end_cell(&mut self, typed: Typed) {
        self.end_field();
        self.typed.resize(self.ranges.len() - 1, Typed::Text);
        self.typed.push(typed);
    }

    /// Adds a field that the record lacks.
    pub(crate) fn lack_field(&mut self) {
        let end = self.text.len();
        // No field begins behind its end.
        self.ranges.push(end + 1..end);
    }

    /// Splits a line, given without its line ending, into up to `wanted` fields.
    pub(crate) fn split(&mut self, line: &[u8], delimiter: u8, wanted: usize) -> Result<(), Reason> {
        self.clear();
        let mut rest = line;
        loop {
            let start = self.text.len();
            if let Some(quoted) = rest.strip_prefix(&[QUOTE]) {
                rest = self.unquote_field(quoted)?;
                if !rest.is_empty() && rest[0] != delimiter {
                    return Err(Reason::TextAfterQuote);
                }
            } else {
                let end = memchr::memchr(delimiter, rest).unwrap_or(rest.len());
                self.text.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
            self.ranges.push(start..self.text.len());
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
            self.text.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(&[QUOTE]) {
                Some(after) => {
                    self.text.push(QUOTE);
                    rest = after;
                }
                None => return Ok(rest),
            }
        }
    }
}
