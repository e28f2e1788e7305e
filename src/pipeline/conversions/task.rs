//! The conversion of one group, by this process or by a worker, until its records are passed on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::Components;
use super::super::archives::unpack;
use super::super::arrived::Arrived;
use super::super::conversion::convert_files;
use super::super::delegation::{By, Ending, Room, convert_by_worker};
use super::super::judge::ToJudge;
use super::super::outcomes::{
    Done, Ended, Sorted, end_attempts, kills, note_attempts, note_ends, send_on, sort,
};
use super::super::panics::contained;
use super::super::recordable::Recordable;
use super::super::retry::StepError;
use super::super::sources::Sources;
use super::super::steps::Outcome;
use super::queue::Group;

/// How often a process may die while it converts a file.
const MOST_ATTEMPTS: u32 = 3;

/// What a conversion needs of the stage that it is in.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) components: Arc<Components>,
    pub(super) sources: Arc<Sources>,
    pub(super) records: mpsc::Sender<Recordable>,
    /// Jobs that waited for a file may run once it waits no longer.
    pub(super) judge: mpsc::Sender<ToJudge>,
}

impl Task {
    /// Converts a group, and passes on what came of it. The room is free again once the conversion is over.
    pub(super) async fn run(self, group: Group, room: Room) -> anyhow::Result<Ended> {
        let Group { files, attempts } = group;
        let mut again = Vec::new();
        let done = match attempts.filter(|attempts| *attempts >= MOST_ATTEMPTS) {
            Some(attempts) => files
                .into_iter()
                .map(|suspect| (suspect, Err(kills(attempts))))
                .collect(),
            None => {
                note_attempts(&self.components, &files).await?;
                match room.by() {
                    By::Service => self.convert(files).await?,
                    By::Worker => {
                        let outcomes = match convert_by_worker(&self.components, &files).await {
                            Ending::NotDone { worker_died: true } => return Ok(Ended::with_worker(files)),
                            Ending::NotDone { worker_died: false } => Vec::new(),
                            Ending::Done(outcomes) => outcomes,
                        };
                        let done;
                        (done, again) = divide(files, outcomes);
                        done
                    }
                }
            }
        };
        drop(room);
        // Before the next suspect may end the process: what of this one is not recorded by then is no proof.
        let suspects = done
            .iter()
            .filter(|_| attempts.is_some())
            .map(|(arrived, _)| arrived);
        let over = again
            .iter()
            .chain(suspects)
            .map(|arrived| arrived.arrival.path.as_str());
        let over: Vec<&str> = over.collect();
        if !over.is_empty() {
            end_attempts(&self.components, &over).await?;
        }
        let ended = self.pass_on(done).await?;
        Ok(Ended {
            was_suspect: attempts.is_some(),
            again,
            ..ended
        })
    }

    /// Converts files in this process.
    async fn convert(&self, files: Vec<Arrived>) -> anyhow::Result<Vec<Done>> {
        let convert = async {
            match files.as_slice() {
                [archive] if archive.is_archive => {
                    Ok(vec![unpack(&self.components, &self.records, archive).await?])
                }
                files => convert_files(&self.components, files).await,
            }
        };
        let outcomes = match contained(convert).await {
            Ok(outcomes) => outcomes?,
            Err(panicked) => {
                let error = StepError::permanent(panicked);
                files.iter().map(|_| Err(error.of_group())).collect()
            }
        };
        Ok(files.into_iter().zip(outcomes).collect())
    }

    /// Records what ended without a submission, and sends on the others.
    async fn pass_on(&self, done: Vec<Done>) -> anyhow::Result<Ended> {
        let Sorted { mut ended, done } = sort(done);
        if note_ends(&self.components, &ended, &done).await? {
            // If that stage is gone, the pipeline stops, and the next start judges all that is open.
            let wake = ToJudge::wake(self.components.activity.begin());
            let _ = self.judge.send(wake).await;
        }
        for (arrived, outcome) in done {
            ended.paths.push(arrived.arrival.path.clone());
            send_on(&self.components, &self.sources, &self.records, arrived, outcome).await;
        }
        Ok(ended)
    }
}

/// Divides files into those that a worker has converted, and those that the service has to convert. The outcomes are in the
/// order of the files.
fn divide(files: Vec<Arrived>, outcomes: Vec<Option<Outcome>>) -> (Vec<Done>, Vec<Arrived>) {
    let (mut done, mut again) = (Vec::new(), Vec::new());
    let outcomes = outcomes.into_iter().chain(std::iter::repeat_with(|| None));
    for (mut arrived, outcome) in files.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => done.push((arrived, Ok(outcome))),
            None => {
                arrived.is_for_service = true;
                again.push(arrived);
            }
        }
    }
    (done, again)
}
