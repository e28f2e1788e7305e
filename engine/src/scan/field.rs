//! Lines and fields of a marked text, and reading short fields as whole words.
#![allow(
    unsafe_code,
    reason = "reads of whole words; each comes with the reason why it is sound"
)]

use std::ops::Range;

use super::{CR, Ends, QUOTE, READ_BEFORE, READ_BEHIND};

/// A text, and the marks of a part of it that has room around it.
///
/// Invariant, which [`Marked::new`] checks: the part begins at least [`READ_BEFORE`] bytes after the text's beginning
/// and ends at least [`READ_BEHIND`] bytes before its end. All lines and fields lie in the part.
#[derive(Clone, Copy)]
pub(crate) struct Marked<'m> {
    text: &'m [u8],
    ends: &'m Ends,
}

/// One line of a text.
#[derive(Clone, Copy)]
pub(crate) struct Line<'m> {
    text: &'m [u8],
    /// The position before the line, then the end of each of its fields: a delimiter, or the newline for the last.
    borders: &'m [u32],
}

/// A part of a line.
#[derive(Clone, Copy)]
pub(crate) struct Field<'m> {
    text: &'m [u8],
    start: usize,
    end: usize,
}

impl<'m> Marked<'m> {
    /// Creates a marked text. `ends` are the ends in `part`, with the position before `part` first among the fields.
    pub(super) fn new(text: &'m [u8], part: Range<usize>, ends: &'m Ends) -> Self {
        assert!(part.start >= READ_BEFORE && part.end + READ_BEHIND <= text.len());
        let in_part = |position: &u32| (part.start - 1..part.end).contains(&(*position as usize));
        assert!(ends.fields.first().is_some_and(in_part) && ends.fields.last().is_some_and(in_part));
        Self { text, ends }
    }

    /// Returns whether the part has a quote or a CR.
    pub(crate) fn has_odd(self) -> bool {
        self.ends.has_odd
    }

    /// Returns whether the part has a CR that no newline follows.
    pub(crate) fn has_lone_cr(self) -> bool {
        if !self.ends.has_odd {
            return false;
        }
        let (Some(before), Some(last)) = (self.ends.fields.first(), self.ends.fields.last()) else {
            return false;
        };
        let part = &self.text[*before as usize + 1..=*last as usize];
        let crs = memchr::memchr_iter(CR, part).count();
        // The byte before the part is not one of it, but no line end can be split there.
        let is_after_cr = |line: &&u32| self.text[self.ends.fields[**line as usize] as usize - 1] == CR;
        crs > 0 && crs != self.ends.lines.iter().filter(is_after_cr).count()
    }

    /// Returns whether the part has a NUL.
    pub(crate) fn has_nul(self) -> bool {
        self.ends.has_nul
    }

    #[inline(always)]
    pub(crate) fn lines(self) -> impl Iterator<Item = Line<'m>> {
        let Ends { fields, lines, .. } = self.ends;
        let mut before = 0;
        lines.iter().map(move |&newline| {
            let borders = &fields[before..=newline as usize];
            before = newline as usize;
            Line {
                text: self.text,
                borders,
            }
        })
    }
}

impl<'m> Line<'m> {
    /// Returns how many fields the line has, going by delimiters alone: at least one.
    #[inline(always)]
    pub(crate) fn fields(&self) -> usize {
        self.borders.len() - 1
    }

    /// Returns a field, going by delimiters alone. If the line ends with a CR, so does its last field.
    #[inline(always)]
    pub(crate) fn field(&self, position: usize) -> Field<'m> {
        Field {
            text: self.text,
            start: self.borders[position] as usize + 1,
            end: self.borders[position + 1] as usize,
        }
    }

    /// Returns the first byte: the newline if the line is empty.
    #[inline(always)]
    pub(crate) fn first_byte(&self) -> u8 {
        self.field(0).first_byte()
    }

    /// Returns everything before the line's newline.
    #[inline(always)]
    pub(crate) fn whole(&self) -> Field<'m> {
        Field {
            text: self.text,
            start: self.borders[0] as usize + 1,
            end: self.borders[self.borders.len() - 1] as usize,
        }
    }

    /// Returns the line without the CR that may come before its newline.
    pub(crate) fn content(&self) -> Field<'m> {
        let Field { text, start, end } = self.whole();
        let has_cr = end > start && text[end - 1] == CR;
        Field {
            end: end - usize::from(has_cr),
            ..self.whole()
        }
    }
}

impl<'m> Field<'m> {
    /// Creates a field anywhere in a text, with room around it.
    #[inline(always)]
    pub(crate) fn of(text: &'m [u8], range: Range<usize>) -> Self {
        assert!(
            range.start >= READ_BEFORE && range.start <= range.end && range.end + READ_BEHIND <= text.len()
        );
        Self {
            text,
            start: range.start,
            end: range.end,
        }
    }

    /// Returns the field's range in the text.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn bytes(&self) -> &'m [u8] {
        &self.text[self.start..self.end]
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns the first byte, or the byte after an empty field.
    #[inline(always)]
    pub(crate) fn first_byte(&self) -> u8 {
        // SAFETY: fields lie in the part, and the bytes after it can be read.
        unsafe { *self.text.get_unchecked(self.start) }
    }

    /// Returns the eight bytes from the field's start; bytes past its end are not the field's.
    #[inline(always)]
    pub(crate) fn eight_from_start(&self) -> u64 {
        // SAFETY: 16 bytes can be read from every position in the part, by the invariant of `Marked`.
        u64::from_le_bytes(unsafe { self.text.as_ptr().add(self.start).cast::<[u8; 8]>().read() })
    }

    /// Returns the sixteen bytes from the field's start; bytes past its end are not the field's.
    #[inline(always)]
    pub(crate) fn sixteen_from_start(&self) -> u128 {
        // SAFETY: as above.
        u128::from_le_bytes(unsafe { self.text.as_ptr().add(self.start).cast::<[u8; 16]>().read() })
    }

    /// Returns the eight bytes up to the field's end; bytes before its start are not the field's.
    #[inline(always)]
    pub(crate) fn eight_to_end(&self) -> u64 {
        // SAFETY: 16 bytes can be read before every position in the part, by the invariant of `Marked`.
        u64::from_le_bytes(unsafe { self.text.as_ptr().add(self.end - 8).cast::<[u8; 8]>().read() })
    }

    /// Returns the field cut off at `end`, if that comes before its own end.
    #[inline(always)]
    pub(crate) fn up_to(self, end: usize) -> Self {
        Self {
            end: self.end.min(end).max(self.start),
            ..self
        }
    }

    /// Returns the inside of a field that begins with a quote, if its only other quote is at its end.
    #[inline(always)]
    pub(crate) fn between_quotes(self) -> Option<Self> {
        let end = self.end.checked_sub(1).filter(|end| *end > self.start)?;
        let closing = Self { start: end, ..self };
        let inside = Self {
            text: self.text,
            start: self.start + 1,
            end,
        };
        (closing.first_byte() == QUOTE && !inside.has_quote()).then_some(inside)
    }

    #[inline(always)]
    fn has_quote(self) -> bool {
        const ONES: u128 = u128::from_le_bytes([1; 16]);
        const HIGH: u128 = u128::from_le_bytes([0x80; 16]);
        const QUOTES: u128 = u128::from_le_bytes([QUOTE; 16]);
        if !(1..=16).contains(&self.len()) {
            return memchr::memchr(QUOTE, self.bytes()).is_some();
        }
        // The lowest byte with its high bit set is the first quote; the bytes above it are meaningless.
        let bytes = self.sixteen_from_start() ^ QUOTES;
        let quotes = bytes.wrapping_sub(ONES) & !bytes & HIGH;
        quotes & (u128::MAX >> (128 - 8 * self.len())) != 0
    }
}
