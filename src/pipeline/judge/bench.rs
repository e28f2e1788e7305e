//! The judgement of some waves of one job: it asks the state database, and queues the runs that may start.

use std::collections::BTreeSet;
use std::sync::Arc;

use gristmill_state::{Clock, Enqueued, StateDb, StateError, Waves};
use jiff::civil::Date;

use crate::pipeline::activity::Activity;
use crate::pipeline::crash_point;
use crate::pipeline::retry::{Patience, with_retries};
use crate::preconditions::{IndexedJob, Verdict, assess};

/// What a judgement needs, also beside the others.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) state: Arc<StateDb>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) patience: Patience,
    pub(super) activity: Arc<Activity>,
}

impl Bench {
    /// Judges some waves of a job, and queues the runs that may start.
    pub(super) async fn judge(
        &self,
        job: &IndexedJob,
        waves: BTreeSet<Option<Date>>,
    ) -> anyhow::Result<Vec<Verdict>> {
        let verdicts = with_retries(&self.patience, "judging a job", || async {
            Ok(self.try_to_judge(job, waves.clone()).await?)
        });
        Ok(verdicts.await?)
    }

    async fn try_to_judge(
        &self,
        job: &IndexedJob,
        waves: BTreeSet<Option<Date>>,
    ) -> Result<Vec<Verdict>, StateError> {
        let (id, state) = (job.config.id.as_str(), &self.state);
        // One that cannot be judged was told when the jobs were read.
        let Ok(plan) = job.plan() else {
            return Ok(Vec::new());
        };
        let question = plan.question(Waves::These(waves));
        let verdicts = match assess(state, plan, &question, self.clock.now()).await {
            // Somebody has deleted it since the jobs were read.
            Err(StateError::UnknownJob { .. }) => return Ok(Vec::new()),
            // Somebody has garbled its row since; it is told when the jobs are read again.
            Err(StateError::Impossible { .. } | StateError::Damaged { .. }) => return Ok(Vec::new()),
            assessed => assessed?,
        };
        let due = verdicts.iter().filter(|verdict| verdict.is_ready());
        for run in due.filter_map(|verdict| verdict.run.as_ref()) {
            match state.enqueue(run).await? {
                Enqueued::Queued(run_id) => {
                    crash_point("after-queue");
                    tracing::info!(job = id, run_id, files = run.inputs.len(), cause = %run.cause, "queued");
                }
                Enqueued::Unchanged(run_id) => {
                    tracing::info!(job = id, run_id, "completed: its files are those of the last run");
                }
                Enqueued::Active(run_id) => {
                    tracing::debug!(job = id, run_id, "a run is queued or running already")
                }
            }
        }
        Ok(verdicts)
    }
}
