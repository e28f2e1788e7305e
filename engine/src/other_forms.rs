//! Known other forms: ways in which tills write amounts, dates and ids that a key of the settings reads, and that the
//! feed's settings do not name.
//!
//! A file in which *every* rejected amount (or date, or id) is written so has no typing errors: its till writes that
//! way, and sums without those lines would be wrong. Such a file is rejected as a whole, whatever its share of rejects,
//! and the reason names the key. See [`Findings`](crate::findings::Findings).

mod amounts;
mod dates;

use std::collections::BTreeSet;

pub(crate) use self::amounts::{amount_form, places_form};
pub(crate) use self::dates::date_form;
use crate::values::{NegativeForm, is_text_for_excel, trimmed};

/// What a text needs to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Negative(NegativeForm),
    Thousands(char),
    Decimal(char),
    Currency(String),
    Round,
    Dates,
    Excel,
}

/// All that a text needs.
pub(crate) type Form = BTreeSet<Need>;

impl Need {
    /// Returns the name of the setting that reads it.
    pub(crate) fn setting(&self) -> &'static str {
        match self {
            Self::Negative(_) => "values.negative",
            Self::Thousands(_) => "values.thousands",
            Self::Decimal(_) => "values.decimal",
            Self::Currency(_) => "values.currency",
            Self::Round => "values.round",
            Self::Dates => "values.dates",
            Self::Excel => "values.ids",
        }
    }
}

/// Says what to write into the settings so that texts with these needs are read.
pub(crate) fn settings_for(needs: &Form) -> String {
    let mut settings = Vec::new();
    let negative: Vec<_> = needs
        .iter()
        .filter_map(|need| match need {
            Need::Negative(NegativeForm::Before) => None,
            Need::Negative(form) => Some(format!(", {:?}", form.word())),
            _ => None,
        })
        .collect();
    if needs.iter().any(|need| matches!(need, Need::Negative(_))) {
        settings.push(format!("values.negative = [\"-\"{}]", negative.concat()));
    }
    let currency: Vec<_> = needs
        .iter()
        .filter_map(|need| match need {
            Need::Currency(text) => Some(format!("{text:?}")),
            _ => None,
        })
        .collect();
    if !currency.is_empty() {
        settings.push(format!("values.currency = [{}]", currency.join(", ")));
    }
    let mut decimal = None;
    for need in needs {
        match need {
            Need::Thousands(mark) => {
                settings.push(format!("values.thousands = \"{mark}\""));
                // A dot cannot be both.
                if *mark == '.' {
                    decimal.get_or_insert(',');
                }
            }
            Need::Decimal(mark) => decimal = Some(*mark),
            Need::Round => settings.push("values.round = \"half-even\"".to_owned()),
            Need::Dates => settings.push("the form of the dates in values.dates".to_owned()),
            Need::Excel => settings.push("values.ids = { excel = true }".to_owned()),
            Need::Negative(_) | Need::Currency(_) => {}
        }
    }
    settings.extend(decimal.map(|mark| format!("values.decimal = \"{mark}\"")));
    settings.join(", ")
}

/// Returns what an id needs which is no id as it is: it is marked as text for Excel.
pub(crate) fn id_form(text: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(text).ok()?;
    let is_marked = is_text_for_excel(trimmed(text));
    is_marked.then(|| Form::from([Need::Excel]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for id in ["=\"00123\"", "'00123", "\u{feff}'7", " =\"A1\" "] {
            assert_eq!(id_form(id.as_bytes()), Some(Form::from([Need::Excel])), "{id:?}");
        }
        for id in [
            "00123",
            "'N COLA",
            "=",
            "=\"",
            "=\"\"",
            "\u{feff}",
            "CO\u{feff}LA",
            "'",
            "a\0\u{feff}",
        ] {
            assert_eq!(id_form(id.as_bytes()), None, "{id:?}");
        }
        assert_eq!(id_form(b"\xff\xef\xbb\xbf"), None);
    }

    #[test]
    fn what_to_write_into_the_settings() {
        let negative = Form::from([
            Need::Negative(NegativeForm::Parentheses),
            Need::Negative(NegativeForm::Trailing),
            Need::Currency("$".into()),
        ]);
        assert_eq!(
            settings_for(&negative),
            "values.negative = [\"-\", \"trailing\", \"parentheses\"], values.currency = [\"$\"]"
        );
        assert_eq!(
            settings_for(&Form::from([Need::Thousands('.')])),
            "values.thousands = \".\", values.decimal = \",\""
        );
        assert_eq!(
            settings_for(&Form::from([Need::Decimal(','), Need::Round])),
            "values.round = \"half-even\", values.decimal = \",\""
        );
    }
}
