//! `gristmill infer`: for every shape of tests/cases, and every dialect of dialects.py, it finds settings that read the
//! files to the right rows, or says what it cannot know; with that decided, they read them.

use std::fs;
use std::path::{Path, PathBuf};

use gristmill_testkit::gristmill::Site;
use serde_json::Value;

use crate::formats::{dialects, files_below, rows_of, rows_of_store, settings};
use crate::support::{json, run_until_idle, site, sqlite_rows, told};

/// What is found of a case.
struct Expected {
    case: &'static str,
    /// Words of what is left open; nothing is, without.
    open: &'static [&'static str],
    /// The alternatives that are right: what their lines hold.
    answers: &'static [&'static str],
    /// Settings that a person adds.
    added: &'static str,
    /// Whether the case's rows are those that the settings give. Cases of files that are refused have none.
    has_rows: bool,
}

const fn certain(case: &'static str) -> Expected {
    Expected {
        case,
        open: &[],
        answers: &[],
        added: "",
        has_rows: true,
    }
}

/// A case whose own settings do not read the files.
const fn certain_beyond(case: &'static str) -> Expected {
    Expected {
        has_rows: false,
        ..certain(case)
    }
}

const fn open(
    case: &'static str,
    open: &'static [&'static str],
    answers: &'static [&'static str],
) -> Expected {
    Expected {
        open,
        answers,
        ..certain(case)
    }
}

const CASES: [Expected; 31] = [
    open(
        "after-midnight",
        &["values.day_begins", "midnight"],
        &["day_begins = \"04:00\""],
    ),
    certain("currency"),
    open("dates", &["values.dates", "several days"], &["%m/%d/%Y"]),
    certain("end-mark"),
    open("fixed", &["values.scale", "cents"], &["scale = 2"]),
    certain("from-the-name"),
    open("ids", &["values.ids", "the same"], &["zeros = \"strip\""]),
    open("implied-decimals", &["values.scale"], &["scale = 2"]),
    certain("joined-files"),
    Expected {
        added: "max_reject_percent = 50",
        ..certain("json")
    },
    certain("kinds"),
    certain("line-ends"),
    certain("long-delimiter"),
    Expected {
        has_rows: false,
        ..open(
            "name-twice",
            &["fields.amount", "2 columns are named \"amount\""],
            &["{ column = 3 }"],
        )
    },
    open("no-comment-mark", &["records.skip"], &["skip = []"]),
    certain("no-sale"),
    open(
        "no-sales-today",
        &["records.empty", "IL-1.tdf, IL-3.tdf"],
        &["empty = \"no-sales\""],
    ),
    certain("other-names"),
    certain_beyond("other-names-not-told"),
    certain("quoted-newline"),
    certain("quotes-literal"),
    certain("returns"),
    certain_beyond("returns-not-told"),
    certain("thousands-dot"),
    Expected {
        has_rows: false,
        ..open(
            "thousands-not-told",
            &["values.round", "15.000"],
            &["round = \"half-up\""],
        )
    },
    open("three-places", &["values.round"], &["round = \"half-even\""]),
    certain("titles"),
    certain_beyond("titles-not-told"),
    certain("trailer"),
    Expected {
        has_rows: false,
        ..open(
            "trailer-cut",
            &["records.trailer", "was the file cut"],
            &["trailer = {"],
        )
    },
    certain("wide"),
];

/// Runs `infer`, and returns what it says; its status must agree.
fn inferred(site: &Site, files: &[PathBuf], options: &[&str]) -> Value {
    let names = files
        .iter()
        .map(|file| file.to_str().expect("the name is text").to_owned());
    let options = options.iter().map(|option| (*option).to_owned());
    let finished = site.run(
        ["infer".to_owned(), "--json".to_owned()]
            .into_iter()
            .chain(options)
            .chain(names),
    );
    let found = json(&finished.stdout);
    assert_eq!(
        finished.status.code(),
        Some(i32::from(found["certain"] != Value::Bool(true))),
        "{finished}"
    );
    found
}

/// Decides what is open: the alternatives that hold one of these texts.
fn decided(settings: &str, answers: &[&str]) -> String {
    let mut open: Vec<&str> = answers.to_vec();
    let lines = settings.lines().map(|line| {
        let choice = line.strip_prefix("#   ");
        let answer = choice.and_then(|choice| open.iter().position(|answer| choice.contains(answer)));
        match (choice, answer) {
            (Some(choice), Some(at)) => {
                open.remove(at);
                choice
            }
            _ => line,
        }
    });
    let decided = lines.collect::<Vec<_>>().join("\n") + "\n";
    assert!(open.is_empty(), "{open:?} are no alternatives of {settings}");
    decided
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn run_case(expected: &Expected) -> Vec<String> {
    let case = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(expected.case);
    let mut wrong = Vec::new();
    let at_first = site(&settings(
        "[[feed]]\nname = \"sales\"\nfiles = \"*\"\ncolumns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\nmeasures = { sale_amount = 4 }\n",
    ));
    let found = inferred(&at_first, &files_below(&case.join("in")), &[]);
    let questions: Vec<&str> = found["questions"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(text)
        .collect();
    if expected.open.is_empty() && !questions.is_empty() {
        wrong.push(format!("leaves open: {questions:?}"));
    }
    for word in expected.open {
        if !questions.iter().any(|question| question.contains(word)) {
            wrong.push(format!("{word:?} is not among {questions:?}"));
        }
    }
    for file in found["files"].as_array().expect("it is a list") {
        let count = |key: &str| file[key].as_u64().expect("it is a count");
        if count("records") != count("rows") + count("ignored") + count("skipped") + count("rejects") {
            wrong.push(format!("records are not conserved: {file}"));
        }
        if expected.open.is_empty() && expected.added.is_empty() && file["rejected_because"] != Value::Null {
            wrong.push(format!("is rejected: {file}"));
        }
    }
    if !wrong.is_empty() {
        wrong.push(text(&found["settings"]).to_owned());
        return wrong;
    }
    // What is printed is pasted into a settings file.
    let feed = decided(text(&found["settings"]), expected.answers);
    let feed = feed.replacen("[[feed]]\n", &format!("[[feed]]\n{}\n", expected.added), 1);
    let site = site(&settings(&feed));
    for file in files_below(&case.join("in")) {
        let name = file.strip_prefix(case.join("in")).expect("it is below");
        site.submit(name, fs::read(&file).expect("the file can be read"));
    }
    run_until_idle(&site);
    if expected.has_rows {
        let right = rows_of(&fs::read_to_string(case.join("expected.csv")).expect("the case has rows"));
        let rows = sqlite_rows(&site);
        if rows != right {
            wrong.push(format!(
                "rows {:?} instead of {:?}\n{feed}",
                told(&rows),
                told(&right)
            ));
        }
    }
    wrong
}

#[test]
fn every_shape_is_found_or_what_is_open_is_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases = fs::read_dir(folder)
        .expect("the cases can be listed")
        .map(|case| case.expect("it can be read").path());
    let mut names: Vec<String> = cases
        .filter(|case| case.is_dir())
        .map(|case| {
            case.file_name()
                .expect("it has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    // An archive is no sample: its members are.
    names.retain(|name| name != "packed");
    names.sort();
    let mut known: Vec<&str> = CASES.iter().map(|expected| expected.case).collect();
    known.sort_unstable();
    assert_eq!(names, known, "each case says what is found of it");
    let mut wrong = String::new();
    for expected in &CASES {
        for what in run_case(expected) {
            wrong.push_str(&format!("{}: {what}\n", expected.case));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn samples_that_cannot_be_looked_at_together_are_named() {
    let feed = "[[feed]]\nname = \"sales\"\nfiles = \"*\"\n\
                columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                measures = { sale_amount = 4 }\n";
    let site = site(&settings(feed));
    let truth = dialects(&site.incoming(), 60, 600);
    assert!(truth["rows"].as_u64().is_some_and(|rows| rows > 0));
    let both = ["22-dbase", "26-duckdb"].map(|name| site.incoming().join(format!("{name}.dat")));
    let said = inferred(&site, &both, &[]).to_string();
    assert!(
        said.contains("26-duckdb.dat: it is parquet, but 22-dbase.dat is not: look at them apart"),
        "{said}"
    );
    // An archive whose list is damaged.
    let archive = fs::read(site.incoming().join("31-zip.dat")).expect("it is there");
    site.submit("cut.zip", &archive[..archive.len() / 2]);
    let said = inferred(&site, &[site.incoming().join("cut.zip")], &[]).to_string();
    assert!(said.contains("cut.zip: "), "{said}");
}

/// For each dialect: words of what is left open, and the right alternatives.
const DIALECTS: [(&str, &[&str], &[&str]); 31] = [
    ("1-plain", &[], &[]),
    ("2-quebec", &["values.dates"], &["%d/%m/%Y"]),
    ("3-german", &[], &[]),
    ("4-dollars", &["values.dates"], &["%m/%d/%y"]),
    ("5-tildes", &[], &[]),
    ("6-notes", &[], &[]),
    ("7-escape", &[], &[]),
    ("8-header", &[], &[]),
    ("9-ebcdic", &["values.scale"], &["scale = 2"]),
    ("10-lines", &["values.scale"], &["scale = 2"]),
    ("11-kinds", &[], &[]),
    ("12-gzip", &[], &[]),
    ("13-bzip2", &[], &[]),
    ("14-xz", &[], &[]),
    ("15-zstd", &[], &[]),
    ("16-wide", &[], &[]),
    ("17-scale", &["values.scale"], &["scale = 2"]),
    (
        "18-late",
        &["values.dates", "values.day_begins"],
        &["%m/%d/%Y", "day_begins = \"04:00\""],
    ),
    ("19-packed", &["values.scale"], &["scale = 2"]),
    ("20-json", &[], &[]),
    ("21-json", &[], &[]),
    ("22-dbase", &[], &[]),
    ("23-xlsx", &[], &[]),
    ("24-xls", &["values.day_begins"], &["day_begins = \"04:00\""]),
    ("25-ods", &[], &[]),
    ("26-duckdb", &[], &[]),
    ("27-polars", &["values.day_begins"], &["day_begins = \"04:00\""]),
    ("28-foxpro", &["values.day_begins"], &["day_begins = \"04:00\""]),
    ("29-xlsx", &[], &[]),
    ("30-shut", &[], &[]),
    ("31-zip", &[], &[]),
];

#[test]
fn every_dialect_is_found_or_what_is_open_is_said() {
    let feed = "[[feed]]\nname = \"sales\"\nfiles = \"**/*.dat\"\nmax_reject_percent = 20\n\
                columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n";
    let first = site(&settings(feed));
    let truth = dialects(&first.incoming(), 600, 60);
    let files = truth["files"].as_array().map(Vec::len);
    assert_eq!(files, Some(DIALECTS.len()), "no dialect is left out");
    let mut wrong = String::new();
    let mut profiles = String::new();
    for (name, open, answers) in DIALECTS {
        let file = first.incoming().join(format!("{name}.dat"));
        let found = inferred(&first, &[file], &["--profile", name]);
        let questions: Vec<&str> = found["questions"]
            .as_array()
            .expect("it is a list")
            .iter()
            .map(text)
            .collect();
        let is_said = |word: &&str| questions.iter().any(|question| question.contains(*word));
        if open.is_empty() != questions.is_empty() || !open.iter().all(is_said) {
            wrong.push_str(&format!("{name}: {questions:?}\n{}\n", text(&found["settings"])));
            continue;
        }
        let read = &found["files"][0];
        for count in ["rows", "ignored", "rejects"] {
            if read[count] != truth[count] && open.is_empty() {
                wrong.push_str(&format!(
                    "{name}: {count} of {read} instead of {}\n{}\n",
                    truth[count],
                    text(&found["settings"])
                ));
            }
        }
        profiles.push_str(&decided(text(&found["settings"]), answers));
    }
    assert!(wrong.is_empty(), "{wrong}");
    // All of them together are one feed, and one job sums its files.
    let site = site(&settings(&format!("{feed}{profiles}")));
    for (name, ..) in DIALECTS {
        let file = format!("{name}.dat");
        site.submit(
            &file,
            fs::read(first.incoming().join(&file)).expect("the file can be read"),
        );
    }
    run_until_idle(&site);
    let summary = truth["summary"].as_array().expect("it is a list");
    let row = |row: &Value| {
        row.as_array()
            .expect("it is a list")
            .iter()
            .map(text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let right: Vec<String> = summary.iter().map(row).collect();
    for (name, ..) in DIALECTS {
        let store = name.split('-').next().unwrap_or_default();
        assert_eq!(rows_of_store(&site, store), right, "{name}\n{profiles}");
    }
}

#[test]
fn what_is_printed_is_a_settings_file_with_comments() {
    let site = site(&settings(
        "[[feed]]\nname = \"sales\"\nfiles = \"*.tdf\"\ncolumns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
         measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n",
    ));
    let path = site.incoming().join("QC-1003.csv");
    fs::write(
        &path,
        "1003;12,50;VTE;POUTINE;13/06/2016\n1003;1,09;TPS;POUTINE;14/06/2016\n",
    )
    .expect("it can be written");
    let path = path.to_str().expect("it is text");
    let printed = site.run_ok(["infer", path, "--feed", "quebec"]);
    for line in [
        "name = \"quebec\"",
        "files = \"QC-{store}.csv\"",
        "delimiter = \";\"",
        "decimal = \",\"",
        "codes = { VTE = 4, TPS = 5 }",
        "2 of 2 dates",
        "# They read all samples",
    ] {
        assert!(printed.contains(line), "{line:?} is not in\n{printed}");
    }
    let pasted = settings(&printed).replace("feed = \"sales\"", "feed = \"quebec\"");
    site.write_settings(&pasted);
    assert!(
        site.run_ok(["check", path])
            .contains("feed quebec; would be validated")
    );
    // What nothing reads is said, and has no settings.
    fs::write(site.incoming().join("a.pdf"), "%PDF-1.7\n").expect("it can be written");
    let finished = site.run([
        "infer",
        site.incoming().join("a.pdf").to_str().expect("it is text"),
    ]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert!(finished.stdout.contains("a PDF document"), "{finished}");
    let finished = site.run(["infer", "--profile", "p", "--feed", "none", path]);
    assert_eq!(finished.status.code(), Some(2), "{finished}");
}

#[test]
fn check_shows_the_rows_beside_the_text_and_merged_stores() {
    let feed = |ids: &str| {
        settings(&format!(
            "[[feed]]\nname = \"sales\"\nfiles = \"IL-*.tdf\"\ncolumns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
             measures = {{ sale_amount = 4, tax_amount = 5, discount_amount = 6 }}\nmax_reject_percent = 50\n{ids}"
        ))
    };
    let site = site(&feed(""));
    site.submit("IL-1.tdf", "007\t2.50\t4\tCOLA\t2016-06-01\n");
    let path = site.submit("IL-2.tdf", "-- x\n7\t1.25\t5\tCOLA\t2016-06-01\n7\t1\t13\tTIP\t2016-06-01\n7\tx\t4\tCOLA\t2016-06-01\n7\t2\t4\tGUM\t2016-06-02\n");
    run_until_idle(&site);
    let path = path.to_str().expect("it is text").to_owned();
    let checked = json(&site.run_ok(["check", "--json", &path]));
    let records = checked[0]["first_records"].as_array().expect("it is a list");
    let outcomes: Vec<&str> = records.iter().map(|record| text(&record["outcome"])).collect();
    assert_eq!(outcomes, ["skipped", "row", "ignored", "reject", "row"]);
    let row = &records[1]["rows"][0];
    assert_eq!(
        (
            text(&row["store_id"]),
            text(&row["item_id"]),
            text(&row["trans_date"]),
            row["amount"].as_i64()
        ),
        ("7", "COLA", "2016-06-01", Some(125))
    );
    assert_eq!(checked[0]["merged_stores"], Value::Array(Vec::new()));
    let shown = site.run_ok(["check", &path]);
    assert!(
        shown.contains("tax_amount 1.25") && shown.contains("amount"),
        "{shown}"
    );
    site.write_settings(&feed("values = { ids = { zeros = \"strip\" } }\n"));
    let shown = site.run_ok(["check", &path]);
    assert!(shown.contains("007 and 7 were kept apart before"), "{shown}");
}
