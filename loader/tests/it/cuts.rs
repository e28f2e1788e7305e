//! Connections cut at every step of a load, and concurrent loads: whatever happens, a load is complete or absent, and
//! the next try completes it.

use std::collections::BTreeSet;
use std::time::Duration;

use gristmill_loader::{Credentials, Load, LoadError, LoadMode, LoadOutcome, Target, Warehouse, open};
use gristmill_testkit::postgres::shared;
use gristmill_testkit::proxy::{Cut, Manner, Protocol, Proxy, Side};
use tokio_postgres::{Client, NoTls};

use crate::support::{MEASURES, Place, Rows, Summary, contents, day};

/// A target, with one connection to it that can be cut and one that cannot.
struct Scene {
    place: Place,
    proxy: Proxy,
    cut: Box<dyn Warehouse>,
    safe: Box<dyn Warehouse>,
    watcher: Client,
}

impl Scene {
    async fn new(mode: LoadMode) -> Self {
        let place = Place::postgres();
        let safe = place.ready(mode).await;
        let proxy = Proxy::start(shared().port, Protocol::Postgres);
        let cut = through(&proxy, &place, mode);
        let (watcher, connection) = tokio_postgres::connect(&place.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self {
            place,
            proxy,
            cut,
            safe,
            watcher,
        }
    }

    /// Whether a run is in the ledger, and all rows: seen by a single statement, so at one moment.
    async fn seen(&self, run_id: &str) -> (bool, String) {
        let sql = "SELECT EXISTS (SELECT FROM gristmill_ledger WHERE run_id = $1),
                          (SELECT coalesce(string_agg(item_id || ' ' || sale_amount, ', ' ORDER BY item_id), '')
                             FROM sales_summary)";
        let row = self.watcher.query_one(sql, &[&run_id]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

fn through(proxy: &Proxy, place: &Place, mode: LoadMode) -> Box<dyn Warehouse> {
    let url = place
        .url
        .replace(&format!(":{}/", shared().port), &format!(":{}/", proxy.port));
    let target = Target::new("sales_summary", MEASURES.map(String::from).to_vec(), mode).unwrap();
    open(&format!("{url}?sslmode=disable"), target, &Credentials::default()).unwrap()
}

/// Rows in the form of [`Scene::seen`].
pub(crate) fn shown(rows: &Rows) -> String {
    let shown = rows.iter().map(|((_, item, _), amounts)| {
        let cents = amounts[0].unwrap();
        format!("{item} {}.{:02}", cents / 100, cents % 100)
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The summary of a run: between runs, one row stays, one changes, and one appears or disappears.
pub(crate) fn summary(sequence: i64) -> Summary {
    let mut summary = Summary::default();
    let mut add =
        |item: &str, cents| summary.add("s", item, day("2025-03-01"), vec![Some(cents), None, None]);
    add("a", 100);
    add("b", 1_000 + sequence);
    if sequence % 2 == 0 {
        add("c", 300);
    }
    summary
}

/// Loads run after run, two of them (for they differ from run to run) cut one message later than the two before, on
/// either side, until both end before the cut would fall; after each cut the load is tried again.
async fn cut_everywhere(mode: LoadMode, has_base: bool) {
    let scene = Scene::new(mode).await;
    let mut sequence = 1;
    let mut last = scene.place.load(sequence, &summary(sequence));
    scene.safe.load(&last, &|_| ()).await.unwrap();
    let mut model = summary(sequence).rows;
    let mut letters = BTreeSet::new();
    let mut lost_answers = 0;
    for side in [Side::Client, Side::Server] {
        let mut whole = 0;
        for number in (0..).flat_map(|number| [number; 2]) {
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
            let (is_entered, rows) = scene.seen(&load.run_id).await;
            let expected = if is_entered { &after } else { &before };
            let what = format!("{mode:?}, {side:?} {number} at {fallen:?}: {first_try:?}");
            assert_eq!(&rows, expected, "{what}");

            match first_try {
                Ok(outcome) => assert!(matches!(outcome, LoadOutcome::Loaded(_)) && is_entered, "{what}"),
                Err(error) => {
                    assert!(error.is_transient() && fallen.is_some(), "{what}");
                    lost_answers += usize::from(is_entered);
                    scene
                        .cut
                        .load(&load, &|_| ())
                        .await
                        .unwrap_or_else(|error| panic!("{what}, then {error:?}"));
                }
            }
            assert_eq!(scene.seen(&load.run_id).await, (true, after), "{what}");
            last = load;
            match fallen {
                Some(letter) => {
                    letters.insert((side as usize, letter));
                    whole = 0;
                }
                None => whole += 1,
            }
            if whole == 2 {
                break;
            }
        }
    }
    let entered = "SELECT count(*), count(DISTINCT run_id) FROM gristmill_ledger";
    let row = scene.watcher.query_one(entered, &[]).await.unwrap();
    assert_eq!(
        (row.get(0), row.get(1)),
        (sequence, sequence),
        "each run stands in the ledger once"
    );
    // The cuts hit the start, a statement, rows of a COPY and its end, a response to each, and the response to COMMIT.
    for wanted in [
        (0, '~'),
        (0, 'Q'),
        (0, 'd'),
        (0, 'c'),
        (1, 'R'),
        (1, 'G'),
        (1, 'C'),
        (1, 'Z'),
    ] {
        assert!(letters.contains(&wanted), "{wanted:?} in {letters:?}");
    }
    // The response to COMMIT is two messages, each cut twice.
    assert!(lost_answers >= 4, "{lost_answers}");
}

#[tokio::test]
async fn a_load_by_days_is_cut_everywhere() {
    cut_everywhere(LoadMode::ReplaceDays, false).await;
}

#[tokio::test]
async fn a_difference_is_cut_everywhere() {
    cut_everywhere(LoadMode::ReplaceDays, true).await;
}

#[tokio::test]
async fn an_upsert_is_cut_everywhere() {
    cut_everywhere(LoadMode::Upsert, false).await;
}

#[tokio::test]
async fn a_reload_is_cut_everywhere() {
    cut_everywhere(LoadMode::Reload, false).await;
}

/// The rows of a run that are too many for one message of COPY.
pub(crate) fn many(sequence: i64) -> Summary {
    let mut summary = Summary::default();
    for n in 0..8_000 {
        let item = format!("{n:06}");
        summary.add(
            "s",
            &item,
            day("2025-03-01"),
            vec![Some(n + sequence), None, None],
        );
    }
    summary
}

/// Loads until it succeeds, with cuts at random bytes. Returns the outcome and the number of cuts.
async fn persistently(
    warehouse: &dyn Warehouse,
    proxy: &Proxy,
    load: &Load,
    random: &mut Random,
) -> (LoadOutcome, u32) {
    for cuts in 0.. {
        if cuts < 3 {
            let (side, most) = random.pick([(Side::Client, 150_000), (Side::Server, 1_500)]);
            proxy.cut(Some((Cut::Bytes(side, random.below(most)), Manner::Close)));
        } else {
            proxy.cut(None);
        }
        match warehouse.load(load, &|_| ()).await {
            Ok(outcome) => return (outcome, cuts),
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    unreachable!("the last tries are not cut")
}

/// A small random generator with a seed, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, among: [T; 2]) -> T {
        among[self.below(2)]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn warehouses_that_load_at_once_over_bad_lines_end_with_the_newest_run() {
    let scene = Scene::new(LoadMode::ReplaceDays).await;
    let mut cuts = 0;
    for round in 0..4 {
        // Each run is loaded by two tasks, like a service started twice; the second run may overtake the first.
        let (older, newer) = (round * 2 + 1, round * 2 + 2);
        let loads = [older, older, newer, newer].map(|sequence| scene.place.load(sequence, &many(sequence)));
        let loading = loads.into_iter().zip(1u64..).map(|(load, seed)| {
            let proxy = Proxy::start(shared().port, Protocol::Postgres);
            let warehouse = through(&proxy, &scene.place, LoadMode::ReplaceDays);
            tokio::spawn(async move {
                let mut random = Random(0x9e37_79b9 * (seed + 4 * u64::try_from(round).unwrap()));
                persistently(&*warehouse, &proxy, &load, &mut random).await
            })
        });
        let mut outcomes = Vec::new();
        for task in loading.collect::<Vec<_>>() {
            let (outcome, cut) = task.await.unwrap();
            outcomes.push(outcome);
            cuts += cut;
        }
        assert_eq!(contents(&*scene.safe).await, many(newer).rows, "{outcomes:?}");
        let entry = scene.safe.ledger_entry(&format!("run-{newer}")).await.unwrap();
        assert!(entry.is_some());
    }
    let entered = "SELECT count(*) - count(DISTINCT run_id) FROM gristmill_ledger";
    assert_eq!(
        scene
            .watcher
            .query_one(entered, &[])
            .await
            .unwrap()
            .get::<_, i64>(0),
        0
    );
    assert!(cuts > 8, "only {cuts} loads were cut");
}

/// The same warehouse, over a proxy, with little patience.
fn impatient(proxy: &Proxy, place: &Place) -> Box<dyn Warehouse> {
    let url = place
        .url
        .replace(&format!(":{}/", shared().port), &format!(":{}/", proxy.port));
    let measures = MEASURES.map(String::from).to_vec();
    let target = Target::new("sales_summary", measures, LoadMode::ReplaceDays).unwrap();
    let url = format!("{url}?sslmode=disable&tcp_user_timeout=1");
    open(&url, target, &Credentials::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_line_falls_silent_fails_by_itself_and_leaves_no_lock() {
    let scene = Scene::new(LoadMode::ReplaceDays).await;
    let hasty = impatient(&scene.proxy, &scene.place);
    let cuts = [
        // In the middle of a COPY, at its answer, and at the answer to a statement of the load.
        Cut::Bytes(Side::Client, 200_000),
        Cut::Message(Side::Server, 40),
        Cut::Message(Side::Server, 20),
    ];
    for (sequence, cut) in (1..).zip(cuts) {
        let load = scene.place.load(sequence, &many(sequence));
        scene.proxy.cut(Some((cut, Manner::Stall)));
        let silent = tokio::time::timeout(Duration::from_secs(30), hasty.load(&load, &|_| ())).await;
        let error = silent.expect("it does not wait for ever").unwrap_err();
        assert!(error.is_outage(), "{cut:?}: {error:?}");
        assert!(error.to_string().contains("cannot "), "{error}");
        assert!(scene.proxy.fallen().is_some(), "{cut:?}");
        // The stalled connections stay as they are: the server does not hear that their client is gone.
        let again = tokio::time::timeout(Duration::from_secs(30), hasty.load(&load, &|_| ())).await;
        let outcome = again.expect("nobody holds the lock").unwrap();
        assert!(matches!(outcome, LoadOutcome::Loaded(_)), "{cut:?}: {outcome:?}");
        assert_eq!(contents(&*scene.safe).await, many(sequence).rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_works_for_long_or_waits_for_a_lock_is_not_silent() {
    let scene = Scene::new(LoadMode::ReplaceDays).await;
    let hasty = impatient(&scene.proxy, &scene.place);
    let load = scene.place.load(1, &many(1));
    scene
        .watcher
        .batch_execute("BEGIN; LOCK TABLE sales_summary IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut waiting = std::pin::pin!(hasty.load(&load, &|_| ()));
    let early = tokio::time::timeout(Duration::from_secs(5), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    scene.watcher.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(waiting.await.unwrap(), LoadOutcome::Loaded(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_falls_silent_holds_nobody_up_once_it_is_given_up() {
    let scene = Scene::new(LoadMode::ReplaceDays).await;
    // Silent from the start: the connection's own limit ends it.
    scene
        .proxy
        .cut(Some((Cut::Message(Side::Server, 0), Manner::Stall)));
    let url = scene.place.url.replace(
        &format!(":{}/", shared().port),
        &format!(":{}/", scene.proxy.port),
    );
    let target = Target::new(
        "sales_summary",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    )
    .unwrap();
    let hasty = format!("{url}?sslmode=disable&connect_timeout=1");
    let error = open(&hasty, target, &Credentials::default())
        .unwrap()
        .row_count()
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Postgres {
                action: "connect to",
                ..
            }
        ) && error.is_transient(),
        "{error:?}"
    );

    // Silent in the middle of a load, with the lock held: another load waits, and continues once the connection is
    // given up.
    let (older, newer) = (scene.place.load(1, &many(1)), scene.place.load(2, &many(2)));
    scene
        .proxy
        .cut(Some((Cut::Bytes(Side::Client, 200_000), Manner::Stall)));
    let silent = tokio::time::timeout(Duration::from_secs(2), scene.cut.load(&older, &|_| ())).await;
    assert!(silent.is_err() && scene.proxy.fallen().is_some(), "{silent:?}");
    let mut waiting = std::pin::pin!(scene.safe.load(&newer, &|_| ()));
    assert!(
        tokio::time::timeout(Duration::from_millis(500), &mut waiting)
            .await
            .is_err()
    );
    // Now the server hears that its client is gone.
    scene.proxy.cut(None);
    assert!(matches!(waiting.await.unwrap(), LoadOutcome::Loaded(_)));
    let late = scene.cut.load(&older, &|_| ()).await.unwrap();
    assert!(!matches!(late, LoadOutcome::Loaded(_)), "{late:?}");
    assert_eq!(contents(&*scene.safe).await, many(2).rows);
}
