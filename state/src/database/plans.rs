//! No statement may read a whole table that grows for years, apart from those that are named here with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::sql;
use super::sql::listed::expanded;
use crate::clock::SystemClock;
use crate::dialect::Dialect;
use crate::dialect::notation::expand;

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
