//! What every command that uses the state database opens first.

use std::sync::Arc;

use anyhow::Context as _;
use gristmill_state::{Clock, StateDb, StateError, SystemClock};

use super::SettingsArg;
use crate::causes::joined;
use crate::guards::who;
use crate::preconditions::JobIndex;
use crate::settings::Settings;
use crate::usage::Usage;

/// The settings, and the state database that they name.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) state: StateDb,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the state database was opened only to read.
    only_reads: bool,
}

impl Context {
    /// Opens an existing state database for a command that changes it.
    pub(super) async fn open(arg: &SettingsArg) -> anyhow::Result<Self> {
        Self::open_or_make(existing(arg).await?).await
    }

    /// Opens an existing state database for a command that only reads it. That needs no right to write.
    pub(super) async fn open_to_read(arg: &SettingsArg) -> anyhow::Result<Self> {
        let settings = existing(arg).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = StateDb::open_to_read(&settings.state, clock.clone()).await?;
        Ok(Self {
            settings,
            state,
            clock,
            only_reads: true,
        })
    }

    /// Returns the jobs of now, and brings up to date which files they take. A command that only reads writes this one
    /// thing if it may; if it may not, it goes on with what stands, and says so.
    pub(super) async fn jobs(&self) -> Result<JobIndex, StateError> {
        let feeds = &self.settings.feeds;
        if !self.only_reads {
            return JobIndex::matched(&self.state, feeds).await;
        }
        let jobs = JobIndex::empty(feeds).read_again(&self.state).await?;
        if self.state.is_matched().await? {
            return Ok(jobs);
        }
        let place = &self.settings.state;
        let matched = async {
            let state = StateDb::open_beside(place, self.clock.clone()).await?;
            JobIndex::matched(&state, feeds).await
        };
        matched.await.or_else(|error| {
            tracing::warn!(
                "jobs were edited, and which files they take since cannot be recorded in the state database, so what follows \
                 is as it was before: {}; start `gristmill run`, or use an account that may write {}",
                joined(&error.into(), ": "),
                place
            );
            Ok(jobs)
        })
    }

    /// Opens the state database, and creates it if it does not exist.
    pub(super) async fn open_or_make(settings: Settings) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state = StateDb::open_beside(&settings.state, clock.clone())
            .await
            .with_context(|| format!("cannot use the state database {}", settings.state))?
            .on_behalf_of(who());
        Ok(Self {
            settings,
            state,
            clock,
            only_reads: false,
        })
    }
}

/// Reads the settings of a command that needs an existing state database: it must not create an empty one.
async fn existing(arg: &SettingsArg) -> anyhow::Result<Settings> {
    let settings = Settings::read(&arg.config)?;
    let state = &settings.state;
    if StateDb::exists(state).await? {
        return Ok(settings);
    }
    let lack = match state.file() {
        Some(_) => "does not exist",
        None => "has no tables of gristmill",
    };
    Err(Usage::new(format!(
        "nothing has run yet: {state} {lack}; start `gristmill run`"
    ))
    .into())
}
