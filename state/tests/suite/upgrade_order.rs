//! A state database of the version before goes on working: the order of files, and what the ledger knows.

use std::path::Path;
use std::sync::Arc;

use gristmill_state::{StateDb, SystemClock};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// The last migration of the version before.
const LAST: &str = "0004";

/// Creates a database as the version before left it, with the rows that these statements add.
async fn old_database(path: &Path, rows: &str) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    for entry in std::fs::read_dir(migrations).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name[..4] <= *LAST {
            std::fs::copy(entry.path(), folder.path().join(name)).unwrap();
        }
    }
    let mut connection = connect(path, true).await;
    let migrator = Migrator::new(folder.path().to_owned()).await.unwrap();
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn connect(path: &Path, create: bool) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create);
    options.connect().await.unwrap()
}

#[tokio::test]
async fn submissions_of_the_version_before_get_their_place_in_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    // Written at 08:00; arrived at 08:15 and, with a clock that runs ahead, in 2096.
    let rows = "
        INSERT INTO ingested_file_status (file_id, file_url, feed, last_update_status, last_update_timestamp,
                                          submitted_timestamp)
        VALUES (1, 'A', 'sales', 'FAILED', '2026-11-23T08:15:00.123456Z', '2026-11-23T08:15:00.123456Z');
        INSERT INTO submission (file_id, outcome, error, submitted_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode)
        VALUES (1, 'FAILED', 'x', '2026-11-23T08:15:00.123456Z', 1, 1795420800000000001, 1),
               (1, 'FAILED', 'x', '2026-11-23T08:15:00.123456Z', 1, 4000000000000000000, 1);";
    old_database(&path, rows).await;
    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(db.files(&Default::default()).await.unwrap().len(), 1);
    let mut shell = connect(&path, false).await;
    let written: Vec<i64> = sqlx::query_scalar("SELECT written_ns FROM submission ORDER BY submission_id")
        .fetch_all(&mut shell)
        .await
        .unwrap();
    assert_eq!(written, [1_795_420_800_000_000_001, 1_795_421_700_123_456_000]);
}

#[tokio::test]
async fn loads_of_the_version_before_count_as_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let rows = "
        INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
        VALUES ('J', 'sales', '*', 1, 'any');
        INSERT INTO job_run (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest,
                             as_of_submission, queued_timestamp, finished_timestamp, outcome)
        VALUES ('J-1', 'J', '', 1, 'COMPLETED', 'manual', 0, '', 0, '2026-11-23T08:15:00.123456Z',
                '2026-11-23T08:15:00.123456Z', 'LOADED');";
    old_database(&path, rows).await;
    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(db.ledger_news(None).await.unwrap(), Default::default());
    assert_eq!(db.run("J-1").await.unwrap().unwrap().lost, None);
    let news = db.compare_with_ledger(&[]).await.unwrap();
    assert_eq!(news.lost.len(), 1, "it is compared like any other");
}
