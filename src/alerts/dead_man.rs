//! The dead man's switch: a URL that is called while all is well. Whoever expects the calls notices when they stay away,
//! also if this host is gone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Watch;
use crate::overview::not_ready;
use crate::settings::DeadMan;

/// For how long notices may wait for a receiver that is down before that counts as not being well: nobody hears of anything.
const SILENCE: SignedDuration = SignedDuration::from_mins(10);

/// How often to ask whether all sources were listed.
const LISTING: Duration = Duration::from_millis(500);

impl Watch {
    /// Calls the URL while all is well. Never returns.
    pub(super) async fn call_while_well(&self, dead_man: &DeadMan) {
        // At a start it is no news that nothing is listed yet.
        while !(self.has_listed)() {
            tokio::time::sleep(LISTING).await;
        }
        let mut calls = tokio::time::interval(dead_man.every);
        calls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = Ok(());
        loop {
            calls.tick().await;
            let now = self.call_if_well(dead_man).await;
            // What goes on is told once.
            match (&now, &last) {
                (Err(problem), Ok(())) => tracing::warn!("{problem}"),
                (Err(problem), Err(_)) => tracing::debug!("{problem}"),
                (Ok(()), Err(_)) => tracing::info!("the dead man's switch is called again"),
                (Ok(()), Ok(())) => {}
            }
            last = now.map_err(drop);
        }
    }

    /// Calls the URL if all is well. An error says why it was not called, or could not be.
    pub(super) async fn call_if_well(&self, dead_man: &DeadMan) -> Result<(), String> {
        match self.why_not_well().await {
            Some(reason) => Err(format!("the dead man's switch is not called: {reason}")),
            None => self.call(dead_man).await,
        }
    }

    async fn call(&self, dead_man: &DeadMan) -> Result<(), String> {
        let url = dead_man.url().map_err(str::to_owned)?;
        let called = self.courier.call(url).await;
        called.map_err(|error| {
            format!("the dead man's switch cannot be called, and will be tried again: {error}")
        })
    }

    /// Returns why not all is well.
    async fn why_not_well(&self) -> Option<String> {
        let asked = async {
            let reason = not_ready(&self.state, (self.has_listed)()).await?;
            Ok::<_, gristmill_state::StateError>((reason, self.state.unsent_notices().await?))
        };
        let (reason, unsent) = match asked.await {
            Ok(asked) => asked,
            Err(error) => return Some(error.to_string()),
        };
        let oldest = self.clock.now().checked_sub(SILENCE).unwrap_or(Timestamp::MIN);
        let silent = unsent.into_iter().find(|unsent| unsent.since < oldest);
        reason.or_else(|| silent.map(|unsent| format!("receiver {} cannot be reached", unsent.receiver)))
    }
}
