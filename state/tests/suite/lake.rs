//! Which objects of the lake are needed, and which have expired.

use gristmill_state::{Clock, Expiry, FileStatus, ObjectsOf, RunOutcome, RunResult, SummaryRecord};

use crate::support::{Fixture, LAYOUT, job, run, unchanged};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};

fn summary(name: &str) -> SummaryRecord {
    SummaryRecord {
        object: format!("summaries/J101/{name}.parquet"),
        coverage_object: Some(format!("summaries/J101/{name}.coverage.parquet")),
        rows: 1,
        digest: "d".to_owned(),
    }
}

/// An expiry of now for every kind of object.
fn all(f: &Fixture) -> Expiry {
    let now = Some(f.clock.now());
    Expiry {
        converted: now,
        partials: now,
        rejects: now,
        summaries: now,
    }
}

#[tokio::test]
async fn partials_that_are_in_force_or_that_a_run_may_read_stay() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.valid(&[("IL-1.tdf", "old")]).await;
    let inputs = f.valid(&[("IL-1.tdf", "queued")]).await;
    f.valid(&[("IL-1.tdf", "new")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    let partials = Expiry {
        partials: all(&f).partials,
        ..Expiry::default()
    };
    assert_eq!(
        f.db.expire(&partials).await.unwrap(),
        ["partials/sales/old.parquet"]
    );
    assert!(
        f.db.expire(&partials).await.unwrap().is_empty(),
        "it is forgotten"
    );

    f.db.fail(&run_id, "disk full").await.unwrap();
    assert!(
        f.db.expire(&partials).await.unwrap().is_empty(),
        "it may be tried again"
    );
    let later = f
        .running(&run("J101", &f.valid(&[("IL-1.tdf", "new")]).await))
        .await;
    f.db.complete(&later, &LOADED).await.unwrap();
    assert_eq!(
        f.db.expire(&partials).await.unwrap(),
        ["partials/sales/queued.parquet"]
    );
    let mut named = std::collections::HashSet::new();
    f.db.each_lake_object(ObjectsOf::All, |object| {
        named.insert(object.to_owned());
    })
    .await
    .unwrap();
    assert!(named.contains("partials/sales/new.parquet") && !named.contains("partials/sales/old.parquet"));
    assert!(
        named.contains("converted/sales/old.parquet"),
        "only partials were to expire"
    );
}

#[tokio::test]
async fn a_version_without_its_partial_is_not_known_and_does_not_come_into_force() {
    let f = Fixture::new().await;
    f.valid(&[("IL-1.tdf", "old"), ("IL-1.tdf", "new")]).await;
    let known = [("IL-1.tdf", "old", LAYOUT)];
    assert_eq!(f.db.known_versions(&known).await.unwrap().len(), 1);
    f.db.expire(&all(&f)).await.unwrap();
    assert!(f.db.known_versions(&known).await.unwrap().is_empty());
    // The version was known when the file was checked, but no longer is.
    f.record("IL-1.tdf", unchanged("old")).await;
    let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!(file.status, FileStatus::Rejected);
    assert_eq!(file.in_force.unwrap().version.content_hash, "new");
    // Converted again, it is a version like any other.
    f.valid(&[("IL-1.tdf", "old")]).await;
    assert_eq!(f.db.known_versions(&known).await.unwrap().len(), 1);
}

#[tokio::test]
async fn spans_count_from_the_last_submission_and_from_the_end_of_the_run() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    f.db.summarized(&run_id, &summary("first")).await.unwrap();
    f.db.complete(&run_id, &LOADED).await.unwrap();
    f.valid(&[("IL-2.tdf", "c")]).await;
    let inputs = f.valid(&[("IL-2.tdf", "d")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    f.db.summarized(&run_id, &summary("second")).await.unwrap();
    f.db.complete(&run_id, &LOADED).await.unwrap();
    let until = all(&f);
    f.pass(100);
    f.record("IL-1.tdf", unchanged("a")).await;

    let mut expired = f.db.expire(&until).await.unwrap();
    expired.sort();
    let expected = [
        "converted/sales/b.parquet",
        "converted/sales/c.parquet",
        "converted/sales/d.parquet",
        "partials/sales/b.parquet",
        "partials/sales/c.parquet",
        "rejects/sales/b.parquet",
        "rejects/sales/c.parquet",
        "rejects/sales/d.parquet",
        "summaries/J101/first.coverage.parquet",
        "summaries/J101/first.parquet",
    ];
    assert_eq!(
        expired, expected,
        "what was submitted since, and the last load's summary, stay"
    );
}
