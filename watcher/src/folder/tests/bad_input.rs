//! Unexpected names and entries in a folder of sales files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;

#[tokio::test]
async fn names_that_are_not_looked_at() {
    let scene = Scene::new(SHORT, SHORT);
    for name in [
        ".a",
        "_a",
        "a.tmp",
        "a.part",
        "a.filepart",
        ".git/a",
        "_done/a",
        "up.part/a",
    ] {
        scene.old_file(name, "1");
    }
    let mut watched = scene.start().await;
    for name in [
        ".b",
        "_b",
        "b.tmp",
        "b.part",
        "b.filepart",
        ".git/b",
        "_done/b",
        "up.part/b",
    ] {
        scene.rename_in(name, "1");
    }
    watched.quiet(3 * SHORT).await;
    assert_eq!(watched.sweep_quietly().await, 0);
}

#[tokio::test]
async fn what_nobody_wants_is_counted_and_no_more() {
    let mut scene = Scene::new(SHORT, NEVER);
    scene.wanted = Arc::new(|path| path.ends_with(".tdf").into());
    scene.old_file("x/readme.txt", "1");
    let mut watched = scene.start().await;
    scene.rename_in("notes.txt", "1");
    fs::write(scene.root.join("x/more.txt"), "1").unwrap();
    assert_eq!(watched.sweep_quietly().await, 3);
    watched.quiet(2 * SHORT).await;
    scene.rename_in("x/a.tdf", "1");
    assert_eq!(watched.arrival().await.0, "x/a.tdf");
}

#[tokio::test]
async fn odd_names_are_names() {
    let scene = Scene::new(NEVER, NEVER);
    let old = [
        "a b.tdf",
        "new\nline.tdf",
        "quo\"te's.tdf",
        "-rf",
        "back\\slash",
        "ünï/cødé.tdf",
        "*?[x].tdf",
    ];
    old.iter().for_each(|name| drop(scene.old_file(name, "1")));
    let mut watched = scene.start_with_room(16);
    let mut expected = old.to_vec();
    expected.sort_unstable();
    assert_eq!(watched.arrivals(old.len()).await, expected);
    for name in ["c d.tdf", "two\n\nlines", "\"", "ünï/\t.tdf"] {
        scene.rename_in(name, "1");
        assert_eq!(watched.arrival().await.0, name);
    }
}

#[tokio::test]
async fn a_name_that_is_not_text_is_refused_once_until_the_file_changes() {
    let scene = Scene::new(SHORT, NEVER);
    let folder = scene.root.join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.tdf"), "1").unwrap();
    let mut watched = scene.start_with_room(16);
    let refused = |event| match event {
        Event::Refused { name, reason } => {
            assert!(reason.contains("UTF-8"), "{reason}");
            name
        }
        event => panic!("not refused: {event:?}"),
    };
    assert_eq!(refused(watched.next_news().await), r"caf\xE9/a.tdf");
    watched.sweep_quietly().await;
    fs::write(folder.join("a.tdf"), "12").unwrap();
    assert_eq!(refused(watched.next_news().await), r"caf\xE9/a.tdf");
    fs::rename(folder.join("a.tdf"), scene.root.join(OsStr::from_bytes(b"\xff"))).unwrap();
    assert_eq!(refused(watched.next_news().await), r"\xFF");
}

#[tokio::test]
async fn a_folder_named_like_a_file_is_a_folder() {
    let scene = Scene::new(NEVER, NEVER);
    scene.old_file("IL-1.tdf/IL-2.tdf", "1");
    let mut watched = scene.start_with_room(16);
    assert_eq!(watched.arrival().await.0, "IL-1.tdf/IL-2.tdf");
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 1,
            waiting: 0
        }
    );
    fs::create_dir(scene.root.join("IL-3.tdf")).unwrap();
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_waiting_file_that_turns_into_a_folder_waits_no_longer() {
    let scene = Scene::new(Duration::from_secs(1), NEVER);
    fs::write(scene.root.join("a"), "1").unwrap();
    fs::write(scene.root.join("b"), "1").unwrap();
    let mut watched = scene.start_with_room(16);
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 2,
            waiting: 2
        }
    );
    fs::remove_file(scene.root.join("a")).unwrap();
    fs::create_dir(scene.root.join("a")).unwrap();
    fs::remove_file(scene.root.join("b")).unwrap();
    symlink("a", scene.root.join("b")).unwrap();
    assert!(matches!(watched.next().await, Event::Swept { waiting: 0, .. }));
}

#[tokio::test]
async fn what_is_no_file_is_passed_over() {
    let scene = Scene::new(SHORT, NEVER);
    let fifo = scene.root.join("fifo.tdf");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = UnixListener::bind(scene.root.join("socket.tdf")).unwrap();
    symlink("/dev/zero", scene.root.join("device.tdf")).unwrap();
    symlink("nowhere", scene.root.join("dangling.tdf")).unwrap();
    let mut watched = scene.start().await;
    fs::rename(&fifo, scene.root.join("fifo2.tdf")).unwrap();
    symlink("nowhere", scene.root.join("dangling2.tdf")).unwrap();
    watched.quiet(2 * SHORT).await;
    assert_eq!(watched.sweep_quietly().await, 0);
}

#[tokio::test]
async fn links_are_followed_and_loops_end() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.follow_links = true;
    scene.old_file("real/a.tdf", "1");
    fs::rename(scene.old_file("out.tdf", "1"), scene.outside("out.tdf")).unwrap();
    fs::create_dir(scene.outside("share")).unwrap();
    fs::rename(scene.old_file("b.tdf", "1"), scene.outside("share/b.tdf")).unwrap();
    symlink(scene.outside("out.tdf"), scene.root.join("file.tdf")).unwrap();
    symlink(scene.outside("share"), scene.root.join("share")).unwrap();
    // Links back up, and second names for folders: nothing is reported twice.
    symlink(".", scene.root.join("again")).unwrap();
    symlink("..", scene.root.join("real/up")).unwrap();
    symlink(scene.dir.path(), scene.root.join("above")).unwrap();
    symlink("real", scene.root.join("0real")).unwrap();
    symlink("share", scene.root.join("share2")).unwrap();
    symlink("self", scene.root.join("self")).unwrap();
    let mut watched = scene.start_with_room(16);
    let found = watched.arrivals(4).await;
    // The folder above is found through its link; `out.tdf` is in it.
    assert_eq!(
        found,
        ["above/out.tdf", "above/share/b.tdf", "file.tdf", "real/a.tdf"]
    );
    assert_eq!(
        watched.next().await,
        Event::Swept {
            listed: 4,
            waiting: 0
        }
    );
    assert_eq!(watched.sweep_quietly().await, 4);
    // Notices use the one name that was reported.
    scene.rename_in("real/c.tdf", "1");
    assert_eq!(watched.arrival().await.0, "real/c.tdf");
    watched.quiet(SHORT).await;
}

#[tokio::test]
async fn a_link_to_a_folder_that_comes_later_is_followed() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.follow_links = true;
    fs::create_dir(scene.outside("share")).unwrap();
    fs::rename(scene.old_file("b.tdf", "1"), scene.outside("share/b.tdf")).unwrap();
    let mut watched = scene.start().await;
    symlink(scene.outside("share"), scene.root.join("share")).unwrap();
    assert_eq!(watched.arrival().await.0, "share/b.tdf");
    scene.rename_in("share/c.tdf", "1");
    assert_eq!(watched.arrival().await.0, "share/c.tdf");
}
