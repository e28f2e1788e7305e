//! The role that answers criteria and questions on a server: what it can do although it may only read, and which roles are
//! refused.

use std::time::{Duration, Instant};

use gristmill_state::{Answerer, CriterionError, Place, QueryError, criterion, query};
use gristmill_testkit::postgres::{execute, shared};

use crate::place::{answerer, answering, new_role};
use crate::shell::Shell;
use crate::support::{Fixture, converted, job};

const LIMIT: Duration = Duration::from_secs(2);

/// What a busy machine may take to connect, beyond that.
const PATIENCE: Duration = Duration::from_secs(8);

/// Statements that would change something, reach something else, or go on for ever.
const HOSTILE: [&str; 52] = [
    // Writes.
    "DELETE FROM aggr_job_configuration",
    "SELECT 1; DELETE FROM aggr_job_configuration",
    "SELECT 1; COMMIT; DROP TABLE submission",
    "WITH x AS (DELETE FROM job_run RETURNING 1) SELECT * FROM x",
    "WITH x AS (INSERT INTO lineage VALUES (1) RETURNING 1) SELECT 1 FROM x",
    "WITH x AS (UPDATE files SET feed = 'x' RETURNING 1) SELECT 1 FROM x",
    "SELECT * INTO harm FROM files",
    "SELECT * INTO TEMP harm FROM files",
    "SELECT * FROM files FOR UPDATE",
    "SELECT nextval('harm')",
    "SELECT setval('harm', 7)",
    "SELECT query_to_xml('DELETE FROM aggr_job_configuration', true, true, '')",
    "SELECT query_to_xml('CREATE TEMP TABLE harm (n int)', true, true, '')",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('transaction_read_only', 'off', true), lowrite(lo_open(1, 131072), 'x')",
    // Other statements.
    "COPY files TO '/tmp/harm'",
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/harm'",
    "DO $$ BEGIN DELETE FROM aggr_job_configuration; END $$",
    "SET ROLE postgres",
    "SET statement_timeout = 0",
    "LISTEN harm",
    "NOTIFY harm, 'x'",
    "LOCK TABLE aggr_job_configuration",
    "PREPARE harm AS SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "CREATE TEMP TABLE harm AS SELECT 1",
    "VACUUM",
    "CHECKPOINT",
    "ALTER SYSTEM SET fsync = off",
    "COMMIT",
    "TABLE files",
    "SELECT $1",
    // What the role has no right to.
    "SELECT * FROM submission",
    "SELECT * FROM service_lease",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/harm')",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_promote()",
    "SELECT pg_create_physical_replication_slot('harm')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS d (n int)",
    "SELECT dblink_exec('host=127.0.0.1 user=postgres dbname=postgres', 'DROP TABLE submission')",
    // Too much for the server.
    "SELECT repeat('x', 1100000000)",
    "SELECT string_agg(repeat('x', 100000000), '') FROM generate_series(1, 100)",
];

/// Statements that end only because they are ended.
const ENDLESS: [&str; 7] = [
    "SELECT pg_sleep(1000)",
    "SELECT set_config('statement_timeout', '0', false), pg_sleep(1000)",
    "SELECT pg_sleep(1000) FROM (SELECT set_config('statement_timeout', '0', false) OFFSET 0) x",
    "SELECT max(n) FROM generate_series(1, 100000000000) n",
    "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT (i + 1) % 9 FROM n) SELECT max(i) FROM n",
    "SELECT pg_advisory_lock(7), pg_sleep(1000)",
];

/// Statements that harm nobody, and are answered or refused as the server's version has it. Nothing of them stands.
const UNDONE: [&str; 6] = [
    "SELECT lo_create(4711)",
    "SELECT lo_from_bytea(4712, 'x')",
    "SELECT pg_notify('harm', 'x')",
    "SELECT pg_advisory_lock(7)",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT pg_current_xact_id()",
];

/// A digest of each table, the sequences, and the number of what else a question might have made.
async fn contents(shell: &mut Shell) -> Vec<String> {
    let digests = "SELECT format('SELECT %L || md5(coalesce(string_agg(t::text, '';'' ORDER BY t::text), '''')) FROM %s t',
                                 oid::regclass || ' ', oid::regclass)
                     FROM pg_class
                    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1";
    let mut contents = Vec::new();
    for digest in shell.column(digests).await {
        contents.extend(shell.column(&digest).await);
    }
    let others = "SELECT concat_ws(' ', (SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_sequences s), (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc),
                                        (SELECT count(*) FROM pg_largeobject_metadata),
                                        (SELECT count(*) FROM pg_replication_slots))";
    contents.extend(shell.column(others).await);
    contents
}

async fn both(answerer: &Answerer, sql: &str) -> [Result<(), String>; 2] {
    let question = query(answerer, sql, LIMIT).await;
    let criterion = criterion(answerer, sql, LIMIT).await;
    [
        question.map(drop).map_err(|error| error.to_string()),
        criterion.map(drop).map_err(|error| error.to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_ends_in_time_and_leaves_nothing_behind() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.record("IL-1.tdf", converted("a")).await;
    let answerer = answerer(&f);
    let Place::Postgres(server, _) = &f.place else {
        panic!("it is in a file");
    };
    execute(server.url(), "CREATE EXTENSION dblink; CREATE SEQUENCE harm");
    let mut shell = f.shell().await;
    let before = contents(&mut shell).await;
    assert!(before.len() > 20, "{before:?}");
    for sql in HOSTILE {
        let began = Instant::now();
        for told in both(&answerer, sql).await {
            let error = told.expect_err(sql);
            assert!(
                !error.contains("cannot ask"),
                "the role itself was refused: {error}"
            );
            println!("{sql}\n    {error}");
        }
        assert!(
            began.elapsed() < 2 * (LIMIT + PATIENCE),
            "{sql}: {:?}",
            began.elapsed()
        );
    }
    for sql in ENDLESS {
        let began = Instant::now();
        let (question, criterion) =
            tokio::join!(query(&answerer, sql, LIMIT), criterion(&answerer, sql, LIMIT));
        let stopped = QueryError::TimedOut { limit: LIMIT };
        assert_eq!(question, Err(stopped), "{sql}");
        assert!(
            matches!(criterion, Err(CriterionError::TimedOut { .. })),
            "{sql}: {criterion:?}"
        );
        assert!(began.elapsed() < LIMIT + PATIENCE, "{sql}: {:?}", began.elapsed());
    }
    for sql in UNDONE {
        let [question, criterion] = both(&answerer, sql).await;
        println!("{sql}\n    {question:?} {criterion:?}");
    }
    assert_eq!(contents(&mut shell).await, before);
    // No session goes on: the server has ended them all, or is about to.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gristmill questions'
                   AND datname = current_database()";
    let deadline = Instant::now() + LIMIT + PATIENCE;
    while shell.column(left).await != ["0"] {
        assert!(Instant::now() < deadline, "a session goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let unlocked = "SELECT pg_try_advisory_lock(7)";
    assert_eq!(shell.column(unlocked).await, ["t"]);
}

#[tokio::test]
async fn a_role_that_may_do_more_than_read_is_refused_with_what_to_do() {
    let f = Fixture::new().await;
    let Place::Postgres(server, _) = &f.place else {
        panic!("it is in a file");
    };
    let url = server.url();
    let own = answering(url, "postgres");
    let refused = query(&own, "SELECT 1", LIMIT + PATIENCE)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("it is a superuser; create a role")
            && refused.contains("state.criteria_url (postgres://"),
        "{refused}"
    );
    for (grant, expected) in [
        (
            "GRANT INSERT ON submission TO role",
            "it may write submission; REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON submission FROM role, PUBLIC",
        ),
        (
            "GRANT UPDATE (job_enabled) ON aggr_job_configuration TO role",
            "it may write aggr_job_configuration; REVOKE",
        ),
        ("GRANT DELETE ON files TO role", "it may write files; REVOKE"),
        (
            "GRANT TRUNCATE ON job_run TO PUBLIC",
            "it may write job_run; REVOKE",
        ),
        (
            "CREATE SEQUENCE seen; GRANT USAGE ON SEQUENCE seen TO role",
            "it may change the sequence seen; REVOKE",
        ),
        (
            "GRANT pg_read_server_files TO role",
            "it is a member of the role pg_read_server_files; REVOKE pg_read_server_files FROM role",
        ),
        (
            "ALTER ROLE role CREATEROLE",
            "ALTER ROLE role NOCREATEDB NOCREATEROLE",
        ),
        (
            "ALTER ROLE role REPLICATION",
            "ALTER ROLE role NOCREATEDB NOCREATEROLE",
        ),
        (
            "ALTER TABLE job_run OWNER TO role",
            "it owns job_run; create a role of its own",
        ),
        (
            "CREATE SCHEMA own AUTHORIZATION role",
            "it owns the schema own; create a role of its own",
        ),
    ] {
        let role = new_role(url);
        let named = |text: &str| {
            text.replace("TO role", &format!("TO {role}"))
                .replace("FROM role", &format!("FROM {role}"))
                .replace("ROLE role", &format!("ROLE {role}"))
                .replace("AUTHORIZATION role", &format!("AUTHORIZATION {role}"))
        };
        execute(url, &named(grant));
        let answerer = answering(url, &role);
        for told in both(&answerer, "SELECT 1").await {
            let error = told.expect_err(grant);
            assert!(error.contains(&named(expected)), "{grant}: {error}");
        }
        // What concerns everybody must not meet the next role.
        execute(url, "REVOKE TRUNCATE ON job_run FROM PUBLIC");
    }
}

#[tokio::test]
async fn a_missing_right_and_a_server_that_is_away_are_told_without_the_password() {
    let f = Fixture::new().await;
    let Place::Postgres(server, _) = &f.place else {
        panic!("it is in a file");
    };
    let role = new_role(server.url());
    let answerer = answering(server.url(), &role);
    let error = query(&answerer, "SELECT * FROM files", LIMIT + PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "permission denied for view files: the role of state.criteria_url has no right to it \
         (docs/configuration.md#a-role-for-criteria-and-questions)"
    );
    let away = server
        .url()
        .replace("postgres@", "reader:hunter2@")
        .replace(&shared().port.to_string(), "1");
    let away = Answerer::Role(gristmill_state::ReaderRole::new(&away, &Default::default()).unwrap());
    let error = query(&away, "SELECT 1", LIMIT + PATIENCE)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot ask as the role of state.criteria_url (postgres://reader:***@"),
        "{error}"
    );
    assert!(!format!("{away:?}").contains("hunter2"));
}

#[tokio::test]
async fn values_of_any_type_are_told() {
    let f = Fixture::new().await;
    let sql = "SELECT true AS yes, 12::numeric AS whole, sum(0.5) AS half, '\\x0aff'::bytea AS bytes, ARRAY[1, 2] AS several,
                      '2026-11-23'::date AS day, 'NaN'::float8 AS none, NULL AS nothing";
    let answer = query(&answerer(&f), sql, LIMIT + PATIENCE).await.unwrap();
    let told = serde_json::to_string(&answer.rows).unwrap();
    assert_eq!(told, r#"[[1,12,0.5,"x'0aff'","{1,2}","2026-11-23","NaN",null]]"#);
}
