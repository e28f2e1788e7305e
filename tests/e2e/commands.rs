//! Every command as a person uses it: what it prints, what it does, and its exit status.

use std::fs;
use std::path::PathBuf;

use gristmill_testkit::gristmill::{Finished, Site};
use gristmill_testkit::oracle::{self, Options, Row};

use crate::support::{
    SQLITE, json, parquet_rows, run_until_idle, settings, site, sqlite, sqlite_rows, sqlite_rows_in, state,
};

const JOBS: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-{store}.tdf"
min_files = 2
trigger = "any"
[[job]]
id = "CA"
feed = "sales"
files = "CA-{store}.tdf"
min_files = 25
"#;

/// A good file of a store: two buns a day, on two days.
fn good(store: &str) -> String {
    ["2026-03-01", "2026-03-02"]
        .map(|date| format!("{store}\t1.25\t4\tBUN\t{date}\n{store}\t1.25\t4\tBUN\t{date}\n{store}\t0.20\t5\tBUN\t{date}\n"))
        .concat()
}

/// The same with a bad line at its end, and enough good ones for the file to be accepted.
fn with_a_bad_line(store: &str) -> String {
    format!("{}{store}\ttwelve\t4\tBUN\t2026-03-01\n", good(store).repeat(2))
}

/// A site before anything has run.
fn fresh() -> Site {
    site(&settings(SQLITE, JOBS))
}

/// A site where Illinois is complete and loaded, with one bad line in IL-2.tdf.
fn mill() -> Site {
    let site = fresh();
    site.submit("IL-1.tdf", good("S1"));
    site.submit("IL-2.tdf", with_a_bad_line("S2"));
    run_until_idle(&site);
    site
}

/// The summary of the files that lie in the source, by the oracle.
fn expected(site: &Site, files: &[&str]) -> Vec<Row> {
    let files: Vec<PathBuf> = files.iter().map(|name| site.incoming().join(name)).collect();
    oracle::summary(&files, Options::default())
}

/// Runs a command that must end with this status and say all of these words.
fn says<'a>(
    site: &Site,
    status: i32,
    arguments: &[&str],
    words: impl IntoIterator<Item = &'a str>,
) -> Finished {
    let finished = site.run(arguments);
    assert_eq!(finished.status.code(), Some(status), "{arguments:?}: {finished}");
    for word in words {
        let is_said = finished.stdout.contains(word) || finished.stderr.contains(word);
        assert!(is_said, "{word:?} is not in {arguments:?}: {finished}");
    }
    if status == 2 {
        assert_eq!(finished.stdout, "", "what is wrong belongs on standard error");
    }
    finished
}

/// The newest run of a job.
fn newest_run(site: &Site, job: &str) -> serde_json::Value {
    json(&site.run_ok(["runs", "--job", job, "--json"]))[0].clone()
}

#[test]
fn the_demo_shows_everything_and_a_second_one_leaves_the_first_alone() {
    let site = fresh();
    let shown = says(
        &site,
        0,
        &["demo"],
        [
            "18 files",
            "California waits",
            "missing stores: 2031, 2040",
            "… 123 rows in all",
            "Try next",
        ],
    );
    let folder = site.folder().join("gristmill-demo");
    let illinois: Vec<_> = fs::read_dir(folder.join("incoming"))
        .expect("the demo made its source")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("IL-"))
        })
        .collect();
    assert_eq!(
        sqlite_rows_in(&site, "gristmill-demo/warehouse.db"),
        oracle::summary(&illinois, Options::default())
    );
    let settings_before = fs::read(folder.join("gristmill.toml")).expect("the demo wrote its settings");
    let state_before = fs::read(folder.join("state.db")).expect("the demo made its state");
    says(
        &site,
        0,
        &["demo"],
        ["gristmill-demo-2/incoming", "… 123 rows in all"],
    );
    assert_eq!(
        fs::read(folder.join("gristmill.toml")).expect("it is still there"),
        settings_before
    );
    assert_eq!(
        fs::read(folder.join("state.db")).expect("it is still there"),
        state_before
    );
    says(
        &site,
        1,
        &["demo", "gristmill-demo"],
        ["gristmill-demo", "does not exist yet"],
    );

    let (_, advice) = shown
        .stdout
        .split_once("Try next:\n")
        .expect("it says what to try");
    assert_eq!(advice.lines().count(), 3, "{advice}");
    for command in advice.lines() {
        let arguments: Vec<_> = command.split_whitespace().skip(1).collect();
        let waits = arguments[0] == "explain";
        let finished = site.run(&arguments);
        assert_eq!(
            finished.status.code(),
            Some(if waits { 3 } else { 0 }),
            "{finished}"
        );
        assert!(!finished.stdout.is_empty(), "{command}");
    }
}

#[test]
fn init_writes_settings_that_work_and_overwrites_nothing() {
    let site = fresh();
    fs::create_dir(site.folder().join("new")).expect("the site can be written");
    let file = site.folder().join("new/gristmill.toml");
    says(
        &site,
        0,
        &["init", "new/gristmill.toml"],
        ["Wrote new/gristmill.toml", "new/data/incoming"],
    );
    let written = fs::read_to_string(&file).expect("init wrote it");
    says(
        &site,
        0,
        &["run", "--until-idle", "-c", "new/gristmill.toml"],
        ["0 failed"],
    );
    says(
        &site,
        2,
        &["init", "new/gristmill.toml"],
        ["new/gristmill.toml already exists"],
    );
    assert_eq!(fs::read_to_string(&file).expect("it is still there"), written);

    // Every key that is commented out is one that there is, with a value that it can have.
    let is_key = |line: &str| {
        let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = "));
        key.is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let all: Vec<_> = written
        .lines()
        .map(|line| if is_key(line) { &line[2..] } else { line })
        .collect();
    assert!(
        written.lines().filter(|line| is_key(line)).count() > 10,
        "{written}"
    );
    fs::write(&file, all.join("\n")).expect("the site can be written");
    says(
        &site,
        0,
        &["jobs", "apply", "-c", "new/gristmill.toml"],
        ["Applied from the settings file: J101"],
    );
    says(
        &site,
        3,
        &["explain", "J101", "-c", "new/gristmill.toml"],
        ["0 of 13 stores", "after J100", "18:00 C"],
    );
}

#[test]
fn run_tells_what_it_did_and_says_so_by_its_status() {
    let site = mill();
    says(
        &site,
        0,
        &["run", "--until-idle"],
        ["files: 0 validated, 0 unchanged, 0 rejected, 0 failed; runs: 0 completed, 0 failed"],
    );
    site.submit("IL-1.tdf", good("S1").replace("1.25", "1.50"));
    site.submit("IL-3.tdf", "");
    says(
        &site,
        0,
        &["run", "--until-idle"],
        ["1 validated", "1 rejected", "1 completed"],
    );
    assert_eq!(sqlite_rows(&site), expected(&site, &["IL-1.tdf", "IL-2.tdf"]));
}

#[test]
fn check_tells_what_a_file_would_do_and_does_nothing() {
    let site = fresh();
    site.submit("IL-1.tdf", with_a_bad_line("S1"));
    site.submit("IL-2.tdf", "S2\tx\t4\tBUN\t2026-03-01\n");
    site.submit("other.csv", "a,b\n");
    says(
        &site,
        0,
        &["check", "incoming/IL-1.tdf"],
        [
            "IL-1.tdf: feed sales; would be validated",
            "13 lines = 12 rows + 0 ignored + 0 skipped + 1 rejects",
            "twelve",
        ],
    );
    says(
        &site,
        1,
        &["check", "incoming/IL-1.tdf", "incoming/IL-2.tdf"],
        ["IL-2.tdf: feed sales; would be rejected:"],
    );
    says(
        &site,
        2,
        &["check", "incoming/other.csv"],
        ["no feed matches it", "*-*.tdf", "Item*"],
    );
    says(
        &site,
        1,
        &["check", "incoming/IL-9.tdf"],
        ["cannot find", "IL-9.tdf"],
    );
    let checked = json(
        &site
            .run(["check", "incoming/IL-1.tdf", "incoming/IL-2.tdf", "--json"])
            .stdout,
    );
    assert_eq!(
        (&checked[0]["rows"], &checked[0]["rejects"]),
        (&12.into(), &1.into())
    );
    assert!(checked[0]["rejected_because"].is_null() && checked[1]["rejected_because"].is_string());
    assert_eq!(checked[0]["first_rejects"][0]["line_number"], 13);
    let left: Vec<_> = fs::read_dir(site.folder())
        .expect("the site can be read")
        .collect();
    assert_eq!(left.len(), 2, "only the source and the settings: {left:?}");
}

#[test]
fn commands_that_read_make_no_state_where_nothing_has_run() {
    let site = fresh();
    for arguments in [
        &["status"][..],
        &["files"],
        &["runs"],
        &["jobs", "list"],
        &["explain", "IL"],
        &["rejects", "IL-1.tdf"],
        &["trace", "S1", "BUN", "2026-03-01"],
        &["retry"],
        &["jobs", "pause", "IL"],
    ] {
        says(&site, 2, arguments, ["nothing has run yet", "gristmill run"]);
    }
    assert!(!site.folder().join("state.db").exists());
}

#[test]
fn status_shows_files_jobs_and_runs() {
    let site = mill();
    let run = newest_run(&site, "IL");
    let run = run["run_id"].as_str().expect("a run has an id");
    says(
        &site,
        0,
        &["status"],
        ["files: 2 VALIDATED", "COMPLETED", run, "0 of 25 files validated"],
    );
    let status = json(&site.run_ok(["status", "--json"]));
    assert_eq!(status["files"]["VALIDATED"], 2);
    assert_eq!(status["jobs"].as_array().expect("a list").len(), 2);
    assert_eq!(status["runs"][0]["run_id"], run);
}

#[test]
fn explain_names_every_precondition_with_its_facts() {
    let site = mill();
    says(
        &site,
        3,
        &["explain", "CA"],
        ["job CA: waits", "0 of 25 files validated", "not running"],
    );
    says(
        &site,
        0,
        &["explain", "IL"],
        [
            "job IL: complete since 20",
            "; nothing new since",
            "2 of 2 files validated",
            "0 of 2 files submitted since run",
        ],
    );
    says(
        &site,
        2,
        &["explain", "NY"],
        ["there is no job `NY`", "gristmill jobs list"],
    );
    let verdicts = json(&says(&site, 3, &["explain", "CA", "--json"], []).stdout);
    assert_eq!(verdicts[0]["state"], "waiting");
    let checks = verdicts[0]["checks"].as_array().expect("a list");
    let min_files = checks
        .iter()
        .find(|check| check["name"] == "min_files")
        .expect("it is named");
    assert_eq!(min_files["holds"], false);
    assert_eq!(min_files["data"]["needed"], 25);
    let verdicts = json(&site.run_ok(["explain", "IL", "--json"]));
    assert_eq!(verdicts[0]["state"], "complete");
    assert_eq!(verdicts[0]["done"]["completeness_percent"], 100.0);
}

#[test]
fn files_lists_each_file_with_its_counts() {
    let site = mill();
    site.submit("IL-1.tdf", "");
    run_until_idle(&site);
    let listed = says(
        &site,
        0,
        &["files"],
        ["IL-1.tdf", "REJECTED", "IL-2.tdf", "VALIDATED"],
    );
    let of_2: Vec<_> = listed
        .stdout
        .lines()
        .find(|line| line.contains("IL-2.tdf"))
        .expect("it is listed")
        .split_whitespace()
        .collect();
    let counts = ["13", "12", "0", "0", "1"];
    assert!(of_2.windows(5).any(|words| words == counts), "{of_2:?}");
    let of_1: Vec<_> = listed
        .stdout
        .lines()
        .find(|line| line.contains("IL-1.tdf"))
        .expect("it is listed")
        .split_whitespace()
        .collect();
    assert_eq!(
        of_1[6..11],
        ["0"; 5],
        "the counts are those of the rejected version"
    );
    let rejected = json(&site.run_ok(["files", "--status", "rejected", "--json"]));
    assert_eq!(rejected.as_array().expect("a list").len(), 1);
    assert_eq!(rejected[0]["file_url"], "IL-1.tdf");
    assert_eq!(
        (
            &rejected[0]["refused"]["lines"],
            &rejected[0]["in_force"]["lines"]
        ),
        (&0.into(), &6.into())
    );
    assert_eq!(rejected[0]["jobs"][0], "IL");
    site.submit("CA-1.tdf", good("S8"));
    run_until_idle(&site);
    let names = |arguments: &[&str]| {
        let listed = json(&site.run_ok([&["files", "--json"], arguments].concat()));
        let names = listed.as_array().expect("a list").iter();
        names
            .map(|file| file["file_url"].as_str().expect("a path").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["--job", "IL"]), ["IL-1.tdf", "IL-2.tdf"]);
    assert_eq!(names(&["--store", "1"]), ["CA-1.tdf", "IL-1.tdf"]);
    assert_eq!(names(&["--store", "1", "--job", "CA"]), ["CA-1.tdf"]);
    assert_eq!(
        site.run_ok(["files", "--no-job"]),
        "Every file to aggregate belongs to a job.\n"
    );
    assert_eq!(
        site.run_ok(["files", "--status", "failed"]),
        "No file is FAILED.\n"
    );
    assert_eq!(
        site.run_ok(["files", "--feed", "items"]),
        "No file is like that.\n"
    );
    says(&site, 2, &["files", "--job", "NY"], ["there is no job `NY`"]);
    says(
        &site,
        2,
        &["files", "--status", "fine"],
        ["--status", "fine", "validated, held, rejected, failed"],
    );
    says(
        &site,
        2,
        &["files", "--feed", "sale"],
        ["--feed", "sale", "sales, items"],
    );
}

#[test]
fn jobs_can_be_listed_and_edited_jobs_written_over_on_request() {
    let site = mill();
    let list = || site.run_ok(["jobs", "list"]);
    assert!(list().contains("same") && !list().contains("differs"));
    state(
        &site,
        "UPDATE aggr_job_configuration SET job_min_file_count = 7 WHERE job_config_id = 'IL'",
    );
    assert!(list().contains("differs"));
    let jobs = json(&site.run_ok(["jobs", "list", "--json"]));
    let illinois = jobs
        .as_array()
        .expect("a list")
        .iter()
        .find(|job| job["id"] == "IL");
    assert_eq!(illinois.expect("it is listed")["min_files"], 7);
    says(
        &site,
        0,
        &["jobs", "apply"],
        ["Applied from the settings file: IL"],
    );
    assert!(!list().contains("differs"));
    says(&site, 0, &["jobs", "apply"], ["Nothing to do"]);
}

#[test]
fn a_paused_job_waits_until_it_is_resumed() {
    let site = mill();
    says(&site, 0, &["jobs", "pause", "IL"], ["Job IL is paused."]);
    site.submit("IL-3.tdf", good("S3"));
    says(
        &site,
        0,
        &["run", "--until-idle"],
        ["1 validated", "runs: 0 completed"],
    );
    says(&site, 3, &["explain", "IL"], ["paused: `gristmill jobs resume`"]);
    assert!(site.run_ok(["jobs", "list"]).contains("paused"));
    says(&site, 0, &["jobs", "resume", "IL"], ["Job IL is enabled."]);
    run_until_idle(&site);
    assert_eq!(
        sqlite_rows(&site),
        expected(&site, &["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"])
    );
    for action in ["pause", "resume", "run"] {
        says(&site, 2, &["jobs", action, "NY"], ["there is no job `NY`"]);
    }
}

#[test]
fn jobs_run_does_not_ask_for_preconditions() {
    let site = mill();
    says(
        &site,
        2,
        &["jobs", "run", "CA"],
        ["job CA: no validated file matches CA-{store}.tdf"],
    );
    says(
        &site,
        2,
        &["jobs", "run", "IL", "--date", "2026-03-01"],
        ["leave --date out"],
    );
    site.submit("CA-1.tdf", good("S8"));
    run_until_idle(&site);
    assert_eq!(sqlite_rows(&site), expected(&site, &["IL-1.tdf", "IL-2.tdf"]));
    says(
        &site,
        0,
        &["jobs", "run", "CA"],
        ["Queued run CA-", "1 completed"],
    );
    assert_eq!(
        sqlite_rows(&site),
        expected(&site, &["IL-1.tdf", "IL-2.tdf", "CA-1.tdf"])
    );
    assert_eq!(newest_run(&site, "CA")["cause"], "manual");
}

#[test]
fn runs_lists_the_newest_first() {
    let site = mill();
    site.submit("IL-1.tdf", good("S1").replace("1.25", "2.00"));
    run_until_idle(&site);
    let runs = json(&site.run_ok(["runs", "--json"]));
    let runs = runs.as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    assert!(runs[0]["queued"].as_str() > runs[1]["queued"].as_str());
    assert_eq!(runs[0]["changes"]["updated"], 2, "two days of one store");
    says(
        &site,
        0,
        &["runs"],
        [
            "COMPLETED",
            "preconditions",
            "100 %",
            "+4 ~0 -0 =0",
            "+0 ~2 -0 =2",
        ],
    );
    assert_eq!(
        json(&site.run_ok(["runs", "--limit", "1", "--json"]))
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let run_ids = |arguments: &[&str]| {
        let listed = json(&site.run_ok([&["runs", "--json"], arguments].concat()));
        listed.as_array().map(Vec::len)
    };
    assert!(
        runs[0]["duration_seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds >= 0.0)
    );
    let (newer, older) = (&runs[0]["queued"], &runs[1]["queued"]);
    assert_eq!(run_ids(&["--since", newer.as_str().expect("a time")]), Some(1));
    assert_eq!(run_ids(&["--since", older.as_str().expect("a time")]), Some(2));
    assert_eq!(run_ids(&["--since", "2001-01-01", "--job", "IL"]), Some(2));
    assert_eq!(run_ids(&["--incomplete"]), Some(0));
    says(&site, 2, &["runs", "--since", "spring"], ["--since", "spring"]);
    let took = site.run_ok(["runs"]);
    assert!(
        took.contains("took") && took.contains(" s ") && took.contains("Z "),
        "{took}"
    );
    site.submit("CA-1.tdf", good("S8"));
    run_until_idle(&site);
    site.run_ok(["jobs", "run", "CA"]);
    assert_eq!(run_ids(&["--incomplete"]), Some(1));
    assert!(site.run_ok(["runs", "--incomplete"]).contains(" 4 % "));
    assert_eq!(
        site.run_ok(["runs", "--job", "CA", "--since", "2999-01-01"]),
        "No run is like that.\n"
    );
    says(&site, 2, &["runs", "--job", "NY"], ["there is no job `NY`"]);
}

#[test]
fn rejects_shows_each_line_with_number_reason_and_text() {
    let site = mill();
    says(
        &site,
        0,
        &["rejects", "IL-2.tdf"],
        ["IL-2.tdf", "13", "amount", "twelve"],
    );
    assert_eq!(site.run_ok(["rejects", "IL-1.tdf"]), "No rejects.\n");
    // A file that is good again shows nothing of what was wrong in between.
    let in_between = good("S1").replace("1.25", "one");
    site.submit("IL-1.tdf", in_between);
    run_until_idle(&site);
    says(&site, 0, &["rejects", "IL-1.tdf"], ["rejected as a whole"]);
    site.submit("IL-1.tdf", good("S1"));
    run_until_idle(&site);
    assert_eq!(site.run_ok(["rejects", "IL-1.tdf"]), "No rejects.\n");
    let rejects = json(&site.run_ok(["rejects", "IL-2.tdf", "--json"]));
    assert_eq!(rejects[0]["text"], "S2\ttwelve\t4\tBUN\t2026-03-01");
    assert_eq!(rejects[0]["line_number"], 13);
    site.submit("IL-3.tdf", "a\nb\nc\n");
    run_until_idle(&site);
    says(
        &site,
        0,
        &["rejects", "IL-3.tdf", "--limit", "2"],
        [
            "IL-3.tdf is rejected as a whole",
            "2 of 3 rejects; --limit shows more",
        ],
    );
    says(
        &site,
        2,
        &["rejects", "IL-9.tdf"],
        ["IL-9.tdf", "gristmill files"],
    );
}

#[test]
fn a_failed_run_is_told_and_retried_on_request() {
    let site = mill();
    assert_eq!(site.run_ok(["retry"]), "Nothing has failed.\n");
    sqlite(
        &site,
        "CREATE TRIGGER closed BEFORE UPDATE ON sales_summary BEGIN SELECT RAISE(ABORT, 'stocktaking'); END",
    );
    site.submit("IL-1.tdf", good("S1").replace("1.25", "2.00"));
    says(
        &site,
        1,
        &["run", "--until-idle"],
        ["1 failed", "stocktaking", "gristmill retry"],
    );
    let failed = newest_run(&site, "IL");
    assert_eq!(failed["state"], "FAILED");
    let run_id = failed["run_id"].as_str().expect("a run has an id");
    says(&site, 0, &["status"], [run_id, "FAILED", "stocktaking"]);
    says(&site, 1, &["retry", run_id], [run_id, "1 failed"]);
    // A failed run is not tried again by itself, and other work is not held up by it.
    says(
        &site,
        0,
        &["run", "--until-idle"],
        ["runs: 0 completed, 0 failed"],
    );
    sqlite(&site, "DROP TRIGGER closed");
    says(&site, 0, &["retry"], ["Retrying run IL-", "1 completed"]);
    assert_eq!(sqlite_rows(&site), expected(&site, &["IL-1.tdf", "IL-2.tdf"]));
    assert_eq!(site.run_ok(["retry"]), "Nothing has failed.\n");
    says(
        &site,
        2,
        &["retry", run_id],
        ["has completed since", "`gristmill jobs run IL`"],
    );
    says(
        &site,
        2,
        &["retry", "nothing-known"],
        ["nothing-known", "neither a file nor a run"],
    );
}

#[test]
fn retry_reads_a_file_again_that_is_fine() {
    let site = mill();
    says(
        &site,
        0,
        &["retry", "IL-1.tdf"],
        ["Reading again: IL-1.tdf", "1 unchanged"],
    );
}

#[test]
fn replay_brings_back_what_was_submitted_in_a_span_and_jobs_run_returns() {
    let site = mill();
    let before = sqlite_rows(&site);
    let moment = |sql: &str| state(&site, sql).remove(0);
    let first = moment("SELECT min(submitted) FROM submissions");
    let last = moment("SELECT max(submitted) FROM submissions");
    site.submit(
        "IL-1.tdf",
        good("S1")
            .replace("1.25", "9.99")
            .replace("BUN\t2026-03-02", "BAP\t2026-03-02"),
    );
    run_until_idle(&site);
    let after = sqlite_rows(&site);
    assert_ne!(before, after);

    says(
        &site,
        0,
        &["replay", "IL", "--from", &first, "--to", &last],
        ["Queued run IL-", "1 completed"],
    );
    assert_eq!(sqlite_rows(&site), before);
    assert_eq!(newest_run(&site, "IL")["cause"], "replay");
    // What was replayed stays until somebody returns to the files in force.
    says(&site, 0, &["run", "--until-idle"], ["runs: 0 completed"]);
    assert_eq!(sqlite_rows(&site), before);
    says(&site, 0, &["jobs", "run", "IL"], ["1 completed"]);
    assert_eq!(sqlite_rows(&site), after);

    says(
        &site,
        0,
        &["replay", "--from", "2020-01-01", "--to", "2020-12-31"],
        ["No file of these jobs"],
    );
    says(
        &site,
        2,
        &["replay", "--from", "2020-01-02", "--to", "2020-01-01"],
        ["later than"],
    );
    says(
        &site,
        2,
        &["replay", "--from", "spring", "--to", "2020-01-01"],
        ["--from", "spring", "2026-11-01T06:00"],
    );
    says(
        &site,
        2,
        &["replay", "NY", "--from", "2020-01-01", "--to", "2020-01-01"],
        ["there is no job `NY`"],
    );
}

#[test]
fn trace_tells_where_a_row_comes_from_and_whether_the_warehouse_agrees() {
    let site = mill();
    let run = newest_run(&site, "IL");
    let run = run["run_id"].as_str().expect("a run has an id");
    let key = ["trace", "S1", "BUN", "2026-03-01"];
    says(
        &site,
        0,
        &key,
        [
            run,
            "IL-1.tdf",
            "recomputed:   sale_amount 2.50, tax_amount 0.20, discount_amount –",
            "They agree.",
        ],
    );
    let traced = json(&site.run_ok([&key[..], &["--json"]].concat()));
    assert_eq!(traced["agrees"], true);
    assert_eq!(traced["run"]["run_id"], run);
    let file = &traced["files"][0];
    assert_eq!(file["path"], "IL-1.tdf");
    assert_eq!(file["lines"].as_array().map(Vec::len), Some(3));
    assert_eq!(file["content_hash"].as_str().map(str::len), Some(64));

    let good_rows = sqlite_rows(&site);
    sqlite(
        &site,
        "UPDATE sales_summary SET sale_amount = '2.51' WHERE store_id = 'S1' AND trans_date = '2026-03-01'",
    );
    says(
        &site,
        1,
        &key,
        [
            "recomputed:   sale_amount 2.50",
            "warehouse:    sale_amount 2.51",
            "THEY DIFFER",
            "gristmill jobs run IL",
        ],
    );
    sqlite(
        &site,
        "DELETE FROM sales_summary WHERE store_id = 'S1' AND trans_date = '2026-03-01'",
    );
    says(&site, 1, &key, ["warehouse:    no row", "THEY DIFFER"]);
    // The advice works.
    says(&site, 0, &["jobs", "run", "IL"], ["1 completed"]);
    assert_eq!(sqlite_rows(&site), good_rows);
    says(&site, 0, &key, ["They agree."]);

    says(
        &site,
        0,
        &["trace", "S9", "BAP", "2026-03-01"],
        ["No run has a line of store S9, item BAP, 2026-03-01."],
    );
    sqlite(
        &site,
        "INSERT INTO sales_summary (store_id, item_id, trans_date) VALUES ('S9', 'BAP', '2026-03-01')",
    );
    says(
        &site,
        1,
        &["trace", "S9", "BAP", "2026-03-01"],
        ["yet the warehouse has that row"],
    );
}

#[test]
fn aggregate_needs_neither_settings_nor_state() {
    let site = fresh();
    fs::remove_file(site.folder().join("gristmill.toml")).expect("the site can be written");
    site.submit("IL-1.tdf", good("S1"));
    site.submit("IL-2.tdf", with_a_bad_line("S2"));
    site.submit("below/CA-3.tdf", good("S3"));
    fs::create_dir(site.folder().join("empty")).expect("the site can be written");
    let out = site.folder().join("out.parquet");

    says(
        &site,
        0,
        &["aggregate", "incoming", "-o", "out.parquet"],
        [
            "3 files, 25 lines = 24 rows + 0 ignored + 0 skipped + 1 rejects → 6 keys in out.parquet",
            "1 rejects: amount",
        ],
    );
    assert_eq!(
        parquet_rows(&out),
        expected(&site, &["IL-1.tdf", "IL-2.tdf", "below/CA-3.tdf"])
    );
    says(
        &site,
        0,
        &[
            "aggregate",
            "incoming/IL-1.tdf",
            "incoming/below",
            "-o",
            "out.parquet",
        ],
        ["2 files"],
    );
    assert_eq!(
        parquet_rows(&out),
        expected(&site, &["IL-1.tdf", "below/CA-3.tdf"])
    );

    let before = fs::read(&out).expect("it is there");
    says(
        &site,
        2,
        &["aggregate", "empty", "-o", "out.parquet"],
        ["no file"],
    );
    says(
        &site,
        1,
        &["aggregate", "incoming", "incoming/IL-9.tdf", "-o", "out.parquet"],
        ["IL-9.tdf", "No such file"],
    );
    says(
        &site,
        1,
        &["aggregate", "incoming", "-o", "nowhere/out.parquet"],
        ["nowhere"],
    );
    assert_eq!(
        fs::read(&out).expect("it is there"),
        before,
        "a failure leaves what was there"
    );

    site.submit("IL-2.tdf", "no\nsales\n");
    says(
        &site,
        1,
        &["aggregate", "incoming", "-o", "out.parquet"],
        ["rejected as a whole: incoming/IL-2.tdf", "3 files"],
    );
    assert_eq!(
        parquet_rows(&out),
        expected(&site, &["IL-1.tdf", "below/CA-3.tdf"])
    );
    says(
        &site,
        1,
        &["aggregate", "incoming/IL-2.tdf", "-o", "none.parquet"],
        ["none.parquet was not written"],
    );
    let left: Vec<_> = fs::read_dir(site.folder())
        .expect("the site can be read")
        .collect();
    assert_eq!(
        left.len(),
        3,
        "the source, the empty folder and the output: {left:?}"
    );
}

/// The commands that a help text lists.
fn listed_in(help: &str) -> Vec<&str> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, listed)| listed);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    // What goes on in a second line is indented further.
    names.filter(|name| !name.is_empty() && *name != "help").collect()
}

#[test]
fn every_command_has_help_that_teaches() {
    let site = fresh();
    let general = site.run_ok(["--help"]);
    let mut commands: Vec<Vec<&str>> = listed_in(&general).into_iter().map(|name| vec![name]).collect();
    assert!(commands.len() > 20, "{general}");
    while let Some(command) = commands.pop() {
        let help = site.run_ok([&command[..], &["--help"]].concat());
        let (told, _) = help
            .split_once("Usage: gristmill")
            .unwrap_or_else(|| panic!("{command:?}: {help}"));
        let least = if command.len() == 1 { 15 } else { 5 };
        assert!(
            told.split_whitespace().count() >= least,
            "{command:?} says nothing of itself: {help}"
        );
        assert!(help.lines().all(|line| line.len() <= 140), "{help}");
        for name in listed_in(&help) {
            let name = name.to_owned().leak();
            commands.push([&command[..], &[name]].concat());
        }
    }
}
