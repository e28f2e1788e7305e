//! What came of a group of files: what is recorded, what is tried again, and what is noted of it before.

use std::time::Duration;

use anyhow::Context;
use gristmill_state::{Role, SubmissionOutcome, WaitKind, WaitingFile};
use tokio::sync::mpsc;

use super::Components;
use super::arrived::Arrived;
use super::recordable::{Recordable, submission};
use super::retry::{StepError, with_retries};
use super::sources::{Sources, to_state};
use super::steps::Outcome;
use super::waiting::Failed;

/// Makes the failure of a file that has killed the process so many times.
pub(super) fn kills(attempts: u32) -> StepError {
    StepError::permanent(anyhow::anyhow!(
        "the process died {attempts} times while it converted this file: it may need more memory than there is; look \
         for the cause in the system's log, then run `gristmill retry`"
    ))
}

/// Records that the files are being converted, so that a process that dies meanwhile knows of it.
pub(super) async fn note_attempts(components: &Components, group: &[Arrived]) -> anyhow::Result<()> {
    let files: Vec<_> = group
        .iter()
        .map(|arrived| (arrived.arrival.path.as_str(), to_state(arrived.arrival.stamp)))
        .collect();
    with_retries(&components.patience, "recording attempts", || async {
        Ok(components.state.begin_attempts(&files).await?)
    })
    .await
    .context("cannot record attempts at files in the state database")
}

/// Records that attempts have ended without killing the process.
pub(super) async fn end_attempts(components: &Components, files: &[&str]) -> anyhow::Result<()> {
    with_retries(&components.patience, "recording attempts", || async {
        Ok(components.state.end_attempts(files).await?)
    })
    .await
    .context("cannot record attempts at files in the state database")
}

/// The result of a conversion task.
#[derive(Default)]
pub(super) struct Ended {
    /// The files that are no longer in progress.
    pub(super) paths: Vec<String>,
    /// Those among them that were submitted, and had changed when they were read.
    pub(super) changed: Vec<String>,
    /// The files that are tried again after a pause.
    pub(super) failed: Vec<Failed>,
    /// The files that are tried again at once, each by itself.
    pub(super) alone: Vec<Arrived>,
    pub(super) was_suspect: bool,
    /// What was found out of the room, if that was to be found out.
    pub(super) probed: Option<bool>,
    /// The files that the service has to convert itself.
    pub(super) again: Vec<Arrived>,
    /// The files with one of which a worker may have died.
    pub(super) suspects: Vec<Arrived>,
}

impl Ended {
    /// Makes the result of a task with which a worker died, or was taken for dead.
    pub(super) fn with_worker(group: Vec<Arrived>) -> Self {
        Self {
            suspects: group,
            ..Self::default()
        }
    }
}

/// A file whose conversion has ended, and how.
pub(super) type Done = (Arrived, Result<Outcome, StepError>);

/// What came of a group.
pub(super) struct Sorted {
    pub(super) ended: Ended,
    pub(super) done: Vec<Done>,
}

/// Sorts what is over from what is tried again.
pub(super) fn sort(group: Vec<Done>) -> Sorted {
    let mut ended = Ended::default();
    let mut done = Vec::new();
    let is_group = group.len() > 1;
    for (mut arrived, outcome) in group {
        if std::mem::take(&mut arrived.is_probe) {
            let has_room = match &outcome {
                Ok(outcome) => matches!(outcome, Outcome::Recorded(_) | Outcome::Unpacked(_)),
                Err(error) => !error.is_of_room(),
            };
            ended.probed = Some(has_room);
        }
        let error = match outcome {
            Err(error) => error,
            Ok(Outcome::Archive) => {
                arrived.is_archive = true;
                ended.alone.push(arrived);
                continue;
            }
            Ok(outcome) => {
                if matches!(outcome, Outcome::Changed) && !arrived.is_doubted {
                    ended.changed.push(arrived.arrival.path.clone());
                }
                done.push((arrived, Ok(outcome)));
                continue;
            }
        };
        // Of a group that failed as a whole, each is tried by itself, unless there was no room for any.
        if is_group && error.is_of_group() && !error.is_of_room() {
            arrived.is_alone = true;
            ended.alone.push(arrived);
            continue;
        }
        arrived.failures += 1;
        match error.is_worth_another(arrived.failures) {
            true => ended.failed.push(Failed::new(arrived, error)),
            false => done.push((arrived, Err(error))),
        }
    }
    Sorted { ended, done }
}

/// Records what has ended without a submission. What waits must be known before the others of its group are: otherwise
/// a job could run without it. Returns whether a file waits no longer.
pub(super) async fn note_ends(components: &Components, ended: &Ended, done: &[Done]) -> anyhow::Result<bool> {
    let without_record = done
        .iter()
        .filter(|(_, outcome)| {
            outcome
                .as_ref()
                .is_ok_and(|outcome| !matches!(outcome, Outcome::Recorded(_) | Outcome::Unpacked(_)))
        })
        .map(|(arrived, _)| arrived);
    let over: Vec<&str> = without_record
        .clone()
        .chain(&ended.alone)
        .map(|arrived| arrived.arrival.path.as_str())
        .collect();
    if !over.is_empty() {
        end_attempts(components, &over).await?;
    }
    let waited: Vec<String> = without_record
        .filter(|arrived| arrived.failures > 0)
        .map(|arrived| arrived.arrival.path.clone())
        .collect();
    if !waited.is_empty() {
        with_retries(&components.patience, "recording the end of waiting", || async {
            Ok(components.state.end_waiting(WaitKind::File, &waited).await?)
        })
        .await
        .context("cannot record in the state database what waits no longer")?;
    }
    let failed = &ended.failed;
    for failed in failed {
        let path = failed.arrived.arrival.path.as_str();
        let pause = failed.pause;
        tracing::warn!(
            path,
            ?pause,
            "the conversion failed and will be tried again: {}",
            failed.error
        );
    }
    let Some(longest) = failed.iter().map(|failed| failed.pause).max() else {
        return Ok(!waited.is_empty());
    };
    let files: Vec<_> = failed.iter().map(Failed::as_waiting).collect();
    note_waiting(components, &files, longest).await?;
    Ok(!waited.is_empty())
}

/// Records which files wait, and for how long.
pub(super) async fn note_waiting(
    components: &Components,
    files: &[WaitingFile],
    pause: Duration,
) -> anyhow::Result<()> {
    let next_try = components.after(pause);
    with_retries(&components.patience, "recording what waits", || async {
        Ok(components.state.note_waiting_files(files, next_try).await?)
    })
    .await
    .context("cannot record in the state database which files wait")
}

/// Passes on the record of a conversion, if there is something to record.
pub(super) async fn send_on(
    components: &Components,
    sources: &Sources,
    records: &mpsc::Sender<Recordable>,
    arrived: Arrived,
    outcome: Result<Outcome, StepError>,
) {
    components.progress.file_done();
    let Arrived {
        arrival,
        feed,
        is_doubted,
        captures,
        token,
        ..
    } = arrived;
    let path = arrival.path.as_str();
    let mut role = Role::Alone;
    let outcome = match outcome {
        Ok(Outcome::Recorded(outcome)) => *outcome,
        Ok(Outcome::Unpacked(unpacked)) => {
            role = unpacked.role;
            SubmissionOutcome::Converted(unpacked.version)
        }
        // Those were sorted out.
        Ok(Outcome::Archive) => return,
        Ok(Outcome::Gone) => {
            tracing::debug!(path, "the file was gone before it could be read");
            sources.recorded(path, arrival.stamp);
            return;
        }
        Ok(Outcome::Same) => {
            tracing::debug!(path, "the file has the bytes of its newest submission");
            sources.recorded(path, arrival.stamp);
            return;
        }
        Ok(Outcome::Unanswered) => {
            tracing::debug!(
                path,
                "the file could not be read now: the next listing finds it again"
            );
            components.activity.tally.count_unanswered();
            sources.unread(path, is_doubted);
            return;
        }
        Ok(Outcome::Stopped) => {
            tracing::debug!(path, "the file is left for the next start");
            return;
        }
        Ok(Outcome::Changed) => {
            tracing::debug!(
                path,
                "the file changed while it was read; it is read again once it has settled"
            );
            sources.wait_for_changed(path, arrival.stamp, is_doubted, &components.activity);
            return;
        }
        Err(error) => SubmissionOutcome::Failed {
            error: error.to_string(),
        },
    };
    let mut record = submission(&feed, captures, &arrival, outcome);
    record.role = role;
    // The record stage ends only after this one, or with an error that ends the whole pipeline.
    let recordable = Recordable {
        record,
        doubted: is_doubted.then_some(arrival),
        token,
    };
    let _ = records.send(recordable).await;
}
