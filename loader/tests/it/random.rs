//! Random streams of summaries, against a model that fits in a few lines.

use gristmill_loader::{LoadMode, LoadOutcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Place, Rows, Summary, contents, day};

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

fn stream() -> impl Strategy<Value = (LoadMode, Vec<(i64, Summary)>)> {
    let mode = prop_oneof![
        Just(LoadMode::ReplaceDays),
        Just(LoadMode::Upsert),
        Just(LoadMode::Reload)
    ];
    (mode, prop::collection::vec((1..9i64, summary()), 1..8))
}

/// What the design says a load does.
fn model(mode: LoadMode, target: &mut Rows, summary: &Summary) {
    match mode {
        LoadMode::ReplaceDays => {
            target.retain(|(store, _, date), _| !summary.coverage.contains(&(store.clone(), *date)))
        }
        LoadMode::Upsert => {}
        LoadMode::Reload => target.clear(),
    }
    target.extend(summary.rows.clone());
}

async fn follows_the_model(place: &Place, mode: LoadMode, stream: &[(i64, Summary)]) {
    let warehouse = place.ready(mode).await;
    let mut expected = Rows::new();
    let mut newest = 0;
    let mut loaded = Vec::new();
    for (sequence, summary) in stream {
        match warehouse
            .load(&place.load(*sequence, summary), &|_| ())
            .await
            .unwrap()
        {
            LoadOutcome::Loaded(counts) => {
                assert!(*sequence > newest);
                let before = expected.len() as u64;
                model(mode, &mut expected, summary);
                assert_eq!(
                    counts.inserted + counts.updated + counts.unchanged,
                    summary.rows.len() as u64
                );
                assert_eq!(before + counts.inserted - counts.deleted, expected.len() as u64);
                (newest, _) = (*sequence, loaded.push(*sequence));
            }
            LoadOutcome::AlreadyLoaded(_) => assert!(loaded.contains(sequence)),
            LoadOutcome::Superseded { by } => {
                assert!(*sequence < newest && !loaded.contains(sequence));
                assert_eq!(by.sequence, newest);
            }
        }
        assert_eq!(contents(&*warehouse).await, expected);
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
    run(24, Place::sqlite);
}

#[test]
fn postgres_follows_the_model() {
    run(16, Place::postgres);
}
