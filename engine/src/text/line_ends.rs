//! What ends a line: LF, CR LF, CR, and CR CR LF, which a transfer in text mode makes of CR LF.
//!
//! Nearly every file has LF or CR LF alone, which need no change: a line is what stands before an LF, and a CR before
//! it is left out. Where a text has any other CR, its line ends are made alike first ([`unify`]).

use std::ops::Range;

use crate::scan::CR;

/// Returns the length of the line end that a text begins with; 0 if it begins with none.
pub(super) fn length(text: &[u8]) -> usize {
    match text {
        [CR, CR, b'\n', ..] => 3,
        [CR, b'\n', ..] => 2,
        [CR | b'\n', ..] => 1,
        _ => 0,
    }
}

/// Returns the position after the last CR of a text without LF that is known to end a line: what follows the text may
/// be an LF that belongs to the same line end.
pub(super) fn last_certain(text: &[u8]) -> Option<usize> {
    let without_two = text.len().checked_sub(2)?;
    memchr::memrchr(CR, &text[..without_two]).map(|at| at + 1)
}

/// Makes every line end in a range an LF, and returns where the range, now shorter, ends.
pub(crate) fn unify(text: &mut [u8], lines: Range<usize>) -> usize {
    let (mut from, mut to) = (lines.start, lines.start);
    while let Some(found) = memchr::memchr2(CR, b'\n', &text[from..lines.end]) {
        let end = from + found;
        let behind = end + length(&text[end..lines.end]);
        text.copy_within(from..end, to);
        to += found;
        text[to] = b'\n';
        to += 1;
        from = behind;
    }
    text.copy_within(from..lines.end, to);
    to + (lines.end - from)
}

/// A Ctrl-Z.
pub(super) const END_MARK: u8 = 0x1A;

/// Counts the lines of bytes that come piece by piece.
#[derive(Debug, Default)]
pub(super) struct LineCount {
    /// Lines so far, without the one that has not ended.
    ended: u64,
    /// How many of them have text.
    with_text: u64,
    /// CRs at the end of what has come: what follows decides whether they end one line or several.
    crs: u8,
    is_open: bool,
    has_text: bool,
}

impl LineCount {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    self.crs = 0;
                    self.end();
                }
                CR if self.crs == 2 => self.end(),
                CR => self.crs += 1,
                _ => {
                    self.end_crs();
                    self.is_open = true;
                    self.has_text |= !matches!(byte, 0 | END_MARK | b' ' | b'\t');
                }
            }
        }
    }

    /// Returns the number of lines, and how many of them have text other than blanks and padding.
    pub(super) fn finish(mut self) -> (u64, u64) {
        self.end_crs();
        if self.is_open {
            self.end();
        }
        (self.ended, self.with_text)
    }

    fn end_crs(&mut self) {
        for _ in 0..std::mem::take(&mut self.crs) {
            self.end();
        }
    }

    fn end(&mut self) {
        self.ended += 1;
        self.with_text += u64::from(self.has_text);
        self.is_open = false;
        self.has_text = false;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the lines of a text by definition, each without its end, and whether the last one has an end.
    pub(crate) fn lines(text: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut lines = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some(at) = memchr::memchr2(CR, b'\n', rest) else {
                lines.push(rest.to_vec());
                return (lines, false);
            };
            lines.push(rest[..at].to_vec());
            let ends: [&[u8]; 4] = [b"\r\r\n", b"\r\n", b"\n", b"\r"];
            let end = ends.into_iter().find(|end| rest[at..].starts_with(end));
            rest = &rest[at + end.map_or(1, <[u8]>::len)..];
        }
        (lines, true)
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\r\r\r\n\nab".to_vec()), 0..40)
    }

    proptest! {
        #[test]
        fn line_ends_are_made_alike(text in text(), before in 0..3_usize) {
            let mut changed = [&b"xyz"[..before], &text, b"z"].concat();
            let end = unify(&mut changed, before..before + text.len());
            let (expected, is_ended) = lines(&text);
            let mut joined = expected.join(&b'\n');
            if is_ended && !expected.is_empty() {
                joined.push(b'\n');
            }
            prop_assert_eq!(&changed[before..end], &joined);
            prop_assert_eq!(&changed[..before], &b"xyz"[..before]);
        }

        #[test]
        fn a_certain_end_stays_one_whatever_follows(text in "[\r\rab]{0,12}", behind in "[\r\nab]{0,4}") {
            if let Some(at) = last_certain(text.as_bytes()) {
                let whole = [text.as_bytes(), behind.as_bytes()].concat();
                let (mut halves, is_ended) = lines(&whole[..at]);
                prop_assert!(is_ended);
                halves.extend(lines(&whole[at..]).0);
                prop_assert_eq!(halves, lines(&whole).0);
            }
        }

        #[test]
        fn lines_are_counted_piece_by_piece(text in text(), size in 1..5_usize) {
            let mut count = LineCount::default();
            text.chunks(size).for_each(|piece| count.add(piece));
            let (expected, _) = lines(&text);
            let with_text = expected.iter().filter(|line| !line.is_empty()).count() as u64;
            prop_assert_eq!(count.finish(), (expected.len() as u64, with_text));
        }
    }
}
