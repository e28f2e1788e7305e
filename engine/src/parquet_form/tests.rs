//! Other readers find what is encoded here: the parquet crate, Polars and DuckDB.

use std::fs::File;

use arrow_schema::{DataType, Field};
use gristmill_testkit::readers::Reader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::amount::{ABSENT, MAX_CENTS, format_cents};
use crate::date::{DAYS, from_days};
use crate::read_back::rows_of;
use crate::rows::decimal;
use crate::symbols::Texts;

/// A row: text, text or NULL, day, number, amount or NULL. Texts are given by their numbers in [`texts`].
type Row = (u32, Option<u32>, i32, i64, Option<i64>);

/// Reads runs and packed bits back as the format's document describes.
fn hybrid_read_back(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
    let mut values = Vec::new();
    while values.len() < count {
        let mut header = 0_u64;
        for place in 0.. {
            let (byte, rest) = bytes.split_first().unwrap();
            bytes = rest;
            header |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let number = (header >> 1) as usize;
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at(width.div_ceil(8) as usize);
            bytes = rest;
            let mut whole = [0; 4];
            whole[..value.len()].copy_from_slice(value);
            values.extend(std::iter::repeat_n(u32::from_le_bytes(whole), number));
        } else {
            let (packed, rest) = bytes.split_at(number * width as usize);
            bytes = rest;
            let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
            for value in 0..number * 8 {
                let at = value * width as usize;
                values.push((0..width as usize).map(|place| bit(at + place) << place).sum());
            }
        }
    }
    assert!(bytes.is_empty(), "nothing is left");
    assert!(values[count..].iter().all(|value| *value == 0) && values.len() < count + 8);
    values.truncate(count);
    values
}

/// Values in runs, with lengths near those that decide between a run and packed groups.
fn runs<V: Clone + std::fmt::Debug + 'static>(value: BoxedStrategy<V>) -> BoxedStrategy<Vec<V>> {
    let length = prop_oneof![3 => Just(1_usize), 2 => 1..12_usize, 2 => 14..27_usize, 1 => 27..70_usize];
    prop::collection::vec((value, length), 0..12)
        .prop_map(|runs| {
            let runs = runs.into_iter().map(|(value, length)| vec![value; length]);
            runs.collect::<Vec<_>>().concat()
        })
        .boxed()
}

fn texts() -> Texts {
    let mut texts = Texts::default();
    for number in 0..400 {
        texts.push(&match number {
            // Texts beyond ASCII, and texts with the same beginning.
            0 => "é".to_owned(),
            1 => "\u{1f363}".to_owned(),
            2 => " ".to_owned(),
            3 => "x".repeat(100),
            4 => "x".repeat(101),
            _ => format!("ITM-{:05}", number * 7919 % 1000),
        });
    }
    texts
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("maybe", DataType::Utf8, true),
        Field::new("day", DataType::Date32, false),
        Field::new("number", DataType::Int64, false),
        Field::new("amount", decimal(), true),
    ])
}

fn write(groups: &[Vec<Row>], path: &Path) {
    let (form, texts) = (Form::new(&schema()).unwrap(), texts());
    let mut file = form.create(path).unwrap();
    for rows in groups {
        let text: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let maybe: Vec<u32> = rows.iter().map(|row| row.1.unwrap_or(NO_TEXT)).collect();
        let days: Vec<i32> = rows.iter().map(|row| row.2).collect();
        let numbers: Vec<i64> = rows.iter().map(|row| row.3).collect();
        let amounts: Vec<i64> = rows.iter().map(|row| row.4.unwrap_or(ABSENT)).collect();
        // Slices of several lengths, including empty ones.
        let slices: Vec<&[i64]> = (amounts.chunks(70))
            .flat_map(|slice| {
                [
                    &[],
                    slice.split_at(slice.len() / 3).0,
                    slice.split_at(slice.len() / 3).1,
                ]
            })
            .collect();
        let texts = &texts;
        let column = |numbers| Column::Texts { texts, numbers };
        let columns = [
            column(&text),
            column(&maybe),
            Column::Few(&days),
            Column::Near(&numbers),
            Column::Sums(&slices),
        ];
        // Encoded in two steps, as converted rows are.
        let mut chunks = form.encode(0, &columns[..2], path).unwrap();
        chunks.extend(form.encode(2, &columns[2..], path).unwrap());
        file.append(chunks).unwrap();
    }
    file.finish().unwrap();
}

fn cells(groups: &[Vec<Row>]) -> Vec<Vec<Option<String>>> {
    let texts = texts();
    let rows = groups.iter().flatten().map(|(text, maybe, day, number, amount)| {
        vec![
            Some(texts.get(*text).to_owned()),
            maybe.map(|maybe| texts.get(maybe).to_owned()),
            Some(from_days(*day).to_string()),
            Some(number.to_string()),
            amount.map(format_cents),
        ]
    });
    rows.collect()
}

/// A [`Row`] without its number.
type StoredRow = (u32, Option<u32>, i32, Option<i64>);

/// Reads some rows with the code under test, without their numbers: that encoding is only ever written here.
fn stored_rows(file: &StoredFile, wanted: std::ops::Range<usize>) -> Result<Vec<StoredRow>, EngineError> {
    let numbers: std::collections::HashMap<String, u32> =
        texts().iter().map(str::to_owned).zip(0..).collect();
    let mut rows = Vec::new();
    for group in file.groups(wanted) {
        let (stored, of_rows) = file.texts(&group, 0, None)?;
        let (maybe_stored, maybe) = file.texts(&group, 1, Some(NO_TEXT))?;
        let number = |texts: &Texts, place| numbers.get(texts.get(place)).copied().unwrap_or(NO_TEXT);
        let (days, sums) = (file.days(&group, 2)?, file.sums(&group, 4)?);
        for (row, day) in days.into_iter().enumerate() {
            let maybe = (maybe[row] != NO_TEXT).then(|| number(&maybe_stored, maybe[row]));
            let sum = (sums[row] != ABSENT).then_some(sums[row]);
            rows.push((number(&stored, of_rows[row]), maybe, day, sum));
        }
    }
    Ok(rows)
}

/// Checks that each row group's statistics match its values.
fn check_statistics(groups: &[Vec<Row>], path: &Path) {
    let texts = texts();
    let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.num_row_groups(), groups.len());
    for (group, rows) in metadata.row_groups().iter().zip(groups) {
        assert_eq!(group.num_rows(), rows.len() as i64);
        let statistics = |column: usize| group.column(column).statistics().unwrap();
        let nulls = |column: usize| statistics(column).null_count_opt().unwrap() as usize;
        for column in 0..2 {
            let there: Vec<&str> = rows
                .iter()
                .filter_map(|row| [Some(row.0), row.1][column].map(|number| texts.get(number)))
                .collect();
            let Statistics::ByteArray(found) = statistics(column) else {
                panic!("statistics of texts")
            };
            let text = |bytes: Option<&parquet::data_type::ByteArray>| {
                bytes.map(|bytes| bytes.as_utf8().unwrap().to_owned())
            };
            assert_eq!(text(found.min_opt()).as_deref(), there.iter().min().copied());
            assert_eq!(text(found.max_opt()).as_deref(), there.iter().max().copied());
            assert_eq!(nulls(column), rows.len() - there.len());
        }
        let Statistics::Int32(days) = statistics(2) else {
            panic!("statistics of days")
        };
        let of_rows = || rows.iter().map(|row| row.2);
        assert_eq!(
            (days.min_opt().copied(), days.max_opt().copied()),
            (of_rows().min(), of_rows().max())
        );
        for (column, there) in [
            (3, rows.iter().map(|row| row.3).collect::<Vec<_>>()),
            (4, rows.iter().filter_map(|row| row.4).collect()),
        ] {
            let Statistics::Int64(found) = statistics(column) else {
                panic!("statistics of numbers")
            };
            assert_eq!(found.min_opt(), there.iter().min());
            assert_eq!(found.max_opt(), there.iter().max());
            assert_eq!(nulls(column), rows.len() - there.len());
        }
        assert_eq!((nulls(2), nulls(3)), (0, 0));
    }
}

fn row() -> BoxedStrategy<Row> {
    let text = prop_oneof![3 => 0..4_u32, 1 => 0..400_u32];
    let maybe = prop::option::of(text.clone());
    let day = prop_oneof![5 => 16_953..16_960, 1 => DAYS, 1 => Just(*DAYS.start()), 1 => Just(*DAYS.end())];
    let number = prop_oneof![
        3 => 0..1000_i64,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, -1, 0, 1, i64::MIN + 1]),
    ];
    let amount = prop_oneof![3 => -1000..1000_i64, 1 => -MAX_CENTS..=MAX_CENTS, 1 => Just(MAX_CENTS), 1 => Just(-MAX_CENTS)];
    (text, maybe, day, number, prop::option::of(amount)).boxed()
}

proptest! {
    #[test]
    fn runs_and_packed_bits_of_every_width(
        (width, values) in (1..=32_u32).prop_flat_map(|width| {
            let greatest = u32::MAX >> (32 - width);
            let value = prop_oneof![Just(0), Just(greatest), 0..=greatest];
            (Just(width), runs(value.boxed()))
        }),
    ) {
        let mut bytes = Vec::new();
        packed::hybrid(&values, width, &mut bytes);
        prop_assert_eq!(&hybrid_read_back(&bytes, width, values.len()), &values);
        prop_assert_eq!(packed::unpacked(&bytes, width, values.len()), Some(values));
    }

    #[test]
    fn files_read_back_and_their_statistics_are_true(groups in prop::collection::vec(runs(row()), 0..4)) {
        let groups: Vec<Vec<Row>> = groups.into_iter().filter(|rows| !rows.is_empty()).collect();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        write(&groups, &path);
        prop_assert_eq!(rows_of(&path), cells(&groups));
        check_statistics(&groups, &path);
    }

    #[test]
    fn any_rows_are_read_alone(
        groups in prop::collection::vec(runs(row()), 0..4),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let groups: Vec<Vec<Row>> = groups.into_iter().filter(|rows| !rows.is_empty()).collect();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        write(&groups, &path);
        let rows = groups.concat();
        let [one, two] = [ends.0, ends.1].map(|end| end.index(rows.len() + 1));
        let wanted = one.min(two)..one.max(two);
        let file = StoredFile::open(&path).unwrap();
        prop_assert_eq!(file.rows(), rows.len());
        let expected: Vec<_> = rows[wanted.clone()].iter().map(|row| (row.0, row.1, row.2, row.4)).collect();
        prop_assert_eq!(stored_rows(&file, wanted).unwrap(), expected);
    }

    #[test]
    fn a_damaged_file_is_refused_or_has_all_its_rows(
        rows in runs(row()).prop_filter("a file without rows has no row group", |rows| !rows.is_empty()),
        (place, bit) in (any::<prop::sample::Index>(), 0..8_u32),
    ) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        write(std::slice::from_ref(&rows), &path);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        std::fs::write(&path, bytes).unwrap();
        let read = StoredFile::open(&path).and_then(|file| stored_rows(&file, 0..file.rows()));
        if let Ok(read) = read {
            prop_assert_eq!(read.len(), rows.len());
        }
    }

    #[test]
    fn differences_of_any_whole_numbers(
        numbers in prop_oneof![
            runs(any::<i64>().boxed()),
            runs(prop::sample::select(vec![i64::MIN, i64::MAX, 0, -1]).boxed()),
            (any::<i64>(), 0..63_u32, 0..400_usize).prop_map(|(first, bits, count)| {
                (0..count as i64).map(|place| first.wrapping_add((place * place) << bits)).collect()
            }),
        ],
    ) {
        prop_assume!(!numbers.is_empty());
        let rows = numbers.iter().map(|number| (0, None, 0, *number, None)).collect();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        write(&[rows], &path);
        let found: Vec<i64> = rows_of(&path).iter().map(|row| row[3].as_ref().unwrap().parse().unwrap()).collect();
        prop_assert_eq!(found, numbers);
    }
}

/// The reason why [`StoredFile`] catches panics: once nothing panics here any more, it need not.
#[test]
fn the_parquet_crate_panics_over_damaged_metadata() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    write(&[vec![(1, Some(2), 16_953, 7, Some(250))]], &path);
    let whole = std::fs::read(&path).unwrap();
    let reads = (0..whole.len()).map(|place| {
        let mut bytes = whole.clone();
        // This makes a number of the footer negative.
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        StoredFile::open(&path).and_then(|file| stored_rows(&file, 0..file.rows()))
    });
    let panicked = reads.filter(|read| {
        let source = read.as_ref().err().and_then(std::error::Error::source);
        source.is_some_and(|source| source.to_string().contains("parts of it make no sense"))
    });
    assert!(panicked.count() > 0);
}

/// Files for each special case: row groups that statistics tell apart, dictionaries of one value and of many, days far
/// apart, columns of NULLs, numbers of all widths, no rows at all.
fn peculiar() -> Vec<Vec<Vec<Row>>> {
    let rows = |count: u32, row: &dyn Fn(u32) -> Row| (0..count).map(row).collect::<Vec<_>>();
    let plain = |n: u32| {
        (
            n % 7,
            Some(n % 3),
            16_953 + n as i32 % 5,
            i64::from(n),
            Some(i64::from(n) * 7 - 900),
        )
    };
    vec![
        vec![],
        vec![rows(1, &plain)],
        vec![rows(1000, &plain)],
        vec![rows(1000, &|_| (3, Some(3), 16_953, 5, Some(5)))],
        vec![rows(1000, &|n| (n % 400, None, 16_953, -5, None))],
        vec![rows(300, &|n| {
            (
                n,
                (n > 150).then_some(n),
                *DAYS.start() + n as i32 * 10_000,
                1 << (n % 63),
                None,
            )
        })],
        vec![
            rows(100, &|n| {
                (5 + n % 9, Some(1), *DAYS.start(), i64::MIN, Some(-MAX_CENTS))
            }),
            rows(100, &|n| {
                (100 + n % 9, None, *DAYS.end(), i64::MAX, Some(MAX_CENTS))
            }),
            rows(100, &|n| {
                (
                    n % 2,
                    Some(n),
                    if n % 2 == 0 { *DAYS.start() } else { *DAYS.end() },
                    0,
                    (n % 2 == 0).then_some(0),
                )
            }),
        ],
    ]
}

#[test]
fn others_read_what_was_written_and_filter_by_its_statistics() {
    let folder = TempDir::new().unwrap();
    let (mut statements, mut answers) = (Vec::new(), Vec::new());
    for (number, groups) in peculiar().iter().enumerate() {
        let path = folder.path().join(number.to_string());
        write(groups, &path);
        let from = format!("FROM read_parquet('{}')", path.display());
        let expected = cells(groups);
        statements.push(format!("SELECT * {from}"));
        answers.push(expected.clone());
        let columns = [
            ("text", "VARCHAR"),
            ("maybe", "VARCHAR"),
            ("day", "DATE"),
            ("number", "BIGINT"),
            ("amount", "DECIMAL(18,2)"),
        ];
        for row in expected.iter().step_by(61) {
            for (column, (name, kind)) in columns.into_iter().enumerate() {
                let (condition, value) = match &row[column] {
                    Some(value) => (format!("= CAST('{value}' AS {kind})"), Some(value)),
                    None => ("IS NULL".to_owned(), None),
                };
                statements.push(format!("SELECT * {from} WHERE {name} {condition}"));
                let found = expected.iter().filter(|other| other[column].as_ref() == value);
                answers.push(found.cloned().collect());
            }
        }
        statements.push(format!(
            "SELECT * {from} WHERE day < CAST('0001-01-02' AS DATE) AND maybe IS NOT NULL"
        ));
        let early = |row: &&Vec<Option<String>>| row[2].as_deref() == Some("0001-01-01") && row[1].is_some();
        answers.push(expected.iter().filter(early).cloned().collect());
    }
    for reader in [Reader::DuckDb, Reader::Polars] {
        let found = reader.query(&statements);
        for ((found, expected), statement) in found.iter().zip(&answers).zip(&statements) {
            assert_eq!(found, expected, "{reader:?}: {statement}");
        }
    }
    let types = [
        ("amount", "INT64"),
        ("day", "INT32"),
        ("maybe", "BYTE_ARRAY"),
        ("number", "INT64"),
        ("text", "BYTE_ARRAY"),
    ];
    let types = types.map(|(name, kind)| vec![Some(name.to_owned()), Some(kind.to_owned())]);
    let statement = format!(
        "SELECT DISTINCT path_in_schema, type FROM parquet_metadata('{}') ORDER BY ALL",
        folder.path().join("1").display()
    );
    assert_eq!(Reader::DuckDb.query(&[statement]), [types]);
}
