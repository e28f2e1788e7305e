//! Ids: how the texts of stores and items are made alike, and which of them are no ids.

use std::borrow::Cow;

use super::{IdCase, IdZeros, IdsSpec, Problem};

/// How ids are read.
#[derive(Clone, Debug)]
pub struct IdRule {
    trims: bool,
    is_upper: bool,
    zeros: Zeros,
    takes_excel_marks: bool,
    /// The greatest length in characters.
    chars: usize,
}

/// What becomes of the leading zeros of an id that is digits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zeros {
    Kept,
    Stripped,
    Padded(usize),
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoId {
    Empty,
    TooLong,
    /// It holds characters that no id has, or marks that are not read.
    Text,
}

impl IdRule {
    pub(super) fn new(spec: Option<&IdsSpec>, chars: usize) -> Result<Self, Problem> {
        let unset = IdsSpec::default();
        let spec = spec.unwrap_or(&unset);
        let zeros = match (spec.zeros, spec.pad) {
            (None, None) => Zeros::Kept,
            (Some(IdZeros::Strip), None) => Zeros::Stripped,
            (None, Some(digits)) if (1..=chars).contains(&usize::from(digits)) => {
                Zeros::Padded(digits.into())
            }
            (None, Some(_)) => {
                return Err((
                    "values.ids",
                    format!("pad must be from 1 to id_chars, which is {chars}"),
                ));
            }
            (Some(_), Some(_)) => {
                let problem = "takes zeros off (zeros) and adds some (pad): write one of the two";
                return Err(("values.ids", problem.into()));
            }
        };
        Ok(Self {
            trims: spec.trim.unwrap_or(true),
            is_upper: spec.case == Some(IdCase::Upper),
            zeros,
            takes_excel_marks: spec.excel.unwrap_or(false),
            chars,
        })
    }

    /// Returns the id that a text is written for. `is_decoded` says whether the text went through a decoder, which
    /// writes U+FFFD for what it cannot decode.
    pub(crate) fn read<'i>(&self, text: &'i [u8], is_decoded: bool) -> Result<Cow<'i, str>, NoId> {
        match std::str::from_utf8(text) {
            Ok(text) if self.keeps(text) => Ok(Cow::Borrowed(text)),
            Ok(text) => self.read_any(text, is_decoded),
            Err(_) => Err(NoId::Text),
        }
    }

    /// Returns whether a text is an id as it stands, as nearly all are. It may be one even if this returns `false`.
    fn keeps(&self, text: &str) -> bool {
        self.zeros == Zeros::Kept
            && !self.is_upper
            && text.len() <= self.chars
            // What Excel takes for a text begins with another character.
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    fn read_any<'i>(&self, text: &'i str, is_decoded: bool) -> Result<Cow<'i, str>, NoId> {
        if is_decoded && text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(NoId::Text);
        }
        let id = self.normal(text);
        if trimmed(&id).is_empty() {
            return Err(NoId::Empty);
        }
        if id.contains(is_unseen) || is_text_for_excel(&id) {
            return Err(NoId::Text);
        }
        // A text never has more characters than bytes.
        if id.len() > self.chars && id.chars().count() > self.chars {
            return Err(NoId::TooLong);
        }
        Ok(id)
    }

    /// Returns the normal form of a text: that of the normal form is itself.
    fn normal<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut inner = text;
        loop {
            let before = inner.len();
            if self.trims {
                inner = trimmed(inner);
            }
            if self.takes_excel_marks {
                inner = without_excel_mark(inner);
            }
            if inner.len() == before {
                break;
            }
        }
        if !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit()) {
            match self.zeros {
                Zeros::Kept => {}
                Zeros::Stripped => {
                    let digits = inner.trim_start_matches('0');
                    inner = if digits.is_empty() { "0" } else { digits };
                }
                Zeros::Padded(digits) if inner.len() < digits => return format!("{inner:0>digits$}").into(),
                Zeros::Padded(_) => {}
            }
        }
        match self.is_upper && inner.chars().any(|c| !c.is_uppercase()) {
            true => Cow::Owned(inner.to_uppercase()),
            false => Cow::Borrowed(inner),
        }
    }
}

/// Returns whether an id is marked as text for Excel: `="00123"`, or `'00123`.
pub(crate) fn is_text_for_excel(id: &str) -> bool {
    without_excel_mark(id).len() < id.len()
}

/// Returns an id without the mark that makes it a text for Excel.
pub(crate) fn without_excel_mark(id: &str) -> &str {
    let formula = id.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    let is_digits = |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    formula
        .filter(|inner| !inner.is_empty())
        .or_else(|| id.strip_prefix('\'').filter(is_digits))
        .unwrap_or(id)
}

/// Returns a text without blanks, and characters that are not seen, at its ends.
pub fn trimmed(text: &str) -> &str {
    // A NUL is no blank but the trace of lost data.
    text.trim_matches(|c: char| c != '\0' && (c == ' ' || is_unseen(c)))
}

/// Returns whether an id never holds a character: control characters, those without width, blanks that do not break a
/// line, and byte order marks.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(change: impl FnOnce(&mut IdsSpec)) -> IdRule {
        let mut spec = IdsSpec::default();
        change(&mut spec);
        IdRule::new(Some(&spec), 25).unwrap()
    }

    fn read(rule: &IdRule, text: &str) -> Result<String, NoId> {
        rule.read(text.as_bytes(), false).map(Cow::into_owned)
    }

    #[test]
    fn what_is_not_seen_is_taken_off_the_ends_and_refused_inside() {
        let usual = rule(|_| ());
        for text in [
            "COLA",
            " COLA\t",
            "\u{feff}COLA\u{200b}",
            "COLA\u{a0} ",
            "\u{202f}COLA\r",
        ] {
            assert_eq!(read(&usual, text), Ok("COLA".into()), "{text:?}");
        }
        assert_eq!(read(&usual, "DIET COLA"), Ok("DIET COLA".into()));
        for text in [
            "CO\u{a0}LA",
            "CO\tLA",
            "CO\u{200b}LA",
            "CO\u{feff}LA",
            "CO\0LA",
            "COLA\0",
            "\0",
        ] {
            assert_eq!(read(&usual, text), Err(NoId::Text), "{text:?}");
        }
        for text in ["", "  ", "\u{a0}\u{feff}"] {
            assert_eq!(read(&usual, text), Err(NoId::Empty), "{text:?}");
        }
        assert_eq!(usual.read(b"\xff", false), Err(NoId::Text));
        assert_eq!(usual.read("\u{fffd}".as_bytes(), true), Err(NoId::Text));
        assert_eq!(usual.read("\u{fffd}".as_bytes(), false), Ok("\u{fffd}".into()));
    }

    #[test]
    fn ends_stay_as_they_are_if_that_is_told() {
        let untrimmed = rule(|spec| spec.trim = Some(false));
        assert_eq!(read(&untrimmed, " COLA"), Ok(" COLA".into()));
        assert_eq!(read(&untrimmed, "COLA\u{a0}"), Err(NoId::Text));
        assert_eq!(read(&untrimmed, "  "), Err(NoId::Empty));
    }

    #[test]
    fn zeros_case_and_marks_for_excel() {
        let alike = rule(|spec| {
            spec.case = Some(IdCase::Upper);
            spec.zeros = Some(IdZeros::Strip);
            spec.excel = Some(true);
        });
        for text in ["=\"00123\"", "00123", "'123", " 123 ", "=\" 0123 \""] {
            assert_eq!(read(&alike, text), Ok("123".into()), "{text:?}");
        }
        assert_eq!(read(&alike, "\u{200b}cola"), Ok("COLA".into()));
        assert_eq!(read(&alike, "00a7"), Ok("00A7".into()), "no number");
        assert_eq!(read(&alike, "000"), Ok("0".into()));
        assert_eq!(read(&alike, "'N COLA"), Ok("'N COLA".into()));
        let padded = rule(|spec| spec.pad = Some(6));
        for (text, id) in [("123", "000123"), ("1234567", "1234567"), ("A1", "A1")] {
            assert_eq!(read(&padded, text), Ok(id.into()));
        }
        assert_eq!(read(&padded, "'123"), Err(NoId::Text), "a mark that is not told");
        assert_eq!(read(&padded, &"x".repeat(26)), Err(NoId::TooLong));
        let both = IdsSpec {
            zeros: Some(IdZeros::Strip),
            pad: Some(3),
            ..IdsSpec::default()
        };
        assert!(IdRule::new(Some(&both), 25).is_err());
    }

    proptest! {
        #[test]
        fn ids_that_stay_as_they_are_are_those_that_the_rules_leave_alone(text in "[a0='][0='\"a-]{0,28}|[a0][ aé\t]{0,3}") {
            let usual = rule(|_| ());
            if usual.keeps(&text) {
                prop_assert_eq!(usual.read_any(&text, true), Ok(Cow::Borrowed(text.as_str())));
            }
        }

        #[test]
        fn the_normal_form_of_a_normal_form_is_itself(text in "[ 0='\"aß\u{a0}1]{0,9}") {
            for rule in [
                rule(|_| ()),
                rule(|spec| (spec.case, spec.zeros, spec.excel) = (Some(IdCase::Upper), Some(IdZeros::Strip), Some(true))),
                rule(|spec| (spec.pad, spec.excel) = (Some(4), Some(true))),
            ] {
                if let Ok(id) = read(&rule, &text) {
                    prop_assert_eq!(read(&rule, &id), Ok(id.clone()), "{:?}", text);
                }
            }
        }
    }
}
