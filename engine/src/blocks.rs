//! Reads text as blocks of whole lines with the positions of every delimiter, newline and quote in them.
//!
//! Nothing is allocated a line: one buffer is filled again and again, and the unfinished line at its end is carried to
//! its front. Lines are what stands between newlines; a newline ends a line even inside quotes, so that one stray
//! quote costs one line and not the rest of the file.

use std::io::{self, Read};

use crate::scan::Marks;

/// The greatest length of a line with its end, in bytes; longer ones are rejects. A point-of-sale line has some dozens.
const MAX_LINE: usize = 1 << 20;

/// How many bytes are asked of the input at a time: large enough that a system call costs nothing beside the work, small
/// enough to stay in a core's own cache.
const STEP: usize = 256 << 10;

/// What stands next in the input.
pub(crate) enum Block<'a> {
    /// Whole lines. The last byte is a newline, and so is the last mark.
    Lines(Lines<'a>),
    /// A line longer than [`MAX_LINE`]: its beginning, and its length in bytes.
    LongLine { start: &'a [u8], bytes: u64 },
}

/// Whole lines, with the positions of their delimiters, newlines and quotes in ascending order.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) marks: &'a [u32],
}

/// Cuts an input into [`Block`]s.
pub(crate) struct Blocks<R> {
    input: R,
    marks: Marks,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that hold input.
    filled: usize,
    /// How much of it went out with the last block.
    consumed: usize,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    pub(crate) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            marks: Marks::new(delimiter),
            // One byte more than is read at a time, for the newline that a last line may lack.
            buffer: vec![0; STEP + 1],
            filled: 0,
            consumed: 0,
            ended: false,
        }
    }

    /// The next block, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Block<'_>>> {
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        self.marks.clear();
        let mut scanned = 0;
        loop {
            self.marks.scan(&self.buffer[scanned..self.filled], scanned);
            scanned = self.filled;
            let whole = self.buffer[..self.filled]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map(|at| at + 1);
            if let Some(whole) = whole {
                self.consumed = whole;
                self.marks.keep_before(whole);
                break;
            }
            if self.ended {
                if self.filled == 0 {
                    return Ok(None);
                }
                self.buffer[self.filled] = b'\n';
                self.marks.push_newline(self.filled);
                self.filled += 1;
                self.consumed = self.filled;
                break;
            }
            if self.filled >= MAX_LINE {
                return self.long_line().map(Some);
            }
            if self.filled + 1 == self.buffer.len() {
                self.buffer.resize((self.buffer.len() * 2).min(MAX_LINE + 1), 0);
            }
            self.fill()?;
        }
        Ok(Some(Block::Lines(Lines {
            text: &self.buffer[..self.consumed],
            marks: self.marks.positions(),
        })))
    }

    /// Reads until the buffer is full but for its last byte, or the input ends.
    fn fill(&mut self) -> io::Result<()> {
        let end = self.buffer.len() - 1;
        while self.filled < end && !self.ended {
            match self.input.read(&mut self.buffer[self.filled..end]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads past the rest of the line that fills the buffer, and keeps its beginning.
    fn long_line(&mut self) -> io::Result<Block<'_>> {
        let kept = STEP / 2;
        let mut bytes = self.filled as u64;
        loop {
            // The rest of the line is read behind the part that is kept.
            self.filled = kept;
            self.fill()?;
            let rest = &self.buffer[kept..self.filled];
            if let Some(newline) = memchr::memchr(b'\n', rest) {
                self.consumed = kept + newline + 1;
                return Ok(Block::LongLine {
                    start: &self.buffer[..kept],
                    bytes: bytes + newline as u64,
                });
            }
            bytes += rest.len() as u64;
            if self.ended {
                self.consumed = self.filled;
                return Ok(Block::LongLine {
                    start: &self.buffer[..kept],
                    bytes,
                });
            }
        }
    }
}
