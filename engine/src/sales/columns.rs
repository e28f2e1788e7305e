//! Where the five columns of a point-of-sale line stand in a file, and the fields of a line that can be read where they
//! stand.

use std::ops::Range;

use crate::layout::Needed;
use crate::scan::{Line, QUOTE};

/// The columns of one file.
#[derive(Clone)]
pub(super) struct Columns {
    pub(super) needed: Needed,
    /// How many leading fields of a line are looked at.
    pub(super) wanted: usize,
    /// Those of them that are not needed.
    others: Vec<usize>,
}

/// The five fields of a line, as ranges of the text that it lies in.
pub(super) struct Places {
    pub(super) store_id: Range<usize>,
    pub(super) amount: Range<usize>,
    pub(super) code: Range<usize>,
    pub(super) item_id: Range<usize>,
    pub(super) trans_date: Range<usize>,
}

impl Columns {
    pub(super) fn new(needed: Needed) -> Self {
        let Needed {
            store_id,
            amount,
            code,
            item_id,
            trans_date,
        } = needed;
        let taken = [store_id, amount, code, item_id, trans_date];
        let wanted = needed.last() + 1;
        Self {
            needed,
            wanted,
            others: (0..wanted).filter(|position| !taken.contains(position)).collect(),
        }
    }

    /// The fields of a line, or `None` where only [`Fields::split`](crate::fields::Fields::split) can tell: too few
    /// columns, or a quoted field that is more than a text between two quotes. Without `MAY_BE_ODD`, the line is known
    /// to have neither a quote nor a CR.
    #[inline(always)]
    pub(super) fn places<const MAY_BE_ODD: bool>(&self, text: &[u8], line: Line<'_>) -> Option<Places> {
        if line.fields() < self.wanted {
            return None;
        }
        if !MAY_BE_ODD {
            let field = |position: usize| line.field(position);
            return Some(Places {
                store_id: field(self.needed.store_id),
                amount: field(self.needed.amount),
                code: field(self.needed.code),
                item_id: field(self.needed.item_id),
                trans_date: field(self.needed.trans_date),
            });
        }
        let starts_quoted = |position| text[line.field(position).start] == QUOTE;
        if self.others.iter().any(|position| starts_quoted(*position)) {
            return None;
        }
        let content_end = line.content(text).end;
        let field = |position: usize| {
            let Range { start, end } = line.field(position);
            let field = start..end.min(content_end);
            if text[field.start] == QUOTE {
                between_quotes(text, field)
            } else {
                Some(field)
            }
        };
        Some(Places {
            store_id: field(self.needed.store_id)?,
            amount: field(self.needed.amount)?,
            code: field(self.needed.code)?,
            item_id: field(self.needed.item_id)?,
            trans_date: field(self.needed.trans_date)?,
        })
    }
}

/// The inside of a field that begins with a quote, if the only other one is at its end.
fn between_quotes(text: &[u8], field: Range<usize>) -> Option<Range<usize>> {
    let inside = field.start + 1..field.end.checked_sub(1).filter(|end| *end > field.start)?;
    let is_simple = text[inside.end] == QUOTE && memchr::memchr(QUOTE, &text[inside.clone()]).is_none();
    is_simple.then_some(inside)
}
