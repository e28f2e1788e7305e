//! Logs who edited which job, and what it was before.

use super::Components;
use super::retry::with_retries;
use crate::overview;

/// Logs the edits that were not logged before, also those made while no service ran.
pub(super) async fn tell(components: &Components) -> anyhow::Result<()> {
    let edits = with_retries(&components.patience, "reading the edits of jobs", || async {
        Ok(components.state.untold_edits().await?)
    });
    for edit in edits.await? {
        let (job, at) = (&edit.job_id, edit.at);
        tracing::info!(job, who = edit.who, %at, "job edited: {}", overview::describe_edit(&edit));
    }
    Ok(())
}
