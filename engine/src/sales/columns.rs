//! The positions of the five columns of a point-of-sale line in a file, and the fields of a line that can be read in
//! place.

use crate::layout::{AMOUNT, CODE, ITEM, MEASURES, STORE, TRANS_DATE};
use crate::scan::{Field, Line, QUOTE};

/// The columns of one file whose lines can be read in place.
#[derive(Clone)]
pub(super) struct Columns {
    /// By input.
    pub(super) needed: [usize; MEASURES],
    /// How many leading fields of a line are read.
    pub(super) wanted: usize,
    /// The positions among them that are not needed.
    others: Vec<usize>,
}

impl Columns {
    /// The columns of a file whose lines cannot be read in place: no line has enough fields for it.
    pub(super) fn none() -> Self {
        Self {
            needed: [0; MEASURES],
            wanted: usize::MAX,
            others: Vec::new(),
        }
    }

    /// Creates columns at positions that are in the order of the inputs.
    pub(super) fn new(needed: [usize; MEASURES]) -> Self {
        let wanted = needed.into_iter().fold(0, usize::max) + 1;
        Self {
            needed,
            wanted,
            others: (0..wanted)
                .filter(|position| !needed.contains(position))
                .collect(),
        }
    }

    /// Returns the fields of a line that may have a quote or a CR, by input. The line must have the wanted fields. Returns
    /// `None` if it needs [`Fields::split`](crate::fields::Fields::split): it has a quoted field that is more than a text
    /// between two quotes.
    #[inline(always)]
    pub(super) fn unquoted<'m>(&self, line: Line<'m>) -> Option<[Field<'m>; MEASURES]> {
        let starts_quoted = |position| line.field(position).first_byte() == QUOTE;
        if self.others.iter().any(|position| starts_quoted(*position)) {
            return None;
        }
        let content_end = line.content().range().end;
        let field = |input: usize| {
            let field = line.field(self.needed[input]).up_to(content_end);
            match field.first_byte() {
                QUOTE => field.between_quotes(),
                _ => Some(field),
            }
        };
        Some([
            field(STORE)?,
            field(AMOUNT)?,
            field(CODE)?,
            field(ITEM)?,
            field(TRANS_DATE)?,
        ])
    }
}
