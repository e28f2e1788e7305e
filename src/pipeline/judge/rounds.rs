//! Rounds of judgement: each judges what was touched since the last one, until nothing is left.

use std::sync::Arc;

use gristmill_loader::LoadMode;
use gristmill_state::{StateError, Takers, WaitKind};

use super::bench::Bench;
use super::beside::Beside;
use super::board::Board;
use crate::pipeline::activity::Token;
use crate::pipeline::jobs::CurrentJobs;
use crate::pipeline::retry::with_retries;
use crate::pipeline::strays::Reported;
use crate::preconditions::{JobIndex, ReloadConflict, check_reload};

/// What the stage knows between two rounds.
pub(super) struct Rounds<'p> {
    bench: Bench,
    jobs: &'p CurrentJobs,
    mode: LoadMode,
    board: Board,
    beside: Beside,
    reported: Reported,
    /// Why no job runs, if none does.
    refused: Option<ReloadConflict>,
    /// The edition of the jobs for which that was found.
    edition: Option<i64>,
}

impl<'p> Rounds<'p> {
    pub(super) fn new(bench: Bench, jobs: &'p CurrentJobs, mode: LoadMode) -> Self {
        Self {
            bench,
            jobs,
            mode,
            board: Board::new(),
            beside: Beside::default(),
            reported: Reported::default(),
            refused: None,
            edition: None,
        }
    }

    /// Waits for the next moment that matters to a wave, or until a judgement beside the others ends. Returns the token of
    /// that work.
    pub(super) async fn news(&mut self) -> anyhow::Result<Token> {
        let moment = self.board.next_moment();
        let left = moment.map(|at| at.duration_since(self.bench.clock.now()));
        let moment = async {
            match left {
                Some(left) => tokio::time::sleep(left.try_into().unwrap_or_default()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.beside.ended() => {
                let ended = ended?;
                for verdict in &ended.verdicts {
                    self.bench.activity.gauges.judged(&ended.job_id, verdict);
                    self.board.judged(&ended.job_id, verdict);
                }
                self.board.note_again(&ended.job_id, ended.again);
                Ok(ended.token)
            }
            () = moment => Ok(self.bench.activity.begin()),
        }
    }

    /// Judges the waves that were touched, or whose moment has come, until none is left. With `is_sweep`, also those that
    /// wait for a query. `files` were recorded since the last round.
    pub(super) async fn judge_touched(&mut self, files: &[String], is_sweep: bool) -> anyhow::Result<()> {
        let (mut files, mut is_sweep) = (files, is_sweep);
        loop {
            let jobs = self.current_jobs().await?;
            self.reported
                .report(&self.bench.state, &self.bench.patience, &jobs, files)
                .await?;
            files = &[];
            let since = self.board.look(self.bench.clock.now());
            let touched = with_retries(&self.bench.patience, "looking for what was touched", || async {
                Ok(self.bench.state.touched_waves(since).await?)
            });
            let is_any = self.board.note(touched.await?);
            if is_any || is_sweep {
                self.board.note_criteria();
            }
            self.note_ends(is_sweep).await?;
            is_sweep = false;
            self.board.note_time(self.bench.clock.now());
            // What was touched meanwhile is judged once jobs may run again.
            if self.is_refused(&jobs) || !self.judge_board(&jobs).await? {
                return Ok(());
            }
        }
    }

    /// Notes the waves for which an outage has ended, or a value may have been corrected.
    async fn note_ends(&mut self, is_sweep: bool) -> anyhow::Result<()> {
        if !self.board.is_any_held_up() {
            return Ok(());
        }
        let waiting = with_retries(&self.bench.patience, "asking what waits", || async {
            Ok(self.bench.state.waiting().await?)
        });
        let waiting = waiting.await?.into_iter();
        let files = waiting.filter(|waiting| waiting.kind == WaitKind::File);
        self.board
            .note_ends(&files.map(|file| file.subject).collect(), is_sweep);
        Ok(())
    }

    /// Returns the jobs of now. Which files they take is up to date.
    async fn current_jobs(&self) -> anyhow::Result<Arc<JobIndex>> {
        loop {
            let jobs = with_retries(&self.bench.patience, "reading the jobs", || async {
                let jobs = self.jobs.get(&self.bench.state).await?;
                match self.bench.state.match_files(&*jobs).await {
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
            // The others must not wait for somebody's SELECT.
            if job.config.addl_criteria.is_some() {
                self.beside.judge(&self.bench, job, waves);
                continue;
            }
            for verdict in self.bench.judge(job, waves).await? {
                self.bench.activity.gauges.judged(&job_id, &verdict);
                self.board.judged(&job_id, &verdict);
            }
        }
        let over = self.board.take_over();
        if !over.is_empty() {
            with_retries(&self.bench.patience, "closing waves", || async {
                Ok(self.bench.state.close_waves(&over).await?)
            })
            .await?;
        }
        Ok(is_any)
    }

    /// Returns whether nothing is being judged beside the others.
    #[cfg(test)]
    pub(super) fn is_none_beside(&self) -> bool {
        self.beside.is_empty()
    }
}
