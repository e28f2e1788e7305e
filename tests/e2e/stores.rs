//! Jobs that list their stores, files that no job takes, and what the commands say of a province that is complete.

use gristmill_testkit::gristmill::Site;

use crate::support::{self, SQLITE, json, line, run_until_idle, settings, told};

const DAY: &str = "2026-03-01";

fn site(jobs: &str) -> Site {
    support::site(&settings(SQLITE, jobs))
}

/// A job over the Illinois files, with further keys.
fn job(id: &str, keys: &str) -> String {
    format!("[[job]]\nid = \"{id}\"\nfeed = \"sales\"\nfiles = \"IL-{{store}}.tdf\"\n{keys}\n")
}

/// A store sends a file with one line of item A.
fn submit(site: &Site, file: &str, store: &str, amount: &str) {
    site.submit(file, line(store, amount, 4, "A", DAY));
}

fn rows(site: &Site) -> Vec<String> {
    told(&support::sqlite_rows(site))
}

/// Runs until idle, and returns the log.
fn log_of_run(site: &Site) -> String {
    let finished = site.run(["run", "--until-idle"]);
    assert!(finished.status.success(), "{finished}");
    finished.stderr
}

#[test]
fn a_file_under_a_second_name_stands_in_for_no_other_store() {
    let site = site(&job("IL", "min_files = 2\nstores = [\"1003\", \"1007\"]"));
    submit(&site, "IL-1003.tdf", "1003", "1.00");
    submit(&site, "IL-1003 (1).tdf", "1003", "1.00");
    let log = log_of_run(&site);
    assert_eq!(
        log.matches("no job takes IL-1003 (1).tdf").count(),
        1,
        "it is told once: {log}"
    );
    let (holds, facts) = support::explained(&site, "IL", "min_files");
    assert!(!holds);
    assert_eq!(facts, "1 of 2 stores validated; missing stores: 1007");
    let explained = site.run(["explain", "IL"]);
    assert_eq!(explained.status.code(), Some(3), "{explained}");
    assert!(
        explained
            .stdout
            .contains("no job takes IL-1003 (1).tdf: the store is not in `stores` of IL"),
        "{explained}"
    );
    let data = json(&site.run(["explain", "IL", "--json"]).stdout);
    assert_eq!(data[0]["unlisted_files"][0], "IL-1003 (1).tdf");
    let mut checks = data[0]["checks"].as_array().expect("a list").iter();
    let min_files = checks
        .find(|check| check["name"] == "min_files")
        .expect("it is named");
    assert_eq!(min_files["data"]["missing_stores"][0], "1007");
    assert!(site.run_ok(["status"]).contains("no job takes IL-1003 (1).tdf"));
    let status = json(&site.run_ok(["status", "--json"]));
    assert_eq!(status["files_without_job"][0]["unlisted_in"][0], "IL");
    let listed = json(&site.run_ok(["files", "--no-job", "--json"]));
    assert_eq!(listed[0]["file_url"], "IL-1003 (1).tdf");

    submit(&site, "IL-1007.tdf", "1007", "7.00");
    run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1003 A 2026-03-01 1.00 - -", "1007 A 2026-03-01 7.00 - -"]
    );
    let complete = "SELECT cause || ' ' || incomplete || ' ' || completeness_percent FROM job_run";
    assert_eq!(support::state(&site, complete), ["preconditions 0 100.0"]);

    // Once it is listed, it is part of the job; nothing has to be sent again.
    site.write_settings(&settings(
        SQLITE,
        &job("IL", "min_files = 2\nstores = [\"1003\", \"1003 (1)\", \"1007\"]"),
    ));
    site.run_ok(["jobs", "apply"]);
    assert!(!site.run_ok(["status"]).contains("no job takes"));
}

#[test]
fn jobs_with_one_pattern_take_the_files_of_their_own_stores() {
    let site = site(&format!(
        "{}{}",
        job("north", "stores = [\"1\"]"),
        job("south", "stores = [\"2\", \"3\"]\nmin_files = 2")
    ));
    for store in ["1", "2", "3"] {
        submit(&site, &format!("IL-{store}.tdf"), store, "1.00");
    }
    let log = log_of_run(&site);
    assert!(!log.contains("no job takes"), "each file belongs to a job: {log}");
    let inputs = "SELECT job || ' ' || group_concat(file_url ORDER BY file_url) FROM run_files GROUP BY job ORDER BY job";
    assert_eq!(
        support::state(&site, inputs),
        ["north IL-1.tdf", "south IL-2.tdf,IL-3.tdf"]
    );
    assert_eq!(rows(&site).len(), 3);
    // A replay takes no more than they do.
    site.run_ok(["replay", "--from", "2020-01-01", "--to", "2999-01-01"]);
    let files = "SELECT count(*) FROM run_files GROUP BY run_id ORDER BY 1";
    assert_eq!(support::state(&site, files), ["1", "1", "2", "2"]);
    let listed = json(&site.run_ok(["files", "--job", "south", "--json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_file_that_no_job_takes_and_a_job_that_takes_no_file_are_told() {
    let site = site(&job("IL", ""));
    site.submit("Item-Master.tdf", "A\tNuggets\n");
    submit(&site, "CA-1.tdf", "1", "1.00");
    let log = log_of_run(&site);
    assert_eq!(log.matches("no job takes CA-1.tdf").count(), 1, "{log}");
    assert!(
        !log.contains("Item-Master.tdf:"),
        "a reference feed needs no job: {log}"
    );
    let log = log_of_run(&site);
    let none = "none of the known files of feed sales matches files = \"IL-{store}.tdf\"; one of them is \"CA-1.tdf\"";
    assert!(
        log.contains(none) && log.contains("no job takes CA-1.tdf"),
        "a start tells it: {log}"
    );
    assert!(site.run(["explain", "IL"]).stdout.contains(none));
    assert!(site.run_ok(["status"]).contains("no job takes CA-1.tdf"));

    // An edit of the job is noticed by the running service.
    let service = support::service(&site);
    support::state(
        &site,
        "UPDATE aggr_job_configuration SET job_input_pattern = '*-{store}.tdf'",
    );
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "1",
    );
    submit(&site, "ca-1.tdf", "1", "1.00");
    assert!(service.terminate().status.success());
    assert_eq!(rows(&site), ["1 A 2026-03-01 1.00 - -"]);
    assert!(!site.run_ok(["status"]).contains("no job takes"));
}

#[test]
fn a_correction_by_hand_is_complete_though_no_other_store_has_sent_again() {
    let site = site(&job("IL", "min_files = 3\nstores = [\"1\", \"2\", \"3\"]"));
    for store in ["1", "2", "3"] {
        submit(&site, &format!("IL-{store}.tdf"), store, "1.00");
    }
    run_until_idle(&site);
    submit(&site, "IL-2.tdf", "2", "1.50");
    run_until_idle(&site);
    let told = site.run_ok(["jobs", "run", "IL"]);
    assert!(
        told.contains("It corrects the wave that was complete: what came since (1 of 3 stores)"),
        "{told}"
    );
    assert_eq!(rows(&site)[1], "2 A 2026-03-01 1.50 - -");
    let complete =
        "SELECT cause || ' ' || incomplete || ' ' || completeness_percent FROM job_run ORDER BY sequence";
    assert_eq!(
        support::state(&site, complete),
        ["preconditions 0 100.0", "manual 0 100.0"]
    );
}

#[test]
fn a_province_is_complete_until_its_next_wave_begins() {
    let site = site(&job("IL", "min_files = 3\nstores = [\"1\", \"2\", \"3\"]"));
    for store in ["1", "2", "3"] {
        submit(&site, &format!("IL-{store}.tdf"), store, "1.00");
    }
    run_until_idle(&site);
    let status = site.run_ok(["status"]);
    assert!(
        status.contains("complete since 20") && status.contains(" UTC; next wave: 0 of 3 stores"),
        "{status}"
    );
    assert!(!status.contains("waits for"), "{status}");
    let explained = site.run_ok(["explain", "IL"]);
    assert!(
        explained.contains("job IL: complete since 20") && !explained.contains("not yet"),
        "{explained}"
    );
    let jobs = json(&site.run_ok(["status", "--json"]));
    assert_eq!(jobs["jobs"][0]["state"], "complete");
    assert_eq!(jobs["jobs"][0]["waits_for"].as_array().map(Vec::len), Some(0));

    submit(&site, "IL-2.tdf", "2", "1.50");
    run_until_idle(&site);
    let status = site.run_ok(["status"]);
    for words in [
        "next wave: 1 of 3 stores",
        "waits for min_files",
        "missing stores: 1, 3",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert_eq!(site.run(["explain", "IL"]).status.code(), Some(3));
}

#[test]
fn a_job_that_cannot_share_the_table_is_refused_wherever_it_comes_from() {
    let reload = |jobs: &str| {
        let settings = settings(SQLITE, jobs);
        settings.replace("[warehouse]", "[warehouse]\nload = \"reload\"")
    };
    let site = support::site(&reload(&job("one", "trigger = \"any\"")));
    submit(&site, "IL-1.tdf", "1", "1.00");
    run_until_idle(&site);
    let before = rows(&site);
    // The job of an earlier settings file lies in the state database.
    support::state(
        &site,
        "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger) \
         VALUES ('two', 'sales', 'CA-{store}.tdf', 1, 'any')",
    );
    submit(&site, "CA-9.tdf", "9", "9.00");
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    for words in ["warehouse.load = \"reload\"", "one, two", "gristmill jobs pause"] {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    site.run_ok(["jobs", "pause", "two"]);
    run_until_idle(&site);
    for arguments in [
        &["jobs", "resume", "two"][..],
        &["jobs", "run", "two"],
        &["replay", "two", "--from", "2020-01-01", "--to", "2999-01-01"],
    ] {
        let refused = site.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains("one, two"), "{refused}");
    }
    // A running service notices that the job was resumed in SQL.
    let service = support::service(&site);
    support::state(
        &site,
        "UPDATE aggr_job_configuration SET job_enabled = 1 WHERE job_config_id = 'two'",
    );
    gristmill_testkit::gristmill::wait_until("the service refuses", || {
        service
            .stderr()
            .contains("no job runs: warehouse.load = \"reload\"")
    });
    assert!(service.terminate().status.success());
    assert_eq!(rows(&site), before);
}

#[test]
fn tables_are_as_wide_as_asked_for_and_times_name_their_zone() {
    let stores: Vec<_> = (1..=400).map(|store| format!("{store}")).collect();
    let mut site = site(&job(
        "IL",
        &format!("deadline = \"23:59:59\"\nafter = [\"CA\"]\nstores = {stores:?}"),
    ));
    submit(&site, "IL-1.tdf", "1", "1.00");
    run_until_idle(&site);
    site.run_ok(["jobs", "run", "IL"]);
    let jobs = site.run_ok(["jobs", "list"]);
    assert!(
        jobs.contains("after CA; deadline 23:59:59 UTC; 400 stores"),
        "{jobs}"
    );
    assert!(jobs.lines().all(|line| line.chars().count() <= 160), "{jobs}");
    site.set_variable("COLUMNS", "90");
    for arguments in [&["jobs", "list"][..], &["status"], &["files"], &["runs"]] {
        let shown = site.run_ok(arguments);
        assert!(
            shown.lines().all(|line| line.chars().count() <= 90),
            "{arguments:?}: {shown}"
        );
    }
}
