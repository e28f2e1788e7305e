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
    watched.quiet(SHORT).await;
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
