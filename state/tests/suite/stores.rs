//! What is known of one store: the files that its name is in, and those that hold its days.

use gristmill_state::{FileStatus, Standing, SubmissionRecord, VersionDay};

use crate::support::{Fixture, converted, job, one_job, rejected, submission, version};

fn day(store: &str, date: &str) -> VersionDay {
    VersionDay {
        store_id: store.to_owned(),
        trans_date: date.parse().unwrap(),
        lines: Some(6),
        turnover: 600,
    }
}

/// A file without a store in its name, with days of some stores.
async fn record_shared(f: &Fixture, file_url: &str, days: Vec<VersionDay>) {
    f.pass(1);
    let outcome = gristmill_state::SubmissionOutcome::Converted(gristmill_state::VersionRecord {
        days,
        ..version(file_url)
    });
    let record = SubmissionRecord {
        store_id: None,
        ..submission(file_url, outcome)
    };
    f.db.record(&[record], &one_job).await.unwrap();
}

#[tokio::test]
async fn files_of_a_store_are_those_that_name_it_and_those_that_hold_its_days() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.record("IL-1.tdf", converted("a")).await;
    f.record("IL-2.tdf", rejected("b")).await;
    record_shared(
        &f,
        "all.tdf",
        vec![day("s1", "2026-11-21"), day("s2", "2026-11-21")],
    )
    .await;
    record_shared(&f, "one.tdf", vec![day("s1", "2026-11-22")]).await;
    record_shared(&f, "other.tdf", vec![day("s2", "2026-11-22")]).await;
    f.facts("J101").await;
    let files = f.db.files_of_store("s1", None, (0, 10)).await.unwrap();
    let found: Vec<_> = files
        .iter()
        .map(|of_store| (of_store.file.file_url.as_str(), of_store.is_shared))
        .collect();
    assert_eq!(
        found,
        [
            ("one.tdf", false),
            ("all.tdf", true),
            ("IL-2.tdf", false),
            ("IL-1.tdf", false)
        ]
    );
    let refused = files[2].file.refused.as_ref();
    assert_eq!(refused.map(|row| row.version.content_hash.as_str()), Some("b"));
    assert_eq!(f.db.files_of_store("s1", None, (1, 2)).await.unwrap().len(), 2);
    let since = Some(f.db_now());
    assert!(
        f.db.files_of_store("s1", since, (0, 10))
            .await
            .unwrap()
            .is_empty()
    );
    let counts = f.db.status_counts_of_store("s1").await.unwrap();
    assert!(
        counts.contains(&(FileStatus::Rejected, 1)) && counts.contains(&(FileStatus::Validated, 3)),
        "{counts:?}"
    );
    assert_eq!(f.db.files_of_store("s9", None, (0, 10)).await.unwrap(), []);
}

#[tokio::test]
async fn days_of_a_store_are_told_with_what_they_stand_on() {
    let f = Fixture::new().await;
    record_shared(
        &f,
        "one.tdf",
        vec![
            day("s1", "2026-11-21"),
            day("s1", "2026-11-22"),
            day("s2", "2026-11-22"),
        ],
    )
    .await;
    let span = ("2026-11-22".parse().unwrap(), "2026-11-30".parse().unwrap());
    let days = f.db.days_of_store("s1", span).await.unwrap();
    assert_eq!(days.len(), 1);
    assert_eq!((days[0].standing, days[0].lines), (Standing::Stands, Some(6)));
    assert!(f.db.held_of_store("s1").await.unwrap().is_empty());
}

#[tokio::test]
async fn when_a_store_and_its_job_reported_is_known() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let began = f.db_now();
    f.record("IL-1.tdf", converted("a")).await;
    f.facts("J101").await;
    // By a job whose pattern has no {store}, a file is of no store.
    let jobs = f.db.jobs_of_store("s1").await.unwrap();
    let first = f.db.first_report("s1", "J101").await.unwrap();
    assert_eq!(jobs.is_empty(), first.is_none());
    f.pass(3600);
    let minutes = f.db.minutes_of_job("J101", (began, f.db_now())).await.unwrap();
    assert_eq!(minutes.len(), 1);
    assert!(
        f.db.minutes_of_job("J101", (f.db_now(), f.db_now()))
            .await
            .unwrap()
            .is_empty()
    );
    let days = ("2026-11-01".parse().unwrap(), "2026-11-30".parse().unwrap());
    assert!(f.db.days_of_job("J101", days).await.unwrap().is_empty());
}
