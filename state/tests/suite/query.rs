//! What somebody may ask the views: one SELECT, of views alone, within bounds.

use std::time::Duration;

use gristmill_state::{Answer, Answerer, Cell, MOST_ROWS, QueryError, query};

use crate::place::answerer;
use crate::support::{Fixture, converted};

const LIMIT: Duration = Duration::from_secs(5);

async fn ask(answerer: &Answerer, sql: &str) -> Result<Answer, QueryError> {
    query(answerer, sql, LIMIT).await
}

#[tokio::test]
async fn views_are_listed_with_their_columns_and_each_can_be_asked() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    f.record("IL-1.tdf", converted("a")).await;
    let views = f.db.views().await.unwrap();
    let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
    assert!(
        names.contains(&"files") && names.contains(&"store_days"),
        "{names:?}"
    );
    for view in &views {
        assert!(!view.about.is_empty(), "{} says nothing of itself", view.name);
        let answer = ask(&answerer, &format!("SELECT * FROM {}", view.name))
            .await
            .unwrap();
        assert_eq!(answer.columns, view.columns, "{}", view.name);
    }
    let answer = ask(&answerer, "SELECT file_url, rows, NULL, 1.5 FROM files;")
        .await
        .unwrap();
    let cells = &answer.rows[0];
    assert_eq!(cells[0], Cell::Text("IL-1.tdf".to_owned()));
    assert!(matches!(cells[1], Cell::Integer(_)), "{cells:?}");
    assert_eq!(cells[2..], [Cell::Null, Cell::Real(1.5)]);
}

#[tokio::test]
async fn an_answer_without_rows_has_its_columns() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    let answer = ask(&answerer, "SELECT run_id AS run, job FROM runs")
        .await
        .unwrap();
    assert_eq!(
        (answer.columns, answer.rows.len()),
        (vec!["run".to_owned(), "job".to_owned()], 0)
    );
}

#[tokio::test]
async fn what_is_no_question_to_a_view_is_refused() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    ask(&answerer, "SELECT * FROM files").await.unwrap();
    for sql in [
        "DELETE FROM files",
        "SELECT * FROM submission",
        "SELECT * FROM files; DELETE FROM job_run",
        "WITH x AS (SELECT 1) DELETE FROM files",
        "WITH x AS (SELECT 1) INSERT INTO decisions SELECT 1",
        "CREATE TEMP TABLE t AS SELECT 1",
        "SELECT * FROM nothing",
        "SELECT edit FROM",
        "SELECT 1\0; DELETE",
        "",
    ] {
        assert!(ask(&answerer, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn an_answer_is_bounded_in_rows_bytes_and_time() {
    let f = Fixture::new().await;
    let answerer = answerer(&f);
    let hundred_thousand = format!("'{}' || i", "x".repeat(100_000));
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let answer = ask(&answerer, &format!("{numbers} SELECT i FROM n"))
        .await
        .unwrap();
    assert!(answer.has_more && answer.rows.len() == MOST_ROWS);
    let answer = ask(&answerer, &format!("{numbers} SELECT {hundred_thousand} FROM n"))
        .await
        .unwrap();
    assert!(answer.has_more && answer.rows.len() < 20, "{}", answer.rows.len());
    let limit = Duration::from_millis(500);
    let endless = format!("{numbers} SELECT max(i) FROM n");
    let stopped = query(&answerer, &endless, limit).await;
    assert_eq!(stopped, Err(QueryError::TimedOut { limit }));
}
