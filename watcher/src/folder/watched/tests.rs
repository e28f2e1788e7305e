//! How a watched folder handles reports, without any folder.

use super::*;
use crate::Want;

fn seen(troubles: &[(&str, &str)]) -> Seen {
    let troubles = troubles
        .iter()
        .map(|(path, error)| (PathBuf::from(path), (*error).to_owned()))
        .collect();
    Seen {
        files: 1,
        troubles,
        ..Seen::default()
    }
}

fn look(why: Reason, bytes: u64, at: Instant) -> Look {
    let stamp = Stamp {
        bytes,
        modified_ns: 0,
        identity: 1,
        changed_ns: Some(0),
    };
    Look {
        path: PathBuf::from("a"),
        why,
        found: Found::File(stamp),
        at,
    }
}

fn folder() -> (WatchedFolder, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel(16);
    let minute = Duration::from_secs(60);
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let settings = Settings {
        folder: crate::SourceFolder {
            root: PathBuf::from("/in"),
            follow_links: false,
            own: Arc::new(crate::OwnFiles::new(Vec::new(), Vec::new(), Vec::new(), now)),
        },
        settle: minute,
        sweep: minute,
        relist: 10 * minute,
        sweep_hash: None,
        now,
    };
    let wanted = Arc::new(|_: &str| Want::Yes);
    (
        WatchedFolder::new(settings, KnownFiles::default(), wanted, sender),
        events,
    )
}

/// The events that were sent, without the ends of listings.
fn received(events: &mut mpsc::Receiver<Event>) -> Vec<String> {
    std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| match event {
            Event::Trouble { path, error } => Some(format!("{}: {error}", path.display())),
            Event::Recovered { path } => Some(format!("{}: well", path.display())),
            Event::Arrived(arrival) => Some(format!("{}: {} bytes", arrival.path, arrival.stamp.bytes)),
            Event::Doubted(arrival) => Some(format!("{}: {} bytes?", arrival.path, arrival.stamp.bytes)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn trouble_is_reported_when_it_begins_changes_and_ends() {
    let (mut folder, mut events) = folder();
    folder.looked(seen(&[("/in/d", "closed")])).await.unwrap();
    assert_eq!(received(&mut events), ["/in/d: closed"]);
    folder.listed(seen(&[("/in/d", "closed")])).await.unwrap();
    assert!(received(&mut events).is_empty());
    folder.looked(seen(&[])).await.unwrap();
    assert!(
        received(&mut events).is_empty(),
        "a look elsewhere says nothing of it"
    );
    folder.listed(seen(&[("/in/d", "broken")])).await.unwrap();
    assert_eq!(received(&mut events), ["/in/d: broken"]);
    folder.listed(seen(&[])).await.unwrap();
    assert_eq!(received(&mut events), ["/in/d: well"]);
}

#[tokio::test]
async fn a_file_in_a_folder_that_cannot_be_listed_is_not_forgotten() {
    let (mut folder, _events) = folder();
    let closed = Look {
        path: PathBuf::from("d/a"),
        ..look(Reason::Renamed, 1, Instant::now())
    };
    folder.handle_look(closed).await.unwrap();
    folder
        .handle_look(look(Reason::Renamed, 1, Instant::now()))
        .await
        .unwrap();
    folder.listed_from = Instant::now();
    let partial = Seen {
        is_partial: true,
        ..seen(&[("/in/d", "closed")])
    };
    folder.listed(partial).await.unwrap();
    assert_eq!(folder.known.len(), 2, "what is in the folder is not known");
    folder
        .listed(Seen {
            files: 0,
            ..seen(&[])
        })
        .await
        .unwrap();
    assert_eq!(folder.known.len(), 2, "an empty root proves nothing");
    folder.listed(seen(&[])).await.unwrap();
    assert_eq!(folder.known.len(), 0);
}

#[tokio::test]
async fn a_root_that_is_not_watched_is_trouble_and_listed_as_usual() {
    let (mut folder, mut events) = folder();
    folder
        .handle_look(look(Reason::Renamed, 1, Instant::now()))
        .await
        .unwrap();
    received(&mut events);
    folder.listed_from = Instant::now();
    let unwatched = || Seen {
        unwatched: Some("used up".to_owned()),
        ..seen(&[])
    };
    folder.looked(unwatched()).await.unwrap();
    folder.list_at = None;
    folder.listed(unwatched()).await.unwrap();
    assert_eq!(received(&mut events), ["/in: used up"], "reported once");
    assert_eq!(
        folder.known.len(),
        0,
        "all was listed, so what is gone is forgotten"
    );
    assert!(
        folder.list_at.unwrap() > Instant::now() + 2 * ROOT_RETRY,
        "nothing is listed more often"
    );
    folder.listed(seen(&[])).await.unwrap();
    assert_eq!(received(&mut events), ["/in: well"]);
}

#[tokio::test]
async fn an_older_look_from_a_listing_does_not_undo_a_newer_one() {
    let (mut folder, mut events) = folder();
    let before = Instant::now();
    folder
        .handle_look(look(Reason::Renamed, 2, before + Duration::from_millis(1)))
        .await
        .unwrap();
    folder.handle_look(look(Reason::Found, 1, before)).await.unwrap();
    assert_eq!(received(&mut events), ["a: 2 bytes"]);

    let known = before + Duration::from_millis(2);
    let changed = before + Duration::from_millis(3);
    folder
        .handle_look(look(Reason::Closed, 3, changed))
        .await
        .unwrap();
    folder.handle_look(look(Reason::Found, 2, known)).await.unwrap();
    folder
        .handle_look(Look {
            found: Found::Nothing,
            ..look(Reason::Found, 0, known)
        })
        .await
        .unwrap();
    assert_eq!(folder.waiting(), 1, "it still waits for its second look");
    folder.handle_look(look(Reason::Due, 3, changed)).await.unwrap();
    assert_eq!(received(&mut events), ["a: 3 bytes"]);
}
