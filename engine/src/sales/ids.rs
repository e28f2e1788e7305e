//! The rules for the texts of an id column.

use crate::other_forms::is_text_for_excel;
use crate::rejects::Reason;
use crate::symbols::{Symbol, Symbols};

/// The rules of an id column, and the reject reasons for texts that break them.
#[derive(Clone, Copy)]
pub(super) struct IdRule {
    /// The greatest length in characters.
    pub(super) chars: usize,
    /// Whether the text went through a decoder, which writes U+FFFD for what it cannot decode.
    pub(super) is_decoded: bool,
    pub(super) empty: Reason,
    pub(super) too_long: Reason,
    pub(super) text: Reason,
}

impl IdRule {
    /// Returns the symbol of an id. Checks the id when it is seen for the first time.
    #[inline(never)]
    pub(super) fn symbol(&self, symbols: &mut Symbols, id: &[u8]) -> Result<Symbol, Reason> {
        match symbols.find(id) {
            Some(symbol) => Ok(symbol),
            None => Ok(symbols.insert(self.check(id)?)),
        }
    }

    /// Returns the id as text, if it meets the rules.
    pub(super) fn check<'i>(&self, id: &'i [u8]) -> Result<&'i str, Reason> {
        let text = std::str::from_utf8(id).map_err(|_| self.text)?;
        // Nearly all ids. Those that a spreadsheet wrote begin with another character.
        if (1..=self.chars).contains(&id.len()) && id.iter().all(u8::is_ascii_alphanumeric) {
            return Ok(text);
        }
        // A byte order mark inside a line shows that files were joined there, without a line end between them.
        if text.contains(['\0', '\u{feff}'])
            || is_text_for_excel(text)
            || (self.is_decoded && text.contains(char::REPLACEMENT_CHARACTER))
        {
            return Err(self.text);
        }
        if id.trim_ascii().is_empty() {
            return Err(self.empty);
        }
        // A text never has more characters than bytes.
        if id.len() > self.chars && text.chars().count() > self.chars {
            return Err(self.too_long);
        }
        Ok(text)
    }
}
