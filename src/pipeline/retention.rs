//! Removes from the lake what its retention no longer keeps, at the start and then every hour.
//!
//! The state database forgets the objects first, in one transaction: from then on nothing reads them. If the process
//! dies before it removes them, objects remain that nothing refers to: see [`Lake::sweep`](crate::lake::Lake::sweep).

use std::sync::Arc;
use std::time::Duration;

use gristmill_state::Expiry;
use jiff::Timestamp;
use tokio::sync::watch;

use super::retry::{StepError, with_retries};
use super::{Components, stopped};

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(3600);

/// Removes what has expired, every hour until it is stopped.
pub(super) async fn remove_regularly(
    components: Arc<Components>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut rounds = tokio::time::interval_at(tokio::time::Instant::now() + PAUSE, PAUSE);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            _ = rounds.tick() => {
                let removed = with_retries(&components.patience, "removing expired objects", || remove_expired(&components)).await;
                if let Err(error) = removed {
                    tracing::error!("the lake's retention failed, and will be retried in an hour: {error}");
                }
            }
        }
    }
}

/// Removes what has expired by now.
pub(super) async fn remove_expired(components: &Components) -> Result<(), StepError> {
    let retention = components.settings.retention;
    let now = components.clock.now();
    // A span that reaches back before the earliest timestamp keeps everything.
    let until = |span: Option<Duration>| span.map(|span| now.checked_sub(span).unwrap_or(Timestamp::MIN));
    let expiry = Expiry {
        converted: until(retention.converted),
        partials: until(retention.partials),
        rejects: until(retention.rejects),
        summaries: until(retention.summaries),
    };
    let expired = components.state.expire(&expiry).await?;
    if !expired.is_empty() {
        components
            .lake
            .remove(&expired)
            .await
            .map_err(StepError::transient)?;
        tracing::info!(
            objects = expired.len(),
            "removed from the lake what its retention no longer keeps"
        );
    }
    Ok(())
}
