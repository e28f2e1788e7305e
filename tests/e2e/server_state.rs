//! The state database on a server: the whole program works on it, one service at a time, also from different hosts.
//!
//! A site with folders of its own stands for another host. A lease runs for half a minute, so some of these tests take that
//! long.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::mariadb;
use gristmill_testkit::postgres::{Postgres, StopMode, execute, shared};
use gristmill_testkit::tls::Authority;

use crate::buckets::{self, Bucket};
use crate::page::Desk;
use crate::support;

/// How long a lease runs.
const LEASE: Duration = Duration::from_secs(30);

/// A province that runs whenever one of its files is new.
pub(super) const JOB: &str =
    "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";

/// A new database for the state, with a password in its URL that nobody may ever see. The server does not ask for it.
fn database() -> String {
    shared()
        .create_database()
        .replacen("postgres@", "postgres:hunter2@", 1)
}

/// The same on a server of MariaDB, of a user who has no rights but those on the database.
fn on_mariadb() -> String {
    let url = mariadb::shared().create_database();
    let (address, name) = url.rsplit_once('/').expect("it names a database");
    mariadb::execute(
        &url,
        &format!("CREATE USER {name} IDENTIFIED BY 'hunter2'; GRANT ALL PRIVILEGES ON {name}.* TO {name}"),
    );
    format!(
        "{}/{name}",
        address.replacen("root@", &format!("{name}:hunter2@"), 1)
    )
}

/// The same settings, with the state database on a server.
pub(super) fn on_server(settings: &str, state: &str) -> String {
    assert!(settings.contains("sqlite://state.db"), "{settings}");
    settings.replacen("sqlite://state.db", state, 1)
}

fn port_of(url: &str) -> &str {
    let (_, rest) = url.rsplit_once(':').expect("it has a port");
    rest.split('/').next().unwrap_or(rest)
}

fn site(state: &str, warehouse: &str) -> Site {
    support::site(&on_server(&support::settings(warehouse, JOB), state))
}

pub(super) fn submit(site: &Site, store: &str, amount: &str) {
    site.submit(
        format!("IL-{store}.tdf"),
        support::line(store, amount, 4, "I1", "2026-03-01"),
    );
}

#[test]
fn the_whole_program_works_with_its_state_on_a_server_and_shows_no_password() {
    the_whole_program_works(&database());
}

#[test]
fn the_whole_program_works_with_its_state_on_a_server_and_shows_no_password_of_mariadb() {
    the_whole_program_works(&on_mariadb());
}

fn the_whole_program_works(state: &str) {
    let site = site(state, support::SQLITE);
    let before = site.run(["status"]);
    assert_eq!(before.status.code(), Some(2), "{before}");
    assert!(
        before
            .stderr
            .contains("has no tables of gristmill; start `gristmill run`"),
        "{before}"
    );
    submit(&site, "S1", "1.50");
    support::run_until_idle(&site);
    submit(&site, "S2", "2.50");
    support::run_until_idle(&site);
    let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
    assert_eq!(support::sqlite_warehouse(&site, sales), ["S1 1.50", "S2 2.50"]);

    let mut running = support::service(&site);
    let told = support::json(&site.run_ok(["status", "--json"]));
    assert_eq!(told["service"]["pid"], running.id());
    assert!(
        told["service"]["host"].is_string() && told["service"]["lease_age"].as_u64() < Some(30),
        "{told}"
    );
    submit(&site, "S1", "3.50");
    wait_until("the third load", || {
        assert!(running.is_running(), "{}", running.stderr());
        support::sqlite_warehouse(&site, sales) == ["S1 3.50", "S2 2.50"]
    });
    let mut outputs = Vec::new();
    for command in [
        &["status"][..],
        &["runs"],
        &["files"],
        &["jobs", "list"],
        &["explain", "IL"],
        &["trace", "S1", "I1", "2026-03-01"],
        &["jobs", "pause", "IL"],
        &["jobs", "history"],
        &["status", "--json"],
    ] {
        let done = site.run(command);
        assert!(done.status.success(), "{command:?}: {done}");
        outputs.push(done.to_string());
    }
    assert!(
        outputs[0].contains(&format!("service: runs as process {} on ", running.id())),
        "{}",
        outputs[0]
    );
    let arguments =
        fs::read_to_string(format!("/proc/{}/cmdline", running.id())).expect("Linux shows its arguments");
    outputs.push(arguments);
    let ended = running.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    outputs.push(ended.to_string());
    assert!(site.run_ok(["status"]).contains("service: not running"));
    // A wrong name of the database, and a server that is away.
    for wrong in [
        format!("{state}_other"),
        state.replace(&format!(":{}/", port_of(state)), ":1/"),
    ] {
        site.write_settings(&on_server(&support::settings(support::SQLITE, JOB), &wrong));
        let done = site.run(["status"]);
        assert_eq!(done.status.code(), Some(1), "{done}");
        assert!(done.stderr.contains(":***@"), "{done}");
        outputs.push(done.to_string());
    }
    for output in outputs {
        assert!(!output.contains("hunter2"), "{output}");
    }
}

/// A job that was adopted from settings is never removed by other settings.
#[test]
fn a_path_that_no_index_can_hold_is_told_and_the_others_go_on() {
    a_path_that_is_too_long_is_told(&database(), "2500");
}

#[test]
fn a_path_that_no_index_can_hold_is_told_and_the_others_go_on_of_mariadb() {
    a_path_that_is_too_long_is_told(&on_mariadb(), "700");
}

fn a_path_that_is_too_long_is_told(state: &str, longest: &str) {
    let settings = on_server(&support::settings(support::SQLITE, JOB), state);
    let settings = settings.replace("\"IL-*.tdf\"", "\"**/IL-*.tdf\"");
    let settings = settings.replace("\"*-*.tdf\"", "\"**/*-*.tdf\"");
    let site = support::site(&settings);
    let folders = vec!["a long name of a folder".repeat(10); 12].join("/");
    site.submit(
        format!("{folders}/IL-S1.tdf"),
        support::line("S1", "1.50", 4, "I1", "2026-03-01"),
    );
    site.submit(format!("{folders}/notes"), "of nobody");
    submit(&site, "S2", "2.50");
    let first = site.run(["run", "--until-idle"]);
    assert_eq!(first.status.code(), Some(1), "{first}");
    let unmatched = site.run_ok(["files", "--unmatched"]);
    assert!(unmatched.contains("a long name of a folder"), "{unmatched}");
    // It was told.
    support::run_until_idle(&site);
    let files = site.run_ok(["files", "--json", "--status", "failed"]);
    assert!(
        files.contains(&format!("takes {longest}: send it under a shorter name")),
        "{files}"
    );
    let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
    assert_eq!(support::sqlite_warehouse(&site, sales), ["S2 2.50"]);
}

#[test]
fn settings_that_are_refused_leave_nothing_on_a_new_server() {
    let state = database();
    let misspelt = JOB.replace("\"IL\"", "\"LI\"");
    let alert = "[[alert]]\nname = \"failed\"\nwhen = \"run-failed\"\njobs = [\"IL\"]\n\
                 [[receiver]]\nname = \"desk\"\nform = \"json\"\nurl = \"http://127.0.0.1:9/\"\n";
    let site = support::site(&on_server(
        &support::settings(support::SQLITE, &format!("{misspelt}{alert}")),
        &state,
    ));
    let refused = site.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("IL"), "{refused}");
    site.write_settings(&on_server(
        &support::settings(support::SQLITE, &format!("{JOB}{alert}")),
        &state,
    ));
    support::run_until_idle(&site);
    let jobs = support::json(&site.run_ok(["jobs", "list", "--json"]));
    let jobs = jobs.as_array().expect("a list");
    assert_eq!(jobs.len(), 1, "{jobs:?}");
}

#[test]
fn a_second_service_is_refused_and_told_who_works() {
    a_second_service_is_refused(&database());
}

#[test]
fn a_second_service_is_refused_and_told_who_works_of_mariadb() {
    a_second_service_is_refused(&on_mariadb());
}

fn a_second_service_is_refused(state: &str) {
    let (first, second) = (site(state, support::SQLITE), site(state, support::SQLITE));
    let running = support::service(&first);
    let refused = second.run(["run"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    for part in [
        format!("another gristmill (process {} on ", running.id()),
        "with a lease until 20".into(),
        "stop it first".into(),
    ] {
        assert!(refused.stderr.contains(&part), "{refused}");
    }
    // Once it has stopped, nobody waits.
    running.terminate();
    let begun = Instant::now();
    support::run_until_idle(&second);
    assert!(begun.elapsed() < LEASE / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_killed_service_is_followed_without_a_person() {
    a_killed_service_is_followed(&database());
}

#[test]
fn a_killed_service_is_followed_without_a_person_of_mariadb() {
    a_killed_service_is_followed(&on_mariadb());
}

fn a_killed_service_is_followed(state: &str) {
    let site = site(state, support::SQLITE);
    let killed = support::service(&site);
    killed.kill();
    submit(&site, "S1", "1.50");
    let begun = Instant::now();
    let next = site.run(["run", "--until-idle"]);
    assert!(next.status.success(), "{next}");
    assert!(
        next.stderr.contains("has a lease on the state database"),
        "{next}"
    );
    assert!(begun.elapsed() < LEASE * 2, "{:?}", begun.elapsed());
    assert_eq!(
        support::sqlite_warehouse(&site, "SELECT sale_amount FROM sales_summary"),
        ["1.50"]
    );
}

#[test]
fn a_service_that_stood_still_ends_once_another_host_took_over() {
    a_service_that_stood_still_ends(&database());
}

#[test]
fn a_service_that_stood_still_ends_once_another_host_took_over_of_mariadb() {
    a_service_that_stood_still_ends(&on_mariadb());
}

fn a_service_that_stood_still_ends(state: &str) {
    let (first, second) = (site(state, support::SQLITE), site(state, support::SQLITE));
    let paused = support::service(&first);
    paused.signal("STOP");
    let mut next = support::service(&second);
    submit(&first, "S1", "1.50");
    paused.signal("CONT");
    let ended = paused.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.stderr.contains("and another one has taken over"), "{ended}");
    // What came to the first one was not recorded by it.
    assert!(next.is_running(), "{}", next.stderr());
    assert!(
        second.run_ok(["files"]).contains("No file so far"),
        "{}",
        second.run_ok(["files"])
    );
    let ended = next.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
}

#[test]
fn a_server_that_is_away_is_told_of_and_asks_for_no_restart() {
    let server = Postgres::start();
    let settings = support::settings(support::SQLITE, JOB) + "\n[http]\nlisten = \"127.0.0.1:0\"\n";
    let site = support::site(&on_server(&settings, &server.create_database()));
    let desk = Desk::open(&site);
    server.stop(StopMode::Immediate);
    wait_until("readiness tells of the server", || {
        let told = desk.get("/readyz");
        told.status == 503 && told.body.contains("state database")
    });
    assert_eq!(desk.get("/healthz").status, 200);
    server.start_again();
    wait_until("files are taken again", || desk.get("/readyz").status == 200);
    desk.close();
}

#[test]
fn a_server_that_is_away_for_longer_than_the_lease_is_waited_for() {
    let server = Postgres::start();
    let site = site(&server.create_database(), support::SQLITE);
    let mut running = support::service(&site);
    server.stop(StopMode::Immediate);
    submit(&site, "S1", "1.50");
    std::thread::sleep(LEASE + LEASE / 4);
    server.start_again();
    wait_until("the load", || {
        assert!(running.is_running(), "{}", running.stderr());
        running.stderr().contains("loaded")
    });
    assert_eq!(
        support::sqlite_warehouse(&site, "SELECT sale_amount FROM sales_summary"),
        ["1.50"]
    );
    let ended = running.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
}

/// A host with folders of its own that works on a source and a lake in a bucket.
fn host(bucket: &Bucket, state: &str, warehouse: &str) -> Site {
    let endpoint = bucket.server.endpoint();
    let url = format!("s3://{}/takeover", buckets::BUCKET);
    let settings = buckets::settings(&url, warehouse, &buckets::job(1), |table| {
        buckets::reached(table, &endpoint)
    });
    let mut site = support::site(&on_server(&settings, state));
    buckets::set_credentials(&mut site);
    site.set_variable("AWS_ENDPOINT_URL", &endpoint);
    site
}

/// A file for the bucket, with its key.
fn object(store: &str, amount: &str) -> (String, Vec<u8>) {
    let line = support::line(store, amount, 4, "I1", "2026-03-01");
    (format!("takeover/in/day/IL-{store}.tdf"), line.into_bytes())
}

#[test]
fn another_host_takes_over_a_lake_in_a_bucket() {
    let bucket = Bucket::start();
    let (state, warehouse) = (database(), shared().create_database());
    let first = host(&bucket, &state, &warehouse);
    bucket.put_all([object("S1", "1.50")]);
    support::run_until_idle(&first);
    let second = host(&bucket, &state, &warehouse);
    bucket.put_all([object("S2", "2.50")]);
    support::run_until_idle(&second);
    let rows = support::postgres_rows(&warehouse);
    assert_eq!(support::told(&rows).len(), 2, "{rows:?}");
    // The one that was first may come back, too.
    support::run_until_idle(&first);
    // A lake belongs to one state database all the same.
    let stranger = host(&bucket, &database(), &warehouse);
    let refused = stranger.run(["run", "--until-idle"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused
            .stderr
            .contains("belongs to another gristmill (state database "),
        "{refused}"
    );
}

/// How many of gristmill's sessions at a warehouse are in a state.
fn sessions(warehouse: &str, which: &str) -> i64 {
    let count =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {which}");
    support::postgres(warehouse, &count)[0].get(0)
}

#[test]
fn what_a_service_was_loading_when_it_was_followed_is_loaded_once() {
    let bucket = Bucket::start();
    let (state, warehouse) = (database(), shared().create_database());
    let mut first = host(&bucket, &state, &warehouse);
    bucket.put_all([object("S1", "1.50")]);
    support::run_until_idle(&first);
    bucket.put_all([object("S2", "2.50")]);
    first.set_variable("FAILPOINTS", "load-before-commit=sleep(3000)");
    let paused = support::service(&first);
    wait_until("the load is about to be committed", || {
        sessions(
            &warehouse,
            "state = 'idle in transaction' AND now() - state_change > interval '1 s'",
        ) == 1
    });
    paused.signal("STOP");
    let second = host(&bucket, &state, &warehouse);
    let next = support::service(&second);
    // It has the same run, and waits for the lock that the first one holds.
    wait_until("the other host loads the same", || {
        sessions(&warehouse, "wait_event_type = 'Lock'") == 1
    });
    paused.signal("CONT");
    let ended = paused.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    let runs = || support::json(&second.run_ok(["runs", "--json"]));
    let is_completed = |run: &serde_json::Value| run["state"] == "COMPLETED";
    wait_until("both runs are completed", || {
        runs().as_array().expect("a list").iter().all(is_completed)
    });
    let ended = next.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    let ledger = support::postgres(&warehouse, "SELECT DISTINCT run_id FROM gristmill_ledger");
    let all = support::postgres(&warehouse, "SELECT run_id FROM gristmill_ledger");
    assert_eq!((ledger.len(), all.len()), (2, 2));
    let rows = support::postgres_rows(&warehouse);
    assert_eq!(support::told(&rows).len(), 2, "{rows:?}");
}

#[test]
fn the_password_is_found_where_that_of_the_warehouse_is() {
    let server = Postgres::start_with_files(&[(
        "pg_hba.conf",
        "local all postgres trust\nhost all postgres all trust\nhost all mill all scram-sha-256\n",
    )]);
    let state = server.create_database();
    execute(
        &state,
        "CREATE ROLE mill LOGIN PASSWORD 'hunter2'; GRANT CREATE ON SCHEMA public TO mill",
    );
    let state = state.replacen("postgres@", "mill@", 1);
    let mut site = site(&state, support::SQLITE);
    let file = site.folder().join("pgpass");
    fs::write(&file, "127.0.0.1:*:*:mill:hunter2\n").expect("the new folder can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the file is this user's");
    let file = file.to_string_lossy().into_owned();
    for (name, value, status) in [
        ("PGPASSWORD", "", 1),
        ("PGPASSWORD", "a guess", 1),
        ("PGPASSWORD", "hunter2", 0),
        ("PGPASSFILE", &file, 0),
    ] {
        site.clear_variable("PGPASSWORD");
        site.set_variable(name, value);
        let done = site.run(["run", "--until-idle"]);
        assert_eq!(done.status.code(), Some(status), "{name}: {done}");
        assert_eq!(
            done.stderr.contains("PGPASSWORD or ~/.pgpass"),
            status == 1,
            "{done}"
        );
        assert!(!done.to_string().contains("hunter2"), "{done}");
    }
    site.set_variable("STATE_PASSWORD", "hunter2");
    site.clear_variable("PGPASSFILE");
    let with_variable = state.replacen("mill@", "mill:${STATE_PASSWORD}@", 1);
    site.write_settings(&on_server(
        &support::settings(support::SQLITE, JOB),
        &with_variable,
    ));
    support::run_until_idle(&site);
}

/// Copies a state database with the server's own tools, as a backup does, and returns the URL of the copy.
fn dumped(state: &str) -> String {
    let copy = database();
    let dump = Command::new("pg_dump")
        .arg(state)
        .output()
        .expect("pg_dump is installed with the server");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let mut psql = Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", &copy])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql is installed with the server");
    let mut input = psql.stdin.take().expect("it was asked for");
    input.write_all(&dump.stdout).expect("psql reads the dump");
    drop(input);
    assert!(psql.wait().expect("psql ends").success());
    copy
}

#[test]
fn a_state_database_from_a_backup_is_repaired_and_never_loads_older_files_over_newer_ones() {
    let state = database();
    let site = site(&state, support::SQLITE);
    submit(&site, "S1", "0.99");
    submit(&site, "S2", "2.00");
    support::run_until_idle(&site);
    let backup = dumped(&state);
    submit(&site, "S1", "99.99");
    submit(&site, "S2", "3.00");
    support::run_until_idle(&site);
    let sales = || {
        let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
        support::sqlite_warehouse(&site, sales)
    };
    assert_eq!(sales(), ["S1 99.99", "S2 3.00"]);
    // The server is lost, and what was saved of it a day before is restored on another one.
    site.write_settings(&on_server(&support::settings(support::SQLITE, JOB), &backup));
    fs::remove_file(site.incoming().join("IL-S1.tdf")).expect("it was submitted");
    submit(&site, "S3", "5.00");
    let stopped = site.run(["run", "--until-idle"]);
    assert_eq!(stopped.status.code(), Some(1), "{stopped}");
    assert!(
        stopped.stderr.contains("gristmill state check --repair"),
        "{stopped}"
    );
    assert_eq!(sales(), ["S1 99.99", "S2 3.00"], "nothing was loaded");
    let found = site.run(["state", "check"]);
    assert_eq!(found.status.code(), Some(1), "{found}");
    let repaired = site.run_ok(["state", "check", "--repair"]);
    assert!(repaired.contains("Repaired: accepted; 3 files"), "{repaired}");
    support::run_until_idle(&site);
    assert_eq!(sales(), ["S1 99.99", "S2 3.00", "S3 5.00"]);
    assert!(site.run_ok(["state", "check"]).contains("agree."));
}

#[test]
fn a_lost_state_database_is_made_anew_from_lake_source_and_warehouse() {
    let site = site(&database(), support::SQLITE);
    submit(&site, "S1", "1.50");
    support::run_until_idle(&site);
    site.write_settings(&on_server(&support::settings(support::SQLITE, JOB), &database()));
    submit(&site, "S2", "2.50");
    let stopped = site.run(["run", "--until-idle"]);
    assert_eq!(stopped.status.code(), Some(1), "{stopped}");
    site.run_ok(["state", "check", "--repair"]);
    support::run_until_idle(&site);
    let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
    assert_eq!(support::sqlite_warehouse(&site, sales), ["S1 1.50", "S2 2.50"]);
}

#[test]
fn all_connections_to_the_state_are_encrypted_and_the_server_is_who_it_says() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let (certificate, key) = authority.certify_as_pem("localhost");
    let server = Postgres::start_with_files(&[
        ("server.crt", &certificate),
        ("server.key", &key),
        (
            "pg_hba.conf",
            "local all postgres trust\nhost all postgres all trust\nhostssl all mill all trust\n",
        ),
        ("postgresql.auto.conf", "ssl = on\n"),
    ]);
    let warehouse = shared().create_database();
    let plain = server.create_database();
    execute(
        &plain,
        "CREATE ROLE mill LOGIN; GRANT CREATE ON SCHEMA public TO mill",
    );
    // This user is let in with TLS alone.
    let state = plain.replacen("postgres@127.0.0.1", "mill@localhost", 1);
    let site = site(&state, &warehouse);
    for (name, text) in [("ours.pem", authority.pem()), ("foreign.pem", stranger.pem())] {
        fs::write(site.folder().join(name), text).expect("the new folder can be written");
    }
    let file = |name: &str| site.folder().join(name).display().to_string();
    let at = |host: &str, roots: &str| {
        let state = state.replacen("localhost", host, 1);
        format!("{state}?sslmode=verify-full&sslrootcert={}", file(roots))
    };
    for (url, problem) in [
        (at("localhost", "foreign.pem"), "certificate"),
        (at("127.0.0.1", "ours.pem"), "certificate"),
        (format!("{state}?sslmode=disable"), "no encryption"),
    ] {
        site.write_settings(&on_server(&support::settings(&warehouse, JOB), &url));
        let refused = site.run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains(problem), "{url}: {refused}");
    }
    let url = at("localhost", "ours.pem");
    site.write_settings(&on_server(&support::settings(&warehouse, JOB), &url));
    support::run_until_idle(&site);
    let worker = site.start(["run", "--role", "convert"]);
    wait_until("the worker joins", || {
        worker.stderr().contains("working for the service")
    });
    submit(&site, "S1", "1.50");
    support::run_until_idle(&site);
    assert!(site.run_ok(["status"]).contains("worker: convert as process"));
    assert_eq!(support::told(&support::postgres_rows(&warehouse)).len(), 1);
    worker.terminate();
}

#[test]
fn on_the_same_host_a_service_waits_for_the_end_of_one_that_stood_still() {
    let state = database();
    let site = site(&state, support::SQLITE);
    support::run_until_idle(&site);
    let paused = support::service(&site);
    paused.signal("STOP");
    execute(
        &state,
        "UPDATE service_lease SET lease_until = clock_timestamp() - interval '1 second'",
    );
    let mut next = site.start(["run"]);
    wait_until("it says what it waits for", || {
        next.stderr()
            .contains("opening the lake failed and will be tried again")
    });
    paused.signal("CONT");
    let ended = paused.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    submit(&site, "S1", "1.50");
    wait_until("the load", || {
        assert!(next.is_running(), "{}", next.stderr());
        support::sqlite_warehouse(&site, "SELECT sale_amount FROM sales_summary") == ["1.50"]
    });
    let ended = next.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");
}
