//! A text up to its end as registers mark it: a Ctrl-Z ends the file, and NULs at its end are padding.
//!
//! Both come from systems that keep files in whole blocks. Lines behind a Ctrl-Z are the remains of earlier contents of
//! such a block: they are counted, and told if they have text, but not read.

use std::io::{self, Read};

use super::line_ends::{END_MARK, LineCount};
use crate::scan::CR;

/// The text of an input, without its end mark, what follows that, and the padding before it.
pub(crate) struct WholeText<R> {
    input: R,
    /// The last byte that was given out.
    last: Option<u8>,
    /// NULs that were read and not given out: padding, unless something follows.
    nuls: u64,
    /// NULs to give out now, because something follows them.
    owed_nuls: u64,
    /// What follows those.
    owed: Vec<u8>,
    /// The lines from the end mark on, if there is one.
    behind_mark: Option<LineCount>,
    is_over: bool,
}

/// What came after the text that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Lines that hold nothing that was read.
    pub(crate) lines: u64,
    /// Lines behind the end mark that have text.
    pub(crate) with_text: u64,
    /// Whether the text was ended by a mark.
    pub(crate) is_marked: bool,
}

impl<R: Read> WholeText<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            last: None,
            nuls: 0,
            owed_nuls: 0,
            owed: Vec::new(),
            behind_mark: None,
            is_over: false,
        }
    }

    /// Returns what came after the text, once all of it was read.
    pub(crate) fn behind(self) -> Behind {
        let is_in_line = self.last.is_some_and(|last| last != b'\n' && last != CR);
        let own = u64::from(!is_in_line);
        match self.behind_mark {
            None => Behind {
                lines: own.min(self.nuls),
                ..Behind::default()
            },
            Some(count) => {
                let (lines, with_text) = count.finish();
                Behind {
                    lines: lines.max(1) - 1 + own,
                    with_text,
                    is_marked: true,
                }
            }
        }
    }

    /// Gives out what was held back.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let given = if self.owed_nuls > 0 {
            let given = buffer
                .len()
                .min(usize::try_from(self.owed_nuls).unwrap_or(usize::MAX));
            buffer[..given].fill(0);
            self.owed_nuls -= given as u64;
            given
        } else {
            let given = buffer.len().min(self.owed.len());
            buffer[..given].copy_from_slice(&self.owed[..given]);
            self.owed.drain(..given);
            given
        };
        self.last = buffer[..given].last().copied().or(self.last);
        given
    }

    /// Reads what follows the end mark: the caller needs to see every byte of its input.
    fn read_on(&mut self, mut count: LineCount) -> io::Result<()> {
        let mut bytes = vec![0; 16 << 10];
        loop {
            match self.input.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => count.add(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.behind_mark = Some(count);
        self.is_over = true;
        Ok(())
    }
}

impl<R: Read> Read for WholeText<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.owed_nuls > 0 || !self.owed.is_empty() {
                return Ok(self.give(buffer));
            }
            if self.is_over || buffer.is_empty() {
                return Ok(0);
            }
            let mut read = self.input.read(buffer)?;
            if read == 0 {
                self.is_over = true;
                return Ok(0);
            }
            if let Some(at) = memchr::memchr(END_MARK, &buffer[..read]) {
                let mut count = LineCount::default();
                count.add(&buffer[at + 1..read]);
                self.read_on(count)?;
                read = at;
            }
            let text = buffer[..read]
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            let nuls = (read - text) as u64;
            if text == 0 {
                self.nuls += nuls;
                continue;
            }
            if self.nuls > 0 {
                self.owed_nuls = self.nuls;
                self.owed = buffer[..text].to_vec();
                self.nuls = nuls;
                continue;
            }
            self.nuls = nuls;
            self.last = Some(buffer[text - 1]);
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::line_ends::tests::lines;
    use super::*;

    /// Yields a few bytes at a time, with interruptions.
    struct Slow<'t>(&'t [u8], usize, usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.2 += 1;
            if self.2.is_multiple_of(5) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let limit = self.1.min(buffer.len());
            self.0.read(&mut buffer[..limit])
        }
    }

    fn read(bytes: &[u8], size: usize) -> (Vec<u8>, Behind) {
        let mut whole = WholeText::new(Slow(bytes, size, 0));
        let mut text = Vec::new();
        whole.read_to_end(&mut text).unwrap();
        (text, whole.behind())
    }

    #[test]
    fn ends_of_registers() {
        let behind = |lines, with_text, is_marked| Behind {
            lines,
            with_text,
            is_marked,
        };
        for (bytes, text, expected) in [
            (&b"a\nb"[..], &b"a\nb"[..], behind(0, 0, false)),
            (b"a\r\n\x1a", b"a\r\n", behind(1, 0, true)),
            (b"a\x1a\0\0\0", b"a", behind(0, 0, true)),
            (b"a\n\0\0", b"a\n", behind(1, 0, false)),
            (b"a\0\0", b"a", behind(0, 0, false)),
            (b"a\0\0b\0", b"a\0\0b", behind(0, 0, false)),
            (b"a\n\x1aold\nolder\r\n\0", b"a\n", behind(3, 2, true)),
            (b"a\x1aold\nolder", b"a", behind(1, 2, true)),
            (b"\x1a\x1a\x1a", b"", behind(1, 0, true)),
            (b"\0", b"", behind(1, 0, false)),
            (b"", b"", behind(0, 0, false)),
        ] {
            assert_eq!(read(bytes, 2), (text.to_vec(), expected), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_line_is_read_or_counted(
            bytes in prop::collection::vec(prop::sample::select(b"\n\r\0\0\x1aab".to_vec()), 0..40),
            size in 1..9_usize,
        ) {
            let (text, behind) = read(&bytes, size);
            let all = match bytes.iter().position(|byte| *byte == END_MARK) {
                // The mark's own line is that of the text before it.
                Some(at) => lines(&[&bytes[..at], b"z", &bytes[at + 1..]].concat()).0.len(),
                None => lines(&bytes).0.len(),
            };
            prop_assert_eq!(lines(&text).0.len() as u64 + behind.lines, all as u64);
            prop_assert!(bytes.starts_with(&text) && text.last() != Some(&0));
            prop_assert_eq!(read(&bytes, 100), (text, behind));
        }
    }
}
