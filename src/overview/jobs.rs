//! Where each job stands, judged by its newest wave.

use gristmill_state::{StateDb, StateError, Waves};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::others;
use crate::preconditions::{JobIndex, Verdict, WaveState, assess};

/// A job, and what keeps it from running.
#[derive(Debug, Serialize)]
pub(crate) struct JobStatus {
    pub(crate) job: String,
    pub(crate) last_run: Option<String>,
    pub(crate) last_status: Option<String>,
    /// The newest wave, if the job is judged by day.
    pub(crate) wave: Option<Date>,
    /// Where that wave stands; none if the job cannot be judged, or has no wave yet.
    pub(crate) state: Option<WaveState>,
    /// What its last run left behind, if it left nothing open.
    pub(crate) done: Option<String>,
    pub(crate) waits_for: Vec<String>,
    /// Which days it leaves to other jobs, or takes over from them.
    pub(crate) other_jobs: Vec<String>,
}

impl JobStatus {
    /// Returns all of it in lines, for a table.
    pub(crate) fn lines(&self) -> String {
        let waits_for = self.waits_for.iter().map(|check| format!("waits for {check}"));
        let of_state = match self.state {
            Some(WaveState::Running) => Some("a run is queued or running".to_owned()),
            Some(WaveState::Ready) => Some("ready: a run starts as soon as gristmill runs".to_owned()),
            _ => None,
        };
        let lines: Vec<_> = of_state
            .into_iter()
            .chain(self.done.clone())
            .chain(waits_for)
            .collect();
        lines.join("\n")
    }
}

/// Returns every job with what it waits for.
pub(crate) async fn job_statuses(
    state: &StateDb,
    jobs: &JobIndex,
    now: Timestamp,
) -> Result<Vec<JobStatus>, StateError> {
    let mut statuses = Vec::new();
    for job in state.jobs().await? {
        let mut status = JobStatus {
            job: job.config.id.clone(),
            last_run: job.last_run_id,
            last_status: job.last_exec_status.map(|status| status.to_string()),
            wave: None,
            state: None,
            done: None,
            waits_for: Vec::new(),
            other_jobs: Vec::new(),
        };
        // A job that was added since the index was made is left for the next look.
        let Some(known) = jobs.job(&job.config.id) else {
            continue;
        };
        match known.plan() {
            Err(error) => status
                .waits_for
                .push(format!("a corrected configuration: {error}")),
            Ok(plan) => match assess(state, plan, &plan.question(Waves::Newest), now)
                .await?
                .pop()
            {
                Some(newest) => {
                    if let Some(run) = &newest.run {
                        let days = state.days_of_others(&run.job_id, &run.inputs).await?;
                        status.other_jobs = others::told(&days);
                    }
                    status.describe(newest);
                }
                None => status
                    .waits_for
                    .push(format!("a file that matches {}", plan.files)),
            },
        }
        statuses.push(status);
    }
    Ok(statuses)
}

impl JobStatus {
    fn describe(&mut self, newest: Verdict) {
        self.wave = newest.wave;
        self.state = Some(newest.state);
        if newest.state != WaveState::Running {
            let checks = newest.waits_for();
            self.waits_for = checks
                .map(|check| format!("{}: {}", check.name, check.facts))
                .collect();
        }
        self.done = newest.done.map(|done| done.text);
    }
}
