//! Loads a whole summary: compares it with the target, or inserts it directly if there is nothing to compare with.

use std::sync::Arc;

use sqlx::{SqlSafeStr, SqliteConnection};

use super::{SqliteWarehouse, sql, stage};
use crate::days::Days;
use crate::{Load, LoadCounts, LoadError, LoadMode, input};

/// Loads the whole summary into the target.
pub(super) async fn load(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadCounts, LoadError> {
    let days = stage_days(warehouse, connection, load).await?;
    let holds_rows: bool = sqlx::query_scalar(warehouse.sql.holds_rows(warehouse.target.mode))
        .fetch_one(&mut *connection)
        .await
        .map_err(warehouse.failed("look for rows of the covered stores in"))?;
    if holds_rows {
        stage_rows(warehouse, connection, load, days.as_ref(), progress).await?;
        return apply(warehouse, connection, load, load.rows).await;
    }
    // Nothing to compare with: insert the rows directly into the target, in the order of its key.
    let rows = input::summary(&load.summary, &warehouse.target.measures);
    let insert = |rows| warehouse.sql.insert_target(rows);
    let run_id = warehouse.target.audit.then_some(load.run_id.as_str());
    let arrived = stage::summary(
        connection,
        warehouse,
        rows,
        run_id,
        days.as_ref(),
        insert,
        progress,
    )
    .await?;
    load.expect_rows(arrived.rows)?;
    load.expect_covered(arrived.uncovered)?;
    Ok(LoadCounts::of(load.rows, load.rows, load.rows, 0))
}

/// Inserts the coverage into a temporary table. A reload covers every day, and reads no coverage.
pub(super) async fn stage_days(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<Option<Arc<Days>>, LoadError> {
    if warehouse.target.mode == LoadMode::Reload {
        return Ok(None);
    }
    let days = Days::read(&load.coverage).await?;
    stage_coverage(warehouse, connection, &days).await?;
    Ok(Some(Arc::new(days)))
}

/// Inserts days into a temporary table.
pub(super) async fn stage_coverage(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    days: &Days,
) -> Result<(), LoadError> {
    let create = sql::CREATE_COVERAGE.into_sql_str();
    warehouse
        .execute(connection, create, "create temporary tables in")
        .await?;
    stage::coverage(connection, warehouse, days).await
}

/// Inserts the summary into a temporary table.
pub(super) async fn stage_rows(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    days: Option<&Arc<Days>>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    let create = warehouse.sql.create_stage();
    warehouse
        .execute(connection, create, "create temporary tables in")
        .await?;
    let rows = input::summary(&load.summary, &warehouse.target.measures);
    let insert = |rows| warehouse.sql.insert_stage(rows);
    let arrived = stage::summary(connection, warehouse, rows, None, days, insert, progress).await?;
    load.expect_rows(arrived.rows)?;
    load.expect_covered(arrived.uncovered)
}

/// Makes the target match the rows staged for a load, by key. `rows` is their number.
pub(super) async fn apply(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    rows: u64,
) -> Result<LoadCounts, LoadError> {
    let deleted = match warehouse.sql.delete(warehouse.target.mode) {
        Some(delete) => warehouse.execute(connection, delete, "delete rows of").await?,
        None => 0,
    };
    let (inserted, written) = write(warehouse, connection, load).await?;
    Ok(LoadCounts::of(rows, inserted, written, deleted))
}

/// Inserts and updates the staged rows. Returns how many were new, and how many were written.
pub(super) async fn write(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
) -> Result<(u64, u64), LoadError> {
    let new = sqlx::query_scalar::<_, i64>(warehouse.sql.count_new())
        .fetch_one(&mut *connection)
        .await;
    let inserted = new.map_err(warehouse.failed("count new rows for"))? as u64;
    let mut upsert = sqlx::query(warehouse.sql.upsert());
    if warehouse.target.audit {
        upsert = upsert.bind(&load.run_id);
    }
    let written = upsert.execute(connection).await;
    let written = written.map_err(warehouse.failed("insert and update rows of"))?;
    Ok((inserted, written.rows_affected()))
}
