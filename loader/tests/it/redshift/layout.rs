//! The layout of Redshift's tables, and the URL that sets it.

use gristmill_loader::{Credentials, LoadError, LoadMode, Target, open};

use super::with_causes;
use crate::support::{MEASURES, Place, Summary, contents, counts, mismatch, server};

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];

fn target() -> Target {
    Target::new(
        "Sales",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    )
    .unwrap()
}

#[tokio::test]
async fn a_new_table_is_laid_out_as_the_url_says() {
    let place = Place::redshift();
    let redshift = place.redshift.as_ref().unwrap();
    let url = format!("{}&distkey=store_id&sortkey=trans_date,Store_Id", redshift.url());
    open(&url, target(), &place.credentials)
        .unwrap()
        .prepare()
        .await
        .unwrap();
    let statements = redshift.standin.statements();
    let created = statements
        .iter()
        .find(|sql| sql.starts_with("CREATE TABLE \"public\".\"sales\""));
    assert_eq!(
        created.unwrap(),
        "CREATE TABLE \"public\".\"sales\" (store_id VARCHAR(100) NOT NULL, item_id VARCHAR(100) NOT NULL, \
         trans_date DATE NOT NULL, \"sale_amount\" DECIMAL(18,2), \"tax_amount\" DECIMAL(18,2), \
         \"discount_amount\" DECIMAL(18,2)) DISTKEY (\"store_id\") SORTKEY (\"trans_date\", \"store_id\")"
    );
}

#[tokio::test]
async fn everything_wrong_with_a_table_is_reported_at_once_with_its_remedy() {
    let place = Place::redshift();
    place
        .edit(
            "CREATE TABLE sales_summary (store_id varchar(100), item_id integer, trans_date date, note text NOT NULL,
                 sale_amount numeric(12,2), tax_amount numeric(18,2))",
        )
        .await;
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let message = mismatch(warehouse.prepare().await);
    for expected in [
        "its column item_id is integer, not VARCHAR(100)",
        "its column sale_amount is numeric(12,2), not DECIMAL(18,2)",
        "UPDATE \"public\".\"sales_summary\" SET mended = CAST(\"sale_amount\" AS DECIMAL(18,2))",
        "ADD COLUMN \"discount_amount\" DECIMAL(18,2);",
        "its column note must have a value",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(
        !message.contains("tax_amount") && !message.contains("unique"),
        "{message}"
    );
    place
        .edit("DROP TABLE sales_summary; CREATE VIEW sales_summary AS SELECT 1 AS store_id")
        .await;
    assert!(mismatch(warehouse.prepare().await).contains("a view"));
    let elsewhere = place.open("mart.sales", &MEASURES, LoadMode::ReplaceDays);
    assert!(mismatch(elsewhere.prepare().await).contains("CREATE SCHEMA \"mart\";"));
}

#[tokio::test]
async fn further_columns_keep_their_values() {
    let place = Place::redshift();
    place
        .edit(
            "CREATE TABLE sales_summary (note text, trans_date date, item_id varchar(25), store_id varchar(400),
                 region varchar(9) NOT NULL DEFAULT 'IL', discount_amount numeric(18,2), sale_amount numeric(18,2),
                 tax_amount numeric(18,2))",
        )
        .await;
    for (sequence, mode) in (1..).zip([LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload]) {
        let warehouse = place.ready(mode).await;
        let summary = Summary::of(&[("s", "i", "2025-03-01", [Some(sequence), None, None])]);
        let did = place.loaded(&*warehouse, sequence, &summary).await;
        assert_eq!(
            did,
            if sequence == 1 {
                counts(1, 0, 0, 0)
            } else {
                counts(0, 1, 0, 0)
            }
        );
        assert_eq!(contents(&*warehouse).await, summary.rows);
        place
            .edit("UPDATE sales_summary SET note = coalesce(note, '') || region; DELETE FROM sales_summary WHERE note IS NULL")
            .await;
    }
    place
        .edit("DO $$ BEGIN ASSERT (SELECT note FROM sales_summary) = 'ILILIL'; END $$")
        .await;
}

#[tokio::test]
async fn keys_longer_than_their_column_load_nothing() {
    let place = Place::redshift();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    // Both are longer in bytes; the second is not in characters.
    for (sequence, store) in (1..).zip(["x".repeat(101), "é".repeat(60)]) {
        let summary = Summary::of(&[(store.as_str(), "i", "2025-03-01", A)]);
        let error = warehouse
            .load(&place.load(sequence, &summary), &|_| ())
            .await
            .unwrap_err();
        let message = with_causes(&error);
        assert!(
            !error.is_transient() && message.contains("alue too long"),
            "{message}"
        );
        assert!(
            message.contains("bytes") && !message.contains(&store),
            "{message}"
        );
    }
    assert_eq!(warehouse.row_count().await.unwrap(), 0);
    assert_eq!(place.redshift.as_ref().unwrap().staged().await, [""; 0]);
}

#[test]
fn a_url_says_each_thing_once_and_nothing_that_is_not_known() {
    let refused = |url: &str| match open(url, target(), &server::credentials()).err() {
        Some(error @ LoadError::BadUrl { .. }) => {
            let message = with_causes(&error);
            assert!(!message.contains("hunter2"), "{message}");
            message
        }
        other => panic!("{url}: {other:?}"),
    };
    let needed = "iam_role=arn:aws:iam::123456789012:role/copy&bucket=b";
    for (url, expected) in [
        ("redshift://u:hunter2@h/d", "bucket="),
        ("redshift://u:hunter2@h/d?bucket=b", "iam_role="),
        (&format!("redshift://h/d?{needed}"), "no user and password"),
        (&format!("redshift://u@h/d?{needed}"), "no user and password"),
        (&format!("redshift://u@h/d?{needed}&cluster=c"), "leave it out"),
        (
            &format!("redshift://h/d?{needed}&cluster=c&workgroup=w"),
            "a cluster and a workgroup",
        ),
        (
            &format!("redshift://u:hunter2@h/d?{needed}&sslmode=require"),
            "verify-full",
        ),
        (
            &format!("redshift://u:hunter2@h/d?{needed}&sslmode=disable&sslrootcert=x"),
            "sslrootcert",
        ),
        (
            &format!("redshift://u:hunter2@h/d?{needed}&colour=red"),
            "contain colour=red, which is not known",
        ),
        (
            &format!("redshift://u:hunter2@h/d?{needed}&sortkey=region"),
            "has no region",
        ),
        (&format!("redshift://u:hunter2@h?{needed}"), "no database"),
        (&format!("redshift://u:hunter2@/d?{needed}"), "no host"),
        (
            &format!("redshift://u:hunter2@h:port/d?{needed}"),
            "cannot be parsed",
        ),
    ] {
        let message = refused(url);
        assert!(message.contains(expected), "{url}: {message}");
    }
    let fine = format!("redshift://h/d?{needed}&workgroup=w&region=eu-west-1");
    assert!(open(&fine, target(), &server::credentials()).is_ok());
}

#[test]
fn a_bucket_without_a_region_is_reported_where_awss_settings_are_known() {
    let url = "redshift://u:hunter2@h/d?iam_role=arn:aws:iam::123456789012:role/copy&bucket=b";
    let with = |aws, url: &str| {
        let credentials = Credentials {
            aws,
            ..Credentials::default()
        };
        open(url, target(), &credentials).map(drop)
    };
    let nowhere = Some(server::aws().into_builder().region(None).build());
    let error = with_causes(&with(nowhere.clone(), url).unwrap_err());
    assert!(
        error.contains("AWS_REGION") && !error.contains("hunter2"),
        "{error}"
    );
    with(nowhere, &format!("{url}&region=eu-west-1")).unwrap();
    with(Some(server::aws()), url).unwrap();
    // Without them, only the URL itself can be checked.
    with(None, url).unwrap();
}
