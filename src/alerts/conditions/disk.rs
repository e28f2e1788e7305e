//! Whether a disk is nearly full.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytesize::ByteSize;
use jiff::Timestamp;

use super::{Finding, Found};
use crate::settings::Free;

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much more than the least room there must be for a full disk to count as no longer full: room that goes up and down
/// around the limit is one finding.
const MARGIN: f64 = 1.1;

/// How much room there is on a disk, in bytes.
struct Room {
    free: u64,
    whole: u64,
}

/// The folders whose disks must not be full.
#[derive(Debug)]
pub(in crate::alerts) struct Disks {
    folders: Vec<PathBuf>,
    /// Whether a file system has not answered yet: it is not asked again before, so that one that never answers holds one
    /// thread.
    is_asked: Arc<AtomicBool>,
}

impl Disks {
    pub(in crate::alerts) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            is_asked: Arc::default(),
        }
    }

    /// Finds the folders whose disks have less room than `least`. Of several folders on a disk, the first is named. `None`
    /// means that the file systems do not answer.
    pub(super) async fn full(&self, least: Free, now: Timestamp, known: &HashSet<String>) -> Option<Found> {
        if self.is_asked.swap(true, Ordering::Relaxed) {
            return None;
        }
        let (folders, is_asked) = (self.folders.clone(), self.is_asked.clone());
        // A network folder may not answer.
        let asking = tokio::task::spawn_blocking(move || {
            let rooms = rooms(&folders);
            is_asked.store(false, Ordering::Relaxed);
            rooms
        });
        let rooms = tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()?;
        let findings = rooms.into_iter().filter_map(|(folder, room)| {
            let subject = format!("disk of {}", folder.display());
            let margin = if known.contains(&subject) { MARGIN } else { 1.0 };
            is_short(&room, least, margin).then(|| Finding {
                subject,
                facts: format!(
                    "{} of {} are free ({:.1} %)",
                    ByteSize::b(room.free),
                    ByteSize::b(room.whole),
                    percent(&room)
                ),
                since: now,
            })
        });
        Some(Found {
            findings: findings.collect(),
            next: None,
        })
    }
}

fn rooms(folders: &[PathBuf]) -> Vec<(PathBuf, Room)> {
    let mut seen = HashSet::new();
    let folders = folders.iter().filter_map(|folder| existing(folder));
    folders
        .filter_map(|folder| {
            let device = folder.metadata().ok()?.dev();
            let found = rustix::fs::statvfs(folder).ok()?;
            seen.insert(device).then(|| {
                let room = Room {
                    free: found.f_bavail.saturating_mul(found.f_frsize),
                    whole: found.f_blocks.saturating_mul(found.f_frsize),
                };
                (folder.to_owned(), room)
            })
        })
        .collect()
}

/// Returns the folder, or the nearest one above it that exists.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.is_dir())
}

fn percent(room: &Room) -> f64 {
    100.0 * room.free as f64 / room.whole.max(1) as f64
}

fn is_short(room: &Room, least: Free, margin: f64) -> bool {
    match least {
        Free::Percent(least) => percent(room) < (least * margin).min(100.0),
        Free::Bytes(least) => (room.free as f64) < least as f64 * margin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_needs_a_margin_to_count_as_no_longer_full() {
        let room = |free| Room { free, whole: 1000 };
        assert!(is_short(&room(99), Free::Percent(10.0), 1.0));
        assert!(!is_short(&room(100), Free::Percent(10.0), 1.0));
        assert!(is_short(&room(109), Free::Percent(10.0), MARGIN));
        assert!(!is_short(&room(110), Free::Percent(10.0), MARGIN));
        assert!(is_short(&room(50), Free::Bytes(51), 1.0) && !is_short(&room(57), Free::Bytes(51), MARGIN));
    }

    #[tokio::test]
    async fn folders_of_one_disk_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("not/yet"), folder.path().to_owned()];
        let disks = Disks::new(folders.to_vec());
        let (now, known) = (Timestamp::UNIX_EPOCH, HashSet::new());
        let found = disks.full(Free::Percent(100.0), now, &known).await.unwrap();
        let subjects: Vec<_> = found
            .findings
            .iter()
            .map(|finding| finding.subject.clone())
            .collect();
        assert_eq!(subjects, [format!("disk of {}", folder.path().display())]);
        let none = disks.full(Free::Bytes(0), now, &known).await.unwrap();
        assert!(none.findings.is_empty());
        // While a file system does not answer, nothing is said of it.
        disks.is_asked.store(true, Ordering::Relaxed);
        assert!(disks.full(Free::Percent(100.0), now, &known).await.is_none());
    }
}
