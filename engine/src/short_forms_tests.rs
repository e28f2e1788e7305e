//! The fast ways of reading a value agree with the general ones on every text, whatever surrounds it.

use proptest::prelude::*;

use crate::amount::{parse_cents, short_cents};
use crate::scan::Field;
use crate::short_text::{Memo, ShortText};
use crate::symbols::Symbols;

/// Bytes around a field: in a unit, those before and after a value belong to other values, or are zeros.
const AROUND: [[u8; 16]; 4] = [[0; 16], [b'9'; 16], [b'-'; 16], *b"\t.\n-0123456789.\t"];

/// Checks that an amount read in place, if it is read at all, equals the amount parsed from its text.
fn check_amount(field: &[u8]) {
    let expected = parse_cents(field);
    for around in AROUND {
        let text = [&around[..], field, &around].concat();
        let range = 16..16 + field.len();
        if let Some(cents) = short_cents(Field::of(&text, range)) {
            assert_eq!(Some(cents), expected, "{:?}", String::from_utf8_lossy(field));
        } else {
            assert!(
                !is_common(field),
                "the common form {:?} is not recognised",
                String::from_utf8_lossy(field)
            );
        }
    }
}

/// Returns whether a field is an optional minus, one to five digits, a point and two digits.
fn is_common(field: &[u8]) -> bool {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    let (4..=8, Some(point)) = (digits.len(), digits.len().checked_sub(3)) else {
        return false;
    };
    digits.iter().enumerate().all(|(at, byte)| match at == point {
        true => *byte == b'.',
        false => byte.is_ascii_digit(),
    })
}

#[test]
fn every_short_amount_of_a_small_alphabet() {
    let alphabet = b"019.-+ /:\x00\xb0";
    let mut field = Vec::new();
    for length in 0..=5 {
        for number in 0..alphabet.len().pow(length) {
            field.clear();
            let mut rest = number;
            for _ in 0..length {
                field.push(alphabet[rest % alphabet.len()]);
                rest /= alphabet.len();
            }
            check_amount(&field);
        }
    }
}

#[test]
fn every_byte_in_every_place_of_an_amount() {
    for amount in [
        "1.00",
        "12345.67",
        "-12345.67",
        "-0.05",
        "99999.99",
        "-.50",
        "123456.78",
    ] {
        for place in 0..amount.len() {
            for byte in 0..=u8::MAX {
                let mut field = amount.as_bytes().to_vec();
                field[place] = byte;
                check_amount(&field);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn amounts_of_any_length(field in "[-+]?[0-9]{0,8}[.]?[0-9]{0,3}") {
        check_amount(field.as_bytes());
    }

    #[test]
    fn amounts_of_any_bytes(field in prop::collection::vec(any::<u8>(), 0..12)) {
        check_amount(&field);
    }
}

proptest! {
    #[test]
    fn a_memo_never_gives_what_another_text_means(texts in prop::collection::vec("[0-9]{1,16}", 1..600)) {
        let mut memo = Memo::<ShortText, u64>::new();
        for text in &texts {
            let short = ShortText::of(text.as_bytes()).unwrap();
            let meaning: u64 = text.parse().unwrap();
            prop_assert_eq!(memo.get(short, || meaning), meaning);
            prop_assert_eq!(memo.get(short, || unreachable!("it was looked up just now")), meaning);
        }
    }
}

#[test]
fn symbols_of_many_ids_of_all_lengths_with_equal_beginnings() {
    let mut symbols = Symbols::new();
    let mut ids: Vec<String> = Vec::new();
    for number in 0..3000_u32 {
        for length in [1, 8, 15, 16, 17, 25, 40] {
            // The same beginning and end, with a difference between them.
            let number = number.to_string();
            if number.len() + 2 <= length || length == 1 && number.len() == 1 {
                let filling = "0".repeat(length.saturating_sub(number.len() + 2));
                ids.push(match length {
                    1 => number,
                    _ => format!("a{filling}{number}z"),
                });
            }
        }
    }
    for (symbol, id) in ids.iter().enumerate() {
        assert_eq!(symbols.find(id.as_bytes()), None, "{id}");
        assert_eq!(symbols.insert(id), symbol as u32);
    }
    for (symbol, id) in ids.iter().enumerate() {
        assert_eq!(symbols.find(id.as_bytes()), Some(symbol as u32), "{id}");
        let text = [&[b'a'; 16], id.as_bytes(), &[b'z'; 16]].concat();
        let short = ShortText::in_text(Field::of(&text, 16..16 + id.len()));
        assert_eq!(short.is_some(), id.len() <= ShortText::MAX);
        if let Some(short) = short {
            assert_eq!(symbols.find_short(short), Some(symbol as u32), "{id}");
        }
    }
    assert!(symbols.texts().iter().eq(ids.iter()));
    assert_eq!(symbols.len(), ids.len());
}

#[test]
fn ids_with_a_nul_have_symbols_of_their_own() {
    let mut symbols = Symbols::new();
    for id in ["a", "a\0", "a\0\0", "\0a"] {
        assert_eq!(symbols.find(id.as_bytes()), None, "{id:?}");
        symbols.insert(id);
    }
    assert_eq!(symbols.find(b"a"), Some(0));
    assert_eq!(symbols.find(b"a\0"), Some(1));
}
