//! The jobs as all stages see them: read and parsed again only when one was added, edited or removed.

use std::sync::{Arc, Mutex, PoisonError};

use gristmill_state::{StateDb, StateError, Takers};

use crate::preconditions::JobIndex;
use crate::settings::Feeds;

/// The jobs when they were last read.
#[derive(Debug)]
pub(super) struct CurrentJobs(Mutex<Arc<JobIndex>>);

impl CurrentJobs {
    pub(super) fn new(feeds: &Feeds) -> Self {
        Self(Mutex::new(Arc::new(JobIndex::empty(feeds))))
    }

    /// Returns the jobs of now.
    pub(super) async fn get(&self, state: &StateDb) -> Result<Arc<JobIndex>, StateError> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = known().clone();
        if state.job_edition().await? == jobs.edition() {
            return Ok(jobs);
        }
        let jobs = Arc::new(jobs.read_again(state).await?);
        *known() = jobs.clone();
        Ok(jobs)
    }
}
