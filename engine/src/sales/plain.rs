//! Plain lines: read where they stand, without copying a field.
//!
//! This is where the time of a conversion goes, so it knows the usual amount only; any other is read aside.

use super::{Code, SalesLines, with_amount};
use crate::amount::short_cents;
use crate::feed_lines::LineOutcome;
use crate::key::Key;
use crate::layout::{AMOUNT, CODE, ITEM, STORE, TRANS_DATE};
use crate::rejects::Reason;
use crate::scan::{Field, Line, Marked};
use crate::short_text::{ShortText, ShorterText};
use crate::symbols::{Symbol, UNKNOWN};

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
        if !self.sums.table.items.are_many() {
            return false;
        }
        let columns = &self.columns;
        let item = |line: Line<'_>| {
            let is_whole = line.fields() >= columns.wanted;
            ShortText::in_text(match MAY_BE_ODD {
                _ if !is_whole => return None,
                true => columns.unquoted(line)?[ITEM],
                false => line.field(columns.needed[ITEM]),
            })
        };
        ids.clear();
        ids.extend(lines.lines().map(|line| item(line).unwrap_or_default()));
        self.sums.table.items.find_many(ids, items);
        true
    }

    /// Reads a line, or returns `None` if that cannot be done in place: it has too few fields, or quotes that mean more than
    /// to be left out. Without `MAY_BE_ODD`, the line is known to have neither a quote nor a CR.
    #[inline(always)]
    pub(super) fn read<const MAY_BE_ODD: bool, const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        line: Line<'_>,
    ) -> Option<LineOutcome> {
        if line.fields() < self.columns.wanted {
            return None;
        }
        // Fields are found where they are needed. All of them together would go through memory.
        let usual = if MAY_BE_ODD {
            let fields = self.columns.unquoted(line)?;
            self.usual::<IS_AHEAD>(number, place, |input| fields[input])
        } else {
            let needed = self.columns.needed;
            self.usual::<IS_AHEAD>(number, place, |input| line.field(needed[input]))
        };
        let outcome = usual.unwrap_or_else(|| self.unusual(number, line));
        Some(outcome.unwrap_or_else(LineOutcome::Reject))
    }

    /// Reads the fields of a line, if its amount is written as usual.
    #[inline(always)]
    fn usual<'m, const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        field: impl Fn(usize) -> Field<'m>,
    ) -> Option<Result<LineOutcome, Reason>> {
        let cents = short_cents(field(AMOUNT)).filter(|_| self.has_short_amounts)?;
        Some(self.with_amount_of::<IS_AHEAD>(number, place, cents, field))
    }

    #[inline(always)]
    pub(super) fn with_amount_of<'m, const IS_AHEAD: bool>(
        &mut self,
        number: u32,
        place: usize,
        cents: i64,
        field: impl Fn(usize) -> Field<'m>,
    ) -> Result<LineOutcome, Reason> {
        let code = self.code_of(field(CODE))?;
        let key = self.key_of::<IS_AHEAD>(place, field)?;
        Ok(self.count(number, code, cents, key))
    }

    /// Reads a line with any amount, which [`Columns::unquoted`](super::columns::Columns::unquoted) has found to be readable.
    #[inline(never)]
    fn unusual(&mut self, number: u32, line: Line<'_>) -> Result<LineOutcome, Reason> {
        let fields = self.columns.unquoted(line).ok_or(Reason::MissingColumn)?;
        let amount = self.layout.values.amounts.read(fields[AMOUNT].bytes());
        let amount = amount.ok_or(Reason::Amount)?;
        let (code, amount) = with_amount(self.code_of(fields[CODE])?, amount)?;
        let key = self.key_of::<false>(0, |input| fields[input])?;
        Ok(self.count_amount(number, code, amount, key))
    }

    #[inline(always)]
    pub(super) fn code_of(&mut self, field: Field<'_>) -> Result<Code, Reason> {
        let layout = self.layout;
        let code = match ShorterText::in_text(field) {
            Some(short) => self.codes.get(short, || Self::code(layout, field.bytes())),
            None => Self::code(layout, field.bytes()),
        };
        code.ok_or(Reason::Code)
    }

    #[inline(always)]
    fn key_of<'m, const IS_AHEAD: bool>(
        &mut self,
        place: usize,
        field: impl Fn(usize) -> Field<'m>,
    ) -> Result<Key, Reason> {
        let (layout, date) = (self.layout, field(TRANS_DATE));
        let date = match ShortText::in_text(date) {
            Some(short) => self.dates.get(short, || Self::date(layout, date.bytes())),
            None => Self::date(layout, date.bytes()),
        };
        let date = date.ok_or(Reason::Date)?;
        let Self {
            sums,
            store_column,
            item_column,
            ..
        } = self;
        let table = &mut sums.table;
        let store = store_column.symbol_of(&mut table.stores, field(STORE))?;
        let looked_up = self.ahead.items.get(place).filter(|_| IS_AHEAD);
        let item = match looked_up {
            Some(item) if *item != UNKNOWN => *item,
            _ => item_column.symbol_of(&mut table.items, field(ITEM))?,
        };
        Ok(Key::new(store, item, date))
    }
}
