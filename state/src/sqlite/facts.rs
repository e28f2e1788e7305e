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
use super::whole::{About, Whole, whole};
use crate::damage::Damage;
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
        let facts = facts.ok_or_else(|| StateError::UnknownJob {
            job_id: job_id.to_owned(),
        })?;
        self.told.tell_of(&facts.damages);
        Ok(facts)
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
    let job = decode::job_row(&job)?;
    let mut damages: Vec<Damage> = job.damage.into_iter().collect();
    let waves = chosen_waves(tx, question).await?;
    let days = sqlx::query(sql::SPECIAL_DAYS)
        .bind(job_id)
        .bind(&waves)
        .bind(&job.config.feed)
        .fetch_all(&mut *tx)
        .await?;
    let mut facts = Facts {
        days: kept(whole(days, About::Days, day_fact)?, Some(job_id), &mut damages),
        waves: newest_runs(tx, job_id, &waves, &mut damages).await?,
        newest_submission: sqlx::query_scalar(files::NEWEST_SUBMISSION)
            .fetch_one(&mut *tx)
            .await?,
        ..Facts::default()
    };
    let (news, of_ledger) = ledger::news(tx, Some(job_id)).await?;
    facts.ledger = news;
    damages.extend(of_ledger);
    let of_waves = sqlx::query(sql::FILES).bind(job_id).bind(&waves);
    facts.files = file_facts(tx, of_waves, &mut damages).await?;
    if let Some(feed) = question.strays_of_feed {
        let strays = sqlx::query(sql::STRAYS).bind(feed);
        facts.files.extend(file_facts(tx, strays, &mut damages).await?);
    }
    // Sorting fewer rows here is cheaper than having the database sort whole rows.
    facts
        .files
        .sort_unstable_by(|one, other| one.file_url.cmp(&other.file_url));
    if !question.requires.is_empty() {
        let required = sqlx::query(sql::REQUIRED)
            .bind(json!(question.requires).to_string())
            .bind(question.is_dated.then_some(&waves));
        facts.required = file_facts(tx, required, &mut damages).await?;
    }
    if question.is_dated && question.expects_earlier_stores && question.waves != Waves::All {
        facts.first_days = first_days(tx, job_id, &mut damages).await?;
    }
    follow(tx, question, &waves, &mut facts, &mut damages).await?;
    let open = sqlx::query(open::OPEN)
        .bind(job_id)
        .bind(&waves)
        .fetch_all(tx)
        .await?;
    let open = whole(open, About::OpenWaves, |row| {
        Ok((decode::wave(row)?, row.try_get("touched")?))
    })?;
    facts.open = kept(open, Some(job_id), &mut damages).into_iter().collect();
    damages.sort_unstable();
    damages.dedup();
    facts.damages = damages;
    Ok(Some(facts))
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

/// Returns the waves that a question is about, as a JSON array.
async fn chosen_waves(tx: &mut SqliteConnection, question: &Question<'_>) -> sqlx::Result<String> {
    let waves: Vec<String> = match &question.waves {
        // A job without days has its one wave before it has any file.
        Waves::All | Waves::NewestAt(_) if !question.is_dated => vec![String::new()],
        Waves::All => {
            let all = sqlx::query_scalar(open::ALL_WAVES).bind(question.job_id);
            all.fetch_all(tx).await?
        }
        Waves::NewestAt(day) => {
            let newest = sqlx::query_scalar(open::NEWEST_WAVES)
                .bind(question.job_id)
                .bind(day.to_string());
            newest.fetch_all(tx).await?
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
    damages: &mut Vec<Damage>,
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
    let completions = completions.fetch_all(&mut *tx).await?;
    facts.completions = kept(whole(completions, About::Runs, completion)?, None, damages);
    let active = sqlx::query(sql::ACTIVE).bind(&after).fetch_all(tx).await?;
    facts.active_elsewhere = kept(whole(active, About::Runs, active_run)?, None, damages);
    Ok(())
}

async fn first_days(
    tx: &mut SqliteConnection,
    job_id: &str,
    damages: &mut Vec<Damage>,
) -> sqlx::Result<BTreeMap<String, Date>> {
    let rows = sqlx::query(open::FIRST_WAVES).bind(job_id).fetch_all(tx).await?;
    let first = whole(rows, About::JobFiles, |row| {
        let date: Option<Date> = row.parsed_or_null("wave")?;
        date.map(|date| Ok((row.try_get("id")?, date))).transpose()
    })?;
    Ok(kept(first, Some(job_id), damages).into_iter().flatten().collect())
}

async fn newest_runs(
    tx: &mut SqliteConnection,
    job_id: &str,
    waves: &str,
    damages: &mut Vec<Damage>,
) -> sqlx::Result<BTreeMap<Option<Date>, WaveRuns>> {
    let newest = sqlx::query(sql::NEWEST_RUNS)
        .bind(job_id)
        .bind(waves)
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

async fn file_facts(
    tx: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    damages: &mut Vec<Damage>,
) -> sqlx::Result<Vec<FileFact>> {
    let files = query.fetch_all(tx).await?;
    Ok(kept(whole(files, About::Files, file_fact)?, None, damages))
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
