//! Where each province stands, as the desk looks at it: those in trouble first. It is kept between two looks, and only the
//! jobs that something has happened to are judged again.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_state::{JobRow, StateDb, StateError, Waiting};
use jiff::Timestamp;
use serde_json::Value;

use super::JobStatus;
use super::jobs::{Judged, judge_newest};
use crate::preconditions::{Check, JobIndex, Verdict, WaveState};

/// How long verdicts are kept at most, although nothing happened: time alone may change what they tell.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// How many verdicts are renewed in one look merely because they are old: a look must not take long.
const AGED_AT_ONCE: usize = 50;

/// How a province is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    /// A person must do something: its last run failed, its configuration or its facts cannot be used.
    Trouble,
    /// Some of its wave has come, and it waits for the rest.
    Waiting,
    /// A run is due, queued or running.
    Working,
    /// Nothing of its first, or of its next, wave has come.
    Quiet,
    /// Its wave is complete.
    Complete,
    /// It does not run until somebody resumes it.
    Paused,
}

impl Mood {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Trouble,
        Self::Waiting,
        Self::Working,
        Self::Quiet,
        Self::Complete,
        Self::Paused,
    ];

    /// Returns the word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Trouble => "in trouble",
            Self::Waiting => "waits",
            Self::Working => "works",
            Self::Quiet => "nothing yet",
            Self::Complete => "complete",
            Self::Paused => "paused",
        }
    }
}

/// A province: a job with its newest wave.
#[derive(Clone, Debug)]
pub(crate) struct Province {
    pub(crate) status: JobStatus,
    pub(crate) mood: Mood,
    /// How much of the wave has come, of how much, and of what.
    pub(crate) progress: Option<(u64, u64, &'static str)>,
    /// The stores that the wave lacks.
    pub(crate) missing_stores: Vec<String>,
    /// The files that were seen before, and that the wave lacks.
    pub(crate) missing_files: Vec<String>,
    /// Every precondition with its facts.
    pub(crate) checks: Vec<Check>,
    /// When time alone may change the verdict.
    next_moment: Option<Timestamp>,
    judged: Timestamp,
}

/// The provinces at the last look.
#[derive(Debug, Default)]
pub(crate) struct Provinces {
    by_job: BTreeMap<String, (JobRow, Province)>,
    waiting: Vec<Waiting>,
    seen: Option<(i64, i64)>,
}

impl Provinces {
    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_job.len()
    }

    /// Returns all provinces, those in trouble first.
    pub(crate) fn sorted(&self) -> Vec<&Province> {
        let mut all: Vec<_> = self.by_job.values().map(|(_, province)| province).collect();
        all.sort_by_key(|province| province.mood);
        all
    }

    /// Returns where the jobs stand, ordered by name.
    pub(crate) fn statuses(&self) -> Vec<JobStatus> {
        let all = self.by_job.values();
        all.map(|(_, province)| province.status.clone()).collect()
    }

    /// Brings them up to date.
    pub(crate) async fn refresh(
        &mut self,
        state: &StateDb,
        jobs: &JobIndex,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let since = self.seen.map_or(-1, |(revision, _)| revision);
        let touched = state.touched_waves(since).await?;
        let waiting = state.waiting().await?;
        // A lower revision is that of a database that went back.
        let is_known = |(revision, edition)| edition == touched.edition && revision <= touched.revision;
        let is_all = !self.seen.is_some_and(is_known) || waiting != self.waiting;
        let of_waves: BTreeSet<_> = touched.waves.into_iter().map(|(job, _)| job).collect();
        let mut before = std::mem::take(&mut self.by_job);
        let mut old_ones = AGED_AT_ONCE;
        // If a question fails, everything is asked anew at the next look.
        self.seen = None;
        let mut to_judge = Vec::new();
        for row in state.jobs().await? {
            let Some(known) = jobs.job(&row.config.id) else {
                continue;
            };
            let kept = before.remove(&row.config.id).filter(|(kept, province)| {
                if *kept != row || is_all || of_waves.contains(&row.config.id) || province.is_due(now) {
                    return false;
                }
                let is_old = old_ones > 0 && now.duration_since(province.judged) > KEPT;
                old_ones -= usize::from(is_old);
                !is_old
            });
            match kept {
                Some(kept) => drop(self.by_job.insert(row.config.id, kept)),
                None => to_judge.push((row, &**known)),
            }
        }
        let rows = to_judge
            .iter()
            .map(|(row, _)| (row.config.id.clone(), row.clone()));
        let mut rows: BTreeMap<_, _> = rows.collect();
        for judged in judge_newest(state, to_judge, now).await? {
            if let Some((id, row)) = rows.remove_entry(&judged.status.job) {
                let province = Province::new(judged, !row.config.enabled, now);
                self.by_job.insert(id, (row, province));
            }
        }
        self.waiting = waiting;
        self.seen = Some((touched.revision, touched.edition));
        Ok(())
    }
}

impl Province {
    fn new(judged: Judged, is_paused: bool, now: Timestamp) -> Self {
        let Judged {
            status,
            verdict,
            is_unusable,
        } = judged;
        let mut province = Self {
            mood: Mood::Quiet,
            progress: None,
            missing_stores: Vec::new(),
            missing_files: Vec::new(),
            checks: Vec::new(),
            next_moment: verdict.as_ref().and_then(|verdict| verdict.next_moment),
            judged: now,
            status,
        };
        if let Some(verdict) = &verdict {
            province.count(verdict);
        }
        let is_damaged = verdict.as_ref().is_some_and(|verdict| verdict.is_damaged);
        let failed = province.status.last_status.as_deref() == Some("FAILED");
        let state = province.status.state;
        province.mood = match state {
            _ if is_unusable || is_damaged => Mood::Trouble,
            _ if is_paused => Mood::Paused,
            Some(WaveState::Running | WaveState::Ready) => Mood::Working,
            _ if failed => Mood::Trouble,
            Some(WaveState::Complete) => Mood::Complete,
            // What its files bring about is not waited for before the next wave begins.
            Some(WaveState::Waiting)
                if province.status.done.is_some() && province.status.waits_for.is_empty() =>
            {
                Mood::Complete
            }
            Some(WaveState::Waiting) if province.progress.is_some_and(|(arrived, ..)| arrived > 0) => {
                Mood::Waiting
            }
            Some(WaveState::Waiting) | None => Mood::Quiet,
        };
        province.checks = verdict.map_or_else(Vec::new, |verdict| verdict.checks);
        // What blocks comes first.
        province.checks.sort_by_key(|check| !check.blocks());
        province
    }

    /// Counts what has come of a wave, by the facts of its preconditions.
    fn count(&mut self, verdict: &Verdict) {
        let number = |data: &Value, key: &str| data[key].as_u64();
        for check in &verdict.checks {
            let data = &check.data;
            if let (Some(arrived), Some(needed)) = (number(data, "arrived"), number(data, "needed")) {
                let missing = data["missing_stores"].as_array().into_iter().flatten();
                let missing = missing.filter_map(Value::as_str).map(str::to_owned);
                self.missing_stores = missing.collect();
                let unit = match data["counted"].as_str() {
                    Some("stores") => "stores",
                    _ => "files",
                };
                // Whoever is missing is expected, even if fewer would do.
                let expected = needed.max(arrived + self.missing_stores.len() as u64);
                self.progress.get_or_insert((arrived, expected, unit));
            }
            if let (Some(submitted), Some(files)) = (number(data, "submitted"), number(data, "files")) {
                let missing = data["missing_files"].as_array().into_iter().flatten();
                let missing = missing
                    .filter_map(|file| file["file"].as_str())
                    .map(str::to_owned);
                self.missing_files = missing.collect();
                self.progress = Some((submitted, files, "files"));
            }
        }
        if let Some(next) = verdict.done.as_ref().and_then(|done| done.next_wave) {
            self.progress = Some((next.arrived as u64, next.expected as u64, next.unit));
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.next_moment.is_some_and(|moment| moment <= now)
    }
}
