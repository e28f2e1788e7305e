//! The SQL that docs/operations.md gives to operators and to a database's administrators: each statement is run, and the
//! tables are compared with those that gristmill creates.

use std::fs;

use gristmill_testkit::{mariadb, postgres};

use crate::support::{self, SQLITE, line, settings, site, sqlite_warehouse, state};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-{store}.tdf\"\ntrigger = \"any\"\n";

/// The SQL of a section of docs/operations.md, whose heading is given.
fn documented(heading: &str) -> String {
    documented_in("operations.md", heading)
}

/// The SQL of a section of a file in docs/.
pub fn documented_in(file: &str, heading: &str) -> String {
    let docs = format!("{}/docs/{file}", env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(docs).expect("it is there");
    let (_, section) = docs
        .split_once(&format!("\n{heading}\n"))
        .expect("the section is there");
    let section = section.split("\n#").next().unwrap_or(section);
    let blocks = section.split("```sql\n").skip(1);
    let sql: Vec<_> = blocks
        .map(|block| block.split("```").next().unwrap_or(block))
        .collect();
    assert!(!sql.is_empty(), "{heading} has SQL");
    sql.join("\n")
}

/// The single statements, each with the comment above it.
pub fn statements(sql: &str) -> Vec<String> {
    let parts = sql.split(";\n").map(str::trim).filter(|part| !part.is_empty());
    parts.map(ToOwned::to_owned).collect()
}

#[test]
fn a_role_without_the_right_to_create_loads_into_the_tables_that_the_docs_create() {
    let server = postgres::shared();
    let (by_gristmill, by_hand) = (server.create_database(), server.create_database());
    let own = site(&settings(&by_gristmill, JOB));
    support::run_until_idle(&own);
    let role = "loads_without_create";
    postgres::execute(
        &by_hand,
        &format!(
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             {}",
            documented("### Tables for a user without CREATE").replace("gristmill_loader", role)
        ),
    );
    let shape = |url: &str| {
        let columns = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
                              || coalesce(numeric_precision::text, '') || ' ' || coalesce(column_default, '')
                         FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";
        let keys = "SELECT conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                     WHERE connamespace = 'public'::regnamespace ORDER BY 1";
        let options = "SELECT relname || ' ' || coalesce(reloptions::text, '') FROM pg_class
                        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1";
        let ask = |sql| {
            support::postgres(url, sql)
                .iter()
                .map(|row| row.get(0))
                .collect::<Vec<String>>()
        };
        [ask(columns), ask(keys), ask(options)]
    };
    assert_eq!(shape(&by_hand), shape(&by_gristmill));
    let as_role = by_hand.replace("postgres@", &format!("{role}@"));
    let loading = site(&settings(&as_role, JOB));
    for amount in ["1.00", "2.00"] {
        loading.submit("IL-1.tdf", line("S1", amount, 4, "BUN", "2026-03-01"));
        let run = loading.run(["run", "--until-idle"]);
        assert!(run.status.success(), "{run}");
    }
    let rows = support::told(&support::postgres_rows(&by_hand));
    assert_eq!(rows, ["S1 BUN 2026-03-01 2.00 - -"]);
}

#[test]
fn a_user_of_mariadb_loads_into_the_tables_that_the_docs_create() {
    let server = mariadb::shared();
    let (by_gristmill, by_hand) = (server.create_database(), server.create_database());
    let own = site(&settings(&by_gristmill, JOB));
    support::run_until_idle(&own);
    let name = |url: &str| url.rsplit('/').next().expect("the URL has a path").to_owned();
    let (database, user) = (name(&by_hand), format!("loads_{}", name(&by_hand)));
    let tables = documented("#### In MySQL and MariaDB")
        .replace("gristmill_loader", &user)
        .replace("mart", &database)
        .replace("utf8mb4_nopad_bin", mariadb::by_bytes());
    mariadb::execute(
        &by_hand,
        &format!("CREATE USER {user} IDENTIFIED BY 'hunter2'; {tables}"),
    );
    let shape = |url: &str| {
        let of = format!("WHERE t.table_schema = '{}'", name(url));
        let columns =
            "SELECT t.table_name || '.' || column_name || ' ' || column_type || ' ' || is_nullable || ' '
                              || coalesce(collation_name, '') || ' ' || coalesce(column_default, '')
                         FROM information_schema.columns t";
        let keys = "SELECT table_name || ' ' || index_name || ' ' || seq_in_index || ' ' || column_name || ' ' || non_unique
                      FROM information_schema.statistics t";
        let engines = "SELECT table_name || ' ' || engine FROM information_schema.tables t";
        [columns, keys, engines].map(|sql| mariadb::query(url, &format!("{sql} {of} ORDER BY 1")))
    };
    assert_eq!(shape(&by_hand), shape(&by_gristmill));
    let as_user = by_hand.replace("root@", &format!("{user}:hunter2@"));
    let loading = site(&settings(&as_user, JOB));
    for amount in ["1.00", "2.00"] {
        loading.submit("IL-1.tdf", line("S1", amount, 4, "BUN", "2026-03-01"));
        support::run_until_idle(&loading);
    }
    let rows = support::told(&support::mariadb_rows(&by_hand));
    assert_eq!(rows, ["S1 BUN 2026-03-01 2.00 - -"]);
}

#[test]
fn questions_about_stores_weeks_and_times_are_answered() {
    let site = site(&settings(SQLITE, JOB));
    for store in ["1", "2"] {
        site.submit(
            format!("IL-{store}.tdf"),
            line(store, "1.00", 4, "BUN", "2026-03-01")
                + &line(store, "0.25", 4, "BUN", "2026-03-02")
                + &line(store, "0.50", 5, "BUN", "2026-03-02"),
        );
    }
    support::run_until_idle(&site);
    site.run_ok(["jobs", "pause", "IL"]);
    let more = line("1", "3.00", 4, "BUN", "2026-03-01") + &line("1", "0.25", 4, "BUN", "2026-03-02");
    site.submit("IL-1.tdf", more);
    support::run_until_idle(&site);
    let late = statements(&documented("### Late stores"));
    assert_eq!(state(&site, &late[0].replace("'illinois'", "'IL'")), ["2"]);

    let weeks = statements(&documented("### Totals by week"));
    let told = format!("SELECT week || ' ' || sale FROM ({})", weeks[0]);
    // The first day of March 2026 is a Sunday: its week began on Monday, 23 February.
    assert_eq!(
        sqlite_warehouse(&site, &told),
        ["2026-02-23 200", "2026-03-02 50"]
    );

    let loaded = statements(&documented("### The warehouse as it was at a time"));
    assert_eq!(state(&site, &loaded[0].replace("'illinois'", "'IL'")).len(), 1);
}

#[test]
fn totals_by_week_are_the_same_in_postgres() {
    let url = postgres::shared().create_database();
    let site = site(&settings(&url, JOB));
    site.submit(
        "IL-1.tdf",
        line("1", "1.00", 4, "BUN", "2026-03-01") + &line("1", "0.25", 4, "BUN", "2026-03-02"),
    );
    support::run_until_idle(&site);
    let weeks = statements(&documented("### Totals by week"));
    let told = format!(
        "SELECT week::text || ' ' || sale::text FROM ({}) AS weeks",
        weeks[1]
    );
    let rows = support::postgres(&url, &told);
    let told: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, ["2026-02-23 1.00", "2026-03-02 0.25"]);
}
