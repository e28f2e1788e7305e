//! The state of everything at one moment: the service, files, jobs, runs, and what needs a person.

use std::collections::BTreeMap;

use gristmill_state::{
    Damage, Firing, Holder, LedgerNews, RunFilter, RunRow, StateDb, Unsent, Waiting, WorkerRow,
};
use serde::Serialize;

use super::doubts::{self, WithRejects};
use super::{Held, JobStatus, Stray, firing, strays};
use crate::preconditions::JobIndex;

/// How many of the newest runs belong to it.
const RUNS: u32 = 10;

/// The state of everything.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// The service that works on the state database; none if nobody does.
    pub(crate) service: Option<Holder>,
    /// The workers that help it.
    pub(crate) workers: Vec<WorkerRow>,
    /// What alerts have found and is not over.
    pub(crate) alerts: Vec<Firing>,
    /// The receivers of alerts that could not be told.
    pub(crate) unsent_notices: Vec<Unsent>,
    pub(crate) files: BTreeMap<String, u64>,
    /// What waits for an outage to end.
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) held: Vec<Held>,
    /// How many files no feed matches.
    pub(crate) unmatched: u64,
    /// Files in force with rejects, the largest share first.
    pub(crate) rejects: Vec<WithRejects>,
    /// Files in force that may have been cut.
    pub(crate) cut: Vec<String>,
    pub(crate) jobs: Vec<JobStatus>,
    /// Files of aggregated feeds that no job takes.
    pub(crate) files_without_job: Vec<Stray>,
    pub(crate) runs: Vec<RunRow>,
    /// Where the warehouse's ledger disagreed when it was last looked at.
    pub(crate) ledger: LedgerNews,
    /// Files whose time of writing lies ahead of their arrival, by so many seconds.
    pub(crate) written_ahead: Vec<(String, i64)>,
    /// Rows of the state database with impossible values.
    pub(crate) damages: Vec<Damage>,
}

/// Gathers the state of everything, beside that of the jobs.
pub(crate) async fn status(
    state: &StateDb,
    known: &JobIndex,
    jobs: Vec<JobStatus>,
) -> anyhow::Result<Status> {
    let counts = state.status_counts().await?.into_iter();
    let last = RunFilter {
        limit: Some(RUNS),
        ..RunFilter::default()
    };
    Ok(Status {
        service: state.service().await?,
        workers: state.workers().await?,
        alerts: firing(state).await?,
        unsent_notices: state.unsent_notices().await?,
        files: counts
            .map(|(status, files)| (status.to_string(), files))
            .collect(),
        waiting: state.waiting().await?,
        held: state.held().await?.into_iter().map(Held::new).collect(),
        unmatched: state.unmatched_count().await?,
        rejects: doubts::with_rejects(state).await?,
        cut: doubts::may_be_cut(state, None).await?,
        jobs,
        files_without_job: strays(state, known).await?,
        runs: state.runs(&last).await?,
        ledger: state.ledger_news(None).await?,
        written_ahead: state.written_ahead().await?,
        // Last, so that it has what all of these came upon.
        damages: state.damages(),
    })
}
