//! Loads only what differs from the base.

use super::load::Loading;
use super::{copy, full, sql};
use crate::delta::{Delta, Fault, Tally};
use crate::{Base, LoadCounts, LoadError, LoadMode};

/// Changes the target by the difference. `None`: the base cannot be used after all, and the caller must roll back.
/// Either it cannot be read, or the target does not match it on rows that the difference touches.
pub(super) async fn load(
    loading: &Loading<'_>,
    base: &Base,
    difference: Result<Delta, Fault>,
) -> Result<Option<LoadCounts>, LoadError> {
    let found = match change(loading, difference).await {
        Ok(found) => found,
        Err(Fault::Load(error)) => return Err(error),
        Err(Fault::Base(error)) => {
            tracing::warn!("cannot use the summary loaded last, comparing in full: {error}");
            None
        }
    };
    Ok(match found {
        Some((counts, true)) => Some(counts),
        Some((_, false)) => {
            tracing::warn!(
                run_id = loading.load.run_id,
                base = base.run_id,
                "the warehouse no longer holds what was loaded last, because something else changed it; comparing in full"
            );
            None
        }
        None => None,
    })
}

/// Changes the target, and returns whether the changes were those that a target holding the base needs.
async fn change(
    loading: &Loading<'_>,
    difference: Result<Delta, Fault>,
) -> Result<Option<(LoadCounts, bool)>, Fault> {
    let mut delta = difference?;
    stage(loading, &delta).await.map_err(Fault::Load)?;
    // Without an end the walk died.
    let Some(tally) = copy::changes(loading, &mut delta.pieces).await? else {
        return Ok(None);
    };
    let changed = apply(loading, &tally, delta.added.is_empty()).await;
    changed.map(Some).map_err(Fault::Load)
}

async fn stage(loading: &Loading<'_>, delta: &Delta) -> Result<(), LoadError> {
    full::stage_coverage(loading, Some(&delta.added)).await?;
    let create = loading.names.sql.create_stage();
    loading.batch("create temporary tables in", &create).await
}

async fn apply(
    loading: &Loading<'_>,
    tally: &Tally,
    no_days_added: bool,
) -> Result<(LoadCounts, bool), LoadError> {
    let (load, mode, sql) = (loading.load, loading.warehouse.target.mode, &loading.names.sql);
    load.expect_rows(tally.rows)?;
    load.expect_covered(tally.uncovered)?;
    let ready = match no_days_added {
        true => sql::ANALYZE_STAGE,
        false => sql::INDEX_STAGE,
    };
    loading.batch("index temporary tables in", ready).await?;
    let action = "delete rows of";
    let removed = match tally.removed {
        0 => 0,
        _ => loading.execute(action, &sql.delete_removed(), &[]).await?,
    };
    let surplus = match sql.delete(mode) {
        Some(delete) if !no_days_added => loading.execute(action, &delete, &[]).await?,
        _ => 0,
    };
    let (inserted, written) = full::write(loading, tally.inserted + tally.changed).await?;
    let exactly = no_days_added && mode == LoadMode::ReplaceDays;
    let fits = tally.fits(exactly, inserted, written, removed);
    Ok((
        LoadCounts::of(load.rows, inserted, written, removed + surplus),
        fits,
    ))
}
