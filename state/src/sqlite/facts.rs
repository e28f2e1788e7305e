//! Reads the facts that a decision rests on.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::decode::{self, TextColumns};
use super::ledger;
use super::sql::{days, files, jobs, runs};
use crate::error::{During, StateError};
use crate::facts::{ActiveRun, Completion, DayFact, Facts, FileFact, InForce, WaveRuns};
use crate::run::RunState;

impl StateDb {
    /// Reads everything that a decision about a job needs, all as of one moment.
    pub async fn facts(&self, job_id: &str) -> Result<Facts, StateError> {
        let action = "read the facts about job";
        let mut tx = self.readers.begin().await.during(action, job_id)?;
        let facts = read(&mut tx, job_id).await.during(action, job_id)?;
        tx.commit().await.during(action, job_id)?;
        facts.ok_or_else(|| StateError::UnknownJob {
            job_id: job_id.to_owned(),
        })
    }
}

async fn read(tx: &mut SqliteConnection, job_id: &str) -> sqlx::Result<Option<Facts>> {
    let job = sqlx::query(jobs::ONE)
        .bind(job_id)
        .try_map(|row| decode::job_row(&row))
        .fetch_optional(&mut *tx)
        .await?;
    let Some(job) = job else { return Ok(None) };
    let days = sqlx::query(days::SPECIAL_DAYS)
        .bind(job_id)
        .bind(&job.config.feed)
        .try_map(|row| day_fact(&row))
        .fetch_all(&mut *tx)
        .await?;
    Ok(Some(Facts {
        job,
        files: sqlx::query(files::FILE_FACTS)
            .try_map(|row| file_fact(&row))
            .fetch_all(&mut *tx)
            .await?,
        days,
        waves: waves(tx, job_id).await?,
        completions: sqlx::query(runs::COMPLETIONS)
            .bind(job_id)
            .try_map(|row| completion(&row))
            .fetch_all(&mut *tx)
            .await?,
        active_elsewhere: sqlx::query(runs::ACTIVE_ELSEWHERE)
            .bind(job_id)
            .try_map(|row| active_run(&row))
            .fetch_all(&mut *tx)
            .await?,
        newest_submission: sqlx::query_scalar(files::NEWEST_SUBMISSION)
            .fetch_one(&mut *tx)
            .await?,
        ledger: ledger::news(tx, Some(job_id)).await?,
    }))
}

async fn waves(tx: &mut SqliteConnection, job_id: &str) -> sqlx::Result<BTreeMap<Option<Date>, WaveRuns>> {
    let newest = sqlx::query(runs::NEWEST_BY_WAVE)
        .bind(job_id)
        .try_map(|row| decode::run_row(&row))
        .fetch_all(tx)
        .await?;
    let mut waves: BTreeMap<_, WaveRuns> = BTreeMap::new();
    for run in newest {
        let wave = waves.entry(run.wave).or_default();
        let place = match run.state {
            RunState::Queued | RunState::Running => &mut wave.active,
            RunState::Completed => {
                if !run.incomplete {
                    wave.complete = Some(run.clone());
                }
                &mut wave.completed
            }
            RunState::Failed => &mut wave.failed,
        };
        *place = Some(run);
    }
    Ok(waves)
}

fn file_fact(row: &SqliteRow) -> sqlx::Result<FileFact> {
    Ok(FileFact {
        file_id: row.try_get("file_id")?,
        file_url: row.try_get("file_url")?,
        feed: row.try_get("feed")?,
        status: row.parsed("last_update_status")?,
        store_id: row.try_get("store_id")?,
        business_date: row.parsed_or_null("business_date")?,
        in_force: in_force(row)?,
        last_error: row.try_get("last_error")?,
    })
}

fn day_fact(row: &SqliteRow) -> sqlx::Result<DayFact> {
    Ok(DayFact {
        file_id: row.try_get("file_id")?,
        version_id: row.try_get("version_id")?,
        store_id: row.try_get("store_id")?,
        trans_date: row.parsed("trans_date")?,
        standing: row.parsed("standing")?,
        since_submission: row.try_get("since_submission")?,
        reason: row.try_get("reason")?,
        other_file_id: row.try_get("other_file_id")?,
    })
}

fn in_force(row: &SqliteRow) -> sqlx::Result<Option<InForce>> {
    let Some(version_id) = row.try_get("version_id")? else {
        return Ok(None);
    };
    Ok(Some(InForce {
        version_id,
        submission_id: row.try_get("valid_submission_id")?,
        submitted: row.parsed("valid_submitted")?,
        validated: row.parsed("last_validated_timestamp")?,
        layout_digest: row.try_get("layout_digest")?,
        bytes: row.try_get("bytes")?,
        rows: row.try_get("rows")?,
        is_partial_lost: row.try_get("is_partial_lost")?,
    }))
}

fn completion(row: &SqliteRow) -> sqlx::Result<Completion> {
    Ok(Completion {
        job_id: row.try_get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.try_get("run_id")?,
        sequence: row.try_get("sequence")?,
        finished: row.parsed("finished_timestamp")?,
    })
}

fn active_run(row: &SqliteRow) -> sqlx::Result<ActiveRun> {
    Ok(ActiveRun {
        job_id: row.try_get("job_config_id")?,
        wave: decode::wave(row)?,
        run_id: row.try_get("run_id")?,
        state: row.parsed("state")?,
    })
}
