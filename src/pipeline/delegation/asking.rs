//! The tasks of the service, as questions to a worker.

use gristmill_engine::{EngineError, SummaryReport};
use gristmill_state::{ClaimedRun, WorkerRole};
use serde::de::DeserializeOwned;

use super::{Ending, FileDone, FileToConvert, LoadToDo, Loaded, MergeDone, Request, Room};
use crate::lake::Unsynced;
use crate::pipeline::Components;
use crate::pipeline::arrived::Arrived;
use crate::pipeline::merge::Merged;
use crate::pipeline::sources::to_state;
use crate::pipeline::steps::Outcome;

/// Has a worker convert files. Returns the outcome of each in their order; `None` for those that the service has to convert.
pub(in crate::pipeline) async fn convert_by_worker(
    components: &Components,
    group: &[Arrived],
) -> Ending<Vec<Option<Outcome>>> {
    let files = group.iter().map(|arrived| FileToConvert {
        path: arrived.arrival.path.clone(),
        stamp: to_state(arrived.arrival.stamp),
    });
    let request = Request::Convert {
        files: files.collect(),
    };
    let ending = ask::<Vec<Option<FileDone>>>(components, WorkerRole::Convert, &request).await;
    ending.map(|done| {
        for (arrived, done) in group.iter().zip(&done) {
            if done.is_some() {
                components.progress.bytes_read(arrived.arrival.stamp.bytes);
            }
        }
        done.into_iter().map(|done| done.map(Outcome::from)).collect()
    })
}

/// Has a worker merge a run. The summary and its coverage are on disk then.
pub(in crate::pipeline) async fn merge_by_worker(
    components: &Components,
    run: &ClaimedRun,
) -> Ending<Merged> {
    let request = Request::Merge(Box::new(run.clone()));
    let ending = ask(components, WorkerRole::Load, &request).await;
    ending.map(|done| match done {
        MergeDone::Merged { rows, covered } => {
            Merged::Done(SummaryReport { rows, covered }, Unsynced::default())
        }
        MergeDone::Overflow {
            measure,
            store_id,
            item_id,
            trans_date,
        } => Merged::Overflow(EngineError::Overflow {
            measure,
            store_id,
            item_id,
            trans_date,
        }),
    })
}

/// Has a worker load a summary.
pub(in crate::pipeline) async fn load_by_worker(components: &Components, load: LoadToDo) -> Ending<Loaded> {
    ask(components, WorkerRole::Load, &Request::Load(Box::new(load))).await
}

/// Waits until a worker has room for a task.
pub(in crate::pipeline) async fn room_with_worker(components: &Components, role: WorkerRole) -> Room {
    match &components.delegation {
        Some(delegation) => delegation.room(role).await,
        None => std::future::pending().await,
    }
}

async fn ask<A: DeserializeOwned>(components: &Components, role: WorkerRole, request: &Request) -> Ending<A> {
    match &components.delegation {
        Some(delegation) => delegation.ask(role, request).await,
        None => Ending::NotDone { worker_died: false },
    }
}
