//! Connections to a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_servers::Passwords;
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
    prepared(&gristmill_testkit::postgres::shared().create_database()).await
}

async fn prepared(url: &str) -> Arc<Server> {
    let server = Server::new(url, &Passwords::default(), "gristmill state").unwrap();
    let server = Arc::new(server);
    StateDb::open(server.clone(), Arc::new(SystemClock))
        .await
        .unwrap();
    server
}

async fn connect(server: &Arc<Server>, purpose: Purpose) -> Connection {
    Connection::Postgres(Box::new(Postgres::connect(server, purpose).await.unwrap()))
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
    assert!(again.to_string().contains("unmatched_file"), "{again}");
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
    for statement in [ADD, "SELECT pg_sleep(0.2) IS NULL, ?1:text"] {
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
        assert!(writer.is_usable().await);
    }
    let mut reader = connect(&server, Purpose::Read).await;
    assert_eq!(number(&mut reader, COUNT).await, 0);
}

#[tokio::test]
async fn commits_are_flushed_unless_the_next_start_would_do_the_same_again() {
    let server = server().await;
    // What the server would do by itself, and what it does for a commit that is flushed.
    for (of_server, flushed) in [("on", "on"), ("off", "on"), ("remote_apply", "remote_apply")] {
        let set = format!(
            "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {of_server}', current_database()); END$$"
        );
        gristmill_testkit::postgres::execute(server.url(), &set);
        let mut writer = connect(&server, Purpose::Write).await;
        for (is_flushed, expected) in [(true, flushed), (false, "off"), (true, flushed)] {
            writer.flush_commits(is_flushed).await.unwrap();
            let mut tx = Transaction::to_write(&mut writer).await.unwrap();
            let found: String = query_scalar("SHOW synchronous_commit")
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            assert_eq!(found, expected, "{of_server}");
            tx.commit().await.unwrap();
        }
    }
}

/// A server that crashes may lose its last transactions, and give their numbers to others.
#[tokio::test]
async fn a_number_that_others_got_or_nobody_yet_is_no_commit() {
    let server = server().await;
    let mut writer = Postgres::connect(&server, Purpose::Write).await.unwrap();
    let mut counted = Vec::new();
    for stands in [true, false] {
        writer.begin_to_write().await.unwrap();
        counted.push(writer.transaction.clone().unwrap());
        match stands {
            true => writer.commit().await.unwrap(),
            false => writer.rollback().await.unwrap(),
        }
    }
    let [committed, undone] = &counted[..] else {
        panic!("two were counted")
    };
    let of_others = Counted {
        writes: committed.writes + 1,
        ..committed.clone()
    };
    let of_nobody = Counted {
        number: (i64::MAX - 1).to_string(),
        ..committed.clone()
    };
    let lost = || DatabaseError::OnlyRead;
    outcome::must_stand(&server, committed, lost()).await.unwrap();
    for counted in [undone, &of_others, &of_nobody] {
        let error = outcome::must_stand(&server, counted, lost()).await.unwrap_err();
        assert!(matches!(error, DatabaseError::OnlyRead), "{counted:?}: {error}");
    }
}

/// It has what was confirmed, and does not show it before it is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_catches_up_is_waited_for() {
    let own = gristmill_testkit::postgres::Postgres::start();
    let server = prepared(&own.create_database()).await;
    own.add_late_standby();
    let mut before = Postgres::connect(&server, Purpose::Write).await.unwrap();
    // It stands still at the first commit, and has not even seen the beginning of what follows.
    before.begin_to_write().await.unwrap();
    before.commit().await.unwrap();
    before.begin_to_write().await.unwrap();
    let counted = before.transaction.clone().unwrap();
    before.commit().await.unwrap();
    own.follow_late();

    let asked = outcome::must_stand(&server, &counted, DatabaseError::OnlyRead);
    let mut asked = std::pin::pin!(asked);
    assert!(timeout(Duration::from_secs(1), &mut asked).await.is_err());
    let mut next = Postgres::connect(&server, Purpose::Write).await.unwrap();
    assert!(next.number("SELECT writes FROM writer").await.unwrap() < counted.writes);
    let refused = next.succeed(&before).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");

    own.promote();
    asked.await.unwrap();
    let mut next = Postgres::connect(&server, Purpose::Write).await.unwrap();
    next.succeed(&before).await.unwrap();
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let server = server().await;
    let mut reader = connect(&server, Purpose::Read).await;
    let texts = "SELECT ?1:text, ?2:text, ?3:int, ?4:real";
    let back: (String, Option<String>, i64, f64) = query_as(texts)
        .bind("é\0")
        .bind(None::<String>)
        .bind(i64::MIN)
        .bind(f64::INFINITY)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(back, ("é\u{fffd}".to_owned(), None, i64::MIN, f64::INFINITY));
    let same_name = query("SELECT 1 AS n, 2::bigint AS n, true AS is_so, now() AS at");
    let row = same_name.fetch_one(&mut reader).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 2, "the last of them counts");
    assert!(row.get::<bool>("is_so").unwrap());
    for (column, read) in [("at", row.get::<String>("at")), ("n", row.get::<String>("n"))] {
        let error = read.unwrap_err();
        assert!(
            matches!(&error, DatabaseError::Column { column: named, .. } if named == column),
            "{error}"
        );
    }
    let refused = query(ADD).bind("a").execute(&mut reader).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

/// A claim that stands without its claimer's knowledge would wait for the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_message_is_lost_an_error_means_that_nothing_was_written() {
    let server = server().await;
    let shared = gristmill_testkit::postgres::shared();
    let proxy = Proxy::start(shared.port, Protocol::Postgres);
    let url = server
        .url()
        .replace(&shared.port.to_string(), &proxy.port.to_string());
    let cut_off = Server::new(&format!("{url}?sslmode=disable"), &Passwords::default(), "cut").unwrap();
    let cut_off = Arc::new(cut_off);
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
    let mut writer = Connection::Postgres(Box::new(Postgres::connect(server, Purpose::Write).await?));
    let mut tx = Transaction::to_write(&mut writer).await?;
    query(ADD).bind(path).execute(&mut *tx).await?;
    tx.commit().await
}
