//! Random streams of summaries, against a model that fits in a few lines.

use gristmill_loader::{Load, LoadCounts, LoadMode, LoadOutcome, Warehouse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{MEASURES, Place, Rows, Summary, base_of, contents, day};

/// Few stores, items and days, so that summaries meet the same keys again and again.
fn summary() -> impl Strategy<Value = Summary> {
    let place = (0..3u8, 1..4i8);
    let amount = proptest::option::of(prop_oneof![
        -3..3i64,
        -999_999_999_999_999_999..=999_999_999_999_999_999i64
    ]);
    let row = (place.clone(), 0..4u8, prop::array::uniform3(amount));
    (
        prop::collection::vec(row, 0..12),
        prop::collection::vec(place, 0..4),
    )
        .prop_map(|(rows, covered)| {
            let mut summary = Summary::default();
            for ((store, date), item, amounts) in rows {
                summary.add(
                    &format!("s{store}"),
                    &format!("i{item}"),
                    date_of(date),
                    amounts.to_vec(),
                );
            }
            summary.coverage.extend(
                covered
                    .into_iter()
                    .map(|(store, date)| (format!("s{store}"), date_of(date))),
            );
            summary
        })
}

fn date_of(date: i8) -> jiff::civil::Date {
    day("2025-03-01").with().day(date).build().unwrap()
}

/// One load of a stream.
#[derive(Debug, Clone)]
struct Step {
    scope: u8,
    sequence: i64,
    /// Another mode than the stream's, as after a change of the settings.
    mode: Option<LoadMode>,
    /// Which of the loads before is named as the base, the last of the scope being 0.
    base: Option<usize>,
    /// Whether two processes load it at the same time.
    by_two: bool,
    summary: Summary,
}

fn any_mode() -> impl Strategy<Value = LoadMode> {
    prop_oneof![
        3 => Just(LoadMode::ReplaceDays),
        2 => Just(LoadMode::Upsert),
        1 => Just(LoadMode::Reload)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![8 => Just(None), 1 => any_mode().prop_map(Some)];
    let base = prop_oneof![2 => Just(None), 6 => Just(Some(0)), 2 => (0..4usize).prop_map(Some)];
    let scope = prop_oneof![4 => Just(0u8), 1 => Just(1u8)];
    let by_two = prop::bool::weighted(0.2);
    let step = (scope, 1..4i64, mode, base, by_two, summary());
    step.prop_map(|(scope, sequence, mode, base, by_two, summary)| Step {
        scope,
        sequence,
        mode,
        base,
        by_two,
        summary,
    })
}

/// Mostly increasing; sometimes the same or older.
fn stream() -> impl Strategy<Value = (LoadMode, Vec<Step>)> {
    (any_mode(), prop::collection::vec(step(), 1..12)).prop_map(|(mode, mut steps)| {
        let mut sequence = 0;
        for step in &mut steps {
            sequence += step.sequence - 1;
            step.sequence = sequence;
        }
        (mode, steps)
    })
}

type Amounts = Vec<Option<i64>>;

/// What the design says a load does, and how it is counted.
fn model(mode: LoadMode, target: &mut Rows, summary: &Summary) -> LoadCounts {
    let before = target.clone();
    match mode {
        LoadMode::ReplaceDays => {
            target.retain(|(store, _, date), _| !summary.coverage.contains(&(store.clone(), *date)))
        }
        LoadMode::Upsert => {}
        LoadMode::Reload => target.clear(),
    }
    target.extend(summary.rows.clone());
    let count = |held: fn(Option<&Amounts>, &Amounts) -> bool| {
        let rows = summary.rows.iter();
        rows.filter(|(key, amounts)| held(before.get(*key), amounts))
            .count() as u64
    };
    LoadCounts {
        inserted: count(|before, _| before.is_none()),
        updated: count(|before, amounts| before.is_some_and(|before| before != amounts)),
        deleted: before.keys().filter(|key| !target.contains_key(*key)).count() as u64,
        unchanged: count(|before, amounts| before == Some(amounts)),
    }
}

async fn follows_the_model(place: &Place, mode: LoadMode, stream: &[Step]) {
    let mut expected = Rows::new();
    let mut newest = [-1, -1];
    let mut written: [Vec<Load>; 2] = Default::default();
    let mut loaded = Vec::new();
    place.ready(mode).await;
    for step in stream {
        let mode = step.mode.unwrap_or(mode);
        let warehouse = place.open("sales_summary", &MEASURES, mode);
        let scope = usize::from(step.scope);
        let mut load = place.load(100 * i64::from(step.scope) + step.sequence, &step.summary);
        load.scope = format!("J{scope}");
        load.sequence = step.sequence;
        let earlier = step.base.and_then(|back| written[scope].iter().rev().nth(back));
        load.base = earlier.map(base_of);
        let outcome = match step.by_two {
            false => warehouse.load(&load, &|_| ()).await.unwrap(),
            true => of_two(&*warehouse, &load).await,
        };
        match outcome {
            LoadOutcome::Loaded(counts) => {
                assert!(step.sequence > newest[scope]);
                assert_eq!(counts, model(mode, &mut expected, &step.summary), "{step:?}");
                newest[scope] = step.sequence;
                loaded.push((scope, step.sequence));
                written[scope].push(load);
            }
            LoadOutcome::AlreadyLoaded(_) => {
                assert!(loaded.contains(&(scope, step.sequence)));
                // Its files have other contents now, and must not be taken for what was loaded.
                written[scope].retain(|other| other.run_id != load.run_id);
            }
            LoadOutcome::Superseded { by } => {
                assert!(step.sequence < newest[scope] && !loaded.contains(&(scope, step.sequence)));
                assert_eq!(by.sequence, newest[scope]);
            }
        }
        assert_eq!(contents(&*warehouse).await, expected, "{step:?}");
    }
}

/// Runs the same load twice at once: exactly one of them loads, if there is anything to do.
async fn of_two(warehouse: &dyn Warehouse, load: &Load) -> LoadOutcome {
    let (one, other) = tokio::join!(warehouse.load(load, &|_| ()), warehouse.load(load, &|_| ()));
    match (one.unwrap(), other.unwrap()) {
        (LoadOutcome::AlreadyLoaded(_), done @ LoadOutcome::Loaded(_)) => done,
        (done @ LoadOutcome::Loaded(_), LoadOutcome::AlreadyLoaded(_)) => done,
        (one, other) => {
            assert!(
                one == other && !matches!(one, LoadOutcome::Loaded(_)),
                "{one:?}, {other:?}"
            );
            one
        }
    }
}

fn run(cases: u32, place: fn() -> Place) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    })
    .run(&stream(), |(mode, stream)| {
        runtime.block_on(follows_the_model(&place(), mode, &stream));
        Ok(())
    })
    .unwrap();
}

#[test]
fn sqlite_follows_the_model() {
    run(60, Place::sqlite);
}

#[test]
fn postgres_follows_the_model() {
    run(24, Place::postgres);
}

#[test]
fn mysql_follows_the_model() {
    run(24, Place::mysql);
}

#[test]
fn redshift_follows_the_model() {
    run(8, Place::redshift);
}
