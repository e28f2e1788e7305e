//! Amounts in other forms: negative ones, and amounts with a currency, with marks for thousands, with another decimal
//! mark, or with more places.

use super::{Form, Need};
use crate::values::{AmountRule, NegativeForm};

/// Signs of currencies that stand before or behind an amount. Letters count in any case.
const CURRENCIES: [&str; 44] = [
    "US$", "CA$", "C$", "AU$", "A$", "NZ$", "MX$", "R$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺", "₫", "₴",
    "₱", "฿", "₦", "₪", "¢", "USD", "CAD", "MXN", "EUR", "GBP", "AUD", "NZD", "JPY", "CNY", "INR", "BRL",
    "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "ZAR", "IDR", "Rp", "kr",
];

/// Returns what a rejected amount that is a number needs: if anything, its places must be rounded.
pub(crate) fn places_form(number: &[u8], rule: &AmountRule) -> Option<Form> {
    let number = std::str::from_utf8(number).ok()?;
    let (whole, places) = number.split_once('.')?;
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_amount = are_digits(whole.strip_prefix('-').unwrap_or(whole)) && are_digits(places);
    (is_amount && places.len() > 2 && !rule.rounds()).then(|| Form::from([Need::Round]))
}

/// Returns what a rejected amount needs besides what a rule says, or `None` if nothing would do.
pub(crate) fn amount_form(text: &[u8], rule: &AmountRule) -> Option<Form> {
    let text = std::str::from_utf8(text).ok()?;
    let mut form = Form::new();
    let number = digits_of(text, &mut form)?;
    number_form(number, &mut form)?;
    form.retain(|need| match need {
        Need::Negative(form) => !rule.has_negative(*form),
        Need::Thousands(mark) => rule.thousands() != Some(*mark),
        Need::Decimal(mark) => rule.decimal() != *mark,
        Need::Currency(text) => !rule.has_currency(text),
        Need::Round => !rule.rounds(),
        Need::Dates | Need::Excel => true,
    });
    // An amount that lacks nothing and is a reject all the same is too large.
    (!form.is_empty()).then_some(form)
}

/// Takes signs and currencies off, and notes them. An amount has at most one of each.
fn digits_of<'t>(text: &'t str, form: &mut Form) -> Option<&'t str> {
    let (mut rest, mut is_signed, mut has_currency) = (trim(text), false, false);
    loop {
        let enclosed = rest.strip_prefix('(').and_then(|inside| inside.strip_suffix(')'));
        let behind = rest.strip_suffix(['-', '\u{2212}']);
        let credit = rest.len().checked_sub(2).and_then(|at| rest.split_at_checked(at));
        let credit = credit
            .filter(|(_, end)| end.eq_ignore_ascii_case("CR"))
            .map(|(rest, _)| rest);
        let before = rest.strip_prefix(['-', '\u{2212}', '\u{2013}', '\u{fe63}', '\u{ff0d}']);
        let signs = [
            (enclosed, Some(NegativeForm::Parentheses)),
            (behind, Some(NegativeForm::Trailing)),
            (credit, Some(NegativeForm::Credit)),
            (before, Some(NegativeForm::Before)),
            (rest.strip_prefix('+'), None),
        ];
        if let Some((next, sign)) = signs.into_iter().find_map(|(next, sign)| Some((next?, sign))) {
            if std::mem::replace(&mut is_signed, true) {
                return None;
            }
            form.extend(sign.map(Need::Negative));
            rest = trim(next);
        } else if !has_currency && let Some((next, sign)) = without_currency(rest) {
            has_currency = true;
            form.insert(Need::Currency(sign.to_owned()));
            rest = trim(next);
        } else {
            return Some(rest);
        }
    }
}

/// Takes a currency off, and returns the rest and the currency.
fn without_currency(text: &str) -> Option<(&str, &str)> {
    CURRENCIES.iter().find_map(|sign| {
        let is = |part: &str| part.eq_ignore_ascii_case(sign);
        if let Some((before, rest)) = text.split_at_checked(sign.len())
            && is(before)
        {
            return Some((rest, before));
        }
        let at = text.len().checked_sub(sign.len())?;
        let (rest, behind) = text.split_at_checked(at)?;
        is(behind).then_some((rest, behind))
    })
}

/// Notes what digits with marks between them need. `None` if they are no number.
fn number_form(text: &str, form: &mut Form) -> Option<()> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let marks: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| !c.is_ascii_digit()).collect();
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let Some((last_at, last)) = marks.last().copied() else {
        return Some(());
    };
    let places = &text[last_at + last.len_utf8()..];
    let (whole, others) = (&text[..last_at], &marks[..marks.len() - 1]);
    if others.is_empty() && matches!(last, '.' | ',') && !is_group(whole, places) {
        // One mark, and what follows it is no thousand: a decimal mark.
        form.insert(Need::Decimal(last));
        if places.len() > 2 {
            form.insert(Need::Round);
        }
        return (is_digits(whole) || is_digits(places)).then_some(());
    }
    // All marks but perhaps the last one stand between thousands, and are the same.
    let is_last_decimal =
        matches!(last, '.' | ',') && others.iter().all(|(_, mark)| *mark != last) && !others.is_empty();
    let thousands = others.first().map_or(last, |(_, mark)| *mark);
    let grouped = if is_last_decimal { whole } else { text };
    let is_mark = matches!(
        thousands,
        '.' | ',' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}'
    );
    let mut groups = grouped.split(thousands);
    let first = groups.next()?;
    let is_grouped = (1..=3).contains(&first.len()) && is_digits(first);
    if !is_mark || !is_grouped || !groups.all(|group| group.len() == 3 && is_digits(group)) {
        return None;
    }
    form.insert(Need::Thousands(match thousands {
        '\u{2019}' => '\'',
        '\u{a0}' | '\u{202f}' => ' ',
        mark => mark,
    }));
    if is_last_decimal {
        if !places.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        form.insert(Need::Decimal(last));
        if places.len() > 2 {
            form.insert(Need::Round);
        }
    }
    Some(())
}

/// Returns whether digits before and behind a mark are thousands and a group of three.
fn is_group(before: &str, behind: &str) -> bool {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&before.len())
        && !before.starts_with('0')
        && is_digits(before)
        && behind.len() == 3
        && is_digits(behind)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::amount::parse_cents;

    use crate::values::ValuesSpec;

    fn rule(change: impl FnOnce(&mut ValuesSpec)) -> AmountRule {
        let mut spec = ValuesSpec::default();
        change(&mut spec);
        AmountRule::new(&spec).unwrap()
    }

    fn settings_beside(rule: &AmountRule, text: &str) -> Option<Vec<&'static str>> {
        let form = amount_form(text.as_bytes(), rule)?;
        let settings = form
            .iter()
            .map(|need| need.setting().trim_start_matches("values."));
        Some(settings.collect())
    }

    fn settings(text: &str) -> Option<Vec<&'static str>> {
        settings_beside(&rule(|_| ()), text)
    }

    #[test]
    fn what_is_told_already_is_not_needed() {
        let german = rule(|spec| (spec.decimal, spec.thousands) = (Some(",".into()), Some(".".into())));
        for (text, expected) in [
            ("12.50", "decimal"),
            ("1,234.50", "thousands decimal"),
            ("(1.234,50)", "negative"),
            ("1.234,505", "round"),
            ("€ 1,50", "currency"),
        ] {
            assert_eq!(
                settings_beside(&german, text),
                Some(expected.split(' ').collect()),
                "{text}"
            );
        }
        let with_settings = rule(|spec| {
            spec.negative = Some(vec![NegativeForm::Trailing]);
            spec.currency = Some(vec!["$".into()]);
            spec.round = Some(crate::values::Rounding::HalfUp);
        });
        for text in ["2.50-", "$2.50", "2222.505"] {
            assert_eq!(settings_beside(&with_settings, text), None, "{text}");
        }
        assert_eq!(settings_beside(&with_settings, "-2.50"), Some(vec!["negative"]));
        assert_eq!(settings_beside(&with_settings, "2.50US$"), Some(vec!["currency"]));
    }

    #[test]
    fn forms_and_their_settings() {
        for (text, expected) in [
            ("2.50-", "negative"),
            ("2.50 -", "negative"),
            ("(2.50)", "negative"),
            ("12.50CR", "negative"),
            ("12.50 cr", "negative"),
            ("15.000", "thousands"),
            ("1.234.567", "thousands"),
            ("1,234.56", "thousands"),
            ("1,198", "thousands"),
            ("1 234.56", "thousands"),
            ("1'234.50", "thousands"),
            ("1.234,56", "thousands decimal"),
            ("12,50", "decimal"),
            ("12,5", "decimal"),
            (",50", "decimal"),
            ("$1.00", "currency"),
            ("1.00 €", "currency"),
            ("USD 1.00", "currency"),
            ("1.00usd", "currency"),
            ("-$1,234.56", "thousands currency"),
            ("($1.00)", "negative currency"),
            ("$ (1.00)", "negative currency"),
            ("Rp15.000", "thousands currency"),
            ("0.500", "round"),
            ("1234.567", "round"),
            ("1.9990", "round"),
            ("0,1250", "decimal round"),
            ("\u{a0}(1,00)", "negative decimal"),
        ] {
            assert_eq!(settings(text), Some(expected.split(' ').collect()), "{text:?}");
        }
    }

    #[test]
    fn typing_errors_are_in_no_form() {
        for text in [
            "",
            "-",
            ".",
            ",",
            "x",
            "1e3",
            "--1",
            "-1-",
            "(1.00",
            "1.00)",
            "(-1.00)",
            "12.5.0",
            "1,23,456",
            "1,2345.00",
            "1..00",
            "$",
            "$$1.00",
            "$1.00$",
            "CR",
            "\u{2212}2.50",
            "()",
            "NULL",
            "n/a",
            "0x10",
            "1.00TAX",
            "10000000000000000.00",
            "12;50",
            "1,234.5x",
            "1\u{a0}23",
            "12:50",
        ] {
            assert_eq!(settings(text), None, "{text:?}");
        }
        assert_eq!(amount_form(b"\xff1.00-", &rule(|_| ())), None);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in "[-+().,0-9$€ CcRr'\u{a0}]{0,10}") {
            if settings(&text).is_some() {
                prop_assert_eq!(parse_cents(text.as_bytes()), None, "an amount has no other form");
            }
        }

        #[test]
        fn digits_without_marks_need_no_setting(digits in "[0-9]{1,30}", places in "(\\.[0-9]{0,2})?") {
            prop_assert_eq!(settings(&format!("{digits}{places}")), None);
        }
    }
}
