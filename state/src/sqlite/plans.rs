//! Statements that run with each submission, run or look at the state must not read a whole table that grows for years.

use std::sync::Arc;

use sqlx::Row;

use super::StateDb;
use super::sql::{days, facts, files, lake, ledger, matching, others, overview, runs, waves};
use crate::clock::SystemClock;

/// Tables that grow with each submission, or with each day.
const GROWING: [&str; 9] = [
    "ingested_file_status",
    "file_version",
    "submission",
    "version_day",
    "file_day",
    "job_run",
    "job_run_input",
    "job_file",
    "loaded_day",
];

/// Indexes of what is rare, which may be read as a whole.
const RARE: [&str; 6] = [
    "file_to_look_at",
    "job_run_lost",
    "ledger_run_unknown",
    "submission_ahead",
    "version_uncounted",
    "version_with_rejects",
];

const STATEMENTS: [(&str, &str); 31] = [
    ("the files of waves", facts::FILES),
    ("required files", facts::REQUIRED),
    ("special days", facts::SPECIAL_DAYS),
    ("the newest runs", facts::NEWEST_RUNS),
    ("completions of waves", facts::COMPLETIONS_OF_WAVES),
    ("completions", facts::COMPLETIONS),
    ("active runs", facts::ACTIVE),
    ("files to match", matching::FILES_TO_MATCH),
    ("files from a path", matching::FILES_FROM),
    ("touching files", waves::TOUCH_FILES),
    ("touching those who require", waves::TOUCH_REQUIRING),
    ("touched waves", waves::TOUCHED),
    ("closing waves", waves::CLOSE),
    ("first waves", waves::FIRST_WAVES),
    ("newest waves", waves::NEWEST_WAVES),
    ("the next run", runs::NEXT),
    ("a claim", runs::CLAIM),
    ("the stores of a run", runs::STORES),
    ("the inputs of a run", runs::INPUT_FILES),
    ("known stores", days::KNOWN_STORES),
    ("lost loads", ledger::LOST),
    ("unknown runs", ledger::UNKNOWN),
    ("awaited files", lake::AWAITED),
    ("loads to keep", others::NOT_KEPT),
    ("files to look at", files::TO_LOOK_AT),
    ("files written ahead", files::WRITTEN_AHEAD),
    ("submissions of a span", files::SUBMITTED_BETWEEN),
    ("files without a job", files::WITHOUT_JOB),
    ("failed runs", overview::FAILED_RUNS),
    ("loads of a day", overview::LOADS_OF_DAY),
    ("files with rejects", overview::WITH_REJECTS),
];

#[tokio::test]
async fn no_statement_reads_a_whole_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
        .await
        .unwrap();
    let mut writer = db.writer().await.unwrap();
    for (what, statement) in STATEMENTS {
        let explained = format!("EXPLAIN QUERY PLAN {statement}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(explained));
        for number in 1..=3 {
            if statement.contains(&format!("?{number}")) {
                query = query.bind("[]");
            }
        }
        let plan = query.fetch_all(&mut *writer).await.unwrap();
        let names = names_of_growing(statement);
        for step in plan.iter().map(|row| row.get::<String, _>("detail")) {
            let mut words = step.split(' ');
            let is_scan =
                words.next() == Some("SCAN") && words.next().is_some_and(|name| names.contains(&name));
            let is_rare = words.next_back().is_some_and(|index| RARE.contains(&index));
            assert!(
                !is_scan || is_rare || step.contains("VIRTUAL TABLE"),
                "{what}: {step}"
            );
        }
    }
}

/// Returns what a statement calls the tables that grow.
fn names_of_growing(statement: &str) -> Vec<&str> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| GROWING.contains(&pair[0]));
    pairs
        .flat_map(|pair| [pair[0], pair[1].trim_matches([',', ')'])])
        .collect()
}
