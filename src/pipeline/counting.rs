//! Counts what versions of an earlier gristmill report of each day, so that the guards know them.

use gristmill_engine::stored_days;

use super::Components;
use super::conversion::version_day;
use super::retry::StepError;

/// The most versions that are counted at a time.
const GROUP: usize = 200;

/// Counts the versions in force whose days were never counted. One whose partial cannot be read is left for the next
/// start: until then the guards do not know its days.
pub(super) async fn count_days(components: &Components) -> Result<(), StepError> {
    let uncounted = components.state.uncounted_versions().await?;
    if uncounted.is_empty() {
        return Ok(());
    }
    tracing::info!(
        files = uncounted.len(),
        "counting the days of files of an earlier version"
    );
    for group in uncounted.chunks(GROUP) {
        let mut counted = Vec::with_capacity(group.len());
        for version in group {
            let path = version.file_url.as_str();
            let Some(feed) = components.settings.feeds.get(&version.feed).cloned() else {
                continue;
            };
            let file = match components.lake.find(&version.partial).await {
                Ok(Some(file)) => file,
                Ok(None) => {
                    tracing::warn!(
                        path,
                        "its partial is gone from the lake, so its days are not known"
                    );
                    continue;
                }
                Err(error) => return Err(StepError::transient(error)),
            };
            let days = tokio::task::spawn_blocking(move || match feed.sales() {
                Some(sales) => stored_days(file.path(), sales),
                None => Ok(Vec::new()),
            });
            match days.await.map_err(StepError::permanent)? {
                Ok(days) => counted.push((version.version_id, days.into_iter().map(version_day).collect())),
                Err(error) => tracing::warn!(path, "its days are not known: {error}"),
            }
        }
        components.state.count_days(&counted).await?;
    }
    Ok(())
}
