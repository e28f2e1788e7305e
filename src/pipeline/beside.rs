//! Jobs that are judged beside the others, because somebody's SELECT may take its time: one judgement of each at a time.

use std::collections::HashSet;
use std::sync::Arc;

use gristmill_state::JobRow;
use tokio::task::JoinSet;

use super::Parts;
use super::activity::Token;
use super::judge::judge_job;
use super::retry::with_retries;

/// The judgements in progress.
#[derive(Default)]
pub(super) struct Beside {
    judging: JoinSet<Ended>,
    in_progress: HashSet<String>,
    /// Jobs to be judged again, because something happened while they were judged.
    again: HashSet<String>,
}

/// What came of a judgement: the job, and whether a run was completed at once because nothing had changed.
type Ended = anyhow::Result<(String, bool, Token)>;

impl Beside {
    /// Judges a job beside the others; if that is being done already, once more after that.
    pub(super) fn judge(&mut self, parts: &Arc<Parts>, job: JobRow) {
        let id = job.config.id.clone();
        if !self.in_progress.insert(id.clone()) {
            self.again.insert(id);
            return;
        }
        let (parts, token) = (parts.clone(), parts.activity.begin());
        self.judging.spawn(async move {
            let judged = with_retries(&parts.patience, "judging a job", || async {
                Ok(judge_job(&parts, &job).await?)
            })
            .await?;
            Ok((id, judged, token))
        });
    }

    /// Waits until a judgement ends. Returns whether all jobs are to be judged again, and the token of the work; waits for
    /// ever while there is none.
    pub(super) async fn ended(&mut self) -> anyhow::Result<(bool, Token)> {
        let Some(ended) = self.judging.join_next().await else {
            return std::future::pending().await;
        };
        let (id, completed_at_once, token) = ended??;
        self.in_progress.remove(&id);
        let is_again = self.again.remove(&id);
        Ok((completed_at_once || is_again, token))
    }
}
