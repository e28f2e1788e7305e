//! What alerts watch for. Each condition asks the state database for just that; no question reads a table that grows.

mod disk;
mod files;
mod jobs;
mod stores;

use std::collections::HashSet;

use gristmill_state::{StateDb, StateError};
use jiff::Timestamp;

use super::finding::Found;
use crate::disks::Disks;
use crate::preconditions::JobIndex;
use crate::settings::{Alert, When};

/// Where a look is taken.
pub(super) struct Scene<'s> {
    pub(super) state: &'s StateDb,
    pub(super) jobs: &'s JobIndex,
    pub(super) disks: &'s Disks,
    pub(super) now: Timestamp,
}

/// Looks for what an alert watches for; `None` means that it cannot be told at present. `known` are the subjects that it has
/// found before, and that are not over.
pub(super) async fn look(
    alert: &Alert,
    scene: &Scene<'_>,
    known: &HashSet<String>,
) -> Result<Option<Found>, StateError> {
    let found = match &alert.when {
        When::RunFailed { jobs } => jobs::failed(scene, jobs).await,
        When::JobIncomplete { jobs, at, day } => jobs::incomplete(scene, jobs, (*at, *day), known).await,
        When::Lag { jobs, over } => jobs::lag(scene, jobs, *over).await,
        When::StoreSilentFor { jobs, waves } => stores::silent_for(scene, jobs, *waves).await,
        When::StoreSilentAt { jobs, at, day } => stores::silent_at(scene, jobs, (*at, *day)).await,
        When::Rejects {
            feeds,
            percent,
            within,
        } => files::rejects(scene, feeds, *percent, *within).await,
        When::Held { feeds } => files::held(scene, feeds).await,
        When::Disk { free } => return Ok(disk::full(scene.disks, *free, scene.now, known).await),
    };
    found.map(Some)
}

/// Returns whether a list that may be empty for "all" has a name.
fn has(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|known| known == name)
}
