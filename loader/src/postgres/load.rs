//! One load: a transaction from the lock to the ledger.

use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::{Names, PostgresWarehouse, copy, rows, sql};
use crate::{Load, LoadCounts, LoadError, LoadMode, LoadOutcome};

/// A load under way. Dropped before its commit, it leaves nothing behind.
pub(super) struct Loading<'a> {
    pub warehouse: &'a PostgresWarehouse,
    pub names: &'a Names,
    pub transaction: Transaction<'a>,
    pub load: &'a Load,
}

/// Brings a summary into the target.
pub(super) async fn load(
    warehouse: &PostgresWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    let (mut client, names) = warehouse.session().await?;
    // Under a stricter level the ledger would be read as it was before the lock was waited for.
    let begun = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await;
    let transaction = begun.map_err(warehouse.failed("begin the load into"))?;
    let loading = Loading {
        warehouse,
        names: &names,
        transaction,
        load,
    };

    loading.query("set up the load into", sql::DURABLE, &[]).await?;
    loading
        .query("lock the target in", sql::LOCK_TARGET, &[&names.target])
        .await?;
    if let Some(outcome) = loading.settled().await? {
        return Ok(outcome);
    }
    loading.stage(progress).await?;
    let counts = loading.apply().await?;
    loading.record().await?;
    fail::fail_point!("load-before-commit");
    loading
        .transaction
        .commit()
        .await
        .map_err(warehouse.failed("commit the load into"))?;
    fail::fail_point!("load-after-commit");
    tracing::debug!(
        run_id = load.run_id,
        target = names.target,
        ?counts,
        "loaded a summary"
    );
    Ok(LoadOutcome::Loaded(counts))
}

impl Loading<'_> {
    /// What the ledger says against this load, if anything.
    async fn settled(&self) -> Result<Option<LoadOutcome>, LoadError> {
        let (load, target, sql) = (self.load, &self.names.target, &self.names.sql);
        let action = "read the ledger of";
        let same = self
            .query(action, &sql.ledger_of_run(), &[target, &load.run_id])
            .await?;
        if let Some(row) = same.first() {
            return Ok(Some(LoadOutcome::AlreadyLoaded(rows::entry(row))));
        }
        let newer = self
            .query(
                action,
                &sql.ledger_after(),
                &[target, &load.scope, &load.sequence],
            )
            .await?;
        Ok(newer
            .first()
            .map(|row| LoadOutcome::Superseded { by: rows::entry(row) }))
    }

    /// Brings the files into temporary tables.
    async fn stage(&self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<(), LoadError> {
        self.batch("create temporary tables in", &self.names.sql.create_stage())
            .await?;
        self.load.expect_rows(copy::summary(self, progress).await?)?;
        let whole_days = self.warehouse.target.mode == LoadMode::ReplaceDays;
        if whole_days {
            copy::coverage(self).await?;
        }
        self.batch("index temporary tables in", sql::INDEX_STAGE).await?;
        if whole_days {
            let uncovered = self
                .count("compare the summary with the covered days in", sql::UNCOVERED)
                .await?;
            self.load.expect_covered(uncovered)?;
        }
        Ok(())
    }

    /// Changes the target, by key, to what was staged.
    async fn apply(&self) -> Result<LoadCounts, LoadError> {
        let sql = &self.names.sql;
        let deleted = match sql.delete(self.warehouse.target.mode) {
            Some(delete) => self.execute("delete rows of", &delete, &[]).await?,
            None => 0,
        };
        let inserted = self.count("count new rows for", &sql.count_new()).await?;
        let written = self
            .execute("insert and update rows of", &sql.upsert(), &[])
            .await?;
        Ok(LoadCounts::of(self.load.rows, inserted, written, deleted))
    }

    async fn record(&self) -> Result<(), LoadError> {
        let Load {
            run_id,
            scope,
            sequence,
            rows,
            digest,
            ..
        } = self.load;
        let values: [&(dyn ToSql + Sync); 6] = [
            run_id,
            &self.names.target,
            scope,
            sequence,
            &(*rows as i64),
            digest,
        ];
        self.execute("write the ledger of", &self.names.sql.insert_ledger(), &values)
            .await?;
        Ok(())
    }

    pub(super) fn failed(
        &self,
        action: &'static str,
    ) -> impl FnOnce(tokio_postgres::Error) -> LoadError + use<> {
        self.warehouse.failed(action)
    }

    async fn batch(&self, action: &'static str, sql: &str) -> Result<(), LoadError> {
        self.transaction
            .batch_execute(sql)
            .await
            .map_err(self.failed(action))
    }

    async fn execute(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, LoadError> {
        self.transaction
            .execute(sql, values)
            .await
            .map_err(self.failed(action))
    }

    async fn query(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LoadError> {
        self.transaction
            .query(sql, values)
            .await
            .map_err(self.failed(action))
    }

    async fn count(&self, action: &'static str, sql: &str) -> Result<u64, LoadError> {
        let row = self
            .transaction
            .query_one(sql, &[])
            .await
            .map_err(self.failed(action))?;
        Ok(rows::count(&row, 0))
    }
}
