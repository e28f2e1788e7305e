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
fn a_header_line_that_cannot_be_is_refused() {
    assert!(problem(|s| s.header_line = Some(0)).contains("header_line counts from 1"));
    let never = problem(|s| (s.header_line, s.header) = (Some(3), HeaderRule::Never));
    assert!(never.contains("header_line says where"), "{never}");
    assert!(problem(|s| s.records.skip = Some(vec![String::new()])).contains("records.skip"));
}
