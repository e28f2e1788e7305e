//! The verdict on one wave of a job, and the words for it that `status` and `explain` share.

use gristmill_state::NewRun;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::Check;

/// The name of the check that `job_addl_criteria` makes.
pub(super) const CRITERION: &str = "job_addl_criteria";

/// The state of one wave of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The business day, for jobs whose pattern has `{date}`.
    pub wave: Option<Date>,
    /// Where the wave stands.
    pub state: WaveState,
    /// The wave's last run, if it left nothing open.
    pub done: Option<Done>,
    /// Every precondition with its facts.
    pub checks: Vec<Check>,
    /// Files that match the job's pattern but are part of no job: it lists stores, and theirs is not among them.
    pub unlisted_files: Vec<String>,
    /// Whether nothing was submitted since the run that left nothing open.
    #[serde(skip)]
    pub(super) is_at_rest: bool,
    /// Whether the last run saw everything that there is, so that nothing can make the wave ready before something of it
    /// changes.
    #[serde(skip)]
    pub is_over: bool,
    /// The revision at which the wave was last touched when its facts were read; none if it is not open.
    #[serde(skip)]
    pub touched: Option<i64>,
    /// When time alone may next make it ready.
    #[serde(skip)]
    pub next_moment: Option<Timestamp>,
    /// The files that an outage keeps from being converted, and that it waits for.
    #[serde(skip)]
    pub waits_for_files: Vec<String>,
    /// Whether it waits for a person to correct an impossible value in the state database.
    #[serde(skip)]
    pub is_damaged: bool,
    /// The run over the files in force, if there are any. It is due if the wave is ready.
    #[serde(skip)]
    pub run: Option<NewRun>,
}

/// Where a wave stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveState {
    /// A run of it is queued or running.
    Running,
    /// Every precondition holds: a run starts.
    Ready,
    /// Its last run left nothing open, nothing was submitted since, and nothing is in the way of the next wave.
    Complete,
    /// It waits for a precondition.
    Waiting,
}

/// The run that completed a wave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Done {
    /// The run.
    pub run_id: String,
    /// When it ended.
    pub since: Timestamp,
    /// The share of the expected stores that it had.
    pub completeness_percent: Option<f64>,
    /// What of the next wave has come, if the job goes from wave to wave.
    pub next_wave: Option<Progress>,
    /// The whole in a sentence, in the job's time zone.
    pub text: String,
}

/// How much of a wave has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// How many stores or files have come.
    pub arrived: usize,
    /// How many there will be.
    pub expected: usize,
    /// What is counted: `"stores"` or `"files"`.
    pub unit: &'static str,
}

impl Verdict {
    /// Returns whether no check blocks the wave, so that a run would start.
    pub fn is_ready(&self) -> bool {
        !self.checks.iter().any(Check::blocks)
    }

    /// Returns whether nothing but `job_addl_criteria` is in the way. What that asks may change with anything.
    pub fn waits_for_criterion(&self) -> bool {
        let mut blocking = self.checks.iter().filter(|check| check.blocks()).peekable();
        blocking.peek().is_some() && blocking.all(|check| check.name == CRITERION)
    }

    /// Returns the preconditions that the wave waits for. Before the next wave begins, those that its files bring about
    /// are not waited for.
    pub fn waits_for(&self) -> impl Iterator<Item = &Check> {
        let blocking = self.checks.iter().filter(|check| check.blocks());
        blocking.filter(|check| !self.is_at_rest || !check.is_of_next_wave())
    }

    /// Returns how many of the expected stores the wave lacks once the first has come.
    pub fn missing_stores(&self) -> u64 {
        if let Some(done) = &self.done {
            let begun = done.next_wave.filter(|next| next.arrived > 0);
            return begun.map_or(0, |next| next.expected.saturating_sub(next.arrived) as u64);
        }
        let lacks = |check: &Check| {
            let missing = check.data["missing_stores"].as_array()?.len() as u64;
            Some(missing).filter(|_| check.data["arrived"].as_u64() > Some(0))
        };
        self.checks.iter().find_map(lacks).unwrap_or(0)
    }
}

/// Formats a share for people. Less than everything is never shown as 100 %, and more than nothing never as 0 %.
pub fn percent(share: f64) -> String {
    match share {
        share if share > 0.0 && share < 1.0 => "<1 %".to_owned(),
        share => format!("{:.0} %", share.floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_everything_is_100_percent() {
        let shown = [0.0, 0.2, 1.0, 50.0, 66.7, 99.9, 100.0].map(percent);
        assert_eq!(shown, ["0 %", "<1 %", "1 %", "50 %", "66 %", "99 %", "100 %"]);
    }
}
