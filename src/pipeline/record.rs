//! The second stage: records go to the state database in groups, each in one durable transaction.

use std::sync::Arc;

use anyhow::Context;
use gristmill_state::{
    FileStatus, Recorded, Role, StateError, SubmissionOutcome, SubmissionRecord, WaitKind,
};
use tokio::sync::mpsc;

use super::doubted::{self, Doubted};
use super::judge::ToJudge;
use super::oddities::far_ahead;
use super::outcomes::end_attempts;
use super::put_away::Wakes;
use super::recordable::{Recordable, is_rejected};
use super::retry::with_retries;
use super::sources::{Sources, from_state};
use super::unmatched::note_archive;
use super::{Components, crash_point};
use crate::preconditions::JobIndex;

/// The most submissions in one transaction. A group is whatever came in during the last one.
const GROUP: usize = 500;

/// Records submissions until no more can come. If the state database stays unavailable, the pipeline ends; what was not
/// recorded is converted again at the next start.
pub(super) async fn record_submissions(
    components: Arc<Components>,
    sources: Arc<Sources>,
    mut incoming: mpsc::Receiver<Recordable>,
    judge: mpsc::Sender<ToJudge>,
    put_away: Wakes,
) -> anyhow::Result<()> {
    let mut group = Vec::new();
    loop {
        if group.is_empty() && incoming.recv_many(&mut group, GROUP).await == 0 {
            return Ok(());
        }
        crash_point("before-record");
        if was_for_nothing(&components, &sources, &group[0]).await? {
            group.remove(0);
            continue;
        }
        // What comes before a doubted file is recorded before it is compared.
        let until = group.iter().skip(1).position(|next| next.doubted.is_some());
        let (mut records, tokens): (Vec<_>, Vec<_>) = group
            .drain(..until.map_or(group.len(), |until| until + 1))
            .map(|Recordable { record, token, .. }| (record, token))
            .unzip();
        let recorded = loop {
            let jobs = with_retries(&components.patience, "reading the jobs", || async {
                Ok(components.jobs.get(&components.state).await?)
            });
            let jobs = jobs.await.context("cannot read the jobs in the state database")?;
            for record in &mut records {
                name_by_job(&jobs, record);
            }
            let recorded = with_retries(&components.patience, "recording submissions", || async {
                match components.state.record(&records, &*jobs).await {
                    // Which jobs take the files is recorded with them, so it must be said by the jobs of now.
                    Err(StateError::JobsEdited) => Ok(None),
                    recorded => Ok(Some(recorded?)),
                }
            });
            let recorded = recorded
                .await
                .context("cannot record submissions in the state database")?;
            if let Some(recorded) = recorded {
                break recorded;
            }
        };
        crash_point("after-record");
        for (record, recorded) in records.iter().zip(&recorded) {
            log_outcome(&components, record, recorded);
            note_archive(&components, record).await?;
            sources.recorded(&record.file_url, from_state(record.stamp));
        }
        put_away.wake(&components.activity);
        let files = records.into_iter().map(|record| record.file_url).collect();
        // The next stage is gone only when the pipeline stops; then every job is judged at the next start.
        let _ = judge.send(ToJudge { files, tokens }).await;
    }
}

/// Whether a file was doubted for nothing, so that there is nothing to record.
async fn was_for_nothing(
    components: &Components,
    sources: &Sources,
    recordable: &Recordable,
) -> anyhow::Result<bool> {
    let Some(arrival) = &recordable.doubted else {
        return Ok(false);
    };
    let (content_hash, layout_digest) = match &recordable.record.outcome {
        SubmissionOutcome::Converted(version) => (&version.content_hash, &version.layout_digest),
        SubmissionOutcome::Unchanged {
            content_hash,
            layout_digest,
        } => (content_hash, layout_digest),
        SubmissionOutcome::Failed { .. } => return Ok(false),
    };
    let doubted = Doubted {
        arrival,
        content_hash,
        layout_digest,
    };
    if doubted::for_nothing(components, &[doubted]).await?.is_empty() {
        return Ok(false);
    }
    tracing::debug!(
        path = arrival.path,
        "the file has the bytes of its newest submission"
    );
    end_attempts(components, &[arrival.path.as_str()]).await?;
    let waited = [arrival.path.clone()];
    with_retries(&components.patience, "recording the end of waiting", || async {
        Ok(components.state.end_waiting(WaitKind::File, &waited).await?)
    })
    .await
    .context("cannot record in the state database what waits no longer")?;
    sources.recorded(&arrival.path, arrival.stamp);
    Ok(true)
}

/// Takes the store and the day of a file's name from the pattern of its job, where the feed's pattern does not say them.
fn name_by_job(jobs: &JobIndex, record: &mut SubmissionRecord) {
    if record.store_id.is_some() && record.business_date.is_some() {
        return;
    }
    let Some(captures) = jobs.captures(&record.feed, &record.file_url) else {
        return;
    };
    if record.store_id.is_none() {
        record.store_id = captures.store;
    }
    if record.business_date.is_none() {
        record.business_date = captures.date;
    }
}

/// Counts and logs the outcome of a submission.
fn log_outcome(components: &Components, record: &SubmissionRecord, recorded: &Recorded) {
    let tally = &components.activity.tally;
    let path = record.file_url.as_str();
    if let Some(seconds) = record.stamp.seconds_ahead(components.clock.now()) {
        tracing::warn!(
            path,
            seconds,
            "the file's time of writing lies in the future, so it counts as written when it arrived; correct the clock of \
             the host that writes it"
        );
    }
    if let (Role::Archive { members, read, .. }, SubmissionOutcome::Converted(version)) =
        (&record.role, &record.outcome)
    {
        let note = recorded.note.as_deref().unwrap_or_default();
        match &version.rejected_because {
            Some(reason) => {
                tally.count_rejected();
                tracing::warn!(path, "the archive is rejected as a whole: {reason}");
            }
            None if members == read => tracing::info!(path, "read the archive: {note}"),
            None if *read > 0 => tracing::warn!(path, "read the archive: {note}"),
            None => tracing::debug!(path, "{note}"),
        }
        return;
    }
    if let Some(note) = &recorded.note {
        tracing::warn!(path, "{note}");
    }
    for reason in &recorded.held_days {
        tracing::warn!(
            path,
            "one day of it is held: {reason}; `gristmill accept` puts these lines in place of what stands, and \
             `gristmill accept --add` adds them"
        );
    }
    match (recorded.status, &recorded.reason) {
        (FileStatus::Held, Some(reason)) => {
            tally.count_held();
            tracing::warn!(path, "held: {reason}; `gristmill accept` brings it in force");
            return;
        }
        (FileStatus::Rejected, Some(reason)) if !is_rejected(record) => {
            tally.count_rejected();
            tracing::warn!(path, "rejected as a whole: {reason}");
            return;
        }
        _ => {}
    }
    match &record.outcome {
        SubmissionOutcome::Converted(version) => {
            let (lines, rows, rejects) = (version.lines, version.rows, version.rejects);
            match &version.rejected_because {
                None => {
                    tally.count_validated();
                    tracing::info!(path, lines, rows, rejects, "validated");
                    if let Some(last) = far_ahead(version, components.clock.now()) {
                        tracing::warn!(path, %last, "its latest day lies more than a year ahead: check `date_format` of the feed");
                    }
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
