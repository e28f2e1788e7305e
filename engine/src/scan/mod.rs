//! Finds the delimiters, newlines and quotes of a text: the first of the two steps in which a block is read.
//!
//! Every line of every file passes here, so there is a vectorised way beside the portable one. Both find the same
//! positions in the same order, which the tests show on random and on hostile texts.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(test)]
mod tests;

/// The byte that opens and closes a quoted field.
pub(crate) const QUOTE: u8 = b'"';

/// Appends the positions of delimiters, newlines and quotes in a text that lies at an offset of its block.
type Scan = fn(text: &[u8], offset: u32, delimiter: u8, positions: &mut Vec<u32>);

/// Collects the positions of one delimiter, of newlines and of quotes.
pub(crate) struct Marks {
    delimiter: u8,
    scan: Scan,
    positions: Vec<u32>,
}

impl Marks {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            scan: fastest(),
            positions: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.positions.clear();
    }

    /// Appends the positions in `text`, which lies at `offset` in its block.
    pub(crate) fn scan(&mut self, text: &[u8], offset: usize) {
        (self.scan)(text, offset as u32, self.delimiter, &mut self.positions);
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

/// The fastest way that this processor has.
fn fastest() -> Scan {
    #[cfg(target_arch = "x86_64")]
    if let Some(scan) = avx2::scan_if_available() {
        return scan;
    }
    portable::scan
}
