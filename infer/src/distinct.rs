//! The distinct values of one column of the samples.

use std::collections::HashMap;

use gristmill_engine::reading::without_blanks;

/// The most values of a column that are told apart.
const MOST: usize = 50_000;

/// The distinct values of a column, in the order of their first occurrence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    /// Without the blanks around them; empty ones are not among them.
    pub(crate) list: Vec<(String, u64)>,
    known: HashMap<String, usize>,
    pub(crate) filled: u64,
    pub(crate) empty: u64,
}

impl Values {
    pub(crate) fn of<'v>(texts: impl Iterator<Item = &'v str>) -> Self {
        let mut values = Self::default();
        for text in texts {
            let text = without_blanks(text);
            if text.is_empty() {
                values.empty += 1;
                continue;
            }
            values.filled += 1;
            if let Some(at) = values.known.get(text) {
                values.list[*at].1 += 1;
            } else if values.list.len() < MOST {
                values.known.insert(text.to_owned(), values.list.len());
                values.list.push((text.to_owned(), 1));
            }
        }
        values
    }

    /// Returns how many records have a value for which this holds.
    pub(crate) fn count(&self, is: impl Fn(&str) -> bool) -> u64 {
        let is = |(text, count): &(String, u64)| if is(text) { *count } else { 0 };
        self.list.iter().map(is).sum()
    }

    /// Returns whether nearly all values are so. Lines with typing errors are no reason to doubt a column.
    pub(crate) fn are(&self, is: impl Fn(&str) -> bool) -> bool {
        self.filled > 0 && self.count(is) * 10 >= self.filled * 9
    }
}
