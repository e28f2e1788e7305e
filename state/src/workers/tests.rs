use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::Passwords;
use gristmill_servers::postgres::Server;
use gristmill_testkit::postgres::{execute, shared};

use super::*;
use crate::clock::SystemClock;
use crate::database::StateDb;
use crate::dialect::Place;
use crate::error::StateError;
use crate::service::Service;

fn database() -> (String, Place) {
    let url = shared().create_database();
    let server = Server::new(&url, &Passwords::default(), "gristmill state").unwrap();
    (url, Place::from(Arc::new(server)))
}

async fn tasks(service: &Service) -> Tasks {
    let tasks = Tasks::begin(service, "s".into()).await.unwrap();
    tasks.expect("the database is on a server")
}

async fn worker(place: &Place, ttl: Duration) -> Worker {
    Worker::begin_for(place, WorkerRole::Convert, "s".into(), 3, ttl)
        .await
        .unwrap()
}

fn none() -> HashSet<i64> {
    HashSet::new()
}

#[tokio::test]
async fn a_task_is_done_by_one_worker_and_answered_once() {
    let (_, place) = database();
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let (one, other) = (worker(&place, TTL).await, worker(&place, TTL).await);
    let number = tasks.hand_out(WorkerRole::Convert, "do").await.unwrap().unwrap();
    assert_eq!(tasks.look().await.unwrap(), [(number, Fate::Free)]);
    // For another role, and for other settings.
    tasks
        .hand_out(WorkerRole::Load, "not you")
        .await
        .unwrap()
        .unwrap();
    let others = Tasks::begin(&service, "t".into()).await.unwrap().unwrap();
    others
        .hand_out(WorkerRole::Convert, "nor you")
        .await
        .unwrap()
        .unwrap();
    let claimed = one.claim(&none(), 3).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].request, "do");
    assert_eq!(other.claim(&none(), 3).await.unwrap(), []);
    // In progress, it is not claimed again; if the answer to the claim was lost, it is found.
    assert_eq!(one.claim(&HashSet::from([number]), 3).await.unwrap(), []);
    assert_eq!(one.claim(&none(), 3).await.unwrap(), claimed);
    let workers = tasks.workers().await.unwrap();
    assert_eq!(
        workers.iter().map(|worker| worker.tasks).collect::<Vec<_>>(),
        [1, 0]
    );
    assert!(one.finish(&claimed[0], "done").await.unwrap());
    let result = "done".to_owned();
    let fates = tasks.look().await.unwrap();
    assert!(fates.contains(&(number, Fate::Done { result })), "{fates:?}");
    tasks.remove(number).await.unwrap();
    assert!(!one.finish(&claimed[0], "done again").await.unwrap());
    one.leave().await.unwrap();
    assert_eq!(tasks.workers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_given_back_is_free_and_what_was_claimed_meanwhile_is_not_taken_back() {
    let (_, place) = database();
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, TTL).await;
    let number = tasks.hand_out(WorkerRole::Convert, "do").await.unwrap().unwrap();
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    assert!(!tasks.take_back(number, None).await.unwrap());
    worker.give_back(&claimed).await.unwrap();
    assert_eq!(tasks.look().await.unwrap(), [(number, Fate::Free)]);
    assert!(tasks.take_back(number, None).await.unwrap());
    assert!(!worker.finish(&claimed, "late").await.unwrap());
    assert_eq!(tasks.look().await.unwrap(), []);
}

#[tokio::test]
async fn a_worker_whose_lease_is_over_claims_nothing_and_begins_anew() {
    let (url, place) = database();
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, Duration::from_millis(300)).await;
    let number = tasks.hand_out(WorkerRole::Convert, "do").await.unwrap().unwrap();
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    let id = tasks.workers().await.unwrap()[0].worker_id.clone();
    // As if the process had stood still.
    execute(
        &url,
        "UPDATE worker SET lease_until = now() - interval '1 second'",
    );
    let lost = Fate::Lost { worker: id.clone() };
    assert_eq!(tasks.look().await.unwrap(), [(number, lost)]);
    assert!(tasks.take_back(number, Some(&id)).await.unwrap());
    assert!(!worker.finish(&claimed, "late").await.unwrap());
    tasks
        .hand_out(WorkerRole::Convert, "again")
        .await
        .unwrap()
        .unwrap();
    // It renews every tenth of a second.
    let mut claimed = Vec::new();
    for _ in 0..100 {
        claimed = worker.claim(&none(), 1).await.unwrap();
        if !claimed.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(claimed[0].request, "again");
    assert_ne!(claimed[0].worker, id);
}

#[tokio::test]
async fn a_service_that_was_followed_hands_out_nothing_and_its_tasks_are_gone() {
    let (url, place) = database();
    let first = Service::begin(&place).await.unwrap();
    let before = tasks(&first).await;
    before.hand_out(WorkerRole::Convert, "do").await.unwrap().unwrap();
    execute(
        &url,
        "UPDATE service_lease SET lease_until = now() - interval '1 second'",
    );
    let second = Service::begin(&place).await.unwrap();
    let now = tasks(&second).await;
    assert_eq!(before.look().await.unwrap(), []);
    assert_eq!(before.hand_out(WorkerRole::Convert, "do").await.unwrap(), None);
    assert!(now.hand_out(WorkerRole::Convert, "do").await.unwrap().is_some());
}

#[tokio::test]
async fn tasks_are_no_edits_and_wait_for_no_writer() {
    let (_, place) = database();
    let service = Service::begin(&place).await.unwrap();
    let state = StateDb::open_for(&service, Arc::new(SystemClock)).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, TTL).await;
    let before = state.changes().await.unwrap();
    // Somebody edits by hand, and has not committed yet.
    let Place::Server(server, _) = &place else {
        panic!("it is on a server");
    };
    let mut editor = server.connect().await.unwrap();
    let lock = editor.transaction().await.unwrap();
    lock.batch_execute("UPDATE writer SET edits = edits")
        .await
        .unwrap();
    tasks.hand_out(WorkerRole::Convert, "do").await.unwrap().unwrap();
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    assert!(worker.finish(&claimed, "done").await.unwrap());
    lock.rollback().await.unwrap();
    assert_eq!(state.changes().await.unwrap(), before);
}

#[tokio::test]
async fn a_state_database_in_a_file_has_no_workers() {
    let folder = tempfile::TempDir::new().unwrap();
    let place = Place::from(folder.path().join("state.db").as_path());
    let error = Worker::begin(&place, WorkerRole::Convert, "s".into(), 1)
        .await
        .unwrap_err();
    assert!(matches!(error, StateError::NoWorkers { .. }), "{error}");
    let service = Service::begin(&place).await.unwrap();
    assert!(Tasks::begin(&service, "s".into()).await.unwrap().is_none());
}
