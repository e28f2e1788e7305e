//! What is found of samples, and what is left open. That the settings read the samples is shown by the tests of the command
//! (tests/e2e/infer.rs), for every shape and every dialect.

use std::io::Write as _;

use gristmill_infer::{Inferred, Sample, Wanted, infer};

const MOST: usize = 1 << 20;

fn found_up_to(files: &[(&str, &[u8])], most: usize) -> Inferred {
    let sample =
        |(name, bytes): &(&str, &[u8])| Sample::read(name, *bytes, most).expect("memory can be read");
    let samples: Vec<Sample> = files.iter().map(sample).collect();
    let wanted = Wanted {
        feed: "sales".into(),
        profile: None,
    };
    infer(&samples, &wanted)
}

fn found(name: &str, text: &str) -> Inferred {
    found_up_to(&[(name, text.as_bytes())], MOST)
}

fn has(inferred: &Inferred, lines: &[&str], open: &[&str]) {
    for line in lines {
        assert!(
            inferred.settings.contains(line),
            "{line:?} is not in\n{}",
            inferred.settings
        );
    }
    for word in open {
        let is_said = inferred.questions.iter().any(|question| question.contains(word));
        assert!(
            is_said,
            "{word:?} is not in {:?}\n{}",
            inferred.questions, inferred.settings
        );
    }
    assert_eq!(
        inferred.questions.is_empty(),
        open.is_empty(),
        "{:?}\n{}",
        inferred.questions,
        inferred.settings
    );
}

/// Lines of two stores in one file, whose name says nothing.
fn many(line: impl Fn(u32) -> String) -> String {
    (0..40).map(line).collect()
}

#[test]
fn columns_that_fit_alike_are_left_open() {
    // Both ids are numbers, and neither is in the name.
    let alike = many(|n| {
        format!(
            "{},{}.50,4,{},2016-06-{:02}\n",
            100 + n % 7,
            n,
            300 + n % 7,
            13 + n % 9
        )
    });
    let alike = found("sales.csv", &alike);
    has(
        &alike,
        &["several columns may be this", "#   store_id = { column = "],
        &["fields.store_id"],
    );
    // A price and an amount.
    let amounts = many(|n| {
        format!(
            "IL,{n}.50,{}.25,4,ITEM{},2016-06-{:02}\n",
            n * 2,
            n % 5,
            13 + n % 9
        )
    });
    has(
        &found("IL.csv", &amounts),
        &["#   amount = { column = 2 }", "#   amount = { column = 3 }"],
        &["fields.amount"],
    );
}

#[test]
fn codes_that_are_not_the_usual_ones_are_asked_for() {
    let text = many(|n| {
        format!(
            "IL,{}.50,{},ITEM{},2016-06-{:02}\n",
            100 / (n % 3 + 1),
            n % 3 + 1,
            n % 5,
            13 + n % 9
        )
    });
    let asked = found("IL.csv", &text);
    has(
        &asked,
        &["#   measures = { sale_amount = 1, tax_amount = 2, discount_amount = 3 }"],
        &["which code is sale"],
    );
    let words = many(|n| {
        format!(
            "IL,9.50,{},ITEM{},2016-06-{:02}\n",
            ["AA", "BB", "CC"][n as usize % 3],
            n % 5,
            13 + n % 9
        )
    });
    has(
        &found("IL.csv", &words),
        &["#   codes = { "],
        &["which word is sale"],
    );
}

#[test]
fn what_is_missing_is_said() {
    let without_date = many(|n| format!("IL,9.50,4,ITEM{}\n", n % 5));
    has(&found("IL.csv", &without_date), &[], &["fields.trans_date"]);
    let side_by_side = many(|n| format!("IL,ITEM{},2016-06-{:02},{n}.50,0.{:02},\n", n % 5, 13 + n % 9, n));
    has(
        &found("IL.csv", &side_by_side),
        &[],
        &["no header says which are sales"],
    );
    has(&found("IL.csv", ""), &[], &["no records"]);
    let nothing = found_up_to(&[("IL.pdf", b"%PDF-1.7\n")], MOST);
    has(&nothing, &[], &["a PDF document"]);
}

#[test]
fn amounts_that_two_ways_read_are_left_open() {
    let text = many(|n| {
        format!(
            "IL\t{}.{:03}\t4\tITEM{}\t2016-06-{:02}\n",
            n % 9 + 1,
            n * 7 % 1000,
            n % 5,
            13 + n % 9
        )
    });
    let asked = found("IL.tdf", &text);
    has(
        &asked,
        &[
            "#   decimal = \".\"",
            "#   decimal = \",\"",
            "#   thousands = \".\"",
        ],
        &["values.decimal", "values.thousands", "values.round"],
    );
}

#[test]
fn the_order_of_a_date_is_known_from_one_day_above_the_twelfth() {
    let lines = |days: [u32; 2]| {
        days.map(|day| format!("IL\t2.50\t4\tCOLA\t{day}/6/2016\n"))
            .concat()
    };
    has(
        &found("IL.tdf", &lines([1, 13])),
        &["dates = [\"%d/%m/%Y\"]  # 2 of 2 dates"],
        &[],
    );
    let open = found("IL.tdf", &lines([1, 2]));
    has(
        &open,
        &[
            "the days are then 2016-06-01 to 2016-06-02",
            "the days are then 2016-01-06 to 2016-02-06",
        ],
        &["values.dates"],
    );
    // Where it is known of one form, it is known of the others with the same mark.
    let mixed = "IL\t2.50\t4\tCOLA\t6/13/2016\nIL\t2.50\t4\tCOLA\t6/1/16\n";
    has(
        &found("IL.tdf", mixed),
        &["dates = [\"%m/%d/%y\", \"%m/%d/%Y\"]"],
        &[],
    );
}

#[test]
fn the_beginning_of_a_large_file_is_enough() {
    let line = "1003\t2.50\t4\tCOLA\t2016-06-13\n";
    let whole = line.repeat(4_000);
    let read = |bytes: &[u8], name: &str| Sample::read(name, bytes, 10_000).expect("memory can be read");
    let sample = read(whole.as_bytes(), "IL-1003.tdf");
    let kept = sample.whole_records(None);
    assert!(
        kept.len() <= 10_000 && kept.len() % line.len() == 0,
        "{}",
        kept.len()
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(whole.as_bytes()).expect("memory can be written");
    let packed = packed.finish().expect("memory can be written");
    assert_eq!(
        read(&packed, "IL-1003.tdf.gz").whole_records(None),
        kept,
        "it is looked at unpacked"
    );
    let inferred = found_up_to(&[("IL-1003.tdf.gz", &packed)], 10_000);
    has(&inferred, &["files = \"IL-{store}.tdf.gz\""], &[]);
    assert!(
        inferred.notes.iter().any(|note| note.contains("gzip")),
        "{:?}",
        inferred.notes
    );
    // An array that was cut is closed behind its last whole element.
    let array = format!("[{}]", ["{\"a\": [{\"]\": \"}\"}]}"; 2_000].join(","));
    let kept = read(array.as_bytes(), "a.json").whole_records(None).into_owned();
    assert!(
        kept.ends_with(b"}]}]") && kept.len() <= 10_001,
        "{}",
        String::from_utf8_lossy(&kept[kept.len() - 20..])
    );
}

#[test]
fn encodings_are_told_by_their_bytes() {
    let text = many(|n| format!("IL\t2.50\t4\tCR\u{ca}PE{}\t2016-06-{:02}\n", n % 3, 13 + n % 9));
    let latin: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).expect("it is of Latin-1"))
        .collect();
    has(
        &found_up_to(&[("IL.tdf", &latin)], MOST),
        &["encoding = \"windows-1252\"  # no UTF-8; read so, it says CR\u{ca}PE"],
        &[],
    );
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    has(
        &found_up_to(&[("IL.tdf", &wide)], MOST),
        &["encoding = \"UTF-16LE\""],
        &[],
    );
    assert!(
        !found("IL.tdf", &text).settings.contains("encoding"),
        "UTF-8 is the usual one"
    );
}
