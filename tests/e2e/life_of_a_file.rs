//! The life of a file: from its first submission through corrections to its end, as the state database and the
//! warehouse tell it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::{Duration, SystemTime};

use gristmill_engine::content_hash;
use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::postgres;

use crate::support::{self, line, told};

/// Runs whenever one of its files is new.
const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-*.tdf"
trigger = "any"
"#;

const D1: &str = "2026-03-01";
const D2: &str = "2026-03-02";
const D3: &str = "2026-03-03";

#[test]
fn a_first_submission_is_counted_recorded_and_loaded() {
    let site = site();
    let lines = [
        "-- till 4\n".to_owned(),
        line("S1", "10.00", 4, "A", D1),
        line("S1", "0.80", 5, "A", D1),
        line("S1", "2.50", 4, "A", D1),
        line("S1", "99.00", 9, "A", D1),
        line("S1", "1.00", 6, "B", D1),
    ];
    submit(&site, "IL-1.tdf", &lines);
    support::run_until_idle(&site);
    let counts = "SELECT status || ' ' || lines || ' ' || rows || ' ' || ignored || ' ' || skipped || ' ' || rejects \
                  FROM files";
    assert_eq!(support::state(&site, counts), ["VALIDATED 6 4 1 1 0"]);
    assert_eq!(outcomes(&site, "IL-1.tdf"), ["VALIDATED"]);
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 12.50 0.80 -", "S1 B 2026-03-01 - - 1.00"]
    );
    let summary = support::state(&site, "SELECT summary_object FROM job_run").concat();
    let summary = File::open(site.folder().join("lake").join(summary)).expect("the summary is in the lake");
    let digest = [content_hash(summary).expect("the summary can be read")];
    assert_eq!(
        support::state(&site, "SELECT summary_digest FROM job_run"),
        digest
    );
    assert_eq!(
        support::sqlite_warehouse(&site, "SELECT digest FROM gristmill_ledger"),
        digest
    );
}

#[test]
fn a_cumulative_resubmission_replaces_the_earlier_one_whole() {
    let site = site();
    let morning = line("S1", "10.00", 4, "A", D1);
    submit(&site, "IL-1.tdf", std::slice::from_ref(&morning));
    support::run_until_idle(&site);
    submit(
        &site,
        "IL-1.tdf",
        &[
            morning,
            line("S1", "5.00", 4, "A", D1),
            line("S1", "3.00", 4, "B", D1),
        ],
    );
    support::run_until_idle(&site);
    assert_eq!(outcomes(&site, "IL-1.tdf"), ["VALIDATED", "VALIDATED"]);
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 15.00 - -", "S1 B 2026-03-01 3.00 - -"]
    );
}

#[test]
fn the_same_bytes_again_are_a_fresh_submission_and_no_new_work() {
    let site = site();
    let lines = [line("S1", "10.00", 4, "A", D1)];
    submit(&site, "IL-1.tdf", &lines);
    support::run_until_idle(&site);
    let submitted = "SELECT submitted_timestamp FROM ingested_file_status";
    let first = support::state(&site, submitted);
    // A mark that any load of this day would wipe away.
    support::sqlite_warehouse(&site, "UPDATE sales_summary SET sale_amount = '77.77'");

    submit(&site, "IL-1.tdf", &lines);
    support::run_until_idle(&site);
    assert_eq!(outcomes(&site, "IL-1.tdf"), ["VALIDATED", "UNCHANGED"]);
    assert!(support::state(&site, submitted) > first);
    assert_eq!(versions(&site, "IL-1.tdf"), 1);
    assert_eq!(rows(&site), ["S1 A 2026-03-01 77.77 - -"]);
    assert_eq!(support::loads(&site), 1);
}

#[test]
fn a_correction_changes_adds_and_removes_keys_and_leaves_other_rows_untouched() {
    let url = postgres::shared().create_database();
    let site = support::site(&support::settings(&url, JOB));
    let other_day = line("S1", "4.00", 4, "A", D2);
    submit(&site, "IL-2.tdf", &[line("S2", "7.00", 4, "A", D1)]);
    submit(
        &site,
        "IL-1.tdf",
        &[
            line("S1", "10.00", 4, "A", D1),
            line("S1", "20.00", 4, "B", D1),
            line("S1", "30.00", 4, "C", D1),
            other_day,
            line("S1", "5.00", 4, "A", D3),
        ],
    );
    support::run_until_idle(&site);
    // The transaction that wrote a row last: it stays the same for a row that nobody has touched.
    let writers = "SELECT concat_ws(' ', store_id, item_id, trans_date), xmin::text FROM sales_summary \
                   WHERE (store_id, item_id, trans_date::text) IN \
                         (('S1', 'A', '2026-03-01'), ('S1', 'A', '2026-03-02'), ('S2', 'A', '2026-03-01')) ORDER BY 1";
    let pairs = || -> Vec<(String, String)> {
        let rows = support::postgres(&url, writers);
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let before = pairs();
    assert_eq!(before.len(), 3);

    // B is changed, C is gone, D is new; D2 is not mentioned any more; of D3 only a line of no interest is left, which
    // covers nothing.
    submit(
        &site,
        "IL-1.tdf",
        &[
            line("S1", "10.00", 4, "A", D1),
            line("S1", "21.00", 4, "B", D1),
            line("S1", "40.00", 4, "D", D1),
            line("S1", "5.00", 1, "A", D3),
        ],
    );
    support::run_until_idle(&site);
    assert_eq!(
        told(&support::postgres_rows(&url)),
        [
            "S1 A 2026-03-01 10.00 - -",
            "S1 A 2026-03-02 4.00 - -",
            "S1 A 2026-03-03 5.00 - -",
            "S1 B 2026-03-01 21.00 - -",
            "S1 D 2026-03-01 40.00 - -",
            "S2 A 2026-03-01 7.00 - -",
        ]
    );
    assert_eq!(pairs(), before);
    let changes = "SELECT '+' || rows_inserted || ' ~' || rows_updated || ' -' || rows_deleted || ' =' || \
                   rows_unchanged FROM runs LIMIT 1";
    assert_eq!(support::state(&site, changes), ["+1 ~1 -1 =2"]);
}

#[test]
fn a_file_that_is_still_being_written_is_not_read() {
    let settings = support::settings(support::SQLITE, JOB).replace("200ms", "2s");
    let site = support::site(&settings);
    support::run_until_idle(&site);
    let service = support::service(&site);
    let path = site.incoming().join("IL-1.tdf");
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(path)
        .expect("the incoming folder can be written");
    // Far longer than the two seconds that a file must be still for, and than the pause between two listings; but no
    // pause comes near the former.
    let lines = 50;
    for _ in 0..lines {
        file.write_all(line("S1", "1.00", 4, "A", D1).as_bytes())
            .expect("the file can be written");
        thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    support::wait_for_state(&site, "SELECT state FROM job_run", "COMPLETED");
    assert_eq!(rows(&site), ["S1 A 2026-03-01 50.00 - -"]);
    assert_eq!(
        support::state(&site, "SELECT outcome || ' ' || rows FROM submissions"),
        [format!("VALIDATED {lines}")]
    );
    assert!(service.terminate().status.success());
}

#[test]
fn a_file_that_is_replaced_while_it_is_converted_ends_with_the_newer_content() {
    let site = support::site(&support::unguarded(support::settings(support::SQLITE, JOB)));
    let service = support::service(&site);
    // Long enough that the small file would overtake it, were both converted at once.
    let long = line("S1", "1.00", 4, "A", D1).repeat(400_000);
    site.submit("IL-1.tdf", long);
    wait_until("the long file is being read", || spooled(&site) > 0);
    submit(&site, "IL-1.tdf", &[line("S1", "7.00", 4, "A", D1)]);
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM submission WHERE outcome = 'VALIDATED'",
        "2",
    );
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state IN ('QUEUED', 'RUNNING')",
        "0",
    );
    assert_eq!(
        support::state(&site, "SELECT rows FROM submissions ORDER BY submission_id"),
        ["400000", "1"]
    );
    wait_until("the newer content is loaded", || {
        rows(&site) == ["S1 A 2026-03-01 7.00 - -"]
    });
    service.terminate();
}

#[test]
fn a_file_over_the_reject_limit_leaves_the_earlier_version_in_force() {
    let site = site();
    let good = line("S1", "10.00", 4, "A", D1);
    submit(&site, "IL-1.tdf", std::slice::from_ref(&good));
    support::run_until_idle(&site);
    submit(
        &site,
        "IL-1.tdf",
        &[
            good,
            line("S1", "11.00", 4, "A", D1),
            line("S1", "ten", 4, "A", D1),
        ],
    );
    support::run_until_idle(&site);
    assert_eq!(outcomes(&site, "IL-1.tdf"), ["VALIDATED", "REJECTED"]);
    assert_eq!(support::state(&site, "SELECT status FROM files"), ["REJECTED"]);
    assert_eq!(support::loads(&site), 1);

    // The next run, which another file leads to, still reads the earlier version.
    submit(&site, "IL-2.tdf", &[line("S2", "7.00", 4, "A", D1)]);
    support::run_until_idle(&site);
    assert_eq!(support::loads(&site), 2);
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 10.00 - -", "S2 A 2026-03-01 7.00 - -"]
    );
    let read = "SELECT file_url || ' ' || rows FROM run_files WHERE run_id = (SELECT run_id FROM runs LIMIT 1) ORDER BY 1";
    assert_eq!(support::state(&site, read), ["IL-1.tdf 1", "IL-2.tdf 1"]);
}

#[test]
fn a_deleted_source_file_changes_nothing_loaded() {
    let jobs = JOB.replace("trigger", "min_files = 2\ntrigger");
    let site = support::site(&support::settings(support::SQLITE, &jobs));
    submit(&site, "IL-1.tdf", &[line("S1", "10.00", 4, "A", D1)]);
    submit(&site, "IL-2.tdf", &[line("S2", "7.00", 4, "A", D1)]);
    support::run_until_idle(&site);
    let service = support::service(&site);
    fs::remove_file(site.incoming().join("IL-1.tdf")).expect("the source can be removed");
    // A run after it, by the process that has seen the file go, and one by a process that has never seen it.
    submit(&site, "IL-2.tdf", &[line("S2", "8.00", 4, "A", D1)]);
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "2",
    );
    assert!(service.terminate().status.success());
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 10.00 - -", "S2 A 2026-03-01 8.00 - -"]
    );
    submit(&site, "IL-2.tdf", &[line("S2", "9.00", 4, "A", D1)]);
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 10.00 - -", "S2 A 2026-03-01 9.00 - -"]
    );
    assert_eq!(
        support::state(&site, "SELECT DISTINCT count(*) FROM run_files GROUP BY run_id"),
        ["2"]
    );
}

#[test]
fn an_earlier_content_that_comes_back_is_in_force_again() {
    let site = site();
    let (a, b) = (line("S1", "10.00", 4, "A", D1), line("S1", "20.00", 4, "B", D1));
    for (content, expected) in [
        (&a, "S1 A 2026-03-01 10.00 - -"),
        (&b, "S1 B 2026-03-01 20.00 - -"),
        (&a, "S1 A 2026-03-01 10.00 - -"),
    ] {
        submit(&site, "IL-1.tdf", std::slice::from_ref(content));
        support::run_until_idle(&site);
        assert_eq!(rows(&site), [expected]);
    }
    assert_eq!(
        outcomes(&site, "IL-1.tdf"),
        ["VALIDATED", "VALIDATED", "UNCHANGED"]
    );
    assert_eq!(versions(&site, "IL-1.tdf"), 2);
    assert_eq!(support::loads(&site), 3);
}

#[test]
fn by_store_and_day_only_the_newest_file_that_holds_them_counts() {
    let site = support::site(&by_store_and_day());
    submit(
        &site,
        "IL-wave1.tdf",
        &[
            line("S1", "10.00", 4, "A", D1),
            line("S1", "5.00", 4, "B", D1),
            line("S1", "6.00", 4, "A", D2),
            line("S2", "7.00", 4, "A", D1),
        ],
    );
    support::run_until_idle(&site);
    submit(&site, "IL-wave2.tdf", &[line("S1", "12.00", 4, "A", D1)]);
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        [
            "S1 A 2026-03-01 12.00 - -",
            "S1 A 2026-03-02 6.00 - -",
            "S2 A 2026-03-01 7.00 - -",
        ]
    );
}

#[test]
fn by_store_and_day_a_backlog_is_ordered_by_when_files_were_written() {
    // The newer file has far fewer lines, which would be held.
    let site = support::site(&support::unguarded(by_store_and_day()));
    // The older file takes much longer to convert, so it is recorded last.
    let long = line("S1", "1.00", 4, "A", D1).repeat(100_000);
    let old = site.submit("IL-wave1.tdf", long);
    submit(&site, "IL-wave2.tdf", &[line("S1", "12.00", 4, "A", D1)]);
    let old = OpenOptions::new()
        .append(true)
        .open(old)
        .expect("the file was submitted");
    old.set_modified(SystemTime::UNIX_EPOCH)
        .expect("the time can be set");
    support::run_until_idle(&site);
    assert_eq!(rows(&site), ["S1 A 2026-03-01 12.00 - -"]);
}

#[test]
fn by_store_and_day_a_file_sent_again_is_the_newest() {
    let site = support::site(&by_store_and_day());
    let first = [line("S1", "10.00", 4, "A", D1), line("S1", "5.00", 4, "B", D1)];
    submit(&site, "IL-wave1.tdf", &first);
    support::run_until_idle(&site);
    submit(&site, "IL-wave2.tdf", &[line("S1", "12.00", 4, "A", D1)]);
    support::run_until_idle(&site);
    submit(&site, "IL-wave1.tdf", &first);
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["S1 A 2026-03-01 10.00 - -", "S1 B 2026-03-01 5.00 - -"]
    );
}

#[test]
fn a_changed_feed_layout_converts_every_file_again_at_the_next_start() {
    let site = site();
    let files = 30;
    for number in 0..files {
        let store = format!("S{number}");
        let lines = [
            line(&store, "10.00", 4, "A", D1),
            line(&store, "3.00", 7, "A", D1),
        ];
        submit(&site, &format!("IL-{number}.tdf"), &lines);
    }
    support::run_until_idle(&site);
    site.write_settings(
        &support::settings(support::SQLITE, JOB).replace("sale_amount = 4", "sale_amount = 7"),
    );
    support::run_until_idle(&site);
    let expected: Vec<_> = (0..files)
        .map(|number| format!("S{number} A 2026-03-01 3.00 - -"))
        .collect();
    let mut found = rows(&site);
    found.sort_by_key(|row| {
        row[1..]
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u32>().ok())
    });
    assert_eq!(found, expected);
    assert_eq!(
        support::state(&site, "SELECT count(*) FROM job_run WHERE state = 'FAILED'"),
        ["0"]
    );
    // The start after that finds nothing to convert.
    support::run_until_idle(&site);
    assert_eq!(versions(&site, "IL-0.tdf"), 2);
    assert_eq!(outcomes(&site, "IL-0.tdf"), ["VALIDATED", "VALIDATED"]);
}

/// How many outputs are being written.
fn spooled(site: &Site) -> usize {
    fs::read_dir(site.folder().join("lake/_spool")).map_or(0, Iterator::count)
}

fn site() -> Site {
    support::site(&support::settings(support::SQLITE, JOB))
}

fn by_store_and_day() -> String {
    support::settings(support::SQLITE, JOB).replace(
        "name = \"sales\"\n",
        "name = \"sales\"\nsupersede = \"store-day\"\n",
    )
}

fn submit(site: &Site, name: &str, lines: &[String]) {
    site.submit(name, lines.concat());
}

/// The rows of the warehouse.
fn rows(site: &Site) -> Vec<String> {
    told(&support::sqlite_rows(site))
}

/// What each submission of a file led to, the oldest first.
fn outcomes(site: &Site, file: &str) -> Vec<String> {
    support::state(
        site,
        &format!("SELECT outcome FROM submissions WHERE file_url = '{file}' ORDER BY submission_id"),
    )
}

fn versions(site: &Site, file: &str) -> usize {
    support::state(
        site,
        &format!("SELECT version_id FROM versions WHERE file_url = '{file}'"),
    )
    .len()
}
