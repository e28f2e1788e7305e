//! Commands beside a service: those that read need no right to write, and none migrates the database under a service.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use gristmill_state::{Clock, FileFilter, ServiceLock, StateDb, StateError, SystemClock};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::place::{connection, file};
use crate::support::{Fixture, converted, job};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Makes a database of the version that the migrations before `next` lead to, with the rows that these statements add.
async fn of_version_before(path: &Path, next: &str, rows: &str) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for entry in migrations.read_dir().unwrap() {
        let file = entry.unwrap();
        if *file.file_name() < *next {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let migrator = Migrator::new(folder.path().to_owned()).await.unwrap();
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    let rows = sqlx::raw_sql(AssertSqlSafe(rows.to_owned()));
    rows.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_older_database_is_migrated_only_if_no_service_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    of_version_before(&path, "0014", "").await;
    let error = StateDb::open_to_read(&path, clock()).await.unwrap_err();
    assert!(matches!(error, StateError::Older { found: 13, .. }), "{error}");
    assert!(error.to_string().contains("restart the service"), "{error}");
    let service = ServiceLock::acquire(&path).unwrap();
    let error = StateDb::open_beside(&path, clock()).await.unwrap_err();
    assert!(matches!(error, StateError::Older { .. }), "{error}");
    drop(service);
    StateDb::open_beside(&path, clock()).await.unwrap();
    StateDb::open_to_read(&path, clock()).await.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused_by_whoever_opens_it() {
    let f = Fixture::new().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer)
        .execute(&mut connection(&f).await)
        .await
        .unwrap();
    for opened in [
        StateDb::open_to_read(file(&f), clock()).await,
        StateDb::open_beside(file(&f), clock()).await,
        StateDb::open(file(&f), clock()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 9999, .. }), "{error}");
    }
}

#[tokio::test]
async fn impossible_values_do_not_keep_an_old_database_from_being_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let rows = "
        INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger,
                                            last_run_timestamp)
        VALUES ('J', 'sales', '*', 1, 'any', '2026-02-30T99:00:00.000000Z');
        INSERT INTO ingested_file_status (file_id, file_url, feed, last_update_status, last_update_timestamp,
                                          submitted_timestamp, stamp_bytes)
        VALUES (1, 'A', 'sales', 'FAILED', '2026-02-30T99:00:00.000000Z', '2026-11-23T08:15:00.123456Z', -5);";
    of_version_before(&path, "0014", rows).await;
    let db = StateDb::open(&path, clock()).await.unwrap();
    assert!(db.jobs().await.unwrap()[0].damage.is_some());
    assert!(db.files(&FileFilter::default()).await.unwrap().is_empty());
    let history = db.job_history(Some("J")).await.unwrap();
    assert_eq!(history.len(), 1, "jobs of before have a beginning, too");
}

#[tokio::test]
async fn reading_leaves_a_folder_as_it_was() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.record("IL-1.tdf", converted("a")).await;
    let read = async || {
        let db = StateDb::open_to_read(file(&f), clock()).await.unwrap();
        assert_eq!(db.jobs().await.unwrap().len(), 1);
        assert!(db.set_enabled("J101", false).await.is_err(), "it cannot write");
        db
    };
    // While a service has it open, and after it has closed it.
    read().await;
    f.db.close().await.unwrap();
    read().await;
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(file(&f), mode(0o444)).unwrap();
    read().await;
    std::fs::set_permissions(file(&f), mode(0o644)).unwrap();
}
