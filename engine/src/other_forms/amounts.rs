//! Amounts in other forms: negative ones, and amounts with a currency, with marks for thousands, with another decimal
//! mark, or with more places.

use super::{Form, Key};

/// Signs of currencies that stand before or behind an amount. Letters count in any case.
const CURRENCIES: [&str; 44] = [
    "US$", "CA$", "C$", "AU$", "A$", "NZ$", "MX$", "R$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺", "₫", "₴",
    "₱", "฿", "₦", "₪", "¢", "USD", "CAD", "MXN", "EUR", "GBP", "AUD", "NZD", "JPY", "CNY", "INR", "BRL",
    "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "ZAR", "IDR", "Rp", "kr",
];

/// Returns the keys that a rejected amount needs to be read, or `None` if none would do.
pub(crate) fn amount_form(text: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(text).ok()?;
    let mut form = Form::new();
    let number = digits_of(text, &mut form)?;
    number_form(number, &mut form)?;
    // A plain amount that is a reject all the same is too large.
    (!form.is_empty()).then_some(form)
}

/// Takes signs and currencies off, and notes their keys. An amount has at most one of each.
fn digits_of<'t>(text: &'t str, form: &mut Form) -> Option<&'t str> {
    let (mut rest, mut is_signed) = (trim(text), false);
    loop {
        let mut sign = |found: Option<&'t str>, key: Option<Key>| -> Option<Option<&'t str>> {
            let Some(found) = found else { return Some(None) };
            if std::mem::replace(&mut is_signed, true) {
                return None;
            }
            form.extend(key);
            Some(Some(trim(found)))
        };
        let enclosed = rest.strip_prefix('(').and_then(|inside| inside.strip_suffix(')'));
        let behind = rest.strip_suffix(['-', '\u{2212}']);
        let credit = rest
            .len()
            .checked_sub(2)
            .filter(|at| rest.get(*at..).is_some_and(|end| end.eq_ignore_ascii_case("CR")))
            .map(|at| &rest[..at]);
        let other_minus = rest.strip_prefix(['\u{2212}', '\u{2013}', '\u{fe63}', '\u{ff0d}']);
        let plain = rest.strip_prefix(['-', '+']);
        let next = match sign(enclosed, Some(Key::Negative))? {
            Some(next) => Some(next),
            None => match sign(behind.or(credit).or(other_minus), Some(Key::Negative))? {
                Some(next) => Some(next),
                None => sign(plain, None)?,
            },
        };
        if let Some(next) = next {
            rest = next;
        } else if let Some(next) = without_currency(rest).filter(|_| form.insert(Key::Currency)) {
            rest = trim(next);
        } else {
            return Some(rest);
        }
    }
}

fn without_currency(text: &str) -> Option<&str> {
    let is = |part: Option<&str>, sign: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(sign));
    CURRENCIES.iter().find_map(|sign| {
        if is(text.get(..sign.len()), sign) {
            return Some(&text[sign.len()..]);
        }
        let at = text.len().checked_sub(sign.len())?;
        is(text.get(at..), sign).then(|| &text[..at])
    })
}

/// Notes the keys that digits with marks between them need. `None` if they are no number.
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
        if last == ',' {
            form.insert(Key::Decimal);
        }
        if places.len() > 2 {
            form.insert(Key::Round);
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
    form.insert(Key::Thousands);
    if is_last_decimal {
        if !places.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if last == ',' {
            form.insert(Key::Decimal);
        }
        if places.len() > 2 {
            form.insert(Key::Round);
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

    fn keys(text: &str) -> Option<Vec<&'static str>> {
        let form = amount_form(text.as_bytes())?;
        Some(
            form.into_iter()
                .map(|key| key.name().trim_start_matches("values."))
                .collect(),
        )
    }

    #[test]
    fn forms_and_their_keys() {
        for (text, expected) in [
            ("2.50-", "negative"),
            ("2.50 -", "negative"),
            ("(2.50)", "negative"),
            ("\u{2212}2.50", "negative"),
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
            assert_eq!(keys(text), Some(expected.split(' ').collect()), "{text:?}");
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
            assert_eq!(keys(text), None, "{text:?}");
        }
        assert_eq!(amount_form(b"\xff1.00-"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in "[-+().,0-9$€ CcRr'\u{a0}]{0,10}") {
            if amount_form(text.as_bytes()).is_some() {
                prop_assert_eq!(parse_cents(text.as_bytes()), None, "an amount has no other form");
            }
        }

        #[test]
        fn digits_without_marks_need_no_key(digits in "[0-9]{1,30}", places in "(\\.[0-9]{0,2})?") {
            prop_assert_eq!(amount_form(format!("{digits}{places}").as_bytes()), None);
        }
    }
}
