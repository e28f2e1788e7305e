//! What all requests share: the settings, the state database as this server reads it, and what is kept between requests.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use gristmill_state::{Clock, StateDb, StateError};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, Notify, OnceCell, Semaphore, watch};

use super::problem::Problem;
use super::rendered::Rendered;
use crate::disks::Disks;
use crate::overview::Provinces;
use crate::pipeline::Vitals;
use crate::preconditions::JobIndex;
use crate::settings::{LakeSettings, Settings, Token};

/// The most pages that are kept up to date at the same time.
const STREAMS: usize = 256;

/// The most messages that are kept for pages that are yet to be shown.
const SAID: usize = 64;

/// What all requests share.
pub(super) struct Desk {
    pub(super) settings: Settings,
    token: Option<Token>,
    address: SocketAddr,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) vitals: Arc<Vitals>,
    stopped: watch::Receiver<bool>,
    /// Opened once the service has migrated it.
    state: OnceCell<StateDb>,
    jobs: Mutex<Arc<JobIndex>>,
    provinces: Mutex<Provinces>,
    /// Grows when pages may have changed.
    pub(super) revision: watch::Sender<u64>,
    /// Wakes the task that looks for changes, once somebody watches.
    pub(super) watched: Notify,
    /// Has a permit for each further page that can be kept up to date.
    pub(super) streams: Arc<Semaphore>,
    pub(super) rendered: Mutex<HashMap<String, Rendered>>,
    /// How long rendering took since the last look for changes, in microseconds.
    pub(super) spent: AtomicU64,
    said: SyncMutex<VecDeque<(u64, String)>>,
    numbers: AtomicU64,
    pub(super) scraped: Mutex<Option<(std::time::Instant, String)>>,
    pub(super) disks: Disks,
}

impl Desk {
    pub(super) fn new(
        settings: Settings,
        token: Option<Token>,
        address: SocketAddr,
        clock: Arc<dyn Clock>,
        vitals: Arc<Vitals>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            jobs: Mutex::new(Arc::new(JobIndex::empty(&settings.feeds))),
            disks: Disks::new(places(&settings).into_iter().map(|(_, folder)| folder).collect()),
            settings,
            token,
            address,
            clock,
            vitals,
            stopped,
            state: OnceCell::new(),
            provinces: Mutex::default(),
            revision: watch::Sender::new(0),
            watched: Notify::new(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            rendered: Mutex::default(),
            spent: AtomicU64::new(0),
            said: SyncMutex::default(),
            numbers: AtomicU64::new(0),
            scraped: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the token, if there is one.
    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether only this host can reach the server.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Returns whether a name is one that the settings give this service.
    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.settings
            .http
            .hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name))
    }

    /// Completes when the server has to stop.
    pub(super) async fn stopped(&self) {
        // An error means that whoever started the server is gone, which is a reason to stop too.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    /// Returns the state database, as this server reads it.
    pub(super) async fn state(&self) -> Result<&StateDb, Problem> {
        let place = &self.settings.state;
        let open = || async { StateDb::open_to_read(place, self.clock.clone()).await };
        let error = match self.state.get_or_try_init(open).await {
            Ok(state) => return Ok(state),
            Err(error) => error,
        };
        let is_starting = match &error {
            StateError::Older { .. } => true,
            _ => matches!(StateDb::exists(place).await, Ok(false)),
        };
        Err(match is_starting {
            true => {
                let starting = "the service is starting: its state database cannot be read yet";
                Problem::Unavailable(starting.to_owned())
            }
            false => error.into(),
        })
    }

    /// Returns the state database to write to, for one action of `who`.
    pub(super) async fn to_write(&self, who: &str) -> Result<StateDb, Problem> {
        let state = StateDb::open_beside(&self.settings.state, self.clock.clone()).await?;
        Ok(state.on_behalf_of(who))
    }

    /// Returns the jobs of now. Which files they take is the service's to record.
    pub(super) async fn jobs(&self) -> Result<Arc<JobIndex>, Problem> {
        let state = self.state().await?;
        let mut jobs = self.jobs.lock().await;
        if jobs.edition_is_not(state.job_edition().await?) {
            *jobs = Arc::new(jobs.read_again(state).await?);
        }
        Ok(jobs.clone())
    }

    /// Returns where each province stands, brought up to date.
    pub(super) async fn provinces(&self) -> Result<MutexGuard<'_, Provinces>, Problem> {
        let (state, jobs) = (self.state().await?, self.jobs().await?);
        let mut provinces = self.provinces.lock().await;
        provinces.refresh(state, &jobs, self.now()).await?;
        Ok(provinces)
    }

    /// Keeps a message for the page that is shown next, and returns its number.
    pub(super) fn say(&self, message: String) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_back((number, message));
        if said.len() > SAID {
            said.pop_front();
        }
        number
    }

    /// Returns a message that was kept.
    pub(super) fn said(&self, number: &str) -> Option<String> {
        let number: u64 = number.parse().ok()?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let found = said.iter().find(|(kept, _)| *kept == number);
        found.map(|(_, message)| message.clone())
    }

    /// Notes how long rendering took.
    pub(super) fn note_spent(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.spent.fetch_add(micros, Ordering::Relaxed);
    }
}

/// The places that gristmill writes to on this machine.
pub(super) fn places(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let lake = match &settings.lake {
        LakeSettings::Folder(folder) => folder,
        LakeSettings::Bucket { scratch, .. } => scratch,
    };
    let state = settings.state.file().map(|file| ("state", file.to_owned()));
    state.into_iter().chain([("lake", lake.clone())]).collect()
}
