//! What every command that uses the state database opens first.

use std::sync::Arc;

use anyhow::Context as _;
use gristmill_state::{Clock, StateDb, StateError, SystemClock};

use super::SettingsArg;
use super::failure::Usage;
use crate::preconditions::JobIndex;
use crate::settings::Settings;

/// The settings, and the state database that they name.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) state: StateDb,
    pub(super) clock: Arc<dyn Clock>,
}

impl Context {
    /// Opens an existing state database: a command that only reads must not create an empty one.
    pub(super) async fn open(arg: &SettingsArg) -> anyhow::Result<Self> {
        let settings = Settings::read(&arg.config)?;
        if !settings.state.exists() {
            let state = settings.state.display();
            return Err(Usage::new(format!(
                "nothing has run yet: {state} does not exist; start `gristmill run`"
            ))
            .into());
        }
        Self::open_or_make(settings).await
    }

    /// Returns the jobs of now, and brings up to date which files they take.
    pub(super) async fn jobs(&self) -> Result<JobIndex, StateError> {
        JobIndex::matched(&self.state, &self.settings.feeds).await
    }

    /// Opens the state database, and creates it if it does not exist.
    pub(super) async fn open_or_make(settings: Settings) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = StateDb::open(&settings.state, clock.clone())
            .await
            .with_context(|| format!("cannot use the state database {}", settings.state.display()))?;
        Ok(Self {
            settings,
            state,
            clock,
        })
    }
}
