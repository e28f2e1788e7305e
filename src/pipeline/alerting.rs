//! Tells people what alerts find, beside the stages: what fails there is logged, and stops nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::panics::contained;
use super::retry::{StepError, with_retries};
use super::{Components, Until, stopped};
use crate::alerts::Watch;

/// How long to wait after a panic.
const PAUSE: Duration = Duration::from_secs(60);

/// Starts to look at alerts, and to send what was not sent before.
pub(super) async fn start(
    components: &Arc<Components>,
    stages: &mut JoinSet<anyhow::Result<()>>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let settings = &components.settings.alerts;
    let alerts: Vec<_> = settings.alerts.iter().map(|alert| alert.name.clone()).collect();
    let receivers: Vec<_> = settings
        .receivers
        .iter()
        .map(|receiver| receiver.name.clone())
        .collect();
    let unknown = with_retries(&components.patience, "beginning to watch for alerts", || async {
        Ok(components.state.begin_alerts(&alerts, &receivers).await?)
    });
    for (receiver, notices) in unknown.await.map_err(StepError::into_cause)? {
        tracing::warn!(
            receiver,
            notices,
            "there is no such [[receiver]] any more: its notices are dropped"
        );
    }
    if settings.is_empty() && settings.receivers.is_empty() {
        return Ok(());
    }
    let activity = components.activity.clone();
    let has_listed = Box::new(move || activity.has_listed());
    let watch = Watch::new(
        &components.settings,
        components.state.clone(),
        components.clock.clone(),
        has_listed,
    )?;
    let until = components.patience.until;
    stages.spawn(tell(watch, until, stop.clone()));
    Ok(())
}

async fn tell(watch: Watch, until: Until, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    while let Err(panic) = contained(watch.run(&stop)).await {
        tracing::error!("alerts: {panic}");
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    if until == Until::Idle
        && let Err(panic) = contained(watch.finish()).await
    {
        tracing::error!("alerts: {panic}");
    }
    Ok(())
}
