use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::database::StateDb;
use crate::dialect::{Place, Transaction, query};
use crate::error::StateError;
use crate::service::Service;
use crate::testing::{execute, on_servers, place};

on_servers! {
    a_task_is_done_by_one_worker_and_answered_once
    what_is_given_back_is_free_and_what_was_claimed_meanwhile_is_not_taken_back
    a_worker_whose_lease_is_over_loses_its_tasks_and_claims_none_until_it_renews
    a_worker_renews_its_lease_and_comes_back_if_the_server_has_lost_it
    a_service_that_was_followed_hands_out_nothing_and_its_tasks_are_gone
    tasks_are_no_edits_and_wait_for_no_writer
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

/// Hands out a task, and returns its id.
async fn hand_out(tasks: &Tasks, role: WorkerRole, request: &str) -> String {
    let id = tasks.new_id();
    assert!(tasks.hand_out(&id, role, request).await.unwrap());
    id.as_str().to_owned()
}

fn none() -> HashSet<String> {
    HashSet::new()
}

async fn a_task_is_done_by_one_worker_and_answered_once(url: String) {
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let (one, other) = (worker(&place, TTL).await, worker(&place, TTL).await);
    let number = hand_out(&tasks, WorkerRole::Convert, "do").await;
    assert_eq!(tasks.look().await.unwrap(), [(number.clone(), TaskState::Free)]);
    // For another role, and for other settings.
    hand_out(&tasks, WorkerRole::Load, "not you").await;
    let others = Tasks::begin(&service, "t".into()).await.unwrap().unwrap();
    hand_out(&others, WorkerRole::Convert, "nor you").await;
    let claimed = one.claim(&none(), 3).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].request, "do");
    assert_eq!(other.claim(&none(), 3).await.unwrap(), []);
    // In progress, it is not claimed again; if the answer to the claim was lost, it is found.
    assert_eq!(one.claim(&HashSet::from([number.clone()]), 3).await.unwrap(), []);
    assert_eq!(one.claim(&none(), 3).await.unwrap(), claimed);
    let workers = tasks.workers().await.unwrap();
    assert_eq!(
        workers.iter().map(|worker| worker.tasks).collect::<Vec<_>>(),
        [1, 0]
    );
    assert!(one.finish(&claimed[0], "done").await.unwrap());
    let result = "done".to_owned();
    let fates = tasks.look().await.unwrap();
    assert!(
        fates.contains(&(number.clone(), TaskState::Done { result })),
        "{fates:?}"
    );
    tasks.remove(&number).await.unwrap();
    assert!(!one.finish(&claimed[0], "done again").await.unwrap());
    one.leave().await.unwrap();
    assert_eq!(tasks.workers().await.unwrap().len(), 1);
}

async fn what_is_given_back_is_free_and_what_was_claimed_meanwhile_is_not_taken_back(url: String) {
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, TTL).await;
    let number = hand_out(&tasks, WorkerRole::Convert, "do").await;
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    assert!(!tasks.take_back(&number, None).await.unwrap());
    worker.give_back(&claimed).await.unwrap();
    assert_eq!(tasks.look().await.unwrap(), [(number.clone(), TaskState::Free)]);
    assert!(tasks.take_back(&number, None).await.unwrap());
    assert!(!worker.finish(&claimed, "late").await.unwrap());
    assert_eq!(tasks.look().await.unwrap(), []);
}

async fn a_worker_whose_lease_is_over_loses_its_tasks_and_claims_none_until_it_renews(url: String) {
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, TTL).await;
    let number = hand_out(&tasks, WorkerRole::Convert, "do").await;
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    let id = claimed.worker.clone();
    // As if the process had stood still.
    execute(
        &url,
        "UPDATE worker SET lease_until = now() - interval '1 second'",
    );
    let lost = TaskState::Lost { worker: id.clone() };
    assert_eq!(tasks.look().await.unwrap(), [(number.clone(), lost)]);
    assert!(tasks.take_back(&number, Some(&id)).await.unwrap());
    assert!(!worker.finish(&claimed, "late").await.unwrap());
    hand_out(&tasks, WorkerRole::Convert, "again").await;
    assert_eq!(worker.claim(&none(), 1).await.unwrap(), []);
    execute(
        &url,
        "UPDATE worker SET lease_until = now() + interval '1 minute'",
    );
    assert_eq!(worker.claim(&none(), 1).await.unwrap()[0].request, "again");
}

async fn a_worker_renews_its_lease_and_comes_back_if_the_server_has_lost_it(url: String) {
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, Duration::from_millis(600)).await;
    let id = tasks.workers().await.unwrap()[0].worker_id.clone();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(tasks.workers().await.unwrap()[0].worker_id, id);
    execute(&url, "TRUNCATE worker");
    hand_out(&tasks, WorkerRole::Convert, "do").await;
    let mut claimed = Vec::new();
    // It renews five times a second.
    for _ in 0..200 {
        claimed = worker.claim(&none(), 1).await.unwrap();
        if !claimed.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(claimed[0].worker, id);
}

async fn a_service_that_was_followed_hands_out_nothing_and_its_tasks_are_gone(url: String) {
    let place = place(&url);
    let first = Service::begin(&place).await.unwrap();
    let before = tasks(&first).await;
    hand_out(&before, WorkerRole::Convert, "do").await;
    execute(
        &url,
        "UPDATE service_lease SET lease_until = now() - interval '1 second'",
    );
    let second = Service::begin(&place).await.unwrap();
    let now = tasks(&second).await;
    assert_eq!(before.look().await.unwrap(), []);
    let id = before.new_id();
    assert!(!before.hand_out(&id, WorkerRole::Convert, "do").await.unwrap());
    hand_out(&now, WorkerRole::Convert, "do").await;
}

async fn tasks_are_no_edits_and_wait_for_no_writer(url: String) {
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let state = StateDb::open_for(&service, Arc::new(SystemClock)).await.unwrap();
    let tasks = tasks(&service).await;
    let worker = worker(&place, TTL).await;
    let before = state.changes().await.unwrap();
    // Somebody edits by hand, and has not committed yet.
    let mut editor = place.connect_beside(TTL, true).await.unwrap().unwrap();
    let mut lock = Transaction::beside(&mut editor).await.unwrap();
    let edit = query("UPDATE writer SET edits = edits");
    edit.execute(&mut *lock).await.unwrap();
    hand_out(&tasks, WorkerRole::Convert, "do").await;
    let claimed = worker.claim(&none(), 1).await.unwrap().remove(0);
    assert!(worker.finish(&claimed, "done").await.unwrap());
    drop(lock);
    assert_eq!(state.changes().await.unwrap(), before);
}

/// Waits for what comes at once if it comes at all.
async fn soon(what: &str, waited: impl Future<Output = ()>) {
    let come = tokio::time::timeout(Duration::from_secs(60), waited).await;
    come.unwrap_or_else(|_| panic!("{what} was not told"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_worker_is_told_of_tasks_and_the_service_of_answers() {
    let url = gristmill_testkit::postgres::shared().create_database();
    let place = place(&url);
    let service = Service::begin(&place).await.unwrap();
    let (tasks, worker) = (tasks(&service).await, worker(&place, TTL).await);
    soon("that the worker listens", worker.handed_out()).await;
    soon("that the service listens", tasks.answered()).await;
    hand_out(&tasks, WorkerRole::Convert, "do").await;
    soon("the task", worker.handed_out()).await;
    let claimed = worker.claim(&none(), 3).await.unwrap();
    assert!(worker.finish(&claimed[0], "done").await.unwrap());
    soon("the answer", tasks.answered()).await;
    // Whoever does not hear any more listens again, and is told to look at what was missed.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN gristmill_tasks'
                  AND datname = current_database()";
    execute(&url, end);
    soon("that the worker listens again", worker.handed_out()).await;
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
