//! What the service sees of its source: every change, every file that no feed matches, and never its own files.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gristmill_testkit::gristmill::{Site, wait_until};

use crate::support::{self, SQLITE, json, line, settings, site, sqlite_rows, state, told};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";

fn mill() -> Site {
    site(&settings(SQLITE, JOB))
}

fn mill_with(source: &str) -> Site {
    site(&settings(SQLITE, JOB).replace("sweep = \"1s\"", &format!("sweep = \"1s\"\n{source}")))
}

fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "BUN", "2026-03-01")
}

/// Writes other bytes of the same number into a file, and restores its time, as `rsync -t --inplace` can.
fn rewrite_in_place(path: &Path, text: &str) {
    let before = fs::metadata(path).expect("the file is there");
    assert_eq!(before.len(), text.len() as u64);
    let mut file = File::options().write(true).open(path).expect("it can be written");
    file.write_all(text.as_bytes()).expect("it can be written");
    let modified = before.modified().expect("files have times");
    file.set_modified(modified).expect("the time can be set");
}

fn submissions(site: &Site) -> String {
    state(site, "SELECT count(*) FROM submission").remove(0)
}

#[test]
fn a_file_rewritten_in_place_with_its_old_size_and_time_is_loaded_by_the_next_start() {
    let site = mill();
    let path = site.submit("IL-1.tdf", sale("S1", "25.00"));
    support::run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["S1 BUN 2026-03-01 25.00 - -"]);
    rewrite_in_place(&path, &sale("S1", "52.00"));
    support::run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["S1 BUN 2026-03-01 52.00 - -"]);
}

#[test]
fn a_file_rewritten_in_place_under_the_service_is_loaded() {
    // No sweep comes in time: the close has to be noticed.
    let site = site(&settings(SQLITE, JOB).replace("sweep = \"1s\"", "sweep = \"1h\""));
    let path = site.submit("IL-1.tdf", sale("S1", "25.00"));
    let service = support::service(&site);
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "1",
    );
    rewrite_in_place(&path, &sale("S1", "52.00"));
    wait_until("the new amount is loaded", || {
        told(&sqlite_rows(&site)) == ["S1 BUN 2026-03-01 52.00 - -"]
    });
    service.terminate();
}

#[test]
fn other_permissions_and_a_stamp_of_the_version_before_are_no_submissions() {
    let site = mill();
    let path = site.submit("IL-1.tdf", sale("S1", "25.00"));
    site.submit("IL-2.tdf", sale("S2", "1.00"));
    support::run_until_idle(&site);
    assert_eq!(submissions(&site), "2");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    support::run_until_idle(&site);
    assert_eq!(submissions(&site), "2", "its bytes are the same");
    assert_eq!(
        state(
            &site,
            "SELECT file_url FROM ingested_file_status WHERE compared_timestamp IS NOT NULL"
        ),
        ["IL-1.tdf"]
    );

    state(&site, "UPDATE ingested_file_status SET stamp_changed_ns = NULL");
    support::run_until_idle(&site);
    assert_eq!(submissions(&site), "2");
    let incomplete = "SELECT count(*) FROM ingested_file_status WHERE stamp_changed_ns IS NULL";
    assert_eq!(state(&site, incomplete), ["0"], "the stamps are complete now");
    rewrite_in_place(&path, &sale("S1", "52.00"));
    support::run_until_idle(&site);
    assert_eq!(submissions(&site), "3");
}

#[test]
fn a_change_that_leaves_no_trace_is_found_by_reading_quiet_files_again() {
    use std::os::unix::fs::MetadataExt;
    let site = mill_with("sweep_hash = \"1s\"");
    let path = site.submit("IL-1.tdf", sale("S1", "25.00"));
    support::run_until_idle(&site);
    rewrite_in_place(&path, &sale("S1", "52.00"));
    // As on a file system without change times.
    let found = fs::metadata(&path).expect("the file is there");
    let changed_ns = found.ctime() * 1_000_000_000 + found.ctime_nsec();
    state(
        &site,
        &format!("UPDATE ingested_file_status SET stamp_changed_ns = {changed_ns}"),
    );
    std::thread::sleep(Duration::from_secs(2));
    support::run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["S1 BUN 2026-03-01 52.00 - -"]);
    std::thread::sleep(Duration::from_secs(2));
    support::run_until_idle(&site);
    assert_eq!(submissions(&site), "2", "what is the same is not submitted");
}

#[test]
fn a_file_that_no_feed_matches_is_counted_listed_and_logged_once_with_the_nearest_pattern() {
    let site = mill();
    site.submit("IL-1.tdf", sale("S1", "25.00"));
    site.submit("IL-1007.TDF", sale("S7", "25.00"));
    site.submit("deep/er/readme.txt", "x");
    let first = site.run(["run", "--until-idle"]);
    assert_eq!(first.status.code(), Some(0), "{first}");
    let logged = |text: &str| text.matches("no feed matches this file").count();
    assert_eq!(logged(&first.stderr), 2, "{first}");
    let about = first.stderr.lines().find(|line| line.contains("IL-1007.TDF"));
    let about = about.expect("it is logged");
    assert!(
        about.contains("*-*.tdf of feed sales: it differs in letter case"),
        "{about}"
    );
    let again = site.run(["run", "--until-idle"]);
    assert_eq!(logged(&again.stderr), 0, "{again}");

    assert!(
        site.run_ok(["status"])
            .contains("2 files match no feed: `gristmill files --unmatched` lists them")
    );
    assert_eq!(json(&site.run_ok(["status", "--json"]))["unmatched"], 2);
    let listed = site.run_ok(["files", "--unmatched"]);
    assert!(
        listed.contains("IL-1007.TDF") && listed.contains("letter case"),
        "{listed}"
    );
    let listed = json(&site.run_ok(["files", "--unmatched", "--json"]));
    assert_eq!(listed[0]["file_url"], "IL-1007.TDF");
    assert_eq!(listed[1]["file_url"], "deep/er/readme.txt");
    assert!(listed[1]["nearest"].is_null(), "{listed}");

    let incoming = site.incoming();
    fs::rename(incoming.join("IL-1007.TDF"), incoming.join("IL-1007.tdf")).expect("it can be renamed");
    fs::remove_file(incoming.join("deep/er/readme.txt")).expect("it can be removed");
    support::run_until_idle(&site);
    assert!(!site.run_ok(["status"]).contains("no feed"));
    assert_eq!(
        site.run_ok(["files", "--unmatched"]),
        "Every file that was found matches a feed.\n"
    );
    assert_eq!(sqlite_rows(&site).len(), 2);
}

/// What `files` tells of a file: its status, and why.
fn status_of(site: &Site, path: &str) -> (String, String) {
    let files = json(&site.run_ok(["files", "--json"]));
    let files = files.as_array().expect("a list");
    let file = files.iter().find(|file| file["file_url"] == path);
    let file = file.unwrap_or_else(|| panic!("{path} is not listed: {files:?}"));
    let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("last_error"))
}

#[test]
fn the_state_database_under_a_store_s_name_is_refused_and_survives() {
    let site = mill();
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    let service = support::service(&site);
    support::wait_for_state(&site, "SELECT count(*) FROM submission", "1");
    // Reading and closing one of these would drop the service's locks on the database. The next outside reader would
    // then be the last one as far as it knows, and remove the log that the service writes to.
    let incoming = site.incoming();
    let own = [
        ("state.db", "IL-7.tdf"),
        ("state.db-wal", "IL-8.tdf"),
        ("state.db-shm", "IL-9.tdf"),
    ];
    for (file, name) in own {
        fs::hard_link(site.folder().join(file), incoming.join(name)).expect("it can be linked");
    }
    symlink("../state.db", incoming.join("IL-6.tdf")).expect("it can be linked");
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM ingested_file_status WHERE last_update_status = 'FAILED'",
        "4",
    );
    for store in 2..=5 {
        site.submit(format!("IL-{store}.tdf"), sale(&format!("S{store}"), "1.00"));
        support::wait_for_state(
            &site,
            "SELECT count(*) FROM ingested_file_status WHERE last_update_status = 'VALIDATED'",
            &store.to_string(),
        );
        assert_eq!(state(&site, "PRAGMA integrity_check"), ["ok"]);
    }
    assert!(
        service.stderr().contains("it is the state database"),
        "{}",
        service.stderr()
    );
    wait_until("all stores are loaded", || sqlite_rows(&site).len() == 5);
    let ended = service.terminate();
    assert_eq!(ended.status.code(), Some(1), "four files have failed: {ended}");
    assert_eq!(state(&site, "PRAGMA integrity_check"), ["ok"]);
    let (status, reason) = status_of(&site, "IL-7.tdf");
    assert_eq!(status, "FAILED");
    assert!(reason.contains("the state database"), "{reason}");
    // The next start has nothing new to tell, and stores' files are read as ever.
    site.submit("IL-10.tdf", sale("S10", "1.00"));
    support::run_until_idle(&site);
    assert_eq!(sqlite_rows(&site).len(), 6);
}

#[test]
fn own_files_are_refused_in_the_same_folder_and_by_commands_that_read_files() {
    let whole = settings(SQLITE, JOB)
        .replace("url = \"incoming\"", "url = \".\"")
        .replace("url = \"lake\"", "url = \"IL-lake.tdf\"")
        .replace("sqlite://state.db", "sqlite://IL-state.tdf")
        .replace("sqlite://warehouse.db", "sqlite://IL-warehouse.tdf");
    let site = site(&whole);
    let sales = site.folder().join("IL-1.tdf");
    fs::write(&sales, sale("S1", "1.00")).expect("it can be written");
    for _ in 0..2 {
        let finished = site.run(["run", "--until-idle"]);
        assert!(finished.stderr.contains("passed over"), "{finished}");
    }
    let rows = support::sqlite_rows_in(&site, "IL-warehouse.tdf");
    assert_eq!(told(&rows), ["S1 BUN 2026-03-01 1.00 - -"]);
    let files = json(&site.run_ok(["files", "--json"]));
    for file in files.as_array().expect("a list") {
        let expected = match file["file_url"].as_str() {
            Some("IL-1.tdf") => "VALIDATED",
            Some("IL-state.tdf" | "IL-warehouse.tdf") => "FAILED",
            other => panic!("{other:?} is a file of gristmill's own lake"),
        };
        assert_eq!(file["status"], expected, "{file}");
    }
    fs::hard_link(
        site.folder().join("IL-state.tdf"),
        site.folder().join("IL-link.tdf"),
    )
    .expect("it can be linked");
    for name in ["IL-state.tdf", "IL-link.tdf", "IL-warehouse.tdf"] {
        let checked = site.run(["check", name]);
        assert_eq!(checked.status.code(), Some(1), "{checked}");
        assert!(checked.stderr.contains("never read as input"), "{checked}");
        let out = ["aggregate", name, "--feed", "sales", "-o", "out.parquet"];
        let aggregated = site.run(out);
        assert_eq!(aggregated.status.code(), Some(1), "{aggregated}");
        assert!(aggregated.stderr.contains("never read as input"), "{aggregated}");
    }
}

#[test]
fn a_link_out_of_the_source_is_told_and_followed_only_if_that_is_asked_for() {
    let site = mill();
    let outside = site.folder().join("outside.txt");
    fs::write(&outside, sale("S1", "1.00")).expect("it can be written");
    symlink("../outside.txt", site.incoming().join("IL-1.tdf")).expect("it can be linked");
    site.submit("real/2.txt", sale("S2", "1.00"));
    symlink("real/2.txt", site.incoming().join("IL-2.tdf")).expect("it can be linked");
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert_eq!(sqlite_rows(&site).len(), 1, "a link inside is followed");
    let (status, reason) = status_of(&site, "IL-1.tdf");
    assert_eq!(status, "FAILED");
    assert!(reason.contains("follow_links = true"), "{reason}");
    support::run_until_idle(&site);

    let follow = settings(SQLITE, JOB).replace("sweep = \"1s\"", "sweep = \"1s\"\nfollow_links = true");
    site.write_settings(&follow);
    support::run_until_idle(&site);
    assert_eq!(sqlite_rows(&site).len(), 2);
}

#[test]
fn files_that_turn_into_fifos_hold_nothing_up() {
    let site = mill();
    let service = support::service(&site);
    for round in 0..20 {
        for store in 0..4 {
            let name = format!("IL-{store}.tdf");
            site.submit(&name, sale(&format!("S{store}"), &format!("{}.00", round + 1)));
            let fifo = site.incoming().join(".fifo");
            let made = Command::new("mkfifo").arg(&fifo).status();
            assert!(
                made.is_ok_and(|status| status.success()),
                "mkfifo is part of every system"
            );
            fs::rename(&fifo, site.incoming().join(&name)).expect("it can be renamed");
        }
    }
    site.submit("IL-good.tdf", sale("GOOD", "1.00"));
    wait_until("another file is loaded", || {
        told(&sqlite_rows(&site))
            .iter()
            .any(|row| row.starts_with("GOOD"))
    });
    let start = Instant::now();
    let ended = service.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert!(start.elapsed() < Duration::from_secs(10), "{ended}");
}

#[test]
fn reads_that_stand_still_hold_no_other_file_and_no_signal() {
    let mut site = mill();
    site.set_variable("FAILPOINTS", "stuck-read=pause");
    let service = support::service(&site);
    // With four of them, the whole source would count as one that does not answer.
    for store in 1..=3 {
        site.submit(format!("IL-stuck{store}.tdf"), sale(&format!("S{store}"), "1.00"));
    }
    wait_until("a file stands still", || {
        service.stderr().contains("has not answered for 10 seconds")
    });
    let start = Instant::now();
    for store in 1..=50 {
        site.submit(format!("IL-{store}.tdf"), sale(&format!("G{store}"), "1.00"));
    }
    wait_until("all others are loaded", || sqlite_rows(&site).len() == 50);
    assert!(start.elapsed() < Duration::from_secs(60));
    let start = Instant::now();
    let ended = service.terminate();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(start.elapsed() < Duration::from_secs(25), "{ended}");

    // Nothing was lost: once the file system answers, they are read.
    site.clear_variable("FAILPOINTS");
    support::run_until_idle(&site);
    assert_eq!(sqlite_rows(&site).len(), 53);
}
