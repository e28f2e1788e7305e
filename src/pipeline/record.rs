//! The second stage: records go to the state database in groups, each in one durable transaction.

use std::sync::Arc;

use anyhow::Context;
use gristmill_state::{SubmissionOutcome, SubmissionRecord};
use tokio::sync::mpsc;

use super::activity::Token;
use super::judge::{Cue, ToJudge};
use super::put_away::Wakes;
use super::retry::with_retries;
use super::sources::{Sources, from_state};
use super::{Parts, crash_point};

/// The most submissions in one transaction. A group is whatever came in during the last one.
const GROUP: usize = 500;

/// A submission to be recorded.
#[derive(Debug)]
pub(super) struct Recordable {
    pub(super) record: SubmissionRecord,
    pub(super) token: Token,
}

/// Records submissions until no more can come. If the state database stays unavailable, the pipeline ends; what was not
/// recorded is converted again at the next start.
pub(super) async fn record_submissions(
    parts: Arc<Parts>,
    sources: Arc<Sources>,
    mut incoming: mpsc::Receiver<Recordable>,
    judge: mpsc::Sender<ToJudge>,
    put_away: Wakes,
) -> anyhow::Result<()> {
    let mut group = Vec::new();
    while incoming.recv_many(&mut group, GROUP).await > 0 {
        let (records, tokens): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|Recordable { record, token }| (record, token))
            .unzip();
        with_retries("recording submissions", || async {
            Ok(parts.state.record(&records).await?)
        })
        .await
        .context("cannot record submissions in the state database")?;
        crash_point("after-record");
        for record in &records {
            log_outcome(&parts, record);
            sources.recorded(&record.file_url, from_state(record.stamp));
        }
        put_away.wake(&parts.activity);
        let files = records.into_iter().map(|record| record.file_url).collect();
        // The next stage is gone only when the pipeline stops; then every job is judged at the next start.
        let _ = judge
            .send(ToJudge {
                cue: Cue::Files(files),
                tokens,
            })
            .await;
    }
    Ok(())
}

/// Counts and logs the outcome of a submission.
fn log_outcome(parts: &Parts, record: &SubmissionRecord) {
    let tally = &parts.activity.tally;
    let path = record.file_url.as_str();
    if let Some(seconds) = record.stamp.seconds_ahead(parts.clock.now()) {
        tracing::warn!(
            path,
            seconds,
            "the file's time of writing lies in the future, so it counts as written when it arrived; correct the clock of \
             the host that writes it"
        );
    }
    match &record.outcome {
        SubmissionOutcome::Converted(version) => {
            let (lines, rows, rejects) = (version.lines, version.rows, version.rejects);
            match &version.rejected_because {
                None => {
                    tally.count_validated();
                    tracing::info!(path, lines, rows, rejects, "validated");
                }
                // The reason may quote a value, which is not for logs.
                Some(_) => {
                    tally.count_rejected();
                    tracing::warn!(
                        path,
                        lines,
                        rejects,
                        "rejected as a whole: `gristmill files` says why, `gristmill rejects` shows its lines"
                    );
                }
            }
        }
        SubmissionOutcome::Unchanged { .. } => {
            tally.count_unchanged();
            tracing::info!(path, "submitted again with known bytes");
        }
        SubmissionOutcome::Failed { error } => {
            tally.count_failed();
            tracing::error!(path, "failed: {error}");
        }
    }
}
