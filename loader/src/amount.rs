//! Amounts as text: exact to the cent, in one form only.
//!
//! SQLite has no exact decimals, and its REAL loses cents above 2^53. So it holds amounts as text such as `450.00` or
//! `-0.05`; since every amount has exactly one such form, equal text is an equal amount. For sums in SQL,
//! `CAST(replace(sale_amount, '.', '') AS INTEGER)` gives the cents.

/// The length of the longest amount in bytes: minus, 17 digits, a point and two digits.
pub(crate) const ROOM: usize = 21;

/// Writes an amount in its one form: optional minus, digits, a point and two digits. It goes to the end of `room`, to
/// avoid an allocation: loads write millions of amounts.
pub(crate) fn written(cents: i64, room: &mut [u8; ROOM]) -> &str {
    let mut rest = cents.unsigned_abs();
    let mut at = ROOM;
    while rest > 0 || at > ROOM - 4 {
        if at == ROOM - 2 {
            at -= 1;
            room[at] = b'.';
        }
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if cents < 0 {
        at -= 1;
        room[at] = b'-';
    }
    std::str::from_utf8(&room[at..]).unwrap_or_default()
}

/// Reads an amount in a database's text form; decimals after the second must be zeros.
pub(crate) fn from_text(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let cents = decimals.get(..2.min(decimals.len()))?;
    let rest = decimals.get(cents.len()..)?;
    let all_digits = whole
        .bytes()
        .chain(cents.bytes())
        .all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits || !rest.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let value: i64 = format!("{whole}{cents:0<2}").parse().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to_text(cents: i64) -> String {
        written(cents, &mut [0; ROOM]).to_string()
    }

    #[test]
    fn an_amount_has_one_form() {
        for (cents, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (45_000, "450.00"),
            (-99, "-0.99"),
            (999_999_999_999_999_999, "9999999999999999.99"),
            (-999_999_999_999_999_999, "-9999999999999999.99"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(to_text(cents), text);
        }
    }

    #[test]
    fn other_forms_are_read_too_and_nonsense_is_not() {
        assert_eq!(from_text("450"), Some(45_000));
        assert_eq!(from_text("450.5"), Some(45_050));
        assert_eq!(from_text("450.0100"), Some(45_001));
        for text in [
            "",
            "-",
            ".5",
            "NaN",
            "1.001",
            "1e3",
            "1.-1",
            "--1",
            "1.2.3",
            "99999999999999999999",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(cents in -999_999_999_999_999_999i64..=999_999_999_999_999_999) {
            prop_assert_eq!(from_text(&to_text(cents)), Some(cents));
        }
    }
}
