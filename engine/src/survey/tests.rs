//! What a survey shows, and what it suggests.

use super::*;
use crate::layout::{FeedSpec, MeasureSpec};

fn looked(spec: &FeedSpec, text: &str, store: Option<&str>) -> Survey {
    survey(
        text.as_bytes(),
        &FeedLayout::new(spec).unwrap(),
        store,
        &std::env::temp_dir(),
    )
    .unwrap()
}

fn lines(count: usize) -> String {
    (0..count)
        .map(|line| format!("S1\t{line}.50\t{}\tI{line}\t2016-06-01\n", 4 + line % 3))
        .collect()
}

#[test]
fn columns_and_codes_are_summed_up() {
    let seen = looked(
        &FeedSpec::default(),
        &(lines(12) + "\r\n-- end\rS1\t-7\t9\tI0\t2016-06-02"),
        None,
    );
    assert_eq!(seen.codes["4"], 4);
    assert_eq!(seen.codes["9"], 1);
    let [store, amount, code, item, date] = &seen.columns[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(
        (store.name.as_str(), store.distinct, store.filled),
        ("store_id", 1, 13)
    );
    assert_eq!(
        (amount.least.as_deref(), amount.most.as_deref()),
        (Some("-7"), Some("11.50"))
    );
    assert_eq!((code.distinct, item.distinct), (4, 12));
    assert_eq!(item.samples, ["I0", "I1", "I2"]);
    assert_eq!(date.most.as_deref(), Some("2016-06-02"));
    assert!(seen.suggestions.is_empty(), "{:?}", seen.suggestions);
}

#[test]
fn another_separator_is_suggested() {
    let seen = looked(&FeedSpec::default(), &lines(12).replace('\t', ";"), None);
    assert!(
        seen.suggestions[0].contains("`;`-separated"),
        "{:?}",
        seen.suggestions
    );
    let spec = FeedSpec {
        delimiter: ";".into(),
        ..FeedSpec::default()
    };
    let seen = looked(&spec, &lines(12), None);
    assert!(
        seen.suggestions[0].contains(r#"delimiter = "\t""#),
        "{:?}",
        seen.suggestions
    );
}

#[test]
fn a_code_that_no_line_has_is_told() {
    let mut spec = FeedSpec::default();
    spec.measures.insert("sale_amount".into(), MeasureSpec::Code(40));
    let seen = looked(&spec, &lines(12), None);
    assert!(
        seen.suggestions[0].contains("no line has code 40 (sale_amount)"),
        "{:?}",
        seen.suggestions
    );
}

#[test]
fn exchanged_ids_are_told_by_the_name_or_by_the_numbers() {
    let spec = FeedSpec {
        columns: ["item_id", "amount", "code", "store_id", "trans_date"]
            .map(str::to_owned)
            .to_vec(),
        ..FeedSpec::default()
    };
    for (count, store) in [(3, Some("s1")), (12, None)] {
        let seen = looked(&spec, &lines(count), store);
        assert!(
            seen.suggestions[0].contains("look exchanged"),
            "{:?}",
            seen.suggestions
        );
    }
    let seen = looked(&FeedSpec::default(), &lines(12), Some("S1"));
    assert!(seen.suggestions.is_empty(), "{:?}", seen.suggestions);
}

#[test]
fn a_header_names_the_columns_and_is_no_value() {
    let text = "trans_date\titem_id\tcode\tamount\tstore_id\textra\n2016-06-01\tI\t4\t1\tS\tx\n";
    let seen = looked(&FeedSpec::default(), text, None);
    assert_eq!(seen.columns[0].name, "trans_date");
    assert_eq!(seen.columns[5].name, "extra");
    assert_eq!((seen.codes["4"], seen.columns[2].filled), (1, 1));
}

#[test]
fn memory_is_bounded_whatever_the_file_holds() {
    let many: String = (0..5_000)
        .map(|n| format!("S{n}\t{n}\t{n}\tI{n}\t2016-06-01\n"))
        .collect();
    let seen = looked(&FeedSpec::default(), &many, None);
    assert_eq!(
        (seen.columns[0].distinct, seen.columns[0].has_more),
        (MOST_DISTINCT, true)
    );
    assert_eq!((seen.codes.len(), seen.other_codes), (MOST_CODES, 4_900));
    let seen = looked(&FeedSpec::default(), &"x".repeat(512 << 10), None);
    assert_eq!(seen.columns[0].samples[0].len(), LONGEST_VALUE);
    let seen = looked(&FeedSpec::default(), &"x".repeat(10 << 20), None);
    assert!(seen.columns.is_empty(), "no line is that long");
}
