//! Reads the facts that a decision rests on: those of the waves that it is about, and no more.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StateDb;
use super::decode::{self, TextColumns, wave_text};
use super::ledger;
use super::sql::{facts as sql, files, jobs, waves as open};
use crate::error::{During, StateError};
use crate::facts::{ActiveRun, Completion, DayFact, Facts, FileFact, InForce, Question, WaveRuns, Waves};
use crate::run::RunState;

impl StateDb {
    /// Reads everything that a decision about a job needs, all as of one moment. Rests on
    /// [`match_files`](Self::match_files) having been called.
    pub async fn facts(&self, question: &Question<'_>) -> Result<Facts, StateError> {
        let (action, job_id) = ("read the facts about job", question.job_id);
        let mut tx = self.readers.begin().await.during(action, job_id)?;
        let facts = read(&mut tx, question).await.during(action, job_id)?;
        tx.commit().await.during(action, job_id)?;
        facts.ok_or_else(|| StateError::UnknownJob {
            job_id: job_id.to_owned(),
        })
    }

    /// Returns the newest submission of any file; 0 before the first one.
    pub async fn newest_submission(&self) -> Result<i64, StateError> {
        sqlx::query_scalar(files::NEWEST_SUBMISSION)
            .fetch_one(&self.readers)
            .await
            .during("look up", "the newest submission")
    }
}

async fn read(tx: &mut SqliteConnection, question: &Question<'_>) -> sqlx::Result<Option<Facts>> {
    let job_id = question.job_id;
    let job = sqlx::query(jobs::ONE)
        .bind(job_id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(job) = job else { return Ok(None) };
    let waves = chosen_waves(tx, question).await?;
    let mut facts = Facts {
        days: sqlx::query(sql::SPECIAL_DAYS)
            .bind(job_id)
            .bind(&waves)
            .bind(job.try_get::<&str, _>("job_feed")?)
            .try_map(|row| day_fact(&row))
            .fetch_all(&mut *tx)
            .await?,
        waves: newest_runs(tx, job_id, &waves).await?,
        newest_submission: sqlx::query_scalar(files::NEWEST_SUBMISSION)
            .fetch_one(&mut *tx)
            .await?,
        ledger: ledger::news(tx, Some(job_id)).await?,
        ..Facts::default()
    };
    let of_waves = sqlx::query(sql::FILES).bind(job_id).bind(&waves);
    facts.files = file_facts(tx, of_waves).await?;
    if let Some(feed) = question.strays_of_feed {
        let strays = sqlx::query(sql::STRAYS).bind(feed);
        facts.files.extend(file_facts(tx, strays).await?);
    }
    // Sorting fewer rows here is cheaper than having the database sort whole rows.
    facts
        .files
        .sort_unstable_by(|one, other| one.file_url.cmp(&other.file_url));
    if !question.requires.is_empty() {
        let required = sqlx::query(sql::REQUIRED)
            .bind(json!(question.requires).to_string())
            .bind(question.is_dated.then_some(&waves));
        facts.required = file_facts(tx, required).await?;
    }
    if question.is_dated && question.expects_earlier_stores && question.waves != Waves::All {
        facts.first_days = first_days(tx, job_id).await?;
    }
    follow(tx, question, &waves, &mut facts).await?;
    let open = sqlx::query(open::OPEN)
        .bind(job_id)
        .bind(&waves)
        .try_map(|row: SqliteRow| Ok((decode::wave(&row)?, row.try_get("touched")?)))
        .fetch_all(tx)
        .await?;
    facts.open = open.into_iter().collect();
    Ok(Some(facts))
}

/// Returns the waves that a question is about, as a JSON array.
async fn chosen_waves(tx: &mut SqliteConnection, question: &Question<'_>) -> sqlx::Result<String> {
    let waves: Vec<String> = match &question.waves {
        // A job without days has its one wave before it has any file.
        Waves::All | Waves::Newest if !question.is_dated => vec![String::new()],
        Waves::All => {
            let all = sqlx::query_scalar(open::ALL_WAVES).bind(question.job_id);
            all.fetch_all(tx).await?
        }
        Waves::Newest => {
            let newest = sqlx::query_scalar(open::NEWEST_WAVE).bind(question.job_id);
            let newest: Option<String> = newest.fetch_one(tx).await?;
            newest.into_iter().collect()
        }
        Waves::These(waves) => waves.iter().map(|wave| wave_text(*wave)).collect(),
    };
    Ok(json!(waves).to_string())
}

/// Adds what there is to know about the jobs that this one follows.
async fn follow(
    tx: &mut SqliteConnection,
    question: &Question<'_>,
    waves: &str,
    facts: &mut Facts,
) -> sqlx::Result<()> {
    let after = question.after.iter().filter(|job| **job != question.job_id);
    let after: Vec<_> = after.collect();
    if after.is_empty() {
        return Ok(());
    }
    let after = json!(after).to_string();
    let completions = match question.is_dated {
        true => sqlx::query(sql::COMPLETIONS_OF_WAVES).bind(&after).bind(waves),
        false => sqlx::query(sql::COMPLETIONS).bind(&after),
    };
    facts.completions = completions
        .try_map(|row| completion(&row))
        .fetch_all(&mut *tx)
        .await?;
    facts.active_elsewhere = sqlx::query(sql::ACTIVE)
        .bind(&after)
        .try_map(|row| active_run(&row))
        .fetch_all(tx)
        .await?;
    Ok(())
}

async fn first_days(tx: &mut SqliteConnection, job_id: &str) -> sqlx::Result<BTreeMap<String, Date>> {
    let rows = sqlx::query(open::FIRST_WAVES).bind(job_id).fetch_all(tx).await?;
    let mut first = BTreeMap::new();
    for row in rows {
        if let Some(date) = row.parsed_or_null("wave")? {
            first.insert(row.try_get("id")?, date);
        }
    }
    Ok(first)
}

async fn newest_runs(
    tx: &mut SqliteConnection,
    job_id: &str,
    waves: &str,
) -> sqlx::Result<BTreeMap<Option<Date>, WaveRuns>> {
    let newest = sqlx::query(sql::NEWEST_RUNS)
        .bind(job_id)
        .bind(waves)
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

async fn file_facts(
    tx: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
) -> sqlx::Result<Vec<FileFact>> {
    query.try_map(|row| file_fact(&row)).fetch_all(tx).await
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
