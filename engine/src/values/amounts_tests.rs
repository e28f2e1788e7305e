use proptest::prelude::*;

use super::*;
use crate::amount::format_cents;
use crate::values::Ignore;

fn rule(change: impl FnOnce(&mut ValuesSpec)) -> AmountRule {
    let mut spec = ValuesSpec::default();
    change(&mut spec);
    AmountRule::new(&spec).unwrap()
}

fn cents(rule: &AmountRule, text: &str) -> Option<i64> {
    match rule.read(text.as_bytes())? {
        Amount::Cents { cents, .. } => Some(cents),
        Amount::None { .. } => panic!("{text:?} is no amount"),
    }
}

fn every_negative() -> AmountRule {
    use NegativeForm::{Before, Credit, Parentheses, Trailing};
    rule(|spec| spec.negative = Some(vec![Before, Trailing, Parentheses, Credit]))
}

#[test]
fn negative_amounts() {
    let told = every_negative();
    for text in [
        "-2.50",
        "2.50-",
        "(2.50)",
        "\u{2212}2.50",
        "2.50CR",
        "2.50 cr",
        " ( 2.50 ) ",
        "2.50\u{2212}",
    ] {
        assert_eq!(cents(&told, text), Some(-250), "{text}");
    }
    assert_eq!(cents(&told, "+2.50"), Some(250));
    for text in [
        "(-2.50)", "-2.50-", "2.50-CR", "(2.50", "--2.50", "CR", "()", "-", "2.50DB",
    ] {
        assert_eq!(cents(&told, text), None, "{text}");
    }
    let trailing = rule(|spec| spec.negative = Some(vec![NegativeForm::Trailing]));
    assert_eq!(
        (cents(&trailing, "2.50-"), cents(&trailing, "-2.50")),
        (Some(-250), None)
    );
    assert!(!trailing.is_short_usual() && told.is_short_usual());
    assert_eq!(cents(&rule(|_| ()), "2.50-"), None);
    assert_eq!(cents(&rule(|_| ()), "\u{2212}2.50"), Some(-250));
}

#[test]
fn marks() {
    let german = rule(|spec| (spec.decimal, spec.thousands) = (Some(",".into()), Some(".".into())));
    for (text, expected) in [
        ("15.000", Some(1_500_000)),
        ("1.990,50", Some(199_050)),
        ("950", Some(95_000)),
        ("-1.234.567,8", Some(-123_456_780)),
        (",50", Some(50)),
        ("12,50", Some(1250)),
        ("12.50", None),
        ("1.23.456", None),
        ("1234.567", None),
        (".500", None),
        ("1,5,0", None),
        ("1,990.50", None),
        ("12,500", None),
    ] {
        assert_eq!(cents(&german, text), expected, "{text}");
    }
    assert!(!german.is_short_usual());
    let blanks = rule(|spec| spec.thousands = Some(" ".into()));
    for text in ["1 234.50", "1\u{a0}234.50", "1\u{202f}234.50"] {
        assert_eq!(cents(&blanks, text), Some(123_450), "{text}");
    }
    let swiss = rule(|spec| spec.thousands = Some("'".into()));
    assert_eq!(cents(&swiss, "1'234.50"), Some(123_450));
    assert_eq!(cents(&swiss, "1\u{2019}234.50"), Some(123_450));
    let same = ValuesSpec {
        thousands: Some(".".into()),
        ..ValuesSpec::default()
    };
    assert!(AmountRule::new(&same).unwrap_err().1.contains("values.decimal"));
}

#[test]
fn currencies() {
    let dollars = rule(|spec| {
        spec.currency = Some(vec!["$".into(), "US$".into(), "usd".into()]);
        spec.thousands = Some(",".into());
    });
    for (text, expected) in [
        ("$1,250.00", Some(125_000)),
        ("$12.50", Some(1250)),
        ("-$2.50", Some(-250)),
        ("$-2.50", Some(-250)),
        ("US$ 2.50", Some(250)),
        ("2.50 USD", Some(250)),
        ("$$2.50", None),
        ("$2.50USD", None),
        ("€2.50", None),
        ("$", None),
    ] {
        assert_eq!(cents(&dollars, text), expected, "{text}");
    }
    for wrong in ["", "1", "-"] {
        let spec = ValuesSpec {
            currency: Some(vec![wrong.into()]),
            ..ValuesSpec::default()
        };
        assert!(AmountRule::new(&spec).is_err(), "{wrong:?}");
    }
}

#[test]
fn digits_without_a_point_have_the_places_that_are_told() {
    let two = rule(|spec| spec.scale = Some(2));
    for (text, expected) in [
        ("0000001250", Some(1250)),
        ("-250", Some(-250)),
        ("5", Some(5)),
        ("0", Some(0)),
        ("12.50", Some(1250)),
        ("12.500", None),
        ("", None),
    ] {
        let found = match two.read(text.as_bytes()) {
            Some(Amount::None { .. }) => None,
            _ => cents(&two, text),
        };
        assert_eq!(found, expected, "{text}");
    }
    let three = rule(|spec| spec.scale = Some(3));
    assert_eq!(cents(&three, "12500"), Some(1250), "the third place is a zero");
    assert_eq!(cents(&three, "12505"), None);
    assert_eq!(cents(&rule(|spec| spec.scale = Some(0)), "12"), Some(1200));
}

#[test]
fn signs_in_the_last_digit() {
    let zoned = rule(|spec| {
        spec.scale = Some(2);
        spec.negative = Some(vec![NegativeForm::Overpunch]);
    });
    for (text, expected) in [
        ("00000125{", Some(1250)),
        ("00000025}", Some(-250)),
        ("00000002A", Some(21)),
        ("00000002J", Some(-21)),
        ("00000002I", Some(29)),
        ("00000002R", Some(-29)),
        ("000000025", Some(25)),
        ("0000002S", None),
        ("{", Some(0)),
        ("-2A", None),
        ("2AA", None),
    ] {
        assert_eq!(cents(&zoned, text), expected, "{text}");
    }
}

#[test]
fn places_are_rounded_as_told() {
    let even = rule(|spec| spec.round = Some(Rounding::HalfEven));
    let up = rule(|spec| spec.round = Some(Rounding::HalfUp));
    for (text, to_even, to_up, is_rounded) in [
        ("2.275", 228, 228, true),
        ("2.265", 226, 227, true),
        ("-0.005", 0, -1, true),
        ("-2.265", -226, -227, true),
        ("2.2651", 227, 227, true),
        ("2.264999", 226, 226, true),
        ("2.500", 250, 250, false),
        ("0.000000000000000000001", 0, 0, true),
    ] {
        let read = |cents| Some(Amount::Cents { cents, is_rounded });
        assert_eq!(even.read(text.as_bytes()), read(to_even), "{text}");
        assert_eq!(up.read(text.as_bytes()), read(to_up), "{text}");
    }
    assert_eq!(cents(&even, "9999999999999999.994"), Some(MAX_CENTS));
    assert_eq!(cents(&even, "9999999999999999.995"), None);
    assert_eq!(cents(&even, &"9".repeat(40)), None);
}

#[test]
fn what_is_no_amount() {
    let none = |is_ignored| Some(Amount::None { is_ignored });
    let usual = rule(|_| ());
    assert_eq!((usual.read(b""), usual.read(b"  ")), (none(false), none(false)));
    let told = rule(|spec| {
        let ignored = [("NULL".to_owned(), Ignore::Ignore)].into();
        spec.no_amount = Some(vec![NoAmount::Text("-".into()), NoAmount::Listed(ignored)]);
    });
    assert_eq!((told.read(b"-"), told.read(b" NULL ")), (none(false), none(true)));
    assert_eq!(told.read(b""), None);
    let zero = rule(|spec| spec.no_amount = Some(vec![NoAmount::Text("0.00".into())]));
    assert_eq!(zero.read(b"0.00"), none(false));
    assert!(!zero.is_short_usual());
}

proptest! {
    #[test]
    fn the_general_way_reads_the_usual_form_as_the_plain_one_does(text in "[-+]?[0-9]{0,18}(\\.[0-9]{0,3})?") {
        // Another currency turns the plain way off.
        let general = rule(|spec| spec.currency = Some(vec!["XX".into()]));
        if !text.is_empty() {
            prop_assert_eq!(cents(&general, &text), parse_cents(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn what_is_written_with_marks_reads_back(cents in -MAX_CENTS..=MAX_CENTS) {
        let plain = format_cents(cents);
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
        let (whole, places) = digits.split_once('.').unwrap();
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push('.');
            }
            grouped.push(digit);
        }
        let rule = rule(|spec| {
            (spec.decimal, spec.thousands) = (Some(",".into()), Some(".".into()));
            spec.negative = Some(vec![NegativeForm::Before, NegativeForm::Trailing]);
        });
        let read = |text: String| rule.read(text.as_bytes());
        let expected = Some(Amount::Cents { cents, is_rounded: false });
        prop_assert_eq!(read(format!("{sign}{grouped},{places}")), expected);
        prop_assert_eq!(read(format!("{grouped},{places}{sign}")), expected);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[-+().,0-9$€ CRcrA}{'\u{a0}\u{2212}]{0,12}") {
        let every = rule(|spec| {
            spec.negative = Some(vec![NegativeForm::Before, NegativeForm::Trailing, NegativeForm::Parentheses,
                NegativeForm::Credit, NegativeForm::Overpunch]);
            (spec.thousands, spec.currency) = (Some(",".into()), Some(vec!["€".into(), "$".into()]));
            (spec.scale, spec.round) = (Some(3), Some(Rounding::HalfUp));
        });
        let _ = every.read(text.as_bytes());
    }
}
