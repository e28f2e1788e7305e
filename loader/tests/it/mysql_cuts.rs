//! Connections to MariaDB cut at every step of a load, and lines that fall silent: whatever happens, a load is complete or
//! absent, and the next try completes it.

use std::collections::BTreeSet;
use std::time::Duration;

use gristmill_loader::{LoadError, LoadMode, LoadOutcome, Warehouse};
use gristmill_testkit::mariadb::{execute, query, shared};
use gristmill_testkit::proxy::{Cut, Manner, Protocol, Proxy, Side};

use crate::cuts::{many, shown, summary};
use crate::support::{MEASURES, Place, contents};

/// A target, with one connection to it that can be cut and one that cannot.
struct Scene {
    place: Place,
    proxy: Proxy,
    cut: Box<dyn Warehouse>,
    safe: Box<dyn Warehouse>,
}

impl Scene {
    async fn new(mode: LoadMode, parameters: &str) -> Self {
        let place = Place::mysql();
        let safe = place.ready(mode).await;
        let proxy = Proxy::start(shared().port, Protocol::MySql);
        let url = place
            .url
            .replace(&format!(":{}/", shared().port), &format!(":{}/", proxy.port));
        let cut = Place::at(format!("{url}?{parameters}")).open("sales_summary", &MEASURES, mode);
        Self {
            place,
            proxy,
            cut,
            safe,
        }
    }

    /// Whether a run is in the ledger, and all rows: seen by a single statement, so at one moment.
    fn seen(&self, run_id: &str) -> (bool, String) {
        let sql = format!(
            "SELECT (SELECT count(*) FROM gristmill_ledger WHERE run_id = '{run_id}') || '',
                    (SELECT coalesce(group_concat(item_id || ' ' || sale_amount ORDER BY item_id SEPARATOR ', '), '')
                       FROM sales_summary)"
        );
        let row = query(&self.place.url, &sql).remove(0);
        let [entered, rows] = row.try_into().unwrap();
        (entered.unwrap() == "1", rows.unwrap())
    }
}

/// Loads run after run, each cut some messages later than the one before, on either side, until one ends before the cut
/// would fall; after each cut the load is tried again. A server's answer is many messages, of which every seventh is cut:
/// each kind comes up.
async fn cut_everywhere(mode: LoadMode, has_base: bool) {
    let scene = Scene::new(mode, "sslmode=disable").await;
    let mut sequence = 1;
    let mut last = scene.place.load(sequence, &summary(sequence));
    scene.safe.load(&last, &|_| ()).await.unwrap();
    let mut model = summary(sequence).rows;
    let mut letters = BTreeSet::new();
    for (side, step) in [(Side::Client, 1), (Side::Server, 7)] {
        for number in (0..).step_by(step) {
            sequence += 1;
            let next = summary(sequence);
            let load = match has_base {
                true => scene.place.load_on(&last, sequence, &next),
                false => scene.place.load(sequence, &next),
            };
            let before = shown(&model);
            if mode != LoadMode::Upsert {
                model.clear();
            }
            model.extend(next.rows);
            let after = shown(&model);

            scene.proxy.cut(Some((Cut::Message(side, number), Manner::Close)));
            let first_try = scene.cut.load(&load, &|_| ()).await;
            let fallen = scene.proxy.fallen();
            scene.proxy.cut(None);
            let (is_entered, rows) = scene.seen(&load.run_id);
            let expected = if is_entered { &after } else { &before };
            let what = format!("{mode:?}, {side:?} {number} at {fallen:?}: {first_try:?}");
            assert_eq!(&rows, expected, "{what}");
            match first_try {
                // The farewell may be cut, too.
                Ok(outcome) => assert!(matches!(outcome, LoadOutcome::Loaded(_)) && is_entered, "{what}"),
                Err(error) => {
                    assert!(error.is_outage() && fallen.is_some(), "{what}");
                    scene
                        .cut
                        .load(&load, &|_| ())
                        .await
                        .unwrap_or_else(|error| panic!("{what}, then {error:?}"));
                }
            }
            assert_eq!(scene.seen(&load.run_id), (true, after), "{what}");
            last = load;
            match fallen {
                Some(letter) => letters.insert((side as usize, letter)),
                None => break,
            };
        }
    }
    let entered = "SELECT count(*) || ' ' || count(DISTINCT run_id) FROM gristmill_ledger";
    assert_eq!(
        scene.place.texts(entered).await,
        [format!("{sequence} {sequence}")],
        "each run stands in the ledger once"
    );
    // The cuts hit the start, statements as they are, statements to prepare and to run, and good answers.
    for wanted in [
        (0, '~'),
        (0, '\x03'),
        (0, '\x16'),
        (0, '\x17'),
        (1, '~'),
        (1, '\0'),
    ] {
        assert!(letters.contains(&wanted), "{wanted:?} in {letters:?}");
    }
}

#[tokio::test]
async fn a_load_by_days_is_cut_everywhere() {
    cut_everywhere(LoadMode::ReplaceDays, false).await;
}

#[tokio::test]
async fn a_difference_is_cut_everywhere() {
    cut_everywhere(LoadMode::ReplaceDays, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_line_falls_silent_fails_by_itself_and_leaves_no_lock() {
    let scene = Scene::new(LoadMode::ReplaceDays, "sslmode=disable&tcp_user_timeout=1").await;
    let cuts = [
        // In the middle of a statement, at the answer to one, and at an answer before anything is locked.
        Cut::Bytes(Side::Client, 200_000),
        Cut::Message(Side::Server, 150),
        Cut::Message(Side::Server, 20),
    ];
    for (sequence, cut) in (1..).zip(cuts) {
        let load = scene.place.load(sequence, &many(sequence));
        scene.proxy.cut(Some((cut, Manner::Stall)));
        let limit = Duration::from_secs(30);
        let silent = tokio::time::timeout(limit, scene.cut.load(&load, &|_| ())).await;
        let error = silent.expect("it does not wait for ever").unwrap_err();
        assert!(error.is_outage(), "{cut:?}: {error:?}");
        assert!(scene.proxy.fallen().is_some(), "{cut:?}");
        // The stalled connections stay as they are: the server does not hear that their client is gone.
        let again = tokio::time::timeout(limit, scene.cut.load(&load, &|_| ())).await;
        let outcome = again.expect("nobody holds the lock").unwrap();
        assert!(matches!(outcome, LoadOutcome::Loaded(_)), "{cut:?}: {outcome:?}");
        assert_eq!(contents(&*scene.safe).await, many(sequence).rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_a_lock_is_not_silent() {
    let scene = Scene::new(LoadMode::ReplaceDays, "sslmode=disable&tcp_user_timeout=1").await;
    let load = scene.place.load(1, &many(1));
    let other = mysql_async::Opts::from_url(&scene.place.url).unwrap();
    let mut other = mysql_async::Conn::new(other).await.unwrap();
    use mysql_async::prelude::Queryable;
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
    let scene = Scene::new(LoadMode::ReplaceDays, "sslmode=disable&connect_timeout=1").await;
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
    execute(&scene.place.url, "DROP TABLE sales_summary");
    scene.proxy.cut(None);
    let error = scene.cut.row_count().await.unwrap_err();
    assert!(matches!(error, LoadError::TargetAbsent { .. }), "{error:?}");
}
