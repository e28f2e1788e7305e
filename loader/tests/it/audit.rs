//! Audit columns: what every warehouse does.

use gristmill_loader::{LoadMode, Warehouse};

use crate::conformance::every_warehouse;
use crate::support::{MEASURES, Place, Server, Summary, contents, counts, day, mismatch};

every_warehouse!(
    each_row_tells_when_and_by_which_run_it_was_written,
    rows_of_a_first_load_are_stamped,
    audit_columns_never_differ,
    a_table_without_audit_columns_gets_the_sql_that_adds_them,
    a_measure_cannot_have_the_name_of_an_audit_column,
);

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const B: [Option<i64>; 3] = [None, None, Some(-500)];
const DAY: &str = "2025-03-01";

async fn prepared(place: &Place, mode: LoadMode) -> Box<dyn Warehouse> {
    let warehouse = place.audited(mode);
    warehouse.prepare().await.unwrap();
    warehouse
}

/// Each row's item and run.
async fn runs(place: &Place) -> Vec<String> {
    let sql =
        "SELECT item_id || ' ' || run_id FROM sales_summary WHERE loaded_at IS NOT NULL ORDER BY item_id";
    place.texts(sql).await
}

/// When each row was loaded.
async fn times(place: &Place) -> Vec<String> {
    let sql = "SELECT CAST(loaded_at AS char(40)) FROM sales_summary ORDER BY item_id";
    place.texts(sql).await
}

async fn each_row_tells_when_and_by_which_run_it_was_written(place: &Place) {
    for mode in [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload] {
        let warehouse = prepared(place, mode).await;
        let of = |j, k| Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, j), ("s", "k", DAY, k)]);
        let first = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A)]);
        let base = place.load(1, &first);
        warehouse.load(&base, &|_| ()).await.unwrap();
        assert_eq!(runs(place).await, ["i run-1", "j run-1"], "{mode:?}");
        let before = times(place).await;

        // All rows compared.
        assert_eq!(place.loaded(&*warehouse, 2, &of(B, A)).await, counts(1, 1, 0, 1));
        assert_eq!(runs(place).await, ["i run-1", "j run-2", "k run-2"], "{mode:?}");
        let after = times(place).await;
        assert!(
            before[0] == after[0] && before[1] < after[1],
            "{before:?} {after:?}"
        );

        // Only the difference.
        let second = place.load(2, &of(B, A));
        let third = place.load_on(&second, 3, &of(A, A));
        warehouse.load(&third, &|_| ()).await.unwrap();
        assert_eq!(runs(place).await, ["i run-1", "j run-3", "k run-2"], "{mode:?}");
        assert_eq!(contents(&*warehouse).await, of(A, A).rows);
        place
            .edit("DROP TABLE sales_summary; DROP TABLE gristmill_ledger")
            .await;
    }
}

async fn rows_of_a_first_load_are_stamped(place: &Place) {
    let warehouse = prepared(place, LoadMode::ReplaceDays).await;
    let mut summary = Summary::default();
    for item in 0..3_000 {
        summary.add("s", &format!("{item:04}"), day(DAY), A.to_vec());
    }
    assert_eq!(
        place.loaded(&*warehouse, 1, &summary).await,
        counts(3_000, 0, 0, 0)
    );
    assert_eq!(contents(&*warehouse).await, summary.rows);
    let runs = runs(place).await;
    assert_eq!(runs.len(), 3_000);
    assert_eq!(
        (runs[0].as_str(), runs[2_999].as_str()),
        ("0000 run-1", "2999 run-1")
    );
    // By the warehouse's clock: not before its ledger was created, and not after now.
    let between = match place.server() {
        Server::Postgres => {
            "SELECT count(*)::text FROM sales_summary WHERE loaded_at BETWEEN now() - interval '10 minutes' AND now()"
        }
        Server::MySql => {
            "SELECT count(*) || '' FROM sales_summary
              WHERE loaded_at BETWEEN UTC_TIMESTAMP(6) - INTERVAL 10 MINUTE AND UTC_TIMESTAMP(6)"
        }
        Server::Sqlite => {
            "SELECT CAST(count(*) AS text) FROM sales_summary WHERE julianday('now') - julianday(loaded_at) BETWEEN 0 AND 0.01"
        }
    };
    assert_eq!(place.texts(between).await, ["3000"]);
}

async fn audit_columns_never_differ(place: &Place) {
    let warehouse = prepared(place, LoadMode::ReplaceDays).await;
    let summary = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A)]);
    let load = place.load(1, &summary);
    warehouse.load(&load, &|_| ()).await.unwrap();
    place
        .edit("UPDATE sales_summary SET loaded_at = NULL, run_id = 'somebody'")
        .await;
    let found = warehouse.verify(&load, true, 9).await.unwrap();
    assert_eq!((found.differences(), found.mended), (0, Some(counts(0, 0, 0, 2))));
    assert_eq!(place.loaded(&*warehouse, 2, &summary).await, counts(0, 0, 0, 2));
    assert_eq!(runs(place).await, Vec::<String>::new());

    // A repair stamps what it mends.
    place
        .edit("UPDATE sales_summary SET tax_amount = NULL WHERE item_id = 'j'")
        .await;
    let found = warehouse.verify(&place.load(2, &summary), true, 9).await.unwrap();
    assert_eq!((found.differences(), found.mended), (1, Some(counts(0, 1, 0, 1))));
    assert_eq!(runs(place).await, ["j run-2"]);
}

async fn a_table_without_audit_columns_gets_the_sql_that_adds_them(place: &Place) {
    let plain = place.ready(LoadMode::ReplaceDays).await;
    place
        .loaded(&*plain, 1, &Summary::of(&[("s", "i", DAY, A)]))
        .await;
    let audited = place.audited(LoadMode::ReplaceDays);
    let message = mismatch(audited.prepare().await);
    for column in ["loaded_at", "run_id"] {
        let quote = if place.server() == Server::MySql { '`' } else { '"' };
        assert!(
            message.contains(&format!("ADD COLUMN {quote}{column}{quote}")),
            "{message}"
        );
    }
    // The remedies are SQL that works, and earlier rows have no audit values.
    let remedies: Vec<&str> = message
        .split('\n')
        .filter_map(|line| Some(&line[line.find("ALTER TABLE")?..]))
        .collect();
    place.edit(&remedies.concat()).await;
    audited.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A)]);
    assert_eq!(place.loaded(&*audited, 2, &summary).await, counts(1, 0, 0, 1));
    assert_eq!(runs(place).await, ["j run-2"]);
    // A target without audit leaves the columns alone.
    plain.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, B)]);
    assert_eq!(place.loaded(&*plain, 3, &summary).await, counts(0, 1, 0, 1));
    assert_eq!(runs(place).await, ["j run-2"]);
}

async fn a_measure_cannot_have_the_name_of_an_audit_column(place: &Place) {
    let target = |audit| {
        let measures = MEASURES
            .map(String::from)
            .into_iter()
            .chain(["Run_ID".to_string()]);
        let target = gristmill_loader::Target::new("t", measures.collect(), LoadMode::Upsert).unwrap();
        gristmill_loader::open(&place.url, target.with_audit(audit), &place.credentials)
    };
    assert!(target(false).is_ok());
    let error = target(true).err().unwrap().to_string();
    assert!(error.contains("Run_ID twice"), "{error}");
}
