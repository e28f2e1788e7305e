//! Where each job stands, judged by its newest wave.

use gristmill_state::{JobRow, StateDb, StateError, Waves};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::others;
use crate::preconditions::{IndexedJob, JobIndex, JobPlan, Verdict, WaveState, assess};

/// A job, and what keeps it from running.
#[derive(Clone, Debug, Serialize)]
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
    /// The waves after today: a file with such a day in its name hides none of today.
    pub(crate) ahead: Vec<Date>,
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
            .chain(self.told_ahead())
            .collect();
        lines.join("\n")
    }
}

/// Judges the newest wave up to today, and those after today.
async fn verdicts(state: &StateDb, plan: &JobPlan, now: Timestamp) -> Result<Vec<Verdict>, StateError> {
    let today = now.to_zoned(plan.time_zone.clone()).date();
    assess(state, plan, &plan.question(Waves::NewestAt(today)), now).await
}

/// Returns the newest wave up to today. Those after today go to `ahead`; the first of them is returned only if there is
/// no other.
fn newest(
    mut verdicts: Vec<Verdict>,
    plan: &JobPlan,
    now: Timestamp,
    ahead: &mut Vec<Date>,
) -> Option<Verdict> {
    let today = now.to_zoned(plan.time_zone.clone()).date();
    let is_ahead = |verdict: &Verdict| verdict.wave.is_some_and(|wave| wave > today);
    let first_ahead = verdicts.partition_point(|verdict| !is_ahead(verdict));
    let later = verdicts.split_off(first_ahead);
    ahead.extend(later.iter().filter_map(|verdict| verdict.wave));
    verdicts.pop().or_else(|| later.into_iter().next())
}

/// A job, judged by its newest wave.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) status: JobStatus,
    /// The verdict on the newest wave; none if the job cannot be judged, or has no wave yet.
    pub(crate) verdict: Option<Verdict>,
    /// Whether its configuration must be corrected before it can be judged.
    pub(crate) is_unusable: bool,
}

/// Returns every job with what it waits for.
pub(crate) async fn job_statuses(
    state: &StateDb,
    jobs: &JobIndex,
    now: Timestamp,
) -> Result<Vec<JobStatus>, StateError> {
    let mut statuses = Vec::new();
    for job in state.jobs().await? {
        // A job that was added since the index was made is left for the next look.
        if let Some(known) = jobs.job(&job.config.id) {
            statuses.push(judge_newest(state, job, known, now).await?.status);
        }
    }
    Ok(statuses)
}

/// Judges a job by its newest wave.
pub(crate) async fn judge_newest(
    state: &StateDb,
    job: JobRow,
    known: &IndexedJob,
    now: Timestamp,
) -> Result<Judged, StateError> {
    let mut status = JobStatus {
        job: job.config.id,
        last_run: job.last_run_id,
        last_status: job.last_exec_status.map(|status| status.to_string()),
        wave: None,
        state: None,
        done: None,
        waits_for: Vec::new(),
        ahead: Vec::new(),
        other_jobs: Vec::new(),
    };
    let plan = match known.plan() {
        Ok(plan) => plan,
        Err(error) => {
            status
                .waits_for
                .push(format!("a corrected configuration: {error}"));
            return Ok(Judged {
                status,
                verdict: None,
                is_unusable: true,
            });
        }
    };
    let verdict = newest(verdicts(state, plan, now).await?, plan, now, &mut status.ahead);
    match &verdict {
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
    }
    Ok(Judged {
        status,
        verdict,
        is_unusable: false,
    })
}

impl JobStatus {
    fn told_ahead(&self) -> Option<String> {
        let first = self.ahead.first()?;
        let waves = match self.ahead.len() {
            1 => "1 wave lies".to_owned(),
            count => format!("{count} waves lie"),
        };
        Some(format!(
            "{waves} ahead of today: {first}{}",
            match self.ahead.last() {
                Some(last) if last != first => format!(" to {last}"),
                _ => String::new(),
            }
        ))
    }

    fn describe(&mut self, newest: &Verdict) {
        self.wave = newest.wave;
        self.state = Some(newest.state);
        if newest.state != WaveState::Running {
            let checks = newest.waits_for();
            self.waits_for = checks
                .map(|check| format!("{}: {}", check.name, check.facts))
                .collect();
        }
        self.done = newest.done.as_ref().map(|done| done.text.clone());
    }
}
