//! Jobs that a cluster merges: the same summaries, and one clear outcome whatever becomes of the cluster.
//!
//! The cluster is Sail. `GRISTMILL_SPARK=sc://…` names a Spark that sees this host's folders and is asked too.

use std::fs;
use std::path::Path;

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::oracle::{self, Options};
use gristmill_testkit::sail::{Mode, Sail};

use crate::support::{
    SQLITE, adding, explained, line, loads, parquet_rows, run_until_idle, settings, site, sqlite_rows, state,
    told,
};

/// A job over all sales files that a cluster merges.
const JOB: &str = "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"**/*-*.tdf\"\ntrigger = \"any\"\n";

/// Settings in which that job is merged by the cluster at `url`.
fn on_cluster(url: &str, warehouse_and_feeds: &str) -> String {
    format!("{warehouse_and_feeds}\nengine = \"cluster\"\n[cluster]\nurl = \"{url}\"\n")
}

/// The addresses of all clusters that are asked.
fn clusters(sails: &[Sail]) -> Vec<String> {
    let spark = std::env::var("GRISTMILL_SPARK").ok();
    sails.iter().map(Sail::url).chain(spark).collect()
}

fn both_modes() -> [Sail; 2] {
    [Mode::Local, Mode::LocalCluster].map(Sail::start)
}

/// The bytes of the summary and the coverage of the last run.
fn summary(site: &Site) -> [Vec<u8>; 2] {
    let objects = state(
        site,
        "SELECT summary_object || ' ' || coverage_object FROM job_run ORDER BY sequence DESC LIMIT 1",
    );
    let (summary, coverage) = objects[0].split_once(' ').expect("both have a name");
    [summary, coverage]
        .map(|object| fs::read(site.folder().join("lake").join(object)).expect("the lake has the summary"))
}

/// Submits files, and has them merged on this host and on each cluster: everything must be equal, and nothing of the
/// clusters stays. Returns a site that a cluster merged for.
fn compare(urls: &[String], settings: &str, submit: impl Fn(&Site)) -> Vec<Site> {
    let here = site(settings);
    submit(&here);
    run_until_idle(&here);
    let expected = (sqlite_rows(&here), summary(&here));
    let sites = urls.iter().map(|url| {
        let there = site(&on_cluster(url, settings));
        submit(&there);
        run_until_idle(&there);
        assert_eq!(sqlite_rows(&there), expected.0, "{url}");
        assert!(summary(&there) == expected.1, "{url}: other bytes");
        assert_eq!(left_behind(&there), 0, "{url}");
        assert_eq!(loads(&there), loads(&here), "{url}");
        assert_eq!(
            state(
                &there,
                "SELECT count(*) FROM job_run WHERE cluster_operation IS NULL"
            ),
            ["0"],
            "{url}"
        );
        there
    });
    sites.collect()
}

/// How many files of clusters the lake has.
fn left_behind(site: &Site) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else {
            return 0;
        };
        let entries = entries.map(|entry| entry.expect("the folder can be read").path());
        entries
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&site.folder().join("lake/cluster"))
}

#[test]
fn a_dirty_feed_is_merged_alike_here_and_there() {
    let sails = both_modes();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 20,
        files: 60,
        lines_per_file: 60,
        stores: 25,
        items: 12,
        days: 5,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    let files = spec.write_to(folder.path()).expect("the spec is possible");
    let sites = compare(&clusters(&sails), &adding(settings(SQLITE, JOB)), |site| {
        for file in &files {
            let name = file.file_name().expect("a file has a name");
            site.submit(name, fs::read(file).expect("the feed can be read"));
        }
    });
    let expected = oracle::summary(&files, Options::default());
    assert!(expected.len() > 300);
    for site in &sites {
        assert_eq!(sqlite_rows(site), expected);
        let object = &state(site, "SELECT summary_object FROM runs")[0];
        assert_eq!(parquet_rows(&site.folder().join("lake").join(object)), expected);
    }
}

#[test]
fn sums_of_18_digits_returns_and_absent_amounts_are_exact() {
    let sails = both_modes();
    let lines = |name: &str, lines: &[(&str, u8, &str)]| {
        let lines = lines.iter();
        let text: String = lines
            .map(|(amount, code, item)| line("1", amount, *code, item, "2026-03-01"))
            .collect();
        (name.to_owned(), text)
    };
    let files = [
        lines(
            "a b-1.tdf",
            &[
                ("9999999999999999.99", 4, "most"),
                ("-0.01", 5, "most"),
                ("-7", 6, "returns"),
            ],
        ),
        lines(
            "c%é-2.tdf",
            &[("-9999999999999999.99", 4, "least"), ("0.00", 5, "zero")],
        ),
        lines(
            "d-3.tdf",
            &[("9999999999999999.98", 4, "both"), ("0.01", 4, "both")],
        ),
    ];
    let last = [
        line("1", "-9999999999999999.99", 5, "most", "2026-03-01"),
        line("1", "5", 13, "ignored", "2026-03-01"),
    ];
    // At the limit in one file, and beyond it where the last one meets another.
    let sites = compare(&clusters(&sails), &adding(settings(SQLITE, JOB)), |site| {
        for (name, text) in &files {
            site.submit(name, text);
        }
        run_until_idle(site);
        site.submit("e-4.tdf", last.concat());
    });
    for site in &sites {
        let rows = told(&sqlite_rows(site));
        assert!(rows.iter().any(|row| row.contains("returns")), "{rows:?}");
        let held = state(site, "SELECT reason FROM held");
        assert!(
            held.len() == 1 && held[0].contains("does not fit decimal(18,2)"),
            "{held:?}"
        );
    }
}

#[test]
fn the_newest_file_of_a_day_counts_there_too() {
    let sails = both_modes();
    let by_day = settings(SQLITE, JOB).replacen(
        "name = \"sales\"",
        "name = \"sales\"\nsupersede = \"store-day\"\nshrink_percent = 0",
        1,
    );
    compare(&clusters(&sails), &by_day, |site| {
        let day =
            |store: &str, amount: &str, day: u8| line(store, amount, 4, "i", &format!("2026-03-0{day}"));
        // Whole files that count, some of whose days do, and one of which none does.
        let waves = [
            [day("1", "10", 1), day("1", "11", 2), day("it's", "12", 1)].concat(),
            [day("1", "20", 2), day("2", "21", 1)].concat(),
            [day("1", "30", 2), day("1", "31", 3), day("it's", "32", 2)].concat(),
            day("3", "40", 1),
        ];
        for (wave, text) in waves.iter().enumerate() {
            let path = site.submit(format!("W{wave}-x.tdf"), text);
            let file = fs::File::open(path).expect("the file is there");
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_780_000_000 + wave as u64);
            file.set_modified(written).expect("the time can be set");
        }
    });
}

#[test]
fn days_without_sales_are_merged_alike_here_and_there() {
    let sails = both_modes();
    let closed = settings(SQLITE, JOB)
        .replacen(
            "[[feed]]\nname = \"items\"",
            "[feed.records]\nempty = \"no-sales\"\n[[feed]]\nname = \"items\"",
            1,
        )
        .replacen(
            "\"*-*.tdf\"",
            "\"A-{store}-{date:%Y%m%d}.tdf\"\nshrink_percent = 0",
            1,
        );
    let by_day = closed.replacen(
        "name = \"sales\"",
        "name = \"sales\"\nsupersede = \"store-day\"",
        1,
    );
    for settings in [closed, by_day] {
        let sites = compare(&clusters(&sails), &settings, |site| {
            let sales = |store, day| line(store, "12.50", 4, "i", &format!("2026-03-0{day}"));
            site.submit("A-1-20260301.tdf", sales("1", 1));
            site.submit("A-2-20260301.tdf", sales("2", 1));
            site.submit("A-3-20260301.tdf", "");
            run_until_idle(site);
            // One store's day is empty after all, and another store was closed on the next.
            site.submit("A-2-20260301.tdf", "");
            site.submit("A-1-20260302.tdf", "");
        });
        for site in &sites {
            let valid = "SELECT count(*) FROM ingested_file_status WHERE last_update_status = 'VALIDATED'";
            assert_eq!(state(site, valid), ["4"]);
            assert_eq!(told(&sqlite_rows(site)), ["1 i 2026-03-01 12.50 - -"]);
        }
    }
}

/// A site with one small file, whose job is merged by the cluster at `url`.
fn small(url: &str) -> Site {
    let site = site(&on_cluster(url, &settings(SQLITE, JOB)));
    site.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
    site
}

/// The operation of the one run, once it is recorded.
const OPERATION: &str = "SELECT cluster_operation FROM job_run WHERE cluster_operation IS NOT NULL";

fn wait_for_operation(site: &Site) {
    let database = site.folder().join("state.db");
    wait_until("the operation is recorded", || {
        // At first it is empty, and has no tables.
        database.exists() && site.run(["runs"]).status.success() && !state(site, OPERATION).is_empty()
    });
}

/// Asserts that the one run was loaded once, and that nothing is left behind.
fn assert_loaded_once(site: &Site) {
    assert_eq!(told(&sqlite_rows(site)), ["1 i 2026-03-01 12.50 - -"]);
    assert_eq!(
        state(site, "SELECT state || ' ' || outcome FROM job_run"),
        ["COMPLETED LOADED"]
    );
    assert_eq!(loads(site), 1);
    assert_eq!(left_behind(site), 0);
}

#[test]
fn a_run_waits_for_a_cluster_that_is_absent() {
    let mut sail = Sail::stopped(Mode::Local);
    let site = small(&sail.url());
    let waits = site.run(["run", "--until-idle"]);
    assert!(!waits.status.success(), "{waits}");
    assert_eq!(state(&site, "SELECT state FROM job_run"), ["QUEUED"]);
    let reason = &state(&site, "SELECT reason FROM waiting")[0];
    assert!(
        reason.contains(&format!(
            "cannot connect to the cluster at 127.0.0.1:{}",
            sail.port
        )),
        "{reason}"
    );
    let status = site.run(["status"]).stdout;
    assert!(status.contains("cannot connect to the cluster"), "{status}");
    sail.restart();
    run_until_idle(&site);
    assert_loaded_once(&site);
}

#[test]
fn a_cluster_that_is_restarted_in_the_middle_is_asked_anew() {
    let mut sail = Sail::start(Mode::Local);
    let site = small(&sail.url());
    sail.pause();
    let run = site.start(["run", "--until-idle"]);
    wait_for_operation(&site);
    let begun = state(&site, OPERATION);
    // What is recorded is shown while it goes on.
    let shown = site.run_ok(["runs"]);
    assert!(shown.contains("on the cluster"), "{shown}");
    let listed = site.run_ok(["runs", "--json"]);
    assert!(listed.contains(&begun[0]), "{listed}");
    sail.restart();
    let ended = run.wait();
    assert!(ended.status.success(), "{ended}");
    assert_ne!(state(&site, OPERATION), begun);
    assert_loaded_once(&site);
}

#[test]
fn a_killed_gristmill_finds_its_operation_again() {
    let sail = Sail::start(Mode::Local);
    let site = small(&sail.url());
    sail.pause();
    let run = site.start(["run", "--until-idle"]);
    wait_for_operation(&site);
    run.kill();
    sail.go_on();
    let ended = site.run(["run", "--until-idle"]);
    assert!(
        ended.status.success() && ended.stderr.contains("attaches to the operation"),
        "{ended}"
    );
    assert_loaded_once(&site);
}

#[test]
fn a_gristmill_that_dies_once_the_cluster_is_done_loads_once() {
    let sail = Sail::start(Mode::Local);
    for point in ["before-cluster", "after-cluster", "after-summary", "after-forget"] {
        let mut site = small(&sail.url());
        site.set_variable("FAILPOINTS", &format!("{point}=panic"));
        let died = site.run(["run", "--until-idle"]);
        assert_eq!(died.status.code(), None, "{point} was not reached: {died}");
        site.clear_variable("FAILPOINTS");
        run_until_idle(&site);
        assert_loaded_once(&site);
    }
}

#[test]
fn an_operation_is_ended_when_gristmill_is_stopped() {
    let sail = Sail::start(Mode::Local);
    let site = small(&sail.url());
    sail.pause();
    let run = site.start(["run"]);
    wait_for_operation(&site);
    let ended = run.terminate();
    assert!(
        ended
            .stderr
            .contains("gristmill was stopped, so the cluster's operation was ended"),
        "{ended}"
    );
    assert_eq!(state(&site, "SELECT state FROM job_run"), ["QUEUED"]);
    sail.go_on();
    run_until_idle(&site);
    assert_loaded_once(&site);
}

#[test]
fn an_operation_is_let_go_of_when_this_host_is_to_merge() {
    let mut sail = Sail::start(Mode::Local);
    let site = small(&sail.url());
    sail.pause();
    let run = site.start(["run", "--until-idle"]);
    wait_for_operation(&site);
    run.kill();
    sail.restart();
    site.write_settings(&on_cluster(&sail.url(), &settings(SQLITE, JOB)).replacen(
        "engine = \"cluster\"",
        "engine = \"local\"",
        1,
    ));
    site.run_ok(["jobs", "apply"]);
    let ended = site.run(["run", "--until-idle"]);
    assert!(
        ended.status.success() && ended.stderr.contains("because this host merges now"),
        "{ended}"
    );
    assert!(state(&site, OPERATION).is_empty());
    assert_loaded_once(&site);
}

#[test]
fn what_a_cluster_cannot_do_fails_the_run_with_its_reason() {
    let sail = Sail::start(Mode::Local);
    let site = small(&sail.url());
    let elsewhere = format!(
        "{}\nlake = \"file:///nowhere\"\n",
        on_cluster(&sail.url(), &settings(SQLITE, JOB))
    );
    site.write_settings(&elsewhere);
    let failed = site.run(["run", "--until-idle"]);
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    let error = &state(&site, "SELECT state || ': ' || error FROM job_run")[0];
    assert!(error.starts_with("FAILED: the cluster failed: "), "{error}");
    assert_eq!(loads(&site), 0);
    // With the right lake, a person has it tried again.
    site.write_settings(&on_cluster(&sail.url(), &settings(SQLITE, JOB)));
    let run = state(&site, "SELECT run_id FROM job_run");
    site.run_ok(["retry", &run[0]]);
    run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["1 i 2026-03-01 12.50 - -"]);
    assert_eq!((loads(&site), left_behind(&site)), (1, 0));
}

#[test]
fn a_result_that_is_not_what_the_files_hold_is_not_loaded() {
    let sail = Sail::start(Mode::Local);
    let here = site(&settings(SQLITE, JOB));
    here.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
    run_until_idle(&here);
    // The cluster sees a copy of the lake: what it writes there does not arrive.
    let lake = here.folder().join("lake");
    let other = site(&format!(
        "{}\nlake = \"file://{}\"\n",
        on_cluster(&sail.url(), &settings(SQLITE, JOB)),
        lake.display()
    ));
    other.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
    let failed = other.run(["run", "--until-idle"]);
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    let error = &state(&other, "SELECT state || ': ' || error FROM job_run")[0];
    assert!(
        error.starts_with(
            "FAILED: the cluster's result is not what the files hold: it has no rows for 1 of the 1 days"
        ),
        "{error}"
    );
    assert_eq!(loads(&other), 0);
}

#[test]
fn auto_takes_the_cluster_beyond_so_many_rows_and_explain_tells() {
    let sail = Sail::start(Mode::Local);
    let auto = |most: u32| {
        let engine = format!("engine = \"auto\"\ncluster_rows = {most}");
        on_cluster(&sail.url(), &settings(SQLITE, JOB)).replacen("engine = \"cluster\"", &engine, 1)
    };
    for (most, place, operations) in [(1, "this host", "0"), (0, "the cluster", "1")] {
        let site = site(&auto(most));
        site.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
        run_until_idle(&site);
        let (holds, facts) = explained(&site, "all", "engine");
        assert!(
            holds && facts.starts_with(&format!("{place} merges: the files have 1 rows")),
            "{facts}"
        );
        assert_eq!(
            state(&site, "SELECT count(cluster_operation) FROM job_run"),
            [operations]
        );
        assert_loaded_once(&site);
    }
}
