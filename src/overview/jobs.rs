//! Where each job stands, judged by its newest wave.

use gristmill_state::{JobRow, StateDb, StateError, Waves};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::others;
use crate::preconditions::{IndexedJob, JobIndex, JobPlan, Verdict, WaveState, assess_each};

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
            .chain(self.describe_ahead())
            .collect();
        lines.join("\n")
    }
}

/// Returns the day that it is for a job.
fn today(plan: &JobPlan, now: Timestamp) -> Date {
    now.to_zoned(plan.time_zone.clone()).date()
}

/// Returns the newest wave up to today. Those after today go to `ahead`; the first of them is returned only if there is
/// no other.
fn newest(
    mut verdicts: Vec<Verdict>,
    plan: &JobPlan,
    now: Timestamp,
    ahead: &mut Vec<Date>,
) -> Option<Verdict> {
    let today = today(plan, now);
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

/// How many jobs are asked about at a time: their files are all in memory meanwhile.
const AT_ONCE: usize = 200;

/// Returns every job with what it waits for.
pub(crate) async fn job_statuses(
    state: &StateDb,
    jobs: &JobIndex,
    now: Timestamp,
) -> Result<Vec<JobStatus>, StateError> {
    let rows = state.jobs().await?.into_iter();
    // A job that was added since the index was made is left for the next look.
    let known = rows.filter_map(|row| {
        let known = jobs.job(&row.config.id)?;
        Some((row, &**known))
    });
    let judged = judge_newest(state, known.collect(), now).await?;
    Ok(judged.into_iter().map(|judged| judged.status).collect())
}

/// Judges jobs by their newest waves. A job that is gone meanwhile is left out.
pub(crate) async fn judge_newest(
    state: &StateDb,
    jobs: Vec<(JobRow, &IndexedJob)>,
    now: Timestamp,
) -> Result<Vec<Judged>, StateError> {
    let mut judged = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() {
        judged.extend(judge_some(state, jobs.by_ref().take(AT_ONCE).collect(), now).await?);
    }
    Ok(judged)
}

async fn judge_some(
    state: &StateDb,
    jobs: Vec<(JobRow, &IndexedJob)>,
    now: Timestamp,
) -> Result<Vec<Judged>, StateError> {
    let mut judged: Vec<_> = jobs
        .into_iter()
        .map(|(row, known)| (Some(Judged::before(row)), known.plan()))
        .collect();
    let plans = judged.iter().filter_map(|(_, plan)| plan.as_ref().ok());
    let asked: Vec<_> = plans
        .map(|plan| (*plan, plan.question(Waves::NewestAt(today(plan, now)))))
        .collect();
    let mut verdicts = assess_each(state, &asked, now).await?.into_iter();
    for (of_job, plan) in &mut judged {
        match plan {
            Err(error) => {
                if let Some(job) = of_job {
                    job.is_unusable = true;
                    let reason = format!("a corrected configuration: {error}");
                    job.status.waits_for.push(reason);
                }
            }
            Ok(plan) => match (verdicts.next().flatten(), of_job.as_mut()) {
                (Some(verdicts), Some(job)) => {
                    job.verdict = newest(verdicts, plan, now, &mut job.status.ahead);
                    match &job.verdict {
                        Some(newest) => job.status.describe(newest),
                        None => {
                            let reason = format!("a file that matches {}", plan.files);
                            job.status.waits_for.push(reason);
                        }
                    }
                }
                _ => *of_job = None,
            },
        }
    }
    let mut judged: Vec<Judged> = judged.into_iter().filter_map(|(judged, _)| judged).collect();
    let runs: Vec<_> = judged
        .iter()
        .map(|job| job.verdict.as_ref()?.run.as_ref())
        .collect();
    let sentences = others::describe_runs(state, &runs).await?;
    for (job, sentences) in judged.iter_mut().zip(sentences) {
        job.status.other_jobs = sentences;
    }
    Ok(judged)
}

impl Judged {
    /// Returns what is known of a job before it is judged.
    fn before(row: JobRow) -> Self {
        Self {
            status: JobStatus {
                job: row.config.id,
                last_run: row.last_run_id,
                last_status: row.last_exec_status.map(|status| status.to_string()),
                wave: None,
                state: None,
                done: None,
                waits_for: Vec::new(),
                ahead: Vec::new(),
                other_jobs: Vec::new(),
            },
            verdict: None,
            is_unusable: false,
        }
    }
}

impl JobStatus {
    fn describe_ahead(&self) -> Option<String> {
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
