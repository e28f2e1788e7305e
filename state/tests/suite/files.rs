//! The life of a file.

use std::time::{Duration, Instant};

use gristmill_state::{FileFilter, FileStatus, StateError, SubmissionOutcome, UNMATCHED, VersionRecord};

use crate::support::{
    Fixture, LAYOUT, converted, failed, job, known_stamps, one_job, rejected, stamp, submission, unchanged,
    version,
};

fn layouts(layout: &str) -> impl Fn(&str, &str) -> Option<String> {
    move |feed, _| (feed == "sales").then(|| layout.to_owned())
}

#[tokio::test]
async fn a_converted_file_is_in_force_with_all_its_facts() {
    let f = Fixture::new().await;
    let submission_id = f.record("IL-1.tdf", converted("a")).await;
    let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    let now = "2026-11-23T08:15:01.123456Z".parse().unwrap();
    assert_eq!(
        (file.status, file.submitted, file.last_validated),
        (FileStatus::Validated, now, Some(now))
    );
    assert_eq!(
        (file.store_id.as_deref(), file.last_error.as_deref()),
        (Some("s1"), None)
    );
    assert_eq!(file.business_date, Some("2026-11-22".parse().unwrap()));
    assert_eq!(file.in_force.as_ref().unwrap().version, version("a"));

    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let facts = f.facts("J101").await;
    assert_eq!(facts.newest_submission, submission_id);
    let in_force = facts.files[0].in_force.as_ref().unwrap();
    assert_eq!(
        (in_force.submission_id, in_force.submitted, in_force.validated),
        (submission_id, now, now)
    );
    assert_eq!((in_force.bytes, in_force.rows), (1_000, 6));
    assert_eq!(in_force.layout_digest, LAYOUT);
    let known = async |version| f.db.known_versions(&[version]).await.unwrap().len();
    assert_eq!(known(("IL-1.tdf", "a", LAYOUT)).await, 1);
    assert_eq!(known(("IL-1.tdf", "a", "layout-2")).await, 0);
    assert_eq!(known(("IL-2.tdf", "a", LAYOUT)).await, 0);
    let in_force = f.db.in_force(&["IL-1.tdf", "IL-2.tdf"]).await.unwrap();
    assert_eq!(in_force.len(), 1);
    assert_eq!(in_force["IL-1.tdf"], Some((1_000, LAYOUT.to_owned())));
}

#[tokio::test]
async fn the_same_bytes_again_are_fresh_and_no_new_version() {
    let f = Fixture::new().await;
    let first = f.record("IL-1.tdf", converted("a")).await;
    let before = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    let second = f.record("IL-1.tdf", unchanged("a")).await;
    assert!(second > first);
    let after = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!(after.in_force, before.in_force);
    assert!(after.last_validated > before.last_validated);
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let facts = f.facts("J101").await;
    assert_eq!(facts.files[0].in_force.as_ref().unwrap().submission_id, second);
}

#[tokio::test]
async fn recording_a_conversion_twice_keeps_one_version() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    f.record("IL-1.tdf", converted("a")).await;
    assert_eq!(f.db.versions_of("IL-1.tdf").await.unwrap().len(), 1);
}

#[tokio::test]
async fn going_back_to_earlier_bytes_puts_them_in_force_again() {
    let f = Fixture::new().await;
    let in_force = async || f.db.file("IL-1.tdf").await.unwrap().unwrap().in_force.unwrap();
    f.record("IL-1.tdf", converted("a")).await;
    let a = in_force().await;
    f.record("IL-1.tdf", converted("b")).await;
    assert_eq!(in_force().await.version.content_hash, "b");
    f.record("IL-1.tdf", unchanged("a")).await;
    assert_eq!(in_force().await, a);
    let hashes: Vec<_> =
        f.db.versions_of("IL-1.tdf")
            .await
            .unwrap()
            .into_iter()
            .map(|v| v.version.content_hash)
            .collect();
    assert_eq!(hashes, ["b", "a"]);
}

#[tokio::test]
async fn a_rejected_or_failed_submission_leaves_the_earlier_version_in_force() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let valid = f.record("IL-1.tdf", converted("a")).await;
    for (outcome, status, error) in [
        (
            rejected("bad"),
            FileStatus::Rejected,
            "40 % of its lines are rejects",
        ),
        (
            unchanged("bad"),
            FileStatus::Rejected,
            "40 % of its lines are rejects",
        ),
        (
            failed("permission denied"),
            FileStatus::Failed,
            "permission denied",
        ),
    ] {
        let submission_id = f.record("IL-1.tdf", outcome).await;
        let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
        assert_eq!((file.status, file.last_error.as_deref()), (status, Some(error)));
        assert_eq!(file.in_force.unwrap().version.content_hash, "a");
        let facts = f.facts("J101").await;
        assert_eq!(facts.newest_submission, submission_id);
        assert_eq!(
            facts.files[0].in_force.as_ref().unwrap().submission_id,
            valid,
            "and it is no fresher"
        );
    }
    f.record("IL-1.tdf", converted("c")).await;
    let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    assert_eq!((file.status, file.last_error), (FileStatus::Validated, None));
}

#[tokio::test]
async fn a_first_submission_that_is_rejected_counts_for_nothing() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", rejected("bad")).await;
    f.record("IL-2.tdf", failed("is a directory")).await;
    let files = f.db.files(&FileFilter::default()).await.unwrap();
    assert!(
        files
            .iter()
            .all(|file| file.in_force.is_none() && file.last_validated.is_none())
    );
    let filter = FileFilter {
        status: Some(FileStatus::Failed),
        feed: Some("sales".to_owned()),
    };
    assert_eq!(f.db.files(&filter).await.unwrap()[0].file_url, "IL-2.tdf");
    let filter = FileFilter {
        feed: Some("items".to_owned()),
        ..filter
    };
    assert!(f.db.files(&filter).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_group_is_recorded_whole_or_not_at_all() {
    let f = Fixture::new().await;
    let group = [
        submission("IL-1.tdf", converted("a")),
        submission("IL-2.tdf", unchanged("never seen")),
    ];
    let error = f.db.record(&group, &one_job).await.unwrap_err();
    assert!(
        matches!(&error, StateError::UnknownVersion { file_url, .. } if file_url == "IL-2.tdf"),
        "{error}"
    );
    assert!(f.db.files(&FileFilter::default()).await.unwrap().is_empty());

    let lossy = SubmissionOutcome::Converted(VersionRecord {
        lines: 11,
        ..version("a")
    });
    let error =
        f.db.record(&[submission("IL-1.tdf", lossy)], &one_job)
            .await
            .unwrap_err();
    assert!(
        matches!(error, StateError::Query { .. }),
        "lines must add up: {error}"
    );
    assert!(!error.is_transient());
    f.record("IL-1.tdf", converted("a")).await;
}

#[tokio::test]
async fn a_group_with_several_submissions_of_a_file_is_recorded_in_its_order() {
    let f = Fixture::new().await;
    let group = [
        submission("IL-1.tdf", converted("a")),
        submission("IL-2.tdf", converted("x")),
        submission("IL-1.tdf", converted("b")),
        submission("IL-3.tdf", failed("permission denied")),
        submission("IL-1.tdf", unchanged("a")),
        submission("IL-2.tdf", rejected("y")),
    ];
    let recorded = f.db.record(&group, &one_job).await.unwrap();
    let numbers: Vec<i64> = recorded.iter().map(|recorded| recorded.submission_id).collect();
    assert!(numbers.is_sorted() && numbers.len() == 6, "{numbers:?}");
    let in_force = async |file_url| {
        let file = f.db.file(file_url).await.unwrap().unwrap();
        (file.status, file.in_force.map(|known| known.version.content_hash))
    };
    assert_eq!(
        in_force("IL-1.tdf").await,
        (FileStatus::Validated, Some("a".to_owned()))
    );
    assert_eq!(
        in_force("IL-2.tdf").await,
        (FileStatus::Rejected, Some("x".to_owned()))
    );
    assert_eq!(in_force("IL-3.tdf").await, (FileStatus::Failed, None));
    assert_eq!(f.db.versions_of("IL-1.tdf").await.unwrap().len(), 2);

    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let facts = f.facts("J101").await;
    let valid = facts.files[0].in_force.as_ref().unwrap().submission_id;
    assert_eq!(valid, numbers[4], "the submission that says so last");
}

#[tokio::test]
async fn one_bad_submission_leaves_none_of_its_group() {
    let f = Fixture::new().await;
    let group = [
        submission("IL-1.tdf", converted("a")),
        submission("IL-2.tdf", unchanged("never seen")),
    ];
    let error = f.db.record(&group, &one_job).await.unwrap_err();
    assert!(matches!(error, StateError::UnknownVersion { file_url, .. } if file_url == "IL-2.tdf"));
    assert_eq!(f.db.file("IL-1.tdf").await.unwrap(), None);
}

#[tokio::test]
async fn a_group_of_a_thousand_is_quick() {
    let f = Fixture::new().await;
    let group = |outcome: fn(&str) -> SubmissionOutcome| -> Vec<_> {
        (0..1_000)
            .map(|i| submission(&format!("IL-{i}.tdf"), outcome(&format!("hash {i}"))))
            .collect()
    };
    for outcome in [converted, unchanged] {
        let group = group(outcome);
        let start = Instant::now();
        let recorded = f.db.record(&group, &one_job).await.unwrap();
        let took = start.elapsed();
        let numbers: Vec<i64> = recorded.iter().map(|recorded| recorded.submission_id).collect();
        println!("recorded a group of {} in {took:?}", group.len());
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "numbers follow the order of the group"
        );
        // Generous: this is unoptimized code, perhaps on a busy machine.
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test]
async fn stamps_are_known_until_the_layout_changes_or_a_person_asks() {
    let f = Fixture::new().await;
    f.record("converted.tdf", converted("a")).await;
    f.record("rejected.tdf", rejected("b")).await;
    f.record("failed.tdf", failed("permission denied")).await;
    let known = known_stamps(&f.db, &layouts(LAYOUT)).await;
    assert_eq!(
        known.len(),
        3,
        "what was rejected or failed is not tried again by itself"
    );
    assert_eq!(known["converted.tdf"].stamp, stamp(10));

    let known = known_stamps(&f.db, &layouts("layout-2")).await;
    assert_eq!(
        known.keys().collect::<Vec<_>>(),
        ["failed.tdf"],
        "another layout may read them differently"
    );
    let rejected_under_2 = SubmissionOutcome::Converted(VersionRecord {
        layout_digest: "layout-2".to_owned(),
        rejected_because: Some("no rows".to_owned()),
        ..version("a")
    });
    f.record("converted.tdf", rejected_under_2).await;
    let known = known_stamps(&f.db, &layouts("layout-2")).await;
    assert!(
        known.contains_key("converted.tdf"),
        "the newest conversion decides, not the version in force"
    );

    let paths = ["failed.tdf".to_owned(), "never-seen.tdf".to_owned()];
    assert_eq!(f.db.look_again(&paths).await.unwrap(), 1);
    f.shell()
        .await
        .execute("UPDATE ingested_file_status SET stamp_bytes = NULL WHERE file_url = 'rejected.tdf'")
        .await
        .unwrap();
    assert_eq!(
        f.db.files_to_look_at().await.unwrap(),
        ["failed.tdf", "rejected.tdf"]
    );
    assert_eq!(known_stamps(&f.db, &layouts(LAYOUT)).await.len(), 0);
    f.record("failed.tdf", converted("c")).await;
    assert_eq!(f.db.files_to_look_at().await.unwrap(), ["rejected.tdf"]);
}

#[tokio::test]
async fn a_replay_finds_the_newest_valid_submission_of_its_span() {
    let f = Fixture::new().await;
    let at = |second: i64| format!("2026-11-23T08:15:{second:02}.123456Z").parse().unwrap();
    let a = f.record("IL-1.tdf", converted("a")).await; // :01
    f.record("IL-1.tdf", rejected("bad")).await; // :02
    f.record("IL-2.tdf", converted("x")).await; // :03
    f.record("IL-1.tdf", converted("b")).await; // :04
    let a_again = f.record("IL-1.tdf", unchanged("a")).await; // :05

    let found = f.db.submissions_between(at(1), at(2)).await.unwrap();
    assert_eq!(found.iter().map(|s| s.submission_id).collect::<Vec<_>>(), [a]);
    let found = f.db.submissions_between(at(2), at(5)).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|s| (s.file_url.as_str(), s.submission_id))
        .collect();
    assert_eq!(found, [("IL-1.tdf", a_again), ("IL-2.tdf", a + 2)]);
    assert!(f.db.submissions_between(at(6), at(9)).await.unwrap().is_empty());
}

#[tokio::test]
async fn names_are_kept_as_they_are() {
    let f = Fixture::new().await;
    let name = "a 'quoted'; \"name\"\nwith a newline; DROP TABLE submission; --é\u{1F33D}.tdf";
    f.record(name, converted("a")).await;
    assert_eq!(f.db.file(name).await.unwrap().unwrap().file_url, name);
}

#[tokio::test]
async fn a_file_is_to_be_put_away_once_each_time_it_was_read() {
    let f = Fixture::new().await;
    f.valid(&[("a/1", "one"), ("b/1", "two"), ("b/2", "three")]).await;
    let failed = SubmissionOutcome::Failed {
        error: "gone".to_owned(),
    };
    f.record("b/3", failed).await;
    let open = async |prefix: &str, after: &str, limit| {
        let files = f.db.files_to_put_away(prefix, after, limit).await.unwrap();
        let listed = files
            .iter()
            .map(|file| format!("{} {}", file.file_url, file.is_valid));
        listed.collect::<Vec<_>>()
    };
    assert_eq!(
        open("", "", 9).await,
        ["a/1 true", "b/1 true", "b/2 true", "b/3 false"]
    );
    assert_eq!(open("b/", "", 9).await, ["b/1 true", "b/2 true", "b/3 false"]);
    assert_eq!(open("b/", "b/1", 1).await, ["b/2 true"]);

    f.db.note_put_away(&[("b/1".to_owned(), stamp(10)), ("b/3".to_owned(), stamp(10))])
        .await
        .unwrap();
    assert_eq!(open("", "", 9).await, ["a/1 true", "b/2 true"]);
    // It was read again while the earlier version was put away.
    f.db.note_put_away(&[("b/2".to_owned(), stamp(9))]).await.unwrap();
    assert_eq!(open("b/", "", 9).await, ["b/2 true"]);
    // Sent again, even with the same bytes.
    f.record("b/1", unchanged("two")).await;
    assert_eq!(open("b/", "", 9).await, ["b/1 true", "b/2 true"]);
    // A person has marked it to be read again.
    f.db.look_again(&["b/1".to_owned()]).await.unwrap();
    assert_eq!(open("b/", "", 9).await, ["b/2 true"]);
}

#[tokio::test]
async fn a_file_shows_the_version_that_its_status_is_about() {
    let f = Fixture::new().await;
    let judged = async |file_url: &str| {
        let file = f.db.file(file_url).await.unwrap().unwrap();
        file.newest_version().map(|row| row.version.content_hash.clone())
    };
    f.record("IL-1.tdf", converted("good")).await;
    assert_eq!(judged("IL-1.tdf").await.as_deref(), Some("good"));
    f.record("IL-1.tdf", rejected("bad")).await;
    f.record("IL-2.tdf", converted("other")).await;
    assert_eq!(judged("IL-1.tdf").await.as_deref(), Some("bad"));
    let files = f.db.files(&FileFilter::default()).await.unwrap();
    let refused: Vec<_> = files
        .iter()
        .map(|file| file.refused.as_ref().map(|row| row.version.content_hash.as_str()))
        .collect();
    assert_eq!(refused, [Some("bad"), None]);
    assert_eq!(files[0].in_force.as_ref().unwrap().version.content_hash, "good");
    // What could not be read has no version; what is good again, no refused one.
    f.record("IL-1.tdf", failed("no")).await;
    assert_eq!(judged("IL-1.tdf").await, None);
    f.record("IL-1.tdf", unchanged("good")).await;
    assert_eq!(judged("IL-1.tdf").await.as_deref(), Some("good"));
}

#[tokio::test]
async fn a_stamp_is_completed_and_a_comparison_noted_only_for_the_file_that_was_read() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    f.record("IL-2.tdf", converted("b")).await;
    let known = || async { known_stamps(&f.db, &layouts(LAYOUT)).await };
    // As an earlier version has left them.
    f.shell()
        .await
        .execute("UPDATE ingested_file_status SET stamp_changed_ns = NULL")
        .await
        .unwrap();
    let before = known().await;
    assert_eq!(before["IL-1.tdf"].stamp.changed_ns, None);
    assert_eq!(f.db.files_to_look_at().await.unwrap(), [""; 0]);

    let mut stamps = before.iter().map(|(file, known)| (file.clone(), known.stamp));
    let mut stamps: Vec<_> = stamps.by_ref().collect();
    stamps.sort_by(|one, other| one.0.cmp(&other.0));
    stamps[0].1.changed_ns = Some(7);
    stamps[1].1.changed_ns = Some(7);
    stamps[1].1.bytes += 1;
    f.db.restamp(&stamps, false).await.unwrap();
    let after = known().await;
    assert_eq!(after["IL-1.tdf"].stamp.changed_ns, Some(7));
    assert_eq!(after["IL-2.tdf"].stamp.changed_ns, None, "it is another file now");
    assert_eq!(after["IL-1.tdf"].read_at, before["IL-1.tdf"].read_at);

    f.db.restamp(&stamps[..1], true).await.unwrap();
    let compared = known().await;
    assert!(compared["IL-1.tdf"].read_at > before["IL-1.tdf"].read_at);
    f.record("IL-1.tdf", unchanged("a")).await;
    assert_eq!(known().await["IL-1.tdf"].stamp.changed_ns, stamp(1).changed_ns);
}

#[tokio::test]
async fn the_newest_submission_is_what_a_file_is_compared_with() {
    let f = Fixture::new().await;
    f.record("IL-1.tdf", converted("a")).await;
    f.record("IL-1.tdf", rejected("bad")).await;
    f.record("IL-2.tdf", converted("a")).await;
    f.record("IL-2.tdf", failed("unreadable")).await;
    let same = |file: &'static str, hash: &'static str| {
        let db = &f.db;
        async move {
            !db.newest_versions(&[(file, hash, LAYOUT)])
                .await
                .unwrap()
                .is_empty()
        }
    };
    assert!(same("IL-1.tdf", "bad").await);
    assert!(
        !same("IL-1.tdf", "a").await,
        "the earlier one would be a submission"
    );
    assert!(!same("IL-2.tdf", "a").await, "nothing was read of the newest one");
    assert!(!same("IL-3.tdf", "a").await);
}

#[tokio::test]
async fn files_that_no_feed_matches_come_and_go_and_are_bounded() {
    let f = Fixture::new().await;
    let file = |name: &str, modified_ns: i64| (name.to_owned(), 5, modified_ns);
    let listed = || async {
        let files = f.db.unmatched_files().await.unwrap();
        files.into_iter().map(|file| file.file_url).collect::<Vec<_>>()
    };
    let found = [file("north/b.TDF", 2), file("north/a.TDF", 1)];
    assert_eq!(
        f.db.note_unmatched("north/", &found, &[], true).await.unwrap(),
        ["north/b.TDF", "north/a.TDF"]
    );
    let other = [file("south/c", -1)];
    assert_eq!(
        f.db.note_unmatched("south/", &other, &[], true).await.unwrap(),
        ["south/c"]
    );
    assert_eq!(
        f.db.note_unmatched("north/", &found, &[], true).await.unwrap(),
        [""; 0]
    );
    assert_eq!(
        f.db.note_unmatched("north/", &found[..1], &[], false)
            .await
            .unwrap(),
        [""; 0]
    );
    assert_eq!(listed().await, ["north/a.TDF", "north/b.TDF", "south/c"]);
    f.db.note_unmatched("north/", &found[..1], &[], true)
        .await
        .unwrap();
    assert_eq!(listed().await, ["north/b.TDF", "south/c"]);
    assert_eq!(f.db.unmatched_files().await.unwrap()[0].bytes, 5);
    f.db.forget_unmatched(&["south/c".to_owned()]).await.unwrap();
    assert_eq!(listed().await, ["north/b.TDF"]);

    let many: Vec<_> = (0..i64::from(UNMATCHED) + 10)
        .map(|n| file(&format!("west/{n}"), n + 100))
        .collect();
    f.db.note_unmatched("west/", &many, &[], true).await.unwrap();
    assert_eq!(f.db.unmatched_count().await.unwrap(), u64::from(UNMATCHED));
    assert!(
        !listed().await.contains(&"north/b.TDF".to_owned()),
        "the oldest is left out"
    );
    f.db.note_unmatched("west/", &[], &[], true).await.unwrap();
    assert_eq!(f.db.unmatched_count().await.unwrap(), 0);
}
