//! Finds the delimiters, newlines and quotes of a text.

/// The byte that opens and closes a quoted field.
pub(crate) const QUOTE: u8 = b'"';

/// Collects the positions of one delimiter, of newlines and of quotes.
pub(crate) struct Marks {
    delimiter: u8,
    positions: Vec<u32>,
}

impl Marks {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            positions: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.positions.clear();
    }

    /// Appends the positions in `text`, which lies at `offset` in its block.
    pub(crate) fn scan(&mut self, text: &[u8], offset: usize) {
        let found = memchr::memchr3_iter(self.delimiter, b'\n', QUOTE, text);
        self.positions.extend(found.map(|at| (offset + at) as u32));
    }

    /// Appends the newline that the last line of a file lacks.
    pub(crate) fn push_newline(&mut self, position: usize) {
        self.positions.push(position as u32);
    }

    /// Forgets the positions from `end` on.
    pub(crate) fn keep_before(&mut self, end: usize) {
        let kept = self.positions.partition_point(|at| (*at as usize) < end);
        self.positions.truncate(kept);
    }

    pub(crate) fn positions(&self) -> &[u32] {
        &self.positions
    }
}
