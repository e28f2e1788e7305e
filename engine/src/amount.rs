//! Amounts: exact decimals with two places, held as integers of cents, never as floats.

use crate::scan::Field;

/// The largest absolute amount in cents that decimal(18,2) holds.
pub const MAX_CENTS: i64 = 999_999_999_999_999_999;

/// Stands in place of a sum in cents when there is no amount. No sum that fits decimal(18,2) comes near it.
pub(crate) const ABSENT: i64 = i64::MIN;

/// The largest absolute sum that is kept while amounts are added: another amount still fits 64 bits, and [`ABSENT`] is
/// far away.
const MAX_SUM: u64 = 4 * MAX_CENTS.unsigned_abs();

/// Adds an amount or a sum to a sum; either may be [`ABSENT`]. Returns `false` and leaves the sum unchanged if the
/// result would be too large.
#[inline(always)]
pub(crate) fn add_cents(sum: &mut i64, cents: i64) -> bool {
    let before = if *sum == ABSENT { 0 } else { *sum };
    if cents == ABSENT {
        return true;
    }
    // Neither exceeds MAX_SUM, so this cannot wrap.
    *sum = before.wrapping_add(cents);
    let is_kept = sum.unsigned_abs() <= MAX_SUM;
    if !is_kept {
        *sum = before;
    }
    is_kept
}

/// Parses an amount to cents: an optional sign, digits, and optionally a point with digits.
///
/// `12`, `12.5`, `.5` and `-12.50` are amounts; more than two places (`15.000` may be fifteen thousand), exponents,
/// thousands separators and anything beyond decimal(18,2) are not. The text must have no spaces around it.
pub fn parse_cents(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    let mut position = 0;
    while let Some(digit) = digit_at(digits, position) {
        value = value.checked_mul(10)?.checked_add(digit)?;
        position += 1;
    }
    let whole = position;
    let mut places = 0;
    if digits.get(position) == Some(&b'.') {
        position += 1;
        while let Some(digit) = digit_at(digits, position) {
            if places == 2 {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(digit)?;
            places += 1;
            position += 1;
        }
    }
    if position != digits.len() || whole + places == 0 {
        return None;
    }
    for _ in places..2 {
        value = value.checked_mul(10)?;
    }
    if value > MAX_CENTS {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Parses the common form of an amount in place: an optional minus, up to five digits, a point, two digits. Returns
/// `None` for any other text, whether it is an amount or not.
///
/// The eight bytes up to the field's end are read as one word. Bytes before the field are replaced by zeros, the point
/// is removed, and the digits are combined in pairs, then in fours, then into one number.
#[inline(always)]
pub(crate) fn short_cents(field: Field<'_>) -> Option<i64> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const POINT_AT: u32 = 5 * 8;
    let is_negative = field.first_byte() == b'-';
    let length = field.len().wrapping_sub(usize::from(is_negative));
    if !(1..=8).contains(&length) {
        return None;
    }
    let of_field = u64::MAX << (64 - 8 * length);
    let bytes = (field.eight_to_end() & of_field) | (ZEROS & !of_field);
    if bytes >> POINT_AT & 0xFF != u64::from(b'.') {
        return None;
    }
    let whole = bytes & ((1 << POINT_AT) - 1);
    let places = bytes >> (POINT_AT + 8);
    let digits = u64::from(b'0') | whole << 8 | places << (POINT_AT + 8);
    // Digits are 0x30 to 0x39: the upper half is 3, and still 3 when 6 is added.
    let upper = |bytes: u64| bytes & u64::from_le_bytes([0xF0; 8]);
    if upper(digits) != ZEROS || upper(digits.wrapping_add(u64::from_le_bytes([0x06; 8]))) != ZEROS {
        return None;
    }
    let ones = digits & u64::from_le_bytes([0x0F; 8]);
    let twos = ones.wrapping_mul(1 + (10 << 8)) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = twos.wrapping_mul(1 + (100 << 16)) >> 16 & 0x0000_FFFF_0000_FFFF;
    let cents = (fours.wrapping_mul(1 + (10_000 << 32)) >> 32).cast_signed();
    Some(if is_negative { -cents } else { cents })
}

fn digit_at(text: &[u8], position: usize) -> Option<i64> {
    let digit = text.get(position)?.wrapping_sub(b'0');
    (digit <= 9).then_some(i64::from(digit))
}

/// Returns whether a text looks like a number, even one that is out of range. This tells data from a header.
pub(crate) fn has_number_form(text: &[u8]) -> bool {
    let digits = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    let mut points = 0;
    let mut has_digit = false;
    digits.iter().all(|byte| {
        points += u32::from(*byte == b'.');
        has_digit |= byte.is_ascii_digit();
        byte.is_ascii_digit() || *byte == b'.'
    }) && has_digit
        && points <= 1
}

/// Parses a whole number that fits 32 bits, with an optional sign.
pub fn parse_code(text: &[u8]) -> Option<i32> {
    if let [digit @ b'0'..=b'9'] = text {
        return Some(i32::from(digit - b'0'));
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Formats cents as people write them: `-12.50`.
pub fn format_cents(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let magnitude = cents.unsigned_abs();
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts() {
        for (text, cents) in [
            ("12", 1200),
            ("12.5", 1250),
            ("-12.50", -1250),
            ("0.05", 5),
            (".5", 50),
            ("12.", 1200),
            ("+3", 300),
            ("-0", 0),
            ("00012.00", 1200),
            ("9999999999999999.99", MAX_CENTS),
            ("-9999999999999999.99", -MAX_CENTS),
        ] {
            assert_eq!(parse_cents(text.as_bytes()), Some(cents), "{text}");
        }
        for bad in [
            "",
            "-",
            ".",
            "+.",
            "12.345",
            "12.500",
            "15.000",
            "1e3",
            "1,000.00",
            "12.5.0",
            "--1",
            "1-",
            "NaN",
            "0x10",
            " 1",
            "1 ",
            "١",
            "10000000000000000.00",
            "99999999999999999999999999",
        ] {
            assert_eq!(parse_cents(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn codes() {
        assert_eq!(parse_code(b"4"), Some(4));
        assert_eq!(parse_code(b"13"), Some(13));
        assert_eq!(parse_code(b"-7"), Some(-7));
        for bad in [&b""[..], b"4.0", b"x", b" 4", b"99999999999", b"\xff", b"-"] {
            assert_eq!(parse_code(bad), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(cents in -MAX_CENTS..=MAX_CENTS) {
            prop_assert_eq!(parse_cents(format_cents(cents).as_bytes()), Some(cents));
        }
    }
}
