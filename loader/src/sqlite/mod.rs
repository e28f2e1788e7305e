//! SQLite as the warehouse: the embedded default, a single file that needs no server.
//!
//! A load is one write transaction, begun before the ledger is read, so that loads of several processes stand in line.
//! Commits reach the disk (`synchronous = FULL`), and readers go on meanwhile (WAL). Dates are `YYYY-MM-DD`; amounts are
//! text, as told in [`crate::amount`].

mod sql;
mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr, SqlStr, SqliteConnection};

use crate::amount;
use crate::shape::{self, Column, Kind, Shape};
use crate::target::{KEYS, LEDGER, plain_or_quoted};
use crate::{LedgerEntry, Load, LoadCounts, LoadError, LoadMode, LoadOutcome, SummaryRow, Target, Warehouse};
use sql::Sql;

/// How long to stand in line for another process's load.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the write lock at once: a transaction that only later turns to writing can fail where it should wait.
const BEGIN: &str = "BEGIN IMMEDIATE";

const DIALECT: shape::Dialect = shape::Dialect {
    accepts: |_, type_name| {
        // SQLite's rule for text affinity. Another affinity would turn amounts into floats.
        let name = type_name.to_ascii_uppercase();
        !name.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|text| name.contains(text))
    },
    wanted: |kind| match kind {
        Kind::Text | Kind::Day | Kind::Amount => "TEXT",
    },
    retype: |table, _, _| {
        format!(
            "ALTER TABLE {table} RENAME TO gristmill_old; and replay the jobs: SQLite cannot retype a column"
        )
    },
    add_key: |table, columns| format!("CREATE UNIQUE INDEX gristmill_key ON {table} ({columns});"),
};

/// A SQLite file as the warehouse.
pub(crate) struct SqliteWarehouse {
    options: SqliteConnectOptions,
    url: String,
    target: Target,
    sql: Sql,
    /// The target's name, as the ledger has it.
    name: String,
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
                    "it cannot be read ({error}); write sqlite://path/to/warehouse.db"
                ))
            })?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let sql = Sql::new(&target.table, &target.measures);
        let name = plain_or_quoted(&target.table);
        Ok(Self {
            options,
            url: url.into(),
            target,
            sql,
            name,
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

    async fn connect(&self) -> Result<SqliteConnection, LoadError> {
        self.options.connect().await.map_err(self.failed("open the file"))
    }

    /// Opens the file to read from a table; `None` if the file or the table is not there.
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
        kind.map_err(self.failed("look the target up"))
    }

    fn create_folder(&self) -> Result<(), LoadError> {
        match self.options.get_filename().parent() {
            Some(folder) if folder != Path::new("") => {
                std::fs::create_dir_all(folder).map_err(|source| LoadError::Folder {
                    path: folder.to_path_buf(),
                    source,
                })
            }
            _ => Ok(()),
        }
    }

    async fn check_present(&self, connection: &mut SqliteConnection) -> Result<(), LoadError> {
        let action = "look the target's columns up";
        let table = &self.target.table;
        let columns: Vec<(String, String, bool)> = sqlx::query_as(sql::COLUMNS)
            .bind(table)
            .fetch_all(&mut *connection)
            .await
            .map_err(self.failed(action))?;
        let parts: Vec<(String, String)> = sqlx::query_as(sql::UNIQUE_KEYS)
            .bind(table)
            .fetch_all(connection)
            .await
            .map_err(self.failed(action))?;
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, column) in parts {
            keys.entry(key).or_default().push(column);
        }
        let columns = columns.into_iter();
        let shape = Shape {
            columns: columns
                .map(|(name, type_name, optional)| Column {
                    name,
                    type_name,
                    optional,
                })
                .collect(),
            unique_keys: keys.into_values().collect(),
        };
        shape::check(&shape, &self.target, &self.sql.table, &DIALECT)
    }

    /// What the ledger says against this load, if anything.
    async fn settled(
        &self,
        connection: &mut SqliteConnection,
        load: &Load,
    ) -> Result<Option<LoadOutcome>, LoadError> {
        if let Some(entry) = self.entry(&mut *connection, &load.run_id).await? {
            return Ok(Some(LoadOutcome::AlreadyLoaded(entry)));
        }
        let newer = sqlx::query(self.sql.ledger_after())
            .bind(&self.name)
            .bind(&load.scope)
            .bind(load.sequence);
        let newer = newer
            .fetch_optional(connection)
            .await
            .map_err(self.failed("read the ledger"))?;
        Ok(newer.map(|row| LoadOutcome::Superseded { by: entry(&row) }))
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
        Ok(row.map_err(self.failed("read the ledger"))?.as_ref().map(entry))
    }

    /// Brings the files into temporary tables.
    async fn stage(
        &self,
        connection: &mut SqliteConnection,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), LoadError> {
        self.execute(connection, self.sql.create_stage(), "create temporary tables")
            .await?;
        let rows = stage::summary(connection, self, load, progress).await?;
        load.expect_rows(rows)?;
        if self.target.mode == LoadMode::ReplaceDays {
            self.execute(
                connection,
                sql::CREATE_COVERAGE.into_sql_str(),
                "create temporary tables",
            )
            .await?;
            stage::coverage(connection, self, load).await?;
            let uncovered = sqlx::query_scalar(sql::UNCOVERED).fetch_one(connection).await;
            load.expect_covered(
                uncovered.map_err(self.failed("compare the summary with the covered days"))?,
            )?;
        }
        Ok(())
    }

    /// Changes the target, by key, to what was staged.
    async fn apply(&self, connection: &mut SqliteConnection, staged: u64) -> Result<LoadCounts, LoadError> {
        let deleted = match self.sql.delete(self.target.mode) {
            Some(delete) => self.execute(connection, delete, "delete rows").await?,
            None => 0,
        };
        let new = sqlx::query_scalar::<_, i64>(self.sql.count_new())
            .fetch_one(&mut *connection)
            .await;
        let inserted = new.map_err(self.failed("count new rows"))? as u64;
        let written = self
            .execute(connection, self.sql.upsert(), "insert and update rows")
            .await?;
        Ok(LoadCounts::of(staged, inserted, written, deleted))
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
        self.create_folder()?;
        let options = self.options.clone().create_if_missing(true);
        let mut connection = options.connect().await.map_err(self.failed("open the file"))?;
        let action = "prepare the target";
        let mut transaction = connection.begin_with(BEGIN).await.map_err(self.failed(action))?;
        match self.kind(&mut transaction, &self.target.table).await?.as_deref() {
            None => {
                self.execute(&mut transaction, self.sql.create_table(), "create the target")
                    .await?;
            }
            Some("table") => self.check_present(&mut transaction).await?,
            Some(_) => {
                return Err(self.mismatch("it is a view, not a table; name the table behind it".into()));
            }
        }
        self.execute(&mut transaction, self.sql.create_ledger(), "create the ledger")
            .await?;
        transaction.commit().await.map_err(self.failed(action))
    }

    async fn load(
        &self,
        load: &Load,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<LoadOutcome, LoadError> {
        let mut connection = self.connect().await?;
        let mut transaction = connection
            .begin_with(BEGIN)
            .await
            .map_err(self.failed("begin the load"))?;
        if let Some(outcome) = self.settled(&mut transaction, load).await? {
            return Ok(outcome);
        }
        self.stage(&mut transaction, load, progress).await?;
        let counts = self.apply(&mut transaction, load.rows).await?;
        sqlx::query(self.sql.insert_ledger())
            .bind(&load.run_id)
            .bind(&self.name)
            .bind(&load.scope)
            .bind(load.sequence)
            .bind(load.rows as i64)
            .bind(&load.digest)
            .execute(&mut *transaction)
            .await
            .map_err(self.failed("write the ledger"))?;
        fail::fail_point!("load-before-commit");
        transaction
            .commit()
            .await
            .map_err(self.failed("commit the load"))?;
        fail::fail_point!("load-after-commit");
        tracing::info!(
            run_id = load.run_id,
            target = self.name,
            ?counts,
            "loaded a summary"
        );
        Ok(LoadOutcome::Loaded(counts))
    }

    async fn ledger_entry(&self, run_id: &str) -> Result<Option<LedgerEntry>, LoadError> {
        match self.reading(LEDGER).await? {
            Some(mut connection) => self.entry(&mut connection, run_id).await,
            None => Ok(None),
        }
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
            .map_err(self.failed("read a row"))?;
        row.map(|row| self.read_row(&row)).transpose()
    }

    async fn first_rows(&self, limit: u32) -> Result<Vec<SummaryRow>, LoadError> {
        let mut connection = self.reading_target().await?;
        let rows = sqlx::query(self.sql.first_rows())
            .bind(limit)
            .fetch_all(&mut connection)
            .await;
        rows.map_err(self.failed("read rows"))?
            .iter()
            .map(|row| self.read_row(row))
            .collect()
    }

    async fn row_count(&self) -> Result<u64, LoadError> {
        let mut connection = self.reading_target().await?;
        let count = sqlx::query_scalar::<_, i64>(self.sql.row_count())
            .fetch_one(&mut connection)
            .await;
        Ok(count.map_err(self.failed("count rows"))? as u64)
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
