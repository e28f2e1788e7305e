//! What a Postgres server may refuse, each tested on a real server: one clear error, and nothing half done is visible.

use gristmill_loader::{Load, LoadError, LoadMode, LoadOutcome, Warehouse};
use gristmill_testkit::postgres::{Postgres, execute, shared};

use crate::support::{MEASURES, Place, Summary, contents, day};

fn summary(rows: i64, cents: i64) -> Summary {
    let mut summary = Summary::default();
    for n in 0..rows {
        summary.add(
            "s",
            &format!("{n:08}"),
            day("2025-03-01"),
            vec![Some(cents + n), None, None],
        );
    }
    summary
}

/// Runs a load that must fail. Returns the error as the operator sees it.
async fn refused(warehouse: &dyn Warehouse, load: &Load, is_transient: bool) -> String {
    let error = warehouse.load(load, &|_| ()).await.unwrap_err();
    let message = shown_error(&error);
    assert_eq!(error.is_transient(), is_transient, "{message}");
    message
}

fn shown_error(error: &LoadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn each_missing_right_is_named_and_nothing_is_changed() {
    let place = Place::postgres();
    let owner = place.ready(LoadMode::ReplaceDays).await;
    let before = summary(3, 100);
    place.loaded(&*owner, 1, &before).await;
    let database = place.url.rsplit('/').next().unwrap();
    // Roles belong to the whole server; the database's number makes this one the test's own.
    let role = format!("clerk_{database}");
    execute(
        &place.url,
        &format!(
            "CREATE ROLE {role} LOGIN;
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             REVOKE ALL ON DATABASE {database} FROM PUBLIC;
             GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}"
        ),
    );
    let clerk = Place {
        url: place.url.replace("postgres@", &format!("{role}:hunter2@")),
        ..Place::postgres()
    }
    .open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let load = place.load(2, &summary(5, 200));
    for (taken, given, subject) in [
        (
            format!("REVOKE CONNECT ON DATABASE {database} FROM {role}"),
            format!("GRANT CONNECT ON DATABASE {database} TO {role}"),
            format!("permission denied for database \"{database}\""),
        ),
        (
            format!("REVOKE TEMPORARY ON DATABASE {database} FROM {role}"),
            format!("GRANT TEMPORARY ON DATABASE {database} TO {role}"),
            "temporary tables".into(),
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC".into(),
            "GRANT USAGE ON SCHEMA public TO PUBLIC".into(),
            "no schema of the session's search_path".into(),
        ),
        (
            format!("REVOKE INSERT ON sales_summary FROM {role}"),
            format!("GRANT INSERT ON sales_summary TO {role}"),
            "permission denied for table sales_summary".into(),
        ),
        (
            format!("REVOKE INSERT ON gristmill_ledger FROM {role}"),
            format!("GRANT INSERT ON gristmill_ledger TO {role}"),
            "permission denied for table gristmill_ledger".into(),
        ),
    ] {
        execute(&place.url, &taken);
        let message = refused(&*clerk, &load, false).await;
        assert!(
            message.contains(&subject) && !message.contains("hunter2"),
            "{taken}: {message}"
        );
        assert!(message.contains("GRANT"), "{taken}: {message}");
        assert_eq!(contents(&*owner).await, before.rows, "{taken}");
        assert_eq!(owner.ledger_entry("run-2").await.unwrap(), None);
        execute(&place.url, &given);
    }
    assert!(matches!(
        clerk.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(_)
    ));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_may_be_tried_again() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let hasty = Place {
        url: format!("{}?options=-cstatement_timeout%3D200ms", place.url),
        ..Place::postgres()
    }
    .open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let (client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE sales_summary IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let load = place.load(1, &summary(5, 100));
    let message = refused(&*hasty, &load, true).await;
    assert!(
        message.contains("statement timeout") && message.contains("raise statement_timeout"),
        "{message}"
    );
    client.batch_execute("ROLLBACK").await.unwrap();
    assert!(contents(&*warehouse).await.is_empty());
    assert!(matches!(
        hasty.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(_)
    ));
}

/// On a disk that is really full where this user may mount one. Elsewhere the server's own limit on temporary files has
/// to stand in, which is not the same error: the operator has set it, so no second try is made.
#[tokio::test]
async fn a_full_disk_loads_nothing_and_room_mends_it() {
    const ROWS: i64 = 60_000;
    let Some(server) = Postgres::start_with_small_disk(64) else {
        let place = Place::postgres();
        let warehouse = place.ready(LoadMode::ReplaceDays).await;
        let limited = Place::at(format!(
            "{}?options=-ctemp_file_limit%3D64kB%20-cwork_mem%3D64kB",
            place.url
        ));
        let limited = limited.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
        let message = refused(&*limited, &place.load(1, &summary(ROWS, 100)), false).await;
        assert!(
            message.contains("raise that limit") && message.contains("53400"),
            "{message}"
        );
        assert!(contents(&*warehouse).await.is_empty());
        return;
    };
    let disk = server.small_disk().display().to_string();
    execute(
        &server.url("postgres"),
        &format!("CREATE TABLESPACE small LOCATION '{disk}'"),
    );
    execute(&server.url("postgres"), "CREATE DATABASE mart TABLESPACE small");
    let place = Place::at(server.url("mart"));
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let before = summary(3, 100);
    place.loaded(&*warehouse, 1, &before).await;
    // Of the 56 MB that a new database leaves.
    execute(
        &place.url,
        "CREATE UNLOGGED TABLE filler AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 53000) AS n",
    );
    let after = summary(ROWS, 200);
    let load = place.load(2, &after);
    let message = refused(&*warehouse, &load, true).await;
    assert!(
        message.contains("make room") && message.contains("53100"),
        "{message}"
    );
    assert_eq!(contents(&*warehouse).await, before.rows);
    assert_eq!(warehouse.ledger_entry("run-2").await.unwrap(), None);

    execute(&place.url, "DROP TABLE filler");
    warehouse.load(&load, &|_| ()).await.unwrap();
    assert_eq!(contents(&*warehouse).await, after.rows);
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_reported_and_may_be_a_primary_later() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let database = place.url.rsplit('/').next().unwrap();
    let mode = |mode| format!("ALTER DATABASE {database} SET default_transaction_read_only = {mode}");
    execute(&shared().url("postgres"), &mode("on"));
    let load = place.load(1, &summary(5, 100));
    let message = refused(&*warehouse, &load, true).await;
    assert!(
        message.contains("takes no writes") && message.contains("25006"),
        "{message}"
    );
    assert!(contents(&*warehouse).await.is_empty());
    execute(&shared().url("postgres"), &mode("off"));
    assert!(matches!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(_)
    ));
}
