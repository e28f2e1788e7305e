//! Where this database and the warehouse's ledger disagree, and what that stops; partials that the lake has lost.

use gristmill_state::{
    Cause, Enqueued, FileStatus, LedgerLoad, NewRun, RunOutcome, RunResult, RunState, StateError,
    SummaryRecord,
};

use crate::support::{Fixture, converted, job, run, unchanged};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};

/// A site with two jobs and one valid file.
async fn site() -> (Fixture, NewRun) {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a")]).await;
    (f, run("J101", &inputs))
}

/// Runs and loads a job, and returns the run as the ledger has it.
async fn loaded(f: &Fixture, new: &NewRun) -> LedgerLoad {
    let run_id = f.running(new).await;
    let summary = SummaryRecord {
        object: format!("summaries/{run_id}.parquet"),
        coverage_object: None,
        rows: 7,
        digest: "d".to_owned(),
    };
    f.db.summarized(&run_id, &summary).await.unwrap();
    f.db.complete(&run_id, &LOADED).await.unwrap();
    let row = f.db.run(&run_id).await.unwrap().unwrap();
    entry(&run_id, &new.job_id, row.sequence)
}

fn entry(run_id: &str, job_id: &str, sequence: i64) -> LedgerLoad {
    LedgerLoad {
        target: "sales_summary".to_owned(),
        run_id: run_id.to_owned(),
        job_id: job_id.to_owned(),
        wave: None,
        sequence,
        rows: 7,
        loaded: "2026-11-23T09:00:00.000Z".to_owned(),
    }
}

/// A place in the order of loads that no clock of these tests reaches.
const FAR: i64 = 4_000_000_000_000_000;

#[tokio::test]
async fn what_both_know_is_no_news() {
    let (f, new) = site().await;
    assert!(f.db.agrees_with_ledger("J101", None, None).await.unwrap());
    let load = loaded(&f, &new).await;
    let news =
        f.db.compare_with_ledger(std::slice::from_ref(&load))
            .await
            .unwrap();
    assert_eq!(news, gristmill_state::LedgerNews::default());
    assert!(f.db.agrees_with_ledger("J101", None, Some(&load)).await.unwrap());
    assert!(!f.db.agrees_with_ledger("J101", None, None).await.unwrap());
    // A job of another gristmill that loads the same table.
    let theirs = entry("theirs", "X", FAR);
    let news = f.db.compare_with_ledger(&[load, theirs]).await.unwrap();
    assert_eq!(news, gristmill_state::LedgerNews::default());
}

#[tokio::test]
async fn a_run_that_only_the_ledger_knows_stops_its_job_until_it_is_accepted() {
    let (f, new) = site().await;
    let before = f.running(&new).await;
    f.db.fail(&before, "disk full").await.unwrap();
    let waiting = match f.db.enqueue(&new).await.unwrap() {
        Enqueued::Queued(run_id) => run_id,
        other => panic!("{other:?}"),
    };
    let theirs = entry("J101-theirs", "J101", FAR);
    let news =
        f.db.compare_with_ledger(std::slice::from_ref(&theirs))
            .await
            .unwrap();
    assert_eq!(news.unknown, std::slice::from_ref(&theirs));
    assert!(news.stops("J101") && !news.stops("J102"));
    assert_eq!(f.facts("J101").await.ledger.unknown.len(), 1);
    assert_eq!(f.facts("J102").await.ledger.unknown.len(), 0);
    assert_eq!(f.db.claim("test").await.unwrap(), None, "{waiting} waits");
    assert!(
        !f.db
            .agrees_with_ledger("J101", None, Some(&theirs))
            .await
            .unwrap()
    );
    let other = NewRun {
        job_id: "J102".to_owned(),
        ..new.clone()
    };
    let other = f.running(&other).await;
    let sequence = f.db.run(&other).await.unwrap().unwrap().sequence;
    assert!(sequence > FAR, "new runs come after the ledger's");

    let done =
        f.db.accept_ledger(&theirs, &["IL-1.tdf".to_owned()])
            .await
            .unwrap();
    assert_eq!(done, (1, 1), "one file, one run");
    let given_up = f.db.run(&waiting).await.unwrap().unwrap();
    assert_eq!(given_up.state, RunState::Failed);
    let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!((file.status, file.in_force), (FileStatus::Submitted, None));
    assert_eq!(f.db.files_to_look_at().await.unwrap(), ["IL-1.tdf"]);
    assert!(
        f.db.agrees_with_ledger("J101", None, Some(&theirs))
            .await
            .unwrap()
    );
    // It stays accepted, and its place counts.
    let news = f.db.compare_with_ledger(&[theirs]).await.unwrap();
    assert_eq!(news.unknown, []);
    let retried = f.db.retry_run(&waiting).await.unwrap_err();
    assert!(
        matches!(&retried, StateError::Overtaken { later, .. } if later == "J101-theirs"),
        "{retried}"
    );
    let again = f.record("IL-1.tdf", unchanged("a")).await;
    assert!(f.db.file("IL-1.tdf").await.unwrap().unwrap().in_force.is_some());
    let mut new = new;
    new.inputs[0].submission_id = again;
    loaded(&f, &new).await;
}

#[tokio::test]
async fn a_run_that_left_the_ledger_again_stops_nothing() {
    let (f, new) = site().await;
    let theirs = entry("J101-theirs", "J101", FAR);
    f.db.compare_with_ledger(&[theirs]).await.unwrap();
    let news = f.db.compare_with_ledger(&[]).await.unwrap();
    assert!(!news.stops("J101"));
    f.running(&new).await;
}

#[tokio::test]
async fn a_load_that_the_warehouse_lost_is_not_believed_in() {
    let (f, new) = site().await;
    let first = loaded(&f, &new).await;
    let second = NewRun {
        cause: Cause::Manual,
        ..new.clone()
    };
    f.pass(1);
    let second = loaded(&f, &second).await;
    // The warehouse was set back to the first run.
    let news =
        f.db.compare_with_ledger(std::slice::from_ref(&first))
            .await
            .unwrap();
    let lost: Vec<_> = news.lost.iter().map(|run| run.run_id.as_str()).collect();
    assert_eq!(lost, [second.run_id.as_str()]);
    assert!(f.db.agrees_with_ledger("J101", None, Some(&first)).await.unwrap());
    assert_eq!(f.facts("J101").await.ledger.lost.len(), 1);
    // The same files again: they are not in the warehouse, so this is work. It waits until the loss is mended.
    let Enqueued::Queued(run_id) = f.db.enqueue(&new).await.unwrap() else {
        panic!("it would repeat what was lost")
    };
    assert_eq!(f.db.claim("test").await.unwrap(), None);
    f.db.found_in_warehouse(&second.run_id).await.unwrap();
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().run_id, run_id);
    f.db.complete(&run_id, &LOADED).await.unwrap();
    assert_eq!(f.db.ledger_news(None).await.unwrap(), Default::default());
    // All of it is lost; a later comparison finds it again.
    let news = f.db.compare_with_ledger(&[]).await.unwrap();
    assert_eq!(news.lost.len(), 1, "only the last load matters");
    let row = f.db.run(&run_id).await.unwrap().unwrap();
    assert!(row.lost.is_some());
    let last = entry(&run_id, "J101", row.sequence);
    assert_eq!(
        f.db.compare_with_ledger(&[last]).await.unwrap(),
        Default::default()
    );
    // A person's run is not held up by a loss.
    f.db.compare_with_ledger(&[]).await.unwrap();
    let manual = NewRun {
        cause: Cause::Manual,
        ..new
    };
    f.running(&manual).await;
}

#[tokio::test]
async fn a_run_waits_for_the_partials_that_the_lake_lost() {
    let (f, new) = site().await;
    let run_id = f.running(&new).await;
    let partial = f.db.partials_in_force("").await.unwrap();
    assert_eq!(partial[0].0, "IL-1.tdf");
    let files = f.db.lose_partials(&partial, Some(&run_id)).await.unwrap();
    assert_eq!(files, ["IL-1.tdf"]);
    assert_eq!(f.db.files_to_look_at().await.unwrap(), ["IL-1.tdf"]);
    assert_eq!(f.db.claim("test").await.unwrap(), None);
    let awaited = f.db.awaited_files().await.unwrap();
    assert_eq!(awaited, [(run_id.clone(), "IL-1.tdf".to_owned())]);
    let facts = f.facts("J101").await;
    assert!(facts.files[0].in_force.as_ref().unwrap().is_partial_lost);
    // The same bytes are not known any more, so they are converted again.
    let known =
        f.db.known_versions(&[("IL-1.tdf", "a", crate::support::LAYOUT)])
            .await;
    assert_eq!(known.unwrap().len(), 0);
    f.record("IL-1.tdf", converted("a")).await;
    let claimed = f.db.claim("test").await.unwrap().unwrap();
    assert_eq!(claimed.run_id, run_id);
    assert_eq!(claimed.inputs[0].version.partial.as_ref(), Some(&partial[0].1));
}

#[tokio::test]
async fn a_run_goes_on_once_the_lake_has_its_partials_again() {
    let (f, new) = site().await;
    let run_id = f.running(&new).await;
    let partials = f.db.partials_in_force("").await.unwrap();
    f.db.lose_partials(&partials, Some(&run_id)).await.unwrap();
    assert_eq!(f.db.files_without_partials().await.unwrap(), ["IL-1.tdf"]);
    let submissions = f.db.submissions_of("IL-1.tdf", 10).await.unwrap().len();
    let version = f.db.run_inputs(&run_id).await.unwrap()[0].version_id;
    let named = [(version, partials[0].1.clone())];
    f.db.name_partials(&named).await.unwrap();
    assert_eq!(f.db.files_without_partials().await.unwrap(), [""; 0]);
    assert_eq!(f.db.partials_in_force("").await.unwrap(), partials);
    assert!(
        !f.facts("J101").await.files[0]
            .in_force
            .as_ref()
            .unwrap()
            .is_partial_lost
    );
    let claimed = f.db.claim("test").await.unwrap().unwrap();
    assert_eq!(claimed.inputs[0].version.partial.as_ref(), Some(&partials[0].1));
    assert_eq!(
        f.db.submissions_of("IL-1.tdf", 10).await.unwrap().len(),
        submissions
    );
    // One that is there keeps its name.
    f.db.name_partials(&[(version, "elsewhere".to_owned())])
        .await
        .unwrap();
    assert_eq!(f.db.partials_in_force("").await.unwrap(), partials);
}

#[tokio::test]
async fn a_run_whose_file_is_gone_is_given_up() {
    let (f, new) = site().await;
    let run_id = f.running(&new).await;
    let partials = f.db.partials_in_force("").await.unwrap();
    f.db.lose_partials(&partials, Some(&run_id)).await.unwrap();
    f.db.give_up(&run_id, "it is gone").await.unwrap();
    let row = f.db.run(&run_id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.error.as_deref()),
        (RunState::Failed, Some("it is gone"))
    );
    // Once more does no harm.
    f.db.give_up(&run_id, "again").await.unwrap();
}
