//! Files whose size, time and inode say nothing: rewritten in place, touched by others, or quiet for long.

use super::*;

/// Writes other bytes into a file, and restores its time, as `rsync -t --inplace` does.
fn rewrite_in_place(path: &Path, text: &str) {
    let before = fs::metadata(path).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    drop(file);
    let after = fs::metadata(path).unwrap();
    assert_eq!(
        (before.len(), before.modified().unwrap()),
        (after.len(), after.modified().unwrap())
    );
}

#[tokio::test]
async fn a_file_rewritten_in_place_with_its_old_size_and_time_arrives_once_its_writer_closes_it() {
    let mut scene = Scene::new(NEVER, NEVER);
    let path = scene.old_file("a.tdf", "25.00");
    scene.knows("a.tdf", stamp(&path));
    let mut watched = scene.start().await;
    rewrite_in_place(&path, "52.00");
    // On a busy machine the change of its time is noticed before the close, and is a doubt by then.
    let arrived = loop {
        match watched.next_news().await {
            Event::Doubted(_) => {}
            Event::Arrived(arrival) => break arrival,
            event => panic!("no arrival: {event:?}"),
        }
    };
    assert_eq!((arrived.path, arrived.stamp), ("a.tdf".to_owned(), stamp(&path)));
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_file_rewritten_in_place_while_nobody_watched_is_compared() {
    let mut scene = Scene::new(NEVER, NEVER);
    let path = scene.old_file("a.tdf", "25.00");
    scene.knows("a.tdf", stamp(&path));
    std::thread::sleep(Duration::from_millis(20));
    rewrite_in_place(&path, "52.00");
    let mut watched = scene.start_with_room(16);
    assert_eq!(watched.doubted().await, ("a.tdf".to_owned(), stamp(&path)));
    watched.sweep_quietly().await;
}

#[tokio::test]
async fn other_permissions_are_a_doubt_and_no_submission() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(SHORT, NEVER);
    let path = scene.old_file("a.tdf", "25.00");
    let mut watched = scene.start_with_room(16);
    watched.arrival().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(watched.doubted().await.0, "a.tdf");
    watched.sweep_quietly().await;
}

#[tokio::test]
async fn a_doubted_file_that_had_changed_when_it_was_read_is_still_doubted() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(SHORT, NEVER);
    let path = scene.old_file("a.tdf", "25.00");
    let mut watched = scene.start_with_room(16);
    watched.arrival().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (name, first) = watched.doubted().await;
    watched.handle.changed(&name, first, true);
    assert_eq!(watched.doubted().await, (name, first));
    watched.sweep_quietly().await;
}

#[tokio::test]
async fn a_stamp_without_change_time_is_completed_and_not_read_again() {
    let mut scene = Scene::new(NEVER, NEVER);
    let path = scene.old_file("a.tdf", "1");
    let earlier = Stamp {
        changed_ns: None,
        ..stamp(&path)
    };
    scene.knows("a.tdf", earlier);
    let mut watched = scene.start_with_room(16);
    match watched.next().await {
        Event::Restamped(arrival) => assert_eq!(arrival.stamp, stamp(&path)),
        event => panic!("not completed: {event:?}"),
    }
    watched.sweep_quietly().await;
}

#[tokio::test]
async fn a_quiet_file_is_read_again_once_in_each_span() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.sweep_hash = Some(Duration::from_secs(3));
    let path = scene.old_file("a.tdf", "1");
    scene.knows("a.tdf", stamp(&path));
    let mut watched = scene.start().await;
    let start = std::time::Instant::now();
    let mut doubts = 0;
    while doubts < 3 {
        watched.handle.sweep_now();
        loop {
            match watched.next().await {
                Event::Doubted(arrival) => {
                    assert_eq!(arrival.stamp, stamp(&path));
                    doubts += 1;
                }
                Event::Swept { .. } => break,
                event => panic!("unexpected event: {event:?}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(6) - SHORT && took < Duration::from_secs(14),
        "three spans took {took:?}"
    );
}

#[tokio::test]
async fn quiet_files_are_read_again_at_moments_of_their_own() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.sweep_hash = Some(Duration::from_secs(86_400));
    for n in 0..1000 {
        let name = format!("{n}.tdf");
        let path = scene.old_file(&name, "1");
        let read_at = now() - Duration::from_secs(86_400 / 4);
        let stamp = stamp(&path);
        scene.known.insert(name, KnownFile { stamp, read_at });
    }
    let mut watched = scene.start_with_room(16);
    let mut doubts = 0;
    while let Event::Doubted(_) = watched.next().await {
        doubts += 1;
    }
    assert!(
        (100..500).contains(&doubts),
        "{doubts} of 1,000 in a quarter of the span"
    );
}
