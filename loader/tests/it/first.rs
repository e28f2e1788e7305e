//! First loads into Postgres: for which tables the key is rebuilt, and what survives that.

use std::sync::Mutex;

use gristmill_loader::LoadMode;

use crate::support::{Place, Rows, Summary, contents, counts};

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const DAY: &str = "2025-03-01";

/// A user's own table, whose key has another name and order, with an extra column.
const TABLE: &str = "CREATE TABLE sales_summary (region text NOT NULL DEFAULT 'IL', store_id text, item_id text,
        trans_date date, sale_amount numeric(18,2), tax_amount numeric, discount_amount numeric(18,2), note text,
        CONSTRAINT \"the key\" PRIMARY KEY (trans_date, store_id, item_id))";

/// The index behind the key: its id changes when the key is dropped and added again.
const KEY: &str = "SELECT concat_ws(' ', conname, pg_get_constraintdef(oid), conindid)
     FROM pg_constraint WHERE conrelid = 'sales_summary'::regclass AND contype = 'p'";

fn summary() -> Summary {
    Summary::of(&[("s", "i", DAY, A), ("s", "j", DAY, A), ("t", "i", DAY, A)])
}

/// What depends on a table, and whether its key may be dropped.
const TABLES: [(&str, bool); 14] = [
    ("COMMENT ON TABLE sales_summary IS 'kept'", true),
    (
        "CREATE VIEW totals AS SELECT store_id, sum(sale_amount) FROM sales_summary GROUP BY store_id;
         CREATE MATERIALIZED VIEW held AS SELECT * FROM totals; GRANT SELECT ON sales_summary, totals TO PUBLIC",
        true,
    ),
    ("ALTER TABLE sales_summary REPLICA IDENTITY FULL", true),
    (
        "CREATE VIEW by_key AS SELECT trans_date, store_id, item_id, note FROM sales_summary
             GROUP BY trans_date, store_id, item_id",
        false,
    ),
    (
        "CREATE TABLE notes (d date, s text, i text, FOREIGN KEY (d, s, i) REFERENCES sales_summary)",
        false,
    ),
    ("CREATE INDEX ON sales_summary (item_id)", false),
    ("ALTER TABLE sales_summary ADD UNIQUE (note)", false),
    ("ALTER TABLE sales_summary REPLICA IDENTITY USING INDEX \"the key\"", false),
    ("ALTER TABLE sales_summary CLUSTER ON \"the key\"", false),
    ("ALTER INDEX \"the key\" SET (fillfactor = 50)", false),
    ("COMMENT ON CONSTRAINT \"the key\" ON sales_summary IS 'kept'", false),
    ("CREATE TABLE later () INHERITS (sales_summary)", false),
    (
        "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note = 'seen'; RETURN NEW; END $$;
         CREATE TRIGGER mark BEFORE INSERT ON sales_summary FOR EACH ROW EXECUTE FUNCTION mark()",
        false,
    ),
    (
        "ALTER TABLE sales_summary ENABLE ROW LEVEL SECURITY;
         CREATE POLICY everything ON sales_summary USING (true)",
        true,
    ),
];

/// Resets the database, which is faster than creating another one.
const CLEAN: &str = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";

#[tokio::test]
async fn a_key_on_which_nothing_hangs_is_rebuilt_and_no_other() {
    let place = Place::postgres();
    let modes = [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload];
    for ((more, is_rebuilt), mode) in TABLES.into_iter().zip(modes.into_iter().cycle()) {
        place.edit(&format!("{CLEAN}; {TABLE}; {more}")).await;
        let before = place.texts(KEY).await;
        let warehouse = place.ready(mode).await;
        let did = place.loaded(&*warehouse, 1, &summary()).await;
        assert_eq!(did, counts(3, 0, 0, 0), "{more}");
        assert_eq!(contents(&*warehouse).await, summary().rows, "{more}");
        let after = place.texts(KEY).await;
        let (before, after) = (
            before[0].rsplit_once(' ').unwrap(),
            after[0].rsplit_once(' ').unwrap(),
        );
        assert_eq!(before.0, after.0, "{more}");
        let takes_copies = !more.contains("SECURITY");
        assert_eq!(before.1 != after.1, is_rebuilt && takes_copies, "{more}");
        let defaults = "SELECT DISTINCT region FROM sales_summary";
        assert_eq!(place.texts(defaults).await, ["IL"], "{more}");
    }
}

#[tokio::test]
async fn triggers_views_and_grants_see_a_first_load() {
    let place = Place::postgres();
    for (more, asked, answer) in [
        (TABLES[12].0, "SELECT DISTINCT note FROM sales_summary", "seen"),
        (TABLES[1].0, "SELECT sum(sum)::text FROM totals", "1350.00"),
        (
            TABLES[1].0,
            "SELECT has_table_privilege('pg_monitor', 'sales_summary', 'SELECT')::text",
            "true",
        ),
    ] {
        place.edit(&format!("{CLEAN}; {TABLE}; {more}")).await;
        let warehouse = place.ready(LoadMode::ReplaceDays).await;
        place.loaded(&*warehouse, 1, &summary()).await;
        assert_eq!(place.texts(asked).await, [answer], "{more}");
    }
}

#[tokio::test]
async fn a_partitioned_table_and_one_of_somebody_else_are_loaded_in_every_mode() {
    let partitioned = format!(
        "{TABLE} PARTITION BY RANGE (trans_date);
         CREATE TABLE old PARTITION OF sales_summary FOR VALUES FROM (MINVALUE) TO ('2025-03-02');
         CREATE TABLE new PARTITION OF sales_summary DEFAULT"
    );
    let url = Place::postgres().url;
    for create in [partitioned.as_str(), TABLE] {
        for mode in [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload] {
            let mut place = Place::at(url.clone());
            place.edit(&format!("{CLEAN}; {create}")).await;
            place.ready(mode).await;
            if create == TABLE {
                place
                    .edit(
                        "DO $$ BEGIN CREATE ROLE first_loader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                         GRANT USAGE ON SCHEMA public TO first_loader;
                         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO first_loader",
                    )
                    .await;
                place.url = place.url.replace("postgres@", "first_loader@");
            }
            let warehouse = place.ready(mode).await;
            let (before, first) = (place.texts(KEY).await, place.load(1, &summary()));
            warehouse.load(&first, &|_| ()).await.unwrap();
            assert_eq!(contents(&*warehouse).await, summary().rows);
            assert_eq!(place.texts(KEY).await, before);
            let next = Summary::of(&[
                ("s", "i", DAY, [None; 3]),
                ("s", "j", DAY, A),
                ("t", "i", DAY, A),
                ("t", "i", "2025-03-02", A),
            ]);
            let outcome = warehouse.load(&place.load_on(&first, 2, &next), &|_| ()).await;
            assert_eq!(
                outcome.unwrap(),
                gristmill_loader::LoadOutcome::Loaded(counts(1, 1, 0, 2))
            );
            assert_eq!(contents(&*warehouse).await, next.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_wait_for_a_first_load_or_see_nothing_of_it() {
    let place = Place::postgres();
    // With a second index, the key is not dropped.
    for (more, expected) in [
        ("", "lock timeout"),
        ("CREATE INDEX ON sales_summary (item_id)", "0"),
    ] {
        place.edit(&format!("{CLEAN}; {TABLE}; {more}")).await;
        let warehouse = place.ready(LoadMode::ReplaceDays).await;
        let seen = Mutex::new(Vec::new());
        let look = |_| {
            let url = place.url.clone();
            // The load's task is blocked until this returns.
            let looked = std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async {
                    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                        .await
                        .unwrap();
                    tokio::spawn(connection);
                    client.batch_execute("SET lock_timeout = '100ms'").await.unwrap();
                    let count = client
                        .query_one("SELECT count(*)::text FROM sales_summary", &[])
                        .await;
                    match count {
                        Ok(row) => row.get(0),
                        Err(error) => error.as_db_error().unwrap().message().to_string(),
                    }
                })
            });
            seen.lock().unwrap().push(looked.join().unwrap());
        };
        warehouse.load(&place.load(1, &summary()), &look).await.unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(
            !seen.is_empty() && seen.iter().all(|seen| seen.contains(expected)),
            "{seen:?}"
        );
        assert_eq!(contents(&*warehouse).await, summary().rows);
    }
}

#[tokio::test]
async fn a_reader_who_stays_does_not_hold_up_a_first_load() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let before = place.texts(KEY).await;
    let (client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT count(*) FROM sales_summary")
        .await
        .unwrap();
    place.loaded(&*warehouse, 1, &summary()).await;
    assert_eq!(place.texts(KEY).await, before);
    assert_eq!(contents(&*warehouse).await, summary().rows);
}

#[tokio::test]
async fn a_first_load_that_fails_leaves_the_table_as_it_was() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let before = place.texts(KEY).await;
    let mut load = place.load(1, &summary());
    load.rows = 2;
    warehouse.load(&load, &|_| ()).await.unwrap_err();
    assert_eq!(place.texts(KEY).await, before);
    assert_eq!(contents(&*warehouse).await, Rows::new());
}
