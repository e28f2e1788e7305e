//! When a file arrives, and when it does not.

use std::io::Write;

use super::*;

#[tokio::test]
async fn a_cold_backlog_is_found_at_once() {
    let scene = Scene::new(NEVER / 1000, NEVER);
    let a = scene.old_file("a.tdf", "1");
    scene.old_file("in/deep/er/b.tdf", "22");
    let mut watched = scene.start_with_room(16);
    let mut found = [watched.arrival().await, watched.arrival().await];
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found[0], ("a.tdf".to_owned(), stamp(&a)));
    assert_eq!((found[1].0.as_str(), found[1].1.bytes), ("in/deep/er/b.tdf", 2));
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 2,
            waiting: 0
        }
    );
}

#[tokio::test]
async fn a_young_backlog_settles_and_then_the_listing_is_reported_as_settled() {
    let scene = Scene::new(Duration::from_secs(1), NEVER);
    let start = std::time::Instant::now();
    fs::write(scene.root.join("a.tdf"), "1").unwrap();
    let mut watched = scene.start_with_room(16);
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 1,
            waiting: 1
        }
    );
    assert!(matches!(watched.next().await, Event::Arrived(_)));
    assert!(start.elapsed() >= scene.settle);
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 1,
            waiting: 0
        }
    );
}

#[tokio::test]
async fn a_renamed_file_arrives_at_once() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let start = std::time::Instant::now();
        let path = scene.rename_in(&format!("{n}.tdf"), "1");
        assert_eq!(watched.arrival().await, (format!("{n}.tdf"), stamp(&path)));
        slowest = slowest.max(start.elapsed());
    }
    println!("slowest of 20 renames: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "a rename took {slowest:?}");
}

#[tokio::test]
async fn a_finished_name_arrives_though_the_unfinished_one_was_not_looked_at() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    fs::write(scene.root.join("a.tdf.part"), "1").unwrap();
    watched.quiet(SHORT).await;
    fs::rename(scene.root.join("a.tdf.part"), scene.root.join("a.tdf")).unwrap();
    assert_eq!(watched.arrival().await.0, "a.tdf");
}

#[tokio::test]
async fn a_closed_file_arrives_without_settling() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    fs::write(scene.root.join("a.tdf"), "123").unwrap();
    let (path, stamp) = watched.arrival().await;
    assert_eq!((path.as_str(), stamp.bytes), ("a.tdf", 3));
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_file_that_is_being_written_does_not_arrive() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let mut file = File::create(scene.root.join("a.tdf")).unwrap();
    file.write_all(b"half").unwrap();
    watched.quiet(SHORT).await;
    file.write_all(b" and half").unwrap();
    drop(file);
    assert_eq!(watched.arrival().await.1.bytes, 13);
}

#[tokio::test]
async fn a_growing_file_arrives_once_and_whole() {
    let scene = Scene::new(Duration::from_secs(2), SHORT);
    let mut watched = scene.start().await;
    let mut file = File::create(scene.root.join("a.tdf")).unwrap();
    for _ in 0..30 {
        file.write_all(b"0123456789").unwrap();
        watched.quiet(Duration::from_millis(100)).await;
    }
    let last = std::time::Instant::now();
    // It is still open: only the lack of changes shows that it is whole.
    assert_eq!(watched.arrival().await.1.bytes, 300);
    assert!(last.elapsed() >= Duration::from_secs(1));
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn whatever_changes_the_file_makes_it_arrive_again() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let path = scene.rename_in("a.tdf", "one");
    let first = watched.arrival().await.1;

    fs::write(&path, "one and two").unwrap();
    let overwritten = watched.arrival().await.1;
    assert_eq!((overwritten.bytes, overwritten.identity), (11, first.identity));

    fs::write(&path, "one and two").unwrap();
    let rewritten = watched.arrival().await.1;
    assert_eq!(rewritten.bytes, 11);
    assert_ne!(
        rewritten, overwritten,
        "the same bytes written again are a new submission"
    );

    scene.rename_in("a.tdf", "one and two");
    let replaced = watched.arrival().await.1;
    assert_ne!(replaced, rewritten);
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_file_that_is_only_read_or_renamed_away_and_back_does_not_arrive_again() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let path = scene.rename_in("a.tdf", "one");
    watched.arrival().await;
    fs::read(&path).unwrap();
    watched.quiet(SHORT).await;
    // A new name changes the change time, so the file is compared, but it was not submitted again.
    fs::rename(&path, scene.outside("away")).unwrap();
    fs::rename(scene.outside("away"), &path).unwrap();
    assert_eq!(watched.doubted().await, ("a.tdf".to_owned(), stamp(&path)));
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_file_that_vanishes_before_it_settles_is_not_reported() {
    let scene = Scene::new(Duration::from_secs(1), NEVER);
    let path = scene.root.join("a.tdf");
    fs::write(&path, "1").unwrap();
    let mut watched = scene.start_with_room(16);
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 1,
            waiting: 1
        }
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 1,
            waiting: 0
        }
    );
}

#[tokio::test]
async fn files_in_new_folders_are_found_however_fast_they_come() {
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start().await;
    let mut expected = Vec::new();
    for n in 0..50 {
        let folder = format!("new{n}/b/c");
        fs::create_dir_all(scene.root.join(&folder)).unwrap();
        for name in ["new", "new/b", "new/b/c"] {
            let path = format!("{}/f.tdf", name.replace("new", &format!("new{n}")));
            fs::write(scene.root.join(&path), "1").unwrap();
            expected.push(path);
        }
    }
    expected.sort();
    assert_eq!(watched.arrivals(150).await, expected);
    watched.quiet(2 * SHORT).await;
    // The new folders are watched.
    scene.rename_in("new7/b/c/late.tdf", "1");
    assert_eq!(watched.arrival().await.0, "new7/b/c/late.tdf");
}

#[tokio::test]
async fn a_folder_that_was_removed_and_made_again_is_watched_again() {
    // A busy machine may list the new folder only once the file is in it; then the file has to settle.
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start().await;
    for _ in 0..20 {
        fs::create_dir(scene.root.join("d")).unwrap();
        watched.quiet(Duration::from_millis(20)).await;
        scene.rename_in("d/f.tdf", "1");
        assert_eq!(watched.arrival().await.0, "d/f.tdf");
        fs::remove_dir_all(scene.root.join("d")).unwrap();
    }
}

#[tokio::test]
async fn a_folder_moved_in_is_listed_and_watched() {
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start().await;
    fs::create_dir_all(scene.outside("batch/x")).unwrap();
    fs::write(scene.outside("batch/x/a.tdf"), "1").unwrap();
    fs::rename(scene.outside("batch"), scene.root.join("batch")).unwrap();
    assert_eq!(watched.arrival().await.0, "batch/x/a.tdf");
    scene.rename_in("batch/x/b.tdf", "1");
    assert_eq!(watched.arrival().await.0, "batch/x/b.tdf");
}

#[tokio::test]
async fn the_listing_finds_what_no_notice_reported() {
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start().await;
    scene.rename_in("a.tdf", "one");
    watched.arrival().await;
    // inotify reports a write under the name that was opened, and this name is outside the root.
    fs::hard_link(scene.root.join("a.tdf"), scene.outside("link")).unwrap();
    watched.quiet(SHORT).await;
    fs::write(scene.outside("link"), "one and two").unwrap();
    watched.quiet(5 * SHORT).await;
    watched.handle.sweep_now();
    assert_eq!(watched.arrival().await.1.bytes, 11);
}

#[tokio::test]
async fn the_listing_is_repeated() {
    let scene = Scene::new(NEVER, Duration::from_millis(20));
    scene.old_file("a.tdf", "1");
    let mut watched = scene.start_with_room(16);
    for _ in 0..5 {
        while !matches!(
            watched.next().await,
            Event::Swept {
                listed: 1,
                waiting: 0
            }
        ) {}
    }
}
