//! Point-of-sale records that were cut into fields: every line that is not read in place, and all records of other
//! formats.

use super::{Code, Origin, SalesLines, with_amount};
use crate::amount::has_number_form;
use crate::feed_lines::LineOutcome;
use crate::fields::{Fields, Typed};
use crate::key::Key;
use crate::layout::{AMOUNT, CODE, ITEM, MAX_MEASURES, MEASURES, STORE, TRANS_DATE};
use crate::other_forms::{Form, amount_form, date_form, id_form, places_form};
use crate::rejects::Reason;
use crate::values::Amount;

impl SalesLines<'_> {
    /// Returns the text of an input. A record of fixed positions may lack it.
    pub(super) fn text<'f>(&'f self, input: usize, fields: &'f Fields) -> Option<&'f [u8]> {
        match &self.origins[input] {
            Origin::Field(position) => fields.get(*position),
            Origin::Given(text) => Some(text),
            Origin::Absent => None,
        }
    }

    /// Returns what an input is.
    fn typed(&self, input: usize, fields: &Fields) -> Typed {
        match self.origins[input] {
            Origin::Field(position) => fields.typed(position),
            Origin::Given(_) | Origin::Absent => Typed::Text,
        }
    }

    /// Returns the text of an input, if it is a value.
    fn value<'f>(&'f self, input: usize, fields: &'f Fields) -> Result<&'f [u8], Reason> {
        match self.typed(input, fields) {
            Typed::Error => Err(Reason::ErrorCell),
            _ => self.text(input, fields).ok_or(Reason::MissingColumn),
        }
    }

    /// Reads the amount of an input.
    pub(super) fn amount(&self, input: usize, fields: &Fields) -> Result<Amount, Reason> {
        let (text, amounts) = (self.value(input, fields)?, &self.layout.values.amounts);
        let amount = match self.typed(input, fields) {
            Typed::Number => amounts.read_number(text),
            _ => amounts.read(text),
        };
        amount.ok_or(Reason::Amount)
    }

    /// Reads the day of a record.
    fn day(&self, fields: &Fields) -> Result<i32, Reason> {
        if let Some(day) = self.layout.day {
            return Ok(day);
        }
        let text = self.value(TRANS_DATE, fields)?;
        let day = match self.typed(TRANS_DATE, fields) {
            Typed::Date => self.layout.values.dates.read_typed(text),
            _ => Self::date(self.layout, text),
        };
        day.ok_or(Reason::Date)
    }

    /// Reads a line that was split into fields.
    pub(super) fn check(&mut self, number: u32, fields: &Fields) -> Result<LineOutcome, Reason> {
        if fields.len() < self.wanted {
            return Err(Reason::MissingColumn);
        }
        if self.layout.is_wide() {
            return self.check_wide(number, fields);
        }
        let amount = self.amount(AMOUNT, fields)?;
        let code = Self::code(self.layout, self.value(CODE, fields)?).ok_or(Reason::Code)?;
        let (code, amount) = with_amount(code, amount)?;
        let key = self.key(fields)?;
        Ok(self.count_amount(number, code, amount, key))
    }

    /// Reads a line with a field for each measure: it is a row if one of them has an amount.
    fn check_wide(&mut self, number: u32, fields: &Fields) -> Result<LineOutcome, Reason> {
        let mut amounts = [None; MAX_MEASURES];
        for (measure, amount) in amounts.iter_mut().enumerate().take(self.layout.measures.len()) {
            *amount = match self.amount(MEASURES + measure, fields)? {
                Amount::None { .. } => None,
                cents => Some(cents),
            };
        }
        let key = self.key(fields)?;
        for (measure, amount) in (0..).zip(amounts) {
            if let Some(amount) = amount {
                let code = Code {
                    measure,
                    is_row: true,
                };
                self.count_amount(number, code, amount, key);
            }
        }
        Ok(LineOutcome::WellFormed {
            is_row: amounts.iter().any(Option::is_some),
        })
    }

    /// Returns the key of a line that was split into fields.
    fn key(&mut self, fields: &Fields) -> Result<Key, Reason> {
        let date = self.day(fields)?;
        for id in [STORE, ITEM] {
            self.value(id, fields)?;
        }
        let Self { origins, sums, .. } = self;
        let table = &mut sums.table;
        let text = |input: usize| match &origins[input] {
            Origin::Field(position) => fields.get(*position).ok_or(Reason::MissingColumn),
            Origin::Given(text) => Ok(&text[..]),
            Origin::Absent => Ok(&[][..]),
        };
        let store = self.store_column.symbol(&mut table.stores, text(STORE)?)?;
        let item = self.item_column.symbol(&mut table.items, text(ITEM)?)?;
        Ok(Key::new(store, item, date))
    }

    /// Returns whether the values of a first line are those of a header: neither amounts nor a code.
    pub(super) fn are_header_values(&self, fields: &Fields) -> bool {
        let amounts = match self.layout.is_wide() {
            true => MEASURES..self.origins.len(),
            false => AMOUNT..AMOUNT + 1,
        };
        let is_field = |input: &usize| matches!(self.origins[*input], Origin::Field(_));
        let text = |input: usize| trim(self.text(input, fields).unwrap_or_default());
        let is_number = |input: usize| {
            let text = text(input);
            self.typed(input, fields) == Typed::Number
                || has_number_form(text)
                || matches!(self.layout.values.amounts.read(text), Some(Amount::Cents { .. }))
        };
        let mut values = amounts.filter(is_field).peekable();
        // Without a field that is a number in data, nothing tells the two apart.
        fields.len() >= self.wanted
            && values.peek().is_some()
            && !values.any(is_number)
            && !(is_field(&CODE)
                && (has_number_form(text(CODE)) || self.layout.values.codes.is_known(text(CODE))))
    }

    /// Returns whether a line would be well-formed.
    pub(super) fn is_good(&self, fields: &Fields) -> bool {
        let layout = self.layout;
        let text = |input: usize| self.text(input, fields).unwrap_or_default();
        let is_amount = |input: usize| self.amount(input, fields).is_ok();
        fields.len() >= self.wanted
            && match layout.is_wide() {
                true => (MEASURES..self.origins.len()).all(is_amount),
                false => {
                    let amount = self.amount(AMOUNT, fields).ok();
                    let code = Self::code(layout, text(CODE));
                    code.zip(amount)
                        .is_some_and(|(code, amount)| with_amount(code, amount).is_ok())
                }
            }
            && self.day(fields).is_ok()
            && self.store_column.read(text(STORE)).is_ok()
            && self.item_column.read(text(ITEM)).is_ok()
    }

    /// Returns the text that a line was rejected for, and the known other form of it.
    pub(super) fn form_of<'f>(&self, reason: Reason, fields: &'f Fields) -> Option<(&'f [u8], Option<Form>)> {
        let amounts = &self.layout.values.amounts;
        let text = |input: usize| match self.origins[input] {
            Origin::Field(position) => fields.get(position).unwrap_or_default(),
            // What is not in the record is not the fault of the record.
            Origin::Given(_) | Origin::Absent => &[],
        };
        let form = |input: usize| match self.typed(input, fields) {
            Typed::Number => places_form(text(input), amounts),
            _ => amount_form(text(input), amounts),
        };
        let (text, form) = match reason {
            Reason::Amount if self.layout.is_wide() => {
                let mut measures = MEASURES..self.origins.len();
                let measure = measures.find(|measure| self.amount(*measure, fields).is_err())?;
                (text(measure), form(measure))
            }
            Reason::Amount => (text(AMOUNT), form(AMOUNT)),
            // A day that there is not is no other form of one.
            Reason::Date if self.typed(TRANS_DATE, fields) == Typed::Date => (text(TRANS_DATE), None),
            Reason::Date => (text(TRANS_DATE), date_form(text(TRANS_DATE))),
            Reason::StoreText => (text(STORE), id_form(text(STORE))),
            Reason::ItemText => (text(ITEM), id_form(text(ITEM))),
            _ => return None,
        };
        // An amount that is none is missing, not written in another way.
        let is_none = reason == Reason::Amount && matches!(amounts.read(text), Some(Amount::None { .. }));
        (!is_none && !text.trim_ascii().is_empty()).then_some((text, form))
    }
}

/// Returns the text without the spaces around it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}
