//! What only SQLite has to withstand of questions to the views: its internal tables, files, memory of its own.

use std::time::Duration;

use gristmill_state::{Answer, Answerer, Cell, QueryError, query};

use crate::place::answerer;
use crate::support::Fixture;

const LIMIT: Duration = Duration::from_secs(5);

async fn ask(answerer: &Answerer, sql: &str) -> Result<Answer, QueryError> {
    query(answerer, sql, LIMIT).await
}

#[tokio::test]
async fn bytes_are_written_as_digits() {
    let f = Fixture::new().await;
    let answer = ask(&answerer(&f), "SELECT x'0aff'").await.unwrap();
    assert_eq!(answer.rows, [[Cell::Text("x'0aff'".to_owned())]]);
}

#[tokio::test]
async fn what_reaches_past_the_views_is_refused() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    for sql in [
        "ATTACH '/etc/passwd' AS p",
        "PRAGMA table_info(files)",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO '/tmp/x'",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_table_info('files')",
        "SELECT * FROM sqlite_schema",
        "WITH x AS (SELECT 1) REPLACE INTO files SELECT 1",
        "SELECT readfile('/etc/passwd')",
        "SELECT * FROM fsdir('/etc')",
        "SELECT * FROM dbstat",
    ] {
        assert!(ask(&answerer, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_single_huge_value_is_refused() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    for sql in [
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(900000000)",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT file_url, zeroblob(90000000) FROM files UNION ALL SELECT 1, zeroblob(90000000)",
    ] {
        let refused = ask(&answerer, sql).await;
        assert!(
            matches!(&refused, Err(QueryError::TooMuchMemory)),
            "{sql}: {refused:?}"
        );
    }
}
