//! How conversion reads files, line by line.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_engine::{
    Budget, Conversion, ConversionReport, EngineError, FeedLayout, FeedSpec, HashingReader, Header,
    HeaderNames, HeaderRule, Outputs, Partial, Row, RunPartial, Scratch, Selection, SummaryOutputs,
    Supersede, ValuesSpec, convert, covers_day, format_cents, read_rejects, rows_of_key, summarize,
};
use jiff::civil::date;
use tempfile::TempDir;

/// A conversion with all its outputs.
struct Converted {
    folder: TempDir,
    layout: FeedLayout,
    report: ConversionReport,
}

impl Converted {
    fn rejects(&self) -> Vec<(u64, String, String)> {
        let path = self.folder.path().join("rejects");
        if !path.exists() {
            return Vec::new();
        }
        let rejects = read_rejects(&path, usize::MAX).expect("the rejects read back");
        rejects
            .into_iter()
            .map(|r| (r.line_number, r.reason, r.text))
            .collect()
    }

    fn counts(&self) -> [u64; 5] {
        let r = &self.report;
        [r.lines, r.rows, r.ignored, r.skipped, r.rejects]
    }

    fn summary(&self) -> Vec<String> {
        summary(&self.layout, &[&self.folder.path().join("partial")])
    }
}

fn convert_with(spec: &FeedSpec, bytes: &[u8]) -> Converted {
    try_convert(spec, bytes).expect("the bytes can be converted")
}

fn try_convert(spec: &FeedSpec, bytes: &[u8]) -> Result<Converted, EngineError> {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let layout = FeedLayout::new(spec).expect("the layout is right");
    let path = |name: &str| folder.path().join(name);
    let outputs = Outputs {
        converted: Some(&path("converted")),
        rejects: Some(&path("rejects")),
    };
    let Conversion { report, partial } = convert(bytes, &layout, outputs, scratch(folder.path()), |_| ())?;
    if let Some(partial) = partial {
        partial.write(&path("partial"), &Budget::new(1 << 30))?;
    }
    Ok(Converted {
        folder,
        layout,
        report,
    })
}

/// Returns scratch space with enough memory for any test here.
fn scratch(folder: &Path) -> Scratch<'_> {
    Scratch {
        folder,
        memory: Box::leak(Box::new(Budget::new(1 << 30))),
    }
}

fn sales(bytes: impl AsRef<[u8]>) -> Converted {
    convert_with(&FeedSpec::default(), bytes.as_ref())
}

/// Merges partials, once in memory and once streamed, and returns the summary as comma-separated lines.
fn summary(layout: &FeedLayout, partials: &[&Path]) -> Vec<String> {
    let [held, streamed] = [1 << 30, 0].map(|memory| {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (summary, coverage) = (folder.path().join("summary"), folder.path().join("coverage"));
        let sales = layout.sales().expect("it is a sales feed");
        let partials = partials.iter().zip(1..).map(|(path, order)| RunPartial {
            partial: Partial::stored(path.to_path_buf(), sales),
            order,
            selection: Selection::all(),
        });
        let outputs = SummaryOutputs {
            summary: &summary,
            coverage: &coverage,
        };
        let scratch = Scratch {
            folder: folder.path(),
            memory: &Budget::new(memory),
        };
        let report =
            summarize(partials.collect(), &[], sales, outputs, scratch).expect("the partials can be merged");
        let (lines, days) = (csv(&summary), csv(&coverage));
        assert_eq!(report.rows, lines.len() as u64);
        assert_eq!(report.covered, days.len() as u64);
        (lines, days)
    });
    assert_eq!(held, streamed, "merged in memory and streamed");
    held.0
}

fn csv(path: &Path) -> Vec<String> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Decimal128Type};
    use arrow_schema::DataType;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = std::fs::File::open(path).expect("the summary is there");
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .expect("the summary is as promised")
        .build()
        .expect("the summary is as promised");
    let mut lines = Vec::new();
    for batch in reader {
        let batch = batch.expect("the summary can be read");
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| match column.data_type() {
                    _ if column.is_null(row) => String::new(),
                    DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                    DataType::Date32 => column
                        .as_primitive::<Date32Type>()
                        .value_as_date(row)
                        .expect("the summary is as promised")
                        .to_string(),
                    DataType::Decimal128(18, 2) => {
                        format_cents(column.as_primitive::<Decimal128Type>().value(row) as i64)
                    }
                    other => panic!("{other}"),
                })
                .collect();
            lines.push(cells.join(","));
        }
    }
    lines
}

#[test]
fn rows_are_summed_by_store_item_and_date_with_null_where_no_line_of_a_code_is() {
    let converted = sales(
        "v1\t450.00\t4\ti1\t2016-06-01\tx\ty\n\
         v1\t10\t4\ti1\t2016-06-01\tx\n\
         v1\t.5\t6\ti1\t2016-06-01\n\
         v1\t-1.25\t5\ti2\t2016-06-02\n\
         v1\t9\t13\ti3\t2016-06-03\n",
    );
    assert_eq!(converted.counts(), [5, 4, 1, 0, 0]);
    assert_eq!(converted.report.drift_lines, 2);
    assert_eq!(converted.report.first_date, Some(date(2016, 6, 1)));
    assert_eq!(converted.report.last_date, Some(date(2016, 6, 2)));
    assert_eq!(
        converted.summary(),
        ["v1,i1,2016-06-01,460.00,,0.50", "v1,i2,2016-06-02,,-1.25,"]
    );
    assert_eq!(converted.report.rejected_because, None);
}

/// More keys than a table holds: those of a year in which hardly any recurs, and those of a catalogue that recur often.
#[test]
fn many_keys_are_summed_as_few_are() {
    for (lines, keys) in [(150_000, 140_000), (500_000, 60_000)] {
        let mut expected: BTreeMap<String, [Option<i64>; 3]> = BTreeMap::new();
        let mut text = String::new();
        let mut random = 7_u64;
        for line in 0..lines {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(line);
            let key = (random >> 33) % keys;
            let (code, cents) = (4 + random % 3, (random >> 20) as i64 % 10_000 - 2_000);
            let item = format!("I-{}", key / 7);
            let day = format!("2026-03-{:02}", 1 + key % 7);
            let amount = format_cents(cents);
            text.push_str(&format!("S1\t{amount}\t{code}\t{item}\t{day}\n"));
            let sums = expected.entry(format!("S1,{item},{day}")).or_default();
            *sums[code as usize - 4].get_or_insert(0) += cents;
        }
        let expected: Vec<String> = expected
            .into_iter()
            .map(|(key, [sales, taxes, discounts])| {
                let amount = |cents: Option<i64>| {
                    cents
                        .map(|cents| format_cents(cents).to_string())
                        .unwrap_or_default()
                };
                format!("{key},{},{},{}", amount(sales), amount(taxes), amount(discounts))
            })
            .collect();
        let converted = sales(&text);
        assert_eq!(converted.report.rows, lines);
        assert!(expected.len() > 50_000, "{}", expected.len());
        let summary = converted.summary();
        assert_eq!(summary.len(), expected.len());
        let wrong = summary.iter().zip(&expected).find(|(one, other)| one != other);
        assert_eq!(wrong, None);
        let reported: u64 = converted.report.days.iter().filter_map(|day| day.lines).sum();
        assert_eq!(reported, lines);
    }
}

#[test]
fn line_endings_and_ends_of_files() {
    let expected = ["v1,i1,2016-06-01,2.00,,"];
    let line = "v1\t1\t4\ti1\t2016-06-01";
    for (text, lines) in [
        (format!("{line}\n{line}"), 2),
        (format!("{line}\r\n{line}\r\n"), 2),
        (format!("{line}\r\n{line}\r"), 2),
        (format!("\u{feff}{line}\n\n--{line}\n   \t\n{line}\n"), 5),
    ] {
        let converted = sales(&text);
        assert_eq!(converted.summary(), expected, "{text:?}");
        assert_eq!(converted.report.lines, lines, "{text:?}");
        assert_eq!(converted.report.bytes, text.len() as u64);
        let mut reader = HashingReader::new(text.as_bytes());
        let scratch = scratch(converted.folder.path());
        convert(
            &mut reader,
            &converted.layout,
            Outputs::default(),
            scratch,
            |_| (),
        )
        .expect("it was converted before");
        assert_eq!(
            reader.content_hash(),
            blake3::hash(text.as_bytes()).to_hex().to_string()
        );
    }
}

#[test]
fn a_header_is_recognised_and_moves_the_columns() {
    let by_name =
        sales("code\titem_id\tTrans_Date \tnote\tAMOUNT\tstore_id\n4\ti1\t2016-06-01\t-\t3.10\tv1\n");
    assert_eq!(by_name.report.header, Header::ByName);
    assert_eq!(by_name.summary(), ["v1,i1,2016-06-01,3.10,,"]);
    let by_position = FeedSpec {
        header_names: HeaderNames::Ignore,
        ..FeedSpec::default()
    };
    let by_position = convert_with(
        &by_position,
        b"shop\tvalue\tkind\titem\tday\nv1\t3.10\t4\ti1\t2016-06-01\n",
    );
    assert_eq!(by_position.report.header, Header::ByPosition);
    assert_eq!(by_position.counts(), [2, 1, 0, 1, 0]);
    let after_noise =
        sales("-- export\n\nstore_id\tamount\tcode\titem_id\ttrans_date\nv1\t1\t4\ti1\t2016-06-01\n");
    assert_eq!(after_noise.report.header, Header::ByName);
    let none = sales("v1\t1x\t4\ti1\t2016-06-01\nv1\t1\t4\ti1\t2016-06-01\n");
    assert_eq!(none.report.header, Header::None);
    let never = FeedSpec {
        header: HeaderRule::Never,
        max_reject_percent: 50.0,
        ..FeedSpec::default()
    };
    let never = convert_with(
        &never,
        b"store_id\tamount\tcode\titem_id\ttrans_date\nv1\t1\t4\ti1\t2016-06-01\n",
    );
    assert_eq!(never.counts(), [2, 1, 0, 0, 1]);
}

#[test]
fn quoted_fields() {
    let converted = sales(
        "\"v \"\"1\"\"\"\t\"1.50\"\t4\t\"i 1\"\t\"2016-06-01\"\t12\" pizza\n\
         v1\t1\t4\t12\" pizza\t2016-06-01\n\
         v1\t1\t4\ti1\t2016-06-01\t\"an open quote in a column that is not read\n",
    );
    assert_eq!(converted.counts(), [3, 3, 0, 0, 0]);
    assert_eq!(
        converted.summary(),
        [
            "v \"1\",i 1,2016-06-01,1.50,,",
            "v1,12\" pizza,2016-06-01,1.00,,",
            "v1,i1,2016-06-01,1.00,,"
        ]
    );
    let with_bars = FeedSpec {
        delimiter: "|".into(),
        ..FeedSpec::default()
    };
    let delimiters = convert_with(
        &with_bars,
        b"\"v|1\"|1.50|4|\"i\t1\"|2016-06-01\nv1|1|4|\"i|1\"|2016-06-01\n",
    );
    assert_eq!(delimiters.counts(), [2, 1, 0, 0, 1], "no id has a tab inside");
}

#[test]
fn every_kind_of_bad_line_is_kept_with_its_reason() {
    let bad: [(&[u8], &str); 16] = [
        (b"v1\t12.345\t4\ti1\t2016-06-01", "amount"),
        (b"v1\t\t4\ti1\t2016-06-01", "amount"),
        (b"v1\t1\t4.0\ti1\t2016-06-01", "code"),
        (b"v1\t1\t4\ti1\t2016-02-30", "trans_date"),
        (b"v1\t1\t4\ti1", "a column is missing"),
        (b"\t1\t4\ti1\t2016-06-01", "store_id is empty"),
        (b"  \t1\t4\ti1\t2016-06-01", "store_id is empty"),
        (b"v1\t1\t4\t\t2016-06-01", "item_id is empty"),
        (
            b"v1\t1\t4\tabcdefghijklmnopqrstuvwxyz\t2016-06-01",
            "item_id is too long",
        ),
        (
            b"abcdefghijklmnopqrstuvwxyz\t1\t4\ti1\t2016-06-01",
            "store_id is too long",
        ),
        (b"v\xff1\t1\t4\ti1\t2016-06-01", "store_id is not valid text"),
        (b"v1\t1\t4\ti\0\t2016-06-01", "item_id is not valid text"),
        (b"\"v1\t1\t4\ti1\t2016-06-01", "a quote is not closed"),
        (b"\"v1\"x\t1\t4\ti1\t2016-06-01", "text follows a closing quote"),
        (b"v1\t1\t13\ti1\t2016-13-01", "trans_date"),
        (b"garbage", "a column is missing"),
    ];
    let good = b"v1\t1\t4\t\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\t2016-06-01\n";
    let mut text = good.to_vec();
    for (line, _) in bad {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    let spec = FeedSpec {
        max_reject_percent: 99.0,
        ..FeedSpec::default()
    };
    let converted = convert_with(&spec, &text);
    assert_eq!(converted.counts(), [17, 1, 0, 0, 16]);
    let rejects = converted.rejects();
    for ((index, (line, reason)), (number, found, kept)) in bad.iter().enumerate().zip(&rejects) {
        assert_eq!(*number, index as u64 + 2);
        assert!(found.contains(reason), "{found} for {kept}");
        if let Ok(line) = std::str::from_utf8(line) {
            assert_eq!(kept, line);
        }
    }
    assert!(rejects[10].2.starts_with("v\\xFF1\t"));
}

#[test]
fn a_file_counts_for_nothing_when_too_much_of_it_is_bad() {
    let good = "v1\t1\t4\ti1\t2016-06-01\n".repeat(9);
    assert_eq!(sales(format!("{good}bad\n")).report.rejected_because, None);
    let because = |text: &str| sales(text).report.rejected_because.unwrap();
    assert!(because(&format!("{good}bad\nbad\n")).contains("2 of 11 lines are rejects"));
    assert_eq!(because(""), "it is empty");
    assert_eq!(because("-- noise\n\n"), "it has no rows");
    assert_eq!(sales("v1\t1\t13\ti1\t2016-06-01\n").report.rejected_because, None);
}

#[test]
fn garbage_neither_panics_nor_vanishes() {
    let mut state = 1u32;
    let mut garbage = vec![0u8; 300_000];
    for byte in &mut garbage {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    for bytes in [
        &garbage[..],
        &vec![0; 100_000],
        &[0xff, 0xfe, 0x00],
        &[0xef, 0xbb, 0xbf],
        b"\"",
        b"\n",
        b"-",
        b"--",
    ] {
        let report = sales(bytes).report;
        assert!(report.rejected_because.is_some());
        assert_eq!(
            report.lines,
            report.rows + report.ignored + report.skipped + report.rejects
        );
    }
}

#[test]
fn lines_longer_than_a_mebibyte_are_rejects_and_what_follows_is_read() {
    let line = "v1\t1\t4\ti1\t2016-06-01";
    let padded = |bytes: usize| format!("{line}\t{}\n", "x".repeat(bytes - line.len() - 2));
    let text = format!(
        "{}{}{line}\n{}{line}",
        padded(1 << 20),
        padded((1 << 20) + 1),
        padded(5 << 20)
    );
    let spec = FeedSpec {
        max_reject_percent: 50.0,
        ..FeedSpec::default()
    };
    let converted = convert_with(&spec, text.as_bytes());
    assert_eq!(converted.counts(), [5, 3, 0, 0, 2]);
    assert_eq!(converted.summary(), ["v1,i1,2016-06-01,3.00,,"]);
    let rejects = converted.rejects();
    assert_eq!((rejects[0].0, rejects[1].0), (2, 4));
    assert!(
        rejects[1].2.ends_with("xxx… (5242879 bytes)"),
        "{}",
        &rejects[1].2[4000..]
    );
    let unended = sales("x".repeat(3 << 20));
    assert_eq!(unended.counts(), [1, 0, 0, 0, 1]);
}

#[test]
fn encodings() {
    let line = "v1\t1\t4\tcafé\t2016-06-01\n";
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| {
        format!("\u{feff}{line}")
            .encode_utf16()
            .flat_map(to_bytes)
            .collect::<Vec<_>>()
    };
    for bytes in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        let converted = sales(&bytes);
        assert_eq!(converted.summary(), ["v1,café,2016-06-01,1.00,,"]);
        assert_eq!(converted.report.bytes, bytes.len() as u64);
    }
    let latin: Vec<u8> = line.chars().map(|c| c as u8).collect();
    let spec = FeedSpec {
        encoding: "windows-1252".into(),
        ..FeedSpec::default()
    };
    assert_eq!(
        convert_with(&spec, &latin).summary(),
        ["v1,café,2016-06-01,1.00,,"]
    );
    assert_eq!(sales(&latin).report.rejects, 1, "a wrong encoding is seen");
    let mut damaged = utf16(u16::to_le_bytes);
    let e = damaged.windows(2).position(|pair| pair == [0xe9, 0x00]).unwrap();
    damaged[e + 1] = 0xd8;
    assert!(
        sales(&damaged).rejects()[0]
            .1
            .contains("item_id is not valid text")
    );
}

#[test]
fn other_delimiters_and_dates() {
    let spec = FeedSpec {
        delimiter: "|".into(),
        values: ValuesSpec {
            dates: Some(vec!["%d/%m/%Y".into()]),
            ..ValuesSpec::default()
        },
        ..FeedSpec::default()
    };
    let converted = convert_with(&spec, b" v1| 1.5 | 4 |i 1| 01/06/2016 |more\n");
    assert_eq!(converted.summary(), ["v1,i 1,2016-06-01,1.50,,"]);
}

#[test]
fn sums_stay_exact_to_eighteen_digits_and_never_wrap() {
    let converted = sales(
        "v1\t9999999999999999.99\t4\ti1\t2016-06-01\nv1\t-9999999999999999.98\t4\ti1\t2016-06-01\n\
         v1\t9999999999999999.99\t5\ti1\t2016-06-01\n",
    );
    assert_eq!(
        converted.summary(),
        ["v1,i1,2016-06-01,0.01,9999999999999999.99,"]
    );
    let line = "v1\t9999999999999999.99\t4\ti1\t2016-06-01\n";
    for times in [2, 12] {
        let error = try_convert(&FeedSpec::default(), line.repeat(times).as_bytes())
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("sale_amount for store v1, item i1, date 2016-06-01"),
            "{error}"
        );
    }
    let bottom = "v1\t-9999999999999999.99\t4\ti1\t2016-06-01\n".repeat(9)
        + "v1\t-2233720368547758.17\t4\ti1\t2016-06-01\n";
    let error = try_convert(&FeedSpec::default(), bottom.as_bytes())
        .err()
        .expect("the least integer is no amount");
    assert!(
        error.to_string().contains("does not fit decimal(18,2)"),
        "{error}"
    );
    let one = sales(line);
    let partial = one.folder.path().join("partial");
    let folder = TempDir::new().unwrap();
    let outputs = SummaryOutputs {
        summary: &folder.path().join("s"),
        coverage: &folder.path().join("c"),
    };
    let sales = one.layout.sales().unwrap();
    let twice = [1, 2].map(|order| RunPartial {
        partial: Partial::stored(partial.clone(), sales),
        order,
        selection: Selection::all(),
    });
    let error = summarize(twice.into(), &[], sales, outputs, scratch(folder.path())).unwrap_err();
    assert!(!error.is_transient(), "{error}");
}

#[test]
fn files_merge_in_any_order_and_ignored_lines_leave_no_trace() {
    let a = sales("v1\t1\t4\ti1\t2016-06-01\nv1\t1\t13\ti1\t2016-06-02\nv1\t1\t13\ti1\t2016-06-01\n");
    let b = sales("v1\t2\t4\ti1\t2016-06-01\nv0\t3\t6\ti9\t2016-06-01\n");
    let paths = [a.folder.path().join("partial"), b.folder.path().join("partial")];
    let expected = ["v0,i9,2016-06-01,,,3.00", "v1,i1,2016-06-01,3.00,,"];
    assert_eq!(summary(&a.layout, &[&paths[0], &paths[1]]), expected);
    assert_eq!(summary(&a.layout, &[&paths[1], &paths[0]]), expected);
    assert_eq!(csv(&paths[0]), ["v1,i1,2016-06-01,1.00,,"]);
}

#[test]
fn with_supersede_store_day_only_the_newest_file_of_a_day_counts() {
    let spec = FeedSpec {
        supersede: Supersede::StoreDay,
        ..FeedSpec::default()
    };
    let old = convert_with(
        &spec,
        b"v1\t1\t4\ti1\t2016-06-01\nv1\t1\t4\ti1\t2016-06-02\nv2\t1\t4\ti1\t2016-06-01\n",
    );
    let new = convert_with(&spec, b"v1\t5\t4\ti2\t2016-06-01\nv2\t1\t13\ti1\t2016-06-01\n");
    let paths = [
        old.folder.path().join("partial"),
        new.folder.path().join("partial"),
    ];
    assert_eq!(
        summary(&old.layout, &[&paths[0], &paths[1]]),
        [
            "v1,i1,2016-06-02,1.00,,",
            "v1,i2,2016-06-01,5.00,,",
            "v2,i1,2016-06-01,1.00,,"
        ],
        "a line that nobody asked for replaces no day"
    );
}

#[test]
fn rows_of_a_key_are_found_again_in_the_converted_file() {
    let converted =
        sales("-- noise\nv1\t1\t4\ti1\t2016-06-01\nv1\t2\t5\ti1\t2016-06-01\nv1\t3\t4\ti2\t2016-06-01\n");
    let path = converted.folder.path().join("converted");
    let rows = rows_of_key(&path, "v1", "i1", date(2016, 6, 1)).unwrap();
    let row = |line_number, amount, code| Row {
        line_number,
        store_id: "v1".into(),
        amount,
        code,
        item_id: "i1".into(),
        trans_date: date(2016, 6, 1),
    };
    assert_eq!(rows, [row(2, 100, 4), row(3, 200, 5)]);
}

#[test]
fn a_partial_shows_which_days_of_a_store_its_file_covers() {
    let converted = sales("v1\t1\t4\ti1\t2016-06-01\nv1\t1\t13\ti1\t2016-06-02\nv2\t1\t4\ti1\t2016-06-03\n");
    let path = converted.folder.path().join("partial");
    let covers = |store, day| covers_day(&path, store, date(2016, 6, day)).unwrap();
    assert!(covers("v1", 1));
    assert!(!covers("v1", 2), "a line with an ignored code covers nothing");
    assert!(covers("v2", 3));
    assert!(!covers("v1", 3) && !covers("v2", 1) && !covers("v3", 1));
}

#[test]
fn reference_feeds_are_validated_as_text() {
    let spec = FeedSpec {
        reference: true,
        measures: Default::default(),
        columns: vec!["item_id".into(), "name".into()],
        max_reject_percent: 50.0,
        ..FeedSpec::default()
    };
    let converted = convert_with(&spec, b"Item_ID\tName\ni1\tFries\textra\ni2\n\xff\tx\ni3\tCoke\n");
    assert_eq!(converted.counts(), [5, 2, 0, 1, 2]);
    assert_eq!(converted.report.header, Header::ByName);
}

/// What many files and two merges at once do with a budget that is far too small for all of them.
#[test]
fn work_that_shares_a_budget_gives_all_of_it_back_and_gets_the_same_sums() {
    let layout = FeedLayout::new(&FeedSpec::default()).expect("the layout is right");
    let text: String = (0..20_000)
        .map(|n| format!("v{}\t1.25\t{}\ti{n}\t2016-06-01\n", n % 7, 4 + n % 3))
        .collect();
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (budget, plenty) = (Budget::new(400 << 10), Budget::new(1 << 30));
    let convert_to = |name: &str, memory: &Budget| {
        let scratch = Scratch {
            folder: folder.path(),
            memory,
        };
        let conversion = convert(text.as_bytes(), &layout, Outputs::default(), scratch, |_| ());
        let partial = conversion
            .expect("it can be read")
            .partial
            .expect("it is a sales feed");
        let path = folder.path().join(name);
        partial.write(&path, memory).expect("it can be written");
        path
    };
    let expected = csv(&convert_to("alone", &plenty));
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (convert_to, budget, expected) = (&convert_to, &budget, &expected);
            scope.spawn(move || assert_eq!(&csv(&convert_to(name, budget)), expected));
        }
    });
    let sales = layout.sales().expect("it is a sales feed");
    let merged = |name: &str, memory: &Budget| {
        let partials = ["a", "b", "c", "d"]
            .iter()
            .zip(1..)
            .map(|(name, order)| RunPartial {
                partial: Partial::stored(folder.path().join(name), sales),
                order,
                selection: Selection::all(),
            });
        let (summary, coverage) = (
            folder.path().join(name),
            folder.path().join(format!("{name}-days")),
        );
        let outputs = SummaryOutputs {
            summary: &summary,
            coverage: &coverage,
        };
        let scratch = Scratch {
            folder: folder.path(),
            memory,
        };
        summarize(partials.collect(), &[], sales, outputs, scratch).expect("they can be merged");
        csv(&summary)
    };
    let expected = merged("merged", &plenty);
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            let (merged, budget, expected) = (&merged, &budget, &expected);
            scope.spawn(move || assert_eq!(&merged(name, budget), expected));
        }
    });
    assert_eq!(
        budget.share().resize_up_to(usize::MAX),
        budget.limit(),
        "nothing is held any more"
    );
}
