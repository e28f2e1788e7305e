//! Rounds of judgement: each judges what was touched since the last one, until nothing is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use gristmill_loader::LoadMode;
use gristmill_state::{Clock, Enqueued, StateDb, StateError, Takers, Waves};
use jiff::Timestamp;
use jiff::civil::Date;

use super::board::Board;
use crate::pipeline::crash_point;
use crate::pipeline::jobs::CurrentJobs;
use crate::pipeline::retry::with_retries;
use crate::pipeline::strays::Told;
use crate::preconditions::{IndexedJob, JobIndex, ReloadConflict, Verdict, assess, check_reload};

/// What the stage knows between two rounds.
pub(super) struct Rounds<'p> {
    state: &'p StateDb,
    clock: &'p dyn Clock,
    jobs: &'p CurrentJobs,
    mode: LoadMode,
    board: Board,
    told: Told,
    /// Why no job runs, if none does.
    refused: Option<ReloadConflict>,
    /// The edition of the jobs for which that was found.
    edition: Option<i64>,
}

impl<'p> Rounds<'p> {
    pub(super) fn new(
        state: &'p StateDb,
        clock: &'p dyn Clock,
        jobs: &'p CurrentJobs,
        mode: LoadMode,
    ) -> Self {
        Self {
            state,
            clock,
            jobs,
            mode,
            board: Board::new(),
            told: Told::default(),
            refused: None,
            edition: None,
        }
    }

    /// Waits for the next moment that matters to a wave.
    pub(super) async fn moment(&self) {
        let Some(at) = self.board.next_moment() else {
            return std::future::pending().await;
        };
        let left = at.duration_since(self.clock.now());
        tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    }

    /// Judges the waves that were touched, or whose moment has come, until none is left. With `is_sweep`, also those that
    /// wait for a query. `files` were recorded since the last round.
    pub(super) async fn judge_touched(&mut self, files: &[String], is_sweep: bool) -> anyhow::Result<()> {
        let (mut files, mut is_sweep) = (files, is_sweep);
        loop {
            let jobs = self.current_jobs().await?;
            self.told.tell(self.state, &jobs, files).await?;
            files = &[];
            let since = self.board.look(self.clock.now());
            let touched = with_retries("looking for what was touched", || async {
                Ok(self.state.touched_waves(since).await?)
            });
            let is_any = self.board.note(touched.await?);
            if is_any || is_sweep {
                self.board.note_criteria();
            }
            is_sweep = false;
            self.board.note_time(self.clock.now());
            // What was touched meanwhile is judged once jobs may run again.
            if self.is_refused(&jobs) || !self.judge_board(&jobs).await? {
                return Ok(());
            }
        }
    }

    /// Returns the jobs of now. Which files they take is up to date.
    async fn current_jobs(&self) -> anyhow::Result<Arc<JobIndex>> {
        loop {
            let jobs = with_retries("reading the jobs", || async {
                let jobs = self.jobs.get(self.state).await?;
                match self.state.match_files(&*jobs).await {
                    Err(StateError::JobsEdited) => Ok(None),
                    matched => Ok(Some(matched.map(|()| jobs)?)),
                }
            });
            if let Some(jobs) = jobs.await? {
                return Ok(jobs);
            }
        }
    }

    /// Returns whether no job may run: a job may have been added or resumed since the start.
    fn is_refused(&mut self, jobs: &JobIndex) -> bool {
        let edition = Some(jobs.edition());
        if std::mem::replace(&mut self.edition, edition) != edition {
            let conflict = check_reload(self.mode, jobs.jobs().map(|job| &job.config)).err();
            if let Some(conflict) = conflict.as_ref().filter(|_| conflict != self.refused) {
                tracing::error!("no job runs: {conflict}");
            }
            self.refused = conflict;
        }
        self.refused.is_some()
    }

    /// Judges what is on the board, and returns whether it was anything.
    async fn judge_board(&mut self, jobs: &JobIndex) -> anyhow::Result<bool> {
        let mut is_any = false;
        while let Some((job_id, waves)) = self.board.take() {
            is_any = true;
            // Somebody may have deleted it since.
            let Some(job) = jobs.job(&job_id) else { continue };
            let verdicts = with_retries("judging a job", || async {
                Ok(judge_job(self.state, self.clock.now(), job, waves.clone()).await?)
            });
            for verdict in verdicts.await? {
                self.board.judged(&job_id, &verdict);
            }
        }
        let over = self.board.take_over();
        if !over.is_empty() {
            with_retries("closing waves", || async {
                Ok(self.state.close_waves(&over).await?)
            })
            .await?;
        }
        Ok(is_any)
    }
}

/// Judges some waves of a job, and queues the runs that may start.
async fn judge_job(
    state: &StateDb,
    now: Timestamp,
    job: &IndexedJob,
    waves: BTreeSet<Option<Date>>,
) -> Result<Vec<Verdict>, StateError> {
    let id = job.config.id.as_str();
    // One that cannot be judged was told when the jobs were read.
    let Ok(plan) = job.plan() else {
        return Ok(Vec::new());
    };
    let question = plan.question(Waves::These(waves));
    let verdicts = match assess(state, plan, &question, now).await {
        // Somebody has deleted it since the jobs were read.
        Err(StateError::UnknownJob { .. }) => return Ok(Vec::new()),
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
