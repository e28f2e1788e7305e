//! The third stage: a wave of a job is judged when something changes that its verdict rests on, whoever changes it, and
//! when a moment comes that matters to it. Runs that may start are queued.

mod bench;
mod beside;
mod board;
mod rounds;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use self::bench::Bench;
use self::rounds::Rounds;
use super::activity::Token;
use super::retry::with_retries;
use super::sources::Sources;
use super::{Components, edits, stopped};

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
    components: Arc<Components>,
    sources: Arc<Sources>,
    mut cues: mpsc::Receiver<ToJudge>,
    runs: mpsc::Sender<Token>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut sweep = tokio::time::interval(components.settings.clock_pause());
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut edits = tokio::time::interval(EDITS);
    edits.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = with_retries(&components.patience, "asking for edits", || async {
        Ok(components.state.changes().await?)
    })
    .await?;
    let mut incoming = Vec::new();
    let mut rested = Instant::now();
    let bench = Bench {
        state: components.state.clone(),
        clock: components.clock.clone(),
        patience: components.patience.clone(),
        activity: components.activity.clone(),
    };
    let mut rounds = Rounds::new(bench, &components.jobs, components.settings.target.mode);
    loop {
        let may_rest = may_rest(&components, &incoming) && Instant::now() < rested;
        // Queries may depend on the time, and the clock may have been set.
        let mut is_sweep = false;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            _ = sweep.tick() => {
                is_sweep = true;
                incoming.push(ToJudge::wake(components.activity.begin()));
            }
            _ = edits.tick() => {
                let now = with_retries(&components.patience, "asking for edits", || async { Ok(components.state.changes().await?) }).await?;
                if now == seen {
                    continue;
                }
                seen = now;
                let marked = || async { Ok(components.state.files_to_look_at().await?) };
                for path in with_retries(&components.patience, "asking for files to look at", marked).await? {
                    sources.look_again(&path);
                }
                // An edit of anything may change what a query returns.
                is_sweep = true;
                incoming.push(ToJudge::wake(components.activity.begin()));
            }
            token = rounds.news() => incoming.push(ToJudge::wake(token?)),
            _ = std::future::ready(()), if !incoming.is_empty() && !may_rest => {}
            _ = tokio::time::sleep_until(rested), if may_rest => {}
            _ = cues.recv_many(&mut incoming, 100) => continue,
        }
        edits::tell(&components).await?;
        let began = Instant::now();
        let files: Vec<String> = incoming
            .iter_mut()
            .flat_map(|to_judge| std::mem::take(&mut to_judge.files))
            .collect();
        rounds.judge_touched(&files, is_sweep).await?;
        let ended = Instant::now();
        rested = ended + (ended - began) * REST;
        // A wake is sent even if nothing was queued here: another process may have queued a run. A full channel still
        // holds a wake that will be received, so none is lost. Waiting for room could deadlock, because the runs' stage
        // sends to this one. If that stage is gone, the pipeline stops, and what is queued stays queued.
        let _ = runs.try_send(components.activity.begin());
        incoming.clear();
    }
}

/// Returns whether judging can wait for more: only files have come in, and others are on their way.
fn may_rest(components: &Components, incoming: &[ToJudge]) -> bool {
    let waiting: usize = incoming.iter().map(|to_judge| to_judge.tokens.len()).sum();
    let are_files = incoming.iter().all(|to_judge| !to_judge.files.is_empty());
    waiting > 0 && are_files && components.activity.in_progress() > waiting
}

#[cfg(test)]
mod tests;
