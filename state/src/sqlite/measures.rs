//! Counts everything that is known, for metrics. Rows with impossible values count wherever that value is not needed.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::StateDb;
use super::decode::{TextColumns, changes};
use super::sql::measures as sql;
use crate::error::{During, StateError};
use crate::measures::{Converted, Histogram, Measures};

impl StateDb {
    /// Counts everything as of one moment.
    pub async fn measures(&self) -> Result<Measures, StateError> {
        let (action, subject) = ("count", "what is known");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let measures = measures(&mut tx).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(measures)
    }
}

async fn measures(tx: &mut SqliteConnection) -> sqlx::Result<Measures> {
    let waiting = sqlx::query(sql::WAITING)
        .try_map(|row: SqliteRow| {
            Ok((
                row.parsed("kind")?,
                row.try_get("things")?,
                row.try_get::<u64, _>("failures")?,
            ))
        })
        .fetch_all(&mut *tx)
        .await?;
    Ok(Measures {
        files: sqlx::query(sql::FILES)
            .try_map(|row: SqliteRow| {
                let status = row.parsed("last_update_status")?;
                Ok((row.try_get("feed")?, status, row.try_get("files")?))
            })
            .fetch_all(&mut *tx)
            .await?,
        converted: sqlx::query(sql::CONVERTED)
            .try_map(|row: SqliteRow| {
                Ok(Converted {
                    feed: row.try_get("feed")?,
                    versions: row.try_get("versions")?,
                    bytes: row.try_get("bytes")?,
                    lines: row.try_get("lines")?,
                    rows: row.try_get("rows")?,
                    ignored: row.try_get("ignored")?,
                    skipped: row.try_get("skipped")?,
                    rejects: row.try_get("rejects")?,
                })
            })
            .fetch_all(&mut *tx)
            .await?,
        submissions: sqlx::query(sql::SUBMISSIONS)
            .try_map(|row: SqliteRow| Ok((row.parsed("outcome")?, row.try_get("submissions")?)))
            .fetch_all(&mut *tx)
            .await?,
        runs: sqlx::query(sql::RUNS)
            .try_map(|row: SqliteRow| {
                let outcome = row.parsed_or_null("outcome")?;
                Ok((
                    row.parsed("state")?,
                    row.parsed("cause")?,
                    outcome,
                    row.try_get("runs")?,
                ))
            })
            .fetch_all(&mut *tx)
            .await?,
        changes: sqlx::query(sql::CHANGES)
            .try_map(|row: SqliteRow| changes(&row))
            .fetch_one(&mut *tx)
            .await?,
        run_seconds: histogram(tx, sql::RUN_SECONDS).await?,
        merge_seconds: histogram(tx, sql::MERGE_SECONDS).await?,
        load_seconds: histogram(tx, sql::LOAD_SECONDS).await?,
        lag_seconds: histogram(tx, sql::LAG_SECONDS).await?,
        last_complete: sqlx::query(sql::LAST_COMPLETE)
            .try_map(|row: SqliteRow| Ok((row.try_get("job_config_id")?, row.parsed("finished_timestamp")?)))
            .fetch_all(&mut *tx)
            .await?,
        failures: waiting.iter().map(|(_, _, failures)| failures).sum(),
        waiting: waiting
            .into_iter()
            .map(|(kind, things, _)| (kind, things))
            .collect(),
        held: sqlx::query_scalar(sql::HELD).fetch_one(&mut *tx).await?,
    })
}

async fn histogram(tx: &mut SqliteConnection, durations: &'static str) -> sqlx::Result<Histogram> {
    let mut histogram = Histogram::default();
    let buckets = sqlx::query(AssertSqlSafe(sql::histogram(durations)));
    for row in buckets.fetch_all(tx).await? {
        let bucket: u32 = row.try_get("bucket")?;
        if let Some(count) = histogram.counts.get_mut(bucket as usize) {
            *count = row.try_get("durations")?;
        }
        histogram.sum += row.try_get::<f64, _>("seconds")?;
    }
    Ok(histogram)
}
