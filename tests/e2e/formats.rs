//! Files as stores really write them: each shape is told by settings, and gives the right rows or is refused with a
//! reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::Row;
use gristmill_testkit::venv;
use serde_json::Value;

use crate::support::{SQLITE, json, run_until_idle, site, sqlite_rows, state, told};

/// Settings with this feed, and one job for all its files.
pub fn settings(feed: &str) -> String {
    let files = feed
        .lines()
        .find_map(|line| line.strip_prefix("files = "))
        .expect("the feed has files");
    format!(
        "[source]\nurl = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n[lake]\nurl = \"lake\"\n\
         [state]\nurl = \"sqlite://state.db\"\n[warehouse]\nurl = \"{SQLITE}\"\n{feed}\n\
         [[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = {files}\ntrigger = \"any\"\n"
    )
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the entry can be read").path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// Reads a CSV with quotes around fields that hold quotes.
pub fn rows_of(csv: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let mut fields = vec![String::new()];
            let (mut is_quoted, mut before) = (false, ' ');
            for c in line.chars() {
                let last = fields.last_mut().expect("there is a field");
                match c {
                    '"' => {
                        if !is_quoted && before == '"' {
                            last.push('"');
                        }
                        is_quoted = !is_quoted;
                    }
                    ',' if !is_quoted => fields.push(String::new()),
                    c => last.push(c),
                }
                before = c;
            }
            let amount = |at: usize| Some(fields[at].clone()).filter(|text| !text.is_empty());
            Row {
                store_id: fields[0].clone(),
                item_id: fields[1].clone(),
                trans_date: fields[2].clone(),
                sale_amount: amount(3),
                tax_amount: amount(4),
                discount_amount: amount(5),
            }
        })
        .collect();
    rows.sort();
    rows
}

/// What `check` says of files.
fn check(site: &Site, files: &[PathBuf]) -> Vec<Value> {
    let names = files
        .iter()
        .map(|file| file.to_str().expect("the name is text").to_owned());
    let finished = site.run(["check".to_owned(), "--json".to_owned()].into_iter().chain(names));
    assert!(finished.status.code().is_some_and(|code| code < 2), "{finished}");
    json(&finished.stdout).as_array().expect("it is a list").clone()
}

/// Runs one case, and returns what is wrong.
fn run_case(case: &Path) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(case.join(name)).ok();
    let site = site(&settings(&read("feed.toml").expect("the case has a feed")));
    let files = files_below(&case.join("in"));
    for file in &files {
        let name = file.strip_prefix(case.join("in")).expect("it is below");
        site.submit(name, fs::read(file).expect("the file can be read"));
    }
    let submitted = files_below(&site.incoming());
    let checked = check(&site, &submitted);
    let mut wrong = Vec::new();
    let total = |key: &str| {
        checked
            .iter()
            .map(|file| file[key].as_u64().unwrap_or(0))
            .sum::<u64>()
    };
    if total("lines") != total("rows") + total("ignored") + total("skipped") + total("rejects") {
        wrong.push("lines are not conserved".to_owned());
    }
    for file in &checked {
        let because = file["rejected_because"].as_str();
        match (read("refused.txt"), because) {
            (None, Some(because)) => wrong.push(format!("is refused: {because}")),
            (Some(_), None) => wrong.push(format!("is not refused: {file}")),
            (Some(words), Some(because)) => {
                for word in words.lines().filter(|word| !because.contains(word)) {
                    wrong.push(format!("{word:?} is not in {because:?}"));
                }
            }
            (None, None) => {}
        }
    }
    run_until_idle(&site);
    let counts = read("counts.txt").unwrap_or_default();
    let words: Vec<&str> = counts
        .split_whitespace()
        .filter(|word| *word != "files")
        .collect();
    for pair in words.chunks(2) {
        let found = match pair[0] {
            "validated" => {
                let sql =
                    "SELECT count(*) || '' FROM ingested_file_status WHERE last_update_status = 'VALIDATED'";
                state(&site, sql)[0].parse().expect("it is a count")
            }
            key => total(key),
        };
        if pair[1] != found.to_string() {
            wrong.push(format!("{}: {found} instead of {}", pair[0], pair[1]));
        }
    }
    let expected = rows_of(&read("expected.csv").expect("the case has rows"));
    let found = sqlite_rows(&site);
    if found != expected {
        wrong.push(format!(
            "rows {:?} instead of {:?}",
            told(&found),
            told(&expected)
        ));
    }
    wrong
}

#[test]
fn every_shape_gives_the_right_rows_or_is_refused_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases = fs::read_dir(folder).expect("the cases can be listed");
    let mut wrong = BTreeMap::new();
    let mut count = 0;
    for case in cases
        .map(|case| case.expect("the case can be read").path())
        .filter(|case| case.is_dir())
    {
        count += 1;
        let found = run_case(&case);
        if !found.is_empty() {
            wrong.insert(case.file_name().expect("it has a name").to_owned(), found);
        }
    }
    assert!(count >= 30, "{count} cases");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A feed with a profile for each dialect that `dialects.py` writes.
const DIALECTS: &str = r#"
[[feed]]
name = "sales"
files = "**/*.dat"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }

[[feed.profile]]
name = "quebec"
files = "2-*"
delimiter = ";"
encoding = "windows-1252"
values = { decimal = ",", dates = ["%d/%m/%Y"], codes = { SALE = 4, TAX = 5, DISC = 6 }, other_codes = "ignore" }

[[feed.profile]]
name = "german"
files = "3-*"
delimiter = ","
values = { decimal = ",", thousands = "." }

[[feed.profile]]
name = "dollars"
files = "4-*"
values = { currency = ["$"], thousands = ",", negative = ["parentheses"], dates = ["%m/%d/%y"] }

[[feed.profile]]
name = "tildes"
files = "5-*"
delimiter = "~|~"
quote = "none"

[[feed.profile]]
name = "notes"
files = "6-*"
delimiter = ","
quoted_newlines = true

[[feed.profile]]
name = "escape"
files = "7-*"
delimiter = ","
escape = "\\"

[[feed.profile]]
name = "header"
files = "8-*"
delimiter = ";"
header_line = 3
[feed.profile.fields]
store_id = ["Store", "Filiale"]
item_id = ["Item #"]
amount = ["Net Amount"]
code = ["Trx"]
trans_date = ["Business Date"]

[[feed.profile]]
name = "ebcdic"
files = "*9-*"
format = "fixed"
encoding = "cp037"
record_length = 41
values = { scale = 2, negative = ["overpunch"], dates = ["%Y%m%d"] }
[feed.profile.fields]
store_id = { start = 1, length = 8 }
item_id = { start = 9, length = 12 }
trans_date = { start = 21, length = 8 }
code = { start = 29, length = 2 }
amount = { start = 31, length = 11 }

[[feed.profile]]
name = "lines"
files = "10-*"
format = "fixed"
values = { scale = 2, negative = ["overpunch"], dates = ["%Y%m%d"] }
[feed.profile.fields]
store_id = { start = 1, length = 8 }
item_id = { start = 9, length = 12 }
trans_date = { start = 21, length = 8 }
code = { start = 29, length = 2 }
amount = { start = 31, length = 11 }

[[feed.profile]]
name = "kinds"
files = "11-*"
delimiter = "|"
columns = ["kind", "item_id", "code", "amount", "trans_date"]
[feed.profile.records]
kind = { column = 1, rows = ["D"], store_id = { kind = "H", column = 2 } }
trailer = { begins = "T", lines = 2, sum = 3 }

[[feed.profile]]
name = "json"
files = "2?-json*"
format = "json"
explode = "rows[]"
values = { decimal = ",", scale = 2 }
[feed.profile.fields]
store_id = "shop"
item_id = ["rows.plu", "rows.sku"]
code = "rows.kind"
amount = "rows.value"
trans_date = "rows.day"

[[feed.profile]]
name = "scale"
files = "17-*"
values = { scale = 2 }

[[feed.profile]]
name = "late"
files = "18-*"
values = { dates = ["%m/%d/%Y %I:%M %p"], day_begins = "04:00" }
"#;

/// Profiles for the tables among them. They stand before the others, whose patterns are wider.
const TABLES: &str = r#"
[[feed.profile]]
name = "dbase"
files = "22-*"
format = "dbf"
fields = { store_id = "store", item_id = "item", trans_date = "day" }

[[feed.profile]]
name = "dbase-packed"
files = "30-*"
format = "dbf"
fields = { store_id = { value = "30" }, item_id = "item", trans_date = { column = 5 } }

[[feed.profile]]
name = "foxpro"
files = "28-*"
format = "dbf"
fields = { store_id = "store", item_id = "item", trans_date = "day" }
values = { day_begins = "04:00" }

[[feed.profile]]
name = "xlsx"
files = "2?-xlsx*"
format = "xlsx"
sheet = "Sales"
header_line = 3
fields = { store_id = "Store", item_id = "Item", trans_date = "Day" }
# What texts look like means nothing to numbers.
values = { decimal = ",", thousands = "." }

[[feed.profile]]
name = "xls"
files = "24-*"
format = "xlsx"
columns = ["store_id", "item_id", "code", "amount", "trans_date"]
fields = { store_id = "Store", item_id = "Item", trans_date = "Day" }
values = { day_begins = "04:00" }

[[feed.profile]]
name = "ods"
files = "25-*"
format = "xlsx"
sheet = 1
fields = { store_id = "Store", item_id = "Item", trans_date = "Day" }

[[feed.profile]]
name = "duckdb"
files = "26-*"
format = "parquet"
fields = { store_id = "store", item_id = "item", trans_date = "day" }

[[feed.profile]]
name = "polars"
files = "27-*"
format = "parquet"
fields = { store_id = "store", item_id = "item", trans_date = "day" }
values = { day_begins = "04:00" }
"#;

/// Has Python write the same lines in every dialect, and returns what it says of them.
pub fn dialects(folder: &Path, lines: u32, bad_every: u32) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/dialects.py");
    let output = Command::new(venv::python())
        .arg(script)
        .arg(folder)
        .args([lines, bad_every].map(|number| number.to_string()))
        .output()
        .expect("the tests' Python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

/// The rows of a store, without the store.
pub fn rows_of_store(site: &Site, store: &str) -> Vec<String> {
    let all = told(&sqlite_rows(site));
    let of_store = all
        .iter()
        .filter_map(|row| row.strip_prefix(&format!("{store} ")));
    of_store.map(ToOwned::to_owned).collect()
}

#[test]
fn one_job_sums_the_same_lines_of_every_dialect_alike() {
    sums_every_dialect_alike(600, 60);
}

#[test]
fn few_bad_lines_are_the_same_in_every_dialect() {
    sums_every_dialect_alike(3000, 1000);
}

/// Has one job read the same lines in every dialect, one of `bad_every` of them bad.
fn sums_every_dialect_alike(lines: u32, bad_every: u32) {
    let (feed, profiles) = DIALECTS.split_once("[[feed.profile]]").expect("it has profiles");
    let site = site(&settings(&format!("{feed}{TABLES}\n[[feed.profile]]{profiles}")));
    let truth = dialects(&site.incoming(), lines, bad_every);
    let checked = check(&site, &files_below(&site.incoming()));
    assert_eq!(
        checked.len(),
        truth["files"].as_array().expect("it is a list").len()
    );
    for file in &checked {
        assert_eq!(file["rejected_because"], Value::Null, "{file}");
        for count in ["rows", "ignored", "rejects"] {
            assert_eq!(file[count], truth[count], "{count} of {file}");
        }
    }
    run_until_idle(&site);
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let summary = truth["summary"].as_array().expect("it is a list");
    let row = |row: &Value| {
        row.as_array()
            .expect("it is a list")
            .iter()
            .map(text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let expected: Vec<String> = summary.iter().map(row).collect();
    assert!(expected.len() > 10);
    for store in 1..=truth["files"].as_array().expect("it is a list").len() {
        assert_eq!(
            rows_of_store(&site, &store.to_string()),
            expected,
            "store {store}"
        );
    }
}

#[test]
fn a_changed_profile_has_only_its_files_read_again() {
    let feed = |decimal: &str| {
        format!(
            "[[feed]]\nname = \"sales\"\nfiles = \"*.csv\"\ndelimiter = \";\"\n\
             columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
             measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}\nmax_reject_percent = 60\n\
             [[feed.profile]]\nname = \"comma\"\nfiles = \"QC-*\"\nvalues = {{ {decimal} }}\n"
        )
    };
    let site = site(&settings(&feed("currency = [\"$\"]")));
    site.submit("IL-1.csv", "1;2.50;4;COLA;2016-06-01\n");
    site.submit(
        "QC-2.csv",
        "2;x;4;COLA;2016-06-01\n2;3,50;4;COLA;2016-06-01\n2;1;4;COLA;2016-06-01\n",
    );
    run_until_idle(&site);
    assert_eq!(
        told(&sqlite_rows(&site)),
        ["1 COLA 2016-06-01 2.50 - -"],
        "QC-2 has too many rejects"
    );
    site.write_settings(&settings(&feed("decimal = \",\"")));
    run_until_idle(&site);
    assert_eq!(
        told(&sqlite_rows(&site)),
        ["1 COLA 2016-06-01 2.50 - -", "2 COLA 2016-06-01 4.50 - -"]
    );
    let versions = "SELECT f.file_url || ' ' || count(*) FROM file_version v JOIN ingested_file_status f \
                    ON f.file_id = v.file_id GROUP BY f.file_url ORDER BY f.file_url";
    assert_eq!(state(&site, versions), ["IL-1.csv 1", "QC-2.csv 2"]);
    // A file that is gone stays as it was read, and holds nothing up.
    fs::remove_file(site.incoming().join("QC-2.csv")).expect("the file can be removed");
    site.write_settings(&settings(&feed("decimal = \",\", currency = [\"$\"]")));
    site.submit("IL-1.csv", "1;5.00;4;COLA;2016-06-01\n");
    run_until_idle(&site);
    assert_eq!(
        told(&sqlite_rows(&site)),
        ["1 COLA 2016-06-01 5.00 - -", "2 COLA 2016-06-01 4.50 - -"]
    );
}

#[test]
fn a_day_without_sales_takes_the_rows_of_an_earlier_version() {
    let feed = "[[feed]]\nname = \"sales\"\nfiles = \"IL-{store}-{date}.tdf\"\nshrink_percent = 0\n\
                columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n\
                [feed.records]\nempty = \"no-sales\"\n";
    let site = site(&settings(feed));
    site.submit("IL-1-2016-06-01.tdf", "1\t2.50\t4\tCOLA\t2016-06-01\n");
    site.submit("IL-2-2016-06-01.tdf", "2\t3.50\t4\tCOLA\t2016-06-01\n");
    run_until_idle(&site);
    assert_eq!(sqlite_rows(&site).len(), 2);
    site.submit(
        "IL-1-2016-06-01.tdf",
        "store_id\tamount\tcode\titem_id\ttrans_date\n",
    );
    run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["2 COLA 2016-06-01 3.50 - -"]);
    let finished = site.run(["load", "--verify"]);
    assert!(finished.status.success(), "{finished}");
}

#[test]
fn a_row_of_amounts_side_by_side_is_traced_to_its_line() {
    let feed = "[[feed]]\nname = \"sales\"\nfiles = \"*.csv\"\ndelimiter = \",\"\n\
                fields = { store_id = \"Store\", item_id = \"Item\", trans_date = \"Date\" }\n\
                measures = { sale_amount = { field = \"Sales\" }, tax_amount = { field = \"Tax\" }, \
                discount_amount = { field = \"Discount\" } }\n\
                [[feed]]\nname = \"other\"\nfiles = \"*.tdf\"\n\
                columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n";
    let site = site(&settings(feed));
    site.submit(
        "IL-1.csv",
        "Store,Item,Date,Sales,Tax,Discount\n1,COLA,2016-06-01,2.50,0.20,\n1,COLA,2016-06-01,1.00,,0.50\n1,GUM,2016-06-01,,,\n",
    );
    run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["1 COLA 2016-06-01 3.50 0.20 0.50"]);
    let trace = site.run_ok(["trace", "1", "COLA", "2016-06-01"]);
    assert!(
        trace.contains("They agree.") && trace.contains("IL-1.csv"),
        "{trace}"
    );
}

#[test]
fn a_store_comes_from_the_pattern_of_the_job_if_the_feed_has_none() {
    let feed = "[[feed]]\nname = \"sales\"\nfiles = \"*.tdf\"\n\
                columns = [\"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                fields = { store_id = { capture = \"store\" } }\n\
                measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n";
    let job = "files = \"*.tdf\"\ntrigger";
    let settings = settings(feed).replace(job, "files = \"IL-{store}.tdf\"\ntrigger");
    let site = site(&settings);
    site.submit("IL-1003.tdf", "2.50\t4\tCOLA\t2016-06-01\n");
    run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["1003 COLA 2016-06-01 2.50 - -"]);
}

#[test]
fn what_no_feed_reads_is_refused_by_its_name() {
    let site = site(&settings(
        "[[feed]]\nname = \"sales\"\nfiles = \"IL-*\"\n\
         columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
         measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n",
    ));
    for (name, bytes, word) in [
        ("IL-1.pdf", &b"%PDF-1.7\n%binary\n"[..], "PDF"),
        ("IL-2.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF", "JPEG"),
        ("IL-3.pgp", b"-----BEGIN PGP MESSAGE-----\n", "PGP"),
        (
            "IL-4.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\x33\xe4",
            "gzip, and was cut",
        ),
    ] {
        let path = site.submit(name, bytes);
        let checked = check(&site, &[path]);
        let because = checked[0]["rejected_because"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(because.contains(word), "{name}: {because}");
    }
    run_until_idle(&site);
    let refused = "SELECT last_update_status FROM ingested_file_status ORDER BY file_url";
    assert_eq!(state(&site, refused), ["REJECTED"; 4]);
}

#[test]
fn settings_that_contradict_each_other_name_their_key() {
    let with = |keys: &str| {
        let feed = format!(
            "[[feed]]\nname = \"sales\"\nfiles = \"IL-*\"\n\
             columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
             measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}\n{keys}\n"
        );
        let finished = site(&settings(&feed)).run(["status"]);
        assert_eq!(finished.status.code(), Some(2), "{keys}: {finished}");
        finished.stderr
    };
    for (keys, words) in [
        ("values = { thousands = \".\" }", "values.thousands"),
        (
            "values = { dates = [\"%m/%d/%Y\", \"%d/%m/%Y\"] }",
            "different days",
        ),
        ("values = { decimals = \",\" }", "unknown field `decimals`"),
        ("date_format = \"%d/%m/%Y\"", "date_format"),
        ("format = \"fixed\"", "columns is only for format = \"delimited\""),
        (
            "record_length = 7",
            "record_length is only for format = \"fixed\"",
        ),
        ("fields = { shop = [\"Shop\"] }", "shop, which nothing reads"),
        (
            "fields = { item_id = { capture = \"store\" } }",
            "store_id may be",
        ),
        (
            "fields = { item_id = { column = 1, start = 2 } }",
            "expected a name, a list of names",
        ),
        (
            "fields = { trans_date = { capture = \"date\" } }",
            "no pattern has {date}",
        ),
        ("quote = \"none\"\nescape = \"\\\\\"", "escape has no meaning"),
        (
            "records = { trailer = { begins = \"T\" } }",
            "records.trailer needs lines or sum",
        ),
        (
            "records = { kind = { column = 1, rows = [\"D\"], shop = { kind = \"H\", column = 2 } } }",
            "shop",
        ),
        (
            "[[feed.profile]]\nname = \"p\"\nfiles = \"IL-1*\"\nvalues = { scale = 12 }",
            "profile \"p\": values.scale",
        ),
        (
            "[[feed.profile]]\nname = \"p\"\nfiles = \"IL-1*\"\nmeasures = { sales = 4 }",
            "must name the feed's columns",
        ),
        (
            "[[feed.profile]]\nname = \"p\"\nfiles = \"IL-1*\"\nsupersede = \"file\"",
            "unknown field `supersede`",
        ),
    ] {
        let told = with(keys);
        assert!(told.contains(words), "{words:?} is not in {told:?}");
    }
}
