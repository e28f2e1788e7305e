//! Jobs that are judged beside the others, because somebody's SELECT may take its time: one judgement of each at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;
use tokio::task::JoinSet;

use super::bench::Bench;
use crate::pipeline::activity::Token;
use crate::preconditions::{IndexedJob, Verdict};

/// The judgements in progress.
#[derive(Default)]
pub(super) struct Beside {
    judging: JoinSet<anyhow::Result<Ended>>,
    /// The jobs in progress, each with the waves that are to be judged after that, because something happened meanwhile.
    in_progress: HashMap<String, BTreeSet<Option<Date>>>,
}

/// What came of a judgement.
pub(super) struct Ended {
    pub(super) job_id: String,
    pub(super) verdicts: Vec<Verdict>,
    /// The waves that are to be judged again.
    pub(super) again: BTreeSet<Option<Date>>,
    /// The token of the work.
    pub(super) token: Token,
}

impl Beside {
    /// Judges waves of a job beside the others; if the job is being judged already, after that.
    pub(super) fn judge(&mut self, bench: &Bench, job: &Arc<IndexedJob>, waves: BTreeSet<Option<Date>>) {
        let job_id = job.config.id.clone();
        if let Some(again) = self.in_progress.get_mut(&job_id) {
            again.extend(waves);
            return;
        }
        self.in_progress.insert(job_id.clone(), BTreeSet::new());
        let (bench, job, token) = (bench.clone(), job.clone(), bench.activity.begin());
        self.judging.spawn(async move {
            Ok(Ended {
                job_id,
                verdicts: bench.judge(&job, waves).await?,
                again: BTreeSet::new(),
                token,
            })
        });
    }

    /// Waits until a judgement ends; for ever while there is none.
    pub(super) async fn ended(&mut self) -> anyhow::Result<Ended> {
        let Some(ended) = self.judging.join_next().await else {
            return std::future::pending().await;
        };
        let ended = ended??;
        let again = self.in_progress.remove(&ended.job_id).unwrap_or_default();
        Ok(Ended { again, ..ended })
    }

    /// Returns whether none is in progress.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.judging.is_empty()
    }
}
