//! Summaries in the form that tests write, and the warehouses they are loaded into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Date32Array, Decimal128Array, LargeStringArray, RecordBatch};
use gristmill_loader::{
    Base, Credentials, Load, LoadCounts, LoadError, LoadMode, LoadOutcome, Target, Warehouse, open,
};
use gristmill_testkit::mariadb;
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;
use tokio_postgres::NoTls;

// With its path, because benches use this file alone.
#[path = "redshift/server.rs"]
pub mod server;

use server::Redshift;

pub const MEASURES: [&str; 3] = ["sale_amount", "tax_amount", "discount_amount"];

/// Which SQL a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Sqlite,
    Postgres,
    MySql,
}

/// A database for one test, and a folder for the files to load.
pub struct Place {
    pub folder: TempDir,
    pub url: String,
    pub credentials: Credentials,
    /// The stand-in for Redshift.
    pub redshift: Option<Redshift>,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/mart/warehouse.db", folder.path().display());
        Self {
            folder,
            ..Self::at(url)
        }
    }

    pub fn postgres() -> Self {
        Self::at(gristmill_testkit::postgres::shared().create_database())
    }

    pub fn mysql() -> Self {
        Self::at(mariadb::shared().create_database())
    }

    pub fn redshift() -> Self {
        let redshift = Redshift::start();
        let (url, credentials) = (redshift.url(), server::credentials());
        Self {
            credentials,
            redshift: Some(redshift),
            ..Self::at(url)
        }
    }

    pub fn at(url: String) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            url,
            credentials: Credentials::default(),
            redshift: None,
        }
    }

    pub fn open(&self, table: &str, measures: &[&str], mode: LoadMode) -> Box<dyn Warehouse> {
        let measures = measures.iter().map(|name| name.to_string()).collect();
        open(
            &self.url,
            Target::new(table, measures, mode).unwrap(),
            &self.credentials,
        )
        .unwrap()
    }

    /// The usual target with audit columns.
    pub fn audited(&self, mode: LoadMode) -> Box<dyn Warehouse> {
        let target = Target::new("sales_summary", MEASURES.map(String::from).to_vec(), mode).unwrap();
        open(&self.url, target.with_audit(true), &self.credentials).unwrap()
    }

    /// The usual target, prepared.
    pub async fn ready(&self, mode: LoadMode) -> Box<dyn Warehouse> {
        let warehouse = self.open("sales_summary", &MEASURES, mode);
        warehouse.prepare().await.unwrap();
        warehouse
    }

    /// Writes a summary, as the run with this number in scope `J101`.
    pub fn load(&self, sequence: i64, summary: &Summary) -> Load {
        let run_id = format!("run-{sequence}");
        let files = self.folder.path().join(&run_id);
        Load {
            scope: "J101".into(),
            sequence,
            rows: summary.rows.len() as u64,
            digest: format!("digest-{sequence}"),
            summary: summary.write(&files.with_extension("summary.parquet")),
            coverage: summary.write_coverage(&files.with_extension("coverage.parquet")),
            base: None,
            is_safe: None,
            run_id,
        }
    }

    /// Writes a summary, as the run with this number, based on another run.
    pub fn load_on(&self, base: &Load, sequence: i64, summary: &Summary) -> Load {
        Load {
            base: Some(base_of(base)),
            ..self.load(sequence, summary)
        }
    }

    /// The URL of the database that holds the rows: behind Redshift's stand-in, a Postgres database.
    pub fn database(&self) -> &str {
        self.redshift
            .as_ref()
            .map_or(&self.url, |redshift| &redshift.backend)
    }

    /// Whose SQL the rows are reached with.
    pub fn server(&self) -> Server {
        match self.database().split(':').next() {
            Some("mysql") => Server::MySql,
            Some("sqlite") => Server::Sqlite,
            _ => Server::Postgres,
        }
    }

    /// Edits the target by hand.
    pub async fn edit(&self, sql: &str) {
        match self.server() {
            Server::Postgres => return gristmill_testkit::postgres::execute(self.database(), sql),
            Server::MySql => return mariadb::execute(self.database(), sql),
            Server::Sqlite => {}
        }
        let mut connection = SqliteConnectOptions::from_str(&self.url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_string()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// Queries one column of text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        if self.server() == Server::MySql {
            let rows = mariadb::query(self.database(), sql).into_iter();
            return rows.map(|mut row| row.remove(0).unwrap()).collect();
        }
        if self.server() == Server::Postgres {
            let (client, connection) = tokio_postgres::connect(self.database(), NoTls).await.unwrap();
            tokio::spawn(connection);
            let rows = client.query(sql, &[]).await.unwrap();
            return rows.iter().map(|row| row.get(0)).collect();
        }
        let mut connection = SqliteConnectOptions::from_str(&self.url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let rows = sqlx::query_scalar(AssertSqlSafe(sql.to_string()))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// Writes and loads a summary. Returns what the load did.
    pub async fn loaded(&self, warehouse: &dyn Warehouse, sequence: i64, summary: &Summary) -> LoadCounts {
        match warehouse
            .load(&self.load(sequence, summary), &|_| ())
            .await
            .unwrap()
        {
            LoadOutcome::Loaded(counts) => counts,
            other => panic!("not loaded: {other:?}"),
        }
    }
}

/// A load as the base of the next one.
pub fn base_of(load: &Load) -> Base {
    Base {
        run_id: load.run_id.clone(),
        summary: load.summary.clone(),
        coverage: load.coverage.clone(),
        rows: load.rows,
    }
}

pub type Rows = BTreeMap<(String, String, Date), Vec<Option<i64>>>;

/// A summary and its coverage.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub rows: Rows,
    pub coverage: BTreeSet<(String, Date)>,
}

impl Summary {
    /// A summary of rows; it covers their days.
    pub fn of<const N: usize>(rows: &[(&str, &str, &str, [Option<i64>; N])]) -> Self {
        let mut summary = Self::default();
        for (store, item, date, amounts) in rows {
            summary.add(store, item, day(date), amounts.to_vec());
        }
        summary
    }

    /// Covers another day besides those of the rows.
    pub fn covering(mut self, store: &str, date: &str) -> Self {
        self.coverage.insert((store.into(), day(date)));
        self
    }

    pub fn add(&mut self, store: &str, item: &str, date: Date, amounts: Vec<Option<i64>>) {
        self.coverage.insert((store.into(), date));
        self.rows.insert((store.into(), item.into(), date), amounts);
    }

    pub fn write(&self, path: &Path) -> PathBuf {
        write_rows(path, &self.rows.clone().into_iter().collect::<Vec<_>>())
    }

    fn write_coverage(&self, path: &Path) -> PathBuf {
        let stores: Vec<&str> = self.coverage.iter().map(|(store, _)| store.as_str()).collect();
        let dates = self.coverage.iter().map(|(_, date)| days(*date));
        write_parquet(
            path,
            vec![
                ("store_id", Arc::new(LargeStringArray::from(stores))),
                ("trans_date", Arc::new(Date32Array::from_iter_values(dates))),
            ],
        )
    }
}

pub type Row = ((String, String, Date), Vec<Option<i64>>);

/// Writes rows in the given order, right or wrong. Text is LargeUtf8, as some writers store it.
pub fn write_rows(path: &Path, rows: &[Row]) -> PathBuf {
    let stores: Vec<&str> = rows.iter().map(|((store, _, _), _)| store.as_str()).collect();
    let items: Vec<&str> = rows.iter().map(|((_, item, _), _)| item.as_str()).collect();
    let dates = rows.iter().map(|((_, _, date), _)| days(*date));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("store_id", Arc::new(LargeStringArray::from(stores))),
        ("item_id", Arc::new(LargeStringArray::from(items))),
        ("trans_date", Arc::new(Date32Array::from_iter_values(dates))),
    ];
    for (at, measure) in MEASURES.into_iter().enumerate() {
        let cents = rows
            .iter()
            .map(|(_, amounts)| amounts.get(at).copied().flatten().map(i128::from));
        let amounts: Decimal128Array = cents.collect();
        columns.push((
            measure,
            Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()),
        ));
    }
    write_parquet(path, columns)
}

pub fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let columns = columns
        .into_iter()
        .map(|(name, array)| (name, array.clone(), array.is_nullable()));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_path_buf()
}

/// Everything that a warehouse holds.
pub async fn contents(warehouse: &dyn Warehouse) -> Rows {
    let rows = warehouse.first_rows(u32::MAX).await.unwrap();
    assert_eq!(rows.len() as u64, warehouse.row_count().await.unwrap());
    let keyed = rows
        .into_iter()
        .map(|row| ((row.store_id, row.item_id, row.trans_date), row.amounts));
    let in_order: Vec<Row> = keyed.collect();
    let contents: Rows = in_order.iter().cloned().collect();
    assert_eq!(
        in_order,
        contents.clone().into_iter().collect::<Vec<_>>(),
        "rows come in the order of the keys, each once"
    );
    contents
}

pub fn counts(inserted: u64, updated: u64, deleted: u64, unchanged: u64) -> LoadCounts {
    LoadCounts {
        inserted,
        updated,
        deleted,
        unchanged,
    }
}

pub fn mismatch(result: Result<(), LoadError>) -> String {
    match result {
        Err(error @ LoadError::TargetMismatch { .. }) => {
            assert!(!error.is_transient());
            error.to_string()
        }
        other => panic!("no mismatch: {other:?}"),
    }
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn days(date: Date) -> i32 {
    i32::try_from(date.duration_since(day("1970-01-01")).as_hours() / 24).unwrap()
}
