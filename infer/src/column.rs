//! One column of the samples: its distinct values, and what they may be.

use gristmill_engine::reading::without_blanks;

use crate::amounts::{self, AmountGuess};
use crate::dates::{self, DateGuess};
use crate::distinct::Values;

/// A column, with all that its values may be.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Option<String>,
    pub(crate) values: Values,
    /// How many values are numbers of a typed format.
    pub(crate) typed: u64,
    /// For each file, its value there if it has just one, without what does not matter of an id.
    pub(crate) constant: Vec<Option<String>>,
    pub(crate) date: Option<DateGuess>,
    pub(crate) amount: Option<AmountGuess>,
}

impl Column {
    pub(crate) fn new(
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
pub(crate) fn bare(text: &str) -> &str {
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
