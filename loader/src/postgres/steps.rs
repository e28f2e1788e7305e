//! The steps of the protocol in Postgres.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::session::PostgresSession;
use super::{PostgresWarehouse, copy, first, rows, sql, table};
use crate::days::Days;
use crate::delta::{Fault, Pieces, Tally};
use crate::protocol::{
    Arrived, Backend, CHECK_BASE, COMPARE, COUNT_ROWS, Entries, Note, Progress, Purpose, READ_LEDGER,
    READ_ROWS, ROLL_BACK, Relation, Session, Step, Wanted,
};
use crate::{Base, Difference, LedgerEntry, Load, LoadError, SummaryRow, Target, input};

#[async_trait]
impl Backend for PostgresWarehouse {
    type Session<'b> = PostgresSession<'b>;

    fn target(&self) -> &Target {
        &self.target
    }

    async fn open<'b>(&'b self, purpose: Purpose) -> Result<PostgresSession<'b>, LoadError> {
        PostgresSession::open(self, purpose).await
    }
}

#[async_trait]
impl Session for PostgresSession<'_> {
    fn name(&self) -> &str {
        &self.sql.target
    }

    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        let found = self.relation(name).await?;
        Ok(found.map(|(_, kind)| match kind.as_str() {
            "r" | "p" => Relation::Table,
            _ => Relation::Other,
        }))
    }

    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        let found = self.found(READ_LEDGER, &self.sql.entries(which)).await?;
        Ok(found.iter().map(rows::entry).collect())
    }

    async fn rows(&mut self, which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError> {
        let found = match which {
            Wanted::Key(store_id, item_id, date) => {
                let keys: [&(dyn ToSql + Sync); 3] = [&store_id, &item_id, &input::days(date)];
                self.query("read a row of", &self.sql.row(), &keys).await?
            }
            Wanted::First(limit) => {
                let limit = i64::from(limit);
                self.query(READ_ROWS, &self.sql.first_rows(), &[&limit]).await?
            }
        };
        let row = |row| rows::summary_row(self.warehouse, row);
        found.iter().map(row).collect()
    }

    async fn row_count(&mut self) -> Result<u64, LoadError> {
        self.count(COUNT_ROWS, &self.sql.row_count()).await
    }

    async fn create_ledger(&mut self) -> Result<(), LoadError> {
        table::create_ledger(self).await
    }

    async fn check_target(&mut self) -> Result<(), LoadError> {
        table::check(self).await
    }

    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError> {
        self.run_all(step.action(), &self.sql.step(step)).await
    }

    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError> {
        let found = self.found(CHECK_BASE, &self.sql.stands(load, base)).await?;
        Ok(!found.is_empty())
    }

    async fn stage_days(&mut self, _load: &Load, days: Option<&Days>) -> Result<(), LoadError> {
        self.batch("create temporary tables in", sql::CREATE_COVERAGE)
            .await?;
        match days {
            Some(days) if !days.is_empty() => copy::coverage(self, days).await,
            _ => Ok(()),
        }
    }

    async fn fill(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Option<Arrived>, LoadError> {
        first::load(self, load, days.map(Arc::as_ref), progress).await
    }

    async fn stage_rows(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Arrived, Fault> {
        self.batch("create temporary tables in", &self.sql.create_stage())
            .await?;
        let days = days.map(Arc::as_ref);
        let arrived = copy::summary(self, load, &self.sql.copy_stage(), None, days, progress).await?;
        self.batch("index temporary tables in", sql::INDEX_STAGE).await?;
        Ok(arrived)
    }

    async fn stage_changes(
        &mut self,
        _load: &Load,
        pieces: &mut Pieces,
        has_days: bool,
    ) -> Result<Option<Tally>, Fault> {
        self.batch("create temporary tables in", &self.sql.create_stage())
            .await?;
        let tally = copy::changes(self, pieces).await?;
        let ready = match has_days {
            false => sql::ANALYZE_STAGE,
            true => sql::INDEX_STAGE,
        };
        self.batch("index temporary tables in", ready).await?;
        Ok(tally)
    }

    async fn write(&mut self, load: &Load, staged: u64) -> Result<(u64, u64), LoadError> {
        if staged == 0 {
            return Ok((0, 0));
        }
        let run_id: &[&(dyn ToSql + Sync)] = match self.warehouse.target.audit {
            true => &[&load.run_id],
            false => &[],
        };
        let updated = self.execute("update rows of", &self.sql.update(), run_id).await?;
        // If every staged row updated one, none is new.
        let inserted = match updated == staged {
            true => 0,
            false => {
                self.execute("insert rows into", &self.sql.insert(), run_id)
                    .await?
            }
        };
        Ok((inserted, inserted + updated))
    }

    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError> {
        let measures = self.warehouse.target.measures.len();
        for (statement, is_of_summary) in [(Some(self.sql.differing()), true), (self.sql.surplus(), false)] {
            let Some(statement) = statement else { continue };
            let nothing: [&str; 0] = [];
            let rows = self.hear(self.client.query_raw(&statement, nothing)).await;
            let mut rows = pin!(rows.map_err(self.failed(COMPARE))?);
            while let Some(row) = self.hear(rows.try_next()).await.map_err(self.failed(COMPARE))? {
                let (summary, warehouse) = match is_of_summary {
                    true => (
                        Some(texts(&row, 4, measures)),
                        row.get::<_, bool>(3).then(|| texts(&row, 4 + measures, measures)),
                    ),
                    false => (None, Some(texts(&row, 3, measures))),
                };
                note(Difference {
                    store_id: row.get(0),
                    item_id: row.get(1),
                    trans_date: row.get(2),
                    warehouse,
                    summary,
                });
            }
        }
        Ok(())
    }

    async fn commit(&mut self, action: &'static str) -> Result<(), LoadError> {
        self.batch(action, "COMMIT").await
    }

    async fn roll_back(&mut self) -> Result<(), LoadError> {
        self.batch(ROLL_BACK, "ROLLBACK").await
    }
}

fn texts(row: &Row, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures).map(|at| row.get(at)).collect()
}
