//! What every command that uses the state database opens first.

use std::sync::Arc;

use anyhow::Context as _;
use gristmill_state::{Clock, StateDb, SystemClock};

use super::SettingsArg;
use super::failure::Usage;
use crate::guards::who;
use crate::settings::Settings;

/// The settings, and the state database that they name.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) state: StateDb,
    pub(super) clock: Arc<dyn Clock>,
}

impl Context {
    /// Opens an existing state database for a command that changes it.
    pub(super) async fn open(arg: &SettingsArg) -> anyhow::Result<Self> {
        Self::open_or_make(existing(arg)?).await
    }

    /// Opens an existing state database for a command that only reads it. That needs no right to write.
    pub(super) async fn open_to_read(arg: &SettingsArg) -> anyhow::Result<Self> {
        let settings = existing(arg)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = StateDb::open_to_read(&settings.state, clock.clone()).await?;
        Ok(Self {
            settings,
            state,
            clock,
        })
    }

    /// Opens the state database, and creates it if it does not exist.
    pub(super) async fn open_or_make(settings: Settings) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = StateDb::open_beside(&settings.state, clock.clone())
            .await
            .with_context(|| format!("cannot use the state database {}", settings.state.display()))?
            .on_behalf_of(who());
        Ok(Self {
            settings,
            state,
            clock,
        })
    }
}

/// Reads the settings of a command that needs an existing state database: it must not create an empty one.
fn existing(arg: &SettingsArg) -> anyhow::Result<Settings> {
    let settings = Settings::read(&arg.config)?;
    if !settings.state.exists() {
        let state = settings.state.display();
        return Err(Usage::new(format!(
            "nothing has run yet: {state} does not exist; start `gristmill run`"
        ))
        .into());
    }
    Ok(settings)
}
