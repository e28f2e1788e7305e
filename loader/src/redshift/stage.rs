//! Brings a summary, or what differs from the base, through the bucket into temporary tables.

use std::sync::Arc;

use arrow_array::{Date32Array, StringArray};

use super::files::{Files, Written};
use super::session::RedshiftSession;
use super::sql;
use crate::days::{Days, Lookup};
use crate::delta::{Fault, Piece, Pieces, Tally};
use crate::protocol::{Arrived, Progress};
use crate::{Load, LoadError, input};

/// Writes days to the bucket. `None`: there are none.
pub(super) async fn days(
    session: &RedshiftSession<'_>,
    load: &Load,
    days: &Days,
) -> Result<Option<Written>, LoadError> {
    let mut files = Files::of_days(&session.warehouse.bucket, &session.folder(load), "days");
    for (store, dates) in days.iter() {
        let stores = StringArray::from_iter_values(std::iter::repeat_n(store, dates.len()));
        let dates = Date32Array::from(dates.to_vec());
        files.put(vec![Arc::new(stores), Arc::new(dates)]).await?;
    }
    files.finish().await
}

/// Stages the whole summary, and the days that were written. Counts the rows outside `days`; without `days`, none.
pub(super) async fn rows(
    session: &RedshiftSession<'_>,
    load: &Load,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let mut files = of_rows(session, load, "rows", &session.warehouse.measures);
    let mut batches = input::summary(&load.summary, &session.warehouse.measures);
    let mut lookup = days.map(Lookup::new);
    let mut arrived = Arrived::default();
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        if let Some(lookup) = &mut lookup {
            arrived.uncovered += lookup.lacking(&batch);
        }
        files.put_rows(&batch).await?;
        arrived.rows += batch.len() as u64;
        progress(arrived.rows);
    }
    copy(session, load, [files.finish().await?, None]).await?;
    Ok(arrived)
}

/// Stages a difference, and the days that were written. Returns its totals; `None` if they never came, because the walk
/// died.
pub(super) async fn changes(
    session: &RedshiftSession<'_>,
    load: &Load,
    pieces: &mut Pieces,
) -> Result<Option<Tally>, Fault> {
    let mut rows = of_rows(session, load, "rows", &session.warehouse.measures);
    let mut removed = of_rows(session, load, "removed", &[]);
    let mut tally = None;
    while let Some(piece) = pieces.recv().await {
        match piece? {
            Piece::Write(batch) => rows.put_rows(&batch).await?,
            Piece::Remove(batch) => removed.put_rows(&batch).await?,
            Piece::End(end) => tally = Some(end),
        }
    }
    if tally.is_some() {
        copy(session, load, [rows.finish().await?, removed.finish().await?]).await?;
    }
    Ok(tally)
}

fn of_rows<'s>(
    session: &RedshiftSession<'s>,
    load: &Load,
    name: &'static str,
    measures: &[String],
) -> Files<'s> {
    Files::of_rows(&session.warehouse.bucket, &session.folder(load), name, measures)
}

/// Creates the temporary tables, and copies what was written for each. It uses a transaction, because a COPY outside one
/// continues after its client is gone.
async fn copy(
    session: &RedshiftSession<'_>,
    load: &Load,
    [rows, removed]: [Option<Written>; 2],
) -> Result<(), LoadError> {
    let action = "stage rows in";
    session.execute(action, sql::BEGIN).await?;
    for create in session.sql.create_stage() {
        session.execute(action, &create).await?;
    }
    for (table, written) in [
        (sql::STAGE, &rows),
        (sql::REMOVED, &removed),
        (sql::COVERAGE, &session.days),
    ] {
        if let Some(written) = written {
            session.copy(table, written).await?;
        }
    }
    let twice: u64 = session.number(action, sql::TWICE).await?;
    if twice > 0 {
        let reason = format!(
            "{twice} keys occur twice; to Redshift, texts that differ only in blanks at their end are the same"
        );
        return Err(input::unusable(&load.summary, reason));
    }
    session.execute(action, sql::COMMIT).await.map(drop)
}
