//! How the amounts of a column are written, and between which ways its values cannot decide.

use gristmill_engine::reading::{Amount, AmountRule, without_blanks};
use gristmill_engine::{NegativeForm, Rounding, ValuesSpec, format_cents};

use crate::distinct::Values;
use crate::draft::quoted;

/// Texts before or behind amounts that are currencies.
const CURRENCIES: [&str; 24] = [
    "US$", "CA$", "CAD$", "C$", "A$", "$", "€", "£", "¥", "₹", "USD", "CAD", "EUR", "GBP", "AUD", "NZD",
    "MXN", "JPY", "CHF", "INR", "SEK", "NOK", "DKK", "kr",
];

/// The most values that decide between ways.
const MOST: usize = 10_000;

/// Texts that say that there is no amount.
const NONE: [&str; 7] = ["NULL", "null", "N/A", "n/a", "NA", "-", "--"];

/// What the amounts of a column may be.
#[derive(Clone, Debug)]
pub(crate) struct AmountGuess {
    /// The settings that read them.
    pub(crate) spec: ValuesSpec,
    /// Others that read as many of them, and read one of them as another amount: the settings, and what they make of it.
    pub(crate) rivals: Vec<ValuesSpec>,
    /// The text on which they differ.
    pub(crate) example: String,
    pub(crate) read: u64,
    pub(crate) of: u64,
    /// How many have a mark, a sign or a currency, which no id has.
    pub(crate) marked: u64,
    /// Whether all of them are digits alone, so that their places may be implied.
    pub(crate) is_implied: bool,
    /// How many have a decimal mark.
    pub(crate) places: u64,
    /// Texts that say that there is none.
    pub(crate) none: Vec<String>,
}

/// Returns what the amounts of a column may be. `None` if they are none.
pub(crate) fn guess(values: &Values, typed: u64, may_overpunch: bool) -> Option<AmountGuess> {
    // Most of what is no amount has no digits.
    if !values.are(|text| text.bytes().any(|byte| byte.is_ascii_digit()) || NONE.contains(&text)) {
        return None;
    }
    let looked: Vec<(&str, u64)> = values
        .list
        .iter()
        .take(MOST)
        .map(|(text, count)| (text.as_str(), *count))
        .collect();
    let none: Vec<String> = looked
        .iter()
        .map(|(text, _)| *text)
        .filter(|text| NONE.contains(text))
        .map(ToOwned::to_owned)
        .collect();
    let base = ValuesSpec {
        negative: Some(negative_forms(&looked, may_overpunch)),
        currency: Some(currencies(&looked)).filter(|found| !found.is_empty()),
        ..ValuesSpec::default()
    };
    let mut candidates: Vec<(u64, u32, ValuesSpec, Vec<Option<i64>>)> = Vec::new();
    for decimal in [".", ","] {
        for thousands in [None, Some(","), Some("."), Some(" "), Some("'")] {
            for round in [None, Some(Rounding::HalfEven)] {
                let spec = ValuesSpec {
                    decimal: (decimal != ".").then(|| decimal.to_owned()),
                    thousands: thousands.map(ToOwned::to_owned),
                    round,
                    ..base.clone()
                };
                let Ok(rule) = AmountRule::new(&spec) else {
                    continue;
                };
                let cents: Vec<Option<i64>> = looked
                    .iter()
                    .map(|(text, _)| cents(&rule, text, thousands))
                    .collect();
                let read = looked.iter().zip(&cents).filter(|(_, cents)| cents.is_some());
                let read = read.map(|((_, count), _)| count).sum();
                let complexity = u32::from(decimal != ".")
                    + u32::from(thousands.is_some())
                    + 2 * u32::from(round.is_some());
                candidates.push((read, complexity, spec, cents));
            }
        }
    }
    candidates.sort_by_key(|(read, complexity, ..)| (std::cmp::Reverse(*read), *complexity));
    let (read, complexity, spec, cents) = candidates.first()?.clone();
    let no_amounts = values.count(|text| none.iter().any(|none| none == text));
    let of = values.filled - no_amounts;
    if read == 0 || read * 10 < of * 9 {
        return None;
    }
    let differs = |other: &Vec<Option<i64>>| {
        cents
            .iter()
            .zip(other)
            .position(|(one, other)| one.is_some() && one != other)
    };
    let is_rival = |(of_other, other, _, read_as): &&(u64, u32, ValuesSpec, Vec<Option<i64>>)| {
        *of_other == read && *other <= complexity.max(2) && differs(read_as).is_some()
    };
    let rivals: Vec<_> = candidates[1..].iter().filter(is_rival).collect();
    let example = rivals.first().and_then(|rival| differs(&rival.3));
    let example = example.or_else(|| spec.round.and_then(|_| first_rounded(&looked, &spec)));
    let example = example.or((!looked.is_empty()).then_some(0));
    let is_marked = |text: &str| !text.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = |text: &str| {
        AmountRule::new(&spec)
            .is_ok_and(|rule| matches!(rule.read(text.as_bytes()), Some(Amount::Cents { .. })))
    };
    let decimal = spec.decimal.as_deref().unwrap_or(".").to_owned();
    let places = values.count(|text| text.contains(&decimal) && is_good(text));
    let mut rivals: Vec<ValuesSpec> = rivals.into_iter().map(|(_, _, spec, _)| spec.clone()).collect();
    rivals.dedup();
    rivals.truncate(2);
    Some(AmountGuess {
        marked: values.count(|text| is_marked(text) && is_good(text)),
        is_implied: typed == 0 && places == 0 && spec.thousands.is_none(),
        example: example.map_or_else(String::new, |at| looked[at].0.to_owned()),
        places,
        spec,
        rivals,
        read,
        of,
        none,
    })
}

/// Reads an amount. A number that begins with a zero has no marks between thousands.
fn cents(rule: &AmountRule, text: &str, thousands: Option<&str>) -> Option<i64> {
    if let Some(mark) = thousands
        && let Some((first, _)) = text.split_once(mark)
        && first
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .starts_with('0')
    {
        return None;
    }
    match rule.read(text.as_bytes())? {
        Amount::Cents { cents, .. } => Some(cents),
        Amount::None { .. } => None,
    }
}

/// Returns the place of the first value that only rounding reads.
fn first_rounded(looked: &[(&str, u64)], spec: &ValuesSpec) -> Option<usize> {
    let plain = ValuesSpec {
        round: None,
        ..spec.clone()
    };
    let (with, without) = (AmountRule::new(spec).ok()?, AmountRule::new(&plain).ok()?);
    looked
        .iter()
        .position(|(text, _)| without.read(text.as_bytes()).is_none() && with.read(text.as_bytes()).is_some())
}

/// Returns the ways in which negative amounts are written, and the usual one.
fn negative_forms(looked: &[(&str, u64)], may_overpunch: bool) -> Vec<NegativeForm> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has = |is: &dyn Fn(&str) -> bool| {
        let found: u64 = looked
            .iter()
            .filter(|(text, _)| text.bytes().any(|byte| byte.is_ascii_digit()) && is(text))
            .map(|(_, count)| count)
            .sum();
        found > 0
    };
    let overpunched = |text: &str| {
        let last = text
            .chars()
            .next_back()
            .filter(|c| matches!(c, '{' | '}' | 'A'..='R'));
        last.is_some_and(|last| is_digits(&text[..text.len() - last.len_utf8()]))
    };
    if may_overpunch && has(&overpunched) {
        return vec![NegativeForm::Overpunch];
    }
    let mut forms = vec![NegativeForm::Before];
    if has(&|text| text.ends_with(['-', '\u{2212}'])) {
        forms.push(NegativeForm::Trailing);
    }
    if has(&|text| text.contains('(') && text.contains(')')) {
        forms.push(NegativeForm::Parentheses);
    }
    if has(&|text| {
        text.len() > 2
            && text.is_char_boundary(text.len() - 2)
            && text[text.len() - 2..].eq_ignore_ascii_case("CR")
    }) {
        forms.push(NegativeForm::Credit);
    }
    forms
}

/// Returns the currencies that stand before or behind amounts.
fn currencies(looked: &[(&str, u64)]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let is_of_amount =
        |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | '(' | ')' | '\'' | '\u{2212}');
    for (text, _) in looked {
        if !text.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let rest = text.trim_matches(|c| is_of_amount(c) || c == ' ' || c == '\u{a0}');
        let ends = [
            text.split(is_of_amount).find(|part| !part.trim().is_empty()),
            text.rsplit(is_of_amount).find(|part| !part.trim().is_empty()),
            Some(rest),
        ];
        for end in ends.into_iter().flatten() {
            let end = without_blanks(end);
            let known = CURRENCIES.iter().find(|known| known.eq_ignore_ascii_case(end));
            if let Some(known) = known
                && !found.iter().any(|other| other == known)
            {
                found.push((*known).to_owned());
            }
        }
    }
    found
}

/// Returns what settings make of a text, in words.
pub(crate) fn describe(spec: &ValuesSpec, text: &str) -> String {
    let rule = AmountRule::new(spec);
    match rule.map(|rule| rule.read(text.as_bytes())) {
        Ok(Some(Amount::Cents { cents, .. })) => format!("{} is {}", quoted(text), format_cents(cents)),
        _ => format!("{} is no amount", quoted(text)),
    }
}
