//! One load: rows to the bucket, from there to temporary tables, and from these to the target under the lock.
//!
//! Only the last step is serialised. It is one transaction that begins with the lock, so its snapshot shows everything
//! that earlier loads committed, and ends with the ledger.

use object_store::path::Path;

use super::session::Session;
use super::stage::{self, Staged};
use super::{RedshiftWarehouse, sql};
use crate::delta::Fault;
use crate::{Base, Load, LoadCounts, LoadError, LoadMode, LoadOutcome};

/// A load in progress. If it is dropped before its commit, it leaves nothing in the warehouse.
pub(super) struct Loading<'a> {
    pub session: Session<'a>,
    pub load: &'a Load,
    /// The folder of this attempt alone.
    pub folder: Path,
}

/// Loads a summary into the target.
pub(super) async fn load(
    warehouse: &RedshiftWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    // A reload replaces all rows, so it compares all rows.
    let base = load
        .base
        .as_ref()
        .filter(|_| warehouse.target.mode != LoadMode::Reload);
    if let Some(base) = base
        && let Some(outcome) = attempt(warehouse, load, Some(base), progress).await?
    {
        return Ok(outcome);
    }
    let done = attempt(warehouse, load, None, progress).await?;
    Ok(done.expect("without a base, an attempt has an outcome"))
}

/// Makes one attempt. `None`: the base cannot be used, and nothing was done.
async fn attempt(
    warehouse: &RedshiftWarehouse,
    load: &Load,
    base: Option<&Base>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<LoadOutcome>, LoadError> {
    let loading = Loading::begin(warehouse, load).await?;
    let done = loading.bring(base, progress).await;
    let settled = matches!(done, Ok(Some(_)));
    loading.clean_up(settled).await;
    done
}

impl<'a> Loading<'a> {
    /// Connects, without writing anything yet.
    pub(super) async fn begin(warehouse: &'a RedshiftWarehouse, load: &'a Load) -> Result<Self, LoadError> {
        let session = Session::open(warehouse).await?;
        let id = session.identify("begin the load into").await?;
        let run = warehouse.bucket.of_run(&session.target, &load.run_id);
        Ok(Self {
            session,
            load,
            folder: run.join(id.to_string()),
        })
    }

    /// Removes what this attempt staged, or, once the run is settled, what all its attempts staged.
    pub(super) async fn clean_up(&self, settled: bool) {
        let bucket = &self.session.warehouse.bucket;
        let removed = match settled {
            true => {
                bucket
                    .remove(&bucket.of_run(&self.session.target, &self.load.run_id))
                    .await
            }
            false => bucket.remove(&self.folder).await,
        };
        if let Err(error) = removed {
            tracing::warn!("cannot remove staged rows now; they are removed after a day: {error}");
        }
    }

    async fn bring(
        &self,
        base: Option<&Base>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Option<LoadOutcome>, LoadError> {
        if let Some(outcome) = self.settled().await? {
            return Ok(Some(outcome));
        }
        let staged = match base {
            Some(base) if !self.stands(base).await? => return Ok(None),
            Some(base) => stage::difference(self, base).await,
            None => stage::whole(self, progress).await.map_err(Fault::Load),
        };
        match staged {
            Ok(Some(staged)) => {
                progress(self.load.rows);
                self.merge(base, &staged).await
            }
            Ok(None) => Ok(None),
            Err(Fault::Base(error)) => {
                tracing::warn!("cannot use the summary loaded last, comparing in full: {error}");
                Ok(None)
            }
            // Another process may have loaded the run meanwhile, and removed what was staged for it.
            Err(Fault::Load(error)) => match self.settled().await {
                Ok(Some(outcome)) => Ok(Some(outcome)),
                _ => Err(error),
            },
        }
    }

    /// The transaction that changes the target.
    async fn merge(&self, base: Option<&Base>, staged: &Staged) -> Result<Option<LoadOutcome>, LoadError> {
        self.lock().await?;
        let settled = self.settled().await?;
        let is_unusable = match base {
            Some(base) if settled.is_none() => !self.stands(base).await?,
            _ => false,
        };
        if settled.is_some() || is_unusable {
            self.roll_back().await?;
            return Ok(settled);
        }
        let (counts, fits) = self.apply(staged).await?;
        if let Some(base) = base
            && !fits
        {
            tracing::warn!(
                run_id = self.load.run_id,
                base = base.run_id,
                "the warehouse no longer holds what was loaded last, because something else changed it; comparing in full"
            );
            self.roll_back().await?;
            return Ok(None);
        }
        self.take_days().await?;
        self.record().await?;
        self.load.until_safe().await?;
        fail::fail_point!("load-before-commit");
        self.session.execute("commit the load into", sql::COMMIT).await?;
        fail::fail_point!("load-after-commit");
        tracing::debug!(
            run_id = self.load.run_id,
            target = self.session.target,
            base = base.map(|base| base.run_id.as_str()),
            ?counts,
            "loaded a summary"
        );
        Ok(Some(LoadOutcome::Loaded(counts)))
    }

    /// Begins a transaction, and waits for the lock. The lock comes first: a snapshot from before it would not show
    /// the loads that this one waited for.
    pub(super) async fn lock(&self) -> Result<(), LoadError> {
        self.session.execute("begin the load into", sql::BEGIN).await?;
        self.session
            .execute("lock the target in", &self.session.sql.lock())
            .await?;
        Ok(())
    }

    pub(super) async fn roll_back(&self) -> Result<(), LoadError> {
        let action = "roll back the load into";
        self.session.execute(action, sql::ROLLBACK).await.map(drop)
    }

    /// Makes the target match the staged rows, by key. Returns whether the changes were those that a target holding
    /// the base needs.
    pub(super) async fn apply(&self, staged: &Staged) -> Result<(LoadCounts, bool), LoadError> {
        let (session, sql) = (&self.session, &self.session.sql);
        let mode = session.warehouse.target.mode;
        let mut deleted = match staged.tally {
            Some(tally) if tally.removed > 0 => {
                session.execute("delete rows of", &sql.delete_removed()).await?
            }
            _ => 0,
        };
        let removed = deleted;
        if staged.is_compared
            && let Some(delete) = sql.delete(mode)
        {
            deleted += session.execute("delete rows of", &delete).await?;
        }
        let run_id = &self.load.run_id;
        let updated = session.execute("update rows of", &sql.update(run_id)).await?;
        let inserted = session.execute("insert rows into", &sql.insert(run_id)).await?;
        let written = inserted + updated;
        let exactly = !staged.is_compared && mode == LoadMode::ReplaceDays;
        let fits = staged
            .tally
            .is_none_or(|tally| tally.fits(exactly, inserted, written, removed));
        Ok((LoadCounts::of(staged.rows, inserted, written, deleted), fits))
    }

    /// The outcome, if the ledger already has this run or a newer one.
    async fn settled(&self) -> Result<Option<LoadOutcome>, LoadError> {
        let (session, load) = (&self.session, self.load);
        if let Some(entry) = session.entry(&session.sql.ledger_of_run(&load.run_id)).await? {
            return Ok(Some(LoadOutcome::AlreadyLoaded(entry)));
        }
        let newer = session.sql.ledger_after(&load.scope, load.sequence);
        let newer = session.entry(&newer).await?;
        Ok(newer.map(|by| LoadOutcome::Superseded { by }))
    }

    /// Whether the target still holds the base on the base's days.
    async fn stands(&self, base: &Base) -> Result<bool, LoadError> {
        let form = self.session.warehouse.target.form();
        let sql = self.session.sql.stands(&self.load.scope, &base.run_id, &form);
        let found = self
            .session
            .rows("check for the last loaded run in", &sql)
            .await?;
        Ok(!found.is_empty())
    }

    /// Takes over the staged days, and records that the target holds the summary.
    pub(super) async fn take_days(&self) -> Result<(), LoadError> {
        let (session, sql) = (&self.session, &self.session.sql);
        let target = &session.warehouse.target;
        if target.mode == LoadMode::Reload {
            // All days belong to this scope now; the next load in another mode compares in full.
            return forget_days(session).await;
        }
        for sql in sql.take_days(&self.load.scope, &self.load.run_id, &target.form()) {
            session.execute("record the loaded days in", &sql).await?;
        }
        Ok(())
    }

    /// Writes the ledger's row.
    pub(super) async fn record(&self) -> Result<(), LoadError> {
        let insert = self.session.sql.insert_ledger(self.load);
        self.session
            .execute("write the ledger of", &insert)
            .await
            .map(drop)
    }
}

/// Forgets which scopes own which days, and all summaries that the target held.
pub(super) async fn forget_days(session: &Session<'_>) -> Result<(), LoadError> {
    for sql in session.sql.forget_days() {
        session.execute("forget the loaded days in", &sql).await?;
    }
    Ok(())
}
