//! Splits an input into units of whole lines, which threads then read in parallel.
//!
//! A line end ends a line even inside quotes, so that a stray quote costs one line, not the rest of the file. Units are
//! cut at LFs; where there is none, at CRs. Units need
//! no allocation: each thread fills its own buffer again and again, and only the unfinished line at its end is copied
//! to the next unit.

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::ops::Range;

use super::line_ends;
use crate::scan::{CR, READ_BEFORE, READ_BEHIND};

/// The length of a line without its end, in bytes, from which on it is a reject. A point-of-sale line has a few
/// dozen.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Bytes of a file's first unit.
const FIRST_UNIT: usize = 256 << 10;

/// Bytes that a new buffer reads before it grows to a unit's size.
const FIRST_READ: usize = 16 << 10;

/// How many bytes of a line over [`MAX_LINE`] are kept.
pub(crate) const LONG_LINE_KEPT: usize = 4096;

/// Some whole lines of an input.
pub(crate) struct Unit {
    /// A buffer that holds the text in `lines`, with room before and after it.
    pub(crate) text: Vec<u8>,
    /// The range of the whole lines: empty, or with an LF at the end, or with a CR if `ends_in_cr`.
    pub(crate) lines: Range<usize>,
    /// Whether the last line ends with a CR alone, so that the ends of lines must be made alike before they are marked.
    pub(crate) ends_in_cr: bool,
    /// The position of this unit in the input, from 0.
    pub(crate) number: u64,
    /// If the unit is one line that is too long: its length without its end. `lines` then holds its beginning.
    pub(crate) long_line: Option<u64>,
}

impl Unit {
    pub(crate) fn new() -> Self {
        Self {
            text: Vec::new(),
            lines: 0..0,
            ends_in_cr: false,
            number: 0,
            long_line: None,
        }
    }
}

/// Splits an input into [`Unit`]s.
pub(crate) struct Units<R> {
    input: R,
    ends: LineEnds,
    /// The approximate size of the next unit in bytes. Units grow, so that every thread soon has one of a small file,
    /// and large files have large ones.
    size: usize,
    max: usize,
    /// What was read after the last unit: usually the beginning of an unfinished line.
    carried: Vec<u8>,
    /// Units given out.
    count: u64,
    is_at_end: bool,
    /// Whether the last line has no end of its own.
    is_unfinished: bool,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// LF, CR, or both, as registers write them.
    Any,
    /// LF alone, as in lines of JSON, where a CR is a blank. Lines may be longer there: up to so many bytes.
    Lf { longest: usize },
}

impl<R: Read> Units<R> {
    /// Creates units that grow to about `max` bytes.
    pub(crate) fn new(input: R, max: usize, ends: LineEnds) -> Self {
        Self {
            input,
            ends,
            size: max.min(FIRST_UNIT),
            max,
            carried: Vec::new(),
            count: 0,
            is_at_end: false,
            is_unfinished: false,
        }
    }

    /// Returns whether all lines are known to have been handed out.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end && self.carried.is_empty()
    }

    /// Returns the input, and whether the last line has no end of its own, once all lines have been handed out.
    pub(crate) fn into_input(self) -> (R, bool) {
        (self.input, self.is_unfinished)
    }

    /// Hands out no more units, because the rest would be read for nothing.
    pub(crate) fn stop(&mut self) {
        self.is_at_end = true;
        self.carried.clear();
    }

    /// Fills `unit` with the next unit, or returns `false` at the end. After a failure there are no more units.
    pub(crate) fn fill(&mut self, unit: &mut Unit) -> io::Result<bool> {
        self.try_fill(unit).inspect_err(|_| self.stop())
    }

    fn try_fill(&mut self, unit: &mut Unit) -> io::Result<bool> {
        if self.is_at_end() {
            return Ok(false);
        }
        let Unit { text, lines, .. } = unit;
        let least = READ_BEFORE + self.carried.len().max(self.size) + 1 + READ_BEHIND;
        // The first unit of a small file is the whole file, and a buffer's cost grows with its size.
        let first = READ_BEFORE + self.carried.len() + FIRST_READ.min(self.size) + 1 + READ_BEHIND;
        if text.len() < first {
            text.resize(first, 0);
        }
        let start = READ_BEFORE;
        let mut end = start + self.carried.len();
        text[start..end].copy_from_slice(&self.carried);
        let mut searched = start;
        unit.ends_in_cr = false;
        let whole = loop {
            let room = text.len() - 1 - READ_BEHIND;
            let read = self.read(&mut text[end..room])?;
            end += read;
            if text.len() < least && !self.is_at_end {
                text.resize(least, 0);
                continue;
            }
            if let Some(newline) = memchr::memrchr(b'\n', &text[searched..end]) {
                break searched + newline + 1;
            }
            searched = end;
            if self.is_at_end {
                unit.ends_in_cr = end > start && text[end - 1] == CR && self.ends == LineEnds::Any;
                if end > start && !unit.ends_in_cr {
                    // A last line without an end gets one. One of blanks alone is nothing that was cut.
                    let is_blank = text[start..end].trim_ascii().is_empty();
                    self.is_unfinished = self.ends == LineEnds::Any || !is_blank;
                    text[end] = b'\n';
                    end += 1;
                }
                break end;
            }
            let longest = match self.ends {
                LineEnds::Any => MAX_LINE,
                LineEnds::Lf { longest } => longest,
            };
            if self.ends == LineEnds::Any
                && let Some(whole) = line_ends::last_certain(&text[start..end])
            {
                unit.ends_in_cr = true;
                break start + whole;
            }
            // Its last two bytes may be the beginning of the line's end.
            if end - start >= longest + 2 {
                unit.number = self.number();
                return self.skip_long_line(unit, end).map(|()| true);
            }
            text.resize(text.len() * 2, 0);
        };
        self.carried.clear();
        self.carried.extend_from_slice(&text[whole..end]);
        *lines = start..whole;
        unit.long_line = None;
        if whole == start {
            return Ok(false);
        }
        unit.number = self.number();
        self.size = self.max.min(self.size * 2);
        Ok(true)
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count - 1
    }

    /// Reads until the buffer is full or the input ends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && !self.is_at_end {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => self.is_at_end = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Skips the rest of the line that begins the unit, and keeps its beginning.
    fn skip_long_line(&mut self, unit: &mut Unit, end: usize) -> io::Result<()> {
        const PIECE: usize = 64 << 10;
        let start = READ_BEFORE;
        let mut length = (end - start - 2) as u64;
        let mut rest = unit.text[end - 2..end].to_vec();
        self.carried.clear();
        loop {
            let end = match self.ends {
                LineEnds::Any => memchr::memchr2(CR, b'\n', &rest),
                LineEnds::Lf { .. } => memchr::memchr(b'\n', &rest),
            };
            if let Some(at) = end {
                // The longest line end has three bytes.
                while rest.len() - at < 3 && !self.is_at_end {
                    self.read_more(&mut rest, PIECE)?;
                }
                length += at as u64;
                let behind = at + line_ends::length(&rest[at..]);
                self.carried.extend_from_slice(&rest[behind..]);
                break;
            }
            length += rest.len() as u64;
            rest.clear();
            if self.is_at_end {
                self.is_unfinished = true;
                break;
            }
            self.read_more(&mut rest, PIECE)?;
        }
        unit.lines = start..start + LONG_LINE_KEPT;
        unit.long_line = Some(length);
        Ok(())
    }

    /// Appends up to `count` bytes of the input.
    fn read_more(&mut self, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
        let before = bytes.len();
        bytes.resize(before + count, 0);
        let read = self.read(&mut bytes[before..])?;
        bytes.truncate(before + read);
        Ok(())
    }
}
