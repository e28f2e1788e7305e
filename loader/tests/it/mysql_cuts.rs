//! Connections to MariaDB cut at every step of a load, and lines that fall silent: whatever happens, a load is complete or
//! absent, and the next try completes it.

use std::time::Duration;

use gristmill_loader::{LoadError, LoadMode, LoadOutcome};
use gristmill_testkit::mariadb;
use gristmill_testkit::proxy::{Cut, Manner, Protocol, Side};
use mysql_async::prelude::Queryable;

use crate::cuts::{Cuttable, IMPATIENT, Scene, cut_everywhere, fall_silent, many};
use crate::support::Place;

const MARIADB: Cuttable = Cuttable {
    place: Place::mysql,
    port: || mariadb::shared().port,
    protocol: Protocol::MySql,
    rows: "group_concat(item_id || ' ' || sale_amount ORDER BY item_id SEPARATOR ', ')",
    // An answer is many messages.
    stride: 7,
    // The start, statements as they are, statements to prepare and to run, and good answers.
    hit: &[
        (Side::Client, '~'),
        (Side::Client, '\x03'),
        (Side::Client, '\x16'),
        (Side::Client, '\x17'),
        (Side::Server, '~'),
        (Side::Server, '\0'),
    ],
    lost_answers: 2,
};

#[tokio::test]
async fn a_load_by_days_is_cut_everywhere() {
    cut_everywhere(&MARIADB, LoadMode::ReplaceDays, false).await;
}

#[tokio::test]
async fn a_difference_is_cut_everywhere() {
    cut_everywhere(&MARIADB, LoadMode::ReplaceDays, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_line_falls_silent_fails_by_itself_and_leaves_no_lock() {
    // In the middle of a statement, at the answer to one, and at an answer before anything is locked.
    let cuts = [
        Cut::Bytes(Side::Client, 200_000),
        Cut::Message(Side::Server, 150),
        Cut::Message(Side::Server, 20),
    ];
    fall_silent(&MARIADB, cuts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_a_lock_is_not_silent() {
    let scene = Scene::new(&MARIADB, LoadMode::ReplaceDays, IMPATIENT).await;
    let load = scene.place.load(1, &many(1));
    let other = mysql_async::Opts::from_url(&scene.place.url).unwrap();
    let mut other = mysql_async::Conn::new(other).await.unwrap();
    other
        .query_drop("START TRANSACTION; SELECT * FROM gristmill_locks FOR UPDATE")
        .await
        .unwrap();
    let mut waiting = std::pin::pin!(scene.cut.load(&load, &|_| ()));
    let early = tokio::time::timeout(Duration::from_secs(4), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    other.query_drop("COMMIT").await.unwrap();
    assert!(matches!(waiting.await.unwrap(), LoadOutcome::Loaded(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_silent_from_the_start_has_a_limit() {
    let scene = Scene::new(
        &MARIADB,
        LoadMode::ReplaceDays,
        "sslmode=disable&connect_timeout=1",
    )
    .await;
    scene
        .proxy
        .cut(Some((Cut::Message(Side::Server, 0), Manner::Stall)));
    let error = scene.cut.row_count().await.unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::MySql {
                action: "connect to",
                ..
            }
        ) && error.is_outage(),
        "{error:?}"
    );
    mariadb::execute(&scene.place.url, "DROP TABLE sales_summary");
    scene.proxy.cut(None);
    let error = scene.cut.row_count().await.unwrap_err();
    assert!(matches!(error, LoadError::TargetAbsent { .. }), "{error:?}");
}
