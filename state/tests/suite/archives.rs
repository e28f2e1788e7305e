//! Archives and the files in them.

use gristmill_state::{ARCHIVES, FileStatus, Role, Stamp, SubmissionOutcome, SubmissionRecord};

use crate::support::{
    Fixture, LAYOUT, converted, known_stamps, one_job, rejected, stamp, submission, unchanged,
};

const NIGHT: &str = "night.zip";
const ONE: &str = "night.zip/IL-1.tdf";
const OTHER: &str = "night.zip/IL-2.tdf";

fn member(name: &str, stamp: Stamp, outcome: SubmissionOutcome) -> SubmissionRecord {
    SubmissionRecord {
        stamp,
        role: Role::Member {
            archive: NIGHT.to_owned(),
        },
        ..submission(name, outcome)
    }
}

fn archive(stamp: Stamp, members: u64, read: u64) -> SubmissionRecord {
    SubmissionRecord {
        feed: ARCHIVES.to_owned(),
        store_id: None,
        business_date: None,
        stamp,
        role: Role::Archive {
            members,
            read,
            note: format!("{members} members"),
        },
        ..submission(NIGHT, converted("archive"))
    }
}

async fn record(f: &Fixture, records: &[SubmissionRecord]) {
    f.pass(1);
    f.db.record(records, &one_job).await.unwrap();
}

/// Records an archive with two members.
async fn record_night(f: &Fixture) {
    let members = [
        member(ONE, stamp(10), converted("a")),
        member(OTHER, stamp(10), converted("b")),
    ];
    record(f, &members).await;
    record(f, &[archive(stamp(10), 2, 2)]).await;
}

#[tokio::test]
async fn an_archive_has_a_row_with_its_members_and_is_put_away_for_them() {
    let f = Fixture::new().await;
    let members = [
        member(ONE, stamp(10), converted("a")),
        member(OTHER, stamp(10), converted("b")),
    ];
    record(&f, &members).await;
    record(&f, &[archive(stamp(10), 3, 2)]).await;
    let row = f.db.file(NIGHT).await.unwrap().unwrap();
    assert_eq!((row.status, row.members), (FileStatus::Validated, Some(3)));
    assert_eq!(row.last_note.as_deref(), Some("3 members"));
    let one = f.db.file(ONE).await.unwrap().unwrap();
    assert_eq!(one.archive.as_deref(), Some(NIGHT));

    let to_put_away = async || {
        let files = f.db.files_to_put_away("", "", 10).await.unwrap().into_iter();
        files
            .map(|file| (file.file_url, file.is_valid))
            .collect::<Vec<_>>()
    };
    assert_eq!(to_put_away().await, [(NIGHT.to_owned(), true)]);
    record(&f, &[member(OTHER, stamp(11), rejected("c"))]).await;
    record(&f, &[archive(stamp(11), 3, 2)]).await;
    assert_eq!(
        to_put_away().await,
        [(NIGHT.to_owned(), false)],
        "it stays for the one that was rejected"
    );
    record(&f, &[archive(stamp(12), 3, 0)]).await;
    assert_eq!(
        to_put_away().await,
        [(NIGHT.to_owned(), false)],
        "nobody wants it"
    );

    let stamps = known_stamps(&f.db, |_, _| Some(LAYOUT.to_owned())).await;
    assert_eq!(
        stamps.keys().collect::<Vec<_>>(),
        [NIGHT],
        "sources have no members"
    );
}

#[tokio::test]
async fn a_member_is_read_again_with_its_archive() {
    let f = Fixture::new().await;
    record_night(&f).await;
    f.db.look_again(&[ONE.to_owned()]).await.unwrap();
    assert_eq!(f.db.files_to_look_at().await.unwrap(), [NIGHT]);
    let known = f.db.members_of(NIGHT).await.unwrap();
    assert_eq!(known[ONE].stamp, None);
    assert_eq!(known[OTHER].stamp, Some(stamp(10)));
    assert_eq!(known[OTHER].layout_digest.as_deref(), Some(LAYOUT));

    // The archive was read, and has lost one of them.
    f.db.settle_members(NIGHT, &[ONE]).await.unwrap();
    assert_eq!(f.db.files_to_look_at().await.unwrap(), [NIGHT], "it has this one");
    f.db.settle_members(NIGHT, &[OTHER]).await.unwrap();
    assert_eq!(f.db.files_to_look_at().await.unwrap(), [""; 0]);

    // All of them are, with the archive.
    assert_eq!(f.db.look_again(&[NIGHT.to_owned()]).await.unwrap(), 3);
    assert_eq!(f.db.files_to_look_at().await.unwrap(), [NIGHT]);
}

#[tokio::test]
async fn what_an_archive_had_when_it_was_last_read_is_known() {
    let f = Fixture::new().await;
    record_night(&f).await;
    record(&f, &[member(ONE, stamp(11), unchanged("a"))]).await;
    record(&f, &[archive(stamp(11), 1, 1)]).await;
    let files = [ONE.to_owned(), OTHER.to_owned(), NIGHT.to_owned()];
    let places = f.db.member_places(&files).await.unwrap();
    assert_eq!(places.len(), 2);
    assert_eq!(
        (places[ONE].archive.as_str(), places[ONE].is_there),
        (NIGHT, true)
    );
    assert!(!places[OTHER].is_there);

    // Another change time, and the same bytes.
    let touched = Stamp {
        changed_ns: Some(7),
        ..stamp(11)
    };
    f.db.restamp(&[(NIGHT.to_owned(), touched)], true).await.unwrap();
    let known = f.db.members_of(NIGHT).await.unwrap();
    assert_eq!(known[ONE].stamp, Some(touched));
    assert_eq!(known[OTHER].stamp, Some(stamp(10)), "it was not in there");
}

#[tokio::test]
async fn an_archive_is_told_as_unmatched_only_once_it_was_read_in_vain() {
    let f = Fixture::new().await;
    let found = [(NIGHT.to_owned(), 1, 1), ("a.txt".to_owned(), 1, 1)];
    let archives = [NIGHT.to_owned()];
    let told = async || f.db.note_unmatched("", &found, &archives, true).await.unwrap();
    assert_eq!(told().await, ["a.txt"]);
    record(&f, &[archive(stamp(10), 2, 0)]).await;
    assert_eq!(told().await, [NIGHT]);
    assert_eq!(f.db.unmatched_count().await.unwrap(), 2);
    record(&f, &[archive(stamp(10), 2, 1)]).await;
    assert_eq!(told().await, [""; 0]);
    assert_eq!(f.db.unmatched_count().await.unwrap(), 1);
}
