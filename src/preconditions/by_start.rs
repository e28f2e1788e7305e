//! Finds patterns by what paths begin with, so that a path is compared with few of thousands.

use std::collections::{BTreeSet, HashMap};

/// Numbers of patterns, by their literal starts.
#[derive(Debug, Default)]
pub(super) struct ByStart {
    by_start: HashMap<String, Vec<usize>>,
    lengths: BTreeSet<usize>,
}

impl ByStart {
    pub(super) fn add(&mut self, start: &str, number: usize) {
        self.lengths.insert(start.len());
        match self.by_start.get_mut(start) {
            Some(numbers) => numbers.push(number),
            None => {
                self.by_start.insert(start.to_owned(), vec![number]);
            }
        }
    }

    /// Returns the numbers of the patterns that a path begins as.
    pub(super) fn of(&self, path: &str) -> impl Iterator<Item = usize> {
        let starts = self.lengths.range(..=path.len());
        let numbers = starts.filter_map(|length| self.by_start.get(path.get(..*length)?));
        numbers.flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_every_start_that_it_has() {
        let mut starts = ByStart::default();
        for (number, start) in ["IL-", "", "IL-1", "CA-", "IL-", "é"].iter().enumerate() {
            starts.add(start, number);
        }
        let of = |path| {
            let mut found: Vec<_> = starts.of(path).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(of("IL-12.tdf"), [0, 1, 2, 4]);
        assert_eq!(of("IL-"), [0, 1, 4]);
        assert_eq!(of("I"), [1]);
        // The first byte of "è" is that of "é", but no start ends within a character.
        assert_eq!(of("è"), [1]);
        assert_eq!(of("é"), [1, 5]);
    }
}
