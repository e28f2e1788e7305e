use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::date::{day_number, from_days};

fn rule(forms: &[&str], day_begins: Option<&str>) -> Result<DateRule, Problem> {
    DateRule::new(
        &ValuesSpec {
            dates: Some(forms.iter().map(|form| (*form).to_owned()).collect()),
            day_begins: day_begins.map(ToOwned::to_owned),
            ..ValuesSpec::default()
        },
        false,
    )
}

fn read(form: &str, text: &str) -> Option<Date> {
    rule(&[form], None).unwrap().read(text.as_bytes()).map(from_days)
}

#[test]
fn forms_of_one_day() {
    for (form, text) in [
        ("%Y-%m-%d", "2016-06-01"),
        ("%Y-%m-%d", " 2016-6-1 "),
        ("%m/%d/%Y", "6/1/2016"),
        ("%m/%d/%Y", "06/01/2016"),
        ("%m/%d/%y", "06/01/16"),
        ("%d.%m.%y", "1.6.16"),
        ("%d-%b-%y", "01-JUN-16"),
        ("%d %b %Y", "1  June 2016"),
        ("%b %d, %Y", "Jun 1, 2016"),
        ("%d%b%Y", "01jun2016"),
        ("%Y%m%d", "20160601"),
        ("%y%m%d", "160601"),
        ("%Y%j", "2016153"),
        ("%Y-%j", "2016-153"),
        ("%Y-%m-%d %H:%M:%S", "2016-06-01 14:33:07"),
        ("%Y-%m-%dT%H:%M:%S%z", "2016-06-01T14:33:07.123Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2016-06-01T14:33:07+02:00"),
        ("%Y-%m-%d %H:%M %z", "2016-06-01 4:33 -0500"),
        ("%m/%d/%Y %I:%M %p", "6/1/2016 2:33 PM"),
        ("%m/%d/%Y %I:%M%p", "6/1/2016 12:00am"),
        ("%Y%m%d%H%M%S", "20160601143307"),
        ("%Y年%m月%d日", "2016年6月1日"),
    ] {
        assert_eq!(read(form, text), Some(date(2016, 6, 1)), "{form} {text}");
    }
    assert_eq!(read("%d.%m.%y", "31.12.69"), Some(date(1969, 12, 31)));
    assert_eq!(read("%d.%m.%y", "31.12.68"), Some(date(2068, 12, 31)));
}

#[test]
fn what_a_form_does_not_read() {
    for (form, text) in [
        ("%Y-%m-%d", "2016-06-01 14:33"),
        ("%Y-%m-%d", "16-06-01"),
        ("%Y-%m-%d", "2016-006-01"),
        ("%Y-%m-%d", "2016-02-30"),
        ("%Y-%m-%d", "2016--1"),
        ("%Y%m%d", "2016601"),
        ("%m/%d/%Y", "31/12/2016"),
        ("%d-%b-%y", "01-XXX-16"),
        ("%d-%b-%y", "01-Juni-16"),
        ("%Y%j", "2015366"),
        ("%Y%j", "2016000"),
        ("%Y-%m-%d %H:%M", "2016-06-01 24:00"),
        ("%Y-%m-%d %H:%M", "2016-06-01 12:60"),
        ("%Y-%m-%d %H:%M:%S", "2016-06-01 12:00:61"),
        ("%m/%d/%Y %I:%M %p", "6/1/2016 14:33 PM"),
        ("%m/%d/%Y %I:%M %p", "6/1/2016 2:33 XM"),
        ("%Y-%m-%dT%H:%M%z", "2016-06-01T12:00"),
    ] {
        assert_eq!(read(form, text), None, "{form} {text}");
    }
}

#[test]
fn times_before_the_day_begins_belong_to_the_day_before() {
    let late = rule(&["%Y-%m-%d %H:%M", "%Y-%m-%d"], Some("04:00")).unwrap();
    let day = |text: &str| from_days(late.read(text.as_bytes()).unwrap());
    assert_eq!(day("2016-06-01 23:10"), date(2016, 6, 1));
    assert_eq!(day("2016-06-02 01:40"), date(2016, 6, 1));
    assert_eq!(day("2016-06-02 03:59"), date(2016, 6, 1));
    assert_eq!(day("2016-06-02 04:00"), date(2016, 6, 2));
    assert_eq!(
        day("2016-06-02"),
        date(2016, 6, 2),
        "without a time, the day is the business day"
    );
    assert_eq!(late.read(b"0001-01-01 00:00"), None);
    let noon = rule(&["%m/%d/%Y %I:%M %p"], Some("04:00")).unwrap();
    assert_eq!(
        noon.read(b"6/2/2016 12:30 AM").map(from_days),
        Some(date(2016, 6, 1))
    );
    assert_eq!(
        noon.read(b"6/2/2016 12:30 PM").map(from_days),
        Some(date(2016, 6, 2))
    );
}

#[test]
fn forms_that_read_one_text_as_different_days_are_refused() {
    for (one, other) in [
        ("%m/%d/%Y", "%d/%m/%Y"),
        ("%y%m%d", "%d%m%y"),
        ("%d/%m/%y", "%y/%m/%d"),
        ("%Y-%m-%d %H:%M", "%Y-%d-%m %H:%M"),
    ] {
        let (key, problem) = rule(&[one, other], None).unwrap_err();
        assert!(
            key == "values.dates" && problem.contains("different days"),
            "{one} {other}: {problem}"
        );
    }
    let of_the_case = [
        "%Y-%m-%d %H:%M:%S",
        "%Y%m%d",
        "%d-%b-%y",
        "%m/%d/%y",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y",
    ];
    let all = rule(&of_the_case, None).unwrap();
    for text in [
        "6/1/2016",
        "06/01/16",
        "01-JUN-16",
        "2016-06-01 14:33:07",
        "20160601",
        "6/1/2016 2:33 PM",
    ] {
        assert_eq!(
            all.read(text.as_bytes()).map(from_days),
            Some(date(2016, 6, 1)),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_form_is_refused() {
    for form in [
        "",
        "%Y-%m",
        "%Y-%m-%d-%d",
        "%Y%y%m%d",
        "%Q",
        "%",
        "%Y-%j-%d",
        "%Y-%m-%d %M",
        "%Y-%m-%d %I:%M",
        "%Y-%m-%d 00",
    ] {
        assert!(rule(&[form], None).is_err(), "{form}");
    }
    assert!(rule(&[], None).is_err());
    for time in ["4", "24:00", "04:60", "4:00", "x"] {
        assert_eq!(
            rule(&["%Y-%m-%d %H:%M"], Some(time)).unwrap_err().0,
            "values.day_begins",
            "{time}"
        );
    }
    assert!(
        rule(&["%Y-%m-%d"], Some("04:00"))
            .unwrap_err()
            .1
            .contains("needs a time")
    );
}

proptest! {
    #[test]
    fn what_a_form_writes_it_reads(
        form in prop::sample::select(vec!["%Y-%m-%d", "%m/%d/%y %H:%M", "%d%b%Y", "%Y%j", "%I %p %y.%d.%b", "%d%m%Y"]),
        year in 1970..2068_i16, month in 1..13_i8, day in 1..29_i8, is_padded in any::<bool>(),
    ) {
        let number = day_number(date(year, month, day));
        let written = DateForm::parse(form).unwrap().write((year as u32, month as u32, day as u32), number, is_padded);
        prop_assert_eq!(rule(&[form], None).unwrap().read(written.as_bytes()), Some(number), "{}", written);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[0-9/:. TJunPMZ+é-]{0,20}") {
        for form in ["%d-%b-%y", "%m/%d/%Y %I:%M %p", "%Y%m%d%H%M%S%z", "%Y %j"] {
            let _ = read(form, &text);
        }
    }
}
