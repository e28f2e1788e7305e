//! What pages read: parts of the list of files, the story of one file, and everything counted.

use gristmill_state::{
    Converted, FilePart, FileStatus, Outcome, RunOutcome, RunResult, RunState, SummaryRecord,
};

use crate::support::{Fixture, converted, job, rejected, run, unchanged};

async fn with_files() -> Fixture {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    f.record("b/IL-2.tdf", converted("b")).await;
    f.record("a/IL-1.tdf", converted("a")).await;
    f.record("c/it's 100%_IL-3.tdf", rejected("c")).await;
    f.facts("J101").await;
    f
}

async fn urls(f: &Fixture, part: FilePart) -> Vec<String> {
    let files = f.db.file_part(&part).await.unwrap();
    files.into_iter().map(|file| file.file_url).collect()
}

#[tokio::test]
async fn files_are_listed_in_parts() {
    let f = with_files().await;
    let all = FilePart {
        limit: 10,
        ..FilePart::default()
    };
    let by_path = ["a/IL-1.tdf", "b/IL-2.tdf", "c/it's 100%_IL-3.tdf"];
    assert_eq!(urls(&f, all.clone()).await, by_path);
    let newest = FilePart {
        newest_first: true,
        ..all.clone()
    };
    assert_eq!(urls(&f, newest).await, [by_path[2], by_path[0], by_path[1]]);
    let second = FilePart {
        offset: 1,
        limit: 1,
        ..all.clone()
    };
    assert_eq!(urls(&f, second).await, [by_path[1]]);
    // What a pattern would take for more than a text is a text.
    for (text, found) in [("il-2", 1), ("100%_", 1), ("'", 1), ("%", 1), ("_", 1), ("*", 0)] {
        let part = FilePart {
            text: Some(text.to_owned()),
            ..all.clone()
        };
        assert_eq!(urls(&f, part).await.len(), found, "{text}");
    }
    for (part, found) in [
        (
            FilePart {
                status: Some(FileStatus::Rejected),
                ..all.clone()
            },
            1,
        ),
        (
            FilePart {
                feed: Some("items".to_owned()),
                ..all.clone()
            },
            0,
        ),
        (
            FilePart {
                job: Some("J101".to_owned()),
                ..all.clone()
            },
            3,
        ),
        (
            FilePart {
                job: Some("J102".to_owned()),
                ..all.clone()
            },
            0,
        ),
        (
            FilePart {
                store: Some("s1".to_owned()),
                ..all.clone()
            },
            3,
        ),
    ] {
        assert_eq!(urls(&f, part.clone()).await.len(), found, "{part:?}");
    }
    let refused = f.db.file_part(&all).await.unwrap().remove(2).refused;
    assert_eq!(refused.unwrap().version.content_hash, "c");
}

#[tokio::test]
async fn the_story_of_a_file_is_told_newest_first() {
    let f = with_files().await;
    f.record("a/IL-1.tdf", unchanged("a")).await;
    let submissions = f.db.submissions_of("a/IL-1.tdf", 10).await.unwrap();
    let outcomes: Vec<_> = submissions.iter().map(|submission| submission.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unchanged, Outcome::Validated]);
    assert_eq!(submissions[1].content_hash.as_deref(), Some("a"));
    assert_eq!(f.db.submissions_of("a/IL-1.tdf", 1).await.unwrap().len(), 1);
    assert!(f.db.interventions_of("a/IL-1.tdf", 10).await.unwrap().is_empty());
    assert!(f.db.runs_of_file("a/IL-1.tdf", 10).await.unwrap().is_empty());
    let inputs = f.valid(&[("a/IL-1.tdf", "a2")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    assert_eq!(
        f.db.runs_of_file("a/IL-1.tdf", 10).await.unwrap()[0].run_id,
        run_id
    );
}

#[tokio::test]
async fn a_change_of_anybody_is_noticed_once() {
    let f = Fixture::new().await;
    let mut changes = f.db.watch().await.unwrap();
    assert!(changes.any().await.unwrap(), "the first look");
    assert!(!changes.any().await.unwrap());
    f.record("a", converted("a")).await;
    assert!(changes.any().await.unwrap());
    assert!(!changes.any().await.unwrap());
    let mut shell = f.shell().await;
    shell
        .execute("UPDATE ingested_file_status SET last_note = 'x'")
        .await
        .unwrap();
    assert!(changes.any().await.unwrap());
}

#[tokio::test]
async fn everything_is_counted_as_it_stands() {
    let f = with_files().await;
    let inputs = f.valid(&[("a/IL-1.tdf", "a2")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    f.pass(3);
    let summary = SummaryRecord {
        object: "s".to_owned(),
        coverage_object: None,
        rows: 1,
        digest: "d".to_owned(),
    };
    f.db.summarized(&run_id, &summary).await.unwrap();
    f.pass(7);
    let loaded = RunResult {
        outcome: RunOutcome::Loaded,
        changes: None,
    };
    f.db.complete(&run_id, &loaded).await.unwrap();
    let measures = f.db.measures().await.unwrap();
    let files: Vec<_> = measures
        .files
        .iter()
        .map(|(feed, status, files)| (feed.as_str(), status.as_str(), *files))
        .filter(|(.., files)| *files > 0)
        .collect();
    assert_eq!(files, [("sales", "REJECTED", 1), ("sales", "VALIDATED", 2)]);
    let of_four = Converted {
        feed: "sales".to_owned(),
        versions: 4,
        bytes: 4_000,
        rows: 24,
        ignored: 8,
        skipped: 4,
        rejects: 4,
    };
    assert_eq!(measures.converted, [of_four]);
    let loaded = measures
        .runs
        .iter()
        .find(|runs| runs.state == RunState::Completed.as_str());
    assert_eq!(loaded.map(|runs| runs.runs), Some(1));
    for (histogram, seconds) in [
        (&measures.run_seconds, 10.0),
        (&measures.merge_seconds, 3.0),
        (&measures.load_seconds, 7.0),
    ] {
        assert_eq!(histogram.counts.iter().sum::<u64>(), 1);
        assert!((histogram.sum - seconds).abs() < 0.01, "{histogram:?}");
    }
    assert!(measures.jobs.len() == 1 && measures.jobs[0].last_complete.is_some());
    let complete = f.db.last_complete(&["J101"]).await.unwrap();
    assert_eq!(complete[0].run_id, run_id);
    let named = f.db.runs_named(&["none", &run_id]).await.unwrap();
    assert_eq!(named, complete);
    assert_eq!((measures.held, measures.failures), (0, 0));
}
