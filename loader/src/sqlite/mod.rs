//! SQLite as the warehouse: the embedded default, a single file that needs no server.
//!
//! A load is one write transaction, begun before the ledger is read, so loads wait for each other: those of one
//! process as long as necessary, those of several processes for a minute. Commits reach the disk (`synchronous = FULL`),
//! and readers continue meanwhile (WAL). Dates are `YYYY-MM-DD`; amounts are text, as described in [`crate::amount`].

mod claims;
mod delta;
mod full;
mod load;
mod prepare;
mod sql;
mod stage;
mod verify;

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqlStr, SqliteConnection};
use tokio::sync::Mutex;

use crate::amount;
use crate::target::{KEYS, LEDGER, plain_or_quoted};
use crate::{LedgerEntry, Load, LoadError, LoadOutcome, SummaryRow, Target, Verification, Warehouse};
use sql::Sql;

/// How long to wait for another process's load.
const PATIENCE: Duration = Duration::from_secs(60);

/// The page size of a new file. It is four times SQLite's default, so a load writes a quarter of the pages.
const PAGE_BYTES: u32 = 16_384;

/// 64 MiB, in SQLite's notation. With the default of 2 MiB, a load writes pages out and reads them in again.
const CACHE_KIB: &str = "-65536";

/// Takes the write lock at once: a transaction that starts to write later can fail where it should wait.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// A SQLite file as the warehouse.
pub(crate) struct SqliteWarehouse {
    options: SqliteConnectOptions,
    url: String,
    target: Target,
    sql: Sql,
    /// The target's name, as the ledger writes it.
    name: String,
    /// Locked by the load in progress. SQLite lets a second writer wait only for a fixed time, and a large load takes
    /// longer.
    turn: Mutex<()>,
}

impl SqliteWarehouse {
    pub(crate) fn new(url: &str, target: Target) -> Result<Self, LoadError> {
        let bad = |reason: String| LoadError::BadUrl {
            url: url.into(),
            reason,
        };
        if url == "sqlite://" || url.contains(":memory:") || url.contains("mode=memory") {
            return Err(bad(
                "a warehouse in memory would be lost; write sqlite://path/to/warehouse.db".into(),
            ));
        }
        if target.schema.is_some() {
            let reason = "names a schema, and SQLite has none; write the table alone".into();
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason,
            });
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| {
                bad(format!(
                    "it cannot be parsed ({error}); write sqlite://path/to/warehouse.db"
                ))
            })?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .page_size(PAGE_BYTES)
            .pragma("cache_size", CACHE_KIB)
            // Statements have up to a thousand rows, so logging their text is useless.
            .disable_statement_logging();
        let sql = Sql::new(&target);
        let name = plain_or_quoted(&target.table);
        Ok(Self {
            options,
            url: url.into(),
            target,
            sql,
            name,
            turn: Mutex::new(()),
        })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> LoadError + use<> {
        let warehouse = self.url.clone();
        move |source| LoadError::Sqlite {
            action,
            warehouse,
            source,
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.name.clone(),
            problems,
        }
    }

    /// The target's name in lower case, as the tables of loaded days store it.
    fn folded_name(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    async fn connect(&self) -> Result<SqliteConnection, LoadError> {
        self.options.connect().await.map_err(self.failed("open"))
    }

    /// Opens the file to read from a table; `None` if the file or the table does not exist.
    async fn reading(&self, table: &str) -> Result<Option<SqliteConnection>, LoadError> {
        if !self.options.get_filename().exists() {
            return Ok(None);
        }
        let mut connection = self.connect().await?;
        let kind = self.kind(&mut connection, table).await?;
        Ok(kind.map(|_| connection))
    }

    async fn reading_target(&self) -> Result<SqliteConnection, LoadError> {
        let connection = self.reading(&self.target.table).await?;
        connection.ok_or_else(|| LoadError::TargetAbsent {
            table: self.name.clone(),
        })
    }

    async fn kind(&self, connection: &mut SqliteConnection, name: &str) -> Result<Option<String>, LoadError> {
        let kind = sqlx::query_scalar(sql::KIND)
            .bind(name)
            .fetch_optional(connection)
            .await;
        kind.map_err(self.failed("look the target up in"))
    }

    async fn entry(
        &self,
        connection: &mut SqliteConnection,
        run_id: &str,
    ) -> Result<Option<LedgerEntry>, LoadError> {
        let row = sqlx::query(self.sql.ledger_of_run())
            .bind(&self.name)
            .bind(run_id)
            .fetch_optional(connection)
            .await;
        Ok(row
            .map_err(self.failed("read the ledger of"))?
            .as_ref()
            .map(entry))
    }

    async fn execute(
        &self,
        connection: &mut SqliteConnection,
        sql: SqlStr,
        action: &'static str,
    ) -> Result<u64, LoadError> {
        let done = sqlx::query(sql)
            .execute(connection)
            .await
            .map_err(self.failed(action))?;
        Ok(done.rows_affected())
    }

    fn read_row(&self, row: &SqliteRow) -> Result<SummaryRow, LoadError> {
        let unreadable =
            |column: &str| self.mismatch(format!("{column} holds a value that gristmill did not write"));
        let text = |at: usize, column: &str| {
            row.try_get::<Option<String>, _>(at)
                .map_err(|_| unreadable(column))
        };
        let key = |at: usize| text(at, KEYS[at])?.ok_or_else(|| unreadable(KEYS[at]));
        let amounts = self.target.measures.iter().enumerate().map(|(at, measure)| {
            text(KEYS.len() + at, measure)?
                .map(|text| amount::from_text(&text).ok_or_else(|| unreadable(measure)))
                .transpose()
        });
        Ok(SummaryRow {
            store_id: key(0)?,
            item_id: key(1)?,
            trans_date: key(2)?.parse().map_err(|_| unreadable(KEYS[2]))?,
            amounts: amounts.collect::<Result<_, _>>()?,
        })
    }
}

#[async_trait]
impl Warehouse for SqliteWarehouse {
    async fn prepare(&self) -> Result<(), LoadError> {
        prepare::prepare(self).await
    }

    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError> {
        let _turn = self.turn.lock().await;
        load::load(self, load, progress).await
    }

    async fn verify(&self, load: &Load, mend: bool, listed: usize) -> Result<Verification, LoadError> {
        let _turn = self.turn.lock().await;
        verify::verify(self, load, mend, listed).await
    }

    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError> {
        match self.reading(LEDGER).await? {
            Some(mut connection) => self.entry(&mut connection, run_id).await,
            None => Ok(None),
        }
    }

    async fn newest_loads(&self, scope: Option<&str>) -> Result<Vec<LedgerEntry>, LoadError> {
        let Some(mut connection) = self.reading(LEDGER).await? else {
            return Ok(Vec::new());
        };
        let query = match scope {
            Some(scope) => sqlx::query(self.sql.ledger_newest()).bind(&self.name).bind(scope),
            None => sqlx::query(self.sql.ledger_newest_of_each()).bind(&self.name),
        };
        let rows = query.fetch_all(&mut connection).await;
        Ok(rows
            .map_err(self.failed("read the ledger of"))?
            .iter()
            .map(entry)
            .collect())
    }

    async fn row(
        &self,
        store_id: &str,
        item_id: &str,
        trans_date: Date,
    ) -> Result<Option<SummaryRow>, LoadError> {
        let mut connection = self.reading_target().await?;
        let query = sqlx::query(self.sql.row())
            .bind(store_id)
            .bind(item_id)
            .bind(trans_date.to_string());
        let row = query
            .fetch_optional(&mut connection)
            .await
            .map_err(self.failed("read a row of"))?;
        row.map(|row| self.read_row(&row)).transpose()
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let mut connection = self.reading_target().await?;
        let rows = sqlx::query(self.sql.first_rows())
            .bind(limit)
            .fetch_all(&mut connection)
            .await;
        rows.map_err(self.failed("read rows of"))?
            .iter()
            .map(|row| self.read_row(row))
            .collect()
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        let mut connection = self.reading_target().await?;
        let count = sqlx::query_scalar::<_, i64>(self.sql.row_count())
            .fetch_one(&mut connection)
            .await;
        Ok(count.map_err(self.failed("count rows of"))? as u64)
    }
}

fn entry(row: &SqliteRow) -> LedgerEntry {
    LedgerEntry {
        run_id: row.get(0),
        target: row.get(1),
        scope: row.get(2),
        sequence: row.get(3),
        rows: row.get::<i64, _>(4) as u64,
        digest: row.get(5),
        loaded_at: row.get(6),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::LoadMode;

    const IMPATIENCE: Duration = Duration::from_millis(50);

    fn warehouse(folder: &Path) -> SqliteWarehouse {
        let url = format!("sqlite://{}/warehouse.db", folder.display());
        let target = Target::new("t", vec!["sale_amount".into()], LoadMode::Upsert).unwrap();
        let mut warehouse = SqliteWarehouse::new(&url, target).unwrap();
        warehouse.options = warehouse.options.busy_timeout(IMPATIENCE);
        warehouse
    }

    /// Writes a summary of one row, as the run of this number.
    fn load(folder: &Path, sequence: i64) -> Load {
        let summary = folder.join(format!("{sequence}.parquet"));
        let amounts = Decimal128Array::from(vec![i128::from(sequence)]);
        let columns: [(&str, ArrayRef); 4] = [
            ("store_id", Arc::new(StringArray::from(vec!["s"]))),
            ("item_id", Arc::new(StringArray::from(vec!["i"]))),
            ("trans_date", Arc::new(Date32Array::from(vec![20_148]))),
            (
                "sale_amount",
                Arc::new(amounts.with_precision_and_scale(18, 2).unwrap()),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&summary).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Load {
            run_id: format!("run-{sequence}"),
            scope: format!("J{sequence}"),
            sequence,
            coverage: summary.clone(),
            summary,
            rows: 1,
            digest: String::new(),
            base: None,
            is_safe: None,
        }
    }

    #[tokio::test]
    async fn a_load_waits_for_another_of_its_process_for_as_long_as_that_takes() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = warehouse(folder.path());
        warehouse.prepare().await.unwrap();
        let slow = |_| std::thread::sleep(IMPATIENCE * 6);
        let (one, two) = (load(folder.path(), 1), load(folder.path(), 2));
        let (one, two) = tokio::join!(warehouse.load(&one, &slow), warehouse.load(&two, &slow));
        for outcome in [one, two] {
            assert!(matches!(outcome, Ok(LoadOutcome::Loaded(_))), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_writer_that_does_not_end_is_a_transient_failure() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = warehouse(folder.path());
        warehouse.prepare().await.unwrap();
        let mut other = warehouse.connect().await.unwrap();
        sqlx::query(BEGIN).execute(&mut other).await.unwrap();

        let error = warehouse.prepare().await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("another process"),
            "{error:?}"
        );
        assert_eq!(warehouse.row_count().await.unwrap(), 0, "readers continue");
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        warehouse.prepare().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_and_a_file_out_of_reach_are_transient_failures() {
        let folder = tempfile::tempdir().unwrap();
        let mut warehouse = warehouse(&folder.path().join("mart"));
        let roomy = warehouse.options.clone();
        warehouse.options = roomy.clone().pragma("max_page_count", "1");
        let error = warehouse.prepare().await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("make room"),
            "{error:?}"
        );

        warehouse.options = roomy;
        warehouse.prepare().await.unwrap();
        std::fs::rename(folder.path().join("mart"), folder.path().join("away")).unwrap();
        let error = warehouse.connect().await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains("whether the path is right"),
            "{error:?}"
        );
    }
}
