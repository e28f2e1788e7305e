//! Who answers criteria and questions: a role that may only read.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gristmill_servers::Passwords;
use gristmill_state::{
    Answer, Answerer, Cell, CriterionError, MOST_ROWS, Place, QueryError, ReaderRole, criterion, query,
};
use gristmill_testkit::mariadb;

use crate::shell::Shell;
use crate::support::{Fixture, converted, job};

const LIMIT: Duration = Duration::from_secs(10);

fn url(f: &Fixture) -> String {
    match &f.place {
        Place::MySql(server, _) => server.url().to_owned(),
        place => panic!("{place} is elsewhere"),
    }
}

/// Creates a role that has these rights, and returns what answers as it. `{}` in a right stands for the role.
fn role(f: &Fixture, rights: &[&str]) -> Answerer {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("reader_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let url = url(f);
    mariadb::execute(&url, &format!("CREATE USER {name}"));
    for right in rights {
        mariadb::execute(&url, &right.replace("{}", &name));
    }
    let url = url.replace("root@", &format!("{name}@"));
    Answerer::Role(ReaderRole::new(&url, &Passwords::default()).unwrap())
}

/// Returns what answers as a role that may read the views, and no table.
async fn answerer(f: &Fixture) -> Answerer {
    let views = "SELECT table_name FROM information_schema.views WHERE table_schema = database()";
    let views = Shell::open(&f.place).await.column(views).await;
    let grants: Vec<_> = views
        .iter()
        .map(|view| format!("GRANT SELECT ON {view} TO {{}}"))
        .collect();
    assert!(grants.len() > 10, "{grants:?}");
    role(f, &grants.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn ask(answerer: &Answerer, sql: &str) -> Result<Answer, QueryError> {
    query(answerer, sql, LIMIT).await
}

#[tokio::test]
async fn a_row_means_yes() {
    let f = Fixture::new().await;
    let answerer = answerer(&f).await;
    f.record("IL-1.tdf", converted("a")).await;
    for (sql, holds) in [
        ("SELECT 1", true),
        ("SELECT NULL", true),
        ("SELECT 1 FROM files WHERE 1 = 0", false),
        (
            "SELECT file_url FROM files WHERE feed = 'sales' AND \"rows\" > 5;",
            true,
        ),
        (
            "WITH f AS (SELECT `rows` FROM files) SELECT 1 FROM f WHERE `rows` > 6 -- more",
            false,
        ),
        ("SELECT f.*, f.* FROM files f", true),
        (
            "SELECT ';' FROM submissions WHERE file_url || '' = 'IL-1.tdf'",
            true,
        ),
    ] {
        assert_eq!(criterion(&answerer, sql, LIMIT).await.unwrap(), holds, "{sql}");
    }
}

#[tokio::test]
async fn views_are_listed_with_their_columns_and_each_can_be_asked() {
    let f = Fixture::new().await;
    let answerer = answerer(&f).await;
    f.record("IL-1.tdf", converted("a")).await;
    for view in f.db.views().await.unwrap() {
        assert!(!view.about.is_empty(), "{} says nothing of itself", view.name);
        let answer = ask(&answerer, &format!("SELECT * FROM {}", view.name)).await;
        assert_eq!(answer.unwrap().columns, view.columns, "{}", view.name);
    }
    let question =
        "SELECT file_url, `rows`, NULL, 1.5, 1e0, sum(`rows`), x'0aff', timestamp '2026-11-23 08:15:00'
                      FROM files GROUP BY file_url, `rows`";
    let answer = ask(&answerer, question).await.unwrap();
    let text = |text: &str| Cell::Text(text.to_owned());
    assert_eq!(
        answer.rows[0],
        [
            text("IL-1.tdf"),
            Cell::Integer(6),
            Cell::Null,
            Cell::Real(1.5),
            Cell::Real(1.0),
            Cell::Integer(6),
            text("x'0aff'"),
            text("2026-11-23 08:15:00"),
        ]
    );
}

#[tokio::test]
async fn nothing_but_one_question_to_what_was_granted_is_answered() {
    let f = Fixture::new().await;
    let answerer = answerer(&f).await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    for sql in [
        "DELETE FROM aggr_job_configuration",
        "WITH t AS (SELECT 1) DELETE FROM aggr_job_configuration",
        "SELECT 1; DELETE FROM aggr_job_configuration",
        "SELECT * FROM submission",
        "SELECT * FROM nothing",
        "SELECT file_url FROM files INTO OUTFILE '/tmp/gristmill-stolen'",
        "SELECT load_file('/etc/passwd') FROM submission",
        "CREATE TEMPORARY TABLE t AS SELECT 1",
        "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
        "SELECT ?",
        "",
    ] {
        criterion(&answerer, sql, LIMIT).await.expect_err(sql);
        ask(&answerer, sql).await.expect_err(sql);
    }
    assert_eq!(f.db.job("J101").await.unwrap().unwrap().config, job("J101"));
    let refused = ask(&answerer, "SELECT * FROM submission").await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the role of state.criteria_url has no right to it"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_answer_is_bounded_in_rows_and_time() {
    let f = Fixture::new().await;
    let answerer = answerer(&f).await;
    let many = "SELECT 1 FROM information_schema.collations a JOIN information_schema.collations b";
    let answer = ask(&answerer, many).await.unwrap();
    assert!(
        answer.has_more && answer.rows.len() == MOST_ROWS,
        "{}",
        answer.rows.len()
    );
    let limit = Duration::from_millis(500);
    for endless in [
        "SELECT benchmark(100000000000, 1)",
        "SELECT sleep(60)",
        "SELECT count(*) FROM information_schema.collations a JOIN information_schema.collations b
           JOIN information_schema.collations c JOIN information_schema.collations d",
    ] {
        let begun = Instant::now();
        let stopped = criterion(&answerer, endless, limit).await;
        assert!(
            matches!(stopped, Ok(_) | Err(CriterionError::TimedOut { .. })),
            "{endless}: {stopped:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{endless}");
    }
    let sessions =
        "SELECT CAST(count(*) AS CHAR) FROM information_schema.processlist WHERE info LIKE 'SELECT EXISTS%'";
    let mut shell = f.shell().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while shell.column(sessions).await != ["0"] {
        assert!(Instant::now() < deadline, "nothing of it goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(criterion(&answerer, "SELECT 1", LIMIT).await.unwrap());
}

#[tokio::test]
async fn a_role_that_may_do_more_than_read_is_refused() {
    let f = Fixture::new().await;
    for (rights, problem) in [
        (
            &["GRANT ALL PRIVILEGES ON *.* TO {}"][..],
            "REVOKE ALL PRIVILEGES ON *.*",
        ),
        (&["GRANT SELECT, UPDATE ON job_run TO {}"], "REVOKE UPDATE ON"),
        (
            &["GRANT FILE ON *.* TO {}", "GRANT SELECT ON files TO {}"],
            "REVOKE FILE ON *.*",
        ),
        (
            &["GRANT SELECT ON files TO {} WITH GRANT OPTION"],
            "REVOKE GRANT OPTION ON",
        ),
        (
            &[
                "GRANT SELECT ON files TO {}",
                "CREATE ROLE of_{}",
                "GRANT of_{} TO {}",
            ],
            "it may become another role",
        ),
    ] {
        let refused = ask(&role(&f, rights), "SELECT 1").await.unwrap_err().to_string();
        assert!(
            refused.contains(problem) && refused.contains("cannot ask as the role of state.criteria_url"),
            "{refused}"
        );
    }
    let own = Answerer::Role(ReaderRole::new(&url(&f), &Passwords::default()).unwrap());
    assert!(
        ask(&own, "SELECT 1").await.is_err(),
        "it is the state database's own"
    );
}
