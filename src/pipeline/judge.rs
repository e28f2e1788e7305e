//! The third stage: jobs are judged when one of their files changes state, when somebody edits the state database, and
//! at regular intervals. Runs that may start are queued.

use std::sync::Arc;
use std::time::Duration;

use gristmill_state::{Enqueued, JobRow, StateError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::activity::Token;
use super::beside::Beside;
use super::retry::with_retries;
use super::sources::Sources;
use super::strays::Told;
use super::{Parts, crash_point, edits, stopped};
use crate::preconditions::{JobPlan, Verdict, assess, check_reload};

/// How often to ask the state database whether somebody else has written to it.
const EDITS: Duration = Duration::from_millis(500);

/// While files keep arriving, this stage rests this many times as long as its last round took. A round reads all known
/// files: after each group of a long queue, it would cost more than the queue. With few files, the rest is a few
/// milliseconds.
const REST: u32 = 4;

/// Why jobs are judged.
#[derive(Debug)]
pub(super) enum Cue {
    /// These files changed state.
    Files(Vec<String>),
    /// Something happened that may concern any job.
    Everything,
}

/// A cue, with the tokens of the work that led to it.
#[derive(Debug)]
pub(super) struct ToJudge {
    pub(super) cue: Cue,
    pub(super) tokens: Vec<Token>,
}

impl ToJudge {
    pub(super) fn everything(token: Token) -> Self {
        Self {
            cue: Cue::Everything,
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
    let mut told = Told::default();
    let mut refused = None;
    let mut beside = Beside::default();
    loop {
        let may_rest = may_rest(&parts, &incoming) && Instant::now() < rested;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            _ = sweep.tick() => incoming.push(ToJudge::everything(parts.activity.begin())),
            _ = edits.tick() => {
                let now = with_retries(&parts.patience, "asking for edits", || async { Ok(parts.state.changes().await?) }).await?;
                if now == seen {
                    continue;
                }
                seen = now;
                let marked = || async { Ok(parts.state.files_to_look_at().await?) };
                for path in with_retries(&parts.patience, "asking for files to look at", marked).await? {
                    sources.look_again(&path);
                }
                incoming.push(ToJudge::everything(parts.activity.begin()));
            }
            ended = beside.ended() => {
                let (concerns_others, token) = ended?;
                let _ = runs.try_send(token.clone());
                if concerns_others {
                    incoming.push(ToJudge::everything(token));
                }
                continue;
            }
            _ = std::future::ready(()), if !incoming.is_empty() && !may_rest => {}
            _ = tokio::time::sleep_until(rested), if may_rest => {}
            _ = cues.recv_many(&mut incoming, 100) => continue,
        }
        edits::tell(&parts).await?;
        let began = Instant::now();
        let mut completed_at_once = false;
        let jobs = with_retries(&parts.patience, "reading the jobs", || async {
            Ok(parts.state.jobs().await?)
        })
        .await?;
        told.tell(&parts, &jobs, &incoming).await?;
        // A job may have been added or resumed since the start.
        let mode = parts.settings.target.mode;
        let conflict = check_reload(mode, jobs.iter().map(|job| &job.config)).err();
        if let Some(conflict) = conflict.as_ref().filter(|_| conflict != refused) {
            tracing::error!("no job runs: {conflict}");
        }
        refused = conflict;
        for job in jobs.into_iter().filter(|_| refused.is_none()) {
            if incoming
                .iter()
                .any(|to_judge| concerns(&parts, &to_judge.cue, &job))
            {
                // The others must not wait for somebody's SELECT.
                if job.config.addl_criteria.is_some() {
                    beside.judge(&parts, job);
                    continue;
                }
                completed_at_once |= with_retries(&parts.patience, "judging a job", || async {
                    Ok(judge_job(&parts, &job).await?)
                })
                .await?;
            }
        }
        let ended = Instant::now();
        rested = ended + (ended - began) * REST;
        // A wake is sent even if nothing was queued here: another process may have queued a run. A full channel still
        // holds a wake that will be received, so none is lost. Waiting for room could deadlock, because the runs' stage
        // sends to this one. If that stage is gone, the pipeline stops, and what is queued stays queued.
        let _ = runs.try_send(parts.activity.begin());
        incoming.clear();
        if completed_at_once {
            incoming.push(ToJudge::everything(parts.activity.begin()));
        }
    }
}

/// Returns whether judging can wait for more: only files have come in, and others are on their way.
fn may_rest(parts: &Parts, incoming: &[ToJudge]) -> bool {
    let waiting: usize = incoming.iter().map(|to_judge| to_judge.tokens.len()).sum();
    let are_files = incoming
        .iter()
        .all(|to_judge| matches!(to_judge.cue, Cue::Files(_)));
    waiting > 0 && are_files && parts.activity.in_progress() > waiting
}

/// Returns whether a cue can change the verdict on a job. A job that cannot be parsed is judged, so that it is
/// reported.
fn concerns(parts: &Parts, cue: &Cue, job: &JobRow) -> bool {
    let Cue::Files(files) = cue else { return true };
    let Ok(plan) = JobPlan::new(&job.config, &parts.settings.feeds) else {
        return true;
    };
    files.iter().any(|file| {
        plan.files.matches(file) || plan.requires.iter().any(|required| required.files.matches(file))
    })
}

/// Judges one job, and queues the runs that may start. Returns whether a run was completed at once because nothing had
/// changed.
pub(super) async fn judge_job(parts: &Parts, job: &JobRow) -> Result<bool, StateError> {
    let id = job.config.id.as_str();
    let plan = match JobPlan::new(&job.config, &parts.settings.feeds) {
        Ok(plan) => plan,
        Err(error) => {
            tracing::warn!(
                job = id,
                "the job's configuration is invalid: {error}; correct it in aggr_job_configuration"
            );
            return Ok(false);
        }
    };
    let mut completed_at_once = false;
    let verdicts = match assess(&parts.state, &plan, parts.clock.now()).await {
        // Somebody has deleted it since the jobs were read.
        Err(StateError::UnknownJob { .. }) => return Ok(false),
        // Somebody has garbled its row since; it is told when the jobs are read again.
        Err(StateError::Impossible { .. } | StateError::Damaged { .. }) => return Ok(false),
        assessed => assessed?,
    };
    let due = verdicts.into_iter().filter(Verdict::is_ready);
    for run in due.filter_map(|verdict| verdict.run) {
        match parts.state.enqueue(&run).await? {
            Enqueued::Queued(run_id) => {
                crash_point("after-queue");
                tracing::info!(job = id, run_id, files = run.inputs.len(), cause = %run.cause, "queued");
            }
            Enqueued::Unchanged(run_id) => {
                completed_at_once = true;
                tracing::info!(job = id, run_id, "completed: its files are those of the last run");
            }
            Enqueued::Active(run_id) => {
                tracing::debug!(job = id, run_id, "a run is queued or running already")
            }
        }
    }
    Ok(completed_at_once)
}
