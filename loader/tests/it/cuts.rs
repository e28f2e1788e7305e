//! Connections cut at every step of a load, and concurrent loads: whatever happens, a load is complete or absent, and
//! the next try completes it.

use std::collections::BTreeSet;
use std::time::Duration;

use gristmill_loader::{Load, LoadError, LoadMode, LoadOutcome, Warehouse};
use gristmill_testkit::postgres;
use gristmill_testkit::proxy::{Cut, Manner, Protocol, Proxy, Side};
use tokio_postgres::NoTls;

use crate::support::{MEASURES, Place, Rows, Summary, contents, day};

/// A server whose connections are cut.
pub(crate) struct Cuttable {
    pub place: fn() -> Place,
    pub port: fn() -> u16,
    pub protocol: Protocol,
    /// The rows of the target in the form of [`shown`].
    pub rows: &'static str,
    /// Which of its messages are cut first, one in so many; the last ones are all cut.
    pub stride: usize,
    /// What the cuts must have hit, on either side.
    pub hit: &'static [(Side, char)],
    /// How many loads must have failed although they were committed: two for each message of the response to COMMIT.
    pub lost_answers: usize,
}

const POSTGRES: Cuttable = Cuttable {
    place: Place::postgres,
    port: || postgres::shared().port,
    protocol: Protocol::Postgres,
    rows: "string_agg(item_id || ' ' || sale_amount, ', ' ORDER BY item_id)",
    stride: 1,
    // The start, a statement, rows of a COPY and its end, a response to each, and the response to COMMIT.
    hit: &[
        (Side::Client, '~'),
        (Side::Client, 'Q'),
        (Side::Client, 'd'),
        (Side::Client, 'c'),
        (Side::Server, 'R'),
        (Side::Server, 'G'),
        (Side::Server, 'C'),
        (Side::Server, 'Z'),
    ],
    lost_answers: 4,
};

/// A target, with one connection to it that can be cut and one that cannot.
pub(crate) struct Scene {
    server: &'static Cuttable,
    pub place: Place,
    pub proxy: Proxy,
    pub cut: Box<dyn Warehouse>,
    pub safe: Box<dyn Warehouse>,
}

impl Scene {
    /// `parameters` are those of the URL of the connection that can be cut.
    pub(crate) async fn new(server: &'static Cuttable, mode: LoadMode, parameters: &str) -> Self {
        let place = (server.place)();
        let safe = place.ready(mode).await;
        let proxy = Proxy::start((server.port)(), server.protocol);
        Self {
            cut: through(&proxy, server, &place, mode, parameters),
            server,
            place,
            proxy,
            safe,
        }
    }

    /// Whether a run is in the ledger, and all rows: seen by a single statement, so at one moment.
    async fn seen(&self, run_id: &str) -> (bool, String) {
        let sql = format!(
            "SELECT (SELECT count(*) FROM gristmill_ledger WHERE run_id = '{run_id}') || ' ' ||
                    (SELECT coalesce({}, '') FROM sales_summary)",
            self.server.rows
        );
        let seen = self.place.texts(&sql).await.remove(0);
        let (entries, rows) = seen.split_once(' ').unwrap();
        (entries == "1", rows.to_owned())
    }
}

fn through(
    proxy: &Proxy,
    server: &Cuttable,
    place: &Place,
    mode: LoadMode,
    parameters: &str,
) -> Box<dyn Warehouse> {
    let (port, by_proxy) = (format!(":{}/", (server.port)()), format!(":{}/", proxy.port));
    let url = place.url.replace(&port, &by_proxy);
    Place::at(format!("{url}?{parameters}")).open("sales_summary", &MEASURES, mode)
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

/// How many messages before the end of the last load are all cut: the response to COMMIT is among them.
const LAST: usize = 20;

/// Loads run after run, two of them (for they differ from run to run) cut some messages later than the two before, on
/// either side, until both end before the cut would fall; after each cut the load is tried again.
pub(crate) async fn cut_everywhere(server: &'static Cuttable, mode: LoadMode, has_base: bool) {
    let scene = Scene::new(server, mode, "sslmode=disable").await;
    let mut cuts = Cuts {
        model: summary(1).rows,
        last: scene.place.load(1, &summary(1)),
        sequence: 1,
        letters: BTreeSet::new(),
        lost_answers: 0,
        scene: &scene,
    };
    scene.safe.load(&cuts.last, &|_| ()).await.unwrap();
    for side in [Side::Client, Side::Server] {
        let stride = if side == Side::Server { server.stride } else { 1 };
        let end = cuts.from(side, 0, stride, (mode, has_base)).await;
        if stride > 1 {
            cuts.from(side, end.saturating_sub(LAST), 1, (mode, has_base))
                .await;
        }
    }
    let entered = "SELECT count(*) || ' ' || count(DISTINCT run_id) FROM gristmill_ledger";
    assert_eq!(
        scene.place.texts(entered).await,
        [format!("{0} {0}", cuts.sequence)],
        "each run stands in the ledger once"
    );
    let letters = &cuts.letters;
    for (side, letter) in server.hit {
        assert!(
            letters.contains(&(*side as usize, *letter)),
            "{side:?} {letter:?} in {letters:?}"
        );
    }
    assert!(cuts.lost_answers >= server.lost_answers, "{}", cuts.lost_answers);
}

/// Loads that are cut, one after another.
struct Cuts<'s> {
    scene: &'s Scene,
    /// The number of the last run, which is `last`.
    sequence: i64,
    last: Load,
    /// What the target must hold.
    model: Rows,
    /// What was cut, on which side.
    letters: BTreeSet<(usize, char)>,
    /// How many loads failed here although they were committed.
    lost_answers: usize,
}

impl Cuts<'_> {
    /// Cuts two loads at each message from a number on, with a stride. Returns the first number that no load reaches.
    async fn from(&mut self, side: Side, first: usize, stride: usize, how: (LoadMode, bool)) -> usize {
        for number in (first..).step_by(stride) {
            let (one, other) = (
                self.cut(side, number, how).await,
                self.cut(side, number, how).await,
            );
            if !one && !other {
                return number;
            }
        }
        unreachable!("a load has an end")
    }

    /// Loads the next run, with a cut at a message; returns whether the load came to it.
    async fn cut(&mut self, side: Side, number: usize, (mode, has_base): (LoadMode, bool)) -> bool {
        self.sequence += 1;
        let (scene, next) = (self.scene, summary(self.sequence));
        let load = match has_base {
            true => scene.place.load_on(&self.last, self.sequence, &next),
            false => scene.place.load(self.sequence, &next),
        };
        let before = shown(&self.model);
        if mode != LoadMode::Upsert {
            self.model.clear();
        }
        self.model.extend(next.rows);
        let after = shown(&self.model);

        scene.proxy.cut(Some((Cut::Message(side, number), Manner::Close)));
        let first_try = scene.cut.load(&load, &|_| ()).await;
        let fallen = scene.proxy.fallen();
        scene.proxy.cut(None);
        let (is_entered, rows) = scene.seen(&load.run_id).await;
        let expected = if is_entered { &after } else { &before };
        let what = format!("{mode:?}, {side:?} {number} at {fallen:?}: {first_try:?}");
        assert_eq!(&rows, expected, "{what}");
        match first_try {
            // The farewell may be cut, too.
            Ok(outcome) => assert!(matches!(outcome, LoadOutcome::Loaded(_)) && is_entered, "{what}"),
            Err(error) => {
                assert!(error.is_outage() && fallen.is_some(), "{what}");
                self.lost_answers += usize::from(is_entered);
                let again = scene.cut.load(&load, &|_| ()).await;
                again.unwrap_or_else(|error| panic!("{what}, then {error:?}"));
            }
        }
        assert_eq!(scene.seen(&load.run_id).await, (true, after), "{what}");
        self.last = load;
        self.letters.extend(fallen.map(|letter| (side as usize, letter)));
        fallen.is_some()
    }
}

#[tokio::test]
async fn a_load_by_days_is_cut_everywhere() {
    cut_everywhere(&POSTGRES, LoadMode::ReplaceDays, false).await;
}

#[tokio::test]
async fn a_difference_is_cut_everywhere() {
    cut_everywhere(&POSTGRES, LoadMode::ReplaceDays, true).await;
}

#[tokio::test]
async fn an_upsert_is_cut_everywhere() {
    cut_everywhere(&POSTGRES, LoadMode::Upsert, false).await;
}

#[tokio::test]
async fn a_reload_is_cut_everywhere() {
    cut_everywhere(&POSTGRES, LoadMode::Reload, false).await;
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
    let scene = Scene::new(&POSTGRES, LoadMode::ReplaceDays, "sslmode=disable").await;
    let mut cuts = 0;
    for round in 0..4 {
        // Each run is loaded by two tasks, like a service started twice; the second run may overtake the first.
        let (older, newer) = (round * 2 + 1, round * 2 + 2);
        let loads = [older, older, newer, newer].map(|sequence| scene.place.load(sequence, &many(sequence)));
        let loading = loads.into_iter().zip(1u64..).map(|(load, seed)| {
            let proxy = Proxy::start((POSTGRES.port)(), POSTGRES.protocol);
            let mode = LoadMode::ReplaceDays;
            let warehouse = through(&proxy, &POSTGRES, &scene.place, mode, "sslmode=disable");
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
    let entered = "SELECT (count(*) - count(DISTINCT run_id))::text FROM gristmill_ledger";
    assert_eq!(scene.place.texts(entered).await, ["0"]);
    assert!(cuts > 8, "only {cuts} loads were cut");
}

/// The parameters of a connection with little patience.
pub(crate) const IMPATIENT: &str = "sslmode=disable&tcp_user_timeout=1";

/// Has loads fall silent at these cuts, one after another. Each ends by itself, and the next try is not held up.
pub(crate) async fn fall_silent(server: &'static Cuttable, cuts: [Cut; 3]) {
    let scene = Scene::new(server, LoadMode::ReplaceDays, IMPATIENT).await;
    let limit = Duration::from_secs(30);
    for (sequence, cut) in (1..).zip(cuts) {
        let load = scene.place.load(sequence, &many(sequence));
        scene.proxy.cut(Some((cut, Manner::Stall)));
        let silent = tokio::time::timeout(limit, scene.cut.load(&load, &|_| ())).await;
        let error = silent.expect("it does not wait for ever").unwrap_err();
        assert!(error.is_outage(), "{cut:?}: {error:?}");
        assert!(error.to_string().contains("cannot "), "{error}");
        assert!(scene.proxy.fallen().is_some(), "{cut:?}");
        // The stalled connections stay as they are: the server does not hear that their client is gone.
        let again = tokio::time::timeout(limit, scene.cut.load(&load, &|_| ())).await;
        let outcome = again.expect("nobody holds the lock").unwrap();
        assert!(matches!(outcome, LoadOutcome::Loaded(_)), "{cut:?}: {outcome:?}");
        assert_eq!(contents(&*scene.safe).await, many(sequence).rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_line_falls_silent_fails_by_itself_and_leaves_no_lock() {
    // In the middle of a COPY, at its answer, and at the answer to a statement of the load.
    let cuts = [
        Cut::Bytes(Side::Client, 200_000),
        Cut::Message(Side::Server, 40),
        Cut::Message(Side::Server, 20),
    ];
    fall_silent(&POSTGRES, cuts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_works_for_long_or_waits_for_a_lock_is_not_silent() {
    let scene = Scene::new(&POSTGRES, LoadMode::ReplaceDays, IMPATIENT).await;
    let load = scene.place.load(1, &many(1));
    let (other, connection) = tokio_postgres::connect(&scene.place.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    other
        .batch_execute("BEGIN; LOCK TABLE sales_summary IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut waiting = std::pin::pin!(scene.cut.load(&load, &|_| ()));
    let early = tokio::time::timeout(Duration::from_secs(5), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    other.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(waiting.await.unwrap(), LoadOutcome::Loaded(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_falls_silent_holds_nobody_up_once_it_is_given_up() {
    let scene = Scene::new(&POSTGRES, LoadMode::ReplaceDays, "sslmode=disable").await;
    // Silent from the start: the connection's own limit ends it.
    scene
        .proxy
        .cut(Some((Cut::Message(Side::Server, 0), Manner::Stall)));
    let parameters = "sslmode=disable&connect_timeout=1";
    let hasty = through(
        &scene.proxy,
        &POSTGRES,
        &scene.place,
        LoadMode::ReplaceDays,
        parameters,
    );
    let error = hasty.row_count().await.unwrap_err();
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
