//! Fetches the facts of jobs, and judges these by them. The service and the commands differ only in the waves that they ask
//! about.

use gristmill_state::{Damage, Facts, Question, StateDb, StateError, Waiting, Waves};
use jiff::Timestamp;
use jiff::civil::Date;

use super::{Check, JobPlan, Verdict, WaveState, judge, waiting};
use crate::criterion;

impl JobPlan {
    /// Returns what is to be asked about some waves of the job.
    pub fn question(&self, waves: Waves) -> Question<'_> {
        Question {
            job_id: &self.id,
            waves,
            is_dated: self.files.is_dated(),
            expects_earlier_stores: self.stores.is_empty(),
            requires: self
                .requires
                .iter()
                .map(|required| required.files.as_str())
                .collect(),
            after: self.after.iter().map(String::as_str).collect(),
            strays_of_feed: None,
        }
    }

    /// Like [`question`](Self::question), for people: they are told of files that belong to no job, too.
    pub fn question_of_people(&self, waves: Waves) -> Question<'_> {
        Question {
            strays_of_feed: Some(&self.feed.name),
            ..self.question(waves)
        }
    }
}

/// Judges a job by its current facts, in the waves that are asked about. Which files it takes must be up to date:
/// [`JobIndex::matched`](super::JobIndex::matched).
pub async fn assess(
    state: &StateDb,
    plan: &JobPlan,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<Vec<Verdict>, StateError> {
    let facts = state.facts(question).await?;
    Ok(verdicts(state, plan, &facts, &state.waiting().await?, now).await)
}

/// Judges several jobs by their facts of one moment, each in the waves that its question asks about. One that is gone, or
/// whose row cannot be read any more, has no verdicts, and keeps none of the others from being judged.
pub async fn assess_each(
    state: &StateDb,
    asked: &[(&JobPlan, Question<'_>)],
    now: Timestamp,
) -> Result<Vec<Option<Vec<Verdict>>>, StateError> {
    let questions: Vec<_> = asked.iter().map(|(_, question)| question.clone()).collect();
    let facts = state.facts_of_each(&questions).await?;
    let waiting = state.waiting().await?;
    let mut judged = Vec::with_capacity(asked.len());
    for ((plan, _), facts) in asked.iter().zip(facts) {
        judged.push(match facts {
            Ok(facts) => Some(verdicts(state, plan, &facts, &waiting, now).await),
            Err(error) => {
                tracing::debug!("a job is not judged: {error}");
                None
            }
        });
    }
    Ok(judged)
}

/// Judges a job by its facts.
async fn verdicts(
    state: &StateDb,
    plan: &JobPlan,
    facts: &Facts,
    waiting: &[Waiting],
    now: Timestamp,
) -> Vec<Verdict> {
    let criterion = match &plan.criterion {
        Some(sql) => Some(criterion::ask(state.answerer(), sql).await),
        None => None,
    };
    let mut verdicts = judge(plan, facts, &criterion, now);
    waiting::add(plan, &mut verdicts, waiting);
    for verdict in &mut verdicts {
        let damages = facts.damages.iter();
        for damage in damages.filter(|damage| concerns(damage, plan, verdict.wave)) {
            verdict
                .checks
                .push(Check::new("state database", false, damage.to_string()));
            if verdict.state != WaveState::Running {
                verdict.state = WaveState::Waiting;
            }
            // What was left out may be new, once it can be read.
            verdict.is_over = false;
            verdict.is_damaged = true;
        }
    }
    verdicts
}

/// Returns whether a wave must not run before a value is corrected: it is one of the job itself, of the wave's runs, or of
/// a file that it reads or requires.
fn concerns(damage: &Damage, plan: &JobPlan, wave: Option<Date>) -> bool {
    let is_of_wave = |day: Option<Date>| day.is_none() || wave.is_none() || day == wave;
    let of_file = |file: &String| {
        let required = plan.requires.iter().map(|required| &required.files);
        let mut patterns = std::iter::once(&plan.files).chain(required);
        patterns.any(|pattern| {
            let found = pattern.captures(file);
            found.is_some_and(|found| is_of_wave(found.date))
        })
    };
    // A wave that cannot be read may be any.
    let of_run = |day: &String| is_of_wave(day.parse().ok());
    let of_job = |job: &String| *job == plan.id || plan.after.contains(job);
    damage.job_id.as_ref().is_some_and(of_job) && damage.wave.as_ref().is_none_or(of_run)
        || damage.file_url.as_ref().is_some_and(of_file)
}
