//! Whether a disk is nearly full.

use std::collections::HashSet;

use bytesize::ByteSize;
use jiff::Timestamp;

use super::super::finding::{Finding, Found};
use crate::disks::{Disks, Room};
use crate::settings::Free;

/// How much more than the least room there must be for a full disk to count as no longer full: room that goes up and down
/// around the limit is one finding.
const MARGIN: f64 = 1.1;

/// Finds the folders whose disks have less room than `least`. Of several folders on a disk, the first is named. `None` means
/// that the file systems do not answer.
pub(super) async fn full(
    disks: &Disks,
    least: Free,
    now: Timestamp,
    known: &HashSet<String>,
) -> Option<Found> {
    let mut seen = HashSet::new();
    let rooms = disks.rooms().await?.into_iter().flatten();
    let rooms = rooms.filter(|room| seen.insert(room.device));
    let findings = rooms.filter_map(|room| {
        let subject = format!("disk of {}", room.folder.display());
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
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_full_disk_needs_a_margin_to_count_as_no_longer_full() {
        let room = |free| Room {
            folder: PathBuf::new(),
            device: 0,
            free,
            whole: 1000,
        };
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
        let found = full(&disks, Free::Percent(100.0), now, &known).await.unwrap();
        let subjects: Vec<_> = found
            .findings
            .iter()
            .map(|finding| finding.subject.clone())
            .collect();
        assert_eq!(subjects, [format!("disk of {}", folder.path().display())]);
        let none = full(&disks, Free::Bytes(0), now, &known).await.unwrap();
        assert!(none.findings.is_empty());
    }
}
