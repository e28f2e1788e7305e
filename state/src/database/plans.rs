//! No statement may read a whole table that grows for years, apart from those that are named here with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::sql;
use crate::clock::SystemClock;

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

macro_rules! statements {
    ($($module:ident: $($name:ident)+;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), sql::$module::$name)),+),+]
    };
}

/// All statements that are one text.
const STATEMENTS: &[(&str, &str)] = &statements! {
    alerts: FIRING KEEP FORGET QUEUE TRIM FORGET_ALERTS UNKNOWN_RECEIVERS FORGET_RECEIVERS TRY_NOW PENDING SENT NOT_SENT
        UNSENT FAILED_WAVES HELD_FILES MANY_REJECTS UNLOADED IS_COMPLETE LAST_WAVES LAST_SUBMISSIONS RECENT_WAVES RECENT_RUNS
        JOB_ADDED;
    days: CLEAR_VERSION_DAYS ADD_VERSION_DAYS VERSION_DAYS HOLDINGS HOLDINGS_OF_FILE CLEAR_FILE_DAYS
        ADD_FILE_DAYS BRING_BACK HELD UNCOUNTED COUNTED LET_STAND KNOWN_STORES;
    edits: HISTORY ARE_UNTOLD UNTOLD NOTE_TOLD NEWEST SIGN;
    facts: FILES STRAYS REQUIRED_OF_DAYS REQUIRED SPECIAL_DAYS NEWEST_RUNS COMPLETIONS_OF_WAVES COMPLETIONS ACTIVE;
    files: SEE_FILES KEEP_VERSIONS FIND_VERSIONS ADD_SUBMISSIONS WITHOUT_JOB URLS STARTS WRITTEN_AHEAD PUT_IN_FORCE
        HOLD REFUSE STAMPS TO_LOOK_AT LOOK_AGAIN TO_PUT_AWAY NOTE_PUT_AWAY RESTAMP RESTAMP_MEMBERS MEMBERS
        SETTLE_MEMBERS PLACES NEWEST_VERSIONS IN_FORCE KNOWN_VERSIONS VERSIONS_OF FILES FILE REFUSED SUBMITTED_BETWEEN NEWEST_SUBMISSION;
    interventions: FILE TAKE_OUT HELD_FOR HELD_STILL ADD IN_FORCE VALID_BEFORE HOLD_IN_FORCE NOTE_HELD;
    jobs: ADD APPLY ALL NAMES ONE THESE WITHOUT_FILES SET_ENABLED NOTE_BEGIN NOTE_END;
    lake: OBJECTS_OF_VERSIONS OBJECTS_OF_RUNS FIND_CONVERTED FORGET_CONVERTED FIND_REJECTS FORGET_REJECTS
        FIND_PARTIALS EXPIRE_PARTIALS FIND_SUMMARIES FORGET_SUMMARIES FIND_COVERAGES FORGET_COVERAGES
        FORGET_PARTIALS PARTIALS_IN_FORCE LOOK_AGAIN_FOR AWAITED;
    ledger: NOTE_UNKNOWN FORGET_UNKNOWN NOTE_LOST NOTE_FOUND FOUND ALL_LOST UNKNOWN LOST AGREES IS_OTHERS ACCEPT
        FORGET_FILES CANCEL_RUNS NOTE_CANCELLED;
    matching: IS_ANYTHING_TO_MATCH EDITION JOBS_TO_MATCH ADD_REQUIRES ADD_FOLLOWS NEW_PATTERNS FORGET_PATTERNS
        FILES_FROM FILES_TO_MATCH ADD_JOB_FILES ADD_REQUIRED_FILES ADD_WITHOUT_JOB FORGET_WITHOUT_JOB
        JOBS_ARE_MATCHED FILES_ARE_MATCHED;
    others: DAYS_OF_OTHERS KEPT_FOR KEEP_LATER NOT_KEPT ALL_KEPT KEEP_LOADED FORGET_EMPTIED LEAVE_OUT
        SET_DIGEST;
    lineage: SWITCH FORGET NEXT REMOVE NOTE_DROPPED PENDING DROPPED;
    measures: FILES CONVERTED SUBMISSIONS RUNS CHANGES DURATIONS JOBS WAITING HELD;
    overview: STATUS_COUNTS FAILED_FILES WITH_REJECTS WITHOUT_END HAS_ENDS FAILED_RUNS LOADS_OF_DAY;
    pages: REFUSED SUBMISSIONS_OF INTERVENTIONS_OF RUNS_OF_FILE LAST_SEEN STORES_OF_JOB REPORTS
        LAST_COMPLETE;
    runs: ACTIVE LAST_FINISHED COMPLETED_LATER LOADED_BEFORE LAST_LOADS NEXT_SEQUENCE ADD ADD_INPUTS ADD_INPUT
        REMOVE_INPUT REMOVE_INPUT_DAYS SET_INPUTS_DIGEST ADD_INPUT_DAYS INPUT_DAYS COMPLETE_UNCHANGED NEXT CLAIM
        STORES HEARTBEAT SUMMARIZED SET_CLUSTER_OPERATION CLUSTER_OPERATIONS COMPLETE FAIL FAIL_QUEUED REQUEUE RUNNING ONE
        THESE LIST LIST_OF_STATE LIST_OF_JOB
        INPUT_FILES INPUTS_WITH_DAYS AGES INPUTS;
    stores: FILES STATUS_COUNTS HELD JOBS DAYS DAYS_OF_JOB MINUTES_OF_JOB FIRST_REPORT;
    unmatched: REMOVE_GONE NOT_TO_TELL NEW KEEP TRIM FORGET ALL COUNT;
    waiting: NOTE END ALL TRY_NOW FORGET_SERVICE RUN_FAILURES NEXT_RUN DEFER BEGIN_ATTEMPTS END_ATTEMPTS
        FORGET_ATTEMPTS ATTEMPTS;
    waves: NEXT_REVISION TOUCH_FILES TOUCH_REQUIRING OPEN_WAVES OPEN_WAVES_OF_FILES TOUCHED REVISIONS CLOSE OPEN ALL_WAVES
        NEWEST_WAVES FIRST_WAVES;
};

/// Statements of which several do one thing.
fn groups() -> impl Iterator<Item = (&'static str, &'static str)> {
    let jobs = sql::matching::FORGET_JOBS.map(|statement| ("matching::FORGET_JOBS", statement));
    let files = sql::matching::FORGET_FILES.map(|statement| ("matching::FORGET_FILES", statement));
    let pages = [
        ("pages::FILES", sql::pages::FILES),
        ("pages::FILES_OF_STORE", sql::pages::FILES_OF_STORE),
        ("pages::FILES_OF_STATUS", sql::pages::FILES_OF_STATUS),
        ("pages::FILES_OF_JOB", sql::pages::FILES_OF_JOB),
    ];
    let pages = pages
        .into_iter()
        .flat_map(|(name, both)| both.map(|statement| (name, statement)));
    jobs.into_iter().chain(files).chain(pages)
}

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
    for (name, statement) in STATEMENTS.iter().copied().chain(groups()) {
        let scans = scans(statement, &held, writer.sqlite()).await;
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
    for (name, statement) in STATEMENTS.iter().copied().chain(groups()) {
        let of_tables = names_of(&tables, statement);
        let mut loops = BTreeSet::new();
        for step in plan(statement, writer.sqlite()).await {
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
    let awaited = sql::lake::AWAITED;
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
    let statement = format!("EXPLAIN QUERY PLAN {}", sql::ledger::NOTE_LOST);
    let plan = sqlx::query(sqlx::AssertSqlSafe(statement)).bind("[]").bind("");
    let plan = plan.fetch_all(writer.sqlite()).await.unwrap();
    let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
    let at = steps.iter().position(|step| step == "SCAN s").unwrap();
    assert_eq!(
        steps[at + 1],
        "SEARCH r USING INDEX job_run_of_wave (job_config_id=? AND wave=? AND state=? AND sequence>?)"
    );
}

/// A statement that is left out of the list above would not be tested.
#[test]
fn every_statement_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/database/sql");
    let listed: BTreeSet<&str> = STATEMENTS
        .iter()
        .copied()
        .chain(groups())
        .map(|(name, _)| name)
        .collect();
    let mut missing = Vec::new();
    for file in folder.read_dir().unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let names = text.lines().filter_map(|line| {
            let (name, _) = line
                .trim()
                .strip_prefix("pub(in crate::database) const ")?
                .split_once(':')?;
            Some(format!("{module}::{name}"))
        });
        missing.extend(names.filter(|name| !listed.contains(name.as_str())));
    }
    assert_eq!(missing, [""; 0]);
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
