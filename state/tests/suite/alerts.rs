//! What alerts have found and their notices, recorded together.

use gristmill_state::{AlertChanges, Firing, NewNotice, NoticeKind};

use crate::support::{Fixture, converted, job, rejected};

fn firing(f: &Fixture, subject: &str) -> Firing {
    Firing {
        alert: "a".into(),
        subject: subject.into(),
        facts: "is so".into(),
        since: f.db_now(),
        told: Some(f.db_now()),
        resolved: None,
    }
}

fn notice(kind: NoticeKind, content: &str) -> NewNotice {
    NewNotice {
        kind,
        content: format!("{content:?}"),
    }
}

async fn pending(f: &Fixture, receiver: &str) -> Vec<String> {
    let notices = f.db.pending_notices(receiver, 10).await.unwrap();
    notices
        .into_iter()
        .map(|notice| format!("{} {}", notice.kind, notice.content))
        .collect()
}

#[tokio::test]
async fn notices_wait_until_they_are_sent_and_firings_until_they_are_over() {
    let f = Fixture::new().await;
    let to = ["x".to_owned(), "y".to_owned()];
    let found = AlertChanges {
        keep: vec![firing(&f, "one"), firing(&f, "two")],
        forget: Vec::new(),
        notices: vec![notice(NoticeKind::Firing, "1")],
    };
    f.db.note_alert("a", &found, &to).await.unwrap();
    assert_eq!(f.db.firing().await.unwrap(), found.keep);
    assert!(
        f.db.unsent_notices().await.unwrap().is_empty(),
        "nothing was tried"
    );
    let first = f.db.pending_notices("x", 10).await.unwrap().remove(0);
    f.db.note_sent(first.notice_id).await.unwrap();
    assert_eq!(
        (pending(&f, "x").await.len(), pending(&f, "y").await.len()),
        (0, 1)
    );

    // Who still waits for a notice of the alert gets no repetition.
    let again = AlertChanges {
        notices: vec![notice(NoticeKind::Repeated, "2")],
        ..AlertChanges::default()
    };
    f.db.note_alert("a", &again, &to).await.unwrap();
    assert_eq!(pending(&f, "x").await, ["repeated \"2\""]);
    assert_eq!(pending(&f, "y").await, ["firing \"1\""]);
    let waits = f.db.pending_notices("y", 10).await.unwrap().remove(0);
    let later = f.db_now() + jiff::SignedDuration::from_secs(60);
    f.db.note_not_sent(waits.notice_id, "refused", later)
        .await
        .unwrap();
    let unsent = f.db.unsent_notices().await.unwrap();
    assert_eq!(
        (
            unsent.len(),
            unsent[0].receiver.as_str(),
            unsent[0].error.as_deref()
        ),
        (1, "y", Some("refused"))
    );

    // The next start tries at once, and knows neither the alert nor a receiver that the settings no longer have.
    let f2 = f.open_again().await;
    assert_eq!(
        f2.begin_alerts(&["b".into()], &["y".into()]).await.unwrap(),
        [("x".to_owned(), 1)]
    );
    assert!(f2.firing().await.unwrap().is_empty());
    let again = f2.pending_notices("y", 10).await.unwrap().remove(0);
    assert_eq!((again.failures, again.next_try), (1, f.db_now()));

    // What was sent is kept for a month.
    f.pass(31 * 24 * 3600);
    f.db.note_alert("b", &AlertChanges::default(), &to).await.unwrap();
    let kept = f.shell().await.column("SELECT 1 FROM notices").await;
    assert_eq!(kept.len(), 1, "only what waits");
}

#[tokio::test]
async fn rejects_of_the_newest_submissions_are_found() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    let from = f.db_now();
    f.record("IL-1.tdf", rejected("a")).await;
    f.record("IL-2.tdf", converted("b")).await;
    let names = async |percent| {
        let found = f.db.files_with_many_rejects(percent, from).await.unwrap();
        found
            .into_iter()
            .map(|file| (file.file_url, file.is_whole))
            .collect::<Vec<_>>()
    };
    let all = names(0.0).await;
    assert!(all.contains(&("IL-1.tdf".to_owned(), true)), "{all:?}");
    assert_eq!(
        names(99.9).await,
        [("IL-1.tdf".to_owned(), true)],
        "rejected as a whole, whatever the share"
    );
    f.record("IL-1.tdf", converted("c")).await;
    assert!(names(99.9).await.is_empty());
    f.pass(10);
    assert!(
        f.db.files_with_many_rejects(0.0, f.db_now())
            .await
            .unwrap()
            .is_empty(),
        "all came before"
    );
}
