//! What an id column asks of its texts.

use crate::rejects::Reason;
use crate::symbols::{Symbol, Symbols};

/// The rules of an id column, and the reasons for texts that do not meet them.
#[derive(Clone, Copy)]
pub(super) struct IdRule {
    /// The greatest length in characters.
    pub(super) chars: usize,
    /// Whether the text went through a decoder, which puts U+FFFD where it could not decode.
    pub(super) is_decoded: bool,
    pub(super) empty: Reason,
    pub(super) too_long: Reason,
    pub(super) text: Reason,
}

impl IdRule {
    /// The symbol of an id, which is checked when it is seen for the first time.
    #[inline(never)]
    pub(super) fn symbol(&self, symbols: &mut Symbols, id: &[u8]) -> Result<Symbol, Reason> {
        match symbols.find(id) {
            Some(symbol) => Ok(symbol),
            None => Ok(symbols.insert(self.check(id)?)),
        }
    }

    /// The id as text, if it meets the rules.
    fn check<'i>(&self, id: &'i [u8]) -> Result<&'i str, Reason> {
        let text = std::str::from_utf8(id).map_err(|_| self.text)?;
        if text.contains('\0') || (self.is_decoded && text.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(self.text);
        }
        if id.trim_ascii().is_empty() {
            return Err(self.empty);
        }
        // Characters are never more than bytes.
        if id.len() > self.chars && text.chars().count() > self.chars {
            return Err(self.too_long);
        }
        Ok(text)
    }
}
