//! The files that no feed matches, as far as a full listing keeps them: the newest, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::UnmatchedFile;

/// The most files that are reported.
pub const UNMATCHED: usize = 10_000;

/// Collects files, and drops the oldest beyond [`UNMATCHED`].
#[derive(Debug, Default)]
pub(crate) struct Newest(BinaryHeap<Reverse<UnmatchedFile>>);

impl Newest {
    pub(crate) fn add(&mut self, file: UnmatchedFile) {
        self.0.push(Reverse(file));
        if self.0.len() > UNMATCHED {
            self.0.pop();
        }
    }

    /// Returns the files, newest first.
    pub(crate) fn into_files(self) -> Vec<UnmatchedFile> {
        let files = self.0.into_sorted_vec();
        files.into_iter().map(|Reverse(file)| file).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut newest = Newest::default();
        for n in 0..UNMATCHED as i64 + 5 {
            newest.add(UnmatchedFile {
                modified_ns: (n * 7919) % 20_011,
                path: format!("{n}"),
                bytes: 1,
            });
        }
        let files = newest.into_files();
        assert_eq!(files.len(), UNMATCHED);
        assert!(files.is_sorted_by(|a, b| a.modified_ns >= b.modified_ns));
        assert!(files.last().is_some_and(|oldest| oldest.modified_ns > 0));
    }
}
