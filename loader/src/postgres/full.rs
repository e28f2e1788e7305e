//! Loads a whole summary: compares it with the target, or fills the target if that is empty.

use super::load::Loading;
use super::{copy, first, sql};
use crate::days::Days;
use crate::{LoadCounts, LoadError, LoadMode};

/// Loads the whole summary into the target.
pub(super) async fn load(
    loading: &Loading<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadCounts, LoadError> {
    let days = stage_days(loading).await?;
    if let Some(counts) = first::load(loading, days.as_ref(), progress).await? {
        return Ok(counts);
    }
    stage_rows(loading, days.as_ref(), progress).await?;
    apply(loading, loading.load.rows).await
}

/// Copies the coverage to a temporary table. A reload covers every day, and reads no coverage.
pub(super) async fn stage_days(loading: &Loading<'_>) -> Result<Option<Days>, LoadError> {
    let days = match loading.warehouse.target.mode {
        LoadMode::Reload => None,
        LoadMode::ReplaceDays | LoadMode::Upsert => Some(Days::read(&loading.load.coverage).await?),
    };
    stage_coverage(loading, days.as_ref()).await?;
    Ok(days)
}

/// Copies days to a temporary table.
pub(super) async fn stage_coverage(loading: &Loading<'_>, days: Option<&Days>) -> Result<(), LoadError> {
    loading
        .batch("create temporary tables in", sql::CREATE_COVERAGE)
        .await?;
    match days {
        Some(days) if !days.is_empty() => copy::coverage(loading, days).await,
        _ => Ok(()),
    }
}

/// Copies the summary to a temporary table.
pub(super) async fn stage_rows(
    loading: &Loading<'_>,
    days: Option<&Days>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    let sql = &loading.names.sql;
    loading
        .batch("create temporary tables in", &sql.create_stage())
        .await?;
    let sent = copy::summary(loading, &sql.copy_stage(), None, days, progress).await?;
    loading.load.expect_rows(sent.rows)?;
    loading.load.expect_covered(sent.uncovered)?;
    loading.batch("index temporary tables in", sql::INDEX_STAGE).await
}

/// Makes the target match the staged rows, by key. `rows` is their number.
pub(super) async fn apply(loading: &Loading<'_>, rows: u64) -> Result<LoadCounts, LoadError> {
    let deleted = match loading.names.sql.delete(loading.warehouse.target.mode) {
        Some(delete) => loading.execute("delete rows of", &delete, &[]).await?,
        None => 0,
    };
    let (inserted, written) = write(loading, rows).await?;
    Ok(LoadCounts::of(rows, inserted, written, deleted))
}

/// Updates and inserts the staged rows, `staged` in number. Returns how many were new, and how many were written.
pub(super) async fn write(loading: &Loading<'_>, staged: u64) -> Result<(u64, u64), LoadError> {
    if staged == 0 {
        return Ok((0, 0));
    }
    let (sql, run_id) = (&loading.names.sql, loading.run_id());
    let updated = loading.execute("update rows of", &sql.update(), &run_id).await?;
    // If every staged row updated one, none is new.
    let inserted = match updated == staged {
        true => 0,
        false => {
            loading
                .execute("insert rows into", &sql.insert(), &run_id)
                .await?
        }
    };
    Ok((inserted, inserted + updated))
}
