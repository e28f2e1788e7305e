//! Commands to a running watcher, and slow consumers.

use super::*;

#[tokio::test]
async fn a_known_stamp_is_not_reported_again() {
    let mut scene = Scene::new(NEVER, NEVER);
    let path = scene.old_file("a.tdf", "1");
    let changed = scene.old_file("b.tdf", "1");
    scene.knows("a.tdf", stamp(&path));
    let other = Stamp {
        bytes: 9,
        ..stamp(&changed)
    };
    scene.knows("b.tdf", other);
    let mut watched = scene.start_with_room(16);
    assert_eq!(watched.arrival().await, ("b.tdf".to_owned(), stamp(&changed)));
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 2,
            waiting: 0
        }
    );
    watched.sweep_quietly().await;
}

#[tokio::test]
async fn look_again_reports_an_existing_file_again() {
    let scene = Scene::new(SHORT, NEVER);
    let path = scene.old_file("in/a.tdf", "1");
    let mut watched = scene.start_with_room(16);
    let first = watched.arrival().await;
    watched.handle.look_again("in/a.tdf");
    assert_eq!(watched.arrival().await, first);
    // A young one settles first.
    fs::write(&path, "12").unwrap();
    watched.arrival().await;
    watched.handle.look_again("in/a.tdf");
    assert_eq!(watched.arrival().await.1.bytes, 2);
    fs::remove_file(&path).unwrap();
    watched.handle.look_again("in/a.tdf");
    watched.handle.look_again("in");
    watched.quiet(2 * SHORT).await;
}

#[tokio::test]
async fn a_file_that_had_changed_when_it_was_read_is_reported_once_with_each_stamp() {
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start_with_room(16);
    scene.rename_in("a.tdf", "1");
    let (path, first) = watched.arrival().await;
    scene.rename_in("a.tdf", "12");
    let (_, second) = watched.arrival().await;
    assert_eq!(second.bytes, 2);
    // Only now does the reader of the first one find out. The second one is on its way to it.
    watched.handle.changed(&path, first, false);
    watched.quiet(2 * SHORT).await;
    // A change that was not seen is.
    watched.handle.changed(&path, second, false);
    assert_eq!(watched.arrival().await, (path, second));
}

#[tokio::test]
async fn a_slow_receiver_loses_nothing() {
    let scene = Scene::new(SHORT, NEVER);
    let mut expected = Vec::new();
    for n in 0..1000 {
        scene.old_file(&format!("d{}/old{n}.tdf", n % 7), "1");
        expected.push(format!("d{}/old{n}.tdf", n % 7));
    }
    let mut watched = scene.start_with_room(1);
    // These renames come while the first listing is blocked, and some before their folder is watched.
    let mut found = watched.arrivals(10).await;
    for n in 0..1000 {
        scene.rename_in(&format!("d{}/new{n}.tdf", n % 7), "1");
        expected.push(format!("d{}/new{n}.tdf", n % 7));
    }
    while found.len() < expected.len() {
        found.push(watched.arrival().await.0);
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_burst_of_changes_from_many_writers_ends_with_the_last_of_each_file() {
    let scene = Scene::new(SHORT, Duration::from_millis(50));
    let mut watched = scene.start_with_room(1);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let root = scene.root.clone();
            std::thread::spawn(move || {
                for round in 1..=50 {
                    for file in 0..10 {
                        let (path, tmp) = (
                            root.join(format!("{writer}-{file}")),
                            root.join(format!("{writer}.tmp")),
                        );
                        fs::write(&tmp, "x".repeat(round)).unwrap();
                        fs::rename(&tmp, &path).unwrap();
                    }
                }
            })
        })
        .collect();
    let mut last: HashMap<String, u64> = HashMap::new();
    while last.len() < 40 || last.values().any(|&bytes| bytes < 50) {
        let (path, stamp) = watched.arrival().await;
        let before = last.insert(path, stamp.bytes).unwrap_or(0);
        assert!(
            stamp.bytes > before,
            "an older state was reported after a newer one, or one state twice"
        );
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn stop_ends_at_once_even_while_nobody_receives() {
    let scene = Scene::new(NEVER, NEVER);
    (0..1000).for_each(|n| drop(scene.old_file(&format!("{n}.tdf"), "1")));
    let watched = scene.start_with_room(1);
    tokio::time::sleep(SHORT).await;
    timeout(Duration::from_secs(2), watched.handle.stop())
        .await
        .unwrap();
}

#[tokio::test]
async fn dropping_either_end_stops_the_watcher() {
    let scene = Scene::new(NEVER, NEVER);
    let Watched { handle, mut events } = scene.start().await;
    drop(handle);
    assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), None);

    let Watched { handle, events } = scene.start().await;
    drop(events);
    handle.sweep_now();
    timeout(PATIENCE, handle.stop()).await.unwrap();
}
