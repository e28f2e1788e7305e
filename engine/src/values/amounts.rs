//! Amounts as tills write them: decimal marks, marks for thousands, signs, currencies, digits without a point, and more
//! than two places.
//!
//! What comes out is exact: cents, or nothing. A text that is not certainly an amount is none.

use super::{NegativeForm, NoAmount, Problem, Rounding, ValuesSpec, without_blanks};
use crate::amount::{MAX_CENTS, has_number_form, parse_cents};

/// How amounts are read.
#[derive(Clone, Debug)]
pub struct AmountRule {
    decimal: char,
    thousands: Option<char>,
    negative: Vec<NegativeForm>,
    currency: Vec<String>,
    scale: Option<u8>,
    round: Option<Rounding>,
    /// Texts that are no amount, without blanks around them, and whether records with them are always ignored.
    no_amount: Vec<(Box<[u8]>, bool)>,
    /// Whether amounts are written in the usual form alone.
    is_usual: bool,
    is_short_usual: bool,
}

/// What the text of an amount says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// There is one.
    Cents {
        /// Its cents.
        cents: i64,
        /// Whether places that were not zeros were rounded.
        is_rounded: bool,
    },
    /// There is none.
    None {
        /// Whether the record is ignored even if its code is asked for.
        is_ignored: bool,
    },
}

/// The most digits that are looked at: leading zeros and places that are rounded included.
const MOST_DIGITS: usize = 36;

/// Minus signs other than `-`.
const MINUS: [char; 4] = ['\u{2212}', '\u{2013}', '\u{fe63}', '\u{ff0d}'];

impl AmountRule {
    /// Checks how amounts are written.
    pub fn new(spec: &ValuesSpec) -> Result<Self, Problem> {
        let decimal = match spec.decimal.as_deref() {
            None | Some(".") => '.',
            Some(",") => ',',
            Some(other) => {
                return Err(("values.decimal", format!("is {other:?}: write \".\" or \",\"")));
            }
        };
        let thousands = match spec.thousands.as_deref() {
            None => None,
            Some(mark @ ("." | "," | "'" | " ")) => mark.chars().next(),
            Some(other) => {
                let problem = format!("is {other:?}: write \",\", \".\", \"'\" or \" \"");
                return Err(("values.thousands", problem));
            }
        };
        if thousands == Some(decimal) {
            let problem = format!("is {decimal:?}, which is the decimal mark: set values.decimal too");
            return Err(("values.thousands", problem));
        }
        let negative = spec
            .negative
            .clone()
            .unwrap_or_else(|| vec![NegativeForm::Before]);
        let mut currency: Vec<String> = Vec::new();
        for text in spec.currency.iter().flatten() {
            let text = without_blanks(text);
            let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | '(' | ')');
            if text.is_empty() || text.contains(is_of_number) {
                let problem = format!(
                    "has {text:?}: write texts without digits, marks and signs, such as \"$\" or \"USD\""
                );
                return Err(("values.currency", problem));
            }
            currency.push(text.to_owned());
        }
        // `US$` before `$`.
        currency.sort_by_key(|text| std::cmp::Reverse(text.len()));
        if spec.scale.is_some_and(|scale| scale > 9) {
            return Err((
                "values.scale",
                "is more than 9: how many of the digits are decimal places?".into(),
            ));
        }
        let no_amount = no_amount(spec);
        let is_number = |(text, _): &(Box<[u8]>, bool)| has_number_form(text);
        let is_usual = decimal == '.'
            && thousands.is_none()
            && negative == [NegativeForm::Before]
            && currency.is_empty()
            && spec.scale.is_none()
            && spec.round.is_none();
        Ok(Self {
            is_short_usual: decimal == '.'
                && negative.contains(&NegativeForm::Before)
                && !no_amount.iter().any(is_number),
            is_usual,
            decimal,
            thousands,
            negative,
            currency,
            scale: spec.scale,
            round: spec.round,
            no_amount,
        })
    }

    /// Returns whether `12.50`, and `-12.50`, mean what they usually do.
    pub(crate) fn is_short_usual(&self) -> bool {
        self.is_short_usual
    }

    /// Returns whether negative amounts may be written in a form.
    pub(crate) fn has_negative(&self, form: NegativeForm) -> bool {
        self.negative.contains(&form)
    }

    /// Returns a form in which negative amounts may be written, the usual one if that is one of them.
    pub(crate) fn negative_form(&self) -> NegativeForm {
        let usual = NegativeForm::Before;
        match self.negative.first() {
            Some(form) if !self.has_negative(usual) => *form,
            _ => usual,
        }
    }

    /// Returns the decimal mark.
    pub(crate) fn decimal(&self) -> char {
        self.decimal
    }

    /// Returns the mark between thousands.
    pub(crate) fn thousands(&self) -> Option<char> {
        self.thousands
    }

    /// Returns whether a text is taken off amounts.
    pub(crate) fn has_currency(&self, text: &str) -> bool {
        self.currency
            .iter()
            .any(|currency| currency.eq_ignore_ascii_case(text))
    }

    /// Returns whether more than two places may be written.
    pub(crate) fn rounds(&self) -> bool {
        self.round.is_some()
    }

    /// Reads an amount. `None` if the text is neither an amount nor listed as none.
    pub fn read(&self, text: &[u8]) -> Option<Amount> {
        // Nearly every amount of most files: nothing else can be meant.
        if self.is_usual
            && self.is_short_usual
            && let Some(cents) = parse_cents(text)
        {
            return Some(Amount::Cents {
                cents,
                is_rounded: false,
            });
        }
        let trimmed = std::str::from_utf8(text).map_or(text, |text| without_blanks(text).as_bytes());
        if let Some((_, is_ignored)) = self.no_amount.iter().find(|(none, _)| **none == *trimmed) {
            return Some(Amount::None {
                is_ignored: *is_ignored,
            });
        }
        let (cents, is_rounded) = match self.is_usual && text.is_ascii() {
            true => (parse_cents(trimmed)?, false),
            false => self.parse(std::str::from_utf8(text).ok()?)?,
        };
        Some(Amount::Cents { cents, is_rounded })
    }

    /// Reads the digits of a number, which need no form. `None` if it is no amount.
    pub(crate) fn read_number(&self, text: &[u8]) -> Option<Amount> {
        let text = std::str::from_utf8(text).ok()?;
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{places}");
        let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits || digits.len() > MOST_DIGITS {
            return None;
        }
        let (cents, is_rounded) = self.cents(digits.parse().ok()?, places.len(), false)?;
        Some(Amount::Cents {
            cents: if is_negative { -cents } else { cents },
            is_rounded,
        })
    }

    /// Returns the cents of an amount, and whether they were rounded.
    fn parse(&self, text: &str) -> Option<(i64, bool)> {
        let (mut rest, mut sign, mut has_currency) = (without_blanks(text), None, false);
        loop {
            if let Some((inner, is_negative)) = self.without_sign(rest) {
                if sign.replace(is_negative).is_some() {
                    return None;
                }
                rest = without_blanks(inner);
            } else if let Some(inner) = self.without_currency(rest) {
                if std::mem::replace(&mut has_currency, true) {
                    return None;
                }
                rest = without_blanks(inner);
            } else {
                break;
            }
        }
        let mut digits = rest.to_owned();
        if self.has_negative(NegativeForm::Overpunch)
            && let Some((digit, is_negative)) = rest.chars().next_back().and_then(overpunched)
        {
            if sign.replace(is_negative).is_some() {
                return None;
            }
            digits.pop();
            digits.push(digit);
        }
        let (number, places, is_implied) = self.number(&digits)?;
        let (cents, is_rounded) = self.cents(number, places, is_implied)?;
        Some((if sign == Some(true) { -cents } else { cents }, is_rounded))
    }

    /// Takes a sign off, and returns the rest and whether the sign is negative.
    fn without_sign<'t>(&self, text: &'t str) -> Option<(&'t str, bool)> {
        let negative =
            |rest: Option<&'t str>, form| rest.filter(|_| self.has_negative(form)).map(|rest| (rest, true));
        let enclosed = text.strip_prefix('(').and_then(|inside| inside.strip_suffix(')'));
        let before = text.strip_prefix('-').or_else(|| text.strip_prefix(MINUS));
        let behind = text.strip_suffix('-').or_else(|| text.strip_suffix(MINUS[0]));
        let credit = text.len().checked_sub(2).and_then(|at| text.split_at_checked(at));
        let credit = credit
            .filter(|(_, end)| end.eq_ignore_ascii_case("CR"))
            .map(|(rest, _)| rest);
        negative(enclosed, NegativeForm::Parentheses)
            .or_else(|| negative(before, NegativeForm::Before))
            .or_else(|| negative(behind, NegativeForm::Trailing))
            .or_else(|| negative(credit, NegativeForm::Credit))
            .or_else(|| text.strip_prefix('+').map(|rest| (rest, false)))
    }

    fn without_currency<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.currency.iter().find_map(|currency| {
            let is = |part: &str| part.eq_ignore_ascii_case(currency);
            if let Some((before, rest)) = text.split_at_checked(currency.len())
                && is(before)
            {
                return Some(rest);
            }
            let at = text.len().checked_sub(currency.len())?;
            let (rest, behind) = text.split_at_checked(at)?;
            is(behind).then_some(rest)
        })
    }

    /// Returns the digits of a number as one whole number, how many of them are places, and whether these are implied.
    fn number(&self, text: &str) -> Option<(i128, usize, bool)> {
        let (whole, places) = match text.rsplit_once(self.decimal) {
            Some((whole, places)) => (whole, Some(places)),
            None => (text, None),
        };
        let is_mark = |c: char| match self.thousands {
            Some(' ') => matches!(c, ' ' | '\u{a0}' | '\u{202f}'),
            Some('\'') => matches!(c, '\'' | '\u{2019}'),
            mark => mark == Some(c),
        };
        let mut digits = String::with_capacity(text.len());
        let mut groups = whole.split(is_mark);
        let first = groups.next().unwrap_or_default();
        digits.push_str(first);
        for group in groups {
            if group.len() != 3 || !(1..=3).contains(&first.len()) {
                return None;
            }
            digits.push_str(group);
        }
        digits.push_str(places.unwrap_or_default());
        let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits || digits.len() > MOST_DIGITS {
            return None;
        }
        let number = digits.parse().ok()?;
        Some(match places {
            Some(places) => (number, places.len(), false),
            None => (number, self.scale.unwrap_or(0).into(), self.scale.is_some()),
        })
    }

    /// Makes cents of a number with so many decimal places.
    fn cents(&self, number: i128, places: usize, is_implied: bool) -> Option<(i64, bool)> {
        let ten = |power: usize| 10_i128.pow(power as u32);
        let (cents, rest) = match places.checked_sub(2) {
            None => (number.checked_mul(ten(2 - places))?, 0),
            Some(more) => (number / ten(more), number % ten(more)),
        };
        if places > 2 && self.round.is_none() && !(is_implied && rest == 0) {
            return None;
        }
        let half = ten(places.max(2) - 2);
        let is_up = match (rest * 2).cmp(&half) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.round == Some(Rounding::HalfUp) || cents % 2 == 1,
        };
        let cents = i64::try_from(cents + i128::from(is_up && rest > 0)).ok()?;
        (cents <= MAX_CENTS).then_some((cents, rest > 0))
    }
}

/// Returns the texts that are no amount. Without the key, that is an empty one.
fn no_amount(spec: &ValuesSpec) -> Vec<(Box<[u8]>, bool)> {
    let text = |text: &str, is_ignored| (without_blanks(text).as_bytes().into(), is_ignored);
    let Some(listed) = &spec.no_amount else {
        return vec![text("", false)];
    };
    let listed = listed.iter().flat_map(|none| match none {
        NoAmount::Text(none) => vec![text(none, false)],
        NoAmount::Listed(table) => table.keys().map(|none| text(none, true)).collect(),
    });
    // What is ignored in any case is found first.
    let mut listed: Vec<_> = listed.collect();
    listed.sort_by_key(|(_, is_ignored)| !is_ignored);
    listed
}

/// Returns the digit and the sign that a character of a zoned decimal stands for.
fn overpunched(c: char) -> Option<(char, bool)> {
    let digit = |c: char, from: char| char::from_digit(c as u32 - from as u32 + 1, 10);
    match c {
        '{' => Some(('0', false)),
        'A'..='I' => Some((digit(c, 'A')?, false)),
        '}' => Some(('0', true)),
        'J'..='R' => Some((digit(c, 'J')?, true)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "amounts_tests.rs"]
mod tests;
