//! Tests the oracle with files so small that a person can see what the result must be.

use std::fs;

use tempfile::TempDir;

use super::*;

/// What must become of a file: rows, ignored, skipped, rejects.
type Fate = [u64; 4];
const ROW: Fate = [1, 0, 0, 0];
const IGNORED: Fate = [0, 1, 0, 0];
const SKIPPED: Fate = [0, 0, 1, 0];
const REJECT: Fate = [0, 0, 0, 1];
const HEADER_AND_ROW: Fate = [1, 0, 1, 0];

/// Writes each content to a file of its own.
fn lay(contents: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let lay = |(number, content)| {
        let path = folder.path().join(format!("{number}.tdf"));
        fs::write(&path, content).unwrap();
        path
    };
    let paths = contents.into_iter().enumerate().map(lay).collect();
    (folder, paths)
}

fn check(expected: &[(Vec<u8>, Fate)]) {
    check_with(expected, Options::default());
}

/// Asks the oracle once for all files: it takes longer to start than to answer.
fn check_with(expected: &[(Vec<u8>, Fate)], options: Options) {
    let (_folder, paths) = lay(expected.iter().map(|(content, _)| content));
    let counts = counts(&paths, options);
    assert_eq!(counts.len(), expected.len());
    for ((content, fate), counts) in expected.iter().zip(counts) {
        let shown = String::from_utf8_lossy(&content[..content.len().min(200)]).into_owned();
        assert_eq!(
            [counts.rows, counts.ignored, counts.skipped, counts.rejects],
            *fate,
            "{shown:?}"
        );
        assert_eq!(counts.lines, fate.iter().sum::<u64>(), "{shown:?}");
    }
}

fn row(
    store: &str,
    item: &str,
    date: &str,
    sale: Option<&str>,
    tax: Option<&str>,
    discount: Option<&str>,
) -> Row {
    Row {
        store_id: store.to_owned(),
        item_id: item.to_owned(),
        trans_date: date.to_owned(),
        sale_amount: sale.map(ToOwned::to_owned),
        tax_amount: tax.map(ToOwned::to_owned),
        discount_amount: discount.map(ToOwned::to_owned),
    }
}

/// Returns a good line with one field replaced.
fn line(column: usize, value: &[u8]) -> Vec<u8> {
    let mut fields: [&[u8]; 5] = [b"s", b"1.00", b"4", b"i", b"2026-03-01"];
    fields[column] = value;
    fields.join(&b'\t')
}

fn lines(column: usize, fate: Fate, values: &[&str]) -> Vec<(Vec<u8>, Fate)> {
    values
        .iter()
        .map(|value| (line(column, value.as_bytes()), fate))
        .collect()
}

fn texts(expected: &[(&str, Fate)]) -> Vec<(Vec<u8>, Fate)> {
    expected
        .iter()
        .map(|(text, fate)| (text.as_bytes().to_vec(), *fate))
        .collect()
}

#[test]
fn sums_by_key_with_nulls_and_byte_order() {
    let (_folder, paths) = lay([
        "b\t1.10\t4\ti\t2026-03-01\nb\t2.20\t4\ti\t2026-03-01\nb\t-0.05\t6\ti\t2026-03-01\nb\t9\t13\tj\t2026-03-01\n",
        "b\t.3\t5\ti\t2026-03-01\nB\t1\t4\ti\t2026-03-01\nb\t0\t4\ti\t2026-02-28\n\u{e9}\t9999999999999999.99\t5\ti\t2026-03-01\n",
    ]);
    assert_eq!(
        summary(&paths, Options::default()),
        [
            row("B", "i", "2026-03-01", Some("1.00"), None, None),
            row("b", "i", "2026-02-28", Some("0.00"), None, None),
            row("b", "i", "2026-03-01", Some("3.30"), Some("0.30"), Some("-0.05")),
            row(
                "\u{e9}",
                "i",
                "2026-03-01",
                None,
                Some("9999999999999999.99"),
                None
            ),
        ]
    );
    assert!(summary(&paths, Options::default()).is_sorted());
}

#[test]
fn no_files_have_an_empty_summary() {
    assert_eq!(summary(&[], Options::default()), []);
}

#[test]
fn a_bad_file_counts_for_nothing() {
    let good = "s\t1\t4\ti\t2026-03-01\n";
    let (_folder, paths) = lay([
        format!("{}bad\n", good.repeat(9)),
        format!("{}bad\nbad\n", good.repeat(9)),
        "\n--\n".to_owned(),
        String::new(),
        good.replace("\t4\t", "\t13\t"),
    ]);
    let rejected: Vec<bool> = counts(&paths, Options::default())
        .iter()
        .map(|counts| counts.rejected)
        .collect();
    assert_eq!(rejected, [false, true, true, true, false]);
    assert_eq!(
        summary(&paths, Options::default()),
        [row("s", "i", "2026-03-01", Some("9.00"), None, None)]
    );
}

#[test]
fn lines_and_their_ends() {
    check(&texts(&[
        ("", [0, 0, 0, 0]),
        ("s\t1\t4\ti\t2026-03-01", ROW),
        ("s\t1\t4\ti\t2026-03-01\r", ROW),
        ("s\t1\t4\ti\t2026-03-01\n\n", [1, 0, 1, 0]),
        (
            "s\t1\t4\ti\t2026-03-01\r\ns\t1\t4\ti\t2026-03-01\r\n",
            [2, 0, 0, 0],
        ),
        ("s\t1\t4\ti\t2026-03-01\r\r\n", ROW),
        ("s\t1\t4\ti\t2026-03-01\rs\t1\t4\ti\t2026-03-01\r", [2, 0, 0, 0]),
        ("s\t1\t4\ti\t2026-03-01\r\r\r\n", [1, 0, 1, 0]),
        ("s\t1\t4\ti\t2026-03-01\n\x1as\t1\n\0", [1, 0, 2, 0]),
        ("s\t1\t4\ti\t2026-03-01\0\0", ROW),
        (
            "s\t1\t4\ti\t2026-03-01\n\u{feff}\u{feff}s\t1\t4\ti\t2026-03-01\n\u{feff}",
            [2, 0, 1, 0],
        ),
        ("s\t1\t4\ti\t2026-03-01\tx\r\r\n", ROW),
        ("\r\n", SKIPPED),
        (" \t \x0c", SKIPPED),
        ("--", SKIPPED),
        ("--\ts\t1\t4", SKIPPED),
        ("-", REJECT),
        (" -- ", REJECT),
        ("s\t1\t4\t\"i\nj\"\t2026-03-01\n", [0, 0, 0, 2]),
    ]));
}

#[test]
fn lines_over_a_mebibyte_are_rejects() {
    let filled = |start: &[u8], size: usize| [start, &vec![b'x'; size - start.len() - 1], b"\n"].concat();
    let row = line(0, b"s");
    let long = [&row[..], b"\t"].concat();
    check(&[
        (filled(&long, 1 << 20), ROW),
        (filled(&long, (1 << 20) + 1), REJECT),
        (filled(b"--", (1 << 20) + 1), REJECT),
        ([filled(b"", 3 << 20), row].concat(), [1, 0, 0, 1]),
    ]);
}

#[test]
fn quotes() {
    check(&texts(&[
        ("\"s\"\t\"1\"\t\"4\"\t\"i\"\t\"2026-03-01\"", ROW),
        ("s\t1\t4\t\"a \"\"b\"\", c\"\t2026-03-01", ROW),
        ("s\t1\t4\t\"a\tc\"\t2026-03-01", REJECT),
        ("s\t1\t4\t6\" sub\t2026-03-01", ROW),
        ("s\t1\t4\ti\t2026-03-01\t\"open", ROW),
        ("s\t1\t4\ti\t\"2026-03-01", REJECT),
        ("s\t1\t4\t\"i\"x\t2026-03-01", REJECT),
        ("s\t1\t4\t\"\"\t2026-03-01", REJECT),
        ("s\t1\t4\t\"i\"\"\t2026-03-01", REJECT),
        ("s\t1\t4\t \"i\"\t2026-03-01", ROW),
    ]));
    let (_folder, paths) = lay(["s\t1\t4\t\"a \"\"b\"\", c\"\t2026-03-01\ns\t1\t4\t \"i\"\t2026-03-01\n"]);
    let items: Vec<String> = summary(&paths, Options::default())
        .into_iter()
        .map(|row| row.item_id)
        .collect();
    assert_eq!(items, ["\"i\"", "a \"b\", c"]);
}

#[test]
fn headers() {
    check(&texts(&[
        (
            "store_id\tamount\tcode\titem_id\ttrans_date\ns\t1\t4\ti\t2026-03-01\n",
            HEADER_AND_ROW,
        ),
        (
            "\n-- x\nShop\tTotal\tType\tPLU\tDay\ns\t1\t4\ti\t2026-03-01\n",
            [1, 0, 3, 0],
        ),
        (
            "x\tTRANS_DATE\t\"Code\"\t item_id \tStore_Id\tAmount\nx\t2026-03-01\t4\ti\ts\t1\n",
            HEADER_AND_ROW,
        ),
        (
            "store_id\tamount\tcode\titem_id\ns\t1\t4\ti\t2026-03-01\n",
            HEADER_AND_ROW,
        ),
        (
            "s\t12.345\tcode\ti\t2026-03-01\ns\t1\t4\ti\t2026-03-01\n",
            [1, 0, 0, 1],
        ),
        (
            "s\tamount\t4\ti\t2026-03-01\ns\t1\t4\ti\t2026-03-01\n",
            [1, 0, 0, 1],
        ),
        (
            "s\t1\t4\ti\t2026-03-01\nstore_id\tamount\tcode\titem_id\ttrans_date\n",
            HEADER_AND_ROW,
        ),
        (
            "broken\nstore_id\tamount\tcode\titem_id\ttrans_date\n",
            [0, 0, 1, 1],
        ),
        ("s\tx\ty\ti\tz\ns\t1\t4\ti\t2026-03-01\n", [1, 0, 0, 1]),
    ]));
}

#[test]
fn a_file_whose_header_cannot_be_used_counts_for_nothing() {
    let row = "s\t1\t4\ti\t2026-03-01\n";
    let header = "store_id\tamount\tcode\titem_id\ttrans_date\n";
    let (_folder, paths) = lay([
        format!("Shop\tTotal\tType\tPLU\tDay\n{row}"),
        format!("{}{row}", header.replace("code", "amount\tcode")),
        format!("{}{row}", header.replace("code", "type")),
        format!("{row}{header}{row}"),
        format!("{header}{row}{header}{row}"),
    ]);
    let rejected: Vec<_> = counts(&paths, Options::default())
        .iter()
        .map(|file| file.rejected)
        .collect();
    assert_eq!(rejected, [true, true, true, true, false]);
}

#[test]
fn columns_by_name_end_with_the_last_needed_one() {
    let (_folder, paths) =
        lay(["trans_date\tx\titem_id\tcode\tamount\tstore_id\ty\n2026-03-01\t\ti\t6\t2.5\ts\t\"\n"]);
    assert_eq!(
        summary(&paths, Options::default()),
        [row("s", "i", "2026-03-01", None, None, Some("2.50"))]
    );
}

#[test]
fn amounts() {
    let good = "12 12.5 -12.50 12. .5 +3 -0 0012.00 9999999999999999.99 -9999999999999999.99 000000000000000000000001";
    check(&lines(1, ROW, &good.split(' ').collect::<Vec<_>>()));
    check(&lines(1, ROW, &[" 4.75  ", "\"-1\""]));
    let bad = "12.345 12.500 1e3 1,000.00 10000000000000000.00 99999999999999999999999999 - . +. --1 1- 1.2.3 NaN 0x10 $1 1_000 \u{661}";
    check(&lines(1, REJECT, &bad.split(' ').collect::<Vec<_>>()));
    check(&lines(1, REJECT, &["", "  ", "1 2", "1\u{a0}", "1\0"]));
}

#[test]
fn codes() {
    check(&lines(2, ROW, &["4", "5", "6", " 4 ", "+4", "004"]));
    check(&lines(
        2,
        IGNORED,
        &["0", "13", "-4", "7", "2147483647", "-2147483648"],
    ));
    check(&lines(
        2,
        REJECT,
        &[
            "",
            "x",
            "4.0",
            "2147483648",
            "-2147483649",
            "99999999999999999999",
            "4 5",
            "-",
        ],
    ));
}

#[test]
fn dates() {
    check(&lines(
        4,
        ROW,
        &[
            "2026-03-01",
            " 2026-03-01 ",
            "2024-02-29",
            "0001-01-01",
            "9999-12-31",
            "2026-3-1",
        ],
    ));
    check(&lines(
        4,
        REJECT,
        &[
            "",
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "03/01/2026",
            "20260301",
            "0000-01-01",
            "12026-03-01",
            "2026-03-01 10:00",
        ],
    ));
}

#[test]
fn ids() {
    let longest = "\u{e9}".repeat(25);
    for column in [0, 3] {
        check(&lines(
            column,
            ROW,
            &[
                "x",
                " x ",
                "a b",
                &longest,
                "\u{1f363}",
                "\u{a0}x\u{200b}",
                "NULL",
            ],
        ));
        check(&lines(
            column,
            REJECT,
            &["", "  ", "\u{a0}", &format!("{longest}x"), "a\0b", "a\u{200b}b"],
        ));
        check(&[
            (line(column, b"caf\xc3("), REJECT),
            (line(column, b"\xff"), REJECT),
        ]);
    }
}

#[test]
fn lines_with_other_codes_must_be_well_formed() {
    check(&texts(&[
        ("s\t1\t13\ti\t2026-03-01", IGNORED),
        ("s\t1\t13\ti\t2026-02-30", REJECT),
        ("s\t\t13\ti\t2026-03-01", IGNORED),
        ("s\t1,0\t13\ti\t2026-03-01", REJECT),
        ("\t1\t13\ti\t2026-03-01", REJECT),
        ("s\t1\t13\ti", REJECT),
    ]));
}

#[test]
fn invalid_bytes_matter_only_in_needed_columns() {
    check(&[
        ([&line(0, b"s")[..], b"\t\xff\xfe"].concat(), ROW),
        (b"-- \xff".to_vec(), SKIPPED),
        (b"\xff\xfe\x00\xd8".to_vec(), REJECT),
    ]);
}

#[test]
fn encodings() {
    let text = "caf\u{e9}\t1\t4\ti\t2026-03-01\r\n\ncaf\u{e9}\t1\t4\ti\t2026-03-01";
    let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(unit);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let legacy = Options {
        encoding: "windows-1252",
    };
    let marked = [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16(b"\xff\xfe", u16::to_le_bytes),
        utf16(b"\xfe\xff", u16::to_be_bytes),
    ];
    for content in marked {
        for options in [Options::default(), legacy] {
            let (_folder, paths) = lay([&content]);
            assert_eq!(
                summary(&paths, options),
                [row("caf\u{e9}", "i", "2026-03-01", Some("2.00"), None, None)]
            );
        }
    }
    check_with(&[(latin.clone(), [0, 0, 1, 2])], Options::default());
    check_with(&[(latin, [2, 0, 1, 0])], legacy);
}

#[test]
fn names_of_files_may_be_anything() {
    use std::ffi::OsStr;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"a 'quote\"\nand \xff.tdf"));
    fs::write(&path, line(0, b"s")).unwrap();
    assert_eq!(counts(&[path], Options::default())[0].rows, 1);
}
