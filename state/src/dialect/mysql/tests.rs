//! Connections to a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_testkit::mariadb;
use gristmill_testkit::proxy::{Cut, Manner, Protocol, Proxy, Side};
use tokio::time::timeout;

use super::*;
use crate::dialect::{Connection, Transaction, query, query_as, query_scalar};
use crate::{StateDb, SystemClock};

const ADD: &str = "INSERT INTO unmatched_file VALUES (?1, 1, 1, '2026-11-23T08:15:00.123456Z')";
const COUNT: &str = "SELECT count(*) FROM unmatched_file";
const WRITES: &str = "SELECT writes FROM writer";

/// A database with the schema.
async fn server() -> Arc<Server> {
    prepared(&mariadb::shared().create_database()).await
}

async fn prepared(url: &str) -> Arc<Server> {
    let server = Arc::new(Server::new(url).unwrap().for_state());
    StateDb::open(server.clone(), Arc::new(SystemClock))
        .await
        .unwrap();
    server
}

async fn connect(server: &Arc<Server>, purpose: Purpose) -> Connection {
    Connection::MySql(Box::new(MySql::connect(server, purpose).await.unwrap()))
}

async fn number(connection: &mut Connection, statement: &'static str) -> i64 {
    query_scalar(statement).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_failed_statement_undoes_its_transaction() {
    let server = server().await;
    let mut writer = connect(&server, Purpose::Write).await;
    let mut reader = connect(&server, Purpose::Read).await;
    let mut tx = Transaction::to_write(&mut writer).await.unwrap();
    query(ADD).bind("a").execute(&mut *tx).await.unwrap();
    let again = query(ADD).bind("a").execute(&mut *tx).await.unwrap_err();
    assert!(again.to_string().contains("a key is there already"), "{again}");
    assert!(!again.is_transient());
    let committed = tx.commit().await;
    assert!(
        matches!(committed, Err(DatabaseError::RolledBack)),
        "{committed:?}"
    );
    assert_eq!(number(&mut reader, COUNT).await, 0);

    // The connection works on.
    let mut tx = Transaction::to_write(&mut writer).await.unwrap();
    query(ADD).bind("a").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(number(&mut reader, COUNT).await, 1);
}

#[tokio::test]
async fn a_statement_alone_is_a_transaction_that_counts() {
    let server = server().await;
    let mut writer = connect(&server, Purpose::Write).await;
    let mut reader = connect(&server, Purpose::Read).await;
    let (before, changes) = (
        number(&mut reader, WRITES).await,
        writer.changes_of_others().await.unwrap(),
    );
    let done = query(ADD).bind("a").execute(&mut writer).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    query(ADD).bind("a").execute(&mut writer).await.unwrap_err();
    query(ADD).bind("b").execute(&mut writer).await.unwrap();
    assert_eq!(number(&mut reader, WRITES).await, before + 2);
    assert_eq!(
        writer.changes_of_others().await.unwrap(),
        changes,
        "its own do not count"
    );
    let mut other = connect(&server, Purpose::Write).await;
    query(ADD).bind("c").execute(&mut other).await.unwrap();
    assert_eq!(writer.changes_of_others().await.unwrap(), changes + 1);
}

#[tokio::test]
async fn one_transaction_writes_at_a_time_and_sees_what_the_one_before_wrote() {
    let server = server().await;
    let writers = (0..4).map(|_| {
        let server = server.clone();
        tokio::spawn(async move {
            let mut writer = connect(&server, Purpose::Write).await;
            for _ in 0..10 {
                let mut tx = Transaction::to_write(&mut writer).await.unwrap();
                let next = number(&mut tx, COUNT).await.to_string();
                query(ADD).bind(next).execute(&mut *tx).await.unwrap();
                tx.commit().await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut reader = connect(&server, Purpose::Read).await;
    assert_eq!(number(&mut reader, COUNT).await, 40);
}

#[tokio::test]
async fn a_write_that_is_given_up_keeps_nobody_waiting_and_is_undone() {
    let server = server().await;
    let mut writer = connect(&server, Purpose::Write).await;
    let mut other = connect(&server, Purpose::Write).await;
    for statement in [ADD, "SELECT sleep(0.2) IS NULL, ?1:text"] {
        {
            let mut tx = Transaction::to_write(&mut writer).await.unwrap();
            query(ADD).bind("given up").execute(&mut *tx).await.unwrap();
            let cut = query(statement).bind("given up, too").execute(&mut *tx);
            let _ = timeout(Duration::from_millis(20), cut).await;
        }
        let began = Instant::now();
        let left = query("DELETE FROM unmatched_file WHERE file_url LIKE 'given up%'");
        let left = left.execute(&mut other).await.unwrap();
        assert_eq!(left.rows_affected(), 0);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

        // A connection on which something was given up in the middle is lost.
        if !writer.is_usable().await {
            writer = connect(&server, Purpose::Write).await;
        }
        // A statement alone, which may be done by then.
        let alone = query(statement).bind("alone").execute(&mut writer);
        let is_done = timeout(Duration::from_millis(20), alone).await.is_ok();
        let began = Instant::now();
        let left = query("DELETE FROM unmatched_file")
            .execute(&mut other)
            .await
            .unwrap();
        assert!(left.rows_affected() <= 1, "{statement}: done {is_done}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        if !writer.is_usable().await {
            writer = connect(&server, Purpose::Write).await;
        }
    }
    let mut reader = connect(&server, Purpose::Read).await;
    assert_eq!(number(&mut reader, COUNT).await, 0);
}

#[tokio::test]
async fn what_a_connection_has_not_committed_does_not_stand_whatever_others_wrote() {
    let server = server().await;
    let mut writer = MySql::connect(&server, Purpose::Write).await.unwrap();
    let mut counted = Vec::new();
    for stands in [true, false] {
        writer.begin_to_write().await.unwrap();
        counted.push(writer.transaction.clone().unwrap());
        match stands {
            true => writer.commit().await.unwrap(),
            false => writer.rollback().await.unwrap(),
        }
    }
    let mut other = connect(&server, Purpose::Write).await;
    for path in ["a", "b", "c"] {
        query(ADD).bind(path).execute(&mut other).await.unwrap();
    }
    let [committed, undone] = &counted[..] else {
        panic!("two were counted")
    };
    let lost = || DatabaseError::OnlyRead;
    outcome::must_stand(&server, committed, lost()).await.unwrap();
    let error = outcome::must_stand(&server, undone, lost()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::OnlyRead), "{error}");
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let server = server().await;
    let mut reader = connect(&server, Purpose::Read).await;
    let texts = "SELECT ?1, ?2, ?3, ?4";
    let back: (String, Option<String>, i64, f64) = query_as(texts)
        .bind("é\0\u{10ffff}\\")
        .bind(None::<String>)
        .bind(i64::MIN)
        .bind(0.1)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(back, ("é\0\u{10ffff}\\".to_owned(), None, i64::MIN, 0.1));
    let same_name = query("SELECT 1 AS n, sum(2) AS n, true AS is_so, utc_timestamp() AS at, x'ff' AS bytes");
    let row = same_name.fetch_one(&mut reader).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 2, "the last of them counts");
    assert!(row.get::<bool>("is_so").unwrap());
    for (column, read) in [
        ("at", row.get::<String>("at")),
        ("n", row.get::<String>("n")),
        ("bytes", row.get::<String>("bytes")),
    ] {
        let error = read.unwrap_err();
        assert!(
            matches!(&error, DatabaseError::Column { column: named, .. } if named == column),
            "{error}"
        );
    }
    let refused = query(ADD).bind("a").execute(&mut reader).await.unwrap_err();
    assert!(refused.to_string().contains("READ ONLY"), "{refused}");
}

#[tokio::test]
async fn texts_are_told_apart_by_their_bytes() {
    let server = server().await;
    let mut reader = connect(&server, Purpose::Read).await;
    for (one, other) in [("a", "A"), ("a", "a "), ("e", "é"), ("", "\0")] {
        let is_same = query_scalar::<bool>("SELECT ?1 = ?2").bind(one).bind(other);
        assert!(
            !is_same.fetch_one(&mut reader).await.unwrap(),
            "{one:?} {other:?}"
        );
    }
    let texts = "SELECT value FROM list(?1 text) l ORDER BY value";
    let sorted = query_scalar(texts).bind(r#"["b", "a ", "B", "a", "é", "a\u0000"]"#);
    let sorted: Vec<String> = sorted.fetch_all(&mut reader).await.unwrap();
    assert_eq!(sorted, ["B", "a", "a\0", "a ", "b", "é"]);
}

/// A claim that stands without its claimer's knowledge would wait for the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_message_is_lost_an_error_means_that_nothing_was_written() {
    let server = server().await;
    let shared = mariadb::shared();
    let proxy = Proxy::start(shared.port, Protocol::MySql);
    let url = server
        .url()
        .replace(&shared.port.to_string(), &proxy.port.to_string());
    let cut_off = Server::new(&format!("{url}?sslmode=disable")).unwrap();
    let cut_off = Arc::new(cut_off.for_state());
    let mut reader = connect(&server, Purpose::Read).await;
    let mut confirmed = Vec::new();
    for side in [Side::Client, Side::Server] {
        for number in 0.. {
            let before = number_of_rows(&mut reader).await;
            proxy.cut(Some((Cut::Message(side, number), Manner::Close)));
            let written = write(&cut_off, &format!("{side:?} {number}")).await;
            let fallen = proxy.fallen();
            proxy.cut(None);
            let added = number_of_rows(&mut reader).await - before;
            let what = format!("{side:?} {number} at {fallen:?}: {written:?}");
            assert_eq!(added, i64::from(written.is_ok()), "{what}");
            match (written, fallen) {
                (Ok(()), None) => break,
                (Ok(()), Some(_)) => confirmed.push(what),
                (Err(error), fallen) => assert!(error.is_transient() && fallen.is_some(), "{what}"),
            }
        }
    }
    // The answer to the commit, or what follows it.
    assert!(!confirmed.is_empty());
    eprintln!("{confirmed:#?}");
}

async fn number_of_rows(reader: &mut Connection) -> i64 {
    number(reader, COUNT).await
}

async fn write(server: &Arc<Server>, path: &str) -> Result<()> {
    let mut writer = Connection::MySql(Box::new(MySql::connect(server, Purpose::Write).await?));
    let mut tx = Transaction::to_write(&mut writer).await?;
    query(ADD).bind(path).execute(&mut *tx).await?;
    tx.commit().await
}

/// It is `read_only` until then, and the user is nobody to whom that does not apply.
#[tokio::test]
async fn a_replica_that_catches_up_is_waited_for() {
    let own = mariadb::MariaDb::start();
    let url = own.create_database();
    let (_, name) = url.rsplit_once('/').unwrap();
    let user = "CREATE USER service IDENTIFIED BY 'x'";
    mariadb::execute(
        &url,
        &format!("{user}; GRANT ALL PRIVILEGES ON {name}.* TO service"),
    );
    // The triggers are made by one who may.
    prepared(&url).await;
    let server = prepared(&url.replacen("root@", "service:x@", 1)).await;
    let mut before = MySql::connect(&server, Purpose::Write).await.unwrap();
    before.begin_to_write().await.unwrap();
    let counted = before.transaction.clone().unwrap();
    before.commit().await.unwrap();
    let as_replica = |writes: &str, is_read_only| {
        let session = counted.session;
        let apply =
            format!("UPDATE writer_session SET writes = writes {writes} WHERE session_id = {session}");
        mariadb::execute(&url, &format!("{apply}; SET GLOBAL read_only = {is_read_only}"));
    };
    as_replica("- 1", 1);

    let asked = outcome::must_stand(&server, &counted, DatabaseError::OnlyRead);
    let mut asked = std::pin::pin!(asked);
    assert!(timeout(Duration::from_secs(1), &mut asked).await.is_err());
    let mut next = MySql::connect(&server, Purpose::Write).await.unwrap();
    let refused = next.succeed(&before).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");

    as_replica("+ 1", 0);
    asked.await.unwrap();
    let mut next = MySql::connect(&server, Purpose::Write).await.unwrap();
    next.succeed(&before).await.unwrap();
    as_replica("- 1", 0);
    let mut next = MySql::connect(&server, Purpose::Write).await.unwrap();
    let lacking = next.succeed(&before).await.unwrap_err();
    assert!(matches!(lacking, DatabaseError::WentBack(_)), "{lacking}");
}
