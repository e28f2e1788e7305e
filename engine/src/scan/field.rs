//! Lines and fields of a text that was marked, and the words in which short fields are read.
#![allow(
    unsafe_code,
    reason = "reads of whole words; the reason why each is sound stands beside it"
)]

use std::ops::Range;

use super::{CR, Ends, QUOTE, READ_BEFORE, READ_BEHIND};

/// A text with room around a part of it, and the marks of that part.
///
/// Invariant, which [`Marked::new`] checks: the part lies [`READ_BEFORE`] bytes or more behind the text's beginning and
/// [`READ_BEHIND`] or more before its end. All lines and fields lie in the part.
#[derive(Clone, Copy)]
pub(crate) struct Marked<'m> {
    text: &'m [u8],
    ends: &'m Ends,
}

/// One line of a text.
#[derive(Clone, Copy)]
pub(crate) struct Line<'m> {
    text: &'m [u8],
    /// The position before the line, then where each of its fields ends: at a delimiter, the last at the newline.
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
    /// `ends` are those of `part`; the first of its fields is the position before it.
    pub(super) fn new(text: &'m [u8], part: Range<usize>, ends: &'m Ends) -> Self {
        assert!(part.start >= READ_BEFORE && part.end + READ_BEHIND <= text.len());
        let in_part = |position: &u32| (part.start - 1..part.end).contains(&(*position as usize));
        assert!(ends.fields.first().is_some_and(in_part) && ends.fields.last().is_some_and(in_part));
        Self { text, ends }
    }

    /// Whether there is a quote or a CR.
    pub(crate) fn has_odd(self) -> bool {
        self.ends.has_odd
    }

    /// Whether there is a NUL.
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
    /// How many fields the line has, as far as delimiters tell. Never none.
    #[inline(always)]
    pub(crate) fn fields(&self) -> usize {
        self.borders.len() - 1
    }

    /// A field, as delimiters tell. Where the line ends with a CR, so does its last field.
    #[inline(always)]
    pub(crate) fn field(&self, position: usize) -> Field<'m> {
        Field {
            text: self.text,
            start: self.borders[position] as usize + 1,
            end: self.borders[position + 1] as usize,
        }
    }

    /// The first byte: that of the newline where the line is empty.
    #[inline(always)]
    pub(crate) fn first_byte(&self) -> u8 {
        self.field(0).first_byte()
    }

    /// The line with whatever stands before its newline.
    #[inline(always)]
    pub(crate) fn whole(&self) -> Field<'m> {
        Field {
            text: self.text,
            start: self.borders[0] as usize + 1,
            end: self.borders[self.borders.len() - 1] as usize,
        }
    }

    /// The line without the CR that may come before its newline.
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
    /// A field anywhere in a text, with room around it.
    #[cfg(test)]
    pub(crate) fn of(text: &'m [u8], range: Range<usize>) -> Self {
        assert!(range.start >= READ_BEFORE && range.end + READ_BEHIND <= text.len());
        Self {
            text,
            start: range.start,
            end: range.end,
        }
    }

    /// Where it stands in the text.
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

    /// The first byte, or that behind an empty field.
    #[inline(always)]
    pub(crate) fn first_byte(&self) -> u8 {
        // SAFETY: fields lie in the part, and bytes may be read behind it.
        unsafe { *self.text.get_unchecked(self.start) }
    }

    /// The eight bytes from the field's start on, of which those behind the field are others'.
    #[inline(always)]
    pub(crate) fn eight_from_start(&self) -> u64 {
        // SAFETY: 16 bytes may be read from every place of the part, by the invariant of `Marked`.
        u64::from_le_bytes(unsafe { self.text.as_ptr().add(self.start).cast::<[u8; 8]>().read() })
    }

    /// The sixteen bytes from the field's start on, of which those behind the field are others'.
    #[inline(always)]
    pub(crate) fn sixteen_from_start(&self) -> u128 {
        // SAFETY: as above.
        u128::from_le_bytes(unsafe { self.text.as_ptr().add(self.start).cast::<[u8; 16]>().read() })
    }

    /// The eight bytes up to the field's end, of which those before the field are others'.
    #[inline(always)]
    pub(crate) fn eight_to_end(&self) -> u64 {
        // SAFETY: 16 bytes may be read before every place of the part, by the invariant of `Marked`.
        u64::from_le_bytes(unsafe { self.text.as_ptr().add(self.end - 8).cast::<[u8; 8]>().read() })
    }

    /// The same field up to an end that may come before its own.
    #[inline(always)]
    pub(crate) fn up_to(self, end: usize) -> Self {
        Self {
            end: self.end.min(end).max(self.start),
            ..self
        }
    }

    /// The inside of a field that begins with a quote, if the only other one is at its end.
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
        // The lowest byte whose upper bit is left is the first that is a quote; what is left above it means nothing.
        let bytes = self.sixteen_from_start() ^ QUOTES;
        let quotes = bytes.wrapping_sub(ONES) & !bytes & HIGH;
        quotes & (u128::MAX >> (128 - 8 * self.len())) != 0
    }
}
