//! Files that are cut into lines, or name their columns, in odd ways: what is not certain is never loaded in silence.

use std::fs;

use gristmill_testkit::gristmill::Site;

use crate::support::{SQLITE, json, run_until_idle, settings, site, sqlite_rows, state, told};

const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-{store}.tdf"
trigger = "any"
"#;

const ROW: &str = "1003\t2.50\t4\tCOLA\t2016-06-01\n";
const HEADER: &str = "store_id\tamount\tcode\titem_id\ttrans_date\n";

/// A site whose sales feed has further keys.
fn with_keys(keys: &str) -> Site {
    let text = settings(SQLITE, JOB);
    site(&text.replacen("measures =", &format!("{keys}\nmeasures ="), 1))
}

/// A site whose sales feed has a `[feed.records]` table.
fn with_records(keys: &str) -> Site {
    let text = settings(SQLITE, JOB);
    site(&text.replacen(
        "[[feed]]\nname = \"items\"",
        &format!("[feed.records]\n{keys}\n[[feed]]\nname = \"items\""),
        1,
    ))
}

fn loaded(site: &Site) -> Vec<String> {
    told(&sqlite_rows(site))
}

fn errors(site: &Site) -> Vec<String> {
    state(
        site,
        "SELECT coalesce(last_error, '') FROM ingested_file_status ORDER BY file_url",
    )
}

#[test]
fn a_file_that_cannot_be_read_for_certain_is_rejected_with_what_to_do() {
    let site = with_keys("");
    let lines = |store: &str, count: usize| ROW.replace("1003", store).repeat(count);
    site.submit("IL-0.tdf", lines("0", 1));
    site.submit(
        "IL-1.tdf",
        "sep=\t\nSales by item\nitem_id\tamount\tcode\tstore_id\ttrans_date\nCOLA\t2.50\t4\t1\t2016-06-01\n",
    );
    site.submit(
        "IL-2.tdf",
        "Item\tAmount\tCode\tStore\tDate\nCOLA\t2.50\t4\t2\t2016-06-01\n",
    );
    site.submit(
        "IL-3.tdf",
        "store_id\tamount\tamount\tcode\titem_id\ttrans_date\n3\t2.00\t2.50\t4\tCOLA\t2016-06-01\n",
    );
    site.submit(
        "IL-4.tdf",
        format!("4\t15.000\t4\tKOPI\t2016-06-01\n{}", lines("4", 19)),
    );
    site.submit(
        "IL-5.tdf",
        format!(
            "{}5\t2.50-\t4\tCOLA\t2016-06-01\n5\t(2.50)\t4\tCOLA\t2016-06-01\n",
            lines("5", 38)
        ),
    );
    let run = site.run(["run", "--until-idle"]);
    let errors = errors(&site);
    let expected: [&[&str]; 6] = [
        &[],
        &["line 3", "header_line = 3"],
        &["store_id", "Store", "header_names"],
        &["amount", "twice"],
        &["values.thousands", "15.000 in line 1"],
        &["values.negative", "2.50- in line 39"],
    ];
    for (error, words) in errors.iter().zip(expected) {
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error:?}");
        }
        assert_eq!(error.is_empty(), words.is_empty(), "{error}");
    }
    assert_eq!(loaded(&site), ["0 COLA 2016-06-01 2.50 - -"]);
    assert!(
        !run.stderr.contains("15.000") && !run.stderr.contains("2.50-"),
        "no values in the log: {}",
        run.stderr
    );
    let listed = site.run_ok(["files", "--status", "rejected", "--json"]);
    assert_eq!(json(&listed).as_array().map(Vec::len), Some(5));
}

#[test]
fn keys_read_what_is_refused_otherwise() {
    let titles = with_keys("header_line = 3");
    titles.submit(
        "IL-1.tdf",
        "sep=\t\nSales by item\nitem_id\tamount\tcode\tstore_id\ttrans_date\nCOLA\t2.50\t4\t1\t2016-06-01\n",
    );
    run_until_idle(&titles);
    assert_eq!(loaded(&titles), ["1 COLA 2016-06-01 2.50 - -"]);
    let by_position = with_keys("header_names = \"ignore\"");
    by_position.submit(
        "IL-1.tdf",
        "Shop\tSum\tKind\tItem\tDay\n1\t2.50\t4\tCOLA\t2016-06-01\n",
    );
    run_until_idle(&by_position);
    assert_eq!(loaded(&by_position), ["1 COLA 2016-06-01 2.50 - -"]);
    let dashes = with_records("skip = []");
    dashes.submit("IL-1.tdf", "--1\t40.00\t4\t--OPEN FOOD--\t2016-06-01\n");
    run_until_idle(&dashes);
    assert_eq!(loaded(&dashes), ["--1 --OPEN FOOD-- 2016-06-01 40.00 - -"]);
    let no_sales = with_records("empty = \"no-sales\"");
    no_sales.submit("IL-1.tdf", HEADER);
    no_sales.submit("IL-2.tdf", ROW);
    no_sales.submit("IL-3.tdf", "");
    run_until_idle(&no_sales);
    let valid = "SELECT count(*) FROM ingested_file_status WHERE last_update_status = 'VALIDATED'";
    assert_eq!(state(&no_sales, valid), ["3"]);
    assert_eq!(loaded(&no_sales), ["1003 COLA 2016-06-01 2.50 - -"]);
}

#[test]
fn files_of_old_registers_and_joined_files_are_summed_whole() {
    let site = with_keys("");
    site.submit("IL-1.tdf", ROW.replace('\n', "\r").repeat(3));
    site.submit(
        "IL-2.tdf",
        ROW.replace("1003", "2").replace('\n', "\r\r\n").repeat(2),
    );
    site.submit(
        "IL-3.tdf",
        format!("{}\x1a{}", ROW.replace("1003", "3"), "\0".repeat(400)),
    );
    site.submit(
        "IL-4.tdf",
        format!(
            "\u{feff}{HEADER}{}\u{feff}item_id\tstore_id\tcode\tamount\ttrans_date\nFRIES\t4\t4\t3.00\t2016-06-01\n",
            ROW.replace("1003", "4")
        ),
    );
    // Larger than a unit: several threads read it, until the second header shows that they must not.
    let large = |header: &str, line: &str| format!("{header}{}", line.repeat(40_000));
    site.submit(
        "IL-5.tdf",
        large(HEADER, "5\t1.00\t4\tCOLA\t2016-06-01\n")
            + &large(
                "item_id\tstore_id\tcode\tamount\ttrans_date\n",
                "COLA\t5\t4\t2.00\t2016-06-01\n",
            ),
    );
    run_until_idle(&site);
    assert_eq!(
        loaded(&site),
        [
            "1003 COLA 2016-06-01 7.50 - -",
            "2 COLA 2016-06-01 5.00 - -",
            "3 COLA 2016-06-01 2.50 - -",
            "4 COLA 2016-06-01 2.50 - -",
            "4 FRIES 2016-06-01 3.00 - -",
            "5 COLA 2016-06-01 120000.00 - -",
        ]
    );
    assert_eq!(state(&site, "SELECT sum(rejects) FROM file_version"), ["0"]);
}

#[test]
fn what_may_have_been_cut_and_what_has_rejects_is_told() {
    let site = with_keys("");
    for store in ["1", "2", "3"] {
        site.submit(format!("IL-{store}.tdf"), ROW.replace("1003", store).repeat(20));
    }
    site.submit(
        "IL-4.tdf",
        "4\t12.50\t4\tCOLA\t2016-06-01\n4\t3.00\t4\tCOLA\t2016-06-01",
    );
    site.submit("IL-5.tdf", format!("{}x\n", ROW.replace("1003", "5").repeat(10)));
    site.submit("IL-6.tdf", format!("{}x\n", ROW.replace("1003", "6").repeat(20)));
    run_until_idle(&site);
    let files = site.run_ok(["files"]);
    let told: Vec<_> = files.lines().filter(|line| line.contains("IL-4.tdf")).collect();
    assert!(files.contains("cut") && told.len() == 1, "{files}");
    let status = json(&site.run_ok(["status", "--json"]));
    assert_eq!(status["cut"], serde_json::json!(["IL-4.tdf"]));
    let with_rejects: Vec<_> = status["rejects"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| &file["file"])
        .collect();
    assert_eq!(with_rejects, ["IL-5.tdf", "IL-6.tdf"], "the largest share first");
    let status = site.run_ok(["status"]);
    for words in ["IL-5.tdf", "9.1 %", "may have been cut", "IL-4.tdf"] {
        assert!(status.contains(words), "{words:?} is not in {status}");
    }
    let required = with_records("final_newline = \"required\"");
    required.submit("IL-4.tdf", ROW.trim_end());
    run_until_idle(&required);
    assert!(
        errors(&required)[0].contains("final_newline"),
        "{:?}",
        errors(&required)
    );
}

#[test]
fn check_tells_what_was_skipped_that_looks_like_data() {
    let site = with_keys("");
    site.submit(
        "IL-1.tdf",
        format!("{ROW}--OPEN\t40.00\t4\tFOOD\t2016-06-01\n{ROW}\x1a{ROW}{ROW}"),
    );
    site.submit("IL-2.tdf", ROW.trim_end());
    let checked = site.run_ok(["check", "incoming/IL-1.tdf", "incoming/IL-2.tdf"]);
    for words in [
        "1 of the skipped lines would be rows",
        "2 lines with text stand behind the Ctrl-Z",
        "its last line does not end",
    ] {
        assert!(checked.contains(words), "{words:?} is not in {checked}");
    }
    let run = site.run(["run", "--until-idle"]);
    for words in ["records.skip", "Ctrl-Z"] {
        assert!(run.stderr.contains(words), "{words:?} is not in {}", run.stderr);
    }
}

/// The digest that the version before gave to the feed `sales` of these tests.
const DIGEST_BEFORE: &str = "7dd52f1ee8112556";

#[test]
fn after_an_upgrade_files_are_read_again_where_they_still_are_and_summed_where_they_are_gone() {
    let site = with_keys("");
    site.submit("IL-1.tdf", ROW.replace("1003", "1"));
    site.submit("IL-2.tdf", ROW.replace("1003", "2"));
    run_until_idle(&site);
    // What the version before has left: its digests, and no word on the ends of last lines.
    state(
        &site,
        &format!("UPDATE file_version SET layout_digest = '{DIGEST_BEFORE}', last_line_ended = NULL"),
    );
    fs::remove_file(site.incoming().join("IL-2.tdf")).expect("the file is there");
    run_until_idle(&site);
    let versions = "SELECT file_url || ' ' || count(*) FROM file_version JOIN ingested_file_status USING (file_id) \
                    GROUP BY file_url ORDER BY file_url";
    assert_eq!(state(&site, versions), ["IL-1.tdf 2", "IL-2.tdf 1"]);
    assert_eq!(
        state(&site, "SELECT count(*) FROM job_run WHERE state <> 'COMPLETED'"),
        ["0"]
    );
    site.submit("IL-1.tdf", ROW.replace("1003", "1").repeat(2));
    run_until_idle(&site);
    assert_eq!(
        loaded(&site),
        ["1 COLA 2016-06-01 5.00 - -", "2 COLA 2016-06-01 2.50 - -"]
    );
}
