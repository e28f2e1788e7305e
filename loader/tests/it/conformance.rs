//! What every warehouse does. Each function runs against SQLite, Postgres, MariaDB and the stand-in for Redshift.

use std::sync::Mutex;

use gristmill_loader::{Load, LoadError, LoadMode, LoadOutcome, SummaryRow, Warehouse};

use crate::support::{MEASURES, Place, Rows, Summary, contents, counts, day, write_parquet, write_rows};

/// Runs each function against SQLite, Postgres, MariaDB and the stand-in for Redshift.
macro_rules! every_warehouse {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Place::sqlite()).await
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Place::postgres()).await
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Place::mysql()).await
            })*
        }
        // All in one test: each would start its own S3 server, which takes longer than the test itself.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn redshift_does_all_of_it() {
            $({
                println!("{}", stringify!($name));
                let place = Place::redshift();
                $name(&place).await;
                crate::redshift::statements::all_are_listed(&place);
            })*
        }
    };
}

pub(crate) use every_warehouse;

every_warehouse!(
    a_first_load_inserts_every_row,
    a_run_is_loaded_once,
    an_older_run_never_overwrites_a_newer_one,
    a_correction_changes_adds_and_removes_within_covered_days,
    a_covered_day_without_rows_is_emptied,
    an_amount_goes_from_null_to_a_value_and_back,
    amounts_are_exact_to_the_cent_over_the_whole_range,
    text_stays_as_it_is,
    upsert_never_deletes,
    reload_replaces_the_table,
    targets_and_scopes_stand_side_by_side,
    one_run_loaded_by_many_at_once_is_loaded_once,
    different_runs_at_once_end_with_the_newest,
    a_wrong_row_count_loads_nothing,
    files_that_are_no_summary_load_nothing,
    odd_identifiers_are_names_like_any_other,
    many_may_prepare_at_once,
    nothing_is_read_before_the_first_run,
    more_rows_than_a_batch_arrive,
    an_empty_summary_is_a_load,
    the_newest_load_of_each_scope_is_told,
    a_target_that_was_dropped_has_no_loads,
);

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const B: [Option<i64>; 3] = [None, None, Some(-500)];

async fn a_first_load_inserts_every_row(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let summary = Summary::of(&[
        ("IL-2", "i1", "2025-03-01", A),
        ("IL-1", "i2", "2025-03-01", B),
        ("IL-1", "i1", "2025-03-02", [None; 3]),
    ]);
    let load = place.load(1, &summary);
    let progress = Mutex::new(Vec::new());
    let outcome = warehouse
        .load(&load, &|rows| progress.lock().unwrap().push(rows))
        .await
        .unwrap();

    assert_eq!(outcome, LoadOutcome::Loaded(counts(3, 0, 0, 0)));
    assert_eq!(progress.into_inner().unwrap().last(), Some(&3));
    assert_eq!(contents(&*warehouse).await, summary.rows);
    assert_eq!(
        warehouse.first_rows(1).await.unwrap()[0].trans_date,
        day("2025-03-02")
    );
    let row = warehouse.row("IL-2", "i1", day("2025-03-01")).await.unwrap();
    let amounts = A.to_vec();
    let expected = SummaryRow {
        store_id: "IL-2".into(),
        item_id: "i1".into(),
        trans_date: day("2025-03-01"),
        amounts,
    };
    assert_eq!(row, Some(expected));
    assert_eq!(
        warehouse.row("IL-2", "i1", day("2025-03-02")).await.unwrap(),
        None
    );

    let entry = warehouse.ledger_entry("run-1").await.unwrap().unwrap();
    assert!(entry.target.ends_with("sales_summary"), "{entry:?}");
    assert_eq!(
        (entry.run_id.as_str(), entry.scope.as_str(), entry.sequence),
        ("run-1", "J101", 1)
    );
    assert_eq!((entry.rows, entry.digest.as_str()), (3, "digest-1"));
    assert!(
        entry.loaded_at.parse::<jiff::Timestamp>().is_ok() && entry.loaded_at.ends_with('Z'),
        "{entry:?}"
    );
}

async fn a_run_is_loaded_once(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    place
        .loaded(&*warehouse, 1, &Summary::of(&[("s", "i", "2025-03-01", A)]))
        .await;
    // Even if its files have other contents now.
    let again = place.load(1, &Summary::of(&[("s", "i", "2025-03-01", B)]));
    match warehouse.load(&again, &|_| ()).await.unwrap() {
        LoadOutcome::AlreadyLoaded(entry) => {
            assert_eq!(Some(entry), warehouse.ledger_entry("run-1").await.unwrap());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        contents(&*warehouse).await,
        Summary::of(&[("s", "i", "2025-03-01", A)]).rows
    );
}

async fn an_older_run_never_overwrites_a_newer_one(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let newer = Summary::of(&[("s", "i", "2025-03-01", A)]);
    place.loaded(&*warehouse, 5, &newer).await;
    let older = place.load(4, &Summary::of(&[("s", "i", "2025-03-01", B)]));
    match warehouse.load(&older, &|_| ()).await.unwrap() {
        LoadOutcome::Superseded { by } => assert_eq!((by.run_id.as_str(), by.sequence), ("run-5", 5)),
        other => panic!("{other:?}"),
    }
    assert_eq!(contents(&*warehouse).await, newer.rows);
    assert_eq!(warehouse.ledger_entry("run-4").await.unwrap(), None);
}

async fn a_correction_changes_adds_and_removes_within_covered_days(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let before = Summary::of(&[
        ("s1", "changes", "2025-03-01", A),
        ("s1", "goes", "2025-03-01", A),
        ("s1", "stays", "2025-03-01", A),
        ("s1", "goes", "2025-03-02", B),
        ("s2", "goes", "2025-03-01", B),
    ]);
    place.loaded(&*warehouse, 1, &before).await;
    let correction = Summary::of(&[
        ("s1", "changes", "2025-03-01", B),
        ("s1", "comes", "2025-03-01", A),
        ("s1", "stays", "2025-03-01", A),
    ]);
    assert_eq!(
        place.loaded(&*warehouse, 2, &correction).await,
        counts(1, 1, 1, 1)
    );
    let mut expected = correction.rows;
    expected.extend(Summary::of(&[("s1", "goes", "2025-03-02", B), ("s2", "goes", "2025-03-01", B)]).rows);
    assert_eq!(contents(&*warehouse).await, expected);
}

async fn a_covered_day_without_rows_is_emptied(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let before = Summary::of(&[
        ("s", "i", "2025-03-01", A),
        ("s", "j", "2025-03-01", A),
        ("s", "i", "2025-03-02", A),
    ]);
    place.loaded(&*warehouse, 1, &before).await;
    let after = Summary::default().covering("s", "2025-03-01");
    assert_eq!(place.loaded(&*warehouse, 2, &after).await, counts(0, 0, 2, 0));
    assert_eq!(
        contents(&*warehouse).await,
        Summary::of(&[("s", "i", "2025-03-02", A)]).rows
    );
}

async fn an_amount_goes_from_null_to_a_value_and_back(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let states = [
        [None, Some(1), None],
        [Some(0), Some(1), None],
        [Some(0), Some(1), None],
        [None, Some(1), None],
    ];
    let did = [
        counts(1, 0, 0, 0),
        counts(0, 1, 0, 0),
        counts(0, 0, 0, 1),
        counts(0, 1, 0, 0),
    ];
    for (sequence, (state, did)) in (1..).zip(states.into_iter().zip(did)) {
        let summary = Summary::of(&[("s", "i", "2025-03-01", state)]);
        assert_eq!(place.loaded(&*warehouse, sequence, &summary).await, did);
        assert_eq!(contents(&*warehouse).await, summary.rows);
    }
}

async fn amounts_are_exact_to_the_cent_over_the_whole_range(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let most = 999_999_999_999_999_999;
    let summary = Summary::of(&[
        (
            "s",
            "extremes",
            "2025-03-01",
            [Some(most), Some(-most), Some(most - 1)],
        ),
        ("s", "small", "2025-03-01", [Some(0), Some(1), Some(-1)]),
        (
            "s",
            "zeros",
            "2025-03-01",
            [Some(100_000_000), Some(1_000_000), Some(-10_000)],
        ),
        ("s", "old", "0001-01-01", [Some(99), Some(100), Some(101)]),
        (
            "s",
            "late",
            "9999-12-31",
            [Some(9_999), Some(10_000), Some(10_001)],
        ),
    ]);
    place.loaded(&*warehouse, 1, &summary).await;
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

async fn text_stays_as_it_is(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let odd = [
        "it's",
        "say \"x\"",
        "tab\there",
        "back\\slash",
        "line\nbreak",
        " space ",
        "\\N",
        "NULL",
        "été",
        "日本🛒",
        "Z",
        "a",
    ];
    let rows: Vec<_> = odd.iter().map(|text| (*text, *text, "2025-03-01", A)).collect();
    let summary = Summary::of(&rows);
    place.loaded(&*warehouse, 1, &summary).await;
    assert_eq!(contents(&*warehouse).await, summary.rows);
    for text in odd {
        assert!(
            warehouse
                .row(text, text, day("2025-03-01"))
                .await
                .unwrap()
                .is_some(),
            "{text}"
        );
    }
}

async fn upsert_never_deletes(place: &Place) {
    let warehouse = place.ready(LoadMode::Upsert).await;
    place
        .loaded(
            &*warehouse,
            1,
            &Summary::of(&[("s", "i", "2025-03-01", A), ("s", "j", "2025-03-01", A)]),
        )
        .await;
    let next = Summary::of(&[("s", "i", "2025-03-01", B), ("s", "k", "2025-03-01", A)]);
    assert_eq!(place.loaded(&*warehouse, 2, &next).await, counts(1, 1, 0, 0));
    let mut expected = next.rows;
    expected.extend(Summary::of(&[("s", "j", "2025-03-01", A)]).rows);
    assert_eq!(contents(&*warehouse).await, expected);
}

async fn reload_replaces_the_table(place: &Place) {
    let warehouse = place.ready(LoadMode::Reload).await;
    place
        .loaded(
            &*warehouse,
            1,
            &Summary::of(&[("s", "i", "2025-03-01", A), ("t", "j", "2024-01-01", A)]),
        )
        .await;
    let next = Summary::of(&[("s", "i", "2025-03-01", A), ("s", "k", "2025-03-02", A)]);
    assert_eq!(place.loaded(&*warehouse, 2, &next).await, counts(1, 0, 1, 1));
    assert_eq!(contents(&*warehouse).await, next.rows);
}

async fn targets_and_scopes_stand_side_by_side(place: &Place) {
    let sales = place.ready(LoadMode::ReplaceDays).await;
    let other = place.open("other_summary", &MEASURES, LoadMode::ReplaceDays);
    other.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    let load = place.load(7, &summary);
    for warehouse in [&sales, &other] {
        assert_eq!(
            warehouse.load(&load, &|_| ()).await.unwrap(),
            LoadOutcome::Loaded(counts(1, 0, 0, 0))
        );
    }
    // A run with a lower number, of another scope.
    let second = Summary::of(&[("t", "i", "2025-03-01", B)]);
    let load = Load {
        scope: "J102".into(),
        ..place.load(3, &second)
    };
    assert_eq!(
        sales.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(1, 0, 0, 0))
    );
    assert_eq!(sales.row_count().await.unwrap(), 2);
    assert_eq!(other.row_count().await.unwrap(), 1);
    assert_eq!(other.ledger_entry("run-3").await.unwrap(), None);
}

async fn one_run_loaded_by_many_at_once_is_loaded_once(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let summary = Summary::of(&[("s", "i", "2025-03-01", A), ("s", "j", "2025-03-01", B)]);
    let load = place.load(1, &summary);
    let (a, b, c) = tokio::join!(
        warehouse.load(&load, &|_| ()),
        warehouse.load(&load, &|_| ()),
        warehouse.load(&load, &|_| ())
    );
    let outcomes = [a.unwrap(), b.unwrap(), c.unwrap()];
    let loaded = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, LoadOutcome::Loaded(_)))
        .count();
    let already = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, LoadOutcome::AlreadyLoaded(_)))
        .count();
    assert_eq!((loaded, already), (1, 2), "{outcomes:?}");
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

async fn different_runs_at_once_end_with_the_newest(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let summaries: Vec<Summary> = (1..=4i64)
        .map(|run| {
            Summary::of(&[("s", "i", "2025-03-01", [Some(run), None, None])]).covering("s", "2025-03-02")
        })
        .collect();
    let loads: Vec<Load> = (1..)
        .zip(&summaries)
        .map(|(run, summary)| place.load(run, summary))
        .collect();
    let (a, b, c, d) = tokio::join!(
        warehouse.load(&loads[0], &|_| ()),
        warehouse.load(&loads[3], &|_| ()),
        warehouse.load(&loads[1], &|_| ()),
        warehouse.load(&loads[2], &|_| ())
    );
    for outcome in [a, b, c, d] {
        assert!(!matches!(outcome.unwrap(), LoadOutcome::AlreadyLoaded(_)));
    }
    assert_eq!(contents(&*warehouse).await, summaries[3].rows);
}

async fn a_wrong_row_count_loads_nothing(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let load = place.load(1, &Summary::of(&[("s", "i", "2025-03-01", A)]));
    for rows in [0, 2] {
        let error = warehouse
            .load(&Load { rows, ..load.clone() }, &|_| ())
            .await
            .unwrap_err();
        assert!(
            matches!(error, LoadError::Input { .. }) && !error.is_transient(),
            "{error}"
        );
        assert!(error.to_string().contains("holds 1 rows"), "{error}");
    }
    assert_eq!(contents(&*warehouse).await, Rows::new());
    assert_eq!(warehouse.ledger_entry("run-1").await.unwrap(), None);
    assert_eq!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(1, 0, 0, 0))
    );
}

async fn files_that_are_no_summary_load_nothing(place: &Place) {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Float64Array, StringArray};

    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let good = place.load(
        1,
        &Summary::of(&[("s", "i", "2025-03-01", A), ("s", "j", "2025-03-01", A)]),
    );
    let at = |name: &str| place.folder.path().join(name);
    let key = |item: &str| ("s".to_string(), item.to_string(), day("2025-03-01"));
    let disordered = write_rows(
        &at("disordered"),
        &[(key("j"), A.to_vec()), (key("i"), A.to_vec())],
    );
    let twice = write_rows(&at("twice"), &[(key("i"), A.to_vec()), (key("i"), B.to_vec())]);
    let too_large = write_rows(
        &at("large"),
        &[
            (key("i"), vec![Some(1_000_000_000_000_000_000)]),
            (key("j"), vec![]),
        ],
    );
    let floats = write_parquet(
        &at("floats"),
        vec![
            ("store_id", Arc::new(StringArray::from(vec!["s", "s"]))),
            ("item_id", Arc::new(StringArray::from(vec!["i", "j"]))),
            ("trans_date", Arc::new(Date32Array::from(vec![0, 0]))),
            ("sale_amount", Arc::new(Float64Array::from(vec![1.0, 2.0]))),
        ],
    );
    let null_key = write_parquet(
        &at("null"),
        vec![(
            "store_id",
            Arc::new(StringArray::from(vec![Some("s"), None])) as Arc<dyn arrow_array::Array>,
        )],
    );
    std::fs::write(at("text"), "no parquet").unwrap();

    for (summary, reason) in [
        (disordered, "order of the keys"),
        (twice, "a key twice"),
        (too_large, "more than 16 digits"),
        (floats, "sale_amount is Float64"),
        (null_key, "store_id holds a NULL"),
        (good.coverage.clone(), "no column item_id"),
        (at("text"), "arquet"),
        (at("absent"), "No such file"),
    ] {
        let error = warehouse
            .load(
                &Load {
                    summary,
                    ..good.clone()
                },
                &|_| (),
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error, LoadError::Input { .. }) && error.to_string().contains(reason),
            "{reason}: {error}"
        );
    }
    let elsewhere = place
        .load(2, &Summary::default().covering("t", "2025-03-01"))
        .coverage;
    let error = warehouse
        .load(
            &Load {
                coverage: elsewhere,
                ..good.clone()
            },
            &|_| (),
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("2 rows of the summary lie outside"),
        "{error}"
    );

    assert_eq!(contents(&*warehouse).await, Rows::new());
    assert_eq!(
        warehouse.load(&good, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(2, 0, 0, 0))
    );
}

async fn odd_identifiers_are_names_like_any_other(place: &Place) {
    let path = place.folder.path().join("odd");
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    let load = place.load(1, &summary);
    let measures = ["Select", "we\"ird amount", "größe"];
    // The file also has the measures under these names.
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        std::fs::File::open(&load.summary).unwrap(),
    );
    let batch = reader.unwrap().build().unwrap().next().unwrap().unwrap();
    let names = ["store_id", "item_id", "trans_date"].into_iter().chain(measures);
    let summary_path = write_parquet(&path, names.zip(batch.columns().iter().cloned()).collect());

    let warehouse = place.open(r#""Odd ""table"". été; --""#, &measures, LoadMode::ReplaceDays);
    warehouse.prepare().await.unwrap();
    warehouse.prepare().await.unwrap();
    let load = Load {
        summary: summary_path,
        ..load
    };
    assert_eq!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(1, 0, 0, 0))
    );
    assert!(matches!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::AlreadyLoaded(_)
    ));
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

async fn many_may_prepare_at_once(place: &Place) {
    let warehouses: Vec<_> = (0..8)
        .map(|_| place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays))
        .collect();
    let tasks: Vec<_> = warehouses
        .into_iter()
        .map(|warehouse| tokio::spawn(async move { warehouse.prepare().await }))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

async fn nothing_is_read_before_the_first_run(place: &Place) {
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    assert_eq!(warehouse.ledger_entry("run-1").await.unwrap(), None);
    let error = warehouse.row_count().await.unwrap_err();
    assert!(matches!(error, LoadError::TargetAbsent { .. }), "{error}");
    assert!(matches!(
        warehouse.first_rows(1).await,
        Err(LoadError::TargetAbsent { .. })
    ));
    assert!(matches!(
        warehouse.row("s", "i", day("2025-03-01")).await,
        Err(LoadError::TargetAbsent { .. })
    ));
    warehouse.prepare().await.unwrap();
    assert_eq!(warehouse.row_count().await.unwrap(), 0);
}

async fn more_rows_than_a_batch_arrive(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let mut summary = Summary::default();
    for n in 0..20_000i64 {
        let date = day("2025-01-01")
            .checked_add(jiff::SignedDuration::from_hours(24 * (n % 28)))
            .unwrap();
        summary.add(
            &format!("s{}", n % 7),
            &format!("item {n:05}"),
            date,
            vec![Some(n), None, Some(-n)],
        );
    }
    assert_eq!(
        place.loaded(&*warehouse, 1, &summary).await,
        counts(20_000, 0, 0, 0)
    );
    let base = place.load(1, &summary);
    let changed = summary
        .rows
        .values_mut()
        .step_by(100)
        .map(|amounts| amounts[1] = Some(1))
        .count() as u64;
    let load = place.load_on(&base, 2, &summary);
    assert_eq!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(0, changed, 0, 20_000 - changed))
    );
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

async fn an_empty_summary_is_a_load(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    assert_eq!(
        place.loaded(&*warehouse, 1, &Summary::default()).await,
        counts(0, 0, 0, 0)
    );
    assert!(warehouse.ledger_entry("run-1").await.unwrap().is_some());
}

/// The runs that stand in the ledger as the newest of their scopes.
async fn newest(warehouse: &dyn Warehouse, scope: Option<&str>) -> Vec<(String, String, i64)> {
    let entries = warehouse.newest_loads(scope).await.unwrap();
    entries
        .into_iter()
        .map(|entry| (entry.scope, entry.run_id, entry.sequence))
        .collect()
}

fn told(scope: &str, sequence: i64) -> (String, String, i64) {
    (scope.to_owned(), format!("run-{sequence}"), sequence)
}

async fn the_newest_load_of_each_scope_is_told(place: &Place) {
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    assert_eq!(newest(&*warehouse, None).await, []);
    warehouse.prepare().await.unwrap();
    let other = place.open("other_summary", &MEASURES, LoadMode::ReplaceDays);
    other.prepare().await.unwrap();
    assert_eq!(newest(&*warehouse, None).await, []);
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    for (scope, sequence) in [("J101", 1), ("J101", 2), ("J101/2025-03-01", 3), ("J101", 4)] {
        let load = Load {
            scope: scope.into(),
            ..place.load(sequence, &summary)
        };
        warehouse.load(&load, &|_| ()).await.unwrap();
    }
    // Another state database may give the same number to a run of another scope.
    let same_number = Load {
        scope: "J102".into(),
        run_id: "theirs".into(),
        ..place.load(2, &summary)
    };
    warehouse.load(&same_number, &|_| ()).await.unwrap();
    other.load(&place.load(9, &summary), &|_| ()).await.unwrap();
    let theirs = ("J102".to_owned(), "theirs".to_owned(), 2);
    assert_eq!(
        newest(&*warehouse, None).await,
        [theirs, told("J101/2025-03-01", 3), told("J101", 4)]
    );
    assert_eq!(newest(&*warehouse, Some("J101")).await, [told("J101", 4)]);
    assert_eq!(newest(&*warehouse, Some("J103")).await, []);
    assert_eq!(newest(&*other, None).await, [told("J101", 9)]);
}

async fn a_target_that_was_dropped_has_no_loads(place: &Place) {
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let other = place.open("other_summary", &MEASURES, LoadMode::ReplaceDays);
    other.prepare().await.unwrap();
    let load = place.load(7, &Summary::of(&[("s", "i", "2025-03-01", A)]));
    for warehouse in [&warehouse, &other] {
        warehouse.load(&load, &|_| ()).await.unwrap();
    }
    place.edit("DROP TABLE sales_summary").await;
    warehouse.prepare().await.unwrap();
    assert_eq!(newest(&*warehouse, None).await, []);
    assert_eq!(newest(&*other, None).await, [told("J101", 7)]);
    // Otherwise it would count as loaded already.
    assert_eq!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(counts(1, 0, 0, 0))
    );
}
