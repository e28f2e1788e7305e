//! Which runs enter the queue, and who claims them.

use std::collections::HashSet;
use std::sync::Arc;

use gristmill_state::{Cause, Enqueued, NewRun, RunOutcome, RunResult, RunState, StateError};

use crate::support::{Fixture, job, run};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};

fn queued(enqueued: Enqueued) -> String {
    match enqueued {
        Enqueued::Queued(run_id) => run_id,
        other => panic!("not queued: {other:?}"),
    }
}

async fn with_job(files: &[(&str, &str)]) -> (Fixture, NewRun) {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let inputs = f.valid(files).await;
    (f, run("J101", &inputs))
}

#[tokio::test]
async fn a_run_is_named_after_its_job_and_moment() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    assert_eq!(
        queued(f.db.enqueue(&new).await.unwrap()),
        "J101-20261123T081501.123456"
    );
}

#[tokio::test]
async fn sequences_grow_even_when_the_clock_does_not() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let first = queued(f.db.enqueue(&new).await.unwrap());
    let second = queued(
        f.db.enqueue(&NewRun {
            job_id: "J102".to_owned(),
            ..new.clone()
        })
        .await
        .unwrap(),
    );
    f.pass(-3600);
    let earlier = NewRun {
        wave: Some("2026-11-22".parse().unwrap()),
        ..new
    };
    let third = queued(f.db.enqueue(&earlier).await.unwrap());
    let mut sequences = Vec::new();
    for run_id in [&first, &second, &third] {
        sequences.push(f.db.run(run_id).await.unwrap().unwrap().sequence);
    }
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert!(third.starts_with("J101-20261123T081501.1"), "{third}");
}

/// A database that went back has forgotten a run, and queues another one in its place.
#[tokio::test]
async fn behind_the_clock_no_run_takes_the_name_of_one_that_was_forgotten() {
    let mut names = HashSet::new();
    for _ in 0..4 {
        let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
        f.db.enqueue(&new).await.unwrap();
        f.pass(-3600);
        let next = NewRun {
            wave: Some("2026-11-22".parse().unwrap()),
            ..new
        };
        names.insert(queued(f.db.enqueue(&next).await.unwrap()));
    }
    // Two may have the same by chance, but hardly all.
    assert!(names.len() > 1, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_decisions_about_a_wave_one_queues_a_run() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let other_process = Arc::new(f.open_again().await);
    let deciding: Vec<_> = [f.db.clone(), f.db.clone(), other_process.clone(), other_process]
        .into_iter()
        .map(|db| {
            let new = new.clone();
            tokio::spawn(async move { db.enqueue(&new).await.unwrap() })
        })
        .collect();
    let (mut queued, mut active) = (Vec::new(), Vec::new());
    for decision in deciding {
        match decision.await.unwrap() {
            Enqueued::Queued(run_id) => queued.push(run_id),
            Enqueued::Active(run_id) => active.push(run_id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(queued.len(), 1);
    assert_eq!(active, vec![queued[0].clone(); 3]);
}

#[tokio::test]
async fn waves_and_jobs_are_queued_apart() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let day = |date: &str| NewRun {
        wave: Some(date.parse().unwrap()),
        ..new.clone()
    };
    queued(f.db.enqueue(&day("2026-11-22")).await.unwrap());
    queued(f.db.enqueue(&day("2026-11-23")).await.unwrap());
    queued(
        f.db.enqueue(&NewRun {
            job_id: "J102".to_owned(),
            ..day("2026-11-22")
        })
        .await
        .unwrap(),
    );
    let again =
        f.db.enqueue(&NewRun {
            cause: Cause::Manual,
            ..day("2026-11-22")
        })
        .await
        .unwrap();
    assert!(matches!(again, Enqueued::Active(_)), "a person waits, too");
}

#[tokio::test]
async fn the_same_inputs_complete_at_once_and_without_work() {
    let (f, new) = with_job(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    let first = f.running(&new).await;
    f.db.complete(&first, &LOADED).await.unwrap();

    let fresh = f.record("IL-1.tdf", crate::support::unchanged("a")).await;
    let mut again = NewRun {
        as_of_submission: fresh,
        ..new.clone()
    };
    again.inputs[0].submission_id = fresh;
    again.inputs.reverse();
    let Enqueued::Unchanged(second) = f.db.enqueue(&again).await.unwrap() else {
        panic!("the order makes no difference")
    };
    let done = f.db.run(&second).await.unwrap().unwrap();
    assert_eq!(
        (done.state, done.outcome, done.as_of_submission),
        (RunState::Completed, Some(RunOutcome::Unchanged), fresh)
    );
    assert_eq!(f.db.run_inputs(&second).await.unwrap().len(), 2);
    assert_eq!(f.db.claim("test").await.unwrap(), None);
    let facts = f.facts("J101").await;
    assert_eq!(
        facts.waves[&None].completed.as_ref().unwrap().run_id,
        second,
        "the wave counts as done"
    );
    let job = f.db.job("J101").await.unwrap().unwrap();
    assert_eq!(job.last_run_id.as_deref(), Some(second.as_str()));
    assert_eq!(job.last_exec_status.unwrap().as_str(), "COMPLETED");

    let manual = NewRun {
        cause: Cause::Manual,
        ..again.clone()
    };
    let third = queued(f.db.enqueue(&manual).await.unwrap());
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().run_id, third);
    f.db.complete(&third, &LOADED).await.unwrap();
    again.inputs.pop();
    queued(f.db.enqueue(&again).await.unwrap());
}

#[tokio::test]
async fn where_the_order_of_submission_matters_another_order_is_new_work() {
    let (f, mut new) = with_job(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    new.order_matters = true;
    let first = f.running(&new).await;
    f.db.fail(&first, "the warehouse is away").await.unwrap();
    let retry = queued(f.db.retry_run(&first).await.unwrap());
    f.db.claim("test").await.unwrap();
    f.db.complete(&retry, &LOADED).await.unwrap();

    let mut again = new.clone();
    again.inputs.reverse();
    assert!(
        matches!(f.db.enqueue(&again).await.unwrap(), Enqueued::Unchanged(_)),
        "the order in the list makes no difference"
    );
    again.inputs.reverse();
    again.inputs[0].submission_id = f.record("IL-1.tdf", crate::support::unchanged("a")).await;
    queued(f.db.enqueue(&again).await.unwrap());
}

#[tokio::test]
async fn a_failed_run_is_retried_with_its_inputs() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let failed = f.running(&new).await;
    f.db.fail(&failed, "the warehouse has another column type")
        .await
        .unwrap();
    let retry = queued(f.db.retry_run(&failed).await.unwrap());
    let run = f.db.run(&retry).await.unwrap().unwrap();
    assert_eq!(
        (run.cause, run.as_of_submission),
        (Cause::Retry, new.as_of_submission)
    );
    assert_eq!(
        f.db.run_inputs(&retry).await.unwrap(),
        f.db.run_inputs(&failed).await.unwrap()
    );
    assert_eq!(
        f.db.retry_run(&failed).await.unwrap(),
        Enqueued::Active(retry.clone())
    );
    let error = f.db.retry_run(&retry).await.unwrap_err();
    assert!(
        matches!(
            error,
            StateError::WrongState {
                state: RunState::Queued,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        f.db.retry_run("J1-x").await,
        Err(StateError::UnknownRun { .. })
    ));
}

#[tokio::test]
async fn a_failed_run_is_not_retried_over_a_later_one() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let wave = Some(jiff::civil::date(2026, 11, 22));
    let new = NewRun { wave, ..new };
    let failed = f.running(&new).await;
    f.db.fail(&failed, "no").await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "b")]).await;
    let newer = NewRun {
        inputs,
        ..new.clone()
    };

    // A later run does not stop a retry if it was never loaded or belongs to another day.
    let superseded = f.running(&newer).await;
    let outcome = RunOutcome::Superseded;
    let result = RunResult {
        outcome,
        changes: None,
    };
    f.db.complete(&superseded, &result).await.unwrap();
    let other_day = f
        .running(&NewRun {
            wave: None,
            ..newer.clone()
        })
        .await;
    f.db.complete(&other_day, &LOADED).await.unwrap();
    let retry = queued(f.db.retry_run(&failed).await.unwrap());
    f.db.claim("test").await.unwrap();
    f.db.fail(&retry, "no").await.unwrap();

    let loaded = f.running(&newer).await;
    f.db.complete(&loaded, &LOADED).await.unwrap();
    for run_id in [&failed, &retry] {
        let error = f.db.retry_run(run_id).await.unwrap_err();
        assert!(
            matches!(&error, StateError::Overtaken { later, .. } if *later == loaded),
            "{error}"
        );
        assert!(!error.is_transient());
        let advice = "`gristmill jobs run J101 --date 2026-11-22`";
        assert!(error.to_string().contains(advice), "{error}");
    }
    let Enqueued::Unchanged(unchanged) = f.db.enqueue(&newer).await.unwrap() else {
        panic!("the same inputs")
    };
    let error = f.db.retry_run(&failed).await.unwrap_err();
    assert!(
        matches!(&error, StateError::Overtaken { later, .. } if *later == unchanged),
        "{error}"
    );
    assert_eq!(f.db.claim("test").await.unwrap(), None);
}

#[tokio::test]
async fn after_a_failure_new_inputs_run_and_the_same_ones_too() {
    for content in ["b", "a"] {
        let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
        let failed = f.running(&new).await;
        f.db.fail(&failed, "the warehouse is away").await.unwrap();
        let inputs = f.valid(&[("IL-1.tdf", content)]).await;
        let again = f.running(&run("J101", &inputs)).await;
        f.db.complete(&again, &LOADED).await.unwrap();
        assert!(
            matches!(
                f.db.enqueue(&run("J101", &inputs)).await.unwrap(),
                Enqueued::Unchanged(_)
            ),
            "what has run well does not run twice"
        );
    }
}

#[tokio::test]
async fn a_superseded_run_says_nothing_about_the_warehouse() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let first = f.running(&new).await;
    f.db.complete(
        &first,
        &RunResult {
            outcome: RunOutcome::Superseded,
            changes: None,
        },
    )
    .await
    .unwrap();
    queued(f.db.enqueue(&new).await.unwrap());
}

#[tokio::test]
async fn a_job_that_is_not_there_has_no_runs() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    let error =
        f.db.enqueue(&NewRun {
            job_id: "J999".to_owned(),
            ..new
        })
        .await
        .unwrap_err();
    assert!(matches!(error, StateError::UnknownJob { .. }), "{error}");
}

#[tokio::test]
async fn the_oldest_run_is_claimed_first_with_its_inputs() {
    let (f, new) = with_job(&[("IL-2.tdf", "b"), ("IL-1.tdf", "a")]).await;
    let first = queued(f.db.enqueue(&new).await.unwrap());
    queued(
        f.db.enqueue(&NewRun {
            job_id: "J102".to_owned(),
            ..new.clone()
        })
        .await
        .unwrap(),
    );
    let claimed = f.db.claim("host:42").await.unwrap().unwrap();
    assert_eq!(
        (claimed.run_id, claimed.job_id, claimed.attempts),
        (first.clone(), "J101".to_owned(), 1)
    );
    let inputs: Vec<_> = claimed
        .inputs
        .iter()
        .map(|input| (input.file_url.as_str(), &input.version))
        .collect();
    assert_eq!(
        inputs,
        [
            ("IL-1.tdf", &crate::support::version("a")),
            ("IL-2.tdf", &crate::support::version("b"))
        ]
    );
    assert_eq!(claimed.inputs[0].submission_id, new.inputs[1].submission_id);
    assert_eq!(claimed.inputs[0].version_id, new.inputs[1].version_id);
    let row = f.db.run(&first).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.owner.as_deref()),
        (RunState::Running, Some("host:42"))
    );
    let job = f.db.job("J101").await.unwrap().unwrap();
    assert_eq!(
        (job.last_exec_status.unwrap().as_str(), job.last_run_id),
        ("RUNNING", Some(first))
    );
    assert_eq!(job.last_run, row.started);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_run_is_claimed_twice() {
    let (f, new) = with_job(&[("IL-1.tdf", "a")]).await;
    for day in 1..=20 {
        let wave = Some(jiff::civil::date(2026, 11, day));
        queued(f.db.enqueue(&NewRun { wave, ..new.clone() }).await.unwrap());
    }
    let other_process = Arc::new(f.open_again().await);
    let workers: Vec<_> = [f.db.clone(), f.db.clone(), other_process.clone(), other_process]
        .into_iter()
        .map(|db| {
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                while let Some(run) = db.claim("worker").await.unwrap() {
                    claimed.push(run.run_id);
                }
                claimed
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.unwrap());
    }
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 20);
}
