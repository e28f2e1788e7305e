//! Files of SQLite: opening, migrating, locking and reading them.

use std::path::Path;
use std::sync::Arc;

use gristmill_state::{
    BOUNDS, ServiceLock, StateDb, StateError, SubmissionOutcome, SystemClock, VersionRecord,
};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use crate::place::{connection, file};
use crate::support::{Fixture, LAYOUT, converted, job, known_stamps, one_job, submission, version};

#[tokio::test]
async fn what_was_recorded_is_there_after_reopening() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.db.close().await.unwrap();
    let wal = file(&f).with_file_name("state.db-wal");
    assert_eq!(
        std::fs::metadata(wal).map_or(0, |file| file.len()),
        0,
        "the database file holds everything"
    );

    let again = f.open_again().await;
    assert_eq!(again.files(&Default::default()).await.unwrap().len(), 1);
    assert_eq!(again.jobs().await.unwrap()[0].config, job("J101"));
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let f = Fixture::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut connection(&f).await)
    .await
    .unwrap();
    let error = StateDb::open(file(&f), f.clock.clone()).await.unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 9999, .. }), "{error}");
    assert!(error.to_string().contains("newer gristmill"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_rejected_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let text = "this is text that a person wrote, not a database. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap_err();
    assert!(matches!(error, StateError::Open { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_may_open_a_new_database_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let opening: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { StateDb::open(&path, Arc::new(SystemClock)).await })
            })
            .collect();
        for db in opening {
            db.await.unwrap().unwrap();
        }
    }
}

/// Sorting a hundred thousand rows, to count them, would take longer than counting.
#[tokio::test]
async fn the_views_with_the_most_rows_do_not_sort_for_whoever_counts() {
    let f = Fixture::new().await;
    for view in ["files", "run_files"] {
        let plan = AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN SELECT store_id, count(*) FROM {view} GROUP BY 1"
        ));
        let steps = sqlx::query(plan)
            .fetch_all(&mut connection(&f).await)
            .await
            .unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        let is_copied = steps
            .iter()
            .any(|step| step.contains("CO-ROUTINE") || step.contains("FOR ORDER BY"));
        assert!(!is_copied, "{view}: {steps:?}");
    }
}

/// Files are counted by status, store or day without a look at their versions.
#[tokio::test]
async fn versions_are_looked_up_only_for_whoever_asks_for_them() {
    let f = Fixture::new().await;
    for (asked, is_looked_up) in [("count(*)", false), ("sum(rejects)", true)] {
        let plan = AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN SELECT status, {asked} FROM files GROUP BY status"
        ));
        let steps = sqlx::query(plan)
            .fetch_all(&mut connection(&f).await)
            .await
            .unwrap();
        let mut steps = steps.iter().map(|step| step.get::<String, _>("detail"));
        assert_eq!(steps.any(|step| step.contains(" v ")), is_looked_up, "{asked}");
    }
}

#[tokio::test]
async fn only_one_process_works_on_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not-there-yet/state.db");
    let lock = ServiceLock::acquire(&path).unwrap();
    let error = ServiceLock::acquire(&path).unwrap_err();
    let me = std::process::id();
    assert!(
        matches!(error, StateError::AlreadyRunning { pid: Some(pid), .. } if pid == me),
        "{error}"
    );
    drop(lock);
    ServiceLock::acquire(&path).expect("the lock is free again");
}

#[tokio::test]
async fn a_database_of_the_version_before_keeps_its_stamps_and_has_them_completed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut before = Migrator::new(migrations).await.unwrap();
    let earlier = before.iter().filter(|migration| migration.version < 5).cloned();
    before.migrations = earlier.collect::<Vec<_>>().into();
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut shell = options.connect().await.unwrap();
    before.run_direct(None, &mut shell, false).await.unwrap();
    let time = "2026-11-23T08:15:00.123456Z";
    let file = format!(
        "INSERT INTO ingested_file_status
                (file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp,
                 stamp_bytes, stamp_modified_ns, stamp_inode)
         VALUES ('IL-1.tdf', 'sales', 'FAILED', '{time}', '{time}', 5, 6, 7)"
    );
    sqlx::query(AssertSqlSafe(file))
        .execute(&mut shell)
        .await
        .unwrap();
    shell.close().await.unwrap();

    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    let known = known_stamps(&db, |_, _| None).await;
    let mut stamp = known["IL-1.tdf"].stamp;
    assert_eq!((stamp.bytes, stamp.inode, stamp.changed_ns), (5, 7, None));
    assert_eq!(known["IL-1.tdf"].read_at, time.parse().unwrap());
    stamp.changed_ns = Some(8);
    db.restamp(&[("IL-1.tdf".to_owned(), stamp)], false)
        .await
        .unwrap();
    let known = known_stamps(&db, |_, _| None).await;
    assert_eq!(known["IL-1.tdf"].stamp, stamp);
    assert_eq!(db.unmatched_count().await.unwrap(), 0);
}

#[tokio::test]
async fn versions_of_before_are_kept_without_a_word_on_their_last_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut old = options.connect().await.unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut before = Migrator::new(migrations).await.unwrap();
    let known: Vec<_> = before.iter().filter(|step| step.version <= 4).cloned().collect();
    before.migrations = known.into();
    before.run(&mut old).await.unwrap();
    let at = "2026-11-23T08:15:00.123456Z";
    sqlx::raw_sql(AssertSqlSafe(format!(
        "INSERT INTO ingested_file_status (file_id, file_url, feed, last_update_status, last_update_timestamp,
                submitted_timestamp, last_validated_timestamp)
         VALUES (1, 'IL-1.tdf', 'sales', 'VALIDATED', '{at}', '{at}', '{at}');
         INSERT INTO file_version (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped,
                rejects, drift_lines, accepted, created_timestamp)
         VALUES (1, 1, 'content', '{LAYOUT}', 10, 1, 1, 0, 0, 0, 0, 1, '{at}');
         INSERT INTO submission (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes,
                stamp_modified_ns, stamp_inode)
         VALUES (1, 1, 1, 'VALIDATED', '{at}', 10, 1, 1);
         UPDATE ingested_file_status SET version_id = 1, valid_submission_id = 1;"
    )))
    .execute(&mut old)
    .await
    .unwrap();
    old.close().await.unwrap();
    let db = StateDb::open(&path, Arc::new(SystemClock)).await.unwrap();
    let ended = async || {
        let versions = db.versions_of("IL-1.tdf").await.unwrap();
        versions
            .iter()
            .map(|row| row.version.last_line_ended)
            .collect::<Vec<_>>()
    };
    assert_eq!(ended().await, [None]);
    let open = VersionRecord {
        last_line_ended: Some(false),
        ..version("other")
    };
    db.record(
        &[submission("IL-1.tdf", SubmissionOutcome::Converted(open))],
        &one_job,
    )
    .await
    .unwrap();
    assert_eq!(ended().await, [Some(false), None]);
}

/// A scrape reads what was counted, and nothing that grows with each file and run.
#[tokio::test]
async fn measures_are_quick_however_much_there_is() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    let numbers = |count: u32| {
        format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)")
    };
    let now = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now')";
    for sql in [
        "PRAGMA synchronous = OFF".to_owned(),
        format!(
            "INSERT INTO aggr_job_configuration
                    (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             {} SELECT printf('J%04d', i), 'sales', 'x', 20, 'any' FROM n",
            numbers(1_000)
        ),
        format!(
            "INSERT INTO ingested_file_status
                    (file_id, file_url, feed, store_id, last_update_status, last_update_timestamp, submitted_timestamp,
                     last_validated_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode)
             {} SELECT i + 1, printf('J%04d-%d.tdf', i / 100, i % 100), 'sales', i % 100, 'VALIDATED', {now}, {now}, {now}, 1,
                       1, 1 FROM n",
            numbers(100_000)
        ),
        format!(
            "INSERT INTO file_version
                    (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects,
                     drift_lines, accepted, created_timestamp)
             {} SELECT i + 1, i + 1, printf('%064x', i), 'l', 10, 4, 1, 1, 1, 1, 0, 1, {now} FROM n",
            numbers(100_000)
        ),
        format!(
            "INSERT INTO submission
                    (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes, stamp_modified_ns,
                     stamp_inode)
             {} SELECT i + 1, i + 1, i + 1, 'VALIDATED', {now}, 1, 1, 1 FROM n",
            numbers(100_000)
        ),
        // 30 days, none of which was complete for every tenth job.
        format!(
            "INSERT INTO job_run
                    (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest, as_of_submission,
                     queued_timestamp, started_timestamp, finished_timestamp, outcome, summary_object, summary_rows,
                     summary_digest)
             {} SELECT printf('J%04d-%d', i / 30, i % 30), printf('J%04d', i / 30), '', i + 1, 'COMPLETED', 'deadline',
                       i / 30 % 10 = 0, 'd', 1, {now}, {now}, {now}, 'LOADED', 's', 1, 'd' FROM n",
            numbers(30_000)
        ),
    ] {
        shell.execute(&sql).await.unwrap();
    }
    crate::measures::audit(&mut shell).await;
    let mut shortest = std::time::Duration::MAX;
    // The machine may be busy with something else.
    for _ in 0..10 {
        let began = std::time::Instant::now();
        let measures = f.db.measures().await.unwrap();
        shortest = shortest.min(began.elapsed());
        let complete = measures.jobs.iter().filter(|job| job.last_complete.is_some());
        assert_eq!((measures.jobs.len(), complete.count()), (1_000, 900));
    }
    assert!(shortest.as_millis() < 100, "{shortest:?}");
    eprintln!("measures took {shortest:?}");
}

/// Both sides know the buckets of histograms.
#[tokio::test]
async fn buckets_are_those_that_triggers_count_in() {
    let f = Fixture::new().await;
    let view = "SELECT sql FROM sqlite_schema WHERE name = 'run_duration_bound'";
    let view = f.shell().await.column(view).await;
    let bounds = view[0].split("THEN ").skip(1);
    let bounds: Vec<f64> = bounds
        .map(|bound| bound.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(bounds, BOUNDS);
}
