//! The state as a file: written from a database, and read into another one.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gristmill_state::{
    CopiedTable, Place, ServiceLock, StateDb, StateError, StateFile, TestClock, TransferError,
};

use crate::place::{Kept, new_place};
use crate::shell::Shell;
use crate::support::{Fixture, converted, job, run};

/// Rows in all tables that triggers do not fill.
const ROWS: &[&str] = &[
    "UPDATE lineage SET is_on = 1, dropped = 3",
    "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger, job_params)
     VALUES ('A', 'f', '*', 1, 'all', '{\"after\":[\"é\"]}'), ('B', 'f', '*', 1, 'any', '{}')",
    "INSERT INTO ingested_file_status
            (file_id, file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp, stamp_inode)
     VALUES (7, 'a ''quoted'' 😀 file', 'f', 'SUBMITTED', '2026-11-23T08:15:00.000000Z', '2026-11-23T08:15:00.000000Z',
             -9223372036854775807),
            (9, '', 'g', 'SUBMITTED', '2026-11-23T08:15:00.000000Z', '2026-11-23T08:15:00.000000Z', NULL)",
    "INSERT INTO file_version (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects,
                               drift_lines, accepted, created_timestamp)
     VALUES (70, 7, 'h', 'l', 123456789012345678, 6, 3, 2, 0, 1, 0, 1, '2026-11-23T08:15:00.000000Z')",
    "INSERT INTO submission (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes,
                             stamp_modified_ns, stamp_inode, error)
     VALUES (700, 7, 70, 'VALIDATED', '2026-11-23T08:15:00.000000Z', 1, 1700000000123456789, 1, NULL),
            (900, 9, NULL, 'FAILED', '2026-11-23T08:15:00.000000Z', 1, 1, 1, 'it is
 empty')"
    ,
    "UPDATE ingested_file_status
        SET version_id = 70, valid_submission_id = 700, last_validated_timestamp = '2026-11-23T08:15:00.000000Z',
            last_update_status = 'VALIDATED', held_version_id = 70, held_submission_id = 700, held_for_file_id = 9
      WHERE file_id = 7",
    "INSERT INTO version_day VALUES (70, 's', '2026-11-22', NULL, 5), (70, 't', '2026-11-22', 3, 0)",
    "INSERT INTO file_day (store_id, trans_date, file_id, version_id, standing, since_submission, other_file_id)
     VALUES ('s', '2026-11-22', 7, 70, 'COUNTS', 700, 9)",
    "INSERT INTO intervention (intervention_id, at, who, action, file_id, detail)
     VALUES (4, '2026-11-23T08:15:00.000000Z', 'me', 'accept', 7, 'a day')",
    "INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, completeness_percent, inputs_digest,
                          as_of_submission, queued_timestamp)
     VALUES ('r1', 'A', '2026-11-22', 1, 'QUEUED', 'preconditions', 0, 99.95, 'd', 700, '2026-11-23T08:15:00.000000Z')",
    "INSERT INTO job_run_input (run_id, file_id, version_id, submission_id) VALUES ('r1', 7, 70, 700)",
    "INSERT INTO job_run_input_day VALUES ('r1', 70, 's', '2026-11-22', 'ADDED')",
    "UPDATE job_run SET state = 'RUNNING', attempts = 1, started_timestamp = '2026-11-23T08:15:00.000000Z'",
    // So long that it lies below no bound but infinity.
    "UPDATE job_run SET state = 'COMPLETED', outcome = 'LOADED', finished_timestamp = '2026-11-24T08:15:00.250000Z',
                        rows_inserted = 5",
    "INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest, as_of_submission,
                          queued_timestamp, inputs_of)
     VALUES ('r0', 'B', '', 2, 'QUEUED', 'replay', 1, 'd', 700, '2026-11-23T08:15:00.000000Z', 'r1')",
    "INSERT INTO loaded_day VALUES ('s', '2026-11-22', 'A', 7, 1, 700)",
    "INSERT INTO ledger_run (target, run_id, job_config_id, wave, sequence, rows, loaded_timestamp, found_timestamp)
     VALUES ('t', 'x', 'A', '', 1, 1, 'then', '2026-11-23T08:15:00.000000Z')",
    "INSERT INTO job_file VALUES ('A', '2026-11-22', 7, NULL)",
    "INSERT INTO open_wave VALUES ('B', '2026-11-01', 5)",
    "INSERT INTO waiting VALUES ('file', 'a', 'f', NULL, '2026-11-23T08:15:00.000000Z', 'full', 2, '2026-11-23T08:15:00.000000Z')",
    "INSERT INTO file_attempt VALUES ('a', 1, 2, 3, 1)",
    "INSERT INTO alert_firing VALUES ('late', 'A', 'it is late', '2026-11-23T08:15:00.000000Z', NULL, NULL)",
    "INSERT INTO alert_notice (receiver, alert, kind, content, queued_timestamp, next_try_timestamp)
     VALUES ('me', 'late', 'firing', '{}', '2026-11-23T08:15:00.000000Z', '2026-11-23T08:15:00.000000Z'),
            ('me', 'late', 'firing', '{}', '2026-11-23T08:15:00.000000Z', '2026-11-23T08:15:00.000000Z')",
    // Its number must not be given again.
    "DELETE FROM alert_notice WHERE notice_id = 2",
    "INSERT INTO file_without_job VALUES (9)",
    "INSERT INTO job_follows VALUES ('A', 'B')",
    "INSERT INTO job_requires VALUES ('p*', 'B')",
    "INSERT INTO required_file VALUES ('p*', '', 9)",
    "INSERT INTO job_to_keep VALUES ('A')",
    "INSERT INTO unmatched_file VALUES ('odd', 1, 2, '2026-11-23T08:15:00.000000Z')",
];

/// Writes rows into every table.
pub async fn fill(place: &Place) {
    let mut shell = Shell::open(place).await;
    for statement in ROWS {
        let done = shell.execute(statement).await;
        done.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

/// Everything that a file holds: tables with their rows, and the rest of its schema.
pub async fn held(file: &Path) -> Vec<String> {
    let mut shell = Shell::open(&Place::from(file)).await;
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> '_sqlx_migrations' ORDER BY name";
    let mut all = shell
        .column("SELECT type || ' ' || sql FROM sqlite_schema WHERE sql <> '' ORDER BY 1")
        .await;
    for table in shell.column(tables).await {
        let columns = format!(
            "SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') FROM pragma_table_info('{table}')"
        );
        let columns = shell.column(&columns).await.concat();
        let mut rows = shell
            .column(&format!("SELECT '{table} ' || {columns} FROM {table} ORDER BY 1"))
            .await;
        assert!(!rows.is_empty(), "{table} has no rows");
        // A table without rows has no number there either.
        rows.retain(|row| !row.starts_with("sqlite_sequence ") || !row.ends_with(",0"));
        all.extend(rows);
    }
    all
}

pub fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new("2026-11-23T08:15:00.123456Z".parse().unwrap()))
}

pub async fn export(place: &Place, file: &Path) -> Vec<CopiedTable> {
    let db = StateDb::open_to_read(place, clock()).await.unwrap();
    db.export(file, &|_, _| ()).await.unwrap()
}

pub async fn import(file: &Path, place: &Place) -> Result<Vec<CopiedTable>, TransferError> {
    let file = StateFile::open(file).await?;
    let db = StateDb::open(place, clock()).await.unwrap();
    db.import(file, &|_, _| ()).await
}

/// The places of a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_state_goes_through_a_file_and_back_with_all_its_rows() {
    let f = Fixture::new().await;
    fill(&f.place).await;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let written = export(&f.place, &first).await;
    let (other, _kept) = new_place();
    let read = import(&first, &other).await.unwrap();
    assert_eq!(written, read);
    assert!(read.iter().all(|table| table.rows > 0), "{read:?}");
    assert_eq!(written, export(&other, &second).await);
    assert_eq!(names(folder.path()), ["first.db", "second.db"]);
    assert_eq!(held(&first).await, held(&second).await);

    // Work goes on there: numbers go on, and triggers count again.
    let db = StateDb::open(&other, clock()).await.unwrap();
    let mut shell = Shell::open(&other).await;
    shell
        .execute(
            "INSERT INTO alert_notice (receiver, alert, kind, content, queued_timestamp, next_try_timestamp)
             VALUES ('me', 'late', 'firing', '{}', '2026-11-23T08:15:00.000000Z', '2026-11-23T08:15:00.000000Z')",
        )
        .await
        .unwrap();
    let notices = "SELECT CAST(max(notice_id) AS text) FROM alert_notice";
    assert_eq!(shell.column(notices).await, ["3"]);
    let edits = "SELECT CAST(count(*) AS text) FROM job_edit";
    assert_eq!(shell.column(edits).await, ["2"]);
    db.add_jobs(&[job("J101")]).await.unwrap();
    assert_eq!(shell.column(edits).await, ["3"]);
    let refused = shell
        .execute("UPDATE aggr_job_configuration SET job_trigger = 'never'")
        .await;
    refused.unwrap_err();
}

#[tokio::test]
async fn a_state_is_written_as_it_is_at_one_moment_while_others_write() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    f.running(&run("J101", &inputs)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let mut shell = f.shell().await;
    shell.begin_to_write().await;
    let heard = Mutex::new(Vec::new());
    f.db.export(&file, &|table, rows| {
        heard.lock().unwrap().push((table.to_owned(), rows))
    })
    .await
    .unwrap();
    shell.execute("ROLLBACK").await.unwrap();
    assert!(
        heard.lock().unwrap().contains(&("submission".to_owned(), 2)),
        "{heard:?}"
    );
    let db = StateDb::open_to_read(&file, clock()).await.unwrap();
    assert_eq!(
        db.file("IL-2.tdf").await.unwrap(),
        f.db.file("IL-2.tdf").await.unwrap()
    );
}

#[tokio::test]
async fn what_exists_is_not_written_over() {
    let f = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    std::fs::write(&file, "mine").unwrap();
    let error = f.db.export(&file, &|_, _| ()).await.unwrap_err();
    assert!(matches!(error, TransferError::Exists(_)), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let error =
        f.db.export(&folder.path().join("no/state.db"), &|_, _| ())
            .await
            .unwrap_err();
    assert!(matches!(error, TransferError::Write { .. }), "{error}");
    assert_eq!(names(folder.path()), ["state.db"]);
    // What a killed process of the same number left, as in a container.
    let left = format!("other.db.unfinished-{}", std::process::id());
    std::fs::write(folder.path().join(&left), "").unwrap();
    let error =
        f.db.export(&folder.path().join("other.db"), &|_, _| ())
            .await
            .unwrap_err();
    assert!(
        error.to_string().contains(&format!("{left}: it exists")),
        "{error}"
    );
}

#[tokio::test]
async fn only_an_empty_database_is_imported_into() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    export(&f.place, &file).await;
    let (other, _kept): (Place, Kept) = new_place();
    let db = StateDb::open(&other, clock()).await.unwrap();
    db.add_jobs(&[job("J101")]).await.unwrap();
    let error = import(&file, &other).await.unwrap_err();
    let TransferError::NotEmpty { table, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(table, "aggr_job_configuration");
    assert_eq!(db.jobs().await.unwrap().len(), 1);
    assert!(db.file("IL-1.tdf").await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_no_state_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let error = StateFile::open(&file).await.unwrap_err();
    assert!(matches!(error, TransferError::Missing(_)), "{error}");
    std::fs::write(
        &file,
        "a text that is long enough for the head of a database ".repeat(20),
    )
    .unwrap();
    let error = StateFile::open(&file).await.unwrap_err();
    assert!(
        matches!(error, TransferError::State(StateError::Read { .. })),
        "{error}"
    );
    std::fs::write(&file, "").unwrap();
    let error = StateFile::open(&file).await.unwrap_err();
    assert!(matches!(error, TransferError::NoState(_)), "{error}");
    assert_eq!(names(folder.path()), ["state.db"]);
    let file = folder.path().join("edited.db");
    drop(StateDb::open(&file, clock()).await.unwrap());
    fill(&Place::from(&file)).await;
    let mut shell = Shell::open(&Place::from(&file)).await;
    shell
        .execute("DELETE FROM ingested_file_status WHERE file_id = 9")
        .await
        .unwrap();
    let error = StateFile::open(&file).await.unwrap_err();
    let TransferError::Dangling { parent, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(parent, "ingested_file_status");
    // What is written could not be read again.
    let db = StateDb::open_to_read(&Place::from(&file), clock()).await.unwrap();
    let error = db
        .export(&folder.path().join("written.db"), &|_, _| ())
        .await
        .unwrap_err();
    assert!(matches!(error, TransferError::Dangling { .. }), "{error}");
    let file = folder.path().join("served.db");
    drop(StateDb::open(&file, clock()).await.unwrap());
    let _service = ServiceLock::acquire(&file).unwrap();
    let error = StateFile::open(&file).await.unwrap_err();
    assert!(
        matches!(error, TransferError::State(StateError::AlreadyRunning { .. })),
        "{error}"
    );
}
