//! Workers: they convert, merge and load for a service whose state database is on a server, and whatever becomes of them, the
//! result is what the service alone would have made.
//!
//! The service's own work is made slow where a test wants workers to have some: a fail point of its process sleeps.

use std::os::unix::fs::PermissionsExt;

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::postgres::{Postgres, StopMode, execute, shared};

use crate::support;

/// So many provinces that their runs do not all find room in the service.
const PROVINCES: usize = 8;

/// Has each conversion of the service itself take a while.
const SLOW_CONVERSIONS: &str = "after-converted=sleep(1500)";

/// Has each merge of the service itself take a while.
const SLOW_MERGES: &str = "after-summary=sleep(2000)";

fn jobs() -> String {
    let job = |number| {
        format!(
            "[[job]]\nid = \"P{number}\"\nfeed = \"sales\"\nfiles = \"P{number}-*.tdf\"\nmin_files = 2\ntrigger = \"any\"\n"
        )
    };
    (0..PROVINCES).map(job).collect()
}

/// The settings with state and warehouse on servers.
fn settings(state: &str, warehouse: &str) -> String {
    support::settings(warehouse, &jobs()).replacen("sqlite://state.db", state, 1)
}

/// Has a file of two stores for each province; each is large enough to be converted by itself.
fn submit_all(site: &Site, amount: &str) {
    for province in 0..PROVINCES {
        for store in ["A", "B"] {
            let lines = (0..6000).map(|line| {
                support::line(
                    &format!("{store}{province}"),
                    amount,
                    4,
                    &format!("I{}", line % 50),
                    "2026-03-01",
                )
            });
            site.submit(format!("P{province}-{store}.tdf"), lines.collect::<String>());
        }
    }
}

/// What the warehouse must have then: each store has 50 items with 120 lines each.
fn expected(cents_a_line: u64) -> Vec<String> {
    let amount = cents_a_line * 120;
    let stores = ["A", "B"].iter();
    let stores = stores.flat_map(|store| (0..PROVINCES).map(move |province| format!("{store}{province}")));
    let mut rows: Vec<String> = stores
        .flat_map(|store| {
            (0..50)
                .map(move |item| format!("{store} I{item} 2026-03-01 {}.{:02}", amount / 100, amount % 100))
        })
        .collect();
    rows.sort();
    rows
}

fn loaded(warehouse: &str) -> Vec<String> {
    let rows = support::postgres_rows(warehouse).into_iter().map(|row| {
        let sale = row.sale_amount.unwrap_or_default();
        format!("{} {} {} {sale}", row.store_id, row.item_id, row.trans_date)
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

fn worker(site: &Site, role: &str) -> Background {
    let worker = site.start(["run", "--role", role]);
    wait_until("the worker joins", || {
        worker.stderr().contains("working for the service")
    });
    worker
}

/// How many tasks a worker says at its end that it has done.
fn done(worker: Background) -> u64 {
    let ended = worker.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    let words = ended.stdout.split_whitespace().collect::<Vec<_>>();
    let count = words
        .iter()
        .position(|word| *word == "tasks:")
        .map(|place| words[place + 1]);
    count
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{ended}"))
}

/// A site whose service has worked once, so that workers find its tables, with the URLs of state and warehouse.
fn prepared() -> (Site, String, String) {
    let (state, warehouse) = (shared().create_database(), shared().create_database());
    let site = support::site(&settings(&state, &warehouse));
    support::run_until_idle(&site);
    (site, state, warehouse)
}

/// The one value that answers a question to the state database.
fn number(state: &str, sql: &str) -> i64 {
    support::postgres(state, sql)[0].get(0)
}

#[test]
fn workers_convert_merge_and_load_what_the_service_hands_out() {
    let (mut site, _, warehouse) = prepared();
    let (convert, load) = (worker(&site, "convert"), worker(&site, "load"));
    let status = site.run_ok(["status"]);
    for role in ["worker: convert as process", "worker: load as process"] {
        assert!(status.contains(role), "{status}");
    }
    submit_all(&site, "1.01");
    site.set_variable("FAILPOINTS", &format!("{SLOW_CONVERSIONS};{SLOW_MERGES}"));
    support::run_until_idle(&site);
    site.clear_variable("FAILPOINTS");
    assert_eq!(loaded(&warehouse), expected(101));
    let told = support::json(&site.run_ok(["status", "--json"]));
    assert_eq!(told["workers"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(told["workers"][0]["tasks"], 0, "{told}");
    assert!(done(convert) > 0, "no file was converted by the worker");
    assert!(done(load) > 0, "no run was merged by the worker");
    let told = support::json(&site.run_ok(["status", "--json"]));
    assert_eq!(told["workers"].as_array().map(Vec::len), Some(0), "{told}");
}

/// Ends the leases of all workers, as if these had stood still for long.
fn end_leases(state: &str) {
    execute(
        state,
        "UPDATE worker SET lease_until = clock_timestamp() - interval '1 second'",
    );
}

/// How many tasks workers have.
fn claimed(state: &str) -> i64 {
    let count = "SELECT count(*) FROM task WHERE worker IS NOT NULL AND result IS NULL";
    support::postgres(state, count)[0].get(0)
}

#[test]
fn what_a_worker_does_not_finish_the_service_does_itself() {
    let (mut site, state, warehouse) = prepared();
    // The worker stands still in the middle of its tasks, is taken for dead, and goes on when all is done.
    site.set_variable("FAILPOINTS", "after-converted=sleep(5000)");
    let convert = worker(&site, "convert");
    site.set_variable("FAILPOINTS", SLOW_CONVERSIONS);
    submit_all(&site, "1.01");
    let service = site.start(["run", "--until-idle"]);
    wait_until("the worker has a task", || claimed(&state) > 0);
    convert.signal("STOP");
    end_leases(&state);
    let ended = service.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert!(
        ended.stderr.contains("a worker has not answered in time"),
        "{ended}"
    );
    assert_eq!(loaded(&warehouse), expected(101));
    let submissions = "SELECT count(*) FROM submission";
    let submitted = number(&state, submissions);
    convert.signal("CONT");
    let ended = convert.terminate();
    assert!(
        ended.stdout.starts_with("tasks: 0 done"),
        "no answer of it was in time: {ended}"
    );
    site.clear_variable("FAILPOINTS");
    submit_all(&site, "2.02");
    support::run_until_idle(&site);
    assert_eq!(loaded(&warehouse), expected(202));
    assert_eq!(number(&state, submissions), 2 * submitted);
    assert_eq!(submitted, 2 * PROVINCES as i64);
    assert_eq!(number(&state, "SELECT count(*) FROM file_attempt"), 0);
}

#[test]
fn a_worker_that_is_killed_while_it_loads_costs_nothing_but_time() {
    let (mut site, state, warehouse) = prepared();
    // It dies after its first load is committed, and before it has said so.
    site.set_variable("FAILPOINTS", "load-after-commit=panic");
    let load = worker(&site, "load");
    site.set_variable("FAILPOINTS", SLOW_MERGES);
    submit_all(&site, "1.01");
    let service = site.start(["run", "--until-idle"]);
    let died = load.wait();
    assert!(!died.status.success(), "{died}");
    end_leases(&state);
    let ended = service.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert_eq!(loaded(&warehouse), expected(101));
    for count in ["count(*)", "count(DISTINCT run_id)"] {
        let runs = number(&warehouse, &format!("SELECT {count} FROM gristmill_ledger"));
        assert_eq!(runs, PROVINCES as i64, "{count}");
    }
}

#[test]
fn a_worker_that_is_stopped_finishes_its_tasks_or_gives_them_back() {
    let (mut site, state, warehouse) = prepared();
    site.set_variable("FAILPOINTS", "after-converted=sleep(1000)");
    let convert = worker(&site, "convert");
    site.set_variable("FAILPOINTS", SLOW_CONVERSIONS);
    submit_all(&site, "1.01");
    let service = site.start(["run", "--until-idle"]);
    wait_until("the worker has a task", || claimed(&state) > 0);
    assert!(done(convert) > 0, "what it had, it finished");
    let ended = service.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert!(!ended.stderr.contains("has not answered in time"), "{ended}");
    assert_eq!(loaded(&warehouse), expected(101));
}

#[test]
fn workers_outlive_a_crash_of_the_state_databases_server() {
    let server = Postgres::start();
    let (state, warehouse) = (server.create_database(), shared().create_database());
    let mut site = support::site(&settings(&state, &warehouse));
    support::run_until_idle(&site);
    let (convert, load) = (worker(&site, "convert"), worker(&site, "load"));
    site.set_variable("FAILPOINTS", &format!("{SLOW_CONVERSIONS};{SLOW_MERGES}"));
    let mut service = site.start(["run"]);
    submit_all(&site, "1.01");
    wait_until("a worker has a task", || claimed(&state) > 0);
    // A server that has crashed empties the tables of workers and tasks.
    server.stop(StopMode::Immediate);
    server.start_again();
    wait_until("all is loaded", || {
        assert!(service.is_running(), "{}", service.stderr());
        loaded(&warehouse) == expected(101)
    });
    // Those that are idle come back by themselves.
    wait_until("both workers are back", || {
        let told = support::json(&site.run_ok(["status", "--json"]));
        told["workers"].as_array().map(Vec::len) == Some(2)
    });
    let ended = service.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    for worker in [convert, load] {
        done(worker);
    }
}

#[test]
fn a_worker_with_other_settings_gets_nothing_to_do() {
    let (mut site, state, warehouse) = prepared();
    let convert = worker(&site, "convert");
    let before = settings(&state, &warehouse);
    site.write_settings(&format!("# Not what the worker has read.\n{before}"));
    let status = site.run_ok(["status"]);
    assert!(
        status.contains("it has another version or other settings than here"),
        "{status}"
    );
    submit_all(&site, "1.01");
    site.set_variable("FAILPOINTS", SLOW_CONVERSIONS);
    support::run_until_idle(&site);
    assert_eq!(loaded(&warehouse), expected(101));
    assert_eq!(done(convert), 0);
}

#[test]
fn a_worker_waits_for_the_service_to_make_the_tables() {
    let site = support::site(&settings(
        &shared().create_database(),
        &shared().create_database(),
    ));
    let convert = site.start(["run", "--role", "convert"]);
    wait_until("it says what it waits for", || {
        convert
            .stderr()
            .contains("no service of this version has worked on the state database")
    });
    support::run_until_idle(&site);
    wait_until("the worker joins", || {
        convert.stderr().contains("working for the service")
    });
    done(convert);
}

/// Whoever has files read again whose change times alone differ, has them hashed and compared by the service.
#[test]
fn files_that_are_only_doubted_are_compared_by_the_service() {
    let (mut site, state, warehouse) = prepared();
    submit_all(&site, "1.01");
    support::run_until_idle(&site);
    let convert = worker(&site, "convert");
    let files = std::fs::read_dir(site.incoming()).expect("the source can be read");
    for file in files {
        let path = file.expect("the source can be read").path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }
    site.set_variable("FAILPOINTS", SLOW_CONVERSIONS);
    support::run_until_idle(&site);
    assert_eq!(loaded(&warehouse), expected(101));
    assert_eq!(
        number(&state, "SELECT count(*) FROM submission"),
        2 * PROVINCES as i64
    );
    assert_eq!(done(convert), 0);
}

/// What a worker does not find may be missing on its host alone.
#[test]
fn what_a_worker_cannot_do_the_service_does_itself() {
    let (mut site, state, warehouse) = prepared();
    // These fail with every file, and with every load.
    site.set_variable("FAILPOINTS_UNWIND", "1");
    site.set_variable("FAILPOINTS", "after-converted=panic;load-before-commit=panic");
    let (convert, load) = (worker(&site, "convert"), worker(&site, "load"));
    site.clear_variable("FAILPOINTS_UNWIND");
    submit_all(&site, "1.01");
    site.set_variable("FAILPOINTS", &format!("{SLOW_CONVERSIONS};{SLOW_MERGES}"));
    support::run_until_idle(&site);
    assert_eq!(loaded(&warehouse), expected(101));
    assert_eq!(
        number(&state, "SELECT count(*) FROM submission"),
        2 * PROVINCES as i64
    );
    let failed = "SELECT count(*) FROM job_run WHERE state <> 'COMPLETED' OR error IS NOT NULL";
    assert_eq!(number(&state, failed), 0);
    for worker in [convert, load] {
        let ended = worker.terminate();
        assert!(ended.stderr.contains("left to the service"), "{ended}");
    }
}

#[test]
fn a_folder_that_is_not_the_services_lake_is_refused() {
    let (_site, state, warehouse) = prepared();
    let elsewhere = support::site(&settings(&state, &warehouse));
    let convert = elsewhere.start(["run", "--role", "convert"]);
    wait_until("it says what is wrong", || {
        convert
            .stderr()
            .contains("is not that of the service on the state database")
    });
    assert!(
        !elsewhere.folder().join("lake").exists(),
        "it made no lake of its own"
    );
    convert.terminate();
}

#[test]
fn what_cannot_have_workers_says_so() {
    let on_server = shared().create_database();
    let in_file = support::settings(support::SQLITE, &jobs());
    let mixed = settings(&on_server, support::SQLITE);
    for (settings, arguments, problem) in [
        (
            &in_file,
            &["run", "--role", "convert"][..],
            "workers need a state database on a server (state.url)",
        ),
        (
            &mixed,
            &["run", "--role", "load"],
            "the warehouse is a file, which only the service's host has",
        ),
        (
            &mixed,
            &["run", "--role", "load", "--until-idle"],
            "--until-idle and --http are for the service",
        ),
    ] {
        let refused = support::site(settings).run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{refused}");
        assert!(refused.stderr.contains(problem), "{refused}");
    }
}
