//! Opening and sharing the database, wherever it is.

use gristmill_state::StateError;

use crate::support::{Fixture, converted, job, run};

#[tokio::test]
async fn a_locked_database_is_a_transient_failure() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    shell.begin_to_write().await;
    let error = f.db.add_jobs(&[job("J101")]).await.unwrap_err();
    assert!(matches!(error, StateError::Busy { .. }), "{error}");
    assert!(error.is_transient());

    f.db.jobs().await.expect("readers never wait");
    shell.execute("ROLLBACK").await.unwrap();
    f.db.add_jobs(&[job("J101")])
        .await
        .expect("and it works once the lock is gone");
}

#[tokio::test]
async fn changes_counts_the_writes_of_others_only() {
    let f = Fixture::new().await;
    let before = f.db.changes().await.unwrap();
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.record("IL-1.tdf", converted("a")).await;
    f.facts("J101").await;
    f.db.jobs().await.unwrap();
    assert_eq!(
        f.db.changes().await.unwrap(),
        before,
        "own writes and all reads do not count"
    );

    let edit = "UPDATE aggr_job_configuration SET job_min_file_count = 2";
    f.shell().await.execute(edit).await.unwrap();
    let after_edit = f.db.changes().await.unwrap();
    assert_ne!(after_edit, before, "an edit in SQL counts");

    f.open_again().await.set_enabled("J101", false).await.unwrap();
    assert_ne!(
        f.db.changes().await.unwrap(),
        after_edit,
        "so does another process"
    );
}

#[tokio::test]
async fn every_view_can_be_read() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    f.running(&run("J101", &inputs)).await;
    for (view, rows) in [
        ("files", 2),
        ("versions", 2),
        ("submissions", 2),
        ("jobs", 1),
        ("runs", 1),
        ("run_files", 2),
    ] {
        let all = f.shell().await.column(&format!("SELECT * FROM {view}")).await;
        assert_eq!(all.len(), rows, "{view}");
    }
    let line = "SELECT job || ' ' || state || ' ' || files || ' ' || queued FROM runs";
    let line = f.shell().await.column(line).await;
    assert_eq!(line, ["J101 RUNNING 2 2026-11-23T08:15:02.123456Z"]);
}
