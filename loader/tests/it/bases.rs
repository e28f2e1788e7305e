//! What every warehouse does: loads based on the load before, and full comparisons.

use std::time::Duration;

use gristmill_loader::{Difference, Load, LoadCounts, LoadMode, LoadOutcome, Verification, Warehouse};
use tokio::sync::watch;

use crate::conformance::every_warehouse;
use crate::support::{Place, Summary, base_of, contents, counts};

every_warehouse!(
    only_what_differs_is_looked_at,
    a_base_that_is_not_the_last_load_is_not_used,
    a_base_whose_day_another_scope_has_taken_is_not_used,
    scopes_that_share_no_day_keep_their_bases,
    a_base_that_cannot_be_read_only_costs_time,
    a_base_that_was_edited_where_rows_change_is_found_out,
    a_day_that_the_base_does_not_cover_is_compared,
    a_base_of_another_mode_is_not_used,
    a_target_that_was_dropped_is_filled_again,
    a_new_summary_that_is_wrong_loads_nothing,
    a_load_is_not_committed_before_its_files_are_safe,
    a_hand_edit_is_found_and_mended_by_a_full_comparison,
    days_of_other_scopes_are_left_to_them,
    a_warehouse_that_was_lost_is_filled_from_the_summary,
    a_newer_run_is_neither_compared_nor_mended,
    upsert_and_reload_are_compared_as_they_load,
);

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const B: [Option<i64>; 3] = [None, None, Some(-500)];
const DAY: &str = "2025-03-01";

async fn did(warehouse: &dyn Warehouse, load: &Load) -> LoadCounts {
    match warehouse.load(load, &|_| ()).await.unwrap() {
        LoadOutcome::Loaded(counts) => counts,
        other => panic!("not loaded: {other:?}"),
    }
}

fn in_scope(scope: &str, load: Load) -> Load {
    Load {
        scope: scope.into(),
        ..load
    }
}

/// Three rows of two stores.
fn three() -> Summary {
    Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A), ("t", "i", DAY, B)])
}

/// Edits a row that the next load does not change; the edit survives if only the difference is loaded.
async fn looks_at_all_rows(place: &Place, warehouse: &dyn Warehouse, load: &Load) -> bool {
    place
        .edit("UPDATE sales_summary SET tax_amount = NULL WHERE store_id = 's' AND item_id = 'i'")
        .await;
    did(warehouse, load).await;
    contents(warehouse)
        .await
        .iter()
        .any(|((store, item, _), amounts)| (store.as_str(), item.as_str()) == ("s", "i") && *amounts == A)
}

async fn only_what_differs_is_looked_at(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let base = place.load(1, &three());
    assert_eq!(did(&*warehouse, &base).await, counts(3, 0, 0, 0));
    let next = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, B), ("t", "k", DAY, A)]);
    let load = place.load_on(&base, 2, &next);
    place
        .edit("UPDATE sales_summary SET tax_amount = NULL WHERE store_id = 's' AND item_id = 'i'")
        .await;
    assert_eq!(did(&*warehouse, &load).await, counts(1, 1, 1, 1));
    let mut expected = next.rows.clone();
    expected.values_mut().next().unwrap()[1] = None;
    assert_eq!(contents(&*warehouse).await, expected);
    // A load without a base corrects it.
    assert_eq!(did(&*warehouse, &place.load(3, &next)).await, counts(0, 1, 0, 2));
    assert_eq!(contents(&*warehouse).await, next.rows);
}

async fn a_base_that_is_not_the_last_load_is_not_used(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let first = place.load(1, &three());
    did(&*warehouse, &first).await;
    did(
        &*warehouse,
        &place.load_on(&first, 2, &Summary::of(&[("s", "i", DAY, A)])),
    )
    .await;
    assert!(looks_at_all_rows(place, &*warehouse, &place.load_on(&first, 3, &three())).await);
    assert_eq!(contents(&*warehouse).await, three().rows);
}

async fn a_base_whose_day_another_scope_has_taken_is_not_used(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    // Whether the other scope came before or after does not matter, and it may itself load on a base.
    let theirs = in_scope("J102", place.load(10, &Summary::of(&[("t", "x", DAY, A)])));
    did(&*warehouse, &theirs).await;
    let base = place.load(1, &three());
    assert_eq!(did(&*warehouse, &base).await, counts(3, 0, 1, 0));
    let again = Summary::of(&[("t", "x", DAY, A), ("t", "y", DAY, A)]);
    let again = in_scope("J102", place.load_on(&theirs, 11, &again));
    assert_eq!(did(&*warehouse, &again).await, counts(2, 0, 1, 0));
    // Our summary again, although the other scope changed t's rows: the later load wins.
    let ours = place.load_on(&base, 2, &three());
    assert_eq!(did(&*warehouse, &ours).await, counts(1, 0, 2, 2));
    assert_eq!(contents(&*warehouse).await, three().rows);
    // That load was in full and corrected the rows: from now on, the difference is enough.
    assert!(!looks_at_all_rows(place, &*warehouse, &place.load_on(&ours, 3, &three())).await);
}

async fn scopes_that_share_no_day_keep_their_bases(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let base = place.load(1, &Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A)]));
    did(&*warehouse, &base).await;
    // The same store on another day, and the same day of another store.
    let theirs = Summary::of(&[("s", "i", "2025-03-02", B), ("t", "i", DAY, B)]);
    did(&*warehouse, &in_scope("J102", place.load(10, &theirs))).await;
    let next = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, B)]);
    assert!(!looks_at_all_rows(place, &*warehouse, &place.load_on(&base, 2, &next)).await);
}

async fn a_base_that_cannot_be_read_only_costs_time(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let mut base = place.load(1, &three());
    did(&*warehouse, &base).await;
    let noise = place.folder.path().join("noise");
    std::fs::write(&noise, "no parquet").unwrap();
    let absent = place.folder.path().join("absent");
    let good = base_of(&base);
    let elsewhere = place.load(90, &Summary::of(&[("s", "i", DAY, A)])).summary;
    for (sequence, path) in (2..).zip([&noise, &absent, &elsewhere]) {
        for of_coverage in [false, true] {
            let sequence = 2 * sequence + i64::from(of_coverage);
            let mut load = place.load_on(&base, sequence, &three());
            let named = load.base.as_mut().unwrap();
            match of_coverage {
                true => named.coverage = path.clone(),
                false => named.summary = path.clone(),
            }
            let before = good.rows;
            assert_eq!(named.rows, before);
            assert_eq!(did(&*warehouse, &load).await, counts(0, 0, 0, 3), "{path:?}");
            assert_eq!(contents(&*warehouse).await, three().rows);
            base = load;
        }
    }
}

async fn a_base_that_was_edited_where_rows_change_is_found_out(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let mut base = place.load(1, &three());
    did(&*warehouse, &base).await;
    let changed = Summary::of(&[("s", "i", DAY, B), ("t", "i", DAY, B)]);
    let with_k = Summary::of(&[("s", "i", DAY, B), ("s", "k", DAY, A), ("t", "i", DAY, B)]);
    // A row to be deleted is gone already; a row to be changed is gone; a row to be inserted exists already.
    for (sequence, edit, next, expected) in [
        (
            2,
            "DELETE FROM sales_summary WHERE item_id = 'j'",
            Summary::of(&[("s", "i", DAY, A), ("t", "i", DAY, B)]),
            counts(0, 0, 0, 2),
        ),
        (3, "DELETE FROM sales_summary", changed, counts(2, 0, 0, 0)),
        (
            4,
            "INSERT INTO sales_summary (store_id, item_id, trans_date) VALUES ('s', 'k', '2025-03-01')",
            with_k,
            counts(0, 1, 0, 2),
        ),
    ] {
        place.edit(edit).await;
        let load = place.load_on(&base, sequence, &next);
        assert_eq!(did(&*warehouse, &load).await, expected, "{edit}");
        assert_eq!(contents(&*warehouse).await, next.rows, "{edit}");
        base = load;
    }
}

async fn a_day_that_the_base_does_not_cover_is_compared(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let both = Summary::of(&[
        ("s", "i", DAY, A),
        ("s", "i", "2025-03-02", A),
        ("s", "j", "2025-03-02", A),
    ]);
    let first = place.load(1, &both);
    did(&*warehouse, &first).await;
    // The second day is no longer covered, and keeps its rows.
    let one = Summary::of(&[("s", "i", DAY, B)]);
    let second = place.load_on(&first, 2, &one);
    assert_eq!(did(&*warehouse, &second).await, counts(0, 1, 0, 0));
    assert_eq!(warehouse.row_count().await.unwrap(), 3);
    // Covered again: one row is as it was left, and one is gone.
    let back = Summary::of(&[("s", "i", DAY, B), ("s", "i", "2025-03-02", A)]);
    let third = place.load_on(&second, 3, &back);
    assert_eq!(did(&*warehouse, &third).await, counts(0, 0, 1, 2));
    assert_eq!(contents(&*warehouse).await, back.rows);
}

async fn a_base_of_another_mode_is_not_used(place: &Place) {
    let upsert = place.ready(LoadMode::Upsert).await;
    did(&*upsert, &place.load(1, &three())).await;
    let fewer = Summary::of(&[("s", "i", DAY, A), ("t", "i", DAY, B)]);
    let base = place.load(2, &fewer);
    did(&*upsert, &base).await;
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    assert_eq!(
        did(&*warehouse, &place.load_on(&base, 3, &fewer)).await,
        counts(0, 0, 1, 2)
    );
    assert_eq!(contents(&*warehouse).await, fewer.rows);
}

async fn a_target_that_was_dropped_is_filled_again(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let base = place.load(1, &three());
    did(&*warehouse, &base).await;
    place.edit("DROP TABLE sales_summary").await;
    warehouse.prepare().await.unwrap();
    assert_eq!(
        did(&*warehouse, &place.load_on(&base, 2, &three())).await,
        counts(3, 0, 0, 0)
    );
}

async fn a_new_summary_that_is_wrong_loads_nothing(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let base = place.load(1, &three());
    did(&*warehouse, &base).await;
    let next = Summary::of(&[("s", "i", DAY, A), ("u", "i", DAY, A)]);
    let good = place.load_on(&base, 2, &next);
    let miscounted = Load {
        rows: 3,
        ..good.clone()
    };
    let uncovered = Load {
        coverage: base.coverage.clone(),
        ..good.clone()
    };
    let unreadable = Load {
        summary: place.folder.path().join("absent"),
        ..good.clone()
    };
    for (load, expected) in [
        (miscounted, "holds 2 rows, and the run wrote 3"),
        (uncovered, "1 rows of the summary lie outside"),
        (unreadable, "No such file"),
    ] {
        let error = warehouse.load(&load, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(contents(&*warehouse).await, three().rows);
    }
    assert_eq!(did(&*warehouse, &good).await, counts(1, 0, 1, 1));
}

async fn a_load_is_not_committed_before_its_files_are_safe(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let base = place.load(1, &three());
    did(&*warehouse, &base).await;
    let next = Summary::of(&[("s", "i", DAY, A), ("u", "i", DAY, A)]);
    for load in [place.load_on(&base, 2, &next), place.load(2, &next)] {
        let (safe, is_safe) = watch::channel(false);
        drop(safe);
        let given_up = Load {
            is_safe: Some(is_safe),
            ..load.clone()
        };
        let error = warehouse.load(&given_up, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("stopped before it was stored safely"), "{error}");
        assert_eq!(contents(&*warehouse).await, three().rows);
        assert_eq!(warehouse.ledger_entry(&load.run_id).await.unwrap(), None);
    }
    let (safe, is_safe) = watch::channel(false);
    let waits = Load {
        is_safe: Some(is_safe),
        ..place.load_on(&base, 2, &next)
    };
    let done = did(&*warehouse, &waits);
    let say = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        safe.send_replace(true);
    };
    assert_eq!(tokio::join!(done, say).0, counts(1, 0, 1, 1));
}

async fn verified(warehouse: &dyn Warehouse, load: &Load, mend: bool) -> Verification {
    warehouse.verify(load, mend, 10).await.unwrap()
}

fn found(verification: &Verification) -> (u64, u64, u64) {
    (verification.missing, verification.different, verification.surplus)
}

async fn a_hand_edit_is_found_and_mended_by_a_full_comparison(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let load = place.load(1, &three());
    did(&*warehouse, &load).await;
    let fine = verified(&*warehouse, &load, false).await;
    assert_eq!((found(&fine), fine.rows, fine.listed.len()), ((0, 0, 0), 3, 0));
    assert_eq!(fine.newest.unwrap().run_id, "run-1");
    place
        .edit(
            "UPDATE sales_summary SET sale_amount = '12.00' WHERE item_id = 'j';
             DELETE FROM sales_summary WHERE store_id = 't';
             INSERT INTO sales_summary (store_id, item_id, trans_date, tax_amount) VALUES ('s', 'x', '2025-03-01', '0.10');
             INSERT INTO sales_summary (store_id, item_id, trans_date) VALUES ('elsewhere', 'x', '2025-03-01')",
        )
        .await;
    let edited = contents(&*warehouse).await;
    let looked = verified(&*warehouse, &load, false).await;
    assert_eq!(found(&looked), (1, 1, 1));
    assert_eq!(contents(&*warehouse).await, edited, "looking changes nothing");
    let text = |amounts: [Option<&str>; 3]| Some(amounts.map(|text| text.map(String::from)).to_vec());
    let difference = |store: &str, item: &str, warehouse, summary| Difference {
        store_id: store.into(),
        item_id: item.into(),
        trans_date: DAY.into(),
        warehouse,
        summary,
    };
    let expected = [
        difference(
            "s",
            "j",
            text([Some("12.00"), Some("31.50"), None]),
            text([Some("450.00"), Some("31.50"), None]),
        ),
        difference("t", "i", None, text([None, None, Some("-5.00")])),
        difference("s", "x", text([None, Some("0.10"), None]), None),
    ];
    assert_eq!(looked.listed, expected);
    assert_eq!(warehouse.verify(&load, false, 1).await.unwrap().listed.len(), 1);

    let mended = verified(&*warehouse, &load, true).await;
    assert_eq!(
        (found(&mended), mended.mended),
        ((1, 1, 1), Some(counts(1, 1, 1, 1)))
    );
    assert_eq!(found(&verified(&*warehouse, &load, false).await), (0, 0, 0));
    assert_eq!(
        warehouse.row_count().await.unwrap(),
        4,
        "a store that is not covered keeps its rows"
    );
    // The run is in the ledger once, and can be a base.
    assert!(matches!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::AlreadyLoaded(_)
    ));
    assert!(!looks_at_all_rows(place, &*warehouse, &place.load_on(&load, 2, &three())).await);
}

async fn days_of_other_scopes_are_left_to_them(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let ours = place.load(1, &three());
    did(&*warehouse, &ours).await;
    let theirs = in_scope("J102", place.load(10, &Summary::of(&[("t", "x", DAY, A)])));
    did(&*warehouse, &theirs).await;
    let looked = verified(&*warehouse, &ours, true).await;
    assert_eq!(
        (found(&looked), looked.rows, looked.left_to_others),
        ((0, 0, 0), 2, 1)
    );
    assert_eq!(found(&verified(&*warehouse, &theirs, false).await), (0, 0, 0));
    assert!(looks_at_all_rows(place, &*warehouse, &place.load_on(&ours, 2, &three())).await);
}

async fn a_warehouse_that_was_lost_is_filled_from_the_summary(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let load = place.load(1, &three());
    let looked = verified(&*warehouse, &load, false).await;
    assert_eq!((found(&looked), looked.newest), ((3, 0, 0), None));
    assert_eq!(
        verified(&*warehouse, &load, true).await.mended,
        Some(counts(3, 0, 0, 0))
    );
    assert_eq!(contents(&*warehouse).await, three().rows);
    assert_eq!(warehouse.ledger_entry("run-1").await.unwrap().unwrap().rows, 3);
}

async fn a_newer_run_is_neither_compared_nor_mended(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let older = place.load(1, &three());
    did(&*warehouse, &older).await;
    did(&*warehouse, &place.load(2, &Summary::of(&[("s", "i", DAY, B)]))).await;
    let before = contents(&*warehouse).await;
    let looked = verified(&*warehouse, &older, true).await;
    assert_eq!(
        (found(&looked), looked.mended, looked.newest.unwrap().sequence),
        ((0, 0, 0), None, 2)
    );
    assert_eq!(contents(&*warehouse).await, before);
}

async fn upsert_and_reload_are_compared_as_they_load(place: &Place) {
    let upsert = place.ready(LoadMode::Upsert).await;
    did(&*upsert, &place.load(1, &three())).await;
    let fewer = place.load(2, &Summary::of(&[("s", "i", DAY, A)]));
    did(&*upsert, &fewer).await;
    assert_eq!(found(&verified(&*upsert, &fewer, false).await), (0, 0, 0));
    let reload = place.ready(LoadMode::Reload).await;
    assert_eq!(found(&verified(&*reload, &fewer, true).await), (0, 0, 2));
    assert_eq!(reload.row_count().await.unwrap(), 1);
}
