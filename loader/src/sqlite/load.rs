//! One load: a single write transaction, from reading the ledger to writing its row.

use sqlx::{Connection, SqliteConnection};

use super::{BEGIN, SqliteWarehouse, claims, delta, entry, full};
use crate::{Base, Load, LoadError, LoadMode, LoadOutcome};

/// Loads a summary into the target. If it is dropped before its commit, it leaves nothing behind.
pub(super) async fn load(
    warehouse: &SqliteWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    let mut connection = warehouse.connect().await?;
    let outcome = attempts(warehouse, &mut connection, load, progress).await?;
    // Closing moves the write-ahead log into the file. If the process ends first, the next connection does that, so an
    // error here does no harm.
    let _ = connection.close().await;
    Ok(outcome)
}

/// Loads the difference from the base if there is one, and in full if the base cannot be used.
async fn attempts(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    // A reload replaces all rows, so it compares all rows.
    let base = load
        .base
        .as_ref()
        .filter(|_| warehouse.target.mode != LoadMode::Reload);
    if let Some(base) = base
        && let Some(outcome) = attempt(warehouse, connection, load, Some(base), progress).await?
    {
        return Ok(outcome);
    }
    let done = attempt(warehouse, connection, load, None, progress).await?;
    Ok(done.expect("without a base, an attempt has an outcome"))
}

/// Runs one transaction. `None`: the base cannot be used, and nothing was done.
async fn attempt(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    base: Option<&Base>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<LoadOutcome>, LoadError> {
    let mut transaction = connection
        .begin_with(BEGIN)
        .await
        .map_err(warehouse.failed("begin the load into"))?;
    if let Some(outcome) = settled(warehouse, &mut transaction, load).await? {
        return Ok(Some(outcome));
    }
    let mut standing = None;
    if let Some(base) = base
        && claims::stands(warehouse, &mut transaction, load, base).await?
    {
        standing = Some(base);
    }
    let counts = match standing {
        None => full::load(warehouse, &mut transaction, load, progress).await?,
        Some(base) => match delta::load(warehouse, &mut transaction, load, base).await? {
            Some(counts) => counts,
            None => {
                let action = "roll back the load into";
                transaction.rollback().await.map_err(warehouse.failed(action))?;
                return Ok(None);
            }
        },
    };
    progress(load.rows);
    claims::take(warehouse, &mut transaction, load).await?;
    record(warehouse, &mut transaction, load).await?;
    load.until_safe().await?;
    fail::fail_point!("load-before-commit");
    transaction
        .commit()
        .await
        .map_err(warehouse.failed("commit the load into"))?;
    fail::fail_point!("load-after-commit");
    tracing::debug!(
        run_id = load.run_id,
        target = warehouse.name,
        base = standing.map(|base| base.run_id.as_str()),
        ?counts,
        "loaded a summary"
    );
    Ok(Some(LoadOutcome::Loaded(counts)))
}

/// Writes the ledger's row.
pub(super) async fn record(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<(), LoadError> {
    sqlx::query(warehouse.sql.insert_ledger())
        .bind(&load.run_id)
        .bind(&warehouse.name)
        .bind(&load.scope)
        .bind(load.sequence)
        .bind(load.rows as i64)
        .bind(&load.digest)
        .execute(connection)
        .await
        .map_err(warehouse.failed("write the ledger of"))?;
    Ok(())
}

/// The outcome, if the ledger already has this run or a newer one.
async fn settled(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<Option<LoadOutcome>, LoadError> {
    if let Some(entry) = warehouse.entry(&mut *connection, &load.run_id).await? {
        return Ok(Some(LoadOutcome::AlreadyLoaded(entry)));
    }
    let newer = sqlx::query(warehouse.sql.ledger_after())
        .bind(&warehouse.name)
        .bind(&load.scope)
        .bind(load.sequence);
    let newer = newer
        .fetch_optional(connection)
        .await
        .map_err(warehouse.failed("read the ledger of"))?;
    Ok(newer.map(|row| LoadOutcome::Superseded { by: entry(&row) }))
}
