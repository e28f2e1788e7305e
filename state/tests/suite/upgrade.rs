//! A database of an earlier version goes on working.

use crate::shell::Shell;
use std::path::Path;
use std::sync::Arc;

use gristmill_state::{
    Enqueued, FileStatus, Place, RunFilter, RunState, StateDb, StateError, SystemClock, TransferError,
    VersionDay,
};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::place::new_place;
use crate::support::{one_job, submission, unchanged};
use crate::transfer::import;

/// Makes a database as the version before days were counted left it, with a file, a failed run and a deleted
/// submission.
async fn old_database(path: &Path) -> SqliteConnection {
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for entry in migrations.read_dir().unwrap() {
        let file = entry.unwrap();
        if *file.file_name() < *"0005" {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let mut conn = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .connect()
        .await
        .unwrap();
    let migrator = Migrator::new(folder.path()).await.unwrap();
    assert_eq!(migrator.iter().count(), 4);
    migrator.run_direct(None, &mut conn, false).await.unwrap();
    let at = "2026-11-23T08:15:00.123456Z";
    for statement in [
        format!(
            "INSERT INTO ingested_file_status (file_id, file_url, feed, store_id, last_update_status,
                 last_update_timestamp, submitted_timestamp, last_validated_timestamp, stamp_bytes, stamp_modified_ns,
                 stamp_inode, put_away_timestamp)
             VALUES (1, 'IL-1.tdf', 'sales', 's1', 'VALIDATED', '{at}', '{at}', '{at}', 10, 7, -3, '{at}'),
                    (2, 'IL-2.tdf', 'sales', NULL, 'FAILED', '{at}', '{at}', NULL, NULL, 7, 3, NULL)"
        ),
        format!(
            "INSERT INTO file_version (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored,
                 skipped, rejects, drift_lines, first_date, last_date, accepted, partial_object, created_timestamp)
             VALUES (5, 1, 'a', 'layout-1', 1000, 10, 6, 2, 1, 1, 0, '2026-11-20', '2026-11-22', 1, 'partials/a', '{at}')"
        ),
        format!(
            "INSERT INTO submission (submission_id, file_id, version_id, outcome, error, submitted_timestamp,
                 stamp_bytes, stamp_modified_ns, stamp_inode)
             VALUES (7, 1, 5, 'VALIDATED', NULL, '{at}', 10, 7, -3), (8, 2, NULL, 'FAILED', 'unreadable', '{at}', 1, 7, 3),
                    (9, 2, NULL, 'FAILED', 'unreadable', '{at}', 1, 7, 3)"
        ),
        "DELETE FROM submission WHERE submission_id = 9".to_owned(),
        "UPDATE ingested_file_status SET version_id = 5, valid_submission_id = 7 WHERE file_id = 1".to_owned(),
        "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
         VALUES ('J101', 'sales', 'IL-*.tdf', 1, 'any')"
            .to_owned(),
        format!(
            "INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest,
                 as_of_submission, queued_timestamp, finished_timestamp, error)
             VALUES ('R1', 'J101', '', 1, 'FAILED', 'preconditions', 0, 'd', 7, '{at}', '{at}', 'disk full')"
        ),
        "INSERT INTO job_run_input VALUES ('R1', 1, 5, 7)".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut conn)
            .await
            .unwrap();
    }
    conn
}

async fn texts(conn: &mut SqliteConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(conn).await.unwrap()
}

#[tokio::test]
async fn a_database_of_the_version_before_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut conn = old_database(&path).await;
    let objects =
        "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let before = texts(&mut conn, objects).await;
    conn.close().await.unwrap();

    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    let mut conn = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let after = texts(&mut conn, objects).await;
    let lost: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
    assert!(
        lost.is_empty(),
        "tables, views and indexes that are gone: {lost:?}"
    );
    assert!(
        sqlx::query("PRAGMA foreign_key_check")
            .fetch_all(&mut conn)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(texts(&mut conn, "PRAGMA integrity_check").await, ["ok"]);
    for view in [
        "files",
        "versions",
        "submissions",
        "jobs",
        "runs",
        "run_files",
        "held",
        "alerts",
        "notices",
    ] {
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM {view}"));
        sqlx::query(query).fetch_all(&mut conn).await.unwrap();
    }
    crate::measures::audit(&mut Shell::Sqlite(conn)).await;

    let file = db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!(
        (file.status, file.in_force.unwrap().version_id),
        (FileStatus::Validated, 5)
    );
    assert_eq!(db.files_to_look_at().await.unwrap(), ["IL-2.tdf"]);
    assert_eq!(
        db.files_to_put_away("", "", 9).await.unwrap().len(),
        0,
        "IL-1.tdf was put away"
    );
    let inputs = db.run_inputs("R1").await.unwrap();
    assert!(inputs.len() == 1 && inputs[0].days.is_all());
    let Enqueued::Queued(retried) = db.retry_run("R1").await.unwrap() else {
        panic!("the failed run can be retried");
    };
    assert_eq!(db.claim("test").await.unwrap().unwrap().run_id, retried);
    let running = RunFilter {
        state: Some(RunState::Running),
        ..RunFilter::default()
    };
    assert_eq!(db.runs(&running).await.unwrap().len(), 1);

    // A number that was given before is not given again, and foreign keys are enforced as before.
    assert!(
        db.known_versions(&[("IL-1.tdf", "a", "layout-1")])
            .await
            .unwrap()
            .is_empty()
    );
    let recorded = db
        .record(&[submission("IL-1.tdf", unchanged("a"))], &one_job)
        .await
        .unwrap();
    assert_eq!(recorded[0].submission_id, 10);
    drop(db);
}

#[tokio::test]
async fn the_days_of_old_versions_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    old_database(&path).await.close().await.unwrap();
    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    let uncounted = db.uncounted_versions().await.unwrap();
    assert_eq!(
        uncounted
            .iter()
            .map(|version| (version.version_id, version.partial.as_str()))
            .collect::<Vec<_>>(),
        [(5, "partials/a")]
    );
    let day = VersionDay {
        store_id: "s1".to_owned(),
        trans_date: "2026-11-22".parse().unwrap(),
        lines: None,
        turnover: 500,
    };
    db.count_days(&[(5, vec![day.clone()])]).await.unwrap();
    assert!(db.uncounted_versions().await.unwrap().is_empty());
    assert_eq!(db.version_days(&[5]).await.unwrap()[&5], [day]);
    let mut conn = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let standing = "SELECT store_id || ' ' || trans_date || ' ' || version_id || ' ' || standing || ' ' || since_submission
                      FROM file_day";
    assert_eq!(texts(&mut conn, standing).await, ["s1 2026-11-22 5 STANDS 7"]);
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_imported_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    old_database(&path).await.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let (place, _kept) = new_place();
    import(&path, &place).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    for name in folder.path().read_dir().unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("unfinished"), "{name}");
    }
    let db = StateDb::open(&place, Arc::new(SystemClock)).await.unwrap();
    let file = db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!(file.in_force.unwrap().version_id, 5);
    let (other, _kept) = new_place();
    let mut shell = Shell::open(&Place::from(&path)).await;
    shell
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of the future', 1, x'', 0)",
        )
        .await
        .unwrap();
    let error = import(&path, &other).await.unwrap_err();
    assert!(
        matches!(error, TransferError::State(StateError::Newer { found: 9999, .. })),
        "{error}"
    );
    assert!(!StateDb::exists(&other).await.unwrap());
}
