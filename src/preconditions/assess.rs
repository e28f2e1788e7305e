//! Fetches the facts of a job, and judges it by them. The service and the commands differ only in the waves that they ask
//! about.

use std::time::Duration;

use gristmill_state::{Question, StateDb, StateError, Waves};
use jiff::Timestamp;

use super::{JobPlan, Verdict, judge};

/// How long `job_addl_criteria` may take.
const CRITERION_LIMIT: Duration = Duration::from_secs(5);

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
    let criterion = match &plan.criterion {
        Some(sql) => Some(state.criterion(sql, CRITERION_LIMIT).await),
        None => None,
    };
    Ok(judge(plan, &facts, &criterion, now))
}
