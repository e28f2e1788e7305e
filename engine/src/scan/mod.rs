//! Finds where the fields and lines of a text end: the first of the two steps of reading a text.
//!
//! Every byte of every file passes through here, so there are vectorised scans besides the portable one. All find the
//! same positions, which tests verify on random and hostile texts. For quotes, CRs and NULs, a scan only reports
//! whether there are any: whether one matters is decided when its field is read.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod field;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod room;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(crate) use self::field::{Field, Line, Marked};

/// The byte that opens and closes a quoted field.
pub(crate) const QUOTE: u8 = b'"';

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
/// Bytes per step of the vectorised scans: one for each bit of the word that marks what was found.
const STEP: usize = 64;

/// Bytes before a part that must be readable: an amount is read as the eight bytes up to its end.
pub(crate) const READ_BEFORE: usize = 16;

/// Bytes after a part that must be readable: a short text is read as the sixteen bytes from its start.
pub(crate) const READ_BEHIND: usize = 16;

/// A carriage return, which ends a line, alone or together with a newline behind it.
pub(crate) const CR: u8 = b'\r';

/// How many bytes are scanned before their lines are read: few enough that the marks stay in the core's L1 cache.
const PART: usize = 32 << 10;

/// Adds the ends of fields and lines in `text`, which begins at `offset` in its unit.
type Scan = fn(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends);

/// The results of a scan.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    /// The positions of delimiters and newlines, ascending. [`Marks::mark`] puts the position before the text first.
    fields: Vec<u32>,
    /// For each newline, its index in `fields`.
    lines: Vec<u32>,
    /// Whether there is a quote or a CR anywhere. Most files have neither, so their lines are read without checking for
    /// them.
    has_odd: bool,
    /// Whether there is a NUL anywhere: lines of such a text take the careful path.
    has_nul: bool,
}

/// Marks the fields and lines of texts with one delimiter.
pub(crate) struct Marks {
    delimiter: u8,
    scan: Scan,
    ends: Ends,
}

impl Marks {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            scan: fastest(),
            ends: Ends::default(),
        }
    }

    /// Marks a part of a text. The part must have [`READ_BEFORE`] bytes before it and [`READ_BEHIND`] bytes after it,
    /// begin at the beginning of a line, and end with a newline.
    pub(crate) fn mark<'m>(&'m mut self, text: &'m [u8], part: Range<usize>) -> Marked<'m> {
        let Self {
            delimiter,
            scan,
            ends,
        } = self;
        ends.fields.clear();
        ends.fields.push(part.start as u32 - 1);
        ends.lines.clear();
        ends.has_odd = false;
        ends.has_nul = false;
        scan(&text[part.clone()], part.start as u32, *delimiter, ends);
        Marked::new(text, part, ends)
    }
}

/// Returns the part that a text of whole lines begins with: whole lines, and about [`PART`] bytes.
pub(crate) fn first_part(text: &[u8], whole: Range<usize>) -> Range<usize> {
    let limit = whole.end.min(whole.start + PART);
    let end = match memchr::memrchr(b'\n', &text[whole.start..limit]) {
        Some(newline) => whole.start + newline + 1,
        // A line longer than a part.
        None => memchr::memchr(b'\n', &text[limit..whole.end]).map_or(whole.end, |at| limit + at + 1),
    };
    whole.start..end
}

/// Returns the fastest scan that this processor supports.
fn fastest() -> Scan {
    #[cfg(target_arch = "x86_64")]
    if let Some(scan) = avx512::scan_if_available().or_else(avx2::scan_if_available) {
        return scan;
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(scan) = neon::scan_if_available() {
        return scan;
    }
    portable::scan
}
