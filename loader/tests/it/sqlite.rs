//! What only SQLite has: a file and its folder, loose types, one writer.

use gristmill_loader::{Credentials, LoadError, LoadMode, Target, open};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use crate::support::{MEASURES, Place, Summary, counts, mismatch};

const A: [Option<i64>; 3] = [Some(45_000), Some(-5), None];

async fn connect(place: &Place) -> SqliteConnection {
    let path = place.folder.path().join("mart/warehouse.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn rows_read_well_in_plain_sqlite() {
    let place = Place::sqlite();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    place
        .loaded(&*warehouse, 1, &Summary::of(&[("s", "i", "2025-03-01", A)]))
        .await;
    let mut connection = connect(&place).await;
    let row: (String, String, String, Option<String>, i64) = sqlx::query_as(
        "SELECT trans_date, sale_amount, tax_amount, discount_amount, CAST(replace(tax_amount, '.', '') AS INTEGER)
           FROM sales_summary",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(
        row,
        ("2025-03-01".into(), "450.00".into(), "-0.05".into(), None, -5)
    );
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn an_existing_table_is_used_or_its_faults_are_reported() {
    let place = Place::sqlite();
    let mut connection = connect(&place).await;
    let create = |table: &str, columns: &str| AssertSqlSafe(format!("CREATE TABLE {table} ({columns})"));
    let good = "note TEXT, region TEXT NOT NULL DEFAULT 'IL', store_id VARCHAR(25), item_id TEXT, trans_date TEXT,
                sale_amount TEXT, tax_amount TEXT, discount_amount TEXT, UNIQUE (trans_date, item_id, store_id)";
    let bad =
        "store_id TEXT COLLATE NOCASE, item_id TEXT, trans_date DATE, sale_amount REAL, tax_amount TEXT,
               region TEXT NOT NULL, UNIQUE (store_id, item_id, trans_date)";
    for sql in [create("good", good), create("bad", bad)] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    sqlx::query("CREATE VIEW shown AS SELECT * FROM good")
        .execute(&mut connection)
        .await
        .unwrap();

    let warehouse = place.open("good", &MEASURES, LoadMode::ReplaceDays);
    warehouse.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    assert_eq!(place.loaded(&*warehouse, 1, &summary).await, counts(1, 0, 0, 0));

    let message = mismatch(
        place
            .open("bad", &MEASURES, LoadMode::ReplaceDays)
            .prepare()
            .await,
    );
    for part in [
        "trans_date is DATE, not TEXT",
        "sale_amount is REAL, not TEXT",
        "ALTER TABLE \"bad\" RENAME TO",
        "ALTER TABLE \"bad\" ADD COLUMN \"discount_amount\" TEXT;",
        "region must have a value",
        "CREATE UNIQUE INDEX",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = mismatch(
        place
            .open("shown", &MEASURES, LoadMode::ReplaceDays)
            .prepare()
            .await,
    );
    assert!(message.contains("is a view"), "{message}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_and_a_file_that_is_not_a_database_are_reported() {
    let place = Place::sqlite();
    std::fs::write(
        place.folder.path().join("mart"),
        "a file where the folder should be",
    )
    .unwrap();
    let error = place
        .open("sales_summary", &MEASURES, LoadMode::ReplaceDays)
        .prepare()
        .await
        .unwrap_err();
    assert!(
        matches!(error, LoadError::Folder { .. }) && error.to_string().contains("mart"),
        "{error}"
    );

    let place = Place::sqlite();
    drop(connect(&place).await);
    let noise = "no database, but long enough to be looked at ".repeat(100);
    std::fs::write(place.folder.path().join("mart/warehouse.db"), noise).unwrap();
    let error = place
        .open("sales_summary", &MEASURES, LoadMode::ReplaceDays)
        .prepare()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not a SQLite database") && !error.is_transient(),
        "{error}"
    );
    assert!(error.to_string().starts_with("cannot open sqlite://"), "{error}");
}

#[test]
fn urls_and_targets_that_cannot_be_are_refused_before_anything_is_touched() {
    let target = |name: &str| Target::new(name, vec!["sale_amount".into()], LoadMode::ReplaceDays).unwrap();
    for url in [
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://mart.db?mode=ro",
        "sqlite://mart.db?mode=rwc&immutable=true",
        "sqlite://x.db?colour=red",
        "oracle://u:hunter2@h/d",
        "data/w.db",
    ] {
        let error = open(url, target("t"), &Credentials::default()).err().unwrap();
        assert!(
            matches!(error, LoadError::BadUrl { .. }) && error.to_string().contains("sqlite://"),
            "{error}"
        );
        assert!(!error.to_string().contains("hunter2"));
    }
    assert!(matches!(
        open("sqlite://x.db", target("mart.t"), &Credentials::default())
            .err()
            .unwrap(),
        LoadError::BadTarget { .. }
    ));
    let long = "x".repeat(64);
    assert!(matches!(
        open("postgres://h/d", target(&long), &Credentials::default())
            .err()
            .unwrap(),
        LoadError::BadTarget { .. }
    ));
}
