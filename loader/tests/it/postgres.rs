//! What only Postgres has: schemas, privileges, views, system columns, and a server that can go away.

use futures::TryStreamExt;
use gristmill_loader::{Credentials, LoadError, LoadMode, LoadOutcome, Target, open};
use gristmill_testkit::postgres::{Postgres, StopMode, execute};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{MEASURES, Place, Summary, contents, counts, day, mismatch};

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const B: [Option<i64>; 3] = [None, None, Some(-500)];

fn usual(url: &str) -> Box<dyn gristmill_loader::Warehouse> {
    let measures = MEASURES.map(String::from).to_vec();
    open(
        url,
        Target::new("sales_summary", measures, LoadMode::ReplaceDays).unwrap(),
        &Credentials::default(),
    )
    .unwrap()
}

#[tokio::test]
async fn rows_that_are_right_are_not_even_locked() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    place
        .loaded(
            &*warehouse,
            1,
            &Summary::of(&[("s", "i", "2025-03-01", A), ("s", "j", "2025-03-01", A)]),
        )
        .await;
    // xmax, too: ON CONFLICT marks there, on disk, even rows that it only checks.
    let system = "SELECT concat_ws(' ', item_id, ctid, xmin, xmax) FROM sales_summary WHERE item_id = 'i'";
    let before = place.texts(system).await;
    let next = Summary::of(&[("s", "i", "2025-03-01", A), ("s", "j", "2025-03-01", B)]);
    assert_eq!(place.loaded(&*warehouse, 2, &next).await, counts(0, 1, 0, 1));
    assert_eq!(place.texts(system).await, before);
}

#[tokio::test]
async fn views_grants_defaults_and_further_columns_survive_every_mode() {
    let place = Place::postgres();
    execute(
        &place.url,
        "CREATE TABLE sales_summary (
             note text, region text NOT NULL DEFAULT 'IL', id bigint GENERATED ALWAYS AS IDENTITY,
             trans_date date, item_id varchar(25), store_id varchar(25),
             discount_amount numeric, sale_amount numeric(18,2) NULL, tax_amount numeric(18,2) NULL);
         CREATE UNIQUE INDEX ON sales_summary (trans_date, store_id, item_id);
         CREATE VIEW totals AS SELECT sum(sale_amount)::text AS total FROM sales_summary;
         GRANT SELECT ON sales_summary TO PUBLIC",
    );
    for (sequence, mode) in (1..).zip([LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload]) {
        let warehouse = place.ready(mode).await;
        let sale = [Some(100 * sequence), None, None];
        let did = place
            .loaded(
                &*warehouse,
                sequence,
                &Summary::of(&[("s", "i", "2025-03-01", sale)]),
            )
            .await;
        assert_eq!(
            did,
            if sequence == 1 {
                counts(1, 0, 0, 0)
            } else {
                counts(0, 1, 0, 0)
            }
        );
        execute(&place.url, "UPDATE sales_summary SET note = 'by hand'");
    }
    assert_eq!(place.texts("SELECT total FROM totals").await, ["3.00"]);
    assert_eq!(
        place
            .texts("SELECT note || region || id FROM sales_summary")
            .await,
        ["by handIL1"]
    );
    let granted = "SELECT has_table_privilege('public', 'sales_summary', 'SELECT')::text";
    assert_eq!(place.texts(granted).await, ["true"]);
}

#[tokio::test]
async fn a_partitioned_target_is_loaded_like_any_other() {
    let place = Place::postgres();
    execute(
        &place.url,
        "CREATE TABLE sales_summary (store_id text, item_id text, trans_date date, sale_amount numeric(18,2),
             tax_amount numeric(18,2), discount_amount numeric(18,2), PRIMARY KEY (store_id, item_id, trans_date))
             PARTITION BY RANGE (trans_date);
         CREATE TABLE march PARTITION OF sales_summary FOR VALUES FROM ('2025-03-01') TO ('2025-04-01');
         CREATE TABLE rest PARTITION OF sales_summary DEFAULT",
    );
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let first = Summary::of(&[
        ("s", "i", "2025-03-01", A),
        ("s", "i", "2025-04-01", A),
        ("s", "j", "2025-04-01", A),
    ]);
    assert_eq!(place.loaded(&*warehouse, 1, &first).await, counts(3, 0, 0, 0));
    let next = Summary::of(&[("s", "i", "2025-03-01", B), ("s", "i", "2025-04-01", A)]);
    assert_eq!(place.loaded(&*warehouse, 2, &next).await, counts(0, 1, 1, 1));
    assert_eq!(contents(&*warehouse).await, next.rows);
}

#[tokio::test]
async fn a_schema_is_used_where_it_is_and_asked_for_where_it_is_not() {
    let place = Place::postgres();
    let warehouse = place.open(r#""My Mart".sales"#, &MEASURES, LoadMode::ReplaceDays);
    let message = mismatch(warehouse.prepare().await);
    assert!(message.contains(r#"CREATE SCHEMA "My Mart";"#), "{message}");
    execute(&place.url, r#"CREATE SCHEMA "My Mart""#);
    warehouse.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    place.loaded(&*warehouse, 1, &summary).await;
    assert_eq!(
        warehouse.ledger_entry("run-1").await.unwrap().unwrap().target,
        "My Mart.sales"
    );
    assert_eq!(
        place
            .texts(r#"SELECT run_id FROM "My Mart".gristmill_ledger"#)
            .await,
        ["run-1"]
    );

    // Without a schema the session's search_path decides, for the ledger too.
    let place =
        Place::at(format!("{}?options=-csearch_path%3D%22My+Mart%22", place.url).replace('+', "%5C%20"));
    let warehouse = place.open("sales", &MEASURES, LoadMode::ReplaceDays);
    warehouse.prepare().await.unwrap();
    assert!(warehouse.ledger_entry("run-1").await.unwrap().is_some());
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

#[tokio::test]
async fn everything_wrong_with_a_table_is_reported_at_once_with_its_remedy() {
    let place = Place::postgres();
    execute(
        &place.url,
        "CREATE TABLE sales_summary (store_id text, item_id char(25), trans_date timestamp,
             sale_amount double precision, tax_amount numeric(5,2), region text NOT NULL, UNIQUE (store_id, item_id))",
    );
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let message = mismatch(warehouse.prepare().await);
    let table = r#""public"."sales_summary""#;
    for part in [
        "item_id is character(25), not text".to_string(),
        format!(r#"ALTER TABLE {table} ALTER COLUMN "item_id" TYPE text USING "item_id"::text;"#),
        "trans_date is timestamp without time zone, not date".into(),
        "sale_amount is double precision, not numeric(18,2)".into(),
        "tax_amount is numeric(5,2), not numeric(18,2)".into(),
        format!(r#"ALTER TABLE {table} ADD COLUMN "discount_amount" numeric(18,2);"#),
        "region must have a value".into(),
        format!(r#"ALTER TABLE {table} ADD PRIMARY KEY ("store_id", "item_id", "trans_date");"#),
    ] {
        assert!(message.contains(&part), "{part} in {message}");
    }
    assert_eq!(
        place
            .texts("SELECT relname::text FROM pg_class WHERE relname = 'gristmill_ledger'")
            .await
            .len(),
        0
    );

    // The remedies are SQL that works.
    let remedies: String = message
        .split("\n")
        .filter_map(|line| Some(&line[line.find("ALTER TABLE")?..]))
        .collect();
    execute(
        &place.url,
        &format!("{remedies} ALTER TABLE sales_summary ALTER COLUMN region SET DEFAULT ''"),
    );
    warehouse.prepare().await.unwrap();
}

#[tokio::test]
async fn keys_that_on_conflict_cannot_use_and_views_are_refused() {
    let columns =
        "store_id text, item_id text, trans_date date, sale_amount numeric(18,2), tax_amount numeric(18,2),
                   discount_amount numeric(18,2)";
    for create in [
        format!(
            "CREATE TABLE sales_summary ({columns}); CREATE INDEX ON sales_summary (store_id, item_id, trans_date)"
        ),
        format!("CREATE TABLE sales_summary ({columns}, UNIQUE (store_id, item_id, trans_date) DEFERRABLE)"),
        format!(
            "CREATE TABLE sales_summary ({columns});
             CREATE UNIQUE INDEX ON sales_summary (store_id, item_id, trans_date) WHERE sale_amount > 0"
        ),
        format!(
            "CREATE TABLE sales_summary ({columns}, UNIQUE (store_id, item_id, trans_date, sale_amount))"
        ),
        format!("CREATE TABLE t ({columns}); CREATE VIEW sales_summary AS SELECT * FROM t"),
    ] {
        let place = Place::postgres();
        execute(&place.url, &create);
        let message = mismatch(
            place
                .open("sales_summary", &MEASURES, LoadMode::Upsert)
                .prepare()
                .await,
        );
        assert!(
            message.contains("no unique key") || message.contains("a view"),
            "{create}: {message}"
        );
    }
}

#[test]
fn amounts_travel_as_the_server_itself_would_write_them() {
    let place = Place::postgres();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let warehouse = runtime.block_on(place.ready(LoadMode::Reload));
    let sequence = std::cell::Cell::new(0);
    let any_size = (0..19u32, any::<i64>()).prop_map(|(digits, number)| number % 10i64.pow(digits));
    TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(8) })
        .run(&prop::collection::vec(any_size, 200), |amounts| {
            let mut summary = Summary::default();
            for (at, cents) in amounts.iter().enumerate() {
                summary.add("s", &format!("{at:03}"), day("2025-03-01"), vec![Some(*cents), None, None]);
            }
            sequence.set(sequence.get() + 1);
            runtime.block_on(place.loaded(&*warehouse, sequence.get(), &summary));
            // The stored bytes equal those of a number that the server parsed itself.
            let parsed: Vec<String> = amounts.iter().map(|cents| format!("{cents}::numeric * 0.01")).collect();
            let same = format!(
                "SELECT count(*)::text FROM unnest(ARRAY[{}]) WITH ORDINALITY AS x (parsed, at) JOIN sales_summary
                     ON item_id = to_char(at - 1, 'FM000')
                  WHERE numeric_send(sale_amount) = numeric_send(round(parsed, 2))",
                parsed.join(",")
            );
            prop_assert_eq!(runtime.block_on(place.texts(&same)), [amounts.len().to_string()]);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_strict_default_isolation_and_lax_commits_do_not_matter() {
    let options = "default_transaction_isolation%3Dserializable%20-csynchronous_commit%3Doff";
    let place = Place::postgres();
    let strict = usual(&format!("{}?options=-c{options}", place.url));
    strict.prepare().await.unwrap();
    let load = place.load(1, &Summary::of(&[("s", "i", "2025-03-01", A)]));
    let (a, b) = tokio::join!(strict.load(&load, &|_| ()), strict.load(&load, &|_| ()));
    let loaded = [a.unwrap(), b.unwrap()]
        .iter()
        .filter(|outcome| matches!(outcome, LoadOutcome::Loaded(_)))
        .count();
    assert_eq!(loaded, 1);
}

#[tokio::test]
async fn what_an_operator_has_to_mend_is_not_transient_and_says_what() {
    let place = Place::postgres();
    usual(&place.url).prepare().await.unwrap();
    execute(
        &place.url,
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT SELECT ON gristmill_ledger, sales_summary TO reader",
    );
    let reader = place.url.replace("postgres@", "reader:hunter2@");
    let summary = Summary::of(&[("s", "i", "2025-03-01", A)]);
    let denied = usual(&reader)
        .load(&place.load(1, &summary), &|_| ())
        .await
        .unwrap_err();
    // Preparing needs no privilege if there is nothing to create.
    usual(&reader).prepare().await.unwrap();
    let absent = usual(&place.url.replace("/test_", "/absent_"))
        .prepare()
        .await
        .unwrap_err();
    execute(
        &place.url,
        "ALTER TABLE sales_summary ALTER COLUMN item_id TYPE varchar(3)",
    );
    let long = Summary::of(&[("s", "a secret item", "2025-03-01", A)]);
    let too_long = usual(&place.url)
        .load(&place.load(2, &long), &|_| ())
        .await
        .unwrap_err();

    for (error, advice) in [
        (denied, "GRANT"),
        (absent, "CREATE DATABASE"),
        (too_long, "TYPE text"),
    ] {
        assert!(!error.is_transient(), "{error:?}");
        let message = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(
            message.contains(advice) && message.contains("SQLSTATE"),
            "{message}"
        );
        assert!(
            !message.contains("hunter2") && !message.contains("a secret item"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn what_may_pass_on_the_server_is_transient_and_says_what_else_to_do() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let load = place.load(1, &Summary::of(&[("s", "i", "2025-03-01", A)]));
    execute(
        &place.url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE 'refused' USING ERRCODE = TG_ARGV[0]; END $$",
    );
    for (code, is_transient, advice) in [
        ("53000", true, "short of memory"),
        ("53100", true, "make room"),
        ("53200", true, "short of memory"),
        ("58030", true, "its disks"),
        ("40001", true, "may pass by itself"),
        ("53400", false, ""),
        ("22012", false, ""),
        ("42P05", false, "pool_mode = session"),
        ("26000", false, "pool_mode = session"),
    ] {
        execute(
            &place.url,
            &format!(
                "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON sales_summary EXECUTE FUNCTION refuse('{code}')"
            ),
        );
        let error = warehouse.load(&load, &|_| ()).await.unwrap_err();
        let message = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert_eq!(error.is_transient(), is_transient, "{message}");
        assert!(message.contains(advice) && message.contains(code), "{message}");
    }

    let standby = usual(&format!(
        "{}?options=-cdefault_transaction_read_only%3Don",
        place.url
    ));
    let error = standby.load(&load, &|_| ()).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("primary"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_survives_a_server_that_goes_away_in_the_middle() {
    let postgres = Postgres::start();
    let place = Place::at(postgres.create_database());
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let mut summary = Summary::default();
    for n in 0..30_000i64 {
        summary.add(
            "s",
            &format!("{n:08}"),
            day("2025-03-01"),
            vec![Some(n), None, None],
        );
    }
    for (sequence, mode) in (1..).zip([StopMode::Fast, StopMode::Immediate, StopMode::Kill]) {
        let load = place.load(sequence, &summary);
        let stopped = std::sync::Once::new();
        let error = warehouse
            .load(&load, &|_| stopped.call_once(|| postgres.stop(mode)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, LoadError::Postgres { .. }) && error.is_transient(),
            "{mode:?}: {error:?}"
        );
        let refused = warehouse.load(&load, &|_| ()).await.unwrap_err();
        assert!(refused.is_transient(), "{refused:?}");
        assert!(
            refused.to_string().starts_with("cannot connect to postgres://"),
            "{refused}"
        );

        postgres.start_again();
        assert_eq!(warehouse.ledger_entry(&load.run_id).await.unwrap(), None);
        summary
            .rows
            .values_mut()
            .for_each(|amounts| amounts[0] = amounts[0].map(|cents| cents + 1));
        place.loaded(&*warehouse, sequence, &summary).await;
        assert_eq!(contents(&*warehouse).await, summary.rows);
    }
}

/// A value in the format of the server's text COPY.
fn copied_text(text: &str) -> String {
    let mut copied = String::new();
    for c in text.chars() {
        match c {
            '\\' => copied.push_str("\\\\"),
            '\t' => copied.push_str("\\t"),
            '\n' => copied.push_str("\\n"),
            '\r' => copied.push_str("\\r"),
            '\u{b}' => copied.push_str("\\v"),
            c => copied.push(c),
        }
    }
    copied
}

fn copied_amount(cents: Option<i64>) -> String {
    let Some(cents) = cents else { return "\\N".into() };
    let (sign, cents) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// The target's contents, as the server's text COPY writes them.
async fn copied(url: &str) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "COPY (SELECT store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount FROM sales_summary
                       ORDER BY store_id COLLATE \"C\", item_id COLLATE \"C\", trans_date) TO STDOUT";
    let parts: Vec<bytes::Bytes> = client.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    let text = String::from_utf8(parts.concat()).unwrap();
    text.lines().map(String::from).collect()
}

#[test]
fn what_travels_in_binary_reads_as_the_servers_own_text() {
    let place = Place::postgres();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The first load goes directly into the target, the others through temporary tables.
    let warehouse = runtime.block_on(place.ready(LoadMode::Reload));
    let sequence = std::cell::Cell::new(0);
    let most = 999_999_999_999_999_999;
    let odd = [
        "",
        "\\N",
        "\\.",
        "tab\tand\nline\r",
        "back\\slash",
        "日本🛒",
        "\u{b}",
    ]
    .map(String::from);
    let text = prop_oneof![prop::sample::select(odd.to_vec()), "\\PC{1,14}"];
    let date = prop::sample::select(vec![
        "0001-01-01",
        "1999-12-31",
        "2000-01-01",
        "2024-02-29",
        "9999-12-31",
    ]);
    let edges = prop::sample::select(vec![0, 1, -1, 100, 10_000, -1_000_000, most, -most]);
    let amount = prop::option::of(prop_oneof![edges, -most..=most, -100_000..100_000i64]);
    let row = (text.clone(), text, date, prop::array::uniform3(amount));
    TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(8)
    })
    .run(&prop::collection::vec(row, 1..200), |rows| {
        let mut summary = Summary::default();
        for (store, item, date, amounts) in &rows {
            summary.add(store, item, day(date), amounts.to_vec());
        }
        sequence.set(sequence.get() + 1);
        runtime.block_on(place.loaded(&*warehouse, sequence.get(), &summary));
        let expected = summary.rows.iter().map(|((store, item, date), amounts)| {
            let key = [copied_text(store), copied_text(item), date.to_string()];
            let amounts = amounts.iter().map(|cents| copied_amount(*cents));
            key.into_iter().chain(amounts).collect::<Vec<_>>().join("\t")
        });
        prop_assert_eq!(runtime.block_on(copied(&place.url)), expected.collect::<Vec<_>>());
        Ok(())
    })
    .unwrap();
}
