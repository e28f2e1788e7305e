//! Known other forms: ways in which tills write amounts, dates and ids that a feed could be told to read.
//!
//! A file in which *every* rejected amount (or date, or id) is written so has no typing errors: its till writes that
//! way, and sums without those lines would be wrong. Such a file is rejected as a whole, whatever its share of rejects,
//! and the reason names the form. See [`Findings`](crate::findings::Findings).

mod amounts;
mod dates;

use std::collections::BTreeSet;

pub(crate) use self::amounts::amount_form;
pub(crate) use self::dates::date_form;

/// The key of the settings that a form belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Negative,
    Thousands,
    Decimal,
    Currency,
    Round,
    Dates,
    Ids,
}

/// The keys that a text needs to be read.
pub(crate) type Form = BTreeSet<Key>;

impl Key {
    /// Returns the key's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Negative => "values.negative",
            Self::Thousands => "values.thousands",
            Self::Decimal => "values.decimal",
            Self::Currency => "values.currency",
            Self::Round => "values.round",
            Self::Dates => "values.dates",
            Self::Ids => "values.ids",
        }
    }

    /// Says what the store can send instead.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Negative => "-2.50 for a negative amount",
            Self::Thousands => "amounts without marks for thousands",
            Self::Decimal => "a point before the cents",
            Self::Currency => "amounts without a currency",
            Self::Round => "at most two decimal places",
            Self::Dates => "dates as date_format says",
            Self::Ids => "ids as plain text",
        }
    }
}

/// Returns the keys that an id needs which is not valid text as it is: marked as text for Excel, or with byte order
/// marks around it.
pub(crate) fn id_form(text: &[u8]) -> Option<Form> {
    const MARK: char = '\u{feff}';
    let text = std::str::from_utf8(text).ok()?;
    let inside = text.trim_matches(MARK);
    let is_other = is_text_for_excel(inside) || inside.len() < text.len();
    (is_other && !inside.is_empty() && !inside.contains([MARK, '\0'])).then(|| Form::from([Key::Ids]))
}

/// Returns whether an id is marked as text for Excel: `="00123"`, or `'00123`.
pub(crate) fn is_text_for_excel(id: &str) -> bool {
    let is_formula = id.len() > 3 && id.starts_with("=\"") && id.ends_with('"');
    let is_prefixed = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_formula || id.strip_prefix('\'').is_some_and(is_prefixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for id in [
            "=\"00123\"",
            "'00123",
            "\u{feff}00123",
            "COLA\u{feff}",
            "\u{feff}'7",
        ] {
            assert_eq!(id_form(id.as_bytes()), Some(Form::from([Key::Ids])), "{id:?}");
        }
        for id in [
            "00123",
            "'N COLA",
            "=",
            "=\"",
            "\u{feff}",
            "CO\u{feff}LA",
            "'",
            "a\0\u{feff}",
        ] {
            assert_eq!(id_form(id.as_bytes()), None, "{id:?}");
        }
        assert_eq!(id_form(b"\xff\xef\xbb\xbf"), None);
    }
}
