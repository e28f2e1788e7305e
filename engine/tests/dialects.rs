//! Every record of every format is counted once, whatever a file holds: conversion fails if lines are not rows, ignored,
//! skipped and rejects together.

use gristmill_engine::{
    Budget, Conversion, EngineError, FeedLayout, FeedSpec, FieldSpec, FormatWord, MeasureSpec, NegativeForm,
    Outputs, PositionSpec, Scratch, TotalPosition, TrailerSpec, convert, convert_in_order, read_rejects,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn layout(change: impl FnOnce(&mut FeedSpec)) -> FeedLayout {
    let mut spec = FeedSpec {
        max_reject_percent: 100.0,
        ..FeedSpec::default()
    };
    change(&mut spec);
    FeedLayout::new(&spec).expect("the layout is right")
}

fn fixed(spec: &mut FeedSpec) {
    spec.format = FormatWord::Fixed;
    spec.columns.clear();
    let at = |start| FieldSpec::Place(PositionSpec::Characters { start, length: 2 });
    let names = ["store_id", "amount", "code", "item_id", "trans_date"];
    spec.fields = names
        .into_iter()
        .zip([1, 3, 5, 7, 9])
        .map(|(name, start)| (name.to_owned(), at(start)))
        .collect();
    spec.values.negative = Some(vec![NegativeForm::Overpunch]);
}

/// One layout for each format and for each way in which records are told apart.
fn layouts() -> Vec<FeedLayout> {
    vec![
        layout(|spec| spec.delimiter = "||".into()),
        layout(|spec| (spec.delimiter, spec.quoted_newlines) = (",".into(), true)),
        layout(|spec| {
            (spec.delimiter, spec.quoted_newlines) = (",".into(), true);
            spec.escape = Some("\\".into());
            spec.header_line = Some(2);
        }),
        layout(|spec| {
            spec.delimiter = "|".into();
            spec.records.trailer = Some(TrailerSpec {
                begins: "T".into(),
                lines: Some(TotalPosition::Column(2)),
                sum: Some(TotalPosition::Column(3)),
            });
        }),
        layout(|spec| {
            (spec.delimiter, spec.columns) = (",".into(), Vec::new());
            let named = |name: &str| (name.to_owned(), FieldSpec::Name(name.to_owned()));
            spec.fields = ["store_id", "item_id", "trans_date"].map(named).into();
            spec.measures = ["a", "b"]
                .map(|name| {
                    (
                        name.to_owned(),
                        MeasureSpec::Field {
                            field: name.to_uppercase(),
                        },
                    )
                })
                .into();
        }),
        layout(fixed),
        layout(|spec| {
            fixed(spec);
            (spec.record_length, spec.encoding) = (Some(11), "cp1047".into());
        }),
        layout(|spec| {
            (spec.format, spec.explode) = (FormatWord::Json, Some("a[]".into()));
            spec.columns.clear();
        }),
        layout(|spec| {
            spec.format = FormatWord::Xlsx;
            spec.columns.clear();
        }),
        layout(|spec| {
            spec.format = FormatWord::Parquet;
            spec.columns.clear();
        }),
        layout(|spec| spec.encoding = "cp850".into()),
    ]
}

/// Converts bytes, and checks the counts and the kept rejects.
fn conserved(bytes: &[u8], layout: &FeedLayout) -> Result<(), TestCaseError> {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (converted, rejects) = (folder.path().join("converted"), folder.path().join("rejects"));
    let outputs = Outputs {
        converted: Some(&converted),
        rejects: Some(&rejects),
    };
    let memory = Budget::new(1 << 20);
    let scratch = Scratch {
        folder: folder.path(),
        memory: &memory,
    };
    let Conversion { report, .. } = match convert(bytes, layout, outputs, scratch, |_| ()) {
        Err(EngineError::ColumnsMoved) => convert_in_order(bytes, layout, outputs, scratch, |_| ()),
        done => done,
    }
    .expect("the bytes can be converted");
    prop_assert_eq!(report.bytes, bytes.len() as u64);
    prop_assert_eq!(
        report.lines,
        report.rows + report.ignored + report.skipped + report.rejects
    );
    let kept = match rejects.exists() {
        true => read_rejects(&rejects, usize::MAX).expect("the rejects read back"),
        false => Vec::new(),
    };
    prop_assert_eq!(kept.len() as u64, report.rejects);
    prop_assert!(
        kept.iter()
            .all(|reject| (1..=report.lines).contains(&reject.line_number))
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_accounted_for_in_every_format(
        bytes in prop::collection::vec(prop_oneof![
            6 => prop::sample::select(b"\n\r,|\"\\T12{}[]:a ".to_vec()), 1 => any::<u8>()], 0..80),
    ) {
        for layout in layouts() {
            conserved(&bytes, &layout)?;
        }
    }

    #[test]
    fn lines_with_fields_are_accounted_for_in_every_format(
        lines in prop::collection::vec(prop::sample::select(vec![
            "1||2.50||4||COLA||2016-06-01", "1,2.50,4,COLA,2016-06-01", "1,2.50,4,\"CO\nLA\",2016-06-01", "1,\"2.50,4",
            "1|2.50|4|COLA|2016-06-01", "T|1|2.50", "T|9|9", "store_id,item_id,trans_date,A,B", "1,COLA,2016-06-01,2.50,",
            "1 2J4 CO16", "{\"a\":[{\"store_id\":1}]}", "{\"a\":[]}", "[{\"a\":[1]},", "]", "", "-- x", "x",
        ]), 0..12),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let text = lines.join(end);
        for layout in layouts() {
            conserved(text.as_bytes(), &layout)?;
        }
    }
}

#[test]
fn a_zero_filled_trap_is_refused_for_what_it_is() {
    use std::io::Write;
    let mut packed = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::best());
    for _ in 0..4 {
        encoder
            .write_all(&vec![0; 1 << 20])
            .expect("memory can be written");
    }
    encoder.finish().expect("memory can be written");
    let folder = TempDir::new().expect("a temporary folder can be made");
    let memory = Budget::new(1 << 20);
    let scratch = Scratch {
        folder: folder.path(),
        memory: &memory,
    };
    for layout in layouts() {
        let conversion = convert(packed.as_slice(), &layout, Outputs::default(), scratch, |_| ());
        let report = conversion.expect("a trap is no failure").report;
        let because = report.rejected_because.expect("it is refused");
        assert!(because.contains("200 times"), "{because}");
        assert_eq!(report.bytes, packed.len() as u64, "all of it was read");
    }
}
