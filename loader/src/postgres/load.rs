//! One load: a single transaction from the lock to the ledger.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

use super::encode::Stamp;
use super::{Names, PostgresWarehouse, claims, full, rows, sql};
use crate::delta::{self, Delta, Fault};
use crate::{Base, Load, LoadError, LoadMode, LoadOutcome, PostgresFault};

/// A load in progress. If it is dropped before its commit, it leaves nothing behind.
pub(super) struct Loading<'a> {
    pub warehouse: &'a PostgresWarehouse,
    pub names: &'a Names,
    pub transaction: Transaction<'a>,
    pub load: &'a Load,
}

/// Loads a summary into the target.
pub(super) async fn load(
    warehouse: &PostgresWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    let target = &warehouse.target;
    // A reload replaces all rows, so it compares all rows.
    let base = load.base.as_ref().filter(|_| target.mode != LoadMode::Reload);
    // The files are compared while the session is opened and the ledger is read.
    let difference = match base {
        Some(base) => Some((
            base,
            delta::begin(load, base, &target.measures, target.mode).await,
        )),
        None => None,
    };
    let (mut client, names) = warehouse.session().await?;
    if difference.is_some() {
        let loading = Loading::begin(warehouse, &names, &mut client, load).await?;
        if let Some(outcome) = loading.attempt(difference, progress).await? {
            return Ok(outcome);
        }
    }
    let loading = Loading::begin(warehouse, &names, &mut client, load).await?;
    let done = loading.attempt(None, progress).await?;
    Ok(done.expect("without a base, an attempt has an outcome"))
}

impl<'a> Loading<'a> {
    /// Begins the transaction, and waits for its turn.
    pub(super) async fn begin(
        warehouse: &'a PostgresWarehouse,
        names: &'a Names,
        client: &'a mut Client,
        load: &'a Load,
    ) -> Result<Self, LoadError> {
        // A stricter level would show the ledger as it was before the wait for the lock.
        let begun = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start();
        let begun = names.line.hear(begun).await;
        let loading = Self {
            warehouse,
            names,
            transaction: begun.map_err(warehouse.failed("begin the load into"))?,
            load,
        };
        names
            .line
            .identify(&loading.transaction)
            .await
            .map_err(warehouse.failed("begin the load into"))?;
        for setting in [sql::DURABLE, sql::PLANS] {
            loading.query("set up the load into", setting, &[]).await?;
        }
        loading
            .query("lock the target in", sql::LOCK_TARGET, &[&names.target])
            .await?;
        Ok(loading)
    }

    /// Runs the rest of the transaction. `None`: the base cannot be used, and nothing was done.
    async fn attempt(
        self,
        difference: Option<(&Base, Result<Delta, Fault>)>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Option<LoadOutcome>, LoadError> {
        if let Some(outcome) = self.settled().await? {
            return Ok(Some(outcome));
        }
        let mut standing = None;
        if let Some((base, difference)) = difference
            && claims::stands(&self, base).await?
        {
            standing = Some((base, difference));
        }
        let base = standing.as_ref().map(|(base, _)| base.run_id.as_str());
        let counts = match standing {
            None => full::load(&self, progress).await?,
            Some((base, difference)) => match super::delta::load(&self, base, difference).await? {
                Some(counts) => counts,
                None => {
                    let failed = self.failed("roll back the load into");
                    let (line, transaction) = (&self.names.line, self.transaction);
                    line.hear(transaction.rollback()).await.map_err(failed)?;
                    return Ok(None);
                }
            },
        };
        progress(self.load.rows);
        claims::take(&self).await?;
        self.record().await?;
        self.load.until_safe().await?;
        fail::fail_point!("load-before-commit");
        let (load, target, failed) = (self.load, &self.names.target, self.failed("commit the load into"));
        let line = &self.names.line;
        line.hear(self.transaction.commit()).await.map_err(failed)?;
        fail::fail_point!("load-after-commit");
        tracing::debug!(run_id = load.run_id, target, base, ?counts, "loaded a summary");
        Ok(Some(LoadOutcome::Loaded(counts)))
    }
}

impl Loading<'_> {
    /// The outcome, if the ledger already has this run or a newer one.
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

    /// Writes the ledger's row.
    pub(super) async fn record(&self) -> Result<(), LoadError> {
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

    /// The run's id, as the parameter of statements that insert or update; empty without audit columns.
    pub(super) fn run_id(&self) -> Vec<&(dyn ToSql + Sync)> {
        match self.warehouse.target.audit {
            true => vec![&self.load.run_id],
            false => Vec::new(),
        }
    }

    /// What a COPY to the target writes into the audit columns, if it has them.
    pub(super) async fn stamp(&self) -> Result<Option<Stamp<'_>>, LoadError> {
        if !self.warehouse.target.audit {
            return Ok(None);
        }
        let rows = self.query("read the clock of", sql::NOW, &[]).await?;
        Ok(rows.first().map(|row| Stamp {
            microseconds_since_2000: row.get(0),
            run_id: &self.load.run_id,
        }))
    }

    pub(super) fn failed<E: Into<PostgresFault>>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> LoadError + use<E> {
        self.warehouse.failed(action)
    }

    /// Waits for a call as long as the server is at work on it.
    pub(super) async fn hear<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresFault> {
        self.names.line.hear(call).await
    }

    pub(super) async fn batch(&self, action: &'static str, sql: &str) -> Result<(), LoadError> {
        self.hear(self.transaction.batch_execute(sql))
            .await
            .map_err(self.failed(action))
    }

    pub(super) async fn execute(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, LoadError> {
        self.hear(self.transaction.execute(sql, values))
            .await
            .map_err(self.failed(action))
    }

    pub(super) async fn query(
        &self,
        action: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LoadError> {
        self.hear(self.transaction.query(sql, values))
            .await
            .map_err(self.failed(action))
    }

    pub(super) async fn count(&self, action: &'static str, sql: &str) -> Result<u64, LoadError> {
        let row = self
            .hear(self.transaction.query_one(sql, &[]))
            .await
            .map_err(self.failed(action))?;
        Ok(rows::count(&row, 0))
    }
}
