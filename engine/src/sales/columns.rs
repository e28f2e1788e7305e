//! The positions of the five columns of a point-of-sale line in a file, and the fields of a line that can be read in
//! place.

use crate::layout::{AMOUNT, CODE, ITEM, STORE, TRANS_DATE};
use crate::scan::{Field, Line, QUOTE};

/// The columns of one file whose lines can be read in place.
#[derive(Clone)]
pub(super) struct Columns {
    needed: [usize; 5],
    /// How many leading fields of a line are read.
    wanted: usize,
    /// The positions among them that are not needed.
    others: Vec<usize>,
}

/// The five fields of a line.
pub(super) struct LineFields<'m> {
    pub(super) store_id: Field<'m>,
    pub(super) amount: Field<'m>,
    pub(super) code: Field<'m>,
    pub(super) item_id: Field<'m>,
    pub(super) trans_date: Field<'m>,
}

impl Columns {
    /// Creates columns at positions that are in the order of the inputs.
    pub(super) fn new(needed: [usize; 5]) -> Self {
        let wanted = needed.into_iter().fold(0, usize::max) + 1;
        Self {
            needed,
            wanted,
            others: (0..wanted)
                .filter(|position| !needed.contains(position))
                .collect(),
        }
    }

    /// Returns the fields of a line, or `None` if the line needs [`Fields::split`](crate::fields::Fields::split): it
    /// has too few columns, or a quoted field that is more than a text between two quotes. Without `MAY_BE_ODD`, the
    /// line is known to have neither a quote nor a CR.
    #[inline(always)]
    pub(super) fn fields<'m, const MAY_BE_ODD: bool>(&self, line: Line<'m>) -> Option<LineFields<'m>> {
        if line.fields() < self.wanted {
            return None;
        }
        if !MAY_BE_ODD {
            let field = |position: usize| line.field(position);
            return Some(LineFields {
                store_id: field(self.needed[STORE]),
                amount: field(self.needed[AMOUNT]),
                code: field(self.needed[CODE]),
                item_id: field(self.needed[ITEM]),
                trans_date: field(self.needed[TRANS_DATE]),
            });
        }
        let starts_quoted = |position| line.field(position).first_byte() == QUOTE;
        if self.others.iter().any(|position| starts_quoted(*position)) {
            return None;
        }
        let content_end = line.content().range().end;
        let field = |position: usize| {
            let field = line.field(position).up_to(content_end);
            match field.first_byte() {
                QUOTE => field.between_quotes(),
                _ => Some(field),
            }
        };
        Some(LineFields {
            store_id: field(self.needed[STORE])?,
            amount: field(self.needed[AMOUNT])?,
            code: field(self.needed[CODE])?,
            item_id: field(self.needed[ITEM])?,
            trans_date: field(self.needed[TRANS_DATE])?,
        })
    }
}
