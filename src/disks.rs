//! How much room there is on the disks of some folders.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the file systems may take to answer: a network folder may never do.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folders whose disks are asked.
#[derive(Debug)]
pub(crate) struct Disks {
    folders: Vec<PathBuf>,
    /// Whether a file system has not answered yet: it is not asked again before, so that one that never answers holds one
    /// thread.
    is_asked: Arc<AtomicBool>,
}

/// The room on the disk of a folder, in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    /// The folder, or the nearest one above it that exists.
    pub(crate) folder: PathBuf,
    /// The number of its disk.
    pub(crate) device: u64,
    /// What this process may still write.
    pub(crate) free: u64,
    pub(crate) whole: u64,
}

impl Disks {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            is_asked: Arc::default(),
        }
    }

    /// Returns the room of each folder in turn, or `None` for one that cannot be told. Without a whole answer, the file
    /// systems have not answered in time.
    pub(crate) async fn rooms(&self) -> Option<Vec<Option<Room>>> {
        if self.is_asked.swap(true, Ordering::Relaxed) {
            return None;
        }
        let (folders, is_asked) = (self.folders.clone(), self.is_asked.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let rooms = folders.iter().map(|folder| room(folder)).collect();
            is_asked.store(false, Ordering::Relaxed);
            rooms
        });
        tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()
    }
}

fn room(folder: &Path) -> Option<Room> {
    // The path of the current folder is empty.
    let folder = std::path::absolute(Path::new(".").join(folder)).ok()?;
    let folder = folder.ancestors().find(|folder| folder.is_dir())?;
    let device = folder.metadata().ok()?.dev();
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(Room {
        folder: folder.to_owned(),
        device,
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        whole: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_not_there_yet_has_the_room_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let disks = Disks::new(vec![folder.path().join("not/yet"), folder.path().to_owned()]);
        let rooms: Vec<Room> = disks.rooms().await.unwrap().into_iter().flatten().collect();
        assert_eq!(rooms.len(), 2);
        assert!(
            rooms
                .iter()
                .all(|room| room.folder == folder.path() && room.device == rooms[0].device)
        );
        assert!(rooms[0].whole > 0 && rooms[0].free <= rooms[0].whole);
    }

    #[tokio::test]
    async fn nothing_is_said_while_a_file_system_does_not_answer() {
        let disks = Disks::new(Vec::new());
        disks.is_asked.store(true, Ordering::Relaxed);
        assert!(disks.rooms().await.is_none());
    }
}
