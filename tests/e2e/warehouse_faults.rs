//! What a Postgres warehouse refuses, as the service's operator meets it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gristmill_testkit::postgres::{Postgres, execute, shared};

use crate::support::{self, Watcher, line};

const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-*.tdf"
min_files = 1
trigger = "any"
"#;

const SECRET: &str = "hunter2";

#[test]
fn a_fault_that_may_pass_is_tried_three_times_more_and_one_that_may_not_is_failed_at_once() {
    let owner = shared().create_database();
    let role = format!(
        "clerk_{}",
        owner.rsplit('/').next().expect("a URL names a database")
    );
    let clerk = owner.replace("postgres@", &format!("{role}:{SECRET}@"));
    execute(
        &owner,
        &format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"),
    );
    let site = support::site(&support::settings(&clerk, JOB));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    support::run_until_idle(&site);
    let before = support::postgres_rows(&owner);
    assert_eq!(before.len(), 1);

    let failed = |amount: &str, tries: usize, told: &[&str]| {
        site.submit("IL-1.tdf", line("S1", amount, 4, "BUN", "2026-03-01"));
        let finished = site.run(["run", "--until-idle", "--log", "debug"]);
        assert_eq!(finished.status.code(), Some(1), "{finished}");
        assert_eq!(
            finished.stderr.matches("will be tried again").count(),
            tries,
            "{finished}"
        );
        let last = "SELECT state || ': ' || error FROM job_run ORDER BY sequence DESC LIMIT 1";
        let error = support::state(&site, last).concat();
        for part in ["FAILED: cannot ", &format!("{role}:***@")].iter().chain(told) {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        assert!(
            !error.contains(SECRET) && !finished.stderr.contains(SECRET),
            "{finished}"
        );
        assert_eq!(support::postgres_rows(&owner), before, "nothing is half visible");
    };

    execute(
        &owner,
        &format!(
            "REVOKE ALL ON sales_summary FROM {role}; ALTER TABLE sales_summary OWNER TO postgres;
                              GRANT SELECT ON sales_summary TO {role}"
        ),
    );
    failed(
        "2.00",
        0,
        &["permission denied for table sales_summary", "GRANT", "42501"],
    );

    execute(
        &owner,
        &format!("GRANT ALL ON sales_summary TO {role}; ALTER ROLE {role} SET statement_timeout = '1s'"),
    );
    let reader = Watcher::new(&owner);
    reader.execute("BEGIN; LOCK TABLE sales_summary IN SHARE MODE");
    failed(
        "3.00",
        3,
        &["statement timeout", "raise statement_timeout", "57014"],
    );
    reader.execute("COMMIT");

    site.run_ok(["jobs", "run", "IL"]);
    let after = support::postgres_rows(&owner);
    assert_eq!(support::told(&after), ["S1 BUN 2026-03-01 3.00 - -"]);
}

#[test]
fn the_password_comes_from_the_environment_or_the_file_at_home() {
    let server = Postgres::start_with_files(&[(
        "pg_hba.conf",
        "host all postgres all trust\nhost all mill all scram-sha-256\n",
    )]);
    execute(
        &server.url("postgres"),
        &format!("CREATE ROLE mill LOGIN PASSWORD '{SECRET}'; CREATE DATABASE mart OWNER mill"),
    );
    let url = server.url("mart").replace("postgres@", "mill@");
    let mut site = support::site(&support::settings(&url, JOB));
    let home = site.folder().join("home");
    fs::create_dir(&home).expect("the site can be written");
    site.set_variable("HOME", home.to_str().expect("the path is text"));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    let told = site.run(["run", "--until-idle"]);
    assert_eq!(told.status.code(), Some(1), "{told}");
    assert!(told.stderr.contains("PGPASSWORD or ~/.pgpass"), "{told}");

    let file = home.join(".pgpass");
    fs::write(&file, format!("127.0.0.1:*:mart:mill:{SECRET}\n")).expect("the home can be written");
    let told = site.run(["run", "--until-idle"]);
    assert!(
        told.stderr.contains("chmod 600") && !told.stderr.contains(SECRET),
        "{told}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the file can be closed to others");
    support::run_until_idle(&site);
    assert_eq!(support::postgres_rows(&server.url("mart")).len(), 1);

    fs::remove_file(&file).expect("the file can be removed");
    site.set_variable("PGPASSWORD", SECRET);
    site.run_ok(["trace", "S1", "BUN", "2026-03-01"]);
}
