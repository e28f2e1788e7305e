//! Crashes at the worst moments, through fail points. Needs the feature `failpoints`.
//!
//! A separate program: fail points apply to the whole process, and would hit other tests that run at the same time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

#[path = "it/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use std::sync::Arc;

use fail::FailScenario;
use gristmill_loader::{LoadMode, LoadOutcome, Warehouse};

use support::{Place, Rows, Summary, contents, counts};

/// Loads with a fail point set to panic; then loads again, as a restart does.
async fn recovers_from(point: &str, committed: bool, place: Place) {
    let warehouse: Arc<dyn Warehouse> = place.ready(LoadMode::ReplaceDays).await.into();
    let summary = Summary::of(&[("s", "i", "2025-03-01", [Some(1), None, Some(-1)])]);
    let load = place.load(1, &summary);

    fail::cfg(point, "panic").unwrap();
    let crashing = tokio::spawn({
        let (warehouse, load) = (Arc::clone(&warehouse), load.clone());
        async move { warehouse.load(&load, &|_| ()).await }
    });
    assert!(crashing.await.unwrap_err().is_panic(), "{point} was not reached");
    fail::remove(point);

    assert_eq!(
        contents(&*warehouse).await,
        if committed {
            summary.rows.clone()
        } else {
            Rows::new()
        }
    );
    assert_eq!(
        warehouse.ledger_entry("run-1").await.unwrap().is_some(),
        committed
    );
    match warehouse.load(&load, &|_| ()).await.unwrap() {
        LoadOutcome::Loaded(_) => assert!(!committed),
        LoadOutcome::AlreadyLoaded(_) => assert!(committed),
        other => panic!("{other:?}"),
    }
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

/// The same for a load after another one, of the difference or of all rows.
async fn recovers_again_from(point: &str, committed: bool, on_base: bool, place: Place) {
    let warehouse: Arc<dyn Warehouse> = place.ready(LoadMode::ReplaceDays).await.into();
    let before = Summary::of(&[
        ("s", "goes", "2025-03-01", [Some(1), None, Some(-1)]),
        ("s", "stays", "2025-03-01", [Some(1), None, Some(-1)]),
    ]);
    let after = Summary::of(&[
        ("s", "comes", "2025-03-01", [Some(2), None, None]),
        ("s", "stays", "2025-03-01", [Some(1), None, Some(-1)]),
    ]);
    let base = place.load(1, &before);
    warehouse.load(&base, &|_| ()).await.unwrap();
    let load = match on_base {
        true => place.load_on(&base, 2, &after),
        false => place.load(2, &after),
    };

    fail::cfg(point, "panic").unwrap();
    let crashing = tokio::spawn({
        let (warehouse, load) = (Arc::clone(&warehouse), load.clone());
        async move { warehouse.load(&load, &|_| ()).await }
    });
    assert!(crashing.await.unwrap_err().is_panic(), "{point} was not reached");
    fail::remove(point);

    let held = if committed { &after } else { &before };
    assert_eq!(contents(&*warehouse).await, held.rows);
    match warehouse.load(&load, &|_| ()).await.unwrap() {
        LoadOutcome::Loaded(did) => assert_eq!((committed, did), (false, counts(1, 0, 1, 1))),
        LoadOutcome::AlreadyLoaded(_) => assert!(committed),
        other => panic!("{other:?}"),
    }
    assert_eq!(contents(&*warehouse).await, after.rows);
}

/// One test, for the same reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_leaves_all_or_nothing() {
    let scenario = FailScenario::setup();
    for place in [Place::sqlite, Place::postgres, Place::mysql] {
        recovers_from("load-during-copy", false, place()).await;
        recovers_from("load-before-commit", false, place()).await;
        recovers_from("load-after-commit", true, place()).await;
        for on_base in [true, false] {
            recovers_again_from("load-during-copy", false, on_base, place()).await;
            recovers_again_from("load-before-commit", false, on_base, place()).await;
            recovers_again_from("load-after-commit", true, on_base, place()).await;
        }
    }
    recovers_from("load-without-key", false, Place::postgres()).await;
    scenario.teardown();
}
