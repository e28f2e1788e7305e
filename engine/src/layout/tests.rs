use super::*;
use crate::guards::LateLines;

fn problem(change: impl FnOnce(&mut FeedSpec)) -> String {
    let mut spec = FeedSpec::default();
    change(&mut spec);
    FeedLayout::new(&spec).unwrap_err().to_string()
}

#[test]
fn the_default_layout_is_the_designs() {
    let layout = FeedLayout::new(&FeedSpec::default()).unwrap();
    let sales = layout.sales().unwrap();
    assert!(!sales.is_wide() && layout.plain_delimiter() == Some(b'\t'));
    let names: Vec<_> = sales.measures.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["sale_amount", "tax_amount", "discount_amount"]);
}

#[test]
fn each_error_names_its_key() {
    assert!(problem(|s| s.columns = vec!["store_id".into()]).contains("columns does not name amount"));
    assert!(problem(|s| s.delimiter = "\n".into()).contains("delimiter must be 1 to 8"));
    assert!(problem(|s| s.encoding = "klingon".into()).contains("encoding \"klingon\""));
    assert!(problem(|s| s.values.dates = Some(vec!["%y".into()])).contains("values.dates"));
    assert!(problem(|s| s.shrink_percent = -1.0).contains("shrink_percent must be"));
    assert!(problem(|s| s.max_reject_percent = 101.0).contains("max_reject_percent"));
    assert!(problem(|s| s.measures.clear()).contains("measures is missing"));
    assert!(problem(|s| s.reference = true).contains("measures has no meaning"));
    assert!(problem(|s| s.name = "a b".into()).contains("name must be"));
    assert!(
        problem(|s| {
            s.measures.insert("other".into(), 4.into());
        })
        .contains("gives code 4")
    );
}

#[test]
fn the_digest_follows_what_conversion_depends_on() {
    let digest = |change: fn(&mut FeedSpec)| {
        let mut spec = FeedSpec::default();
        change(&mut spec);
        FeedLayout::new(&spec).unwrap().digest().to_owned()
    };
    assert_eq!(digest(|_| ()), digest(|s| s.files = "*.tdf".into()));
    assert_eq!(digest(|_| ()), digest(|s| s.late = LateLines::Add));
    for change in [
        |s: &mut FeedSpec| s.id_chars = 30,
        |s: &mut FeedSpec| s.header_line = Some(1),
        |s: &mut FeedSpec| s.header_names = HeaderNames::Ignore,
        |s: &mut FeedSpec| s.records.skip = Some(Vec::new()),
    ] {
        assert_ne!(digest(|_| ()), digest(change));
    }
}

#[test]
fn what_the_version_before_read_with_the_same_settings_is_still_summed() {
    let of_version_before = "7dd52f1ee8112556";
    let layout = |change: fn(&mut FeedSpec)| {
        let mut spec = FeedSpec::default();
        change(&mut spec);
        FeedLayout::new(&spec).unwrap()
    };
    let same = layout(|_| ());
    assert_ne!(same.digest(), of_version_before, "files are read again");
    assert!(same.sums_with(of_version_before) && same.sums_with(same.digest()));
    assert!(!layout(|s| s.id_chars = 30).sums_with(of_version_before));
    assert!(!layout(|s| s.records.skip = Some(Vec::new())).sums_with(of_version_before));
}

#[test]
fn measures_with_fields_follow_the_order_of_those_with_codes() {
    let wide = |names: &str| -> BTreeMap<String, MeasureSpec> {
        let field = |name: &str| {
            (
                name.to_owned(),
                MeasureSpec::Field {
                    field: format!("{name} field"),
                },
            )
        };
        names.split(' ').map(field).collect()
    };
    let names = |layout: &FeedLayout| -> Vec<String> {
        layout
            .sales()
            .unwrap()
            .measures
            .iter()
            .map(|measure| measure.name.clone())
            .collect()
    };
    let profile = |measures| ProfileSpec {
        name: "wide".into(),
        files: "w*".into(),
        measures: Some(measures),
        ..ProfileSpec::default()
    };
    let feed = |codes: [i32; 2]| {
        let codes = [
            ("sale".to_owned(), codes[0].into()),
            ("tax".to_owned(), codes[1].into()),
        ];
        let spec = FeedSpec {
            measures: codes.into(),
            profiles: vec![profile(wide("sale tax"))],
            ..FeedSpec::default()
        };
        FeedLayout::new(&spec).unwrap()
    };
    let (one, other) = (feed([4, 5]), feed([5, 4]));
    assert_eq!(names(one.of_file("w1")), ["sale", "tax"]);
    assert_eq!(names(other.of_file("w1")), ["tax", "sale"]);
    assert!(
        !one.of_file("w1").sums_with(other.of_file("w1").digest()),
        "its columns are others"
    );
    assert!(one.of_file("x").has_codes() && !one.of_file("w1").has_codes());
    let alone = FeedLayout::new(&FeedSpec {
        measures: wide("sale tax"),
        ..FeedSpec::default()
    })
    .unwrap();
    assert_eq!(names(&alone), ["sale", "tax"]);
    let digest = alone.digest().to_owned();
    let reordered = alone.ordered_as(&other);
    assert_eq!(names(&reordered), ["tax", "sale"]);
    assert!(!reordered.sums_with(&digest));
    let wrong = FeedLayout::new(&FeedSpec {
        profiles: vec![profile(wide("sale tips"))],
        ..FeedSpec::default()
    });
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("profile \"wide\": measures must name"), "{wrong}");
}

#[test]
fn a_profile_has_what_it_leaves_out_from_its_feed() {
    let mut spec = FeedSpec::default();
    spec.values.decimal = Some(",".into());
    spec.records.skip = Some(vec!["#".into()]);
    let mut profile = ProfileSpec {
        name: "p".into(),
        files: "p-{store}*".into(),
        ..ProfileSpec::default()
    };
    profile.values.scale = Some(2);
    spec.profiles = vec![profile];
    let layout = Arc::new(FeedLayout::new(&spec).unwrap());
    let (reader, captures) = layout.reader("p-7.csv").unwrap();
    assert_eq!(captures.store.as_deref(), Some("7"));
    assert!(reader.records.skips(b"# x") && reader.values.amounts.decimal() == ',');
    assert_ne!(reader.digest(), layout.digest());
    assert!(
        reader.sums_with(layout.digest()),
        "only the forms of amounts differ"
    );
    assert_eq!(layout.profile_of("p-7.csv"), Some("p"));
    assert_eq!(layout.profile_of("q-7.csv"), None);
    // What the name says is part of the digest where it is read.
    spec.fields = [(
        "store_id".to_owned(),
        FieldSpec::Capture {
            capture: Captured::Store,
        },
    )]
    .into();
    let named = Arc::new(FeedLayout::new(&spec).unwrap());
    let digest = |path: &str| named.reader(path).unwrap().0.digest().to_owned();
    assert_ne!(digest("p-7.csv"), digest("p-8.csv"));
    assert!(named.reader("p-7.csv").unwrap().0.sums_with(&digest("p-8.csv")));
}

#[test]
fn a_header_line_that_cannot_be_is_refused() {
    assert!(problem(|s| s.header_line = Some(0)).contains("header_line counts from 1"));
    let never = problem(|s| (s.header_line, s.header) = (Some(3), HeaderRule::Never));
    assert!(never.contains("header_line says where"), "{never}");
    assert!(problem(|s| s.records.skip = Some(vec![String::new()])).contains("records.skip"));
}

#[test]
fn tables_find_columns_by_their_names() {
    for format in [FormatWord::Dbf, FormatWord::Xlsx, FormatWord::Parquet] {
        let mut spec = FeedSpec {
            format,
            columns: Vec::new(),
            ..FeedSpec::default()
        };
        spec.values.day_begins = Some("04:00".into());
        spec.fields
            .insert("item_id".into(), FieldSpec::Name("plu".into()));
        let layout = FeedLayout::new(&spec).unwrap();
        let names: Vec<_> = layout
            .sales()
            .unwrap()
            .names()
            .into_iter()
            .flat_map(|name| name.names)
            .collect();
        assert_eq!(
            names,
            ["store_id", "amount", "code", "plu", "item_id", "trans_date"],
            "{format:?}"
        );
        assert_eq!(layout.header, HeaderRule::Always);
    }
    let table = |change: fn(&mut FeedSpec)| {
        problem(|spec| {
            (spec.format, spec.columns) = (FormatWord::Dbf, Vec::new());
            change(spec);
        })
    };
    assert!(
        table(|s| s.columns = vec!["store_id".into()])
            .contains("columns is only for format = \"delimited\" or \"xlsx\"")
    );
    assert!(table(|s| s.header_line = Some(3)).contains("header_line is only for"));
    assert!(table(|s| s.sheet = Some(SheetSpec::Number(1))).contains("sheet is only for format = \"xlsx\""));
    assert!(table(|s| s.encoding = "cp037".into()).contains("encoding has no meaning"));
    assert!(
        problem(|s| (s.format, s.sheet) = (FormatWord::Xlsx, Some(SheetSpec::Number(0))))
            .contains("sheet counts from 1")
    );
}

#[test]
fn a_profile_of_another_format_takes_nothing_from_the_feeds_own() {
    let mut spec = FeedSpec {
        delimiter: ";".into(),
        header_line: Some(3),
        encoding: "windows-1252".into(),
        ..FeedSpec::default()
    };
    for format in [FormatWord::Dbf, FormatWord::Xlsx, FormatWord::Json] {
        spec.profiles = vec![ProfileSpec {
            name: "other".into(),
            files: "*".into(),
            format: Some(format),
            ..ProfileSpec::default()
        }];
        let layout = FeedLayout::new(&spec).unwrap();
        let profile = layout.of_file("a");
        assert_eq!(profile.header_line, None);
        let is_windows =
            matches!(profile.charset, Charset::Text(encoding) if encoding == encoding_rs::WINDOWS_1252);
        assert_eq!(
            is_windows,
            format == FormatWord::Json,
            "tables have an encoding of their own"
        );
    }
}
