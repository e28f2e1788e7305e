//! The life of a job: what it waits for, what makes it run, and what it takes no notice of.

use std::fs;

use gristmill_testkit::gristmill::Site;

use crate::support::{self, line, told};

const DAY: &str = "2026-03-01";
const RUNS: &str = "SELECT count(*) FROM job_run";
const VALIDATED: &str = "SELECT count(*) FROM files WHERE status = 'VALIDATED'";
const COMPLETED: &str = "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'";

#[test]
fn a_job_waits_for_its_thirteenth_file_and_for_the_item_master() {
    let stores: Vec<_> = (1..=13).map(|store| format!("{store}")).collect();
    let site = site(&format!(
        "[[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = \"IL-{{store}}.tdf\"\nmin_files = 13\n\
         stores = {stores:?}\nrequires = [{{ files = \"Item*\", today = true }}]"
    ));
    for store in &stores[..12] {
        submit(&site, &format!("IL-{store}.tdf"), store, "1.00");
    }
    support::run_until_idle(&site);
    let (holds, facts) = support::explained(&site, "J", "min_files");
    assert!(!holds);
    assert_eq!(facts, "12 of 13 stores validated; missing stores: 13");

    submit(&site, "IL-13.tdf", "13", "1.00");
    support::run_until_idle(&site);
    assert!(support::explained(&site, "J", "min_files").0);
    assert!(!support::explained(&site, "J", "requires Item* today").0);
    assert_eq!(support::state(&site, RUNS), ["0"]);

    site.submit("Item-Master.tdf", "A\tNuggets\n");
    support::run_until_idle(&site);
    assert_eq!(rows(&site).len(), 13);
    assert_eq!(support::state(&site, COMPLETED), ["1"]);
}

#[test]
fn an_item_master_of_an_earlier_day_is_not_todays_until_it_is_sent_again() {
    let site = site(&job("J", "requires = [{ files = \"Item*\", today = true }]"));
    site.submit("Item-Master.tdf", "A\tNuggets\n");
    support::run_until_idle(&site);
    support::state(
        &site,
        "UPDATE ingested_file_status SET last_validated_timestamp = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 day')",
    );
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, RUNS), ["0"]);
    let (holds, facts) = support::explained(&site, "J", "requires Item* today");
    assert!(
        !holds && facts.starts_with("Item-Master.tdf was validated at"),
        "{facts}"
    );

    site.submit("Item-Master.tdf", "A\tNuggets\n");
    support::run_until_idle(&site);
    assert_eq!(rows(&site), ["1 A 2026-03-01 1.00 - -"]);
}

#[test]
fn a_job_does_not_run_twice_for_the_same_inputs() {
    let site = site(&job("J", "trigger = \"any\""));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    // Neither a restart, nor a file of nobody's interest, nor an edit is a reason to run.
    site.submit("CA-1.tdf", line("1", "1.00", 4, "A", DAY));
    support::run_until_idle(&site);
    support::state(&site, "UPDATE aggr_job_configuration SET job_min_file_count = 0");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, RUNS), ["1"]);

    // The same bytes again begin a new wave, which ends without work.
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    assert_eq!(
        support::state(
            &site,
            "SELECT state || ' ' || outcome FROM job_run ORDER BY sequence"
        ),
        ["COMPLETED LOADED", "COMPLETED UNCHANGED"]
    );
    assert_eq!(support::loads(&site), 1);
}

#[test]
fn a_file_that_arrives_while_the_run_is_going_leads_to_a_second_run() {
    let mut site = site(&job("J", "trigger = \"any\""));
    // The first load alone is slow.
    site.set_variable("FAILPOINTS", "load-during-copy=1*sleep(6000)->off");
    support::run_until_idle(&site);
    let service = support::service(&site);
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::wait_for_state(&site, "SELECT state FROM job_run", "RUNNING");
    submit(&site, "IL-2.tdf", "2", "2.00");
    support::wait_for_state(&site, COMPLETED, "2");
    assert!(service.terminate().status.success());

    let inputs =
        "SELECT group_concat(file_url ORDER BY file_url) FROM run_files GROUP BY run_id ORDER BY run_id";
    assert_eq!(support::state(&site, inputs), ["IL-1.tdf", "IL-1.tdf,IL-2.tdf"]);
    let arrived_meanwhile = "SELECT submitted_timestamp BETWEEN \
             (SELECT min(started_timestamp) FROM job_run) AND (SELECT min(finished_timestamp) FROM job_run) \
         FROM ingested_file_status WHERE file_url = 'IL-2.tdf'";
    assert_eq!(support::state(&site, arrived_meanwhile), ["1"]);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 1.00 - -", "2 A 2026-03-01 2.00 - -"]
    );
}

#[test]
fn an_edit_of_the_minimum_count_takes_effect_without_a_restart() {
    // No sweep comes in time: the edit itself has to be noticed.
    let jobs = job("J", "min_files = 3");
    let site =
        support::site(&support::settings(support::SQLITE, &jobs).replace("sweep = \"1s\"", "sweep = \"1h\""));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    let service = support::service(&site);
    submit(&site, "IL-2.tdf", "2", "2.00");
    support::wait_for_state(&site, VALIDATED, "2");
    assert_eq!(
        support::explained(&site, "J", "min_files").1,
        "2 of 3 files validated"
    );
    support::state(&site, "UPDATE aggr_job_configuration SET job_min_file_count = 2");
    support::wait_for_state(&site, COMPLETED, "1");
    assert!(service.terminate().status.success());
    assert_eq!(rows(&site).len(), 2);
    // The next start does not write the settings file over the edit.
    support::run_until_idle(&site);
    assert_eq!(
        support::state(&site, "SELECT job_min_file_count FROM aggr_job_configuration"),
        ["2"]
    );
}

#[test]
fn a_job_waits_until_its_own_criterion_returns_a_row() {
    let site = site(&job(
        "J",
        "job_addl_criteria = \"SELECT 1 FROM files WHERE file_url = 'IL-hq.tdf' AND rows > 1\"",
    ));
    submit(&site, "IL-1.tdf", "1", "1.00");
    submit(&site, "IL-hq.tdf", "hq", "2.00");
    support::run_until_idle(&site);
    assert_eq!(
        support::explained(&site, "J", "job_addl_criteria"),
        (false, "the query returned no row".to_owned())
    );
    assert_eq!(support::state(&site, RUNS), ["0"]);

    site.submit("IL-hq.tdf", line("hq", "2.00", 4, "A", DAY).repeat(2));
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 1.00 - -", "hq A 2026-03-01 4.00 - -"]
    );
}

#[test]
fn a_criterion_that_is_wrong_says_so_and_keeps_the_job_waiting() {
    let site = site(&job("J", "job_addl_criteria = \"DELETE FROM job_run\""));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    let (holds, facts) = support::explained(&site, "J", "job_addl_criteria");
    assert!(!holds && facts.contains("DELETE"), "{facts}");
    assert_eq!(support::state(&site, RUNS), ["0"]);
}

#[test]
fn at_its_deadline_a_job_runs_incomplete_and_again_when_the_late_file_comes() {
    // A zone in which it is about noon, so that the deadline is on the same day whenever this test runs.
    let site = site(&job("J", "min_files = 4\ndeadline = \"23:59:59\""));
    support::run_until_idle(&site);
    let hour: i32 = support::state(&site, "SELECT strftime('%H', 'now')")[0]
        .parse()
        .expect("an hour is a number");
    let offset = 12 - hour;
    // In the names of these zones, east is minus.
    let zone = format!("Etc/GMT{:+}", -offset);
    support::state(
        &site,
        &format!(
            "UPDATE aggr_job_configuration SET job_params = json_set(job_params, '$.time_zone', '{zone}')"
        ),
    );
    for store in ["1", "2", "3"] {
        submit(&site, &format!("IL-{store}.tdf"), store, "1.00");
    }
    support::run_until_idle(&site);
    let service = support::service(&site);
    assert_eq!(support::state(&site, RUNS), ["0"]);
    assert_eq!(
        support::explained(&site, "J", "min_files").1,
        "3 of 4 files validated"
    );

    // Nothing but the clock makes it run some seconds later.
    let deadline = &support::state(&site, "SELECT strftime('%Y-%m-%dT%H:%M:%S', 'now', '+4 seconds')")[0];
    support::state(
        &site,
        &format!(
            "UPDATE aggr_job_configuration SET job_params = \
             json_set(job_params, '$.deadline', strftime('%H:%M:%S', '{deadline}', '{offset} hours'))"
        ),
    );
    support::wait_for_state(&site, COMPLETED, "1");
    let first = "SELECT cause || ' ' || incomplete || ' ' || completeness_percent || ' ' || \
                 (queued_timestamp >= '{deadline}') FROM job_run ORDER BY sequence";
    let first = first.replace("{deadline}", deadline);
    assert_eq!(support::state(&site, &first), ["deadline 1 75.0 1"]);
    assert_eq!(rows(&site).len(), 3);

    submit(&site, "IL-4.tdf", "4", "1.00");
    support::wait_for_state(&site, COMPLETED, "2");
    assert!(service.terminate().status.success());
    assert_eq!(
        support::state(&site, &first),
        ["deadline 1 75.0 1", "preconditions 0 100.0 1"]
    );
    assert_eq!(rows(&site).len(), 4);
    // The wave is complete: the passed deadline is no reason to run once more.
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, RUNS), ["2"]);
}

#[test]
fn a_paused_job_waits_until_it_is_resumed() {
    let site = site(&job("J", ""));
    support::run_until_idle(&site);
    site.run_ok(["jobs", "pause", "J"]);
    support::run_until_idle(&site);
    let service = support::service(&site);
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::wait_for_state(&site, VALIDATED, "1");
    assert!(!support::explained(&site, "J", "enabled").0);
    let resumed = &support::state(&site, "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")[0];
    site.run_ok(["jobs", "resume", "J"]);
    support::wait_for_state(&site, COMPLETED, "1");
    assert!(service.terminate().status.success());
    assert!(&support::state(&site, "SELECT queued_timestamp FROM job_run")[0] > resumed);
    assert_eq!(rows(&site), ["1 A 2026-03-01 1.00 - -"]);
}

#[test]
fn a_job_follows_another_once_for_each_of_its_completions() {
    let before = "[[job]]\nid = \"before\"\nfeed = \"sales\"\nfiles = \"CA-*.tdf\"\n";
    let site = site(&format!(
        "{before}{}",
        job("then", "trigger = \"any\"\nafter = [\"before\"]")
    ));
    let completed =
        "SELECT group_concat(job_config_id, ' ') FROM (SELECT * FROM job_run ORDER BY finished_timestamp)";
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, RUNS), ["0"]);

    submit(&site, "CA-9.tdf", "9", "9.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, completed), ["before then"]);

    // A new file is not enough: the other job has not completed since.
    submit(&site, "IL-1.tdf", "1", "2.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, RUNS), ["2"]);
    assert!(!support::explained(&site, "then", "after before").0);

    submit(&site, "CA-9.tdf", "9", "8.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, completed), ["before then before then"]);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 2.00 - -", "9 A 2026-03-01 8.00 - -"]
    );
}

#[test]
fn a_dated_job_runs_day_by_day() {
    let jobs = "[[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = \"IL-{store}-{date:%Y%m%d}.tdf\"\nmin_files = 2\n\
                requires = [{ files = \"Item-{date}.tdf\" }]";
    let site = site(jobs);
    let submit = |store: &str, day: &str, amount: &str| {
        let name = format!("IL-{store}-{}.tdf", day.replace('-', ""));
        site.submit(name, line(store, amount, 4, "A", day));
    };
    let waves = "SELECT wave || ' ' || (SELECT count(*) FROM job_run_input i WHERE i.run_id = r.run_id) \
                 FROM job_run r ORDER BY sequence";
    site.submit("Item-2026-03-01.tdf", "A\tNuggets\n");
    submit("1", "2026-03-01", "1.00");
    submit("1", "2026-03-02", "1.50");
    submit("2", "2026-03-02", "2.50");
    support::run_until_idle(&site);
    assert_eq!(
        support::state(&site, RUNS),
        ["0"],
        "the first day lacks a file, the second its items"
    );

    submit("2", "2026-03-01", "2.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, waves), ["2026-03-01 2"]);
    site.submit("Item-2026-03-02.tdf", "A\tNuggets\n");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, waves), ["2026-03-01 2", "2026-03-02 2"]);

    // A correction of the first day is a new wave of that day alone.
    submit("1", "2026-03-01", "1.10");
    submit("2", "2026-03-01", "2.00");
    support::run_until_idle(&site);
    assert_eq!(
        support::state(&site, waves),
        ["2026-03-01 2", "2026-03-02 2", "2026-03-01 2"]
    );
    assert_eq!(
        rows(&site),
        [
            "1 A 2026-03-01 1.10 - -",
            "1 A 2026-03-02 1.50 - -",
            "2 A 2026-03-01 2.00 - -",
            "2 A 2026-03-02 2.50 - -",
        ]
    );
}

#[test]
fn trigger_all_waits_for_every_file_and_trigger_any_for_one() {
    let site = site(&format!(
        "{}{}",
        job("all", "min_files = 2\ntrigger = \"all\""),
        job("any", "min_files = 2\ntrigger = \"any\"")
    ));
    let runs = "SELECT (SELECT count(*) FROM job_run WHERE job_config_id = 'all') || ' ' || \
                (SELECT count(*) FROM job_run WHERE job_config_id = 'any')";
    submit(&site, "IL-1.tdf", "1", "1.00");
    submit(&site, "IL-2.tdf", "2", "2.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, runs), ["1 1"]);

    submit(&site, "IL-1.tdf", "1", "1.50");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, runs), ["1 2"]);
    let (_, facts) = support::explained(&site, "all", "trigger = \"all\"");
    assert!(
        facts.contains(
            "; seen before, not yet in this wave: IL-2.tdf; if a store has closed: `gristmill withdraw"
        ),
        "{facts}"
    );

    // The same bytes report, too.
    submit(&site, "IL-2.tdf", "2", "2.00");
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, runs), ["2 3"]);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 1.50 - -", "2 A 2026-03-01 2.00 - -"]
    );
}

#[test]
fn jobs_apply_writes_the_settings_over_an_edit() {
    let site = site(&job("J", "min_files = 3"));
    support::run_until_idle(&site);
    support::state(&site, "UPDATE aggr_job_configuration SET job_min_file_count = 9");
    site.write_settings(&support::settings(support::SQLITE, &job("J", "min_files = 1")));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    assert_eq!(
        support::explained(&site, "J", "min_files").1,
        "1 of 9 files validated"
    );
    assert!(site.run_ok(["jobs", "list"]).contains("differs"));

    support::run_until_idle(&site);
    let service = support::service(&site);
    assert!(site.run_ok(["jobs", "apply"]).contains("J"));
    support::wait_for_state(&site, COMPLETED, "1");
    assert!(service.terminate().status.success());
    assert!(site.run_ok(["jobs", "apply"]).contains("Nothing to do"));
}

#[test]
fn a_job_that_cannot_be_read_stops_no_other() {
    let site = site(&format!("{}{}", job("bad", ""), job("good", "")));
    support::run_until_idle(&site);
    support::state(
        &site,
        "UPDATE aggr_job_configuration SET job_params = '{\"min_byte\": 1}' WHERE job_config_id = 'bad'",
    );
    submit(&site, "IL-1.tdf", "1", "1.00");
    let finished = site.run(["run", "--until-idle"]);
    assert!(
        finished.stderr.contains("job_params") && finished.stderr.contains("min_byte"),
        "{finished}"
    );
    assert_eq!(
        support::state(&site, "SELECT job_config_id || ' ' || state FROM job_run"),
        ["good COMPLETED"]
    );
    let explained = site.run(["explain", "bad"]);
    assert!(!explained.status.success());
    assert!(explained.stderr.contains("min_byte"), "{explained}");

    support::state(
        &site,
        "UPDATE aggr_job_configuration SET job_params = '{}' WHERE job_config_id = 'bad'",
    );
    support::run_until_idle(&site);
    assert_eq!(support::state(&site, COMPLETED), ["2"]);
}

#[test]
fn a_run_that_fails_stops_no_other_and_a_retry_mends_it() {
    let bad = "[[job]]\nid = \"bad\"\nfeed = \"sales\"\nfiles = \"CA-*.tdf\"\nmin_files = 2\n";
    let site = site(&format!("{bad}{}", job("good", "")));
    submit(&site, "CA-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    let partial = &support::state(&site, "SELECT partial_object FROM versions")[0];
    let partial = site.folder().join("lake").join(partial);
    let whole = fs::read(&partial).expect("the partial can be read");
    fs::write(&partial, "not Parquet").expect("the partial can be written");
    // Otherwise it would be made anew.
    fs::remove_file(site.incoming().join("CA-1.tdf")).expect("the file was submitted");
    fs::remove_dir_all(site.folder().join("lake/converted")).expect("the lake has converted rows");

    submit(&site, "CA-2.tdf", "2", "2.00");
    submit(&site, "IL-3.tdf", "3", "3.00");
    let finished = site.run(["run", "--until-idle"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert_eq!(
        support::state(
            &site,
            "SELECT job_config_id || ' ' || state FROM job_run ORDER BY 1"
        ),
        ["bad FAILED", "good COMPLETED"]
    );
    let cause = &support::state(&site, "SELECT error FROM job_run WHERE state = 'FAILED'")[0];
    assert!(!cause.is_empty());
    assert_eq!(rows(&site), ["3 A 2026-03-01 3.00 - -"]);

    fs::write(&partial, whole).expect("the partial can be written");
    site.run_ok(["retry"]);
    assert_eq!(
        rows(&site),
        [
            "1 A 2026-03-01 1.00 - -",
            "2 A 2026-03-01 2.00 - -",
            "3 A 2026-03-01 3.00 - -",
        ]
    );
}

#[test]
fn the_same_bytes_sent_again_after_an_outage_are_loaded() {
    let site = site(&job("IL", ""));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    support::sqlite(
        &site,
        "CREATE TRIGGER closed BEFORE UPDATE ON sales_summary BEGIN SELECT RAISE(ABORT, 'stocktaking'); END",
    );
    submit(&site, "IL-1.tdf", "1", "2.00");
    let finished = site.run(["run", "--until-idle"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    support::sqlite(&site, "DROP TRIGGER closed");
    support::run_until_idle(&site);
    assert_eq!(rows(&site), ["1 A 2026-03-01 1.00 - -"], "nothing was sent since");
    submit(&site, "IL-1.tdf", "1", "2.00");
    support::run_until_idle(&site);
    assert_eq!(rows(&site), ["1 A 2026-03-01 2.00 - -"]);
}

#[test]
fn a_run_by_hand_before_the_province_is_complete_leaves_the_wave_open() {
    let site = site(&job("IL", "min_files = 2"));
    submit(&site, "IL-1.tdf", "1", "1.00");
    support::run_until_idle(&site);
    site.run_ok(["jobs", "run", "IL"]);
    assert_eq!(rows(&site), ["1 A 2026-03-01 1.00 - -"]);
    submit(&site, "IL-2.tdf", "2", "2.00");
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 1.00 - -", "2 A 2026-03-01 2.00 - -"]
    );
    assert_eq!(
        support::state(
            &site,
            "SELECT cause || ' ' || incomplete || ' ' || completeness_percent FROM job_run ORDER BY sequence"
        ),
        ["manual 1 50.0", "preconditions 0 100.0"]
    );
}

#[test]
fn a_replay_in_the_middle_of_a_wave_leaves_the_files_of_today_fresh() {
    let site = site(&job("IL", "min_files = 2"));
    submit(&site, "IL-1.tdf", "1", "1.00");
    submit(&site, "IL-2.tdf", "2", "1.00");
    support::run_until_idle(&site);
    let until = support::state(&site, "SELECT max(submitted) FROM submissions").remove(0);

    submit(&site, "IL-1.tdf", "1", "2.00");
    support::run_until_idle(&site);
    site.run_ok(["replay", "IL", "--from", "2020-01-01", "--to", &until]);
    let yesterday = ["1 A 2026-03-01 1.00 - -", "2 A 2026-03-01 1.00 - -"];
    assert_eq!(rows(&site), yesterday);
    support::run_until_idle(&site);
    assert_eq!(rows(&site), yesterday, "the wave waits for its last file");
    let (_, facts) = support::explained(&site, "IL", "trigger = \"all\"");
    assert!(facts.starts_with("1 of 2 files submitted"), "{facts}");

    submit(&site, "IL-2.tdf", "2", "2.00");
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        ["1 A 2026-03-01 2.00 - -", "2 A 2026-03-01 2.00 - -"]
    );
}

fn site(jobs: &str) -> Site {
    support::site(&support::settings(support::SQLITE, jobs))
}

/// A job over the Illinois files, with further keys.
fn job(id: &str, keys: &str) -> String {
    format!("[[job]]\nid = \"{id}\"\nfeed = \"sales\"\nfiles = \"IL-{{store}}.tdf\"\n{keys}\n")
}

/// A store sends a file with one line of item A.
fn submit(site: &Site, file: &str, store: &str, amount: &str) {
    site.submit(file, line(store, amount, 4, "A", DAY));
}

/// The rows of the warehouse.
fn rows(site: &Site) -> Vec<String> {
    told(&support::sqlite_rows(site))
}
