//! `job_addl_criteria`: a SELECT that a person wrote, which cannot write and cannot run for ever.

use std::time::{Duration, Instant};

use gristmill_state::{CriterionError, criterion};

use crate::place::answerer;
use crate::support::{Fixture, converted, job};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_row_means_yes() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    f.record("IL-1.tdf", converted("a")).await;
    for (sql, holds) in [
        ("SELECT 1", true),
        ("SELECT NULL", true),
        ("SELECT 1 WHERE 1 = 0", false),
        (
            "SELECT file_url FROM files WHERE feed = 'sales' AND rows > 5;",
            true,
        ),
        (
            "WITH f AS (SELECT rows FROM files) SELECT 1 FROM f WHERE rows > 6 -- more",
            false,
        ),
        ("SELECT ';' WHERE EXISTS (SELECT * FROM submissions)", true),
    ] {
        assert_eq!(criterion(&answerer, sql, LIMIT).await.unwrap(), holds, "{sql}");
    }
}

#[tokio::test]
async fn it_is_stopped_when_it_takes_too_long() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    let endless =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
    let limit = Duration::from_millis(500);
    let start = Instant::now();
    let error = criterion(&answerer, endless, limit).await.unwrap_err();
    assert!(matches!(error, CriterionError::TimedOut { .. }), "{error}");
    assert!(
        start.elapsed() >= limit && start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    criterion(&answerer, "SELECT 1", LIMIT)
        .await
        .expect("and the next one runs");
}

#[tokio::test]
async fn it_cannot_write() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    assert!(criterion(&answerer, "SELECT 1", LIMIT).await.unwrap());
    for sql in [
        "DELETE FROM aggr_job_configuration",
        "WITH t AS (SELECT 1) DELETE FROM aggr_job_configuration",
        "WITH t AS (SELECT 1) UPDATE aggr_job_configuration SET job_enabled = 0 RETURNING 1",
        "SELECT 1; DELETE FROM aggr_job_configuration",
        "VACUUM",
        "/* SELECT */ DROP TABLE aggr_job_configuration",
        "WITH t AS (SELECT 1) INSERT INTO job_to_keep SELECT 'J101'",
        "CREATE TEMP TABLE t AS SELECT 1",
        "EXPLAIN DELETE FROM aggr_job_configuration",
        "BEGIN",
        "",
    ] {
        let error = criterion(&answerer, sql, LIMIT).await.expect_err(sql);
        assert!(error.to_string().starts_with("job_addl_criteria "), "{error}");
    }
    assert_eq!(f.db.job("J101").await.unwrap().unwrap().config, job("J101"));
}
