//! A load that compares the whole summary with the target.

use super::load::Loading;
use super::{copy, sql};
use crate::days::Days;
use crate::{LoadCounts, LoadError, LoadMode};

/// Brings the whole summary into the target.
pub(super) async fn load(
    loading: &Loading<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<LoadCounts, LoadError> {
    stage(loading, progress).await?;
    apply(loading, loading.load.rows).await
}

/// Brings the files into temporary tables. A reload has the say over every day, and reads no coverage.
pub(super) async fn stage(
    loading: &Loading<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    let sql = &loading.names.sql;
    loading
        .batch("create temporary tables in", &sql.create_stage())
        .await?;
    let days = match loading.warehouse.target.mode {
        LoadMode::Reload => None,
        LoadMode::ReplaceDays | LoadMode::Upsert => Some(Days::read(&loading.load.coverage).await?),
    };
    if let Some(days) = &days {
        copy::coverage(loading, days).await?;
    }
    let sent = copy::summary(loading, &sql.copy_stage(), days.as_ref(), progress).await?;
    loading.load.expect_rows(sent.rows)?;
    loading.load.expect_covered(sent.uncovered)?;
    loading.batch("index temporary tables in", sql::INDEX_STAGE).await
}

/// Changes the target, by key, to what was staged; `rows` are those of the summary.
pub(super) async fn apply(loading: &Loading<'_>, rows: u64) -> Result<LoadCounts, LoadError> {
    let deleted = match loading.names.sql.delete(loading.warehouse.target.mode) {
        Some(delete) => loading.execute("delete rows of", &delete, &[]).await?,
        None => 0,
    };
    let (inserted, written) = write(loading).await?;
    Ok(LoadCounts::of(rows, inserted, written, deleted))
}

/// Inserts and updates what was staged: how many rows were new, and how many were written.
pub(super) async fn write(loading: &Loading<'_>) -> Result<(u64, u64), LoadError> {
    let sql = &loading.names.sql;
    let inserted = loading.count("count new rows for", &sql.count_new()).await?;
    let written = loading
        .execute("insert and update rows of", &sql.upsert(), &[])
        .await?;
    Ok((inserted, written))
}
