//! Tests that the stand-in does what Redshift's documentation says, in what the loader depends on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
use bytes::Bytes;
use gristmill_redshift_standin::{Fault, S3, Standin};
use gristmill_testkit::postgres;
use gristmill_testkit::seaweedfs::SeaweedFs;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const ROLE: &str = "arn:aws:iam::123456789012:role/copy";
const TABLE: &str = "CREATE TABLE agg (store_id varchar(8) NOT NULL, trans_date date NOT NULL, amount decimal(18,2), \
                     PRIMARY KEY (store_id, trans_date)) DISTKEY(store_id) SORTKEY(trans_date)";

async fn connect(standin: &Standin) -> Client {
    let (client, connection) = tokio_postgres::connect(&url(standin, Standin::PASSWORD), NoTls)
        .await
        .unwrap();
    assert_eq!(connection.parameter("server_version"), Some("8.0.2"));
    tokio::spawn(connection);
    client
}

fn url(standin: &Standin, password: &str) -> String {
    let (user, port) = (Standin::USER, standin.port());
    format!("postgres://{user}:{password}@127.0.0.1:{port}/dev")
}

/// Starts a stand-in for tests that do not need an S3 server.
fn without_s3() -> Standin {
    let s3 = S3 {
        endpoint: "http://127.0.0.1:9".into(),
        access_key: String::new(),
        secret_key: String::new(),
    };
    Standin::start(&postgres::shared().create_database(), s3, None)
}

async fn run(client: &Client, statement: &str) {
    let done = client.simple_query(statement).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

/// Returns the SQLSTATE, message and detail of the error that a statement must cause.
async fn refused(client: &Client, statement: &str) -> (String, String, String) {
    let error = client.simple_query(statement).await.expect_err(statement);
    let error = error
        .as_db_error()
        .unwrap_or_else(|| panic!("{statement}: {error:?}"));
    let detail = error.detail().unwrap_or_default();
    (error.code().code().into(), error.message().into(), detail.into())
}

async fn value(client: &Client, query: &str) -> Option<String> {
    let answers = client
        .simple_query(query)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error:?}"));
    answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    })?
}

async fn count(client: &Client) -> String {
    value(client, "SELECT count(*) FROM agg").await.unwrap()
}

#[tokio::test]
async fn statements_are_run_or_refused_as_redshift_does() {
    let standin = without_s3();
    assert!(
        tokio_postgres::connect(&url(&standin, "wrong"), NoTls)
            .await
            .is_err()
    );
    let client = connect(&standin).await;
    run(&client, TABLE).await;

    // Keys are not enforced, and lengths count bytes, not characters.
    for _ in 0..2 {
        run(&client, "INSERT INTO agg VALUES ('éééé', '2025-03-01', 1.5)").await;
    }
    assert_eq!(
        refused(&client, "INSERT INTO agg VALUES ('ééééé', '2025-03-01', 1)")
            .await
            .0,
        "22001"
    );
    assert_eq!(
        value(&client, "SELECT max(amount) FROM agg").await.as_deref(),
        Some("1.50")
    );
    run(&client, "CREATE TEMP TABLE stage (LIKE agg)").await;
    run(
        &client,
        "DELETE FROM stage USING agg WHERE stage.store_id = agg.store_id",
    )
    .await;
    let width = "SELECT character_maximum_length FROM svv_columns WHERE table_name = 'agg' AND column_name = 'store_id'";
    assert_eq!(value(&client, width).await.as_deref(), Some("8"));

    for statement in [
        "INSERT INTO agg VALUES ('a', '2025-03-01', 1) ON CONFLICT DO NOTHING",
        "SELECT pg_advisory_xact_lock(1)",
        "CREATE INDEX ON agg (store_id)",
        "COPY agg FROM STDIN",
        &format!("COPY agg FROM 's3://b/k' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST REGION 'x'"),
    ] {
        refused(&client, statement).await;
    }

    // An error aborts the transaction, even one that Postgres did not see.
    run(&client, "BEGIN").await;
    run(&client, "DELETE FROM agg").await;
    refused(&client, "DELETE FROM agg RETURNING store_id").await;
    assert_eq!(refused(&client, "SELECT 1").await.0, "25P02");
    run(&client, "ROLLBACK").await;
    assert_eq!(count(&client).await, "2");

    // TRUNCATE commits.
    run(&client, "BEGIN").await;
    run(&client, "TRUNCATE agg").await;
    run(&client, "ROLLBACK").await;
    assert_eq!(count(&client).await, "0");
    assert!(standin.statements().contains(&"TRUNCATE agg".to_owned()));
}

#[tokio::test]
async fn faults_happen_where_they_are_planned() {
    let standin = without_s3();
    let client = connect(&standin).await;
    run(&client, TABLE).await;
    let insert = "INSERT INTO agg VALUES ('a', '2025-03-01', 1)";

    standin.plan("INSERT", 1, Fault::isolation_violation());
    run(&client, "BEGIN").await;
    run(&client, insert).await;
    let (_, message, detail) = refused(&client, insert).await;
    assert_eq!(message, "1023");
    assert!(detail.starts_with("Serializable isolation violation"), "{detail}");
    run(&client, "ROLLBACK").await;
    assert_eq!((count(&client).await.as_str(), standin.pending()), ("0", 0));

    for (fault, kept) in [(Fault::CutBefore, "0"), (Fault::CutAfter, "1")] {
        let doomed = connect(&standin).await;
        run(&doomed, "BEGIN").await;
        run(&doomed, insert).await;
        standin.plan("COMMIT", 0, fault);
        let error = doomed
            .simple_query("COMMIT")
            .await
            .expect_err("the connection is cut");
        assert!(error.as_db_error().is_none(), "{error:?}");
        assert_eq!(count(&client).await, kept);
    }
}

/// A bucket, the stand-in that reads it, and a client.
struct Setup {
    _server: SeaweedFs,
    store: AmazonS3,
    standin: Standin,
    client: Client,
}

impl Setup {
    async fn new() -> Self {
        let server = SeaweedFs::start(&["lake"]);
        let store = AmazonS3Builder::new()
            .with_endpoint(server.endpoint())
            .with_allow_http(true)
            .with_region(SeaweedFs::REGION)
            .with_bucket_name("lake")
            .with_access_key_id(SeaweedFs::ACCESS_KEY)
            .with_secret_access_key(SeaweedFs::SECRET_KEY)
            .build()
            .unwrap();
        let s3 = S3 {
            endpoint: server.endpoint(),
            access_key: SeaweedFs::ACCESS_KEY.into(),
            secret_key: SeaweedFs::SECRET_KEY.into(),
        };
        let standin = Standin::start(&postgres::shared().create_database(), s3, None);
        let client = connect(&standin).await;
        run(&client, TABLE).await;
        Self {
            _server: server,
            store,
            standin,
            client,
        }
    }

    async fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let payload = PutPayload::from_bytes(bytes.into());
        self.store.put(&Path::from(key), payload).await.unwrap();
    }

    /// Puts a manifest with these entries.
    async fn manifest(&self, entry: &str) {
        self.put("manifest", format!(r#"{{"entries": [{entry}]}}"#)).await;
    }

    fn copy() -> String {
        format!("COPY agg FROM 's3://lake/manifest' IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST")
    }
}

fn entry(bytes: usize) -> String {
    format!(r#"{{"url": "s3://lake/data", "mandatory": true, "meta": {{"content_length": {bytes}}}}}"#)
}

/// Returns a Parquet file with two rows: this store on one day, an awkward id on the next.
fn parquet(store: &str, precision: u8, with_amount: bool) -> Vec<u8> {
    let amount = Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(precision, 2);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("any", Arc::new(StringArray::from(vec![store, "a \"b\""]))),
        ("name", Arc::new(Date32Array::from(vec![20_148, 20_149]))),
    ];
    if with_amount {
        columns.push(("does", Arc::new(amount.unwrap())));
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test]
async fn copy_loads_by_position_what_a_manifest_names() {
    let setup = Setup::new().await;
    let data = parquet("IL-1", 18, true);
    setup.put("data", data.clone()).await;
    setup.manifest(&format!("{0}, {0}", entry(data.len()))).await;
    run(&setup.client, "BEGIN").await;
    run(&setup.client, &Setup::copy()).await;
    // A file that is named twice is loaded twice.
    assert_eq!(
        value(&setup.client, "SELECT pg_last_copy_count()")
            .await
            .as_deref(),
        Some("4")
    );
    run(&setup.client, "COMMIT").await;
    let row = "SELECT store_id || trans_date || coalesce(amount, 0) FROM agg ORDER BY 1 DESC";
    assert_eq!(
        value(&setup.client, row).await.as_deref(),
        Some("a \"b\"2025-03-020")
    );
    assert_eq!(count(&setup.client).await, "4");

    // A prefix that matches nothing and an entry that may be absent load nothing.
    let nothing = format!("COPY agg FROM 's3://lake/none' IAM_ROLE '{ROLE}' FORMAT AS PARQUET");
    run(&setup.client, &nothing).await;
    setup
        .manifest(r#"{"url": "s3://lake/none", "meta": {"content_length": 1}}"#)
        .await;
    run(&setup.client, &Setup::copy()).await;
    assert_eq!(count(&setup.client).await, "4");

    // Outside a transaction, a COPY outlives its client; inside one it does not.
    setup.manifest(&entry(data.len())).await;
    for (begin, rows) in [(Some("BEGIN"), "4"), (None, "6")] {
        let doomed = connect(&setup.standin).await;
        if let Some(begin) = begin {
            run(&doomed, begin).await;
        }
        setup.standin.plan("COPY", 0, Fault::CutAfter);
        doomed
            .simple_query(&Setup::copy())
            .await
            .expect_err("the connection is cut");
        assert_eq!(count(&setup.client).await, rows);
    }
}

#[tokio::test]
async fn copy_refuses_files_that_do_not_fit_and_says_why() {
    let setup = Setup::new().await;
    let good = parquet("IL-1", 18, true);
    for (data, entry, code, message) in [
        (
            parquet("IL-1", 18, false),
            None,
            15007,
            "Unmatched number of columns",
        ),
        (
            parquet("IL-1", 16, true),
            None,
            15003,
            "incompatible Parquet schema",
        ),
        // More than 18 digits do not fit 64-bit integers.
        (parquet("IL-1", 20, true), None, 15003, "FIXED_LEN_BYTE_ARRAY"),
        (parquet("IL-123456", 18, true), None, 1204, "alue too long"),
        (b"no Parquet".to_vec(), None, 15001, "not valid Parquet"),
        (good.clone(), Some(entry(good.len() + 1)), 0, "the manifest says"),
        (
            good.clone(),
            Some(r#"{"url": "s3://lake/data", "mandatory": true}"#.into()),
            0,
            "content_length",
        ),
        (
            good.clone(),
            Some(r#"{"url": "s3://lake/none", "mandatory": true, "meta": {"content_length": 1}}"#.into()),
            0,
            "does not exist",
        ),
    ] {
        setup
            .manifest(&entry.unwrap_or_else(|| self::entry(data.len())))
            .await;
        setup.put("data", data).await;
        run(&setup.client, "BEGIN").await;
        let (_, said, detail) = refused(&setup.client, &Setup::copy()).await;
        assert!(format!("{said} {detail}").contains(message), "{said} {detail}");
        run(&setup.client, "ROLLBACK").await;
        // The recorded fault outlives the transaction.
        let recorded = "SELECT error_code || error_message FROM sys_load_error_detail \
                    WHERE session_id = pg_backend_pid() ORDER BY start_time DESC LIMIT 1";
        if code != 0 {
            let recorded = value(&setup.client, recorded).await.unwrap();
            assert!(
                recorded.starts_with(&code.to_string()) && recorded.contains(message),
                "{recorded}"
            );
        }
    }
    assert_eq!(count(&setup.client).await, "0");
}
