//! Files that were doubted for nothing: their bytes are those of their newest submission. They are not submitted again, but
//! their stamps are kept, so that they are not doubted again.
//!
//! This is asked before a file is converted, which it then need not be, and again before it is recorded: an earlier
//! submission of it may have been on its way to the state database meanwhile.

use std::collections::HashSet;

use anyhow::Context;
use gristmill_watcher::Arrival;

use super::Components;
use super::retry::with_retries;
use super::sources::to_state;

/// The bytes of a doubted file, and how they are read.
pub(super) struct Doubted<'d> {
    pub(super) arrival: &'d Arrival,
    pub(super) content_hash: &'d str,
    pub(super) layout_digest: &'d str,
}

/// Returns the paths of those that were doubted for nothing, and keeps their stamps.
pub(super) async fn for_nothing(
    components: &Components,
    doubted: &[Doubted<'_>],
) -> anyhow::Result<HashSet<String>> {
    if doubted.is_empty() {
        return Ok(HashSet::new());
    }
    let versions: Vec<_> = doubted
        .iter()
        .map(|file| (file.arrival.path.as_str(), file.content_hash, file.layout_digest))
        .collect();
    let same: HashSet<String> = with_retries(&components.patience, "comparing files", || async {
        Ok(components.state.newest_versions(&versions).await?)
    })
    .await
    .context("cannot compare files with their submissions in the state database")?;
    let stamps: Vec<_> = doubted
        .iter()
        .map(|file| file.arrival)
        .filter(|arrival| same.contains(&arrival.path))
        .map(|Arrival { path, stamp }| (path.clone(), to_state(*stamp)))
        .collect();
    if !stamps.is_empty() {
        with_retries(&components.patience, "keeping the stamps of files", || async {
            Ok(components.state.restamp(&stamps, true).await?)
        })
        .await
        .context("cannot keep the stamps of files in the state database")?;
    }
    Ok(same)
}
