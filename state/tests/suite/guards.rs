//! Versions that are held, what people decide about them, and what runs read of files.

use gristmill_state::{
    Clock, DayEffect, Enqueued, Expiry, FileFilter, FileStatus, Guards, InputDay, InputDays, Late, NewRun,
    RunInput, RunOutcome, RunResult, Standing, StateError, SubmissionOutcome, VersionDay, VersionRecord,
    Withdraw,
};

use crate::support::{Fixture, job, one_job, run, submission, unchanged, version};

fn day(date: &str, lines: u64) -> VersionDay {
    VersionDay {
        store_id: "s1".to_owned(),
        trans_date: date.parse().unwrap(),
        lines: Some(lines),
        turnover: lines * 100,
    }
}

fn with_days(content: &str, days: &[VersionDay]) -> SubmissionOutcome {
    SubmissionOutcome::Converted(VersionRecord {
        days: days.to_vec(),
        first_date: days.iter().map(|day| day.trans_date).min(),
        last_date: days.iter().map(|day| day.trans_date).max(),
        ..version(content)
    })
}

const D1: &str = "2026-11-21";
const D2: &str = "2026-11-22";

/// Records a file and returns its status.
async fn send(f: &Fixture, file_url: &str, content: &str, days: &[VersionDay]) -> FileStatus {
    let mut submission = submission(file_url, with_days(content, days));
    submission.business_date = None;
    f.pass(1);
    f.db.record(&[submission], &one_job).await.unwrap()[0].status
}

async fn in_force(f: &Fixture, file_url: &str) -> Option<String> {
    let file = f.db.file(file_url).await.unwrap().unwrap();
    file.in_force.map(|known| known.version.content_hash)
}

#[tokio::test]
async fn a_held_version_leaves_the_one_before_in_force_until_it_is_accepted() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    assert_eq!(
        send(&f, "IL-1.tdf", "a", &[day(D1, 10)]).await,
        FileStatus::Validated
    );
    assert_eq!(send(&f, "IL-1.tdf", "b", &[day(D1, 2)]).await, FileStatus::Held);
    assert_eq!(in_force(&f, "IL-1.tdf").await.as_deref(), Some("a"));
    let held = f.db.held().await.unwrap();
    assert_eq!(held.len(), 1);
    assert!(
        held[0].reason.starts_with("it has 2 lines of 2026-11-21"),
        "{held:?}"
    );
    let filter = FileFilter {
        status: Some(FileStatus::Held),
        ..FileFilter::default()
    };
    assert_eq!(f.db.files(&filter).await.unwrap().len(), 1);
    let before = f.facts("J101").await.newest_submission;
    let accepted =
        f.db.accept("IL-1.tdf", Late::Replace, Guards::default(), &one_job, "ann")
            .await
            .unwrap();
    assert!(accepted.is_whole && accepted.replaced.is_empty());
    assert_eq!(in_force(&f, "IL-1.tdf").await.as_deref(), Some("b"));
    assert!(f.db.held().await.unwrap().is_empty());
    let facts = f.facts("J101").await;
    let fresh = facts.files[0].in_force.as_ref().unwrap().submission_id;
    assert!(fresh > before, "it is news for the jobs");
    let again =
        f.db.accept("IL-1.tdf", Late::Replace, Guards::default(), &one_job, "ann")
            .await;
    assert!(matches!(again, Err(StateError::NothingHeld { .. })));
    let unknown =
        f.db.withdraw(
            "XX",
            Withdraw::Day(D1.parse().unwrap()),
            Guards::default(),
            &one_job,
            "ann",
        )
        .await;
    assert!(matches!(unknown, Err(StateError::UnknownFile { .. })));
}

#[tokio::test]
async fn two_files_of_one_day_in_one_group_are_judged_in_their_order() {
    let f = Fixture::new().await;
    let of = |file_url, content| {
        let mut submission = submission(file_url, with_days(content, &[day(D1, 10)]));
        submission.business_date = None;
        submission
    };
    let group = [of("IL-1 (1).tdf", "a"), of("IL-1.tdf", "b"), of("IL-1.tdf", "c")];
    let recorded = f.db.record(&group, &one_job).await.unwrap();
    let statuses: Vec<_> = recorded.iter().map(|recorded| recorded.status).collect();
    assert_eq!(
        statuses,
        [FileStatus::Validated, FileStatus::Held, FileStatus::Held]
    );
    assert_eq!(
        f.db.held().await.unwrap()[0].other_file.as_deref(),
        Some("IL-1 (1).tdf")
    );

    let withdrawn =
        f.db.withdraw(
            "IL-1 (1).tdf",
            Withdraw::File { keeps_rows: false },
            Guards::default(),
            &one_job,
            "ann",
        )
        .await
        .unwrap();
    assert_eq!(withdrawn.in_force, ["IL-1.tdf"]);
    assert_eq!(in_force(&f, "IL-1.tdf").await.as_deref(), Some("c"));
    assert_eq!(in_force(&f, "IL-1 (1).tdf").await, None);

    let nobody =
        f.db.record(&[of("IL-9.tdf", "x")], &|_: &str, _: &str| false)
            .await
            .unwrap();
    assert_eq!(nobody[0].status, FileStatus::Validated, "no job reads both");
}

#[tokio::test]
async fn held_days_and_withdrawn_days_are_facts_for_runs() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    send(&f, "IL-1.tdf", "a", &[day(D1, 10)]).await;
    let status = send(&f, "IL-1.tdf", "b", &[day(D1, 1), day(D2, 5)]).await;
    assert_eq!(status, FileStatus::Validated);
    let standings = async || -> Vec<_> {
        let facts = f.facts("J101").await;
        let days = facts.days.iter();
        days.map(|day| (day.version_id, day.trans_date.to_string(), day.standing))
            .collect()
    };
    let d = |date: &str| date.to_owned();
    assert_eq!(
        standings().await,
        [(1, d(D1), Standing::Stands), (2, d(D1), Standing::Held)]
    );
    f.db.accept("IL-1.tdf", Late::Add, Guards::default(), &one_job, "ann")
        .await
        .unwrap();
    assert_eq!(
        standings().await,
        [(1, d(D1), Standing::Stands), (2, d(D1), Standing::Counts)]
    );
    let how = Withdraw::Day(D2.parse().unwrap());
    f.db.withdraw("IL-1.tdf", how, Guards::default(), &one_job, "ann")
        .await
        .unwrap();
    assert!(standings().await.contains(&(2, d(D2), Standing::Withdrawn)));
    // The same bytes again bring the day back.
    f.record("IL-1.tdf", unchanged("b")).await;
    assert!(!standings().await.iter().any(|(_, date, _)| date == D2));
}

#[tokio::test]
async fn a_run_reads_again_exactly_what_it_read() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f
        .valid(&[("IL-1.tdf", "a"), ("IL-1.tdf", "b"), ("IL-2.tdf", "x")])
        .await;
    let named = |effect| InputDay {
        store_id: "s1".to_owned(),
        trans_date: D1.parse().unwrap(),
        effect,
    };
    let chosen = [
        RunInput {
            days: InputDays {
                others_count: false,
                named: vec![named(DayEffect::Counts)],
            },
            ..inputs[0].clone()
        },
        RunInput {
            days: InputDays {
                others_count: true,
                named: vec![named(DayEffect::LeftOut)],
            },
            ..inputs[1].clone()
        },
        inputs[2].clone(),
    ];
    let whole = run("J101", &inputs[1..]);
    let partly = NewRun {
        inputs: chosen.to_vec(),
        ..run("J101", &inputs)
    };
    let run_id = f.running(&partly).await;
    let read = f.db.run_inputs(&run_id).await.unwrap();
    let days: Vec<_> = read.iter().map(|input| input.days.clone()).collect();
    assert_eq!(
        days,
        chosen.iter().map(|input| input.days.clone()).collect::<Vec<_>>()
    );
    f.db.fail(&run_id, "disk full").await.unwrap();
    let Enqueued::Queued(retried) = f.db.retry_run(&run_id).await.unwrap() else {
        panic!("not queued");
    };
    assert_eq!(f.db.run_inputs(&retried).await.unwrap(), read);
    let digest = async |run_id: &str| f.db.run(run_id).await.unwrap().unwrap().inputs_digest;
    assert_eq!(digest(&run_id).await, digest(&retried).await);
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().inputs, read);
    f.db.fail(&retried, "disk full").await.unwrap();
    let other = f.running(&whole).await;
    assert_ne!(digest(&run_id).await, digest(&other).await);
}

#[tokio::test]
async fn a_version_that_overflows_with_others_is_left_out_and_held() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    send(&f, "IL-1.tdf", "a", &[day(D1, 10)]).await;
    send(&f, "IL-1.tdf", "b", &[day(D1, 11)]).await;
    let facts = f.facts("J101").await;
    let in_force_now = facts.files[0].in_force.as_ref().unwrap();
    let input = RunInput {
        file_id: facts.files[0].file_id,
        version_id: in_force_now.version_id,
        submission_id: in_force_now.submission_id,
        days: InputDays::default(),
    };
    let run_id = f.running(&run("J101", &[input])).await;
    let left = f.db.leave_out(&run_id, 2, "it does not fit").await.unwrap();
    let hashes: Vec<_> = left
        .iter()
        .map(|input| input.version.content_hash.as_str())
        .collect();
    assert_eq!(hashes, ["a"], "the version before is read instead");
    assert_eq!(in_force(&f, "IL-1.tdf").await.as_deref(), Some("a"));
    assert_eq!(f.db.held().await.unwrap()[0].reason, "it does not fit");
    let left = f.db.leave_out(&run_id, 1, "nor does this").await.unwrap();
    assert!(left.is_empty());
    assert_eq!(in_force(&f, "IL-1.tdf").await, None);
}

#[tokio::test]
async fn days_before_a_name_was_used_again_are_read_and_kept_until_each_job_has_run() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    send(&f, "IL-1.tdf", "a", &[day(D1, 10)]).await;
    send(&f, "IL-1.tdf", "b", &[day(D2, 10)]).await;
    let unread = async |job_id: &str| -> Vec<_> {
        let facts = f.facts(job_id).await;
        let days = facts.days.into_iter();
        days.map(|day| (day.version_id, day.trans_date.to_string(), day.standing))
            .collect()
    };
    let older = [(1, D1.to_owned(), Standing::Stands)];
    let partials = Expiry {
        partials: Some(f.clock.now()),
        ..Expiry::default()
    };
    for job_id in ["J101", "J102"] {
        assert_eq!(unread(job_id).await, older);
        assert!(
            f.db.expire(&partials).await.unwrap().is_empty(),
            "{job_id} needs it"
        );
        let run_id = f
            .running(&run(job_id, &f.valid(&[("IL-2.tdf", job_id)]).await))
            .await;
        let loaded = RunResult {
            outcome: RunOutcome::Loaded,
            changes: None,
        };
        f.db.complete(&run_id, &loaded).await.unwrap();
        assert!(unread(job_id).await.is_empty());
    }
    assert_eq!(
        f.db.expire(&partials).await.unwrap(),
        ["partials/sales/a.parquet"]
    );
    f.db.add_jobs(&[job("J103")]).await.unwrap();
    assert!(unread("J103").await.is_empty(), "the lake has nothing more of it");
}

#[tokio::test]
async fn a_group_of_a_thousand_files_with_days_is_quick() {
    let f = Fixture::new().await;
    let group = |lines: u64| -> Vec<_> {
        let of_file = |n: u64| {
            let days = [VersionDay {
                store_id: format!("s{n}"),
                ..day(D1, lines)
            }];
            submission(&format!("IL-{n}.tdf"), with_days(&format!("{n}-{lines}"), &days))
        };
        (0..1_000).map(of_file).collect()
    };
    for lines in [10, 11] {
        let started = std::time::Instant::now();
        let recorded = f.db.record(&group(lines), &one_job).await.unwrap();
        assert!(recorded.iter().all(|file| file.status == FileStatus::Validated));
        assert!(started.elapsed().as_secs() < 3, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_file_with_more_days_than_a_statement_takes_rows_is_recorded_whole() {
    let f = Fixture::new().await;
    let days: Vec<VersionDay> = (0..25_000)
        .map(|n| VersionDay {
            store_id: format!("s{n}"),
            ..day(D1, 1)
        })
        .collect();
    for content in ["first", "second"] {
        let recorded =
            f.db.record(&[submission("all.tdf", with_days(content, &days))], &one_job)
                .await;
        assert_eq!(recorded.unwrap()[0].status, FileStatus::Validated);
    }
    let mut shell = f.shell().await;
    let counted = "SELECT concat(count(*), ' ', count(DISTINCT store_id), ' ', count(DISTINCT version_id)) FROM file_day";
    assert_eq!(shell.column(counted).await, ["25000 25000 1"]);
    assert_eq!(
        shell.column("SELECT concat(count(*)) FROM version_day").await,
        ["50000"]
    );
}
