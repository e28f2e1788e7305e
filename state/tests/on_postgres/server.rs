//! What is so only on a server: several hosts, connections that are cut, and who may migrate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_state::{Place, StateDb, StateError, SystemClock};
use gristmill_testkit::postgres::shared;

use crate::place::{at, new_place};
use crate::shell::Shell;
use crate::support::{Fixture, converted, job};

async fn version(place: &Place) -> i64 {
    let version = "SELECT max(version) FROM gristmill_migration";
    Shell::open(place).await.column(version).await[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_hosts_may_open_a_new_database_at_once() {
    let (place, _) = new_place();
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
    StateDb::open_to_read(&f.place, Arc::new(SystemClock))
        .await
        .unwrap()
        .jobs()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_database_of_another_version_is_refused_by_whoever_opens_it() {
    let f = Fixture::new().await;
    let known = version(&f.place).await;
    let clock = || Arc::new(SystemClock);
    let mut shell = f.shell().await;
    let newer = "INSERT INTO gristmill_migration VALUES (9999, 'from the future', 'x')";
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
    let older =
        "DELETE FROM gristmill_migration; INSERT INTO gristmill_migration VALUES (1, 'of long ago', 'x')";
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
async fn a_migration_that_has_changed_is_noticed() {
    let f = Fixture::new().await;
    let change = "UPDATE gristmill_migration SET checksum = 'x'";
    f.shell().await.execute(change).await.unwrap();
    let error = StateDb::open(&f.place, Arc::new(SystemClock)).await.unwrap_err();
    let StateError::Migrate { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains("another text"), "{source}");
}

#[tokio::test]
async fn a_database_without_anything_is_created_by_whoever_writes_and_not_by_whoever_reads() {
    let (place, _) = new_place();
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
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'gristmill state' AND datname = current_database()";
    let mut shell = f.shell().await;
    for round in 0..3 {
        assert!(shell.column(cut).await.len() > 1, "the writer, and a reader");
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
        eprintln!("{failures} failures");
        assert!(failures <= 6, "each connection fails at most once for each use");
    }
    // What this did itself may look as if others had done it, which only has somebody look again; but nothing is missed.
    let after = f.db.changes().await.unwrap();
    assert!(after >= before);
    let edit = "UPDATE aggr_job_configuration SET job_min_file_count = 2";
    shell.execute(edit).await.unwrap();
    assert!(f.db.changes().await.unwrap() > after);
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let (place, _) = new_place();
    let mut shell = Shell::open(&place).await;
    let create = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    shell.execute(create).await.unwrap();
    let error = StateDb::open(at(&shared().url("latin")), Arc::new(SystemClock)).await;
    let error = error.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("LATIN1") && source.contains("must be UTF8"),
        "{error}: {source}"
    );
}

#[tokio::test]
async fn everything_lies_in_the_schema_that_the_url_names() {
    let url = shared().create_database();
    let mut shell = Shell::open(&at(&url)).await;
    shell.execute("CREATE SCHEMA app").await.unwrap();
    let place = at(&format!("{url}?options=-csearch_path%3Dapp"));
    let db = StateDb::open(place, Arc::new(SystemClock)).await.unwrap();
    db.add_jobs(&[job("J101")]).await.unwrap();
    let others = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(shell.column(others).await, ["0"]);
    // Triggers find their tables, whatever search path a person has.
    let edit = "UPDATE app.aggr_job_configuration SET job_enabled = 0";
    shell.execute(edit).await.unwrap();
    assert!(!db.jobs().await.unwrap()[0].config.enabled);
    assert_eq!(db.job_history(None).await.unwrap().len(), 2);
}
