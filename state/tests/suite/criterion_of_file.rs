//! What only SQLite has to withstand of a `job_addl_criteria`: files, code that is loaded, memory of its own.

use std::time::Duration;

use gristmill_state::{CriterionError, criterion};

use crate::place::{answerer, file};
use crate::support::{Fixture, converted, job};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn it_may_read_tables() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    let sql = "SELECT 1 WHERE EXISTS (SELECT * FROM submission)";
    assert!(criterion(&answerer(&f), sql, LIMIT).await.unwrap());
}

#[tokio::test]
async fn it_cannot_write_to_another_file() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let other = file(&f).with_file_name("other.db");
    for sql in [
        "PRAGMA user_version = 7",
        &format!("ATTACH '{}' AS other", other.display()),
        "WITH t AS (SELECT 1) REPLACE INTO job_to_keep SELECT 'J101'",
        "BEGIN IMMEDIATE",
        &format!("VACUUM INTO '{}'", other.display()),
        &format!("SELECT writefile('{}', 'x')", other.display()),
        "SELECT * FROM pragma_query_only(0)",
        "SELECT * FROM pragma_journal_mode('delete')",
    ] {
        let error = criterion(&answerer(&f), sql, LIMIT).await.expect_err(sql);
        assert!(error.to_string().starts_with("job_addl_criteria "), "{error}");
    }
    assert_eq!(f.db.job("J101").await.unwrap().unwrap().config, job("J101"));
    assert!(!other.exists());
}

#[tokio::test]
async fn it_reads_no_file_and_loads_no_code() {
    let f = Fixture::new().await;
    for sql in [
        "SELECT readfile('/etc/passwd')",
        "SELECT load_extension('/tmp/x')",
        "SELECT edit('x', 'sh')",
        "SELECT * FROM fsdir('/etc')",
        "SELECT * FROM zipfile('/tmp/x.zip')",
        "SELECT * FROM csv",
        "SELECT fts3_tokenizer('simple', x'0000000000000000')",
        "SELECT * FROM '/etc/passwd'",
    ] {
        let error = criterion(&answerer(&f), sql, LIMIT).await.expect_err(sql);
        assert!(matches!(error, CriterionError::Failed { .. }), "{sql}: {error}");
    }
}

#[tokio::test]
async fn its_mistakes_are_reported() {
    let f = Fixture::new().await;
    let error = criterion(&answerer(&f), "SELECT nonsense FROM files", LIMIT)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "job_addl_criteria failed: no such column: nonsense"
    );
}

#[tokio::test]
async fn it_is_stopped_when_it_takes_too_much_memory() {
    let f = Fixture::new().await;
    for greedy in [
        "SELECT length(randomblob(900000000))",
        "SELECT length(group_concat(hex(zeroblob(1000000)))) FROM (WITH RECURSIVE n (i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n)",
        "SELECT length(printf('%.*c', 900000000, 'x'))",
        "SELECT length(replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000))))",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         SELECT randomblob(1000000) FROM n ORDER BY 1",
    ] {
        let error = criterion(&answerer(&f), greedy, LIMIT).await.unwrap_err();
        assert!(
            matches!(error, CriterionError::TooMuchMemory),
            "{greedy}: {error}"
        );
    }
}
