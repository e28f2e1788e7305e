//! Compares the whole target with a summary, and mends what differs.

use tokio_postgres::SimpleQueryRow;

use super::load::Loading;
use super::stage::{self, Staged};
use super::{RedshiftWarehouse, sql};
use crate::{Difference, Load, LoadError, Verification};

/// Compares, and mends if `mend` is set.
pub(super) async fn verify(
    warehouse: &RedshiftWarehouse,
    load: &Load,
    mend: bool,
    listed: usize,
) -> Result<Verification, LoadError> {
    let loading = Loading::begin(warehouse, load).await?;
    if loading.session.kind(&warehouse.target.table).await?.is_none() {
        return Err(LoadError::TargetAbsent {
            table: loading.session.target.clone(),
        });
    }
    let found = loading.verify(mend, listed).await;
    loading.clean_up(false).await;
    found
}

impl Loading<'_> {
    async fn verify(&self, mend: bool, listed: usize) -> Result<Verification, LoadError> {
        let session = &self.session;
        let staged = stage::whole(self, &|_| ()).await?;
        // Loads have to wait, so that the rows mended are the rows compared.
        self.lock().await?;
        let newest = session
            .entry(&session.sql.ledger_newest(&self.load.scope))
            .await?;
        let mut found = Verification {
            newest,
            ..Verification::default()
        };
        if found.is_overtaken(self.load.sequence) {
            self.roll_back().await?;
            return Ok(found);
        }
        found.left_to_others = self.leave_to_others().await?;
        found.rows = session.number("count staged rows in", sql::STAGED).await?;
        self.compare(&mut found, listed).await?;
        match staged {
            Some(staged) if mend => self.mend(&mut found, staged).await?,
            _ => self.roll_back().await?,
        }
        Ok(found)
    }

    /// Removes the days that other scopes have loaded since, and their rows, from the staged tables. Returns the
    /// number of days.
    async fn leave_to_others(&self) -> Result<u64, LoadError> {
        let action = "look up the owners of days in";
        let sql = &self.session.sql;
        let days = self
            .session
            .execute(action, &sql.leave_days(&self.load.scope))
            .await?;
        if days > 0 {
            self.session.execute(action, &sql.leave_rows()).await?;
        }
        Ok(days)
    }

    async fn compare(&self, found: &mut Verification, listed: usize) -> Result<(), LoadError> {
        let (sql, target) = (&self.session.sql, &self.session.warehouse.target);
        let measures = target.measures.len();
        let action = "compare rows of";
        let mut rows = self.session.stream(action, &sql.differing()).await?;
        while let Some(row) = rows.next().await? {
            let warehouse = row.get(3).map(|_| texts(&row, 4 + measures, measures));
            found.note(
                difference(&row, warehouse, Some(texts(&row, 4, measures))),
                listed,
            );
        }
        let Some(surplus) = sql.surplus(target.mode) else {
            return Ok(());
        };
        let mut rows = self.session.stream(action, &surplus).await?;
        while let Some(row) = rows.next().await? {
            found.note(difference(&row, Some(texts(&row, 3, measures)), None), listed);
        }
        Ok(())
    }

    async fn mend(&self, found: &mut Verification, staged: Staged) -> Result<(), LoadError> {
        let rows = found.rows;
        let (counts, _) = self.apply(&Staged { rows, ..staged }).await?;
        found.mended = Some(counts);
        if found.left_to_others == 0 {
            self.take_days().await?;
        }
        let is_known = |newest: &crate::LedgerEntry| newest.run_id == self.load.run_id;
        if !found.newest.as_ref().is_some_and(is_known) {
            self.record().await?;
        }
        fail::fail_point!("load-before-commit");
        let action = "commit the repair of";
        self.session.execute(action, sql::COMMIT).await.map(drop)
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
