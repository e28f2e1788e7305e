use proptest::prelude::*;

use super::*;
use crate::values::{AmountRule, ValuesSpec};

fn rule() -> AmountRule {
    AmountRule::new(&ValuesSpec::default()).unwrap()
}

/// What the text of a number means.
fn by_text(text: &str) -> i64 {
    match rule().read_number(text.as_bytes()) {
        Some(Amount::Cents {
            cents,
            is_rounded: false,
        }) => cents,
        _ => ABSENT,
    }
}

proptest! {
    #[test]
    fn a_number_means_what_its_text_does(cents in -9_999_999_999_i64..9_999_999_999, more in 0..1000_i64) {
        let float = cents as f64 / 100.0;
        prop_assert_eq!(cents_of_float(float), by_text(&float.to_string()));
        let float = (cents as f64 * 1000.0 + more as f64) / 100_000.0;
        prop_assert_eq!(cents_of_float(float), by_text(&float.to_string()));
        for places in [0, 1, 2, 3, 4, 9] {
            let parts = i128::from(cents) * if more % 2 == 0 { 100 } else { 1 };
            let text = crate::formats::decimal_text(parts, places);
            prop_assert_eq!(cents_of(parts, places), by_text(&text), "{} {}", parts, places);
        }
    }

    #[test]
    fn any_float_means_what_its_text_does_or_is_left_to_it(float in any::<f64>()) {
        let cents = cents_of_float(float);
        prop_assert!(cents == ABSENT || cents == by_text(&float.to_string()));
    }
}

#[test]
fn amounts_that_no_summary_holds_are_left_to_their_text() {
    assert_eq!(cents_of(i128::MAX, 2), ABSENT);
    assert_eq!(cents_of(i128::from(MAX_CENTS) + 1, 2), ABSENT);
    assert_eq!(cents_of(i128::from(MAX_CENTS), 2), MAX_CENTS);
    assert_eq!(cents_of(-25, -2), ABSENT);
}
