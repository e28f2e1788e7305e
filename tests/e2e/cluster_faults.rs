//! Whatever becomes of a cluster, of its result or of gristmill, a run has one clear outcome.
//!
//! The engines are those of `cluster.rs`: Sail, and Spark in the long form.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::spark_connect::{ConnectServer, Engine};
use gristmill_testkit::tls::{Authority, terminate};
use gristmill_testkit::venv;

use crate::cluster::{JOB, engines, left_behind, on_cluster};
use crate::support::{
    SQLITE, adding, line, loads, run_until_idle, settings, site, sqlite_rows, state, told, unguarded,
    wait_for_state,
};

/// Runs tests with each engine.
macro_rules! every_engine {
    ($($name:ident),* $(,)?) => {
        mod every_engine {
            $(#[test] fn $name() { super::engines().into_iter().for_each(super::$name) })*
        }
    };
}

every_engine!(
    a_run_waits_for_a_cluster_that_is_absent,
    a_cluster_that_is_restarted_in_the_middle_is_asked_anew,
    a_killed_gristmill_finds_its_operation_again,
    a_gristmill_that_dies_once_the_cluster_is_done_loads_once,
    a_stop_says_that_an_operation_could_not_be_ended,
    an_operation_is_let_go_of_when_this_host_is_to_merge,
    what_a_cluster_cannot_do_fails_the_run_with_its_reason,
    a_result_that_is_not_what_the_files_hold_is_not_loaded,
    a_result_that_lost_a_row_of_a_day_of_several_files_is_not_loaded,
    a_run_whose_partials_are_gone_ends_alike_here_and_there,
    spark_lets_in_its_token_and_nothing_else,
    a_token_is_told_only_to_a_server_whose_certificate_is_trusted,
);

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

fn a_run_waits_for_a_cluster_that_is_absent(engine: Engine) {
    let mut server = ConnectServer::stopped(engine);
    let site = small(&server.url());
    let waits = site.run(["run", "--until-idle"]);
    assert!(!waits.status.success(), "{waits}");
    assert_eq!(state(&site, "SELECT state FROM job_run"), ["QUEUED"]);
    let reason = &state(&site, "SELECT reason FROM waiting")[0];
    assert!(
        reason.contains(&format!(
            "cannot connect to the cluster at 127.0.0.1:{}",
            server.port
        )),
        "{reason}"
    );
    let status = site.run(["status"]).stdout;
    assert!(status.contains("cannot connect to the cluster"), "{status}");
    server.restart();
    run_until_idle(&site);
    assert_loaded_once(&site);
}

fn a_cluster_that_is_restarted_in_the_middle_is_asked_anew(engine: Engine) {
    let mut server = ConnectServer::start(engine);
    let site = small(&server.url());
    server.pause();
    let run = site.start(["run"]);
    wait_for_operation(&site);
    let begun = state(&site, OPERATION);
    // What is recorded is shown while it goes on.
    let shown = site.run_ok(["runs"]);
    assert!(shown.contains("on the cluster"), "{shown}");
    let listed = site.run_ok(["runs", "--json"]);
    assert!(listed.contains(&begun[0]), "{listed}");
    server.restart();
    wait_for_state(&site, "SELECT state FROM job_run", "COMPLETED");
    let ended = run.terminate();
    assert!(ended.status.success(), "{ended}");
    assert_ne!(state(&site, OPERATION), begun);
    assert_loaded_once(&site);
}

fn a_killed_gristmill_finds_its_operation_again(engine: Engine) {
    let server = ConnectServer::start(engine);
    let site = small(&server.url());
    server.pause();
    let run = site.start(["run", "--until-idle"]);
    wait_for_operation(&site);
    run.kill();
    server.go_on();
    let ended = site.run(["run", "--until-idle"]);
    assert!(
        ended.status.success() && ended.stderr.contains("attaches to the operation"),
        "{ended}"
    );
    assert_loaded_once(&site);
}

fn a_gristmill_that_dies_once_the_cluster_is_done_loads_once(engine: Engine) {
    let server = ConnectServer::start(engine);
    for point in ["before-cluster", "after-cluster", "after-summary", "after-forget"] {
        let mut site = small(&server.url());
        site.set_variable("FAILPOINTS", &format!("{point}=panic"));
        let died = site.run(["run", "--until-idle"]);
        assert_eq!(died.status.code(), None, "{point} was not reached: {died}");
        site.clear_variable("FAILPOINTS");
        run_until_idle(&site);
        assert_loaded_once(&site);
    }
}

fn a_stop_says_that_an_operation_could_not_be_ended(engine: Engine) {
    let server = ConnectServer::start(engine);
    let site = small(&server.url());
    server.pause();
    let run = site.start(["run"]);
    wait_for_operation(&site);
    let ended = run.terminate();
    assert!(
        ended.stderr.contains("may go on, because it could not be ended"),
        "{ended}"
    );
    assert_eq!(state(&site, "SELECT state FROM job_run"), ["QUEUED"]);
    server.go_on();
    run_until_idle(&site);
    assert_loaded_once(&site);
}

fn an_operation_is_let_go_of_when_this_host_is_to_merge(engine: Engine) {
    for (has_cluster, told) in [
        (true, "because this host merges now"),
        (false, "on a cluster that the settings no longer have"),
    ] {
        let mut server = ConnectServer::start(engine);
        let site = small(&server.url());
        server.pause();
        let run = site.start(["run", "--until-idle"]);
        wait_for_operation(&site);
        run.kill();
        server.restart();
        let local = match has_cluster {
            true => on_cluster(&server.url(), &settings(SQLITE, JOB)).replacen(
                "engine = \"cluster\"",
                "engine = \"local\"",
                1,
            ),
            false => settings(SQLITE, JOB),
        };
        site.write_settings(&local);
        site.run_ok(["jobs", "apply"]);
        let ended = site.run(["run", "--until-idle"]);
        assert!(ended.status.success() && ended.stderr.contains(told), "{ended}");
        assert!(state(&site, OPERATION).is_empty());
        assert_loaded_once(&site);
    }
}

fn what_a_cluster_cannot_do_fails_the_run_with_its_reason(engine: Engine) {
    let server = ConnectServer::start(engine);
    let site = small(&server.url());
    let elsewhere = format!(
        "{}\nlake = \"file:///nowhere\"\n",
        on_cluster(&server.url(), &settings(SQLITE, JOB))
    );
    site.write_settings(&elsewhere);
    let failed = site.run(["run", "--until-idle"]);
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    let error = &state(&site, "SELECT state || ': ' || error FROM job_run")[0];
    assert!(error.starts_with("FAILED: the cluster failed: "), "{error}");
    assert_eq!(loads(&site), 0);
    // With the right lake, a person has it tried again.
    site.write_settings(&on_cluster(&server.url(), &settings(SQLITE, JOB)));
    let run = state(&site, "SELECT run_id FROM job_run");
    site.run_ok(["retry", &run[0]]);
    run_until_idle(&site);
    assert_eq!(told(&sqlite_rows(&site)), ["1 i 2026-03-01 12.50 - -"]);
    assert_eq!((loads(&site), left_behind(&site)), (1, 0));
}

fn a_result_that_is_not_what_the_files_hold_is_not_loaded(engine: Engine) {
    let server = ConnectServer::start(engine);
    let here = site(&settings(SQLITE, JOB));
    here.submit("IL-1.tdf", line("1", "12.50", 4, "i", "2026-03-01"));
    run_until_idle(&here);
    // The cluster sees a copy of the lake: what it writes there does not arrive.
    let lake = here.folder().join("lake");
    let other = site(&format!(
        "{}\nlake = \"file://{}\"\n",
        on_cluster(&server.url(), &settings(SQLITE, JOB)),
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

/// Removes a row from a partial: that of this item.
fn lose(partial: &Path, item: &str) {
    const SCRIPT: &str = r#"
import duckdb, os, sys
partial, item = sys.argv[1:]
rows = lambda: duckdb.sql(f"SELECT count(*) FROM read_parquet('{partial}')").fetchall()[0][0]
before, other = rows(), partial + ".other"
duckdb.execute(f"COPY (SELECT * FROM read_parquet('{partial}') WHERE item_id <> '{item}') TO '{other}' (FORMAT parquet)")
os.replace(other, partial)
assert rows() == before - 1
"#;
    let mut python = Command::new(venv::python());
    let done = python.args(["-c", SCRIPT]).arg(partial).arg(item).output();
    let done = done.expect("the tests' Python runs");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
}

fn a_result_that_lost_a_row_of_a_day_of_several_files_is_not_loaded(engine: Engine) {
    let server = ConnectServer::start(engine);
    let adding = adding(settings(SQLITE, JOB));
    let sale = |amount, item| line("1", amount, 4, item, "2026-03-01");
    // The second file takes off what the first adds, so that the totals without signs allow for less than is there.
    let files = [
        ("a-1.tdf", sale("10", "i") + &sale("2", "j")),
        ("b-2.tdf", sale("-3", "i") + &sale("-1", "k")),
    ];
    let submit = |site: &Site| {
        files
            .iter()
            .for_each(|(name, text)| drop(site.submit(name, text)))
    };
    let here = site(&adding);
    submit(&here);
    run_until_idle(&here);
    let good = here.folder().join("lake/partials/sales");
    for (file, item) in [("a-1.tdf", "j"), ("b-2.tdf", "k")] {
        let there = site(&adding);
        submit(&there);
        // The cluster has a lake in which one partial lacks a row, and what it writes arrives.
        let (lake, bad) = (there.folder().join("lake"), there.folder().join("bad"));
        fs::create_dir_all(bad.join("partials/sales")).expect("the site can be written");
        fs::create_dir_all(lake.join("cluster")).expect("the site can be written");
        symlink(lake.join("cluster"), bad.join("cluster")).expect("the site can be written");
        for partial in fs::read_dir(&good).expect("the lake has partials") {
            let partial = partial.expect("the lake can be listed");
            let copy = bad.join("partials/sales").join(partial.file_name());
            fs::copy(partial.path(), &copy).expect("the partial can be copied");
            if partial.file_name().to_string_lossy().starts_with(file) {
                lose(&copy, item);
            }
        }
        let right = on_cluster(&server.url(), &adding);
        there.write_settings(&format!("{right}lake = \"file://{}\"\n", bad.display()));
        let refused = there.run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(1), "{file}: {refused}");
        let error = state(&there, "SELECT state || ': ' || error FROM job_run").remove(0);
        assert!(
            error.starts_with(
                "FAILED: the cluster's result is not what the files hold: the totals of store 1 on 2026-03-01 differ"
            ),
            "{file}: {error}"
        );
        assert_eq!((loads(&there), left_behind(&there)), (0, 0));
        // With the right lake the day is whole, though it has less than the totals without signs.
        there.write_settings(&right);
        there.run_ok(["retry", &state(&there, "SELECT run_id FROM job_run")[0]]);
        assert_eq!(sqlite_rows(&there), sqlite_rows(&here));
        assert_eq!((loads(&there), left_behind(&there)), (1, 0));
    }
}

fn a_run_whose_partials_are_gone_ends_alike_here_and_there(engine: Engine) {
    let server = ConnectServer::start(engine);
    let here = unguarded(settings(SQLITE, JOB));
    let there = on_cluster(&server.url(), &here);
    let without_rows = |settings: &String| format!("{settings}\n[convert]\nkeep = \"partials\"\n");
    let ends = [&here, &there].map(|settings| {
        let bare = without_rows(settings);
        [lost(settings), removed(settings), lost(&bare), removed(&bare)]
    });
    assert_eq!(ends[0], ends[1], "{ends:?}");
    // Converted rows take their place.
    let [of_lost, of_removed, lost, removed] = &ends[1];
    assert!(
        of_lost.starts_with("COMPLETED LOADED; COMPLETED LOADED; 2 loads"),
        "{of_lost}"
    );
    assert!(
        of_removed.starts_with("COMPLETED LOADED; COMPLETED LOADED; COMPLETED"),
        "{of_removed}"
    );
    assert!(
        lost.contains("FAILED the lake has lost the partials of a-1.tdf, and the source no longer has"),
        "{lost}"
    );
    assert!(
        removed.contains("FAILED the partial of a-1.tdf was removed from the lake by its retention"),
        "{removed}"
    );
}

fn spark_lets_in_its_token_and_nothing_else(engine: Engine) {
    if engine != Engine::Spark {
        eprintln!("not run with {engine:?}: only Spark asks for a token (GRISTMILL_CLUSTERS=all)");
        return;
    }
    let server = ConnectServer::start_with(engine, &[("SPARK_CONNECT_AUTHENTICATE_TOKEN", "right-secret")]);
    let with = |parameters: &str| {
        let url = format!("{}{parameters}", server.url());
        on_cluster(&url, &settings(SQLITE, JOB))
    };
    for wrong in ["", "/;token=wrong-secret;use_ssl=false"] {
        let site = small(&server.url());
        site.write_settings(&with(wrong));
        let refused = site.run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        let error = state(&site, "SELECT state || ': ' || error FROM job_run").remove(0);
        assert!(
            error.starts_with("FAILED: the cluster refused access: ") && !error.contains("secret"),
            "{error}"
        );
        assert!(!refused.stderr.contains("secret"), "{refused}");
        site.write_settings(&with("/;token=right-secret;use_ssl=false"));
        site.run_ok(["retry", &state(&site, "SELECT run_id FROM job_run")[0]]);
        run_until_idle(&site);
        assert_eq!((loads(&site), left_behind(&site)), (1, 0));
    }
}

fn a_token_is_told_only_to_a_server_whose_certificate_is_trusted(engine: Engine) {
    let server = ConnectServer::start(engine);
    let (authority, stranger) = (Authority::default(), Authority::default());
    let at = |certificate| {
        format!(
            "sc://localhost:{}/;token=secret",
            terminate(server.port, &certificate)
        )
    };
    for (url, problem) in [
        (at(authority.certify("localhost")), None),
        (
            at(stranger.certify("localhost")),
            Some("invalid peer certificate"),
        ),
        (at(authority.certify("elsewhere")), Some("not valid for name")),
        // This one does not speak TLS at all.
        (
            format!("sc://localhost:{}/;token=secret", server.port),
            Some("TLS"),
        ),
    ] {
        let mut site = small(&url);
        let pem = site.folder().join("authority.pem");
        fs::write(&pem, authority.pem()).expect("it can be written");
        site.set_variable("SSL_CERT_FILE", pem.to_str().expect("the path is text"));
        let run = site.run(["run", "--until-idle"]);
        assert!(!run.to_string().contains("secret"), "{run}");
        let Some(problem) = problem else {
            assert!(run.status.success(), "{run}");
            assert_loaded_once(&site);
            continue;
        };
        assert_eq!(run.status.code(), Some(1), "{run}");
        let error = state(&site, "SELECT state || ': ' || error FROM job_run").remove(0);
        assert!(
            error.starts_with("FAILED: ") && error.contains(problem) && !error.contains("secret"),
            "{error}"
        );
        assert_eq!(loads(&site), 0);
    }
}

/// How runs end, each with its state and error.
fn ends(site: &Site) -> String {
    let ends = "SELECT state || ' ' || coalesce(error, outcome) FROM job_run ORDER BY sequence";
    let left = left_behind(site);
    format!(
        "{}; {} loads, {left} left",
        state(site, ends).join("; "),
        loads(site)
    )
}

fn sent(site: &Site, name: &str, amount: &str) {
    site.submit(name, line("1", amount, 4, "i", "2026-03-01"));
}

/// How the runs of a site end whose lake has lost a partial while the source lost its file, and what was loaded.
fn lost(settings: &str) -> String {
    let site = site(settings);
    sent(&site, "a-1.tdf", "1.00");
    run_until_idle(&site);
    fs::remove_dir_all(site.folder().join("lake/partials")).expect("the lake has partials");
    fs::remove_file(site.incoming().join("a-1.tdf")).expect("the source has the file");
    sent(&site, "b-2.tdf", "2.00");
    let ended = site.run(["run", "--until-idle"]);
    assert_eq!(ended.status.success(), !settings.contains("[convert]"), "{ended}");
    format!("{} {:?}", ends(&site), told(&sqlite_rows(&site)))
}

/// How the runs of a site end whose retention removed a partial that a replay asks for, and what was loaded.
fn removed(settings: &str) -> String {
    let site = site(settings);
    sent(&site, "a-1.tdf", "1.00");
    run_until_idle(&site);
    let until = state(&site, "SELECT max(submitted) FROM submissions").remove(0);
    sent(&site, "a-1.tdf", "2.00");
    run_until_idle(&site);
    site.write_settings(&format!("{settings}\n[lake.retention]\npartials = \"0s\"\n"));
    run_until_idle(&site);
    let named = "SELECT count(*) FROM file_version WHERE partial_object IS NOT NULL";
    assert_eq!(state(&site, named), ["1"]);
    let ended = site.run(["replay", "all", "--from", "2020-01-01", "--to", &until]);
    assert_eq!(ended.status.success(), !settings.contains("[convert]"), "{ended}");
    format!("{} {:?}", ends(&site), told(&sqlite_rows(&site)))
}
