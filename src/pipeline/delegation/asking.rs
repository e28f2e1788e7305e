//! The tasks of the service, as questions to a worker.

use std::sync::Arc;

use gristmill_engine::{EngineError, SummaryReport};
use gristmill_state::{ClaimedRun, WorkerRole};

use super::{Ending, FileToConvert, FilesDone, LoadDone, LoadToDo, Loaded, MergeDone, Request};
use crate::lake::Unsynced;
use crate::pipeline::Components;
use crate::pipeline::arrived::Arrived;
use crate::pipeline::merge::Merged;
use crate::pipeline::partials::LostPartials;
use crate::pipeline::retry::StepError;
use crate::pipeline::sources::to_state;
use crate::pipeline::steps::Outcome;

/// Has a worker convert files. Returns the outcome of each in their order, as
/// [`convert_files`](crate::pipeline::conversion::convert_files) does.
pub(in crate::pipeline) async fn convert_by_worker(
    components: &Arc<Components>,
    group: &[Arrived],
) -> Ending<Vec<Result<Outcome, StepError>>> {
    let files = group.iter().map(|arrived| FileToConvert {
        path: arrived.arrival.path.clone(),
        stamp: to_state(arrived.arrival.stamp),
        is_doubted: arrived.is_doubted,
    });
    let request = Request::Convert {
        files: files.collect(),
    };
    let done: FilesDone = match ask(components, WorkerRole::Convert, &request).await {
        Ending::Done(done) => done,
        Ending::NotDone { worker_died } => return Ending::NotDone { worker_died },
    };
    if done.len() != group.len() {
        tracing::error!("a worker has answered about other files; this is a bug, please report it");
        return Ending::NotDone { worker_died: false };
    }
    for arrived in group {
        components.progress.bytes_read(arrived.arrival.stamp.bytes);
    }
    let outcomes = done
        .into_iter()
        .map(|done| done.map(Outcome::from).map_err(StepError::from));
    Ending::Done(outcomes.collect())
}

/// Has a worker merge a run. The summary and its coverage are on disk then.
pub(in crate::pipeline) async fn merge_by_worker(
    components: &Components,
    run: &ClaimedRun,
) -> Ending<Result<Merged, StepError>> {
    let request = Request::Merge(Box::new(run.clone()));
    let done: MergeDone = match ask(components, WorkerRole::Load, &request).await {
        Ending::Done(done) => done,
        Ending::NotDone { worker_died } => return Ending::NotDone { worker_died },
    };
    Ending::Done(match done {
        MergeDone::Merged { rows, covered } => {
            Ok(Merged::Done(SummaryReport { rows, covered }, Unsynced::default()))
        }
        MergeDone::Overflow {
            measure,
            store_id,
            item_id,
            trans_date,
        } => Ok(Merged::Overflow(EngineError::Overflow {
            measure,
            store_id,
            item_id,
            trans_date,
        })),
        MergeDone::LostPartials(objects) => Err(StepError::permanent(LostPartials::new(objects))),
        MergeDone::Failed(error) => Err(error.into()),
    })
}

/// Has a worker load a summary, which must be on disk.
pub(in crate::pipeline) async fn load_by_worker(
    components: &Components,
    load: LoadToDo,
) -> Ending<Result<Loaded, StepError>> {
    match ask::<LoadDone>(components, WorkerRole::Load, &Request::Load(Box::new(load))).await {
        Ending::Done(done) => Ending::Done(done.map_err(StepError::from)),
        Ending::NotDone { worker_died } => Ending::NotDone { worker_died },
    }
}

async fn ask<A: serde::de::DeserializeOwned>(
    components: &Components,
    role: WorkerRole,
    request: &Request,
) -> Ending<A> {
    match &components.delegation {
        Some(delegation) => delegation.ask(role, request).await,
        None => Ending::NotDone { worker_died: false },
    }
}
