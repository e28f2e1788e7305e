//! Brings a summary, or what differs from the base, through the bucket into temporary tables.

use std::sync::Arc;

use arrow_array::{Date32Array, StringArray};

use super::files::{Files, Written};
use super::load::Loading;
use super::sql;
use crate::days::{Days, Lookup};
use crate::delta::{self, Fault, Piece, Tally};
use crate::{Base, LoadError, LoadMode, input};

/// What the temporary tables hold.
pub(super) struct Staged {
    /// Rows of the summary.
    pub rows: u64,
    /// The totals of the walk over both summaries; `None` if the whole summary was staged.
    pub tally: Option<Tally>,
    /// Whether rows of the target on the staged days that were not themselves staged may have to be deleted.
    pub is_compared: bool,
}

/// Stages the whole summary. A reload covers every day, and reads no coverage. Never returns `None`; the type is that of
/// [`difference`].
pub(super) async fn whole(
    loading: &Loading<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<Staged>, LoadError> {
    let (warehouse, load) = (loading.session.warehouse, loading.load);
    let days = match warehouse.target.mode {
        LoadMode::Reload => None,
        LoadMode::ReplaceDays | LoadMode::Upsert => Some(Days::read(&load.coverage).await?),
    };
    let mut files = Files::of_rows(&warehouse.bucket, &loading.folder, "rows", &warehouse.measures);
    let mut batches = input::summary(&load.summary, &warehouse.measures);
    let mut lookup = days.as_ref().map(Lookup::new);
    let (mut rows, mut uncovered) = (0, 0);
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        if let Some(lookup) = &mut lookup {
            for row in 0..batch.len() {
                let (store, _, date) = batch.key(row);
                uncovered += u64::from(!lookup.has(store, date));
            }
        }
        files.put_rows(&batch).await?;
        rows += batch.len() as u64;
        progress(rows);
    }
    load.expect_rows(rows)?;
    load.expect_covered(uncovered)?;
    let written = files.finish().await?;
    let covered = match &days {
        Some(days) => cover(loading, days).await?,
        None => None,
    };
    copy(loading, [written, None, covered]).await?;
    Ok(Some(Staged {
        rows,
        tally: None,
        is_compared: true,
    }))
}

/// Stages what differs from the base. `None`: the difference could not be determined.
pub(super) async fn difference(loading: &Loading<'_>, base: &Base) -> Result<Option<Staged>, Fault> {
    let (warehouse, load) = (loading.session.warehouse, loading.load);
    let mut delta = delta::begin(load, base, &warehouse.measures, warehouse.target.mode).await?;
    let mut rows = Files::of_rows(&warehouse.bucket, &loading.folder, "rows", &warehouse.measures);
    let mut removed = Files::of_rows(&warehouse.bucket, &loading.folder, "removed", &[]);
    let mut tally = None;
    while let Some(piece) = delta.pieces.recv().await {
        match piece? {
            Piece::Write(batch) => rows.put_rows(&batch).await.map_err(Fault::Load)?,
            Piece::Remove(batch) => removed.put_rows(&batch).await.map_err(Fault::Load)?,
            Piece::End(end) => tally = Some(end),
        }
    }
    // Without an end the walk died.
    let Some(tally) = tally else { return Ok(None) };
    let done = async {
        load.expect_rows(tally.rows)?;
        load.expect_covered(tally.uncovered)?;
        let written = [
            rows.finish().await?,
            removed.finish().await?,
            cover(loading, &delta.added).await?,
        ];
        copy(loading, written).await
    };
    done.await.map_err(Fault::Load)?;
    Ok(Some(Staged {
        rows: load.rows,
        tally: Some(tally),
        is_compared: !delta.added.is_empty(),
    }))
}

/// Writes the days to the bucket.
async fn cover(loading: &Loading<'_>, days: &Days) -> Result<Option<Written>, LoadError> {
    let mut files = Files::of_days(&loading.session.warehouse.bucket, &loading.folder, "days");
    for (store, dates) in days.iter() {
        let stores = StringArray::from_iter_values(std::iter::repeat_n(store, dates.len()));
        let dates = Date32Array::from(dates.to_vec());
        files.put(vec![Arc::new(stores), Arc::new(dates)]).await?;
    }
    files.finish().await
}

/// Creates the temporary tables, and copies what was written for each. It uses a transaction, because a COPY outside one
/// continues after its client is gone.
async fn copy(loading: &Loading<'_>, written: [Option<Written>; 3]) -> Result<(), LoadError> {
    let session = &loading.session;
    let action = "stage rows in";
    session.execute(action, sql::BEGIN).await?;
    for create in session.sql.create_stage() {
        session.execute(action, &create).await?;
    }
    for (table, written) in [sql::STAGE, sql::REMOVED, sql::COVERAGE]
        .into_iter()
        .zip(&written)
    {
        if let Some(written) = written {
            session.copy(table, written).await?;
        }
    }
    let twice: u64 = session.number(action, sql::TWICE).await?;
    if twice > 0 {
        let reason = format!(
            "{twice} keys occur twice; to Redshift, texts that differ only in blanks at their end are the same"
        );
        return Err(input::unusable(&loading.load.summary, reason));
    }
    session.execute(action, sql::COMMIT).await.map(drop)
}
