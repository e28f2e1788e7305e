//! What is counted, for metrics. Words that nobody knows count like others.

use super::StateDb;
use super::decode::TextColumns;
use super::sql::{lineage, measures as sql, unmatched};
use crate::dialect::{Connection, Result, Row, query, query_as, query_scalar};
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

async fn measures(tx: &mut Connection) -> Result<Measures> {
    let waiting = query(sql::WAITING)
        .try_map(|row: Row| {
            Ok((
                row.parsed("kind")?,
                row.get("things")?,
                row.get::<u64>("failures")?,
            ))
        })
        .fetch_all(&mut *tx)
        .await?;
    let (inserted, updated, deleted, unchanged) = query_as(sql::CHANGES).fetch_one(&mut *tx).await?;
    let [run_seconds, merge_seconds, load_seconds, lag_seconds] = durations(tx).await?;
    Ok(Measures {
        files: query_as(sql::FILES).fetch_all(&mut *tx).await?,
        converted: query(sql::CONVERTED)
            .try_map(converted)
            .fetch_all(&mut *tx)
            .await?,
        submissions: query_as(sql::SUBMISSIONS).fetch_all(&mut *tx).await?,
        runs: query(sql::RUNS)
            .try_map(|row: Row| {
                Ok(CountedRuns {
                    state: row.get("state")?,
                    cause: row.get("cause")?,
                    outcome: row.get("outcome")?,
                    runs: row.get("runs")?,
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
        jobs: query(sql::JOBS)
            .try_map(|row: Row| {
                Ok(MeasuredJob {
                    job_id: row.get("job_config_id")?,
                    is_failed: row.get("is_failed")?,
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
        held: query_scalar(sql::HELD).fetch_one(&mut *tx).await?,
        unmatched: query_scalar(unmatched::COUNT).fetch_one(&mut *tx).await?,
        lineage_pending: query_scalar(lineage::PENDING).fetch_one(&mut *tx).await?,
        lineage_dropped: query_scalar(lineage::DROPPED).fetch_one(&mut *tx).await?,
    })
}

fn converted(row: Row) -> Result<Converted> {
    Ok(Converted {
        feed: row.get("feed")?,
        versions: row.get("versions")?,
        bytes: row.get("bytes")?,
        rows: row.get("rows")?,
        ignored: row.get("ignored")?,
        skipped: row.get("skipped")?,
        rejects: row.get("rejects")?,
    })
}

/// Returns the durations of whole runs, of merging, of loading, and of the way from submission to warehouse.
async fn durations(tx: &mut Connection) -> Result<[Histogram; 4]> {
    let mut histograms = <[Histogram; 4]>::default();
    for row in query(sql::DURATIONS).fetch_all(tx).await? {
        let kind = ["run", "merge", "load", "lag"]
            .iter()
            .position(|kind| row.get("kind").is_ok_and(|found: &str| found == *kind));
        if let Some(kind) = kind {
            histograms[kind].add(row.get("up_to")?, row.get("durations")?, row.get("seconds")?);
        }
    }
    Ok(histograms)
}
