//! Whether a disk is nearly full.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
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

/// Finds the folders whose disks have less room than `least`. Of several folders on a disk, the first is named.
pub(super) async fn full(folders: &[PathBuf], least: Free, now: Timestamp, known: &HashSet<String>) -> Found {
    let folders = folders.to_vec();
    // A network folder may not answer.
    let looking = tokio::task::spawn_blocking(move || rooms(&folders));
    let rooms = match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(rooms)) => rooms,
        _ => {
            tracing::debug!("the file systems do not say how much room there is");
            Vec::new()
        }
    };
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
    Found {
        findings: findings.collect(),
        next: None,
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
        let found = full(
            &folders,
            Free::Percent(100.0),
            Timestamp::UNIX_EPOCH,
            &HashSet::new(),
        )
        .await;
        let subjects: Vec<_> = found
            .findings
            .iter()
            .map(|finding| finding.subject.clone())
            .collect();
        assert_eq!(subjects, [format!("disk of {}", folder.path().display())]);
        let none = full(&folders, Free::Bytes(0), Timestamp::UNIX_EPOCH, &HashSet::new()).await;
        assert!(none.findings.is_empty());
    }
}
