//! The summaries of runs, as local files.

use std::fs::File;

use anyhow::Context;
use gristmill_engine::content_hash;
use gristmill_state::SummaryRecord;
use object_store::path::Path as ObjectPath;

use super::retry::StepError;
use crate::lake::{Lake, LocalFile};

/// Returns the local files of a summary and its coverage, if the lake still has both.
pub(crate) async fn summary_files(
    lake: &Lake,
    summary: &SummaryRecord,
) -> anyhow::Result<Option<[LocalFile; 2]>> {
    let Some(coverage) = &summary.coverage_object else {
        return Ok(None);
    };
    let found = (lake.find(&summary.object).await?, lake.find(coverage).await?);
    Ok(match found {
        (Some(summary), Some(coverage)) => Some([summary, coverage]),
        _ => None,
    })
}

/// Computes the content hash of an object.
pub(super) async fn digest(lake: &Lake, object: &ObjectPath) -> Result<String, StepError> {
    let file = lake.fetch(object.as_ref()).await.map_err(StepError::transient)?;
    digest_of(&file, object.as_ref()).await
}

/// Computes the content hash of an object's local file.
pub(super) async fn digest_of(file: &LocalFile, object: &str) -> Result<String, StepError> {
    let file = file.clone();
    let hashed = tokio::task::spawn_blocking(move || content_hash(File::open(file.path())?));
    let hashed = hashed.await.map_err(StepError::permanent)?;
    let hashed = hashed.with_context(|| format!("cannot read {object} in the lake"));
    hashed.map_err(StepError::transient)
}
