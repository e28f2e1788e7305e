//! What an operator's desk needs: one bad value stops one job, commands that read need nothing else, and everything says
//! what is going on.

use std::io::Read;
use std::process::{Command, Stdio};

use gristmill_testkit::gristmill::{Site, wait_until};

use crate::support::{self, SQLITE, json, line, settings, site, state, told};

const NO_TIME: &str = "2026-02-30T99:00:00.000000Z";

const TWO_JOBS: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
[[job]]
id = \"CA\"
feed = \"sales\"
files = \"CA-{store}.tdf\"
trigger = \"any\"
";

fn mill() -> Site {
    site(&settings(SQLITE, TWO_JOBS))
}

fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "BUN", "2026-03-01")
}

/// Writes what the state database refuses, as an earlier version allowed.
fn garble(site: &Site, table: &str, sql: &str) {
    for event in ["added", "changed"] {
        state(site, &format!("DROP TRIGGER {table}_values_{event}"));
    }
    state(site, &sql.replace('?', NO_TIME));
}

#[test]
fn one_impossible_value_stops_its_own_job_alone() {
    for (table, sql) in [
        (
            "aggr_job_configuration",
            "UPDATE aggr_job_configuration SET last_run_timestamp = '?' WHERE job_config_id = 'IL'",
        ),
        (
            "ingested_file_status",
            "UPDATE ingested_file_status SET last_validated_timestamp = '?' WHERE file_url = 'IL-1.tdf'",
        ),
        (
            "job_run",
            "UPDATE job_run SET queued_timestamp = '?' WHERE job_config_id = 'IL'",
        ),
    ] {
        let site = mill();
        site.submit("IL-1.tdf", sale("S1", "1.00"));
        site.submit("CA-1.tdf", sale("S2", "1.00"));
        support::run_until_idle(&site);
        garble(&site, table, sql);
        site.submit("IL-2.tdf", sale("S3", "3.00"));
        site.submit("CA-2.tdf", sale("S4", "4.00"));
        let run = site.run(["run", "--until-idle"]);
        assert_eq!(run.status.code(), Some(0), "{table}: {run}");
        assert!(run.stderr.contains(NO_TIME), "{table}: the log tells: {run}");
        assert_eq!(
            told(&support::sqlite_rows(&site)).len(),
            3,
            "{table}: only the other job has run"
        );
        let status = site.run_ok(["status"]);
        assert!(
            status.contains(NO_TIME) && status.contains("impossible"),
            "{table}: {status}"
        );
        let explained = site.run(["explain", "IL"]);
        assert_eq!(explained.status.code(), Some(3), "{table}: {explained}");
        assert!(explained.stdout.contains(NO_TIME), "{table}: {explained}");
        assert_eq!(site.run(["explain", "CA"]).status.code(), Some(0));
    }
}

#[test]
fn a_stamp_that_no_file_has_is_mended_by_reading_the_file_again() {
    let site = mill();
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    support::run_until_idle(&site);
    garble(
        &site,
        "ingested_file_status",
        "UPDATE ingested_file_status SET stamp_bytes = -5",
    );
    support::run_until_idle(&site);
    let bytes = state(&site, "SELECT stamp_bytes FROM ingested_file_status");
    assert_eq!(bytes, [sale("S1", "1.00").len().to_string()]);
}

#[test]
fn commands_that_read_do_not_need_the_password_of_the_warehouse() {
    let site = mill();
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    support::run_until_idle(&site);
    site.write_settings(&settings("postgres://u:${GRISTMILL_NOWHERE}@h/mart", TWO_JOBS));
    for command in [
        &["status"][..],
        &["files"],
        &["runs"],
        &["jobs", "list"],
        &["jobs", "history"],
        &["explain", "IL"],
        &["rejects", "IL-1.tdf"],
        &["check", "incoming/IL-1.tdf"],
        &["check", "--diff", "incoming/IL-1.tdf"],
        &["jobs", "pause", "CA"],
    ] {
        site.run_ok(command);
    }
    for command in [
        &["run", "--until-idle"][..],
        &["load", "--verify"],
        &["trace", "S1", "BUN", "2026-03-01"],
    ] {
        let refused = site.run(command);
        assert_eq!(refused.status.code(), Some(2), "{refused}");
        assert!(
            refused.stderr.contains("GRISTMILL_NOWHERE is not set"),
            "{refused}"
        );
    }
}

#[test]
fn a_database_of_an_earlier_version_is_not_migrated_by_commands_that_read() {
    let site = mill();
    support::run_until_idle(&site);
    state(&site, "DELETE FROM _sqlx_migrations WHERE version >= 14");
    let refused = site.run(["status"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused.stderr.contains("restart the service with this gristmill"),
        "{refused}"
    );
    assert_eq!(
        state(&site, "SELECT count(*) FROM _sqlx_migrations WHERE version >= 14"),
        ["0"]
    );
}

#[test]
fn who_edited_a_job_is_kept_shown_and_logged() {
    let mut site = mill();
    site.set_variable("USER", "alice");
    site.set_variable("SUDO_USER", "");
    let service = support::service(&site);
    site.run_ok(["jobs", "pause", "IL"]);
    state(
        &site,
        "UPDATE aggr_job_configuration SET job_min_file_count = 3, job_params = '{\"deadline\":\"18:00\"}'
          WHERE job_config_id = 'IL'",
    );
    wait_until("the service tells of both edits", || {
        let log = service.stderr();
        log.contains("enabled: 1 → 0") && log.contains("min_files: 1 → 3")
    });
    let log = service.terminate().stderr;
    assert!(log.contains("alice by `gristmill jobs pause`"), "{log}");
    let history = site.run_ok(["jobs", "history", "IL"]);
    for word in [
        "alice",
        "jobs pause",
        "SQL",
        "deadline: not set → \"18:00\"",
        "added",
    ] {
        assert!(history.contains(word), "{word}: {history}");
    }
    let edits = json(&site.run_ok(["jobs", "history", "--json"]));
    assert_eq!(edits.as_array().map(Vec::len), Some(4), "{edits}");
    assert_eq!(edits[0]["before"]["min_files"], 1);
    assert_eq!(site.run(["jobs", "history", "XX"]).status.code(), Some(2));
}

#[test]
fn somebodys_select_is_stopped_in_time_and_in_bounds_while_others_are_judged() {
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT i FROM n WHERE length(randomblob(20000000)) < i - 1000000";
    let site = site(&settings(
        SQLITE,
        &TWO_JOBS.replacen(
            "id = \"IL\"",
            &format!("id = \"IL\"\njob_addl_criteria = \"\"\"{endless}\"\"\""),
            1,
        ),
    ));
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    site.submit("CA-1.tdf", sale("S2", "1.00"));
    let mut service = support::service(&site);
    let began = std::time::Instant::now();
    wait_until("the other job has run", || {
        state(&site, "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'") == ["1"]
    });
    assert!(service.is_running());
    let took = began.elapsed();
    let (holds, facts) = support::explained(&site, "IL", "job_addl_criteria");
    assert!(!holds && facts.contains("stopped after 5s"), "{facts}");
    service.terminate();
    assert!(took.as_secs() < 60, "{took:?}");
    // What takes too much memory is stopped at once.
    state(
        &site,
        "UPDATE aggr_job_configuration SET job_addl_criteria = 'SELECT length(randomblob(900000000))'
          WHERE job_config_id = 'IL'",
    );
    let (holds, facts) = support::explained(&site, "IL", "job_addl_criteria");
    assert!(!holds && facts.contains("too much memory"), "{facts}");
}

#[test]
fn a_pattern_of_any_length_is_refused_where_it_is_read() {
    let long = "**/".repeat(500_000);
    let refused =
        site(&settings(SQLITE, &TWO_JOBS.replace("IL-{store}.tdf", &long))).run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("more than 1000 characters") && refused.stderr.len() < 1_000);
    let site = mill();
    site.submit("CA-1.tdf", sale("S2", "1.00"));
    support::run_until_idle(&site);
    state(
        &site,
        &format!("UPDATE aggr_job_configuration SET job_input_pattern = '{long}' WHERE job_config_id = 'IL'"),
    );
    site.submit("CA-2.tdf", sale("S4", "4.00"));
    support::run_until_idle(&site);
    assert_eq!(told(&support::sqlite_rows(&site)).len(), 2);
    let status = site.run_ok(["status"]);
    assert!(status.contains("more than 1000 characters"), "{status}");
}

#[test]
fn a_command_whose_reader_is_gone_ends_quietly() {
    let site = mill();
    for store in 0..50 {
        site.submit(format!("IL-{store}.tdf"), sale("S1", "1.00"));
    }
    support::run_until_idle(&site);
    for arguments in [&["files"][..], &["files", "--json"], &["status"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gristmill"))
            .args(arguments)
            .current_dir(site.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is built");
        drop(child.stdout.take());
        let mut told = String::new();
        let stderr = child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut told).expect("it is text");
        let status = child.wait().expect("it ends");
        assert_eq!((status.code(), told.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn control_characters_of_ids_and_names_reach_no_terminal() {
    let site = mill();
    let odd = "S\u{1b}[31m1";
    site.submit(
        "IL-\u{1b}[2J1.tdf",
        line(odd, "1.00", 4, "B\u{7}UN", "2026-03-01"),
    );
    support::run_until_idle(&site);
    for command in [
        &["trace", odd, "B\u{7}UN", "2026-03-01"][..],
        &["status"],
        &["files"],
        &["explain", "IL"],
        &["check", "incoming/IL-\u{1b}[2J1.tdf"],
        &["run", "--until-idle"],
        &["load", "--verify"],
    ] {
        let finished = site.run(command);
        for (name, text) in [("output", &finished.stdout), ("log", &finished.stderr)] {
            let raw = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(raw, None, "{command:?}, {name}: {text:?}");
        }
    }
    assert!(site.run_ok(["files"]).contains("IL-\\u{1b}[2J1.tdf"));
}

#[test]
fn a_file_named_after_today_hides_no_wave_of_today() {
    let jobs = "[[job]]\nid = \"D\"\nfeed = \"sales\"\nfiles = \"D-{store}-{date}.tdf\"\nmin_files = 2\n";
    let site = site(&settings(SQLITE, jobs));
    let today = state_today();
    site.submit(format!("D-1-{today}.tdf"), line("1", "1.00", 4, "A", &today));
    site.submit("D-1-2099-01-01.tdf", line("1", "1.00", 4, "A", "2099-01-01"));
    let run = site.run(["run", "--until-idle"]);
    assert!(run.stderr.contains("more than a year ahead"), "{run}");
    let status = json(&site.run_ok(["status", "--json"]));
    assert_eq!(status["jobs"][0]["wave"], today, "{status}");
    assert_eq!(status["jobs"][0]["ahead"][0], "2099-01-01", "{status}");
    let shown = site.run_ok(["status"]);
    assert!(
        shown.contains("1 wave lies ahead of today: 2099-01-01"),
        "{shown}"
    );
}

/// Today in UTC, by SQLite's clock.
fn state_today() -> String {
    let site = mill();
    support::run_until_idle(&site);
    state(&site, "SELECT date('now')").remove(0)
}

#[test]
fn status_says_whether_the_service_is_alive() {
    let site = mill();
    let service = support::service(&site);
    let status = site.run_ok(["status"]);
    let told = format!("service: runs as process {} since 20", service.id());
    assert!(status.contains(&told), "{status}");
    assert_eq!(
        json(&site.run_ok(["status", "--json"]))["service"]["pid"],
        service.id()
    );
    service.terminate();
    let status = site.run_ok(["status"]);
    assert!(status.contains("service: not running"), "{status}");
}

#[test]
fn check_shows_what_the_file_holds_and_what_the_settings_miss() {
    let site = site(&settings(SQLITE, TWO_JOBS).replace("sale_amount = 4", "sale_amount = 40"));
    site.submit(
        "IL-1.tdf",
        sale("S1", "1.00") + &line("S1", "0.10", 5, "BUN", "2026-03-01"),
    );
    let checked = site.run_ok(["check", "incoming/IL-1.tdf"]);
    for word in [
        "1 × 4 (not asked for), 1 × 5 (tax_amount)",
        "store_id",
        "no line has code 6 (discount_amount) or 40 (sale_amount)",
    ] {
        assert!(checked.contains(word), "{word}: {checked}");
    }
    let run = site.run(["run", "--until-idle"]);
    assert!(
        run.stderr.contains("every row has NULL there") && run.stderr.contains("sale_amount"),
        "{run}"
    );
    std::fs::write(
        site.folder().join("IL-2.tdf"),
        sale("S1", "1.00").replace('\t', ";"),
    )
    .expect("it is ours");
    let checked = site.run(["check", "IL-2.tdf"]);
    assert!(checked.stdout.contains("`;`-separated"), "{checked}");
}

#[test]
fn check_shows_what_a_file_would_change() {
    let site = mill();
    site.submit(
        "IL-1.tdf",
        sale("S1", "1.00") + &line("S1", "2.00", 4, "BUN", "2026-03-02"),
    );
    support::run_until_idle(&site);
    assert!(
        site.run_ok(["check", "--diff", "incoming/IL-1.tdf"])
            .contains("are those of the version in force")
    );
    let held = site.incoming().join(".later");
    std::fs::create_dir(&held).expect("the folder is ours");
    std::fs::write(
        site.folder().join("IL-1.tdf"),
        sale("S1", "1.50") + &sale("S1", "1.00") + &line("S1", "2.00", 4, "BUN", "2026-03-02"),
    )
    .expect("the folder is ours");
    let compared = site.run_ok(["check", "--diff", "IL-1.tdf"]);
    assert!(
        compared.contains("2026-03-01: rows 1 → 2, sale_amount 1.00 → 2.50"),
        "{compared}"
    );
    assert!(!compared.contains("2026-03-02: rows"), "{compared}");
    std::fs::write(site.folder().join("IL-9.tdf"), sale("S9", "1.50")).expect("the folder is ours");
    assert!(
        site.run_ok(["check", "--diff", "IL-9.tdf"])
            .contains("all of it is new")
    );
}

#[test]
fn a_run_warns_of_stores_that_were_never_seen() {
    let site = mill();
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    let first = site.run(["run", "--until-idle"]);
    assert!(
        !first.stderr.contains("stores that no file had before"),
        "{first}"
    );
    site.submit("IL-1.tdf", sale("S1", "2.00"));
    let again = site.run(["run", "--until-idle"]);
    assert!(
        !again.stderr.contains("stores that no file had before"),
        "{again}"
    );
    site.submit("IL-2.tdf", sale("S2", "1.00"));
    let new = site.run(["run", "--until-idle"]);
    assert!(new.stderr.contains("stores that no file had before: S2"), "{new}");
}

#[test]
fn a_raw_at_sign_in_a_password_names_no_other_host() {
    for password in ["hun@ter2", "hun/t@er2"] {
        let bad = settings(&format!("postgres://u:{password}@db.example/mart"), TWO_JOBS);
        let refused = site(&bad).run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(2), "{refused}");
        assert!(
            refused.stderr.contains("%40") && !refused.stderr.contains("er2"),
            "{refused}"
        );
    }
}
