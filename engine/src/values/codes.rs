//! Codes: whole numbers, or names that the settings give to numbers.

use super::{OtherCodes, Problem, ValuesSpec, without_blanks};
use crate::amount::parse_code;

/// How codes are read.
#[derive(Clone, Debug, Default)]
pub struct CodeRule {
    names: Vec<(Box<[u8]>, i32)>,
    others_are_ignored: bool,
}

/// What the text of a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeText {
    Number(i32),
    /// Something else; its record is ignored.
    Ignored,
}

impl CodeRule {
    pub(super) fn new(spec: &ValuesSpec) -> Result<Self, Problem> {
        let mut names = Vec::new();
        for (name, code) in spec.codes.iter().flatten() {
            let text = without_blanks(name);
            if text.is_empty() {
                return Err(("values.codes", "has an empty name: leave it out".into()));
            }
            if parse_code(text.as_bytes()).is_some_and(|number| number != *code) {
                return Err((
                    "values.codes",
                    format!("calls {code} {text}, which is another code"),
                ));
            }
            names.push((text.as_bytes().into(), *code));
        }
        Ok(Self {
            names,
            others_are_ignored: spec.other_codes == Some(OtherCodes::Ignore),
        })
    }

    /// Reads a code without blanks around it. `None` if it is none.
    pub(crate) fn read(&self, text: &[u8]) -> Option<CodeText> {
        let named = self.names.iter().find(|(name, _)| **name == *text);
        match named.map(|(_, code)| *code).or_else(|| parse_code(text)) {
            Some(code) => Some(CodeText::Number(code)),
            None => self.others_are_ignored.then_some(CodeText::Ignored),
        }
    }

    /// Returns whether a text is a number or a listed name. This tells data from a header.
    pub(crate) fn is_known(&self, text: &[u8]) -> bool {
        matches!(self.read(text), Some(CodeText::Number(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(names: &[(&str, i32)], other_codes: OtherCodes) -> CodeRule {
        let codes = names.iter().map(|(name, code)| ((*name).to_owned(), *code));
        let spec = ValuesSpec {
            codes: Some(codes.collect()),
            other_codes: Some(other_codes),
            ..ValuesSpec::default()
        };
        CodeRule::new(&spec).unwrap()
    }

    #[test]
    fn names_and_numbers() {
        let words = rule(&[("SALE", 4), (" TAX ", 5), ("06", 6)], OtherCodes::Reject);
        let ignoring = rule(&[("SALE", 4)], OtherCodes::Ignore);
        for (text, code) in [("SALE", 4), ("TAX", 5), ("06", 6), ("4", 4), ("13", 13)] {
            assert_eq!(
                words.read(text.as_bytes()),
                Some(CodeText::Number(code)),
                "{text}"
            );
        }
        for text in ["sale", "TIP", "", "4.0"] {
            assert_eq!(words.read(text.as_bytes()), None, "{text}");
            assert_eq!(ignoring.read(text.as_bytes()), Some(CodeText::Ignored), "{text}");
        }
        assert!(ignoring.is_known(b"SALE") && !ignoring.is_known(b"TIP"));
    }

    #[test]
    fn a_name_that_is_another_number_is_refused() {
        let spec = ValuesSpec {
            codes: Some([("7".to_owned(), 4)].into()),
            ..ValuesSpec::default()
        };
        assert!(CodeRule::new(&spec).unwrap_err().1.contains("another code"));
    }
}
