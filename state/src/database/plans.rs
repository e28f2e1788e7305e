//! No statement may read a whole table that grows for years, apart from those that are named here with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use gristmill_servers::mysql::Server;
use gristmill_testkit::mariadb;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::sql;
use super::sql::listed::expanded;
use crate::clock::SystemClock;
use crate::dialect::mysql::SESSION;
use crate::dialect::notation::{expand, positional};
use crate::dialect::{Dialect, Place};

/// Tables that grow with each submission, or with each day.
const GROWING: [&str; 12] = [
    "ingested_file_status",
    "file_version",
    "submission",
    "version_day",
    "file_day",
    "job_run",
    "job_run_input",
    "job_run_input_day",
    "job_file",
    "required_file",
    "file_without_job",
    "loaded_day",
];

/// Indexes of what is rare, which may be read as a whole.
const RARE: [&str; 10] = [
    "file_day_special",
    "file_held",
    "file_not_validated",
    "file_to_look_at",
    "job_run_lost",
    "submission_ahead",
    "version_uncounted",
    "version_with_rejects",
    "version_with_rejects_by_time",
    "version_without_end",
];

/// Statements that read a table as a whole, each with the reason why it may.
const ALLOWED: [(&str, &str); 15] = [
    ("files::FILES", "a person asks for all files"),
    ("files::WITHOUT_JOB", "these files are what is asked for"),
    ("facts::STRAYS", "`explain` asks for these files"),
    (
        "matching::FORGET_PATTERNS",
        "only after an edit of a job, which compares all files anyway",
    ),
    ("matching::FORGET_WITHOUT_JOB", "likewise"),
    (
        "overview::STATUS_COUNTS",
        "counts entries of an index, for a person: a million take some hundredths of a second",
    ),
    (
        "overview::HAS_ENDS",
        "for a person, and ends after the first few files that end their lines",
    ),
    (
        "pages::FILES",
        "goes along the names or the times to the limit, for a person who may search any part of a name",
    ),
    ("runs::LIST", "goes from the newest run to the limit"),
    (
        "lake::FIND_CONVERTED",
        "retention, at a start, looks through everything without the write lock",
    ),
    ("lake::FIND_REJECTS", "likewise"),
    ("lake::FIND_PARTIALS", "likewise"),
    ("lake::FIND_SUMMARIES", "likewise"),
    ("lake::FIND_COVERAGES", "likewise"),
    (
        "ledger::NOTE_LOST",
        "compares all loads with the ledger, at a start",
    ),
];

/// Statements that read a table as a whole on MySQL alone.
const ALLOWED_ON_MYSQL: [(&str, &str); 1] = [(
    "files::STARTS",
    "goes along the names to the first that begins so, at a start",
)];

/// Jobs, files and runs for MariaDB: a plan of few rows says nothing about one of many.
const SOME_ROWS: &str = "
    CREATE TABLE numbers AS
      WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 3000) SELECT seq FROM n;
    INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
    SELECT concat('J', seq), 'f', '*', 1, 'all' FROM numbers WHERE seq <= 100;
    INSERT INTO ingested_file_status
           (file_url, feed, store_id, business_date, last_update_status, last_update_timestamp, submitted_timestamp,
            stamp_bytes, stamp_modified_ns, stamp_inode)
    SELECT concat('store ', seq % 100, '/', seq), 'f', concat('S', seq % 100),
           concat('2026-11-', lpad(1 + seq % 28, 2, '0')), 'SUBMITTED', '2026-11-23T08:15:00.123456Z',
           concat('2026-11-23T08:15:00.', lpad(seq, 6, '0'), 'Z'), 1, 1, seq
      FROM numbers;
    INSERT INTO file_version
           (file_id, content_hash, layout_digest, bytes, \"lines\", \"rows\", ignored, skipped, rejects, drift_lines,
            accepted, partial_object, last_line_ended, days_counted, created_timestamp)
    SELECT file_id, concat('h', file_id), 'l', 1, 1, 1, 0, 0, 0, 0, 1, concat('p', file_id), 1, 1, submitted_timestamp
      FROM ingested_file_status;
    INSERT INTO version_day SELECT v.version_id, f.store_id, f.business_date, 1, 1
      FROM file_version v JOIN ingested_file_status f ON f.file_id = v.file_id;
    INSERT INTO submission (file_id, version_id, outcome, submitted_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode,
                            written_ns)
    SELECT file_id, version_id, 'VALIDATED', created_timestamp, 1, 1, 1, 1 FROM file_version;
    INSERT INTO job_file SELECT concat('J', 1 + file_id % 100), business_date, file_id, store_id FROM ingested_file_status;
    UPDATE ingested_file_status f JOIN submission s ON s.file_id = f.file_id
       SET f.last_update_status = 'VALIDATED', f.last_validated_timestamp = s.submitted_timestamp,
           f.version_id = s.version_id, f.valid_submission_id = s.submission_id;
    INSERT INTO file_day (store_id, trans_date, file_id, version_id, standing, since_submission)
    SELECT d.store_id, d.trans_date, f.file_id, f.version_id, CASE f.file_id % 100 WHEN 0 THEN 'COUNTS' ELSE 'STANDS' END,
           f.valid_submission_id
      FROM ingested_file_status f JOIN version_day d ON d.version_id = f.version_id;
    INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest, as_of_submission,
                         queued_timestamp, finished_timestamp, outcome)
    SELECT concat('r', file_id), job_config_id, wave, file_id, 'COMPLETED', 'preconditions', 0, 'd', file_id,
           '2026-11-23T08:15:00.123456Z', '2026-11-23T08:15:05.123456Z', 'LOADED'
      FROM job_file;
    INSERT INTO job_run_input (run_id, file_id, version_id, submission_id)
    SELECT concat('r', file_id), file_id, version_id, valid_submission_id FROM ingested_file_status;
    INSERT INTO job_run_input_day SELECT concat('r', file_id), version_id, store_id, trans_date, 'COUNTS' FROM file_day;
    INSERT INTO loaded_day SELECT store_id, trans_date, 'J1', min(file_id), 1, min(since_submission) FROM file_day
     GROUP BY store_id, trans_date;
    INSERT INTO job_requires SELECT concat('p', seq), concat('J', seq) FROM numbers WHERE seq <= 100;
    INSERT INTO required_file SELECT concat('p', 1 + file_id % 100), '', file_id FROM ingested_file_status;
    INSERT INTO file_without_job SELECT file_id FROM ingested_file_status;
    ANALYZE TABLE ingested_file_status, file_version, submission, version_day, file_day, job_run, job_run_input,
            job_run_input_day, job_file, required_file, file_without_job, loaded_day";

/// Returns how SQLite works a statement off.
async fn plan(statement: &str, conn: &mut SqliteConnection) -> Vec<SqliteRow> {
    let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    let highest = (1..=20)
        .rev()
        .find(|number| statement.contains(&format!("?{number}")));
    for _ in 0..highest.unwrap_or(0) {
        query = query.bind("[]");
    }
    let plan = query.fetch_all(conn).await;
    plan.unwrap_or_else(|error| panic!("{error}: {statement}"))
}

/// Returns what a statement reads as a whole.
async fn scans(statement: &str, views: &str, conn: &mut SqliteConnection) -> Vec<String> {
    let plan = plan(statement, conn).await;
    let text = match statement.contains("FROM held") {
        true => views,
        false => statement,
    };
    let names = names_of(&GROWING, text);
    let is_whole = |step: &String| {
        let mut words = step.split(' ');
        let (what, table) = (words.next(), words.next());
        let is_scan = what == Some("SCAN") && table.is_some_and(|name| names.contains(name));
        // Nearly all runs are completed.
        let nearly_all = table.map(|name| match name {
            "job_run" => " state = 'COMPLETED'".to_owned(),
            alias => format!(" {alias}.state = 'COMPLETED'"),
        });
        let is_nearly_all = step.ends_with("job_run_by_state (state=?)")
            && nearly_all.is_some_and(|state| statement.contains(&state));
        let is_rare = words.next_back().is_some_and(|index| RARE.contains(&index));
        (is_scan && !is_rare && !step.contains("VIRTUAL TABLE")) || is_nearly_all
    };
    let steps = plan.iter().map(|row| row.get::<String, _>("detail"));
    steps.filter(is_whole).collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let mut writer = db.writer().await.unwrap();
    let held = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'held'");
    let held: String = held.fetch_one(writer.sqlite()).await.unwrap();
    let (mut found, mut needed) = (Vec::new(), BTreeSet::new());
    for (name, statement) in expanded(Dialect::Sqlite) {
        let scans = scans(&statement, &held, writer.sqlite()).await;
        if scans.is_empty() {
            continue;
        }
        match ALLOWED.iter().any(|(allowed, _)| *allowed == name) {
            true => drop(needed.insert(name)),
            false => found.extend(scans.into_iter().map(|step| format!("{name}: {step}"))),
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    let idle: Vec<_> = ALLOWED
        .iter()
        .filter(|(name, _)| !needed.contains(name))
        .collect();
    assert!(idle.is_empty(), "these read no table as a whole: {idle:?}");
}

/// What a statement is given, or has put together, may be as long as the tables that grow. Tables are the other test's.
#[tokio::test]
async fn no_statement_goes_through_a_list_again_for_each_row() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let mut writer = db.writer().await.unwrap();
    let tables = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')");
    let tables: Vec<String> = tables.fetch_all(writer.sqlite()).await.unwrap();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for (name, statement) in expanded(Dialect::Sqlite) {
        let of_tables = names_of(&tables, &statement);
        let mut loops = BTreeSet::new();
        for step in plan(&statement, writer.sqlite()).await {
            let detail: String = step.get("detail");
            let is_scan = detail.starts_with("SCAN ");
            // The first step below a parent is its outermost loop.
            let is_inner =
                (is_scan || detail.starts_with("SEARCH ")) && !loops.insert(step.get::<i64, _>("parent"));
            let is_of_table = detail
                .split(' ')
                .nth(1)
                .is_some_and(|name| of_tables.contains(name) || tables.contains(&name));
            if is_scan && is_inner && !is_of_table {
                found.push(format!("{name}: {detail}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// It is asked for each run that is claimed, so it must not go through the inputs of a long queue.
#[tokio::test]
async fn what_runs_wait_for_is_found_from_the_files_that_are_to_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let mut writer = db.writer().await.unwrap();
    let awaited = expand(sql::lake::AWAITED, Dialect::Sqlite);
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {awaited}")));
    let plan = plan.fetch_all(writer.sqlite()).await.unwrap();
    let first: String = plan[0].get("detail");
    assert_eq!(first, "SCAN f USING INDEX file_to_look_at");
}

/// There are as many loads as days: to look through the ledger for each of them takes minutes after some years.
#[tokio::test]
async fn loads_are_compared_with_the_ledger_scope_by_scope() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let mut writer = db.writer().await.unwrap();
    let statement = format!(
        "EXPLAIN QUERY PLAN {}",
        expand(sql::ledger::NOTE_LOST, Dialect::Sqlite)
    );
    let plan = sqlx::query(sqlx::AssertSqlSafe(statement)).bind("[]").bind("");
    let plan = plan.fetch_all(writer.sqlite()).await.unwrap();
    let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
    let at = steps.iter().position(|step| step == "SCAN s").unwrap();
    assert_eq!(
        steps[at + 1],
        "SEARCH r USING INDEX job_run_of_wave (job_config_id=? AND wave=? AND state=? AND sequence>?)"
    );
}

#[tokio::test]
async fn mariadb_reads_no_whole_table_that_grows() {
    let url = mariadb::shared().create_database();
    let place = Place::from(Arc::new(Server::new(&url).unwrap().for_state()));
    StateDb::open(&place, Arc::new(SystemClock)).await.unwrap();
    let mut conn = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    conn.query_drop(SESSION).await.unwrap();
    conn.query_drop(SOME_ROWS).await.unwrap();
    // Numbers are given as texts.
    let lenient = "SET SESSION sql_mode = replace(@@sql_mode, 'STRICT_ALL_TABLES', '')";
    conn.query_drop(lenient).await.unwrap();
    let mut found = Vec::new();
    for (name, statement) in expanded(Dialect::MySql) {
        let allowed = ALLOWED.iter().chain(&ALLOWED_ON_MYSQL);
        if allowed.into_iter().any(|(allowed, _)| *allowed == name) {
            continue;
        }
        for part in positional(&statement) {
            let names = names_of(&GROWING, &part.text);
            let text = part
                .text
                .replace("LIMIT ?", "LIMIT 5")
                .replace("OFFSET ?", "OFFSET 5");
            let explain = conn
                .prep(format!("EXPLAIN FORMAT = TRADITIONAL {text}"))
                .await
                .unwrap();
            let bound = vec![Value::from("[]"); explain.num_params().into()];
            let plan: Vec<mysql_async::Row> = conn.exec(&explain, bound).await.unwrap();
            let text = |row: &mysql_async::Row, column| {
                row.get::<Option<String>, _>(column).unwrap().unwrap_or_default()
            };
            for row in &plan {
                let (what, table, kind) = (text(row, "select_type"), text(row, "table"), text(row, "type"));
                let (key, extra) = (text(row, "key"), text(row, "Extra"));
                // MySQL says so of an index that it follows to the limit, and plans for the values: nothing is before `[]`.
                let rows = || row.get::<Option<u64>, _>("rows").unwrap();
                let is_limited =
                    mariadb::is_mysql() && kind == "index" && rows().is_some_and(|rows| rows <= 5);
                // An index that is chosen for each row, or for each group, is not read as a whole.
                let is_whole = (kind == "ALL" || kind == "index")
                    && !is_limited
                    && what != "INSERT"
                    && !extra.contains("Range checked for each record")
                    && !extra.contains("Table function")
                    && !extra.contains("Using index for group-by");
                if is_whole && names.contains(table.as_str()) {
                    found.push(format!("{name}: {kind} {table} {key} ({extra})"));
                }
            }
        }
    }
    conn.disconnect().await.unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

/// Returns what a statement calls some tables.
fn names_of<'s>(tables: &[&str], statement: &'s str) -> BTreeSet<&'s str> {
    let words: Vec<&str> = statement
        .split_whitespace()
        .map(|word| word.trim_matches(['(', ')', ',']))
        .collect();
    let mut names = BTreeSet::new();
    for (place, word) in words.iter().enumerate() {
        if tables.contains(word) {
            let after = words[place + 1..].iter().filter(|word| **word != "AS");
            names.insert(*word);
            names.extend(after.take(1));
        }
    }
    names
}
