//! The steps of the protocol in MySQL and MariaDB.

use std::sync::Arc;

use async_trait::async_trait;
use mysql_async::{Row, Value};

use super::session::{MySqlSession, number, text};
use super::sql::Sql;
use super::{MySqlFault, MySqlWarehouse, stage, table};
use crate::days::Days;
use crate::delta::{Fault, Piece, Pieces, Tally};
use crate::protocol::{
    Arrived, Backend, CHECK_BASE, COMPARE, COUNT_ROWS, Entries, Note, Progress, Purpose, READ_LEDGER,
    READ_ROWS, ROLL_BACK, Relation, Session, Step, Wanted,
};
use crate::{Base, Difference, LedgerEntry, Load, LoadError, SummaryRow, Target, amount};

const CREATE_TEMPORARY: &str = "create temporary tables in";

#[async_trait]
impl Backend for MySqlWarehouse {
    type Session<'b> = MySqlSession<'b>;

    fn target(&self) -> &Target {
        &self.target
    }

    async fn open<'b>(&'b self, purpose: Purpose) -> Result<MySqlSession<'b>, LoadError> {
        MySqlSession::open(self, purpose).await
    }
}

#[async_trait]
impl Session for MySqlSession<'_> {
    fn name(&self) -> &str {
        &self.sql.target
    }

    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        let found = self.relation(name).await?;
        Ok(found.map(|relation| match relation.kind.as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => Relation::Table,
            "VIEW" => Relation::View,
            _ => Relation::Other,
        }))
    }

    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        let statement = self.sql.entries(which);
        let found = self.found(READ_LEDGER, statement).await?;
        let entries = found.iter().map(entry).collect::<Option<_>>();
        entries.ok_or_else(|| self.failed(READ_LEDGER)(MySqlFault::odd("the ledger holds a NULL")))
    }

    async fn rows(&mut self, which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError> {
        let found = match which {
            Wanted::Key(store_id, item_id, date) => {
                let keys = vec![store_id.into(), item_id.into(), date.to_string().into()];
                let sql = self.sql.row();
                self.query("read a row of", &sql, keys).await?
            }
            Wanted::First(limit) => {
                let sql = self.sql.first_rows();
                self.query(READ_ROWS, &sql, vec![limit.into()]).await?
            }
        };
        let row = |row| summary_row(self.warehouse, row);
        found.iter().map(row).collect()
    }

    async fn row_count(&mut self) -> Result<u64, LoadError> {
        let sql = self.sql.row_count();
        let found = self.query(COUNT_ROWS, &sql, vec![]).await?;
        let count = found.first().and_then(|row| number(row, 0));
        // A count is never negative.
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    async fn create_ledger(&mut self) -> Result<(), LoadError> {
        table::create_ledger(self).await
    }

    async fn check_target(&mut self) -> Result<(), LoadError> {
        table::check(self).await
    }

    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError> {
        let statements = self.sql.step(step);
        self.run_all(step.action(), statements).await
    }

    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError> {
        let statement = self.sql.stands(load, base);
        Ok(!self.found(CHECK_BASE, statement).await?.is_empty())
    }

    async fn stage_days(&mut self, _load: &Load, days: Option<&Days>) -> Result<(), LoadError> {
        let Some(days) = days else { return Ok(()) };
        for create in self.sql.create_coverage() {
            self.execute(CREATE_TEMPORARY, &create, vec![]).await?;
        }
        stage::coverage(self, days).await
    }

    async fn fill(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Option<Arrived>, LoadError> {
        let sql = self.sql.holds_rows();
        let held = self
            .query("look for rows of the covered stores in", &sql, vec![])
            .await?;
        if !held.is_empty() {
            return Ok(None);
        }
        let run_id = self.warehouse.target.audit.then_some(load.run_id.as_str());
        let days = days.map(Arc::as_ref);
        // In the order of the target's key.
        let arrived = stage::summary(self, load, Sql::insert_target, run_id, days, progress);
        arrived.await.map(Some)
    }

    async fn stage_rows(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Arrived, Fault> {
        let create = self.sql.create_stage();
        self.execute(CREATE_TEMPORARY, &create, vec![]).await?;
        let days = days.map(Arc::as_ref);
        let arrived = stage::summary(self, load, Sql::insert_stage, None, days, progress);
        Ok(arrived.await?)
    }

    async fn stage_changes(
        &mut self,
        _load: &Load,
        pieces: &mut Pieces,
        _has_days: bool,
    ) -> Result<Option<Tally>, Fault> {
        for create in [self.sql.create_stage(), self.sql.create_removed()] {
            self.execute(CREATE_TEMPORARY, &create, vec![]).await?;
        }
        let mut tally = None;
        while let Some(piece) = pieces.recv().await {
            match piece? {
                Piece::Write(rows) => stage::batch(self, &rows, true).await?,
                Piece::Remove(rows) => stage::batch(self, &rows, false).await?,
                Piece::End(end) => tally = Some(end),
            }
        }
        Ok(tally)
    }

    async fn write(&mut self, load: &Load, staged: u64) -> Result<(u64, u64), LoadError> {
        if staged == 0 {
            return Ok((0, 0));
        }
        let run_id: Vec<Value> = match self.warehouse.target.audit {
            true => vec![load.run_id.as_str().into()],
            false => Vec::new(),
        };
        let (update, insert) = (self.sql.update(), self.sql.insert());
        let updated = self.execute("update rows of", &update, run_id.clone()).await?;
        // If every staged row updated one, none is new.
        let inserted = match updated == staged {
            true => 0,
            false => self.execute("insert rows into", &insert, run_id).await?,
        };
        Ok((inserted, inserted + updated))
    }

    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError> {
        let measures = self.warehouse.target.measures.len();
        for (statement, is_of_summary) in [(Some(self.sql.differing()), true), (self.sql.surplus(), false)] {
            let Some(statement) = statement else { continue };
            let failed = self.warehouse.failed::<MySqlFault>(COMPARE);
            let mut rows = self.stream(COMPARE, &statement).await?;
            loop {
                let row = match rows.next().await {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(fault) => return Err(failed(fault)),
                };
                let (summary, warehouse) = match is_of_summary {
                    true => {
                        let is_there = number(&row, 3) == Some(1);
                        let held = is_there.then(|| texts(&row, 4 + measures, measures));
                        (Some(texts(&row, 4, measures)), held)
                    }
                    false => (None, Some(texts(&row, 3, measures))),
                };
                note(Difference {
                    store_id: text(&row, 0).unwrap_or_default(),
                    item_id: text(&row, 1).unwrap_or_default(),
                    trans_date: text(&row, 2).unwrap_or_default(),
                    warehouse,
                    summary,
                });
            }
        }
        Ok(())
    }

    async fn commit(&mut self, action: &'static str) -> Result<(), LoadError> {
        self.finish(action, "COMMIT").await
    }

    async fn roll_back(&mut self) -> Result<(), LoadError> {
        self.finish(ROLL_BACK, "ROLLBACK").await
    }

    async fn end(self, _load: &Load, _is_settled: bool) {
        self.close().await;
    }
}

fn texts(row: &Row, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures).map(|at| text(row, at)).collect()
}

/// A row of the ledger.
fn entry(row: &Row) -> Option<LedgerEntry> {
    Some(LedgerEntry {
        run_id: text(row, 0)?,
        target: text(row, 1)?,
        scope: text(row, 2)?,
        sequence: number(row, 3)?,
        rows: number(row, 4)?.unsigned_abs(),
        digest: text(row, 5)?,
        loaded_at: text(row, 6)?,
    })
}

/// A row of the target. Amounts arrive as text, which is exact.
fn summary_row(warehouse: &MySqlWarehouse, row: &Row) -> Result<SummaryRow, LoadError> {
    let unreadable =
        |column: &str| warehouse.mismatch(format!("{column} holds a value that gristmill did not write"));
    let key = |at: usize, column: &str| text(row, at).ok_or_else(|| unreadable(column));
    let amounts = warehouse.target.measures.iter().enumerate().map(|(at, measure)| {
        text(row, 3 + at)
            .map(|text| amount::from_text(&text).ok_or_else(|| unreadable(measure)))
            .transpose()
    });
    Ok(SummaryRow {
        store_id: key(0, "store_id")?,
        item_id: key(1, "item_id")?,
        trans_date: key(2, "trans_date")?
            .parse()
            .map_err(|_| unreadable("trans_date"))?,
        amounts: amounts.collect::<Result<_, _>>()?,
    })
}
