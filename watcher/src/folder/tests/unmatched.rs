//! Files that nobody wants, and files that nobody must read.

use std::os::unix::fs::symlink;

use super::*;

impl Watched {
    /// The paths that the next report of unmatched files lists, sorted, and whether they are all.
    async fn unmatched(&mut self) -> (Vec<String>, bool) {
        loop {
            if let Event::Unmatched { files, is_all } = self.any().await {
                let mut paths: Vec<_> = files.into_iter().map(|UnmatchedFile { path, .. }| path).collect();
                paths.sort();
                return (paths, is_all);
            }
        }
    }

    async fn refused(&mut self) -> (String, String) {
        match self.next_news().await {
            Event::Refused { name, reason } => (name, reason),
            event => panic!("not refused: {event:?}"),
        }
    }
}

#[tokio::test]
async fn what_nobody_wants_is_reported_whenever_it_changes() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.wanted = Arc::new(|path| path.ends_with(".tdf").into());
    scene.old_file("IL-1.tdf", "1");
    scene.old_file("IL-2.TDF", "1");
    scene.old_file(".hidden.TDF", "1");
    scene.old_file("x/readme.txt", "12");
    let mut watched = scene.start_with_room(16);
    assert_eq!(
        watched.unmatched().await,
        (vec!["IL-2.TDF".into(), "x/readme.txt".into()], true)
    );
    assert!(matches!(watched.any().await, Event::Swept { .. }));
    watched.handle.sweep_now();
    assert!(
        matches!(watched.any().await, Event::Swept { .. }),
        "nothing has changed"
    );
    fs::rename(scene.root.join("IL-2.TDF"), scene.root.join("IL-2.tdf")).unwrap();
    watched.handle.sweep_now();
    assert_eq!(watched.unmatched().await, (vec!["x/readme.txt".into()], true));
}

/// A scene whose root holds the state database, a link and a hard link to it, and the lake.
fn with_own_files() -> Scene {
    let mut scene = Scene::new(SHORT, NEVER);
    scene.old_file("state.tdf", "state");
    scene.old_file("lake/a.tdf", "1");
    let own = OwnFiles::new(
        vec![(scene.root.join("state.tdf"), "the state database".into())],
        vec![(scene.root.join("lake"), "the lake".into())],
        vec![scene.root.clone()],
        now,
    );
    scene.own = Arc::new(own);
    fs::hard_link(scene.root.join("state.tdf"), scene.root.join("hard.tdf")).unwrap();
    symlink("state.tdf", scene.root.join("link.tdf")).unwrap();
    symlink("lake", scene.root.join("lake2")).unwrap();
    symlink("lake/a.tdf", scene.root.join("lake.tdf")).unwrap();
    scene
}

#[tokio::test]
async fn own_files_are_refused_under_every_name_and_told_once() {
    let scene = with_own_files();
    let mut watched = scene.start_with_room(16);
    let mut refused = Vec::new();
    for _ in 0..4 {
        refused.push(watched.refused().await);
    }
    refused.sort();
    let names: Vec<_> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hard.tdf", "lake.tdf", "link.tdf", "state.tdf"]);
    assert!(
        refused[0].1.starts_with("it is the state database"),
        "{refused:?}"
    );
    assert!(refused[1].1.starts_with("it is the lake"), "{refused:?}");
    // A database changes all the time.
    fs::write(scene.root.join("state.tdf"), "state and more").unwrap();
    watched.quiet(2 * SHORT).await;
    watched.sweep_quietly().await;
    fs::remove_file(scene.root.join("hard.tdf")).unwrap();
    scene.rename_in("hard.tdf", "1");
    assert_eq!(watched.arrival().await.0, "hard.tdf");
}

#[tokio::test]
async fn own_files_are_not_opened_even_if_they_take_a_file_s_place() {
    use crate::OpenFileError;
    let scene = with_own_files();
    let folder = scene.folder();
    for name in ["state.tdf", "hard.tdf", "link.tdf", "lake.tdf", "lake/a.tdf"] {
        let opened = folder.open(name);
        assert!(matches!(opened, Err(OpenFileError::Own(_))), "{name}: {opened:?}");
        let opened = crate::open_named(&scene.root.join(name), &scene.own);
        assert!(matches!(opened, Err(OpenFileError::Own(_))), "{name}: {opened:?}");
    }
    assert!(matches!(folder.open("absent.tdf"), Err(OpenFileError::Gone)));
}

#[test]
fn a_fifo_in_a_file_s_place_is_not_waited_for() {
    use crate::OpenFileError;
    let scene = Scene::new(SHORT, NEVER);
    let fifo = scene.root.join("IL-1.tdf");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    symlink("IL-1.tdf", scene.root.join("IL-2.tdf")).unwrap();
    symlink("/dev/zero", scene.root.join("IL-3.tdf")).unwrap();
    fs::create_dir(scene.root.join("IL-4.tdf")).unwrap();
    let folder = SourceFolder {
        follow_links: true,
        ..scene.folder()
    };
    for name in ["IL-1.tdf", "IL-2.tdf", "IL-3.tdf", "IL-4.tdf"] {
        let opened = folder.open(name);
        assert!(matches!(opened, Err(OpenFileError::NoFile)), "{name}: {opened:?}");
    }
}

#[test]
fn a_link_leads_out_only_if_that_is_asked_for() {
    use std::io::Read;

    use crate::OpenFileError;
    let mut scene = Scene::new(SHORT, NEVER);
    fs::create_dir(scene.outside("share")).unwrap();
    fs::write(scene.outside("share/b.tdf"), "out").unwrap();
    scene.old_file("in/a.tdf", "in");
    symlink(scene.outside("share"), scene.root.join("share")).unwrap();
    symlink("share/b.tdf", scene.root.join("b.tdf")).unwrap();
    symlink(scene.root.join("in"), scene.root.join("inside")).unwrap();
    symlink("inside/a.tdf", scene.root.join("a.tdf")).unwrap();
    let read = |scene: &Scene, name: &str| {
        let mut text = String::new();
        scene.folder().open(name)?.read_to_string(&mut text)?;
        Ok::<_, OpenFileError>(text)
    };
    for name in ["in/a.tdf", "inside/a.tdf", "a.tdf"] {
        assert_eq!(read(&scene, name).unwrap(), "in", "{name}");
    }
    for name in ["share/b.tdf", "b.tdf"] {
        let opened = read(&scene, name);
        assert!(
            matches!(opened, Err(OpenFileError::LeadsOut)),
            "{name}: {opened:?}"
        );
    }
    scene.follow_links = true;
    for name in ["share/b.tdf", "b.tdf"] {
        assert_eq!(read(&scene, name).unwrap(), "out", "{name}");
    }
}
