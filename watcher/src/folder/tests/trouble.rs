//! Folders that disappear and come back.

use std::os::unix::fs::symlink;

use super::*;

impl Watched {
    async fn trouble(&mut self) -> (PathBuf, String) {
        match self.next_news().await {
            Event::Trouble { path, error } => (path, error),
            event => panic!("no trouble: {event:?}"),
        }
    }

    async fn recovered(&mut self) -> PathBuf {
        match self.next_news().await {
            Event::Recovered { path } => path,
            event => panic!("not recovered: {event:?}"),
        }
    }
}

#[tokio::test]
async fn a_watcher_that_panics_ends_and_closes_its_channel() {
    let mut scene = Scene::new(SHORT, NEVER);
    scene.old_file("a.tdf", "a");
    scene.wanted = Arc::new(|path| panic!("cannot tell of {path}"));
    let mut watched = scene.start_with_room(16);
    let ended = timeout(PATIENCE, async { while watched.events.recv().await.is_some() {} });
    ended.await.expect("nobody waits for a watcher that is gone");
}

#[tokio::test]
async fn a_root_that_does_not_exist_yet_is_reported_once_and_tried_again() {
    let scene = Scene::new(NEVER, NEVER);
    fs::remove_dir(&scene.root).unwrap();
    let mut watched = scene.start_with_room(16);
    let (path, error) = watched.trouble().await;
    assert_eq!(path, scene.root);
    assert!(
        error.contains("cannot list") && error.contains("Check that it exists"),
        "{error}"
    );
    watched.quiet(Duration::from_millis(2500)).await;
    fs::create_dir(&scene.root).unwrap();
    assert_eq!(watched.recovered().await, scene.root);
    scene.rename_in("a.tdf", "1");
    assert_eq!(watched.arrival().await.0, "a.tdf");
}

#[tokio::test]
async fn a_root_that_goes_and_comes_back_reports_only_what_is_new() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    fs::create_dir(scene.root.join("d")).unwrap();
    watched.quiet(SHORT).await;
    scene.rename_in("a.tdf", "1");
    scene.rename_in("d/b.tdf", "1");
    watched.arrivals(2).await;

    fs::rename(&scene.root, scene.outside("away")).unwrap();
    assert_eq!(watched.trouble().await.0, scene.root);
    fs::rename(scene.outside("away"), &scene.root).unwrap();
    assert_eq!(watched.recovered().await, scene.root);
    watched.sweep_quietly().await;
    scene.rename_in("d/c.tdf", "1");
    assert_eq!(watched.arrival().await.0, "d/c.tdf");

    fs::remove_dir_all(&scene.root).unwrap();
    assert_eq!(watched.trouble().await.0, scene.root);
    fs::create_dir(&scene.root).unwrap();
    scene.old_file("d/new.tdf", "1");
    // A notice or the listing reports the file, whichever comes first.
    let mut events = [watched.next_news().await, watched.next_news().await];
    events.sort_by_key(|event| matches!(event, Event::Arrived(_)));
    assert_eq!(
        events[0],
        Event::Recovered {
            path: scene.root.clone()
        }
    );
    assert!(
        matches!(&events[1], Event::Arrived(arrival) if arrival.path == "d/new.tdf"),
        "{events:?}"
    );
    scene.rename_in("d/newer.tdf", "1");
    assert_eq!(watched.arrival().await.0, "d/newer.tdf");
}

#[tokio::test]
async fn a_root_that_is_exchanged_for_another_folder_is_watched_after_a_listing() {
    let scene = Scene::new(NEVER, NEVER);
    fs::rename(&scene.root, scene.outside("first")).unwrap();
    fs::create_dir(scene.outside("second")).unwrap();
    symlink("first", &scene.root).unwrap();
    let mut watched = scene.start().await;
    scene.rename_in("a.tdf", "1");
    watched.arrival().await;
    fs::remove_file(&scene.root).unwrap();
    symlink("second", &scene.root).unwrap();
    watched.sweep_quietly().await;
    scene.rename_in("b.tdf", "1");
    assert_eq!(watched.arrival().await.0, "b.tdf");
}

#[tokio::test]
async fn a_root_that_is_a_file_is_trouble() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.root = scene.old_file("file", "1");
    let mut watched = scene.start_with_room(16);
    assert_eq!(watched.trouble().await.0, scene.root);
}

#[tokio::test]
async fn an_empty_root_does_not_make_the_files_new() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let path = scene.rename_in("a.tdf", "1");
    watched.arrival().await;
    fs::rename(&path, scene.outside("away")).unwrap();
    assert_eq!(watched.sweep_quietly().await, 0);
    fs::rename(scene.outside("away"), &path).unwrap();
    watched.doubted().await;
    assert_eq!(watched.sweep_quietly().await, 1);
}

#[tokio::test]
async fn a_file_that_a_listing_has_missed_is_forgotten() {
    let scene = Scene::new(NEVER, NEVER);
    let mut watched = scene.start().await;
    let path = scene.rename_in("a.tdf", "1");
    scene.rename_in("b.tdf", "1");
    watched.arrivals(2).await;
    fs::rename(&path, scene.outside("away")).unwrap();
    assert_eq!(watched.sweep_quietly().await, 1);
    fs::rename(scene.outside("away"), &path).unwrap();
    assert_eq!(watched.arrival().await.0, "a.tdf");
}

#[tokio::test]
async fn folders_below_folders_are_listed_once_and_not_without_end() {
    let scene = Scene::new(SHORT, NEVER);
    let mut watched = scene.start().await;
    let start = std::time::Instant::now();
    let mut folder = scene.root.clone();
    for _ in 0..1000 {
        folder.push("d");
        fs::create_dir(&folder).unwrap();
    }
    scene.rename_in("new.tdf", "1");
    let (mut deep, mut arrived) = (None, None);
    while deep.is_none() || arrived.is_none() {
        match watched.next_news().await {
            Event::Trouble { path, error } => deep = Some((path, error)),
            Event::Arrived(arrival) => arrived = Some((arrival.path, start.elapsed())),
            event => panic!("unexpected event: {event:?}"),
        }
    }
    let (path, error) = deep.unwrap();
    assert_eq!(path.strip_prefix(&scene.root).unwrap().iter().count(), 101);
    assert!(error.contains("more than 100 folders deep"), "{error}");
    let (name, took) = arrived.unwrap();
    println!("a file came {took:?} after 1,000 folders");
    assert!(
        name == "new.tdf" && took < Duration::from_secs(5),
        "{name}: {took:?}"
    );
    // What is not too deep is read.
    fs::write(scene.root.join("d/d/d").join("a.tdf"), "1").unwrap();
    assert_eq!(watched.arrival().await.0, "d/d/d/a.tdf");
    fs::remove_dir_all(scene.root.join("d")).unwrap();
    watched.handle.sweep_now();
    watched.recovered().await;
}

#[tokio::test]
async fn a_link_that_leads_out_is_followed_only_if_that_is_asked_for() {
    let mut scene = Scene::new(NEVER, NEVER);
    fs::create_dir(scene.outside("share")).unwrap();
    fs::rename(scene.old_file("b.tdf", "1"), scene.outside("share/b.tdf")).unwrap();
    fs::rename(scene.old_file("c.tdf", "1"), scene.outside("c.tdf")).unwrap();
    scene.old_file("in/a.tdf", "1");
    symlink(scene.outside("share"), scene.root.join("share")).unwrap();
    symlink("../c.tdf", scene.root.join("c.tdf")).unwrap();
    // Links inside are followed, also absolute ones and those to files.
    symlink(scene.root.join("in/a.tdf"), scene.root.join("link.tdf")).unwrap();
    symlink("in", scene.root.join("in2")).unwrap();
    let mut watched = scene.start_with_room(16);
    let (mut arrived, mut refused, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match watched.next().await {
            Event::Arrived(arrival) => arrived.push(arrival.path),
            Event::Refused { name, reason } => refused.push((name, reason)),
            Event::Trouble { path, error } => troubles.push((path, error)),
            Event::Swept { .. } => break,
            event => panic!("unexpected event: {event:?}"),
        }
    }
    arrived.sort();
    assert_eq!(arrived, ["in/a.tdf", "link.tdf"]);
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].0 == "c.tdf" && refused[0].1.contains("follow_links = true"),
        "{refused:?}"
    );
    assert_eq!(troubles.len(), 1);
    assert!(
        troubles[0].0 == scene.root.join("share") && troubles[0].1.contains("follow_links = true"),
        "{troubles:?}"
    );
    watched.sweep_quietly().await;
    watched.handle.stop().await;

    scene.follow_links = true;
    let mut watched = scene.start_with_room(16);
    assert_eq!(
        watched.arrivals(4).await,
        ["c.tdf", "in/a.tdf", "link.tdf", "share/b.tdf"]
    );
}
