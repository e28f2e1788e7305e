//! The third stage: a wave of a job is judged when something changes that its verdict rests on, whoever changes it, and
//! when a moment comes that matters to it. Runs that may start are queued.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gristmill_state::{Enqueued, StateError, Takers, Waves};
use jiff::civil::Date;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::activity::Token;
use super::board::Board;
use super::retry::with_retries;
use super::sources::Sources;
use super::strays::Told;
use super::{Parts, crash_point, stopped};
use crate::preconditions::{IndexedJob, JobIndex, ReloadConflict, Verdict, assess, check_reload};

/// How often to ask the state database whether somebody else has written to it.
const EDITS: Duration = Duration::from_millis(500);

/// While files keep arriving, this stage rests this many times as long as its last round took. A job is judged by all
/// its files: after each group of a long queue, that would cost more than the queue. With few files, the rest is a few
/// milliseconds.
const REST: u32 = 4;

/// Why there may be something to judge. What it is stands in the state database.
#[derive(Debug)]
pub(super) struct ToJudge {
    /// Files that were recorded.
    pub(super) files: Vec<String>,
    /// The tokens of the work that led to it.
    pub(super) tokens: Vec<Token>,
}

impl ToJudge {
    /// Has the stage look at what was touched.
    pub(super) fn wake(token: Token) -> Self {
        Self {
            files: Vec::new(),
            tokens: vec![token],
        }
    }
}

/// Judges jobs until it is stopped.
pub(super) async fn judge_jobs(
    parts: Arc<Parts>,
    sources: Arc<Sources>,
    mut cues: mpsc::Receiver<ToJudge>,
    runs: mpsc::Sender<Token>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut sweep = tokio::time::interval(parts.settings.clock_pause());
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut edits = tokio::time::interval(EDITS);
    edits.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = parts.state.changes().await?;
    let mut incoming = Vec::new();
    let mut rested = Instant::now();
    let mut judge = Judge::new(&parts);
    loop {
        let may_rest = may_rest(&parts, &incoming) && Instant::now() < rested;
        // Queries may depend on the time, and the clock may have been set.
        let mut is_sweep = false;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            _ = sweep.tick() => {
                is_sweep = true;
                incoming.push(ToJudge::wake(parts.activity.begin()));
            }
            _ = edits.tick() => {
                let now = with_retries("asking for edits", || async { Ok(parts.state.changes().await?) }).await?;
                if now == seen {
                    continue;
                }
                seen = now;
                let marked = || async { Ok(parts.state.files_to_look_at().await?) };
                for path in with_retries("asking for files to look at", marked).await? {
                    sources.look_again(&path);
                }
                // An edit of anything may change what a query returns.
                is_sweep = true;
                incoming.push(ToJudge::wake(parts.activity.begin()));
            }
            () = judge.moment() => incoming.push(ToJudge::wake(parts.activity.begin())),
            _ = std::future::ready(()), if !incoming.is_empty() && !may_rest => {}
            _ = tokio::time::sleep_until(rested), if may_rest => {}
            _ = cues.recv_many(&mut incoming, 100) => continue,
        }
        let began = Instant::now();
        let files: Vec<String> = incoming
            .iter_mut()
            .flat_map(|to_judge| std::mem::take(&mut to_judge.files))
            .collect();
        judge.judge_touched(&files, is_sweep).await?;
        let ended = Instant::now();
        rested = ended + (ended - began) * REST;
        // A wake is sent even if nothing was queued here: another process may have queued a run. A full channel still
        // holds a wake that will be received, so none is lost. Waiting for room could deadlock, because the runs' stage
        // sends to this one. If that stage is gone, the pipeline stops, and what is queued stays queued.
        let _ = runs.try_send(parts.activity.begin());
        incoming.clear();
    }
}

/// Returns whether judging can wait for more: only files have come in, and others are on their way.
fn may_rest(parts: &Parts, incoming: &[ToJudge]) -> bool {
    let waiting: usize = incoming.iter().map(|to_judge| to_judge.tokens.len()).sum();
    let are_files = incoming.iter().all(|to_judge| !to_judge.files.is_empty());
    waiting > 0 && are_files && parts.activity.in_progress() > waiting
}

/// What the stage knows between two rounds.
struct Judge<'p> {
    parts: &'p Parts,
    board: Board,
    told: Told,
    /// Why no job runs, if none does.
    refused: Option<ReloadConflict>,
    /// The edition of the jobs for which that was found.
    edition: Option<i64>,
}

impl<'p> Judge<'p> {
    fn new(parts: &'p Parts) -> Self {
        Self {
            parts,
            board: Board::new(),
            told: Told::default(),
            refused: None,
            edition: None,
        }
    }

    /// Waits for the next moment that matters to a wave.
    async fn moment(&self) {
        let Some(at) = self.board.next_moment() else {
            return std::future::pending().await;
        };
        let left = at.duration_since(self.parts.clock.now());
        tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    }

    /// Judges the waves that were touched, or whose moment has come, until none is left. With `is_sweep`, also those that
    /// wait for a query. `files` were recorded since the last round.
    async fn judge_touched(&mut self, files: &[String], is_sweep: bool) -> anyhow::Result<()> {
        let (mut files, mut is_sweep) = (files, is_sweep);
        loop {
            let jobs = self.current_jobs().await?;
            self.told.tell(self.parts, &jobs, files).await?;
            files = &[];
            let since = self.board.seen();
            let touched = with_retries("looking for what was touched", || async {
                Ok(self.parts.state.touched_waves(since).await?)
            });
            let is_any = self.board.note(touched.await?);
            if is_any || is_sweep {
                self.board.note_criteria();
            }
            is_sweep = false;
            self.board.note_time(self.parts.clock.now());
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
                let jobs = self.parts.current_jobs().await?;
                match self.parts.state.match_files(&*jobs).await {
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
            let mode = self.parts.settings.target.mode;
            let conflict = check_reload(mode, jobs.jobs().map(|job| &job.config)).err();
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
                Ok(judge_job(self.parts, job, waves.clone()).await?)
            });
            for verdict in verdicts.await? {
                self.board.judged(&job_id, &verdict);
            }
        }
        let over = self.board.take_over();
        if !over.is_empty() {
            with_retries("closing waves", || async {
                Ok(self.parts.state.close_waves(&over).await?)
            })
            .await?;
        }
        Ok(is_any)
    }
}

/// Judges some waves of a job, and queues the runs that may start.
async fn judge_job(
    parts: &Parts,
    job: &IndexedJob,
    waves: BTreeSet<Option<Date>>,
) -> Result<Vec<Verdict>, StateError> {
    let id = job.config.id.as_str();
    let plan = match job.plan() {
        Ok(plan) => plan,
        Err(error) => {
            tracing::warn!(
                job = id,
                "the job's configuration is invalid: {error}; correct it in aggr_job_configuration"
            );
            return Ok(Vec::new());
        }
    };
    let question = plan.question(Waves::These(waves));
    let verdicts = match assess(&parts.state, plan, &question, parts.clock.now()).await {
        // Somebody has deleted it since the jobs were read.
        Err(StateError::UnknownJob { .. }) => return Ok(Vec::new()),
        assessed => assessed?,
    };
    let due = verdicts.iter().filter(|verdict| verdict.is_ready());
    for run in due.filter_map(|verdict| verdict.run.as_ref()) {
        match parts.state.enqueue(run).await? {
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
