//! How much room there is where gristmill writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::settings::{LakeSettings, Settings};

/// How long a file system may take to answer. One that takes longer is left out.
const ANSWER: Duration = Duration::from_secs(1);

/// The places that gristmill writes to on this machine.
#[derive(Debug)]
pub(in crate::http) struct Disks {
    places: [(&'static str, PathBuf); 2],
    /// Whether a file system has not answered yet: it is not asked again before.
    is_asked: Arc<AtomicBool>,
}

/// The room on the disk of a place, in bytes.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) place: &'static str,
    /// What this process may still write.
    pub(super) free: u64,
    pub(super) size: u64,
}

impl Disks {
    pub(in crate::http) fn of(settings: &Settings) -> Self {
        let lake = match &settings.lake {
            LakeSettings::Folder(folder) => folder,
            LakeSettings::Bucket { scratch, .. } => scratch,
        };
        Self {
            places: [("state", settings.state.clone()), ("lake", lake.clone())],
            is_asked: Arc::default(),
        }
    }

    /// Returns the room of those places whose file systems answer.
    pub(super) async fn room(&self) -> Vec<Room> {
        if self.is_asked.swap(true, Ordering::Relaxed) {
            return Vec::new();
        }
        let (places, is_asked) = (self.places.clone(), self.is_asked.clone());
        let ask = tokio::task::spawn_blocking(move || {
            let rooms = places
                .iter()
                .filter_map(|(place, path)| room(place, path))
                .collect();
            is_asked.store(false, Ordering::Relaxed);
            rooms
        });
        let answer = tokio::time::timeout(ANSWER, ask).await;
        answer.ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn room(place: &'static str, path: &Path) -> Option<Room> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        place,
        free: disk.f_bavail * disk.f_frsize,
        size: disk.f_blocks * disk.f_frsize,
    })
}
