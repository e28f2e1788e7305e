//! `gristmill run` as a service: how it starts and stops, what it takes up while it works, and what it tells.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use gristmill_testkit::gristmill::{Background, Site, wait_until};

use crate::support;

/// A province that runs whenever one of its files is new.
const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-*.tdf"
trigger = "any"
"#;

fn site() -> Site {
    support::site(&support::settings(support::SQLITE, JOB))
}

/// A file of one line: one store, one day, one sale.
fn submit(site: &Site, store: u32, amount: u32) {
    let line = format!("S{store}\t{amount}.50\t4\tI1\t2026-03-01\n");
    site.submit(format!("IL-{store}.tdf"), line);
}

/// The sales of the warehouse, as `STORE AMOUNT`.
fn sales(site: &Site) -> Vec<String> {
    if !has_table(site) {
        return Vec::new();
    }
    let sql = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
    support::sqlite_warehouse(site, sql)
}

fn has_table(site: &Site) -> bool {
    let sql = "SELECT name FROM sqlite_schema WHERE name = 'sales_summary'";
    site.folder().join("warehouse.db").exists() && !support::sqlite_warehouse(site, sql).is_empty()
}

fn runs(site: &Site) -> Vec<String> {
    support::state(
        site,
        "SELECT cause || ' ' || state FROM job_run ORDER BY sequence",
    )
}

fn wait_for_sales(site: &Site, service: &mut Background, expected: &[&str]) {
    wait_until(&format!("the warehouse holds {expected:?}"), || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        sales(site) == expected
    });
}

fn wait_for_runs(site: &Site, service: &mut Background, expected: &[&str]) {
    wait_until(&format!("the runs are {expected:?}"), || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        runs(site) == expected
    });
}

/// Asks the service to end, which must be with status 0 within `limit`.
fn stop(service: Background, signal: &str, limit: Duration) {
    let start = Instant::now();
    service.signal(signal);
    let ended = service.wait();
    let took = start.elapsed();
    assert_eq!(ended.status.code(), Some(0), "{signal}: {ended}");
    assert!(took < limit, "{signal}: it took {took:?}: {ended}");
}

#[test]
fn a_service_without_work_ends_at_once_on_both_signals() {
    let site = site();
    for signal in ["TERM", "INT"] {
        stop(support::service(&site), signal, Duration::from_secs(5));
    }
}

#[test]
fn a_signal_ends_a_service_that_is_still_starting() {
    // Nobody listens there: a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("a listener has an address").port();
    drop(listener);
    let url = format!("postgres://postgres@127.0.0.1:{port}/nothing");
    let site = support::site(&support::settings(&url, JOB));
    let service = site.start(["run"]);
    wait_until("the warehouse is tried again", || {
        service.stderr().contains("will be tried again")
    });
    stop(service, "TERM", Duration::from_secs(5));
}

#[test]
fn a_run_in_hand_is_finished_before_the_service_ends() {
    let mut site = site();
    site.set_variable("FAILPOINTS", "load-before-commit=sleep(2000)");
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_runs(&site, &mut service, &["preconditions RUNNING"]);
    stop(service, "TERM", Duration::from_secs(30));
    assert_eq!(runs(&site), ["preconditions COMPLETED"]);
    assert_eq!(sales(&site), ["S1 1.50"]);
}

#[test]
fn a_backlog_is_left_where_the_service_was_asked_to_end_and_taken_up_at_the_next_start() {
    // More than the groups that are converted at a time.
    const FILES: u32 = 2_000;
    let mut site = site();
    for store in 1..=FILES {
        submit(&site, store, store);
    }
    site.set_variable("FAILPOINTS", "after-converted=sleep(500)");
    let service = support::service(&site);
    wait_until("a file is validated", || service.stderr().contains("validated"));
    stop(service, "INT", Duration::from_secs(15));
    let submissions: u32 = support::state(&site, "SELECT count(*) FROM submission")[0]
        .parse()
        .expect("a count is a number");
    assert!(
        (1..FILES).contains(&submissions),
        "{submissions} of {FILES} were read"
    );

    site.clear_variable("FAILPOINTS");
    support::run_until_idle(&site);
    assert_eq!(sales(&site).len(), FILES as usize);
    let submissions = support::state(&site, "SELECT count(*) FROM submission");
    assert_eq!(submissions, [FILES.to_string()], "no file is read twice");
}

#[test]
fn who_asks_twice_does_not_wait_for_what_is_in_hand() {
    let mut site = site();
    site.set_variable("FAILPOINTS", "load-before-commit=sleep(60000)");
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_runs(&site, &mut service, &["preconditions RUNNING"]);
    service.signal("TERM");
    wait_until("it says that it stops", || service.stderr().contains("stopping"));
    service.signal("TERM");
    assert_eq!(service.wait().status.code(), Some(1));

    site.clear_variable("FAILPOINTS");
    support::run_until_idle(&site);
    assert_eq!(runs(&site), ["preconditions COMPLETED"]);
}

#[test]
fn a_second_service_on_the_same_state_database_is_refused_by_name() {
    let site = site();
    let service = support::service(&site);
    let second = site.run(["run"]);
    assert_eq!(second.status.code(), Some(2), "{second}");
    let holder = format!("process {}", service.id());
    assert!(second.stderr.contains(&holder), "{second}");
    stop(service, "TERM", Duration::from_secs(5));
}

#[test]
fn a_file_that_is_renamed_into_place_is_loaded_shortly_after() {
    let site = support::site(
        &support::settings(support::SQLITE, JOB).replace("sweep = \"1s\"", "sweep = \"1 hour\""),
    );
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);
    let mut latencies = Vec::new();
    for round in 2..=6 {
        let start = Instant::now();
        submit(&site, 1, round);
        wait_for_sales(&site, &mut service, &[&format!("S1 {round}.50")]);
        latencies.push(start.elapsed());
    }
    println!("from the rename to the row: {latencies:?}");
    assert!(
        latencies.iter().all(|took| *took < Duration::from_secs(5)),
        "{latencies:?}"
    );
}

#[test]
fn what_commands_ask_for_is_done_by_the_service_that_runs() {
    let site = site();
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);

    assert!(site.run_ok(["jobs", "run", "IL"]).contains("picks it up"));
    let mut expected = vec!["preconditions COMPLETED", "manual COMPLETED"];
    wait_for_runs(&site, &mut service, &expected);
    let replay = ["replay", "--from", "2020-01-01", "--to", "2099-01-01"];
    assert!(site.run_ok(replay).contains("picks it up"));
    expected.push("replay COMPLETED");
    wait_for_runs(&site, &mut service, &expected);
    stop(service, "TERM", Duration::from_secs(5));

    // A run that fails: its summary cannot be put into a lake without that folder's place.
    let summaries = site.folder().join("lake/summaries");
    fs::remove_dir_all(&summaries).expect("the summaries can be removed");
    fs::write(&summaries, "in the way").expect("a file can take their place");
    let mut service = support::service(&site);
    submit(&site, 1, 2);
    expected.push("preconditions FAILED");
    wait_for_runs(&site, &mut service, &expected);
    fs::remove_file(&summaries).expect("the file can be removed");
    let told = site.run_ok(["retry"]);
    assert!(told.contains("picks it up"), "{told}: {:?}", runs(&site));
    expected.push("retry COMPLETED");
    wait_for_runs(&site, &mut service, &expected);
    assert_eq!(sales(&site), ["S1 2.50"]);
    service.terminate();

    // Without a service the commands do the same work themselves.
    site.run_ok(["jobs", "run", "IL"]);
    site.run_ok(replay);
    expected.extend(["manual COMPLETED", "replay COMPLETED"]);
    assert_eq!(runs(&site), expected);
}

#[test]
fn a_file_is_submitted_once_even_if_a_notice_of_it_comes_while_it_is_recorded() {
    let mut site = site();
    site.set_variable("FAILPOINTS", "before-record=1*sleep(2000)->off");
    let mut service = support::service(&site);
    // The file is renamed into place by a program that closes it only later: when its record is on its way.
    let part = site.incoming().join(".part");
    let mut open = fs::File::create(&part).expect("a part can be made");
    open.write_all(b"S1\t1.50\t4\tI1\t2026-03-01\n")
        .expect("the part can be written");
    fs::rename(&part, site.incoming().join("IL-1.tdf")).expect("the file can be put in place");
    let partials = site.folder().join("lake/partials/sales");
    wait_until("the file is converted", || {
        fs::read_dir(&partials).is_ok_and(|partials| partials.count() > 0)
    });
    drop(open);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);
    // What comes of the notice is over once another file, which came later, is recorded.
    submit(&site, 2, 2);
    wait_for_sales(&site, &mut service, &["S1 1.50", "S2 2.50"]);
    stop(service, "TERM", Duration::from_secs(5));
    let submissions =
        "SELECT f.file_url || ' ' || s.outcome FROM submission s JOIN ingested_file_status f USING (file_id)";
    assert_eq!(
        support::state(&site, submissions),
        ["IL-1.tdf VALIDATED", "IL-2.tdf VALIDATED"]
    );
}

#[test]
fn a_file_that_fails_in_a_group_fails_alone() {
    let settings = support::settings(support::SQLITE, JOB);
    let site = support::site(&settings.replace("\"*-*.tdf\"", "\"**/*-*.tdf\""));
    // What the file in the folder leaves cannot be put there.
    let converted = site.folder().join("lake/converted/sales");
    fs::create_dir_all(&converted).expect("the lake can be made");
    fs::write(converted.join("IL-north"), "in the way").expect("a file can be in the way");
    for store in 1..=50 {
        submit(&site, store, store);
    }
    let line = "S99\t1.50\t4\tI1\t2026-03-01\n";
    site.submit("IL-north/IL-99.tdf", line);
    let first = site.run(["run", "--until-idle"]);
    assert_eq!(first.status.code(), Some(1), "{first}");
    let failed = "SELECT file_url FROM ingested_file_status WHERE last_update_status <> 'VALIDATED'";
    assert_eq!(support::state(&site, failed), ["IL-north/IL-99.tdf"]);
    assert_eq!(sales(&site).len(), 50);
}

#[test]
fn a_failed_file_is_read_again_by_the_service_and_without_one_by_the_command() {
    for with_service in [true, false] {
        let site = site();
        let converted = site.folder().join("lake/converted");
        fs::create_dir_all(site.folder().join("lake")).expect("the lake can be made");
        fs::write(&converted, "in the way").expect("a file can be in the way");
        submit(&site, 1, 1);
        let first = site.run(["run", "--until-idle"]);
        assert_eq!(first.status.code(), Some(1), "{first}");
        let status = "SELECT last_update_status FROM ingested_file_status";
        assert_eq!(support::state(&site, status), ["FAILED"]);
        fs::remove_file(&converted).expect("the file can be removed");

        let service = with_service.then(|| support::service(&site));
        let told = site.run_ok(["retry", "IL-1.tdf"]);
        assert_eq!(told.contains("picks it up"), with_service, "{told}");
        match service {
            Some(mut service) => wait_for_sales(&site, &mut service, &["S1 1.50"]),
            None => assert_eq!(sales(&site), ["S1 1.50"]),
        }
        assert_eq!(support::state(&site, status), ["VALIDATED"]);
    }
}

#[test]
fn a_backlog_of_three_hundred_files_is_worked_off_with_every_file_once() {
    let site = site();
    for store in 1..=300 {
        submit(&site, store, store);
    }
    let start = Instant::now();
    let told = site.run_ok(["run", "--until-idle"]);
    println!("300 files: {:?}", start.elapsed());
    assert!(told.contains("300 validated"), "{told}");
    let mut expected: Vec<_> = (1..=300).map(|store| format!("S{store} {store}.50")).collect();
    expected.sort();
    assert_eq!(sales(&site), expected);
    assert_eq!(support::state(&site, "SELECT count(*) FROM submission"), ["300"]);
}

#[test]
fn a_source_that_vanishes_and_comes_back_is_watched_again() {
    let site = site();
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);
    let away = site.folder().join("away");
    fs::rename(site.incoming(), &away).expect("the source can be moved away");
    wait_until("the absence is told", || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        service.stderr().contains("WARN")
    });
    assert_eq!(
        sales(&site),
        ["S1 1.50"],
        "what was loaded stays when its source is gone"
    );
    fs::rename(&away, site.incoming()).expect("the source can be moved back");
    wait_until("the return is told", || {
        service.stderr().contains("can be read again")
    });
    submit(&site, 2, 2);
    wait_for_sales(&site, &mut service, &["S1 1.50", "S2 2.50"]);
    stop(service, "TERM", Duration::from_secs(5));
    let submissions = support::state(&site, "SELECT count(*) FROM submission");
    assert_eq!(
        submissions,
        ["2"],
        "a file that has not changed is not read again"
    );
}

#[test]
fn standard_output_holds_one_line_and_the_json_log_is_json_line_by_line() {
    let site = site();
    let mut service = site.start(["run", "--log-json"]);
    wait_until("it watches", || service.stderr().contains("watching"));
    submit(&site, 1, 1);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);
    assert_eq!(service.stdout(), "");
    let ended = service.terminate();
    assert_eq!(
        ended.stdout,
        "files: 1 validated, 0 unchanged, 0 rejected, 0 failed; runs: 1 completed, 0 failed\n"
    );
    let log: Vec<serde_json::Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}")))
        .collect();
    let validated = log.iter().find(|entry| entry["fields"]["message"] == "validated");
    let validated = validated.expect("the validated file is told");
    assert_eq!(validated["level"], "INFO");
    assert_eq!(validated["fields"]["path"], "IL-1.tdf");
    assert_eq!(validated["fields"]["rows"], 1);
}

#[test]
fn a_run_that_takes_long_gives_signs_of_life() {
    let site = site();
    let mut service = support::service(&site);
    submit(&site, 1, 1);
    wait_for_sales(&site, &mut service, &["S1 1.50"]);
    let beat = "SELECT heartbeat_timestamp FROM job_run WHERE state = 'RUNNING'";
    // The load waits for somebody else's transaction, longer than two beats.
    support::while_locked(&site, "warehouse.db", || {
        submit(&site, 1, 2);
        let (mut beats, mut last) = (0, String::new());
        wait_until("the heart has beaten three times", || {
            assert!(service.is_running(), "the service ended: {}", service.stderr());
            let now = support::state(&site, beat).concat();
            if now > last {
                last = now;
                beats += 1;
            }
            beats == 3
        });
    });
    wait_for_sales(&site, &mut service, &["S1 2.50"]);
}
