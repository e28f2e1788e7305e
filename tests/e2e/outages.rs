//! What goes away and comes back, and what panics: the service goes on by itself, and says what waits.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::postgres::{Postgres, StopMode};

use crate::support::{self, line};

/// A province that runs whenever one of its files is new.
const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-*.tdf"
trigger = "any"
"#;

const STATUS: &str = "SELECT file_url || ' ' || last_update_status FROM ingested_file_status ORDER BY 1";
const RUNS: &str = "SELECT job_config_id || ' ' || state FROM job_run ORDER BY sequence";

/// A file of one line: one store, one day, one sale.
fn submit(site: &Site, store: &str) {
    site.submit(
        format!("IL-{store}.tdf"),
        line(store, "1.50", 4, "I1", "2026-03-01"),
    );
}

fn wait_for(site: &Site, service: &mut Background, sql: &str, expected: &[&str]) {
    wait_until(&format!("{sql} answers {expected:?}"), || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        support::state(site, sql) == expected
    });
}

#[test]
fn a_warehouse_that_is_away_at_the_start_is_waited_for_while_files_are_converted() {
    let server = Postgres::start();
    let url = server.create_database();
    server.stop(StopMode::Fast);
    let site = support::site(&support::settings(&url, JOB));
    let mut service = support::service(&site);
    submit(&site, "S1");
    wait_for(&site, &mut service, STATUS, &["IL-S1.tdf VALIDATED"]);
    wait_for(&site, &mut service, RUNS, &["IL QUEUED"]);
    let status = site.run_ok(["status"]);
    for part in [
        "the warehouse is waited for (since ",
        "Connection refused",
        "next try at",
    ] {
        assert!(status.contains(part), "{part:?} is not in {status}");
    }

    // Who does not wait leaves the run for the next call.
    service.terminate();
    let told = site.run(["run", "--until-idle"]);
    assert_eq!(told.status.code(), Some(1), "{told}");
    assert!(told.stdout.contains("the warehouse is not there"), "{told}");
    assert_eq!(support::state(&site, RUNS), ["IL QUEUED"]);

    let mut service = support::service(&site);
    server.start_again();
    wait_for(&site, &mut service, RUNS, &["IL COMPLETED"]);
    assert_eq!(
        support::told(&support::postgres_rows(&url)),
        ["S1 I1 2026-03-01 1.50 - -"]
    );
    assert!(!site.run_ok(["status"]).contains("is waited for"));
    assert!(service.terminate().status.success());
}

/// A site whose binary passes panics on instead of ending at once.
fn site_that_unwinds(jobs: &str, points: &str) -> Site {
    let mut site = support::site(&support::adding(support::settings(support::SQLITE, jobs)));
    site.set_variable("FAILPOINTS_UNWIND", "1");
    site.set_variable("FAILPOINTS", points);
    site
}

#[test]
fn a_panic_fails_its_file_or_its_run_and_all_others_go_on() {
    let other = JOB.replace("\"IL\"", "\"panic\"").replace("IL-*", "CA-*");
    let site = site_that_unwinds(&format!("{JOB}{other}"), "convert-file=panic;execute-run=panic");
    for store in ["S1", "S2", "panic"] {
        submit(&site, store);
    }
    let mut service = support::service(&site);
    wait_until("the other files are loaded", || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        site.folder().join("warehouse.db").exists()
            && support::state(&site, RUNS).contains(&"IL COMPLETED".to_owned())
    });
    wait_for(
        &site,
        &mut service,
        STATUS,
        &[
            "IL-S1.tdf VALIDATED",
            "IL-S2.tdf VALIDATED",
            "IL-panic.tdf FAILED",
        ],
    );
    let error = support::state(
        &site,
        "SELECT last_error FROM ingested_file_status WHERE last_error IS NOT NULL",
    );
    assert!(
        error[0].contains("convert-file") && error[0].contains("bug"),
        "{error:?}"
    );

    site.submit("CA-1.tdf", line("C1", "1.50", 4, "I1", "2026-03-01"));
    let last = "SELECT state FROM job_run WHERE job_config_id = 'panic'";
    wait_for(&site, &mut service, last, &["FAILED"]);
    let error = support::state(&site, "SELECT error FROM job_run WHERE error IS NOT NULL");
    assert!(error[0].contains("execute-run"), "{error:?}");
    submit(&site, "S3");
    wait_until("what comes later is loaded", || {
        support::sqlite_rows(&site).len() == 3
    });
    service.terminate();
}

#[test]
fn a_watcher_that_fails_is_started_again_and_one_that_always_does_ends_the_service_with_a_status() {
    let site = site_that_unwinds(JOB, "watch-file=1*panic->off");
    submit(&site, "panic");
    let mut service = support::service(&site);
    wait_for(&site, &mut service, RUNS, &["IL COMPLETED"]);
    assert!(
        service.stderr().contains("its watcher failed"),
        "{}",
        service.stderr()
    );
    service.terminate();

    let site = site_that_unwinds(JOB, "watch-file=panic");
    submit(&site, "panic");
    let ended = site.start(["run"]).wait();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.stderr.contains("no file of the source"), "{ended}");
}

#[test]
fn a_file_that_kills_the_process_is_found_among_others_and_given_up() {
    const SIGABRT: i32 = 6;
    let mut site = support::site(&support::settings(support::SQLITE, JOB));
    for store in ["S1", "S2", "S3", "panic"] {
        submit(&site, store);
    }
    site.set_variable("FAILPOINTS", "convert-file=panic");
    for _ in 0..3 {
        assert_eq!(site.run(["run", "--until-idle"]).status.signal(), Some(SIGABRT));
    }
    let told = site.run(["run", "--until-idle"]);
    assert_eq!(told.status.code(), Some(1), "{told}");
    let error = support::state(
        &site,
        "SELECT last_error FROM ingested_file_status WHERE last_error IS NOT NULL",
    );
    assert!(
        error.len() == 1 && error[0].contains("the process died 3 times"),
        "{error:?}"
    );
    assert_eq!(support::sqlite_rows(&site).len(), 3, "the others are loaded");

    site.clear_variable("FAILPOINTS");
    site.run_ok(["retry"]);
    assert_eq!(support::sqlite_rows(&site).len(), 4);
    assert_eq!(support::state(&site, "SELECT count(*) FROM file_attempt"), ["0"]);
}

/// A process that dies while it compares a file that has not changed leaves such a row; no later one reads the file again.
#[test]
fn a_file_that_is_not_read_again_is_not_blamed_for_a_death_for_ever() {
    let site = support::site(&support::settings(support::SQLITE, JOB));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "I1", "2026-03-01"));
    support::run_until_idle(&site);
    let died = "INSERT INTO file_attempt (file_url, stamp_bytes, stamp_modified_ns, stamp_inode, attempts)
                SELECT file_url, stamp_bytes, stamp_modified_ns, stamp_inode, 2 FROM ingested_file_status
                RETURNING file_url";
    assert_eq!(support::state(&site, died), ["IL-1.tdf"]);
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, "SELECT count(*) FROM file_attempt"), ["0"]);
}

#[test]
fn a_huge_file_does_not_delay_the_end() {
    let site = support::site(&support::settings(support::SQLITE, JOB));
    let sparse = fs::File::create(site.folder().join("sparse")).expect("the site can be written");
    sparse
        .set_len(50 << 30)
        .expect("the file system knows sparse files");
    fs::rename(site.folder().join("sparse"), site.incoming().join("IL-1.tdf")).expect("it can be sent");
    let mut service = support::service(&site);
    let attempts = "SELECT count(*) FROM file_attempt";
    wait_for(&site, &mut service, attempts, &["1"]);
    let start = Instant::now();
    let ended = service.terminate();
    assert!(ended.status.success(), "{ended}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(support::state(&site, STATUS), [""; 0]);
    assert_eq!(support::state(&site, attempts), ["0"], "the file is not to blame");
}
