//! A slow model of how a file is cut into lines and what its headers mean, written from the rules alone.

use proptest::prelude::*;

use super::*;
use crate::text::line_ends_tests::lines;

const NAMES: [&str; 5] = ["store_id", "amount", "code", "item_id", "trans_date"];

/// What the rules make of a file.
#[derive(Debug, Default, PartialEq)]
struct Fate {
    /// Lines, rows, ignored, skipped, rejects.
    counts: [u64; 5],
    /// The line and the store of each row.
    rows: Vec<(u64, String)>,
    is_refused: bool,
}

fn fate(text: &[u8]) -> Fate {
    let (text, behind) = match text.iter().position(|byte| *byte == 0x1a) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let padded = text.len();
    let text = &text[..text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)];
    let (lines_read, is_ended) = lines(text);
    let mut fate = Fate::default();
    let (mut positions, mut has_header, mut first, mut doubt) = ([0, 1, 2, 3, 4], false, true, None);
    let (mut ids, mut number) = (Vec::new(), 0);
    for line in &lines_read {
        number += 1;
        let line = String::from_utf8_lossy(line).into_owned();
        let line = line.trim_start_matches('\u{feff}');
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |column: usize| fields.get(positions[column]).copied().unwrap_or_default();
        if line.trim().is_empty() || line.starts_with("--") {
            fate.counts[3] += 1;
            continue;
        }
        let is_first = std::mem::replace(&mut first, false);
        let at = |name: &str| {
            fields
                .iter()
                .position(|field| field.trim().eq_ignore_ascii_case(name))
        };
        let times = |name: &&str| {
            fields
                .iter()
                .filter(|field| field.trim().eq_ignore_ascii_case(name))
                .count()
        };
        let named = NAMES.iter().filter(|name| at(name).is_some()).count();
        let is_number = |text: &str| text.parse::<f64>().is_ok();
        let is_complete = NAMES.iter().all(|name| times(name) == 1);
        let has_values = is_first && fields.len() >= 5 && !is_number(field(1)) && !is_number(field(2));
        if named >= 3 || (has_values && named > 0) {
            fate.counts[3] += 1;
            fate.is_refused |= !is_complete || (!is_first && !has_header && number <= 20);
            if is_complete {
                has_header |= is_first || has_header || number > 20;
                positions = NAMES.map(|name| at(name).unwrap());
            }
        } else if has_values && field(4) != "2016-06-01" {
            doubt = Some((field(0).to_owned(), field(3).to_owned()));
        } else if !is_number(field(1)) || !is_number(field(2)) || field(4) != "2016-06-01" {
            fate.counts[4] += 1;
        } else {
            ids.push((field(0).to_owned(), field(3).to_owned()));
            if field(2) == "4" {
                fate.counts[1] += 1;
                fate.rows.push((number, field(0).to_owned()));
            } else {
                fate.counts[2] += 1;
            }
        }
    }
    if let Some((store, item)) = doubt {
        let is_data = ids.iter().any(|(s, i)| *s == store || *i == item);
        fate.counts[if is_data { 4 } else { 3 }] += 1;
        fate.is_refused |= !is_data;
    }
    let own = u64::from(is_ended && (behind.is_some() || text.len() < padded));
    let after = behind.map_or(0, |behind| (lines(behind).0.len() as u64).max(1) - 1);
    fate.counts[3] += own + after;
    fate.counts[0] = number + own + after;
    fate
}

fn line() -> impl Strategy<Value = (&'static str, &'static str)> {
    let text = prop_oneof![
        8 => Just("s1\t1.50\t4\ti1\t2016-06-01"),
        4 => Just("i2\ts2\t4\t2.50\t2016-06-01"),
        2 => Just("s1\t1.50\t13\ti1\t2016-06-01"),
        3 => Just("store_id\tAmount\tcode\titem_id\ttrans_date"),
        3 => Just("item_id\tstore_id\tcode\tamount \ttrans_date"),
        1 => prop::sample::select(vec![
            "store_id\tamount\tcode\tItem\tDate",
            "store_id\tamount\tcode\titem_id\ttrans_date\tamount",
            "Shop\tamount\tKind\tItem\tDay",
            "Shop\tSum\tKind\tItem\tDay",
            "s1\tSum\tKind\tItem\tDay",
            "s9\tx\ty\ti9\t2016-06-01",
        ]),
        2 => prop::sample::select(vec!["", " ", "--", "-- s1\t1", "x", "\0", "s1\tx\t4\ti1\t2016-06-01"]),
    ];
    let text = (text, prop::bool::weighted(0.1));
    let text = text.prop_map(|(text, is_marked)| match (text, is_marked) {
        ("s1\t1.50\t4\ti1\t2016-06-01", true) => "\u{feff}s1\t1.50\t4\ti1\t2016-06-01",
        ("item_id\tstore_id\tcode\tamount \ttrans_date", true) => {
            "\u{feff}\u{feff}item_id\tstore_id\tcode\tamount\ttrans_date"
        }
        (text, _) => text,
    });
    (
        text,
        prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\r", "\r\r\n"]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn files_fare_as_the_rules_say_however_they_are_read(
        written in prop::collection::vec(line(), 0..45),
        end in prop::sample::select(vec!["", "", "", "\x1a", "\x1as1\t1\n\r\nx", "\0\0", "s1\t1.50\t4\ti1\t2016-06-01"]),
        unit in 1..300_usize,
    ) {
        let text: String = written.into_iter().flat_map(|(text, end)| [text, end]).chain([end]).collect();
        let layout = layout(|_| ());
        let outcome = agree(text.as_bytes(), &layout, false, &ways(unit)).unwrap();
        let r = &outcome.report;
        let found = Fate {
            counts: [r.lines, r.rows, r.ignored, r.skipped, r.rejects],
            rows: outcome
                .converted
                .iter()
                .map(|row| (row[0].as_ref().unwrap().parse().unwrap(), row[1].clone().unwrap()))
                .collect(),
            is_refused: r.findings.rejected_because().is_some(),
        };
        prop_assert_eq!(found, fate(text.as_bytes()));
    }
}
