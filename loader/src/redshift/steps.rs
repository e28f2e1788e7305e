//! The steps of the protocol in Redshift: rows to the bucket, from there to temporary tables, and from these to the
//! target under the lock.
//!
//! Only the last step is serialised. It is one transaction that begins with the lock, so its snapshot shows everything
//! that earlier loads committed, and ends with the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::SimpleQueryRow;

use super::session::RedshiftSession;
use super::{RedshiftWarehouse, sql, stage, table};
use crate::days::Days;
use crate::delta::{Fault, Pieces, Tally};
use crate::protocol::{
    Arrived, Backend, CHECK_BASE, COMPARE, COUNT_ROWS, CREATE_LEDGER, Entries, Note, PREPARE, Progress,
    Purpose, READ_ROWS, ROLL_BACK, Relation, Session, Step, Wanted,
};
use crate::{Base, Difference, LedgerEntry, Load, LoadError, SummaryRow, Target};

#[async_trait]
impl Backend for RedshiftWarehouse {
    type Session<'b> = RedshiftSession<'b>;

    fn target(&self) -> &Target {
        &self.target
    }

    fn measures(&self) -> &[String] {
        &self.measures
    }

    async fn open<'b>(&'b self, purpose: Purpose) -> Result<RedshiftSession<'b>, LoadError> {
        let mut session = RedshiftSession::open(self).await?;
        if let Some(action) = purpose.action() {
            session.identify(action).await?;
        }
        if purpose == Purpose::Prepare {
            table::make_ready(&session).await?;
            session.begin(PREPARE, PREPARE).await?;
        }
        Ok(session)
    }
}

#[async_trait]
impl Session for RedshiftSession<'_> {
    fn name(&self) -> &str {
        &self.target
    }

    async fn kind(&mut self, name: &str) -> Result<Option<Relation>, LoadError> {
        let found = self.relation(name).await?;
        Ok(found.map(|kind| match kind.as_str() {
            "r" => Relation::Table,
            _ => Relation::Other,
        }))
    }

    async fn ledger(&mut self, which: Entries<'_>) -> Result<Vec<LedgerEntry>, LoadError> {
        let found = self.entries(which).await?;
        if !matches!(which, Entries::NewestOfEach) {
            return Ok(found);
        }
        // The greatest number of one scope may be an older one of another.
        let newest = found.into_iter().map(|entry| (entry.scope.clone(), entry));
        let newest: BTreeMap<String, LedgerEntry> = newest.collect();
        let mut newest: Vec<_> = newest.into_values().collect();
        newest.sort_unstable_by_key(|entry| entry.sequence);
        Ok(newest)
    }

    async fn rows(&mut self, which: Wanted<'_>) -> Result<Vec<SummaryRow>, LoadError> {
        let (action, sql) = match which {
            Wanted::Key(store_id, item_id, date) => ("read a row of", self.sql.row(store_id, item_id, date)),
            Wanted::First(limit) => (READ_ROWS, self.sql.first_rows(limit)),
        };
        let found = self.found(action, &sql).await?;
        found.iter().map(|row| self.warehouse.summary_row(row)).collect()
    }

    async fn row_count(&mut self) -> Result<u64, LoadError> {
        self.number(COUNT_ROWS, &self.sql.row_count()).await
    }

    async fn create_ledger(&mut self) -> Result<(), LoadError> {
        for (name, create) in self.sql.create_ledgers() {
            if self.relation(name).await?.is_none() {
                self.execute(CREATE_LEDGER, &create).await?;
            }
        }
        Ok(())
    }

    async fn check_target(&mut self) -> Result<(), LoadError> {
        table::check(self).await
    }

    async fn run(&mut self, step: Step<'_>) -> Result<u64, LoadError> {
        let mut touched = 0;
        for statement in self.sql.step(step, &self.warehouse.settings.layout) {
            touched += self.execute(step.action(), &statement).await?;
        }
        Ok(touched)
    }

    async fn stands(&mut self, load: &Load, base: &Base) -> Result<bool, LoadError> {
        let found = self.found(CHECK_BASE, &self.sql.stands(load, base)).await?;
        Ok(!found.is_empty())
    }

    /// Only writes to the bucket. They are copied together with the rows.
    async fn stage_days(&mut self, load: &Load, days: Option<&Days>) -> Result<(), LoadError> {
        self.days = match days {
            Some(days) => stage::days(self, load, days).await?,
            None => None,
        };
        Ok(())
    }

    async fn stage_rows(
        &mut self,
        load: &Load,
        days: Option<&Arc<Days>>,
        progress: Progress<'_>,
    ) -> Result<Arrived, Fault> {
        let staged = stage::rows(self, load, days.map(Arc::as_ref), progress).await;
        match staged {
            Ok(arrived) => Ok(arrived),
            Err(error) => Err(self.why(load, error).await),
        }
    }

    async fn stage_changes(
        &mut self,
        load: &Load,
        pieces: &mut Pieces,
        _has_days: bool,
    ) -> Result<Option<Tally>, Fault> {
        match stage::changes(self, load, pieces).await {
            Err(Fault::Load(error)) => Err(self.why(load, error).await),
            staged => staged,
        }
    }

    /// The lock comes first in the transaction: a snapshot from before it would not show the loads that this one waited
    /// for.
    async fn lock(&mut self) -> Result<bool, LoadError> {
        self.begin("begin the load into", "lock the target in").await?;
        Ok(true)
    }

    async fn write(&mut self, load: &Load, _staged: u64) -> Result<(u64, u64), LoadError> {
        let run_id = &load.run_id;
        let updated = self.execute("update rows of", &self.sql.update(run_id)).await?;
        let inserted = self.execute("insert rows into", &self.sql.insert(run_id)).await?;
        Ok((inserted, inserted + updated))
    }

    async fn compare(&mut self, note: Note<'_>) -> Result<(), LoadError> {
        let measures = self.warehouse.target.measures.len();
        let mut rows = self.stream(COMPARE, &self.sql.differing()).await?;
        while let Some(row) = rows.next().await? {
            let warehouse = row.get(3).map(|_| texts(&row, 4 + measures, measures));
            note(difference(&row, warehouse, Some(texts(&row, 4, measures))));
        }
        let Some(surplus) = self.sql.surplus() else {
            return Ok(());
        };
        let mut rows = self.stream(COMPARE, &surplus).await?;
        while let Some(row) = rows.next().await? {
            note(difference(&row, Some(texts(&row, 3, measures)), None));
        }
        Ok(())
    }

    async fn commit(&mut self, action: &'static str) -> Result<(), LoadError> {
        self.has_begun = false;
        self.execute(action, sql::COMMIT).await.map(drop)
    }

    async fn roll_back(&mut self) -> Result<(), LoadError> {
        if !std::mem::take(&mut self.has_begun) {
            return Ok(());
        }
        self.execute(ROLL_BACK, sql::ROLLBACK).await.map(drop)
    }

    /// Removes what this session staged, or, once the run is settled, what all sessions staged for it.
    async fn end(self, load: &Load, is_settled: bool) {
        let bucket = &self.warehouse.bucket;
        let folder = match is_settled {
            true => bucket.of_run(&self.target, &load.run_id),
            false => self.folder(load),
        };
        if let Err(error) = bucket.remove(&folder).await {
            tracing::warn!("cannot remove staged rows now; they are removed after a day: {error}");
        }
    }
}

type Amounts = Option<Vec<Option<String>>>;

fn difference(row: &SimpleQueryRow, warehouse: Amounts, summary: Amounts) -> Difference {
    let text = |at| row.get(at).unwrap_or_default().to_string();
    Difference {
        store_id: text(0),
        item_id: text(1),
        trans_date: text(2),
        warehouse,
        summary,
    }
}

fn texts(row: &SimpleQueryRow, from: usize, measures: usize) -> Vec<Option<String>> {
    (from..from + measures)
        .map(|at| row.get(at).map(String::from))
        .collect()
}
