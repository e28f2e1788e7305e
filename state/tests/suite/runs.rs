//! The life of a claimed run, and the facts about runs that a decision reads.

use gristmill_state::{
    Cause, Clock, Enqueued, NewRun, RowChanges, RunFilter, RunOutcome, RunResult, RunRow, RunState,
    StateError, SummaryRecord,
};

use crate::support::{Fixture, job, run};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};

async fn with_run() -> (Fixture, NewRun, String) {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a")]).await;
    let new = run("J101", &inputs);
    let run_id = f.running(&new).await;
    (f, new, run_id)
}

async fn row(f: &Fixture, run_id: &str) -> RunRow {
    f.db.run(run_id).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_operation_of_a_run_is_kept_until_the_run_is_over() {
    let (f, _, run_id) = with_run().await;
    assert!(f.db.cluster_operations().await.unwrap().is_empty());
    f.db.set_cluster_operation(&run_id, Some("one")).await.unwrap();
    f.db.set_cluster_operation(&run_id, None).await.unwrap();
    assert!(f.db.cluster_operations().await.unwrap().is_empty());
    f.db.set_cluster_operation(&run_id, Some("two")).await.unwrap();
    // Back in the queue, the run finds it again.
    f.db.requeue(&run_id).await.unwrap();
    assert_eq!(f.db.cluster_operations().await.unwrap(), ["two"]);
    assert_eq!(row(&f, &run_id).await.cluster_operation.as_deref(), Some("two"));
    let error =
        f.db.set_cluster_operation(&run_id, Some("three"))
            .await
            .unwrap_err();
    assert!(matches!(error, StateError::WrongState { .. }), "{error}");
    f.db.claim("me").await.unwrap();
    f.db.complete(&run_id, &LOADED).await.unwrap();
    assert!(f.db.cluster_operations().await.unwrap().is_empty());
    assert_eq!(row(&f, &run_id).await.cluster_operation.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_run_is_summarized_and_completed() {
    let (f, _, run_id) = with_run().await;
    f.pass(5);
    f.db.heartbeat(&run_id).await.unwrap();
    assert_eq!(
        row(&f, &run_id).await.heartbeat,
        Some("2026-11-23T08:15:06.123456Z".parse().unwrap())
    );
    let summary = SummaryRecord {
        object: "summaries/J101/x.parquet".to_owned(),
        coverage_object: Some("summaries/J101/x.coverage".to_owned()),
        rows: 38,
        digest: "d".to_owned(),
    };
    f.db.summarized(&run_id, &summary).await.unwrap();
    let changes = Some(RowChanges {
        inserted: 30,
        updated: 5,
        deleted: 2,
        unchanged: 3,
    });
    f.db.complete(
        &run_id,
        &RunResult {
            outcome: RunOutcome::Loaded,
            changes,
        },
    )
    .await
    .unwrap();
    let done = row(&f, &run_id).await;
    assert_eq!(
        (done.state, done.outcome),
        (RunState::Completed, Some(RunOutcome::Loaded))
    );
    assert_eq!((done.summary, done.changes), (Some(summary), changes));
    assert_eq!(
        done.finished,
        Some("2026-11-23T08:15:06.123456Z".parse().unwrap())
    );
    assert_eq!(
        f.db.job("J101")
            .await
            .unwrap()
            .unwrap()
            .last_exec_status
            .unwrap()
            .as_str(),
        "COMPLETED"
    );

    let error = f.db.fail(&run_id, "too late").await.unwrap_err();
    assert!(
        matches!(
            error,
            StateError::WrongState {
                state: RunState::Completed,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        f.db.heartbeat("J1-x").await,
        Err(StateError::UnknownRun { .. })
    ));
}

#[tokio::test]
async fn a_run_left_by_a_dead_process_goes_back_into_the_queue() {
    let (f, new, run_id) = with_run().await;
    let restarted = f.open_again().await;
    let left: Vec<_> = restarted
        .running()
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.run_id)
        .collect();
    assert_eq!(left, [run_id.as_str()]);
    let sequence = row(&f, &run_id).await.sequence;
    restarted.requeue(&run_id).await.unwrap();
    assert!(restarted.running().await.unwrap().is_empty());
    assert!(
        restarted.requeue(&run_id).await.is_err(),
        "only a running run is put back"
    );
    let claimed = restarted.claim("new").await.unwrap().unwrap();
    assert_eq!(
        (claimed.run_id, claimed.sequence, claimed.attempts),
        (run_id, sequence, 2)
    );
    assert_eq!(claimed.inputs[0].submission_id, new.inputs[0].submission_id);
}

#[tokio::test]
async fn the_job_shows_how_its_newest_run_stands() {
    let (f, new, first) = with_run().await;
    let status = async || f.db.job("J101").await.unwrap().unwrap().last_exec_status.unwrap();
    let second = f
        .running(&NewRun {
            wave: Some("2026-11-22".parse().unwrap()),
            ..new
        })
        .await;
    f.db.complete(&first, &LOADED).await.unwrap();
    assert_eq!(status().await.as_str(), "RUNNING", "the newer run is still going");
    f.db.fail(&second, "no").await.unwrap();
    assert_eq!(status().await.as_str(), "FAILED");
    assert_eq!(row(&f, &second).await.error.as_deref(), Some("no"));
}

#[tokio::test]
async fn facts_hold_the_newest_runs_of_each_wave_and_other_jobs_completions() {
    let (f, new, first) = with_run().await;
    let wave = Some("2026-11-22".parse().unwrap());
    let day = NewRun { wave, ..new.clone() };
    f.db.fail(&first, "no").await.unwrap();
    let done = f.running(&day).await;
    f.db.complete(&done, &LOADED).await.unwrap();
    let manual = NewRun {
        cause: Cause::Manual,
        ..day.clone()
    };
    let done_again = f.running(&manual).await;
    f.db.complete(&done_again, &LOADED).await.unwrap();
    let going = f.running(&manual).await;

    let facts = f.facts_of("J101", [None, wave]).await.unwrap();
    assert_eq!(facts.waves.len(), 2);
    let by_day = &facts.waves[&wave];
    assert_eq!(by_day.active.as_ref().unwrap().run_id, going);
    assert_eq!(by_day.completed.as_ref().unwrap().run_id, done_again);
    assert_eq!(by_day.finished().unwrap().run_id, done_again);
    assert!(by_day.failed.is_none());
    assert_eq!(facts.waves[&None].finished().unwrap().run_id, first);
    assert!(
        facts.completions.is_empty(),
        "its own completions are in its waves"
    );

    let other = f.facts("J102").await;
    assert!(other.waves.is_empty());
    assert_eq!(other.completions.len(), 1);
    let completion = &other.completions[0];
    assert_eq!(
        (&completion.job_id[..], completion.wave, &completion.run_id),
        ("J101", wave, &done_again)
    );
    assert!(facts.active_elsewhere.is_empty(), "its own runs are in its waves");
    let active = &other.active_elsewhere[0];
    assert_eq!(
        (&active.job_id[..], active.wave, &active.run_id, active.state),
        ("J101", wave, &going, RunState::Running)
    );
}

#[tokio::test]
async fn a_completed_replay_is_not_the_waves_last_run() {
    let (f, new, first) = with_run().await;
    f.db.complete(&first, &LOADED).await.unwrap();
    let replay = NewRun {
        cause: Cause::Replay,
        as_of_submission: new.as_of_submission + 1,
        ..new
    };
    let replayed = f.running(&replay).await;
    let wave = async || f.facts("J101").await.waves[&None].clone();
    assert_eq!(wave().await.active.unwrap().run_id, replayed, "while it works");
    f.db.fail(&replayed, "no").await.unwrap();
    assert_eq!(wave().await.failed.unwrap().run_id, replayed);
    let Enqueued::Queued(retried) = f.db.retry_run(&replayed).await.unwrap() else {
        panic!("not queued")
    };
    f.db.claim("test").await.unwrap();
    f.db.complete(&retried, &LOADED).await.unwrap();
    assert_eq!(row(&f, &retried).await.cause, Cause::Replay);
    let wave = wave().await;
    assert!(wave.active.is_none());
    assert_eq!(wave.completed.unwrap().run_id, first);
    assert_eq!(wave.complete.unwrap().run_id, first);
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let (f, new, first) = with_run().await;
    let second = f
        .running(&NewRun {
            job_id: "J102".to_owned(),
            ..new
        })
        .await;
    f.db.complete(&first, &LOADED).await.unwrap();
    let list = async |filter: RunFilter| -> Vec<String> {
        f.db.runs(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|run| run.run_id)
            .collect()
    };
    assert_eq!(list(RunFilter::default()).await, [second.clone(), first.clone()]);
    let newest = RunFilter {
        limit: Some(1),
        ..Default::default()
    };
    assert_eq!(list(newest).await, std::slice::from_ref(&second));
    let completed = RunFilter {
        state: Some(RunState::Completed),
        ..Default::default()
    };
    assert_eq!(list(completed).await, [first]);
    let of_job = RunFilter {
        job_id: Some("J102".to_owned()),
        ..Default::default()
    };
    assert_eq!(list(of_job).await, [second]);
}

#[tokio::test]
async fn rows_are_serialized_in_the_words_of_the_database() {
    let (f, _, run_id) = with_run().await;
    let json = serde_json::to_value(row(&f, &run_id).await).unwrap();
    assert_eq!(
        (json["state"].as_str(), json["cause"].as_str()),
        (Some("RUNNING"), Some("preconditions"))
    );
    let json = serde_json::to_value(f.db.job("J101").await.unwrap().unwrap()).unwrap();
    assert_eq!(
        (json["min_files"].as_u64(), json["trigger"].as_str()),
        (Some(13), Some("all"))
    );
    let json = serde_json::to_value(f.db.file("IL-1.tdf").await.unwrap().unwrap()).unwrap();
    assert_eq!(
        (json["status"].as_str(), json["in_force"]["rows"].as_u64()),
        (Some("VALIDATED"), Some(6))
    );
}

#[tokio::test]
async fn the_last_load_of_a_wave_is_the_newest_that_was_loaded() {
    let (f, _, first) = with_run().await;
    let inputs = f.valid(&[("IL-2.tdf", "b")]).await;
    let day = Some("2026-11-22".parse().unwrap());
    let superseded = RunResult {
        outcome: RunOutcome::Superseded,
        changes: None,
    };
    let end = async |run_id: &str, result: Option<RunResult>| {
        let summary = SummaryRecord {
            object: format!("summaries/J101/{run_id}.parquet"),
            coverage_object: None,
            rows: 1,
            digest: "d".to_owned(),
        };
        f.db.summarized(run_id, &summary).await.unwrap();
        match result {
            Some(result) => f.db.complete(run_id, &result).await.unwrap(),
            None => f.db.fail(run_id, "no room").await.unwrap(),
        }
    };
    let manual = |job_id: &str, wave| NewRun {
        cause: Cause::Manual,
        wave,
        ..run(job_id, &inputs)
    };
    end(&first, Some(LOADED)).await;
    let mut ids = vec![first];
    for (job_id, wave, result) in [
        ("J101", None, Some(LOADED)),
        ("J101", None, Some(superseded)),
        ("J101", None, None),
        ("J101", day, Some(LOADED)),
        ("J102", None, Some(LOADED)),
    ] {
        let run_id = f.running(&manual(job_id, wave)).await;
        end(&run_id, result).await;
        ids.push(run_id);
    }
    let before = async |wave, sequence| {
        let found = f.db.loaded_before("J101", wave, sequence).await.unwrap();
        found.map(|run| run.run_id)
    };
    assert_eq!(before(None, i64::MAX).await.as_ref(), Some(&ids[1]));
    let second = row(&f, &ids[1]).await.sequence;
    assert_eq!(before(None, second).await.as_ref(), Some(&ids[0]));
    assert_eq!(before(day, second).await, None);
    let last = f.db.last_loads("J101").await.unwrap();
    let last: Vec<_> = last.into_iter().map(|run| run.run_id).collect();
    assert_eq!(last, [ids[1].clone(), ids[4].clone()]);
}

#[tokio::test]
async fn runs_are_listed_by_time_and_completeness() {
    let (f, new, first) = with_run().await;
    f.db.complete(&first, &LOADED).await.unwrap();
    f.pass(60);
    let since = f.clock.now();
    let low = NewRun {
        completeness_percent: Some(99.9),
        cause: Cause::Manual,
        ..new.clone()
    };
    let second = f.running(&low).await;
    f.db.complete(&second, &LOADED).await.unwrap();
    let open = NewRun {
        incomplete: true,
        completeness_percent: None,
        ..low
    };
    let third = f.running(&open).await;
    let list = async |filter: RunFilter| {
        let runs = f.db.runs(&filter).await.unwrap();
        runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>()
    };
    let later = RunFilter {
        since: Some(since),
        ..RunFilter::default()
    };
    assert_eq!(list(later).await, [third.clone(), second.clone()]);
    let incomplete = RunFilter {
        incomplete: true,
        ..RunFilter::default()
    };
    assert_eq!(list(incomplete).await, [third, second]);
    assert_eq!(list(RunFilter::default()).await.len(), 3);
}
