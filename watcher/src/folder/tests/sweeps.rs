//! What sweeps look at where notices can be relied on, and where they cannot.

use std::collections::HashSet;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::*;
use crate::folder::folders::{Folders, is_local};
use crate::folder::listing::{Lister, Report, Seen};
use crate::folder::notices::{Hints, Noticed, Notices};

/// What one sweep reports.
struct Sweep {
    /// The paths that were looked at.
    looked_at: HashSet<String>,
    seen: Seen,
}

/// Long after everything: folders are no longer as young as the clock's steps are long.
fn later() -> SystemTime {
    now() + Duration::from_secs(3600)
}

impl Scene {
    /// Sweeps without a watcher, so that no notice plays a part: everything, or what differs from these folders.
    async fn sweep(&self, folders: Option<Folders>, noticed: Noticed) -> Sweep {
        assert!(is_local(self.dir.path()), "the tests' folder is on a local disk");
        let (reports, mut received) = mpsc::channel(64);
        let hints = Arc::new(Hints::default());
        let notices = Notices::new(self.root.clone(), self.wanted.clone(), hints);
        let lister = Lister {
            folder: self.folder(),
            wanted: self.wanted.clone(),
            notices: Arc::new(Mutex::new(notices)),
            reports,
            now: later,
        };
        let done = tokio::task::spawn_blocking(move || match folders {
            Some(folders) => lister.compare(folders, &noticed),
            None => lister.list(),
        });
        let mut looked_at = HashSet::new();
        loop {
            match received.recv().await.expect("the sweep ends with a report") {
                Report::Looks(looks) => {
                    looked_at.extend(looks.into_iter().map(|look| look.path.display().to_string()));
                }
                Report::Listed(seen) | Report::Compared(seen) | Report::Looked(seen) => {
                    done.await.unwrap();
                    return Sweep { looked_at, seen };
                }
            }
        }
    }

    /// Changes a file in place in a way of which no notice tells: under a second name, outside the root.
    fn write_unseen(&self, name: &str, text: &str) {
        let outside = self.outside("second-name");
        fs::hard_link(self.root.join(name), &outside).unwrap();
        fs::write(outside, text).unwrap();
    }
}

impl Watched {
    /// Waits until the folders are old enough for another change to show in their times.
    async fn settle(&mut self) {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(2200) {
            assert!(matches!(self.next().await, Event::Swept { listed: 1, .. }));
        }
    }
}

fn sorted<T: ToString>(names: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_sweep_looks_at_files_only_where_a_folder_has_changed_without_a_notice() {
    let mut scene = Scene::new(NEVER, NEVER);
    scene.wanted = Arc::new(|path| path.ends_with(".tdf").into());
    for name in [
        "a.tdf",
        "quiet/b.tdf",
        "busy/c.tdf",
        "busy/d.tdf",
        "gone/e.tdf",
        "gone/x.txt",
    ] {
        scene.old_file(name, "1");
    }
    let all = scene.sweep(None, Noticed::default()).await;
    assert_eq!(all.looked_at.len(), 5);
    assert!(all.seen.is_sure());
    let same = scene.sweep(Some(all.seen.folders), Noticed::default()).await;
    assert_eq!(sorted(same.looked_at), [""; 0], "nothing has changed");

    // A name is added, one is replaced, one goes; a folder comes and one goes. Nobody tells.
    scene.old_file("busy/new.tdf", "1");
    scene.old_file("busy/new.txt", "1");
    fs::write(scene.outside("other"), "2").unwrap();
    fs::rename(scene.outside("other"), scene.root.join("busy/c.tdf")).unwrap();
    fs::remove_dir_all(scene.root.join("gone")).unwrap();
    scene.old_file("came/deep/f.tdf", "1");
    let changed = scene.sweep(Some(same.seen.folders), Noticed::default()).await;
    assert_eq!(
        sorted(changed.looked_at),
        [
            "a.tdf",
            "busy/c.tdf",
            "busy/d.tdf",
            "busy/new.tdf",
            "came/deep/f.tdf"
        ]
    );
    assert_eq!(
        sorted(&changed.seen.listed),
        ["", "busy", "came", "came/deep", "gone"]
    );
    let unmatched = changed.seen.unmatched.into_files();
    assert_eq!(sorted(unmatched.iter().map(|file| &file.path)), ["busy/new.txt"]);
    let folders = changed.seen.folders;
    assert_eq!(folders.len(), 5);
    assert_eq!(folders.values().map(|folder| folder.files).sum::<u64>(), 7);

    // A folder that cannot be compared has everything listed.
    fs::rename(&scene.root, scene.outside("away")).unwrap();
    let lost = scene.sweep(Some(folders), Noticed::default()).await;
    assert!(!lost.seen.is_sure() && lost.seen.folders.is_empty());
}

#[tokio::test]
async fn a_change_that_notices_account_for_needs_no_listing() {
    let scene = Scene::new(NEVER, NEVER);
    scene.old_file("in/a.tdf", "1");
    let all = scene.sweep(None, Noticed::default()).await;
    let folder = scene.root.join("in");
    let hints = Hints::default();
    scene.old_file("in/b.tdf", "1");
    hints.note(&folder, true);
    let noticed = scene.sweep(Some(all.seen.folders), hints.take_noticed()).await;
    assert_eq!(sorted(noticed.looked_at), [""; 0]);
    // The next change is not told of, or not only of files that feeds take.
    scene.old_file("in/c.tdf", "1");
    let unnoticed = scene
        .sweep(Some(noticed.seen.folders), hints.take_noticed())
        .await;
    assert_eq!(unnoticed.looked_at.len(), 3);
    scene.old_file("in/d.tdf", "1");
    hints.note(&folder, true);
    hints.note(&folder, false);
    let unclear = scene
        .sweep(Some(unnoticed.seen.folders), hints.take_noticed())
        .await;
    assert_eq!(unclear.looked_at.len(), 4);
}

#[tokio::test]
async fn a_change_in_place_that_nobody_tells_of_is_found_when_everything_is_listed() {
    let mut scene = Scene::new(SHORT, Duration::from_millis(50));
    scene.relist = Duration::from_secs(1);
    scene.old_file("a.tdf", "1");
    let mut watched = scene.start_with_room(16);
    watched.arrival().await;
    watched.settle().await;
    scene.write_unseen("a.tdf", "12");
    assert_eq!(watched.arrival().await.1.bytes, 2);
}

#[tokio::test]
async fn a_file_behind_a_link_is_looked_at_by_each_sweep() {
    let mut scene = Scene::new(SHORT, Duration::from_millis(50));
    scene.follow_links = true;
    fs::rename(scene.old_file("a.tdf", "1"), scene.outside("a.tdf")).unwrap();
    symlink(scene.outside("a.tdf"), scene.root.join("a.tdf")).unwrap();
    let mut watched = scene.start_with_room(16);
    watched.arrival().await;
    fs::write(scene.outside("a.tdf"), "12").unwrap();
    assert_eq!(watched.arrival().await.1.bytes, 2);
}

#[tokio::test]
async fn a_file_that_could_not_be_read_is_reported_by_the_next_sweep() {
    let scene = Scene::new(SHORT, Duration::from_millis(50));
    scene.old_file("a.tdf", "1");
    let mut watched = scene.start_with_room(16);
    let first = watched.arrival().await;
    watched.settle().await;
    watched.handle.unread("a.tdf", false);
    assert_eq!(watched.arrival().await, first);
    watched.handle.unread("a.tdf", true);
    assert_eq!(watched.doubted().await, first);
}

#[tokio::test]
async fn what_nobody_wants_is_found_by_sweeps_too() {
    let mut scene = Scene::new(SHORT, Duration::from_millis(50));
    scene.wanted = Arc::new(|path| path.ends_with(".tdf").into());
    scene.old_file("x/old.txt", "1");
    let mut watched = scene.start_with_room(16);
    let mut unmatched = async || loop {
        if let Event::Unmatched { files, is_all: true } = watched.any().await {
            return sorted(files.iter().map(|file| &file.path));
        }
    };
    assert_eq!(unmatched().await, ["x/old.txt"]);
    fs::write(scene.root.join("IL-1.TDF"), "1").unwrap();
    assert_eq!(unmatched().await, ["IL-1.TDF", "x/old.txt"]);
    fs::remove_dir_all(scene.root.join("x")).unwrap();
    assert_eq!(unmatched().await, ["IL-1.TDF"]);
}
