//! Finds where the fields and lines of a text end: the first of the two steps in which a text is read.
//!
//! Every byte of every file passes here, so there are vectorised ways beside the portable one. All find the same
//! positions, which the tests show on random and on hostile texts. Of quotes, CRs and NULs it is only told whether there
//! are any: whether one matters is seen when its field is read.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod room;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// The byte that opens and closes a quoted field.
pub(crate) const QUOTE: u8 = b'"';

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
/// Bytes looked at in one step of the vectorised ways: the bits of the word that tells what was found.
const STEP: usize = 64;

/// What may stand before a newline and belongs to it.
const CR: u8 = b'\r';

/// How many bytes are scanned before their lines are read: the marks stay in the core's nearest cache.
const PART: usize = 64 << 10;

/// Adds the ends of a text that lies at an offset of its block.
type Scan = fn(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends);

/// What a scan finds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    /// The positions of delimiters and newlines, ascending. Before a scan there is one more: that before the text.
    fields: Vec<u32>,
    /// For each newline, its place in `fields`.
    lines: Vec<u32>,
    /// Whether there is a quote or a CR anywhere. Most files have neither, and their lines are read without asking.
    has_odd: bool,
    /// Whether there is a NUL anywhere: what is broken is read with care.
    has_nul: bool,
}

/// Marks fields and lines for one delimiter.
pub(crate) struct Marks {
    delimiter: u8,
    scan: Scan,
    ends: Ends,
}

/// One line of a text.
#[derive(Clone, Copy)]
pub(crate) struct Line<'m> {
    /// The position before the line, then where each of its fields ends: at a delimiter, the last at the newline.
    borders: &'m [u32],
}

impl Marks {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            scan: fastest(),
            ends: Ends::default(),
        }
    }

    /// Marks a part of a text. The part must begin where a line begins and end with a newline.
    pub(crate) fn mark(&mut self, text: &[u8], part: Range<usize>) {
        self.ends.fields.clear();
        self.ends.fields.push((part.start as u32).wrapping_sub(1));
        self.ends.lines.clear();
        self.ends.has_odd = false;
        self.ends.has_nul = false;
        (self.scan)(
            &text[part.clone()],
            part.start as u32,
            self.delimiter,
            &mut self.ends,
        );
    }

    /// Whether the part that was marked last has a quote or a CR.
    pub(crate) fn has_odd(&self) -> bool {
        self.ends.has_odd
    }

    /// Whether the part that was marked last has a NUL.
    pub(crate) fn has_nul(&self) -> bool {
        self.ends.has_nul
    }

    /// The lines of the part that was marked last.
    #[inline(always)]
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let Ends { fields, lines, .. } = &self.ends;
        let mut before = 0;
        lines.iter().map(move |&newline| {
            let borders = &fields[before..=newline as usize];
            before = newline as usize;
            Line { borders }
        })
    }
}

impl Line<'_> {
    /// How many fields the line has, as far as delimiters tell. Never none.
    #[inline(always)]
    pub(crate) fn fields(&self) -> usize {
        self.borders.len() - 1
    }

    /// A field, as delimiters tell. Where the line ends with a CR, so does its last field.
    #[inline(always)]
    pub(crate) fn field(&self, position: usize) -> Range<usize> {
        self.borders[position].wrapping_add(1) as usize..self.borders[position + 1] as usize
    }

    /// Where it begins.
    #[inline(always)]
    pub(crate) fn start(&self) -> usize {
        self.borders[0].wrapping_add(1) as usize
    }

    /// Where its newline stands.
    #[inline(always)]
    pub(crate) fn newline(&self) -> usize {
        self.borders[self.borders.len() - 1] as usize
    }

    /// Its content: without the newline, and without the CR that may come before that.
    pub(crate) fn content(&self, text: &[u8]) -> Range<usize> {
        let (start, newline) = (self.start(), self.newline());
        let has_cr = newline > start && text[newline - 1] == CR;
        start..newline - usize::from(has_cr)
    }
}

/// Cuts a text of whole lines into parts of whole lines, each about [`PART`] bytes.
pub(crate) fn parts(text: &[u8], whole: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = whole.start;
    std::iter::from_fn(move || {
        if start == whole.end {
            return None;
        }
        let limit = whole.end.min(start + PART);
        let end = match memchr::memrchr(b'\n', &text[start..limit]) {
            Some(newline) => start + newline + 1,
            // A line longer than a part.
            None => memchr::memchr(b'\n', &text[limit..whole.end]).map_or(whole.end, |at| limit + at + 1),
        };
        let part = start..end;
        start = end;
        Some(part)
    })
}

/// The fastest way that this processor has.
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
