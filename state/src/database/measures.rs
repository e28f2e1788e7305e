//! What is counted, for metrics. Words that nobody knows count like others.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::decode::TextColumns;
use super::sql::{lineage, measures as sql, unmatched};
use crate::error::{During, StateError};
use crate::measures::{Converted, CountedRuns, Histogram, MeasuredJob, Measures};
use crate::run::RowChanges;

impl StateDb {
    /// Returns all counts as of one moment.
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
    let (inserted, updated, deleted, unchanged) = sqlx::query_as(sql::CHANGES).fetch_one(&mut *tx).await?;
    let [run_seconds, merge_seconds, load_seconds, lag_seconds] = durations(tx).await?;
    Ok(Measures {
        files: sqlx::query_as(sql::FILES).fetch_all(&mut *tx).await?,
        converted: sqlx::query(sql::CONVERTED)
            .try_map(converted)
            .fetch_all(&mut *tx)
            .await?,
        submissions: sqlx::query_as(sql::SUBMISSIONS).fetch_all(&mut *tx).await?,
        runs: sqlx::query(sql::RUNS)
            .try_map(|row: SqliteRow| {
                Ok(CountedRuns {
                    state: row.try_get("state")?,
                    cause: row.try_get("cause")?,
                    outcome: row.try_get("outcome")?,
                    runs: row.try_get("runs")?,
                })
            })
            .fetch_all(&mut *tx)
            .await?,
        changes: RowChanges {
            inserted,
            updated,
            deleted,
            unchanged,
        },
        run_seconds,
        merge_seconds,
        load_seconds,
        lag_seconds,
        jobs: sqlx::query(sql::JOBS)
            .try_map(|row: SqliteRow| {
                Ok(MeasuredJob {
                    job_id: row.try_get("job_config_id")?,
                    is_failed: row.try_get("is_failed")?,
                    // A time that a person has garbled is as good as none.
                    last_complete: row.parsed_or_null("finished_timestamp").unwrap_or(None),
                })
            })
            .fetch_all(&mut *tx)
            .await?,
        failures: waiting.iter().map(|(_, _, failures)| failures).sum(),
        waiting: waiting
            .into_iter()
            .map(|(kind, things, _)| (kind, things))
            .collect(),
        held: sqlx::query_scalar(sql::HELD).fetch_one(&mut *tx).await?,
        unmatched: sqlx::query_scalar(unmatched::COUNT).fetch_one(&mut *tx).await?,
        lineage_pending: sqlx::query_scalar(lineage::PENDING).fetch_one(&mut *tx).await?,
        lineage_dropped: sqlx::query_scalar(lineage::DROPPED).fetch_one(&mut *tx).await?,
    })
}

fn converted(row: SqliteRow) -> sqlx::Result<Converted> {
    Ok(Converted {
        feed: row.try_get("feed")?,
        versions: row.try_get("versions")?,
        bytes: row.try_get("bytes")?,
        rows: row.try_get("rows")?,
        ignored: row.try_get("ignored")?,
        skipped: row.try_get("skipped")?,
        rejects: row.try_get("rejects")?,
    })
}

/// Returns the durations of whole runs, of merging, of loading, and of the way from submission to warehouse.
async fn durations(tx: &mut SqliteConnection) -> sqlx::Result<[Histogram; 4]> {
    let mut histograms = <[Histogram; 4]>::default();
    for row in sqlx::query(sql::DURATIONS).fetch_all(tx).await? {
        let kind = ["run", "merge", "load", "lag"]
            .iter()
            .position(|kind| row.try_get("kind").is_ok_and(|found: &str| found == *kind));
        if let Some(kind) = kind {
            histograms[kind].add(
                row.try_get("up_to")?,
                row.try_get("durations")?,
                row.try_get("seconds")?,
            );
        }
    }
    Ok(histograms)
}
