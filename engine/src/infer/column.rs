//! One column of the samples: its distinct values, and what they may be.

use std::collections::HashMap;

use super::amounts::{self, AmountGuess};
use super::dates::{self, DateGuess};
use crate::values::without_blanks;

/// The most values of a column that are told apart.
const MOST: usize = 50_000;

/// The distinct values of a column, in the order of their first occurrence.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Without the blanks around them; empty ones are not among them.
    pub(super) list: Vec<(String, u64)>,
    known: HashMap<String, usize>,
    pub(super) filled: u64,
    pub(super) empty: u64,
}

impl Values {
    pub(super) fn of<'v>(texts: impl Iterator<Item = &'v str>) -> Self {
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
    pub(super) fn count(&self, is: impl Fn(&str) -> bool) -> u64 {
        let is = |(text, count): &(String, u64)| if is(text) { *count } else { 0 };
        self.list.iter().map(is).sum()
    }

    /// Returns whether nearly all values are so. Lines with typing errors are no reason to doubt a column.
    pub(super) fn are(&self, is: impl Fn(&str) -> bool) -> bool {
        self.filled > 0 && self.count(is) * 10 >= self.filled * 9
    }
}

/// A column, with all that its values may be.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: Option<String>,
    pub(super) values: Values,
    /// How many values are numbers of a typed format.
    pub(super) typed: u64,
    /// For each file, its value there if it has just one, without what does not matter of an id.
    pub(super) constant: Vec<Option<String>>,
    pub(super) date: Option<DateGuess>,
    pub(super) amount: Option<AmountGuess>,
}

impl Column {
    pub(super) fn new(
        name: Option<String>,
        cells: &[(usize, &str)],
        typed: u64,
        files: usize,
        may_overpunch: bool,
    ) -> Self {
        let values = Values::of(cells.iter().map(|(_, text)| *text));
        let mut constant: Vec<Option<Option<&str>>> = vec![None; files];
        for (file, text) in cells {
            let text = bare(text);
            match constant[*file] {
                None => constant[*file] = Some(Some(text)),
                Some(Some(known)) if known.eq_ignore_ascii_case(text) => {}
                _ => constant[*file] = Some(None),
            }
        }
        let constant = constant
            .into_iter()
            .map(|one| one.flatten().map(ToOwned::to_owned));
        Self {
            name,
            typed,
            constant: constant.collect(),
            date: dates::guess(&values),
            amount: amounts::guess(&values, typed, may_overpunch),
            values,
        }
    }
}

/// Returns an id without blanks, marks for Excel, and zeros before it.
pub(super) fn bare(text: &str) -> &str {
    let text = without_blanks(text);
    let formula = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let digits = formula
        .or_else(|| text.strip_prefix('\''))
        .unwrap_or(text)
        .trim_start_matches('0');
    if digits.is_empty() {
        text
    } else {
        without_blanks(digits)
    }
}
