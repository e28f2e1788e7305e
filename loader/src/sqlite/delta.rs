//! Loads only what differs from the base.

use sqlx::{SqlSafeStr, SqliteConnection};

use super::{SqliteWarehouse, full, sql, stage};
use crate::delta::{self, Fault, Piece, Tally};
use crate::{Base, Load, LoadCounts, LoadError, LoadMode};

/// Changes the target by the difference. `None`: the base cannot be used after all, and the caller must roll back.
/// Either it cannot be read, or the target does not match it on rows that the difference touches.
pub(super) async fn load(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    base: &Base,
) -> Result<Option<LoadCounts>, LoadError> {
    let mode = warehouse.target.mode;
    let begun = delta::begin(load, base, &warehouse.target.measures, mode).await;
    let Some(mut delta) = usable(begun)? else {
        return Ok(None);
    };
    full::stage_coverage(warehouse, connection, &delta.added).await?;
    for create in [warehouse.sql.create_stage(), sql::CREATE_REMOVED.into_sql_str()] {
        warehouse
            .execute(connection, create, "create temporary tables in")
            .await?;
    }
    let mut tally = None;
    while let Some(piece) = delta.pieces.recv().await {
        match usable(piece)? {
            Some(Piece::Write(rows)) => stage::batch(connection, warehouse, &rows, true).await?,
            Some(Piece::Remove(rows)) => stage::batch(connection, warehouse, &rows, false).await?,
            Some(Piece::End(end)) => tally = Some(end),
            None => return Ok(None),
        }
    }
    // Without an end the walk died.
    let Some(tally) = tally else { return Ok(None) };
    load.expect_rows(tally.rows)?;
    load.expect_covered(tally.uncovered)?;
    let (counts, fits) = apply(warehouse, connection, load, &tally, delta.added.is_empty()).await?;
    if !fits {
        tracing::warn!(
            run_id = load.run_id,
            base = base.run_id,
            "the warehouse no longer holds what was loaded last, because something else changed it; comparing in full"
        );
    }
    Ok(fits.then_some(counts))
}

/// Turns failures of the base into `None`, with a warning, because the load can do without it.
fn usable<T>(found: Result<T, Fault>) -> Result<Option<T>, LoadError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Load(error)) => Err(error),
        Err(Fault::Base(error)) => {
            tracing::warn!("cannot use the summary loaded last, comparing in full: {error}");
            Ok(None)
        }
    }
}

/// Changes the target, and returns whether the changes were those that a target holding the base needs.
async fn apply(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
    load: &Load,
    tally: &Tally,
    no_days_added: bool,
) -> Result<(LoadCounts, bool), LoadError> {
    let mode = warehouse.target.mode;
    let action = "delete rows of";
    let removed = match tally.removed {
        0 => 0,
        _ => {
            warehouse
                .execute(connection, warehouse.sql.delete_removed(), action)
                .await?
        }
    };
    let surplus = match warehouse.sql.delete(mode) {
        Some(delete) if !no_days_added => warehouse.execute(connection, delete, action).await?,
        _ => 0,
    };
    let (inserted, written) = full::write(warehouse, connection, load).await?;
    let exactly = no_days_added && mode == LoadMode::ReplaceDays;
    let fits = tally.fits(exactly, inserted, written, removed);
    Ok((
        LoadCounts::of(load.rows, inserted, written, removed + surplus),
        fits,
    ))
}
