//! Reads the facts that a decision rests on.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::decode::{self, TextColumns};
use super::ledger;
use super::sql::{days, files, jobs, runs};
use super::whole::{About, Whole, whole};
use crate::damage::Damage;
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
        let facts = facts.ok_or_else(|| StateError::UnknownJob {
            job_id: job_id.to_owned(),
        })?;
        self.told.tell_of(&facts.damages);
        Ok(facts)
    }
}

async fn read(tx: &mut SqliteConnection, job_id: &str) -> sqlx::Result<Option<Facts>> {
    let job = sqlx::query(jobs::ONE)
        .bind(job_id)
        .try_map(|row| decode::job_row(&row))
        .fetch_optional(&mut *tx)
        .await?;
    let Some(job) = job else { return Ok(None) };
    let mut damages: Vec<Damage> = job.damage.iter().cloned().collect();
    let days = sqlx::query(days::SPECIAL_DAYS)
        .bind(job_id)
        .bind(&job.config.feed)
        .fetch_all(&mut *tx)
        .await?;
    let days = kept(whole(days, About::Days, day_fact)?, Some(job_id), &mut damages);
    let files = sqlx::query(files::FILE_FACTS).fetch_all(&mut *tx).await?;
    let files = kept(whole(files, About::Files, file_fact)?, None, &mut damages);
    let waves = waves(tx, job_id, &mut damages).await?;
    let completions = sqlx::query(runs::COMPLETIONS)
        .bind(job_id)
        .fetch_all(&mut *tx)
        .await?;
    let completions = kept(whole(completions, About::Runs, completion)?, None, &mut damages);
    let active = sqlx::query(runs::ACTIVE_ELSEWHERE)
        .bind(job_id)
        .fetch_all(&mut *tx)
        .await?;
    let active = kept(whole(active, About::Runs, active_run)?, None, &mut damages);
    let newest_submission = sqlx::query_scalar(files::NEWEST_SUBMISSION)
        .fetch_one(&mut *tx)
        .await?;
    let (ledger, damaged_loads) = ledger::news(tx, Some(job_id)).await?;
    damages.extend(damaged_loads);
    damages.sort_unstable();
    damages.dedup();
    Ok(Some(Facts {
        job,
        files,
        days,
        waves,
        completions,
        active_elsewhere: active,
        newest_submission,
        ledger,
        damages,
    }))
}

/// Returns the rows that could be read, and notes what is wrong with the others. Where these do not name a job, `job_id`
/// is the one that waits.
fn kept<T>(whole: Whole<T>, job_id: Option<&str>, damages: &mut Vec<Damage>) -> Vec<T> {
    damages.extend(whole.damages.into_iter().map(|damage| Damage {
        job_id: damage.job_id.or_else(|| job_id.map(ToOwned::to_owned)),
        ..damage
    }));
    whole.rows
}

async fn waves(
    tx: &mut SqliteConnection,
    job_id: &str,
    damages: &mut Vec<Damage>,
) -> sqlx::Result<BTreeMap<Option<Date>, WaveRuns>> {
    let newest = sqlx::query(runs::NEWEST_BY_WAVE)
        .bind(job_id)
        .fetch_all(tx)
        .await?;
    let newest = kept(
        whole(newest, About::Runs, decode::run_row)?,
        Some(job_id),
        damages,
    );
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
