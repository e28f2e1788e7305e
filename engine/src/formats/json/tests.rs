use proptest::prelude::*;

use super::*;
use crate::formats::READ;
use crate::layout::JsonField;

fn json(explode: &[&str], fields: &[&[&str]]) -> Json {
    let path = |path: &&str| path.split('.').map(ToOwned::to_owned).collect();
    Json {
        explode: explode.iter().map(path).collect(),
        fields: fields
            .iter()
            .map(|paths| JsonField {
                paths: paths.iter().map(path).collect(),
                amount_form: None,
            })
            .collect(),
    }
}

/// Returns the fields of each record, or its text if it is no JSON, and why the file is refused.
fn read(text: &str, json: &Json) -> (Vec<Result<Vec<String>, String>>, Option<String>) {
    let mut records = JsonRecords::new(text.as_bytes(), json);
    let (mut record, mut all) = (Record::default(), Vec::new());
    while records.next(&mut record).unwrap() {
        let text = String::from_utf8(record.text.clone()).unwrap();
        if text.trim().is_empty() {
            continue;
        }
        let field = |at| {
            record
                .fields
                .get(at)
                .map_or("-".to_owned(), |field| String::from_utf8(field.to_vec()).unwrap())
        };
        all.push(match record.fault {
            None => Ok((0..json.fields.len()).map(field).collect()),
            Some(_) => Err(text),
        });
    }
    (all, Box::new(records).ending().fault)
}

fn row(fields: &[&str]) -> Result<Vec<String>, String> {
    Ok(fields.iter().map(|field| (*field).to_owned()).collect())
}

#[test]
fn one_object_a_line_or_an_array_of_objects() {
    let json = json(&[], &[&["a"], &["b.c", "d"]]);
    let lines = "{\"a\":\"1\",\"b\":{\"c\":2.50}}\r\n\nnot json\n{\"a\":null,\"d\":true}\n{\"a\":{}}";
    let (records, fault) = read(lines, &json);
    assert_eq!(
        records,
        [
            row(&["1", "2.5"]),
            Err("not json".into()),
            row(&["", "true"]),
            row(&["-", ""])
        ]
    );
    assert_eq!(fault, None);
    let array = " [ {\"a\":\"},]\\\"\",\n \"d\":1e1},{\"a\":3}\n , 7, {\"a\":\"\\u00e9\"}\n]\n";
    let (records, fault) = read(array, &json);
    assert_eq!(records[0], row(&["},]\"", "10"]));
    assert_eq!(records[1], row(&["3", ""]));
    assert_eq!(records[2].as_ref().map_err(|text| text.trim()), Err("7"));
    assert_eq!(records[3], row(&["é", ""]));
    assert_eq!(fault, None);
}

#[test]
fn an_array_that_does_not_end_was_cut() {
    let json = json(&[], &[&["a"]]);
    let (records, fault) = read("[{\"a\":1},{\"a\":2", &json);
    assert_eq!(records, [row(&["1"]), Err("{\"a\":2".into())]);
    assert!(fault.unwrap().contains("cut"));
    assert!(read("[{\"a\":1},", &json).1.unwrap().contains("cut"));
    assert!(read("[{\"a\":1}] x", &json).1.unwrap().contains("text follows"));
    assert_eq!(read("[]", &json), (Vec::new(), None));
    assert_eq!(read("", &json), (Vec::new(), None));
}

#[test]
fn arrays_explode_with_the_fields_of_their_parents() {
    let json = json(
        &["baskets", "items"],
        &[
            &["store"],
            &["baskets.till"],
            &["baskets.items.sku"],
            &["baskets.items.value"],
        ],
    );
    let text = "{\"store\":\"1\",\"baskets\":[{\"till\":7,\"items\":[{\"sku\":\"A\",\"value\":1},{\"sku\":\"B\"}]},\
                {\"till\":8,\"items\":[]},{\"till\":9,\"items\":[{\"sku\":\"C\"}]}]}\n{\"store\":\"2\",\"baskets\":[]}\n";
    let (records, _) = read(text, &json);
    assert_eq!(
        records,
        [
            row(&["1", "7", "A", "1"]),
            row(&["1", "7", "B", ""]),
            row(&["1", "9", "C", ""])
        ]
    );
}

#[test]
fn an_object_that_is_too_long_is_one_record_and_the_next_one_is_read() {
    let json = json(&[], &[&["a"]]);
    let long = format!("{{\"a\":\"{}\"}}\n{{\"a\":1}}\n", "x".repeat(LONGEST + READ));
    let mut records = JsonRecords::new(long.as_bytes(), &json);
    let mut record = Record::default();
    assert!(records.next(&mut record).unwrap());
    assert_eq!(record.fault, Some(Reason::LongObject));
    assert_eq!(record.text.len(), KEPT);
    assert!(records.next(&mut record).unwrap());
    assert_eq!(record.fields.get(0), Some(&b"1"[..]));
    assert!(!records.next(&mut record).unwrap());
    // Deep nesting is no JSON, and costs no stack.
    let deep = format!(
        "{}\n{{\"a\":1}}\n",
        "[".repeat(100_000).replacen('[', "{\"a\":[", 1)
    );
    assert_eq!(read(&deep, &json).0.len(), 2);
}

proptest! {
    #[test]
    fn the_same_objects_are_read_from_lines_and_from_an_array(
        values in prop::collection::vec(("[a,\\]}{\"\\\\é]{0,5}", -999..999_i32), 0..8),
    ) {
        let json = json(&[], &[&["t"], &["n"]]);
        let objects: Vec<String> = values
            .iter()
            .map(|(text, number)| format!("{{\"n\":{number},\"t\":{}}}", serde_json::to_string(text).unwrap()))
            .collect();
        let expected: Vec<_> = values.iter().map(|(text, number)| row(&[text, &number.to_string()])).collect();
        prop_assert_eq!(&read(&objects.join("\n"), &json).0, &expected);
        prop_assert_eq!(&read(&format!("[{}]", objects.join(" ,\n")), &json).0, &expected);
    }

    #[test]
    fn an_object_like_others_has_the_same_fields_as_if_it_were_the_first(
        values in prop::collection::vec(
            ("[a,\\]}{\"\\\\é\\n]{0,5}|[a-z]{14,18}", "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{0,3})?(e1)?|null|[1-9 ]{1,3}", 0..5_u8),
            1..30,
        ),
        cut in 0..60_usize,
    ) {
        let json = json(&[], &[&["t"], &["n", "o"], &["b.c"]]);
        let mut others = Objects::new(&json);
        for (at, (text, number, shape)) in values.iter().enumerate() {
            let text = serde_json::to_string(text).unwrap();
            let object = match shape {
                0 => format!("{{\"n\":{number},\"t\":{text}}}"),
                1 => format!("{{ \"t\" : {text}, \"o\": {number}, \"b\": {{\"c\": {text}}} }}"),
                2 => format!("{{\"t\":{text},\"n\":{number},\"t\":{number}}}\r"),
                3 => format!("{{\"t\":[{text}],\"n\":{number}}}"),
                _ => format!("{{\"o\":{number},\"b\":[{{\"c\":1}}]}}"),
            };
            let mut object = object.into_bytes();
            if at % 7 == 3 {
                object.truncate(cut);
            }
            let (mut expected, mut found) = (Record::default(), Record::default());
            let kept = Objects::new(&json).first(&object, &mut expected);
            prop_assert_eq!(&object[kept], &expected.text);
            let range = 0..object.len();
            let with_room = [&object[..], &[b' '; 16]].concat();
            match others.cells(&with_room, &range).is_some() {
                true => others.record(&with_room, &range, &mut found),
                false => {
                    others.first(&object, &mut found);
                }
            }
            prop_assert_eq!(expected.fault, found.fault);
            prop_assert_eq!(&expected.text, &found.text);
            for field in 0..3 {
                prop_assert_eq!(expected.fields.get(field), found.fields.get(field), "{}", String::from_utf8_lossy(&object));
            }
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[\\[\\]{}\",:a1\n ]{0,60}") {
        let _ = read(&text, &json(&["a"], &[&["a.a"], &["a"]]));
    }
}
