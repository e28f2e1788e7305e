//! One load: a write transaction from the ledger's question to the ledger's row.

use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use super::{BEGIN, SqliteWarehouse, entry, sql, stage};
use crate::{Load, LoadCounts, LoadError, LoadMode, LoadOutcome};

/// Brings a summary into the target. Dropped before its commit, it leaves nothing behind.
pub(super) async fn load(
    warehouse: &SqliteWarehouse,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadOutcome, LoadError> {
    let mut connection = warehouse.connect().await?;
    let mut transaction = connection
        .begin_with(BEGIN)
        .await
        .map_err(warehouse.failed("begin the load into"))?;
    if let Some(outcome) = settled(warehouse, &mut transaction, load).await? {
        return Ok(outcome);
    }
    fill_stage(warehouse, &mut transaction, load, progress).await?;
    let counts = apply(warehouse, &mut transaction, load.rows).await?;
    sqlx::query(warehouse.sql.insert_ledger())
        .bind(&load.run_id)
        .bind(&warehouse.name)
        .bind(&load.scope)
        .bind(load.sequence)
        .bind(load.rows as i64)
        .bind(&load.digest)
        .execute(&mut *transaction)
        .await
        .map_err(warehouse.failed("write the ledger of"))?;
    fail::fail_point!("load-before-commit");
    transaction
        .commit()
        .await
        .map_err(warehouse.failed("commit the load into"))?;
    fail::fail_point!("load-after-commit");
    tracing::debug!(
        run_id = load.run_id,
        target = warehouse.name,
        ?counts,
        "loaded a summary"
    );
    Ok(LoadOutcome::Loaded(counts))
}

/// What the ledger says against this load, if anything.
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

/// Brings the files into temporary tables.
async fn fill_stage(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    warehouse
        .execute(
            connection,
            warehouse.sql.create_stage(),
            "create temporary tables in",
        )
        .await?;
    let rows = stage::summary(connection, warehouse, load, progress).await?;
    load.expect_rows(rows)?;
    if warehouse.target.mode == LoadMode::ReplaceDays {
        warehouse
            .execute(
                connection,
                sql::CREATE_COVERAGE.into_sql_str(),
                "create temporary tables in",
            )
            .await?;
        stage::coverage(connection, warehouse, load).await?;
        let uncovered = sqlx::query_scalar(sql::UNCOVERED).fetch_one(connection).await;
        let uncovered: i64 =
            uncovered.map_err(warehouse.failed("compare the summary with the covered days in"))?;
        load.expect_covered(uncovered as u64)?;
    }
    Ok(())
}

/// Changes the target, by key, to what was staged.
async fn apply(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    staged: u64,
) -> Result<LoadCounts, LoadError> {
    let deleted = match warehouse.sql.delete(warehouse.target.mode) {
        Some(delete) => warehouse.execute(connection, delete, "delete rows of").await?,
        None => 0,
    };
    let new = sqlx::query_scalar::<_, i64>(warehouse.sql.count_new())
        .fetch_one(&mut *connection)
        .await;
    let inserted = new.map_err(warehouse.failed("count new rows for"))? as u64;
    let written = warehouse
        .execute(connection, warehouse.sql.upsert(), "insert and update rows of")
        .await?;
    Ok(LoadCounts::of(staged, inserted, written, deleted))
}
