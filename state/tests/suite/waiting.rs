//! What waits for an outage to end, and how often a process died with a file.

use gristmill_state::{RunState, WaitKind, WaitingFile};
use jiff::ToSpan;

use crate::support::{Fixture, converted, job, run, stamp};

fn waiting_file(file_url: &str, reason: &str) -> WaitingFile {
    WaitingFile {
        file_url: file_url.to_owned(),
        feed: "sales".to_owned(),
        store_id: Some("s1".to_owned()),
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn a_run_that_an_outage_stops_is_claimed_again_only_after_its_pause() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    let next_try = f.db_now() + 30.seconds();
    f.db.defer(&run_id, "the server is away", next_try).await.unwrap();

    let row = f.db.run(&run_id).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts), (RunState::Queued, 0));
    assert_eq!(f.db.claim("test").await.unwrap(), None);
    assert_eq!(f.db.next_run_try().await.unwrap(), Some(next_try));
    f.pass(31);
    let again = f.db.claim("test").await.unwrap().unwrap();
    assert_eq!((again.run_id.as_str(), again.attempts), (run_id.as_str(), 1));

    f.db.defer(&run_id, "it still is", f.db_now() + 30.seconds())
        .await
        .unwrap();
    let waits = f.db.waiting().await.unwrap();
    let [waits] = &waits[..] else { panic!("{waits:?}") };
    assert_eq!((waits.kind, waits.failures), (WaitKind::Run, 2));
    assert_eq!(
        (waits.subject.as_str(), waits.reason.as_str()),
        (run_id.as_str(), "it still is")
    );
    assert_eq!(waits.since, next_try - 30.seconds(), "it is told since when");
    assert_eq!(f.db.run_failures(&run_id).await.unwrap(), 2);

    // Each start tries at once.
    f.db.try_waiting_now().await.unwrap();
    f.db.claim("test").await.unwrap().unwrap();
    f.db.fail(&run_id, "the table is gone").await.unwrap();
    assert!(f.db.waiting().await.unwrap().is_empty());
    assert_eq!(f.db.run_failures(&run_id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_no_run_waiting() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a")]).await;
    let run_id = f.running(&run("J101", &inputs)).await;
    f.db.defer(&run_id, "away", f.db_now() + 60.seconds())
        .await
        .unwrap();
    f.pass(-3600);
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().run_id, run_id);
}

#[tokio::test]
async fn a_file_waits_until_it_is_recorded_or_gone() {
    let f = Fixture::new().await;
    let files = [
        waiting_file("IL-1.tdf", "no room"),
        waiting_file("IL-2.tdf", "no room"),
    ];
    f.db.note_waiting_files(&files, f.db_now()).await.unwrap();
    f.db.note_waiting_service("the warehouse", "away", f.db_now())
        .await
        .unwrap();
    let subjects = async || {
        let waiting = f.db.waiting().await.unwrap();
        waiting.into_iter().map(|waits| waits.subject).collect::<Vec<_>>()
    };
    assert_eq!(subjects().await, ["IL-1.tdf", "IL-2.tdf", "the warehouse"]);
    f.record("IL-1.tdf", converted("a")).await;
    assert_eq!(subjects().await, ["IL-2.tdf", "the warehouse"]);
    let gone = ["IL-2.tdf".to_owned()];
    f.db.end_waiting(WaitKind::Run, &gone).await.unwrap();
    f.db.end_waiting(WaitKind::File, &gone).await.unwrap();
    f.db.try_waiting_now().await.unwrap();
    assert_eq!(subjects().await, [""; 0], "what the service waits for shows anew");
}

#[tokio::test]
async fn attempts_at_the_same_bytes_are_counted_until_something_comes_of_them() {
    let f = Fixture::new().await;
    let counted = async || {
        let attempts = f.db.attempts().await.unwrap();
        let mut counted: Vec<_> = attempts
            .into_iter()
            .map(|(file, (_, count))| (file, count))
            .collect();
        counted.sort();
        counted
    };
    let both = [("IL-1.tdf", stamp(10)), ("IL-2.tdf", stamp(10))];
    f.db.begin_attempts(&both).await.unwrap();
    f.db.begin_attempts(&both[..1]).await.unwrap();
    assert_eq!(
        counted().await,
        [("IL-1.tdf".to_owned(), 2), ("IL-2.tdf".to_owned(), 1)]
    );
    f.db.begin_attempts(&[("IL-1.tdf", stamp(11))]).await.unwrap();
    assert_eq!(counted().await[0].1, 1, "other bytes are not to blame");
    f.record("IL-1.tdf", converted("a")).await;
    f.db.end_attempts(&["IL-2.tdf"]).await.unwrap();
    assert!(counted().await.is_empty());
    f.db.begin_attempts(&both).await.unwrap();
    f.db.forget_attempts().await.unwrap();
    assert!(counted().await.is_empty());
}
