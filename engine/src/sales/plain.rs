//! Plain lines: read where they stand, without copying a field.
//!
//! This is where the time of a conversion goes, so it knows the usual amount only; any other is read aside.

use super::columns::LineFields;
use super::{Code, SalesLines, with_amount};
use crate::amount::short_cents;
use crate::convert::LineOutcome;
use crate::partial::Key;
use crate::rejects::Reason;
use crate::scan::{Field, Marked};
use crate::short_text::{ShortText, ShorterText};
use crate::symbols::{Symbol, Symbols, UNKNOWN};

/// The items of lines that will be read next, looked up together: see [`Symbols::find_many`]. Nothing is looked up while
/// there are few items.
#[derive(Default)]
pub(super) struct Ahead {
    /// The item of each line; the default where a line cannot be read in place.
    ids: Vec<ShortText>,
    /// What was found of each.
    pub(super) items: Vec<Symbol>,
}

impl SalesLines<'_> {
    /// Looks up the items of lines together, if there are many. Returns whether it did.
    pub(super) fn look_up<const MAY_BE_ODD: bool>(&mut self, lines: Marked<'_>) -> bool {
        let Ahead { ids, items } = &mut self.ahead;
        items.clear();
        let Some(columns) = self.columns.as_ref().filter(|_| self.table.items.are_many()) else {
            return false;
        };
        let item = |line| ShortText::in_text(columns.fields::<MAY_BE_ODD>(line)?.item_id);
        ids.clear();
        ids.extend(lines.lines().map(|line| item(line).unwrap_or_default()));
        self.table.items.find_many(ids, items);
        true
    }

    /// Reads a plain line.
    #[inline(always)]
    pub(super) fn read<const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        fields: &LineFields<'_>,
    ) -> Result<LineOutcome, Reason> {
        let Some(cents) = short_cents(fields.amount).filter(|_| self.has_short_amounts) else {
            return self.read_any::<IS_AHEAD>(number, place, fields);
        };
        let code = self.code_of(fields.code)?;
        let key = self.key_of::<IS_AHEAD>(place, fields)?;
        Ok(self.count(number, code, cents, key))
    }

    /// Reads a plain line whose amount is in any form.
    #[inline(never)]
    fn read_any<const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        fields: &LineFields<'_>,
    ) -> Result<LineOutcome, Reason> {
        let amount = self.layout.values.amounts.read(fields.amount.bytes());
        let amount = amount.ok_or(Reason::Amount)?;
        let (code, amount) = with_amount(self.code_of(fields.code)?, amount)?;
        let key = self.key_of::<IS_AHEAD>(place, fields)?;
        Ok(self.count_amount(number, code, amount, key))
    }

    #[inline(always)]
    fn code_of(&mut self, field: Field<'_>) -> Result<Code, Reason> {
        let layout = self.layout;
        let code = match ShorterText::in_text(field) {
            Some(short) => self.codes.get(short, || Self::code(layout, field.bytes())),
            None => Self::code(layout, field.bytes()),
        };
        code.ok_or(Reason::Code)
    }

    #[inline(always)]
    fn key_of<const IS_AHEAD: bool>(&mut self, place: usize, fields: &LineFields<'_>) -> Result<Key, Reason> {
        let (layout, date) = (self.layout, fields.trans_date);
        let date = match ShortText::in_text(date) {
            Some(short) => self.dates.get(short, || Self::date(layout, date.bytes())),
            None => Self::date(layout, date.bytes()),
        };
        let date = date.ok_or(Reason::Date)?;
        let known =
            |symbols: &Symbols, field| ShortText::in_text(field).and_then(|id| symbols.find_short(id));
        let store = match known(&self.table.stores, fields.store_id) {
            Some(store) => store,
            None => {
                let text = fields.store_id.bytes();
                self.store_column.symbol(&mut self.table.stores, text)?
            }
        };
        let looked_up = self.ahead.items.get(place).filter(|_| IS_AHEAD);
        let item = match looked_up {
            Some(item) if *item != UNKNOWN => Some(*item),
            _ => known(&self.table.items, fields.item_id),
        };
        let item = match item {
            Some(item) => item,
            None => {
                let text = fields.item_id.bytes();
                self.item_column.symbol(&mut self.table.items, text)?
            }
        };
        Ok(Key::new(store, item, date))
    }
}
