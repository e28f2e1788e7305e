//! Reads the facts that decisions rest on: those of the waves that they are about, and no more. Questions about many jobs are
//! answered together: each statement is asked once for all of them.

mod asked;
mod rows;

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use self::asked::{Asked, Shared, rows_of_each};
use self::rows::{active_run, completion, day_fact, file_fact, first_day, open_wave};
use super::StateDb;
use super::decode::{self, array, wave_text};
use super::ledger;
use super::sql::{facts as sql, files, jobs, waves as open};
use super::whole::{About, Whole, whole};
use crate::damage::Damage;
use crate::dialect::{Connection, Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::facts::{Facts, FileFact, Question, WaveRuns, Waves};
use crate::run::RunState;

impl StateDb {
    /// Reads everything that a decision about a job needs, all as of one moment. Rests on
    /// [`match_files`](Self::match_files) having been called.
    pub async fn facts(&self, question: &Question<'_>) -> Result<Facts, StateError> {
        let answers = self.facts_of_each(std::slice::from_ref(question)).await?;
        let answer = answers.into_iter().next();
        answer.unwrap_or_else(|| {
            Err(StateError::UnknownJob {
                job_id: question.job_id.to_owned(),
            })
        })
    }

    /// Reads the same for several jobs, all as of one moment. A job that is not there, or whose row cannot be read, keeps
    /// none of the others from being answered.
    pub async fn facts_of_each(
        &self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Result<Facts, StateError>>, StateError> {
        let action = "read the facts about";
        let subject = match questions {
            [one] => format!("job {}", one.job_id),
            _ => format!("{} jobs", questions.len()),
        };
        let mut tx = self.readers.begin().await.during(action, &subject)?;
        let answers = read(&mut tx, questions).await.during(action, &subject)?;
        tx.commit().await.during(action, &subject)?;
        let answers = answers.into_iter().zip(questions).map(|(answer, question)| {
            let job_id = question.job_id;
            let facts = answer.transpose().during(action, &format!("job {job_id}"))?;
            let facts = facts.ok_or_else(|| StateError::UnknownJob {
                job_id: job_id.to_owned(),
            })?;
            self.told.tell_of(&facts.damages);
            Ok(facts)
        });
        Ok(answers.collect())
    }

    /// Returns the newest submission of any file; 0 before the first one.
    pub async fn newest_submission(&self) -> Result<i64, StateError> {
        query_scalar(files::NEWEST_SUBMISSION)
            .fetch_one(&self.readers)
            .await
            .during("look up", "the newest submission")
    }
}

/// Returns the facts that each question asks for; none if there is no such job, or an error if its row cannot be read.
fn read<'f>(
    tx: &'f mut Connection,
    questions: &'f [Question<'f>],
) -> BoxFuture<'f, Result<Vec<Option<Result<Facts>>>>> {
    let answers = async move {
        let (mut all, mut answers) = begin(tx, questions).await?;
        choose_waves(tx, &mut all).await?;
        add_runs(tx, &mut all).await?;
        add_ledger(tx, &mut all).await?;
        add_files(tx, &mut all).await?;
        add_required(tx, &mut all).await?;
        add_first_days(tx, &mut all).await?;
        follow(tx, &mut all).await?;
        let newest: i64 = query_scalar(files::NEWEST_SUBMISSION).fetch_one(tx).await?;
        for Asked { place, mut facts, .. } in all {
            facts.newest_submission = newest;
            facts.damages.sort_unstable();
            facts.damages.dedup();
            answers[place] = Some(Ok(facts));
        }
        Ok(answers)
    };
    answers.boxed()
}

/// Reads the rows of the jobs. Returns the questions that can be answered, and the answers to the others.
async fn begin<'q>(
    tx: &mut Connection,
    questions: &'q [Question<'q>],
) -> Result<(Vec<Asked<'q>>, Vec<Option<Result<Facts>>>)> {
    let names = array(questions.iter().map(|question| json!(question.job_id)));
    let rows = query(jobs::THESE).bind(names).fetch_all(tx).await?;
    let mut by_name: BTreeMap<String, Row> = BTreeMap::new();
    for row in rows {
        by_name.insert(row.get("job_config_id")?, row);
    }
    let (mut all, mut answers) = (Vec::with_capacity(questions.len()), Vec::new());
    for (place, question) in questions.iter().enumerate() {
        let row = by_name.get(question.job_id);
        answers.push(match row.map(decode::job_row) {
            None => None,
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(job)) => {
                all.push(Asked::new(place, question, job));
                None
            }
        });
    }
    Ok((all, answers))
}

/// Finds the waves that the questions are about.
async fn choose_waves(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let (mut whole_jobs, mut newest) = (Vec::new(), Vec::new());
    for (number, asked) in all.iter_mut().enumerate() {
        let question = asked.question;
        match &question.waves {
            // A job without days has its one wave before it has any file.
            Waves::All | Waves::NewestAt(_) if !question.is_dated => asked.waves.push(String::new()),
            Waves::All => whole_jobs.push(json!([number, question.job_id])),
            Waves::NewestAt(day) => newest.push(json!([number, question.job_id, day.to_string()])),
            Waves::These(waves) => asked.waves.extend(waves.iter().map(|wave| wave_text(*wave))),
        }
    }
    for (statement, asked) in [(open::ALL_WAVES, whole_jobs), (open::NEWEST_WAVES, newest)] {
        let rows = rows_of_each(tx, statement, asked, all.len()).await?;
        for (asked, rows) in all.iter_mut().zip(rows) {
            for row in rows {
                asked.waves.push(row.get("wave")?);
            }
        }
    }
    Ok(())
}

/// Returns the waves that all questions are about: the number of the question, the job, the wave, and the job's feed.
fn waves_of(all: &[Asked<'_>]) -> Vec<Value> {
    let of_one = |(number, asked): (usize, &Asked<'_>)| -> Vec<Value> {
        let (job, feed) = (asked.question.job_id, asked.feed.clone());
        let waves = asked.waves.iter();
        waves.map(|wave| json!([number, job, wave, feed])).collect()
    };
    all.iter().enumerate().flat_map(of_one).collect()
}

/// Adds the newest runs of the waves, and which of these are open.
async fn add_runs(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let waves = waves_of(all);
    let runs = rows_of_each(tx, sql::NEWEST_RUNS, waves.clone(), all.len()).await?;
    let open = rows_of_each(tx, open::OPEN, waves, all.len()).await?;
    for (asked, (runs, open)) in all.iter_mut().zip(runs.into_iter().zip(open)) {
        let runs = whole(runs, About::Runs, decode::run_row)?;
        for run in asked.kept(runs) {
            let wave: &mut WaveRuns = asked.facts.waves.entry(run.wave).or_default();
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
        let open = whole(open, About::OpenWaves, open_wave)?;
        asked.facts.open = asked.kept(open).into_iter().collect();
    }
    Ok(())
}

/// Adds where the warehouse's ledger disagrees about the jobs.
async fn add_ledger(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let only = match all {
        [one] => Some(one.question.job_id),
        _ => None,
    };
    let (news, damages) = ledger::news(tx, only).await?;
    for asked in all {
        let job = asked.question.job_id;
        let unknown = news.unknown.iter().filter(|load| load.job_id == job);
        asked.facts.ledger.unknown = unknown.cloned().collect();
        let lost = news.lost.iter().filter(|run| run.job_id == job);
        asked.facts.ledger.lost = lost.cloned().collect();
        let damages = damages.iter();
        let of_job = damages.filter(|damage| damage.job_id.as_deref().is_none_or(|of| of == job));
        asked.facts.damages.extend(of_job.cloned());
    }
    Ok(())
}

/// Adds the files of the waves, their days that are special, and files that no job takes.
async fn add_files(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let waves = waves_of(all);
    let days = rows_of_each(tx, sql::SPECIAL_DAYS, waves.clone(), all.len()).await?;
    let files = rows_of_each(tx, sql::FILES, waves, all.len()).await?;
    let feeds = all.iter().enumerate().filter_map(|(number, asked)| {
        let feed = asked.question.strays_of_feed?;
        Some(json!([number, feed]))
    });
    let strays = rows_of_each(tx, sql::STRAYS, feeds.collect(), all.len()).await?;
    let rows = days.into_iter().zip(files.into_iter().zip(strays));
    for (asked, (days, (files, strays))) in all.iter_mut().zip(rows) {
        let days = whole(days, About::Days, day_fact)?;
        asked.facts.days = asked.kept(days);
        let mut files = asked.file_facts(files)?;
        files.extend(asked.file_facts(strays)?);
        // Sorting fewer rows here is cheaper than having the database sort whole rows.
        files.sort_unstable_by(|one, other| one.file_url.cmp(&other.file_url));
        asked.facts.files = files;
    }
    Ok(())
}

/// Adds the newest files of what the jobs require. Many jobs may require the same.
async fn add_required(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let (mut of_days, mut of_all) = (Shared::default(), Shared::default());
    for (number, asked) in all.iter().enumerate() {
        for pattern in &asked.question.requires {
            match asked.question.is_dated {
                true => {
                    for wave in asked.waves_and_none() {
                        of_days.add(number, json!([pattern, wave]));
                    }
                }
                false => of_all.add(number, json!([pattern])),
            }
        }
    }
    for (statement, shared) in [(sql::REQUIRED_OF_DAYS, of_days), (sql::REQUIRED, of_all)] {
        let found = shared.ask(tx, statement, About::Files, file_fact).await?;
        for (number, asked) in all.iter_mut().enumerate() {
            let (required, damages) = found.of(number);
            asked.facts.required.extend(required);
            asked.facts.damages.extend(damages);
        }
    }
    Ok(())
}

/// Adds the first days of the stores of jobs that expect them in later waves.
async fn add_first_days(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let expecting = all.iter().enumerate().filter(|(_, asked)| {
        let question = asked.question;
        question.is_dated && question.expects_earlier_stores && question.waves != Waves::All
    });
    let expecting = expecting.map(|(number, asked)| json!([number, asked.question.job_id]));
    let rows = rows_of_each(tx, open::FIRST_WAVES, expecting.collect(), all.len()).await?;
    for (asked, rows) in all.iter_mut().zip(rows) {
        let first = whole(rows, About::JobFiles, first_day)?;
        asked.facts.first_days = asked.kept(first).into_iter().flatten().collect();
    }
    Ok(())
}

/// Adds what there is to know about the jobs that these follow.
async fn follow(tx: &mut Connection, all: &mut [Asked<'_>]) -> Result<()> {
    let (mut of_waves, mut of_any) = (Shared::default(), Shared::default());
    let mut active = Shared::default();
    for (number, asked) in all.iter().enumerate() {
        let question = asked.question;
        for job in question.after.iter().filter(|job| **job != question.job_id) {
            active.add(number, json!(job));
            match question.is_dated {
                true => {
                    for wave in asked.waves_and_none() {
                        of_waves.add(number, json!([job, wave]));
                    }
                }
                false => of_any.add(number, json!([job])),
            }
        }
    }
    for (statement, shared) in [(sql::COMPLETIONS_OF_WAVES, of_waves), (sql::COMPLETIONS, of_any)] {
        let found = shared.ask(tx, statement, About::Runs, completion).await?;
        for (number, asked) in all.iter_mut().enumerate() {
            let (completions, damages) = found.of(number);
            asked.facts.completions.extend(completions);
            asked.facts.damages.extend(damages);
        }
    }
    let found = active.ask(tx, sql::ACTIVE, About::Runs, active_run).await?;
    for (number, asked) in all.iter_mut().enumerate() {
        let (active, damages) = found.of(number);
        asked.facts.active_elsewhere = active;
        asked.facts.damages.extend(damages);
    }
    Ok(())
}
