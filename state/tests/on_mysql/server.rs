//! What is so only on a server: several hosts, connections that are cut, and who may migrate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_state::{Place, StateDb, StateError, SystemClock};
use gristmill_testkit::mariadb::{MariaDb, execute, shared};

use crate::place::{at, new_place};
use crate::shell::Shell;
use crate::support::{Fixture, converted, job};

async fn version(place: &Place) -> i64 {
    let version = "SELECT CAST(max(version) AS TEXT) FROM gristmill_migration";
    Shell::open(place).await.column(version).await[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_hosts_may_open_a_new_database_at_once() {
    let (place, ()) = new_place();
    let opening = (0..4).map(|_| {
        let place = place.clone();
        tokio::spawn(async move { StateDb::open(place, Arc::new(SystemClock)).await })
    });
    for db in opening.collect::<Vec<_>>() {
        db.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_was_recorded_is_there_after_reopening() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.db.close().await.unwrap();
    let again = f.open_again().await;
    assert_eq!(again.files(&Default::default()).await.unwrap().len(), 1);
    assert_eq!(again.jobs().await.unwrap()[0].config, job("J101"));
    let reading = StateDb::open_to_read(&f.place, Arc::new(SystemClock)).await;
    reading.unwrap().jobs().await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_version_is_refused_by_whoever_opens_it() {
    let f = Fixture::new().await;
    let known = version(&f.place).await;
    let clock = || Arc::new(SystemClock);
    let mut shell = f.shell().await;
    let newer = "INSERT INTO gristmill_migration VALUES (9999, 'from the future', 'x', utc_timestamp(6))";
    shell.execute(newer).await.unwrap();
    for opened in [
        StateDb::open(&f.place, clock()).await,
        StateDb::open_beside(&f.place, clock()).await,
        StateDb::open_to_read(&f.place, clock()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(
            matches!(error, StateError::Newer { found: 9999, known: k, .. } if k == known),
            "{error}"
        );
        assert!(!error.is_transient());
    }
    let older = "DELETE FROM gristmill_migration;
                 INSERT INTO gristmill_migration VALUES (1, 'of long ago', 'x', utc_timestamp(6))";
    shell.execute(older).await.unwrap();
    for opened in [
        StateDb::open_beside(&f.place, clock()).await,
        StateDb::open_to_read(&f.place, clock()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StateError::Older { found: 1, .. }), "{error}");
    }
    let unknown = StateDb::open(&f.place, clock()).await.unwrap_err();
    assert!(matches!(unknown, StateError::Migrate { .. }), "{unknown}");
}

#[tokio::test]
async fn a_migration_that_has_changed_or_was_interrupted_is_noticed() {
    for (change, said) in [
        ("checksum = 'x'", "another text"),
        ("applied = NULL", "interrupted"),
    ] {
        let f = Fixture::new().await;
        let change = format!("UPDATE gristmill_migration SET {change}");
        f.shell().await.execute(&change).await.unwrap();
        let error = StateDb::open(&f.place, Arc::new(SystemClock)).await.unwrap_err();
        let StateError::Migrate { source, .. } = &error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains(said), "{source}");
    }
}

#[tokio::test]
async fn a_database_without_anything_is_created_by_whoever_writes_and_not_by_whoever_reads() {
    let (place, ()) = new_place();
    let error = StateDb::open_to_read(&place, Arc::new(SystemClock))
        .await
        .unwrap_err();
    assert!(matches!(error, StateError::Older { found: 0, .. }), "{error}");
    let db = StateDb::open_beside(&place, Arc::new(SystemClock)).await.unwrap();
    db.add_jobs(&[job("J101")]).await.unwrap();
    let reading = StateDb::open_to_read(&place, Arc::new(SystemClock))
        .await
        .unwrap();
    assert_eq!(reading.jobs().await.unwrap().len(), 1);
    let refused = reading.set_enabled("J101", false).await.unwrap_err();
    assert!(matches!(refused, StateError::Query { .. }), "{refused}");
}

#[tokio::test]
async fn connections_that_were_cut_are_made_anew() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let before = f.db.changes().await.unwrap();
    let sessions = "SELECT CAST(id AS TEXT) FROM information_schema.processlist
                     WHERE db = database() AND id <> connection_id()";
    let mut shell = f.shell().await;
    for round in 0..3 {
        let sessions = shell.column(sessions).await;
        assert!(sessions.len() > 1, "the writer, and a reader");
        for session in sessions {
            shell.execute(&format!("KILL {session}")).await.unwrap();
        }
        // Whoever uses a connection before its end was noticed fails, in a way that passes.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut failures = 0;
        while let Err(error) = f.db.set_enabled("J101", round % 2 == 0).await {
            assert!(error.is_transient() && Instant::now() < deadline, "{error:?}");
            failures += 1;
        }
        while let Err(error) = f.db.jobs().await {
            assert!(error.is_transient() && Instant::now() < deadline, "{error:?}");
            failures += 1;
        }
        assert!(failures <= 6, "each connection fails at most once for each use");
    }
    // What this did itself may look as if others had done it, which only has somebody look again; but nothing is missed.
    let after = f.db.changes().await.unwrap();
    assert!(after >= before);
    let edit = "UPDATE aggr_job_configuration SET job_min_file_count = 2";
    shell.execute(edit).await.unwrap();
    assert!(f.db.changes().await.unwrap() > after);
}

/// A database for a shop that wrote Swedish has other rules for texts.
#[tokio::test]
async fn texts_are_told_apart_by_their_bytes_whatever_the_database_was_created_for() {
    execute(
        &shared().url("mysql"),
        "CREATE DATABASE swedish CHARACTER SET latin1 COLLATE latin1_swedish_ci",
    );
    let db = StateDb::open(at(&shared().url("swedish")), Arc::new(SystemClock)).await;
    let db = db.unwrap();
    let names = ["J", "J ", "j", "Ü", "ü", "\u{1f35e}"];
    db.add_jobs(&names.map(job)).await.unwrap();
    let jobs = db.jobs().await.unwrap();
    let jobs: Vec<_> = jobs.iter().map(|job| job.config.id.as_str()).collect();
    assert_eq!(jobs, names);
}

#[tokio::test]
async fn a_path_may_have_700_characters() {
    let f = Fixture::new().await;
    let path = "ü".repeat(696) + ".tdf";
    f.record(&path, converted("a")).await;
    assert!(f.db.file(&path).await.unwrap().is_some());
}

/// A migration that fails in the middle of a text says so: what comes before is done, and what comes behind is not.
#[tokio::test]
async fn the_server_says_which_of_several_statements_it_refuses() {
    let f = Fixture::new().await;
    let several =
        "CREATE TABLE before_it (a int); CREATE TABLE writer (a int); CREATE TABLE behind_it (a int)";
    let mut shell = f.shell().await;
    let refused = shell.execute(several).await.unwrap_err();
    assert!(refused.contains("writer"), "{refused}");
    let made = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE '%\\_it'";
    assert_eq!(shell.column(made).await, ["before_it"]);
}

#[tokio::test]
async fn a_user_with_rights_to_the_database_alone_is_enough_where_changes_are_logged() {
    let server = MariaDb::start_with(&["--log-bin=DIR/log-of-changes", "--binlog-format=MIXED"], &[]);
    let url = server.create_database();
    let database = url.rsplit('/').next().unwrap();
    execute(
        &url,
        &format!("CREATE USER mill; GRANT ALL ON {database}.* TO mill"),
    );
    let place = at(&url.replace("root@", "mill@"));
    let refused = StateDb::open(&place, Arc::new(SystemClock)).await.unwrap_err();
    let reason = std::error::Error::source(&refused).unwrap().to_string();
    assert!(
        reason.contains("log_bin_trust_function_creators"),
        "{refused}: {reason}"
    );
    execute(&url, "SET GLOBAL log_bin_trust_function_creators = 1");
    let db = StateDb::open(&place, Arc::new(SystemClock)).await.unwrap();
    db.add_jobs(&[job("J101")]).await.unwrap();
    let mut shell = Shell::open(&place).await;
    let edit = "UPDATE aggr_job_configuration SET job_enabled = 0";
    shell.execute(edit).await.unwrap();
    assert!(!db.jobs().await.unwrap()[0].config.enabled);
}
