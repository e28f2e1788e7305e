//! The ids of one column: their numbers, and the reject reasons for texts that are none.

use std::borrow::Cow;

use crate::rejects::Reason;
use crate::scan::Field;
use crate::short_text::ShortText;
use crate::symbols::{Symbol, Symbols};
use crate::values::{IdRule, NoId};

/// An id column.
#[derive(Clone, Copy)]
pub(super) struct IdColumn<'l> {
    pub(super) rule: &'l IdRule,
    /// Whether the text went through a decoder, which writes U+FFFD for what it cannot decode.
    pub(super) is_decoded: bool,
    pub(super) empty: Reason,
    pub(super) too_long: Reason,
    pub(super) text: Reason,
}

impl IdColumn<'_> {
    /// Returns the symbol of the id that a field is written for.
    #[inline(always)]
    pub(super) fn symbol_of(&self, symbols: &mut Symbols, field: Field<'_>) -> Result<Symbol, Reason> {
        let Some(id) = ShortText::in_text(field) else {
            return self.symbol(symbols, field.bytes());
        };
        match symbols.find_short(id) {
            Some(symbol) => Ok(symbol),
            None => self.symbol_of_new(symbols, field.bytes()),
        }
    }

    /// Returns the symbol of the id that a text is written for. Reads the text when it is seen for the first time.
    #[inline(never)]
    pub(super) fn symbol(&self, symbols: &mut Symbols, text: &[u8]) -> Result<Symbol, Reason> {
        match symbols.find(text) {
            Some(symbol) => Ok(symbol),
            None => self.symbol_of_new(symbols, text),
        }
    }

    /// Returns the symbol of the id that a text is written for, if the text is no id that was seen before.
    #[inline(never)]
    fn symbol_of_new(&self, symbols: &mut Symbols, text: &[u8]) -> Result<Symbol, Reason> {
        if let Some(symbol) = symbols.find_spelling(text) {
            return Ok(symbol);
        }
        let id = self.read(text)?;
        if id.as_bytes() == text {
            return Ok(symbols.insert(&id));
        }
        let symbol = symbols.find(id.as_bytes());
        let symbol = symbol.unwrap_or_else(|| symbols.insert(&id));
        symbols.add_spelling(text, symbol);
        Ok(symbol)
    }

    /// Returns the id that a text is written for.
    pub(super) fn read<'i>(&self, text: &'i [u8]) -> Result<Cow<'i, str>, Reason> {
        self.rule
            .read(text, self.is_decoded)
            .map_err(|no_id| match no_id {
                NoId::Empty => self.empty,
                NoId::TooLong => self.too_long,
                NoId::Text => self.text,
            })
    }
}
