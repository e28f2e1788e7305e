//! The steps of the protocol in SQLite.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr, SqlStr, SqliteConnection};
use tokio::sync::MutexGuard;

use super::{SqliteWarehouse, sql, stage, table};
use crate::days::Days;
use crate::delta::{Fault, Piece, Pieces, Tally};
use crate::protocol::{
    Arrived, Backend, CHECK_BASE, COMPARE, COUNT_ROWS, CREATE_LEDGER, Entries, LOOK_UP, Note, Progress,
    Purpose, READ_LEDGER, READ_ROWS, ROLL_BACK, Relation, Session, Statement, Step, Wanted,
};
use crate::{Base, Difference, LedgerEntry, Load, LoadError, SummaryRow, Target, input};

/// A connection.
pub(crate) struct SqliteSession<'w> {
    warehouse: &'w SqliteWarehouse,
    connection: SqliteConnection,
    /// Given up after the connection.
    _turn: Option<MutexGuard<'w, ()>>,
}

#[async_trait]
impl Backend for SqliteWarehouse {
    type Session<'b> = SqliteSession<'b>;

    fn target(&self) -> &Target {
        &self.target
    }

    fn exists(&self) -> bool {
        self.options.get_filename().exists()
    }

    async fn open<'b>(&'b self, purpose: Purpose) -> Result<SqliteSession<'b>, LoadError> {
        let turn = match purpose {
            Purpose::Read | Purpose::Prepare => None,
            Purpose::Load | Purpose::Compare | Purpose::Mend => Some(self.turn.lock().await),
        };
        if purpose == Purpose::Prepare {
            create_folder(self.options.get_filename())?;
        }
        let options = self.options.clone();
        let options = options.create_if_missing(purpose == Purpose::Prepare);
        let mut session = SqliteSession {
            warehouse: self,
            connection: options.connect().await.map_err(self.failed("open"))?,
            _turn: turn,
        };
        // To compare, a read transaction is enough, and other processes can load meanwhile.
        let begin = match purpose {
            Purpose::Compare => "BEGIN",
            _ => sql::BEGIN,
        };
        if let Some(action) = purpose.action() {
            session.execute(action, begin.into_sql_str()).await?;
        }
        Ok(session)
    }
}

fn create_folder(file: &Path) -> Result<(), LoadError> {
    match file.parent() {
        Some(folder) if folder != Path::new("") => {
            std::fs::create_dir_all(folder).map_err(|source| LoadError::Folder {
                path: folder.to_path_buf(),
                source,
            })
        }
        _ => Ok(()),
    }
}

impl SqliteSession<'_> {
    async fn execute(&mut self, action: &'static str, sql: SqlStr) -> Result<u64, LoadError> {
        let done = sqlx::query(sql).execute(&mut self.connection).await;
        Ok(done.map_err(self.warehouse.failed(action))?.rows_affected())
    }

    async fn found(
        &mut self,
        action: &'static str,
        statement: Statement,
    ) -> Result<Vec<SqliteRow>, LoadError> {
        let found = sql::query(statement).fetch_all(&mut self.connection).await;
        found.map_err(self.warehouse.failed(action))
    }

    async fn count(&mut self, action: &'static str, sql: SqlStr) -> Result<u64, LoadError> {
        let count = sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut self.connection)
            .await;
        Ok(count.map_err(self.warehouse.failed(action))? as u64)
    }

    async fn create_temporary(&mut self, create: SqlStr) -> Result<(), LoadError> {
        self.execute("create temporary tables in", create).await.map(drop)
    }
}

#[async_trait]
impl Session for SqliteSession<'_> {
    fn name(&self) -> &str {
        &self.warehouse.sql.name
    }

    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        let found = self
            .found(LOOK_UP, Statement::new(sql::KIND, [name.into()]))
            .await?;
        Ok(found.first().map(|row| match row.get(0) {
            "table" => Relation::Table,
            _ => Relation::View,
        }))
    }

    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        let found = self.found(READ_LEDGER, self.warehouse.sql.entries(which)).await?;
        Ok(found.iter().map(entry).collect())
    }

    async fn rows(&mut self, which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError> {
        let sql = &self.warehouse.sql;
        let found = match which {
            Wanted::Key(store_id, item_id, date) => {
                let date = date.to_string();
                let keys = [store_id.into(), item_id.into(), date.as_str().into()];
                self.found("read a row of", Statement::new(sql.row(), keys))
                    .await?
            }
            Wanted::First(limit) => {
                let limit = [i64::from(limit).into()];
                self.found(READ_ROWS, Statement::new(sql.first_rows(), limit))
                    .await?
            }
        };
        found.iter().map(|row| self.warehouse.read_row(row)).collect()
    }

    async fn row_count(&mut self) -> Result<u64, LoadError> {
        self.count(COUNT_ROWS, self.warehouse.sql.row_count()).await
    }

    async fn create_ledger(&mut self) -> Result<(), LoadError> {
        for create in self.warehouse.sql.create_ledger() {
            self.execute(CREATE_LEDGER, create).await?;
        }
        Ok(())
    }

    async fn check_target(&mut self) -> Result<(), LoadError> {
        table::check(self.warehouse, &mut self.connection).await
    }

    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError> {
        let mut touched = 0;
        for statement in self.warehouse.sql.step(step) {
            let done = sql::query(statement).execute(&mut self.connection).await;
            touched += done
                .map_err(self.warehouse.failed(step.action()))?
                .rows_affected();
        }
        Ok(touched)
    }

    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError> {
        let found = self
            .found(CHECK_BASE, self.warehouse.sql.stands(load, base))
            .await?;
        Ok(!found.is_empty())
    }

    async fn stage_days(&mut self, _load: &Load, days: Option<&Days>) -> Result<(), LoadError> {
        let Some(days) = days else { return Ok(()) };
        self.create_temporary(sql::CREATE_COVERAGE.into_sql_str()).await?;
        stage::coverage(&mut self.connection, self.warehouse, days).await
    }

    async fn fill(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Option<Arrived>, LoadError> {
        let warehouse = self.warehouse;
        let holds_rows: bool = sqlx::query_scalar(warehouse.sql.holds_rows())
            .fetch_one(&mut self.connection)
            .await
            .map_err(warehouse.failed("look for rows of the covered stores in"))?;
        if holds_rows {
            return Ok(None);
        }
        // In the order of the target's key.
        let rows = input::summary(&load.summary, &warehouse.target.measures);
        let insert = |rows| warehouse.sql.insert_target(rows);
        let run_id = warehouse.target.audit.then_some(load.run_id.as_str());
        let arrived = stage::summary(
            &mut self.connection,
            warehouse,
            rows,
            run_id,
            days,
            insert,
            progress,
        );
        arrived.await.map(Some)
    }

    async fn stage_rows(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Arrived, Fault> {
        let warehouse = self.warehouse;
        self.create_temporary(warehouse.sql.create_stage()).await?;
        let rows = input::summary(&load.summary, &warehouse.target.measures);
        let insert = |rows| warehouse.sql.insert_stage(rows);
        let arrived = stage::summary(
            &mut self.connection,
            warehouse,
            rows,
            None,
            days,
            insert,
            progress,
        );
        Ok(arrived.await?)
    }

    async fn stage_changes(
        &mut self,
        _load: &Load,
        pieces: &mut Pieces,
        _has_days: bool,
    ) -> Result<Option<Tally>, Fault> {
        self.create_temporary(self.warehouse.sql.create_stage()).await?;
        self.create_temporary(sql::CREATE_REMOVED.into_sql_str()).await?;
        let mut tally = None;
        while let Some(piece) = pieces.recv().await {
            let (rows, with_amounts) = match piece? {
                Piece::Write(rows) => (rows, true),
                Piece::Remove(rows) => (rows, false),
                Piece::End(end) => {
                    tally = Some(end);
                    continue;
                }
            };
            stage::batch(&mut self.connection, self.warehouse, &rows, with_amounts).await?;
        }
        Ok(tally)
    }

    async fn write(&mut self, load: &Load, _staged: u64) -> Result<(u64, u64), LoadError> {
        let warehouse = self.warehouse;
        let inserted = self
            .count("count new rows for", warehouse.sql.count_new())
            .await?;
        let mut upsert = sqlx::query(warehouse.sql.upsert());
        if warehouse.target.audit {
            upsert = upsert.bind(&load.run_id);
        }
        let written = upsert.execute(&mut self.connection).await;
        let written = written.map_err(warehouse.failed("insert and update rows of"))?;
        Ok((inserted, written.rows_affected()))
    }

    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError> {
        let warehouse = self.warehouse;
        let measures = warehouse.target.measures.len();
        let statements = [
            (Some(warehouse.sql.differing()), true),
            (warehouse.sql.surplus(), false),
        ];
        for (statement, is_of_summary) in statements {
            let Some(statement) = statement else { continue };
            let mut rows = sqlx::query(statement).fetch(&mut self.connection);
            while let Some(row) = rows.try_next().await.map_err(warehouse.failed(COMPARE))? {
                let (summary, held) = match is_of_summary {
                    true => (
                        Some(texts(&row, 4, measures)),
                        row.get::<bool, _>(3).then(|| texts(&row, 4 + measures, measures)),
                    ),
                    false => (None, Some(texts(&row, 3, measures))),
                };
                note(Difference {
                    store_id: row.get(0),
                    item_id: row.get(1),
                    trans_date: row.get(2),
                    warehouse: held,
                    summary,
                });
            }
        }
        Ok(())
    }

    async fn commit(&mut self, action: &'static str) -> Result<(), LoadError> {
        self.execute(action, "COMMIT".into_sql_str()).await.map(drop)
    }

    async fn roll_back(&mut self) -> Result<(), LoadError> {
        self.execute(ROLL_BACK, "ROLLBACK".into_sql_str()).await.map(drop)
    }

    /// Waits until the connection is closed: one that is dropped is closed by its thread some time later, and until then
    /// keeps its locks.
    async fn end(self, _load: &Load, _is_settled: bool) {
        // Closing moves the write-ahead log into the file. If the process ends first, the next connection does that, so an
        // error here does no harm.
        let _ = self.connection.close().await;
    }
}

fn texts(row: &SqliteRow, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures).map(|at| row.get(at)).collect()
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
