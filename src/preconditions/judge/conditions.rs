//! The preconditions apart from those that count files: what must hold besides, whatever has come.

use std::collections::BTreeSet;

use gristmill_state::{CriterionError, FileFact, InForce, RunRow, RunState, WaveRuns};
use jiff::civil::Date;
use jiff::{Timestamp, Unit, Zoned};
use serde_json::json;

use super::super::check::{Check, some_of};
use super::super::params::{MergeEngine, USUAL_CLUSTER_ROWS};
use super::super::plan::RequiredFile;
use super::super::verdict::CRITERION;
use super::wave::{Matching, Wave};

impl Wave<'_> {
    /// Blocks the wave if the last run failed and no file was submitted since: the run would fail again.
    pub(super) fn failed_before(&self, runs: &WaveRuns) -> Option<Check> {
        let failed = runs.finished().filter(|run| run.state == RunState::Failed)?;
        let is_mended = self
            .files
            .iter()
            .any(|matching| matching.since(Some(failed)).is_some())
            || self.has_day_since(failed);
        let cause = failed.error.as_deref().unwrap_or("no cause was recorded");
        let facts = match is_mended {
            true => format!("run {} failed, and files were submitted since", failed.run_id),
            false => format!(
                "run {} failed: {cause}; `gristmill retry {}` runs it again",
                failed.run_id, failed.run_id
            ),
        };
        Some(
            Check::new("last run", is_mended, facts)
                .with(json!({ "run": failed.run_id, "error": failed.error })),
        )
    }

    /// Returns whether what counts of a day of the wave's files has changed since a run chose its inputs.
    fn has_day_since(&self, run: &RunRow) -> bool {
        let days = self.facts.days.iter();
        let mut since = days
            .filter(|day| day.since_submission > run.as_of_submission)
            .peekable();
        if since.peek().is_none() {
            return false;
        }
        let files: BTreeSet<_> = self.all_files().map(|file| file.file_id).collect();
        since.any(|day| {
            files.contains(&day.file_id) || day.other_file_id.is_some_and(|file| files.contains(&file))
        })
    }

    /// Checks the total size and row count of the files, if the job sets minimums.
    pub(super) fn volume(&self, valid: &[&Matching<'_>]) -> impl Iterator<Item = Check> {
        let total = |value: fn(&InForce) -> u64| -> u64 {
            let versions = valid
                .iter()
                .filter_map(|matching| matching.file.in_force.as_ref());
            versions.map(value).sum()
        };
        let bytes = self.plan.min_bytes.map(|least| {
            let bytes = total(|version| version.bytes);
            Check::new("min_bytes", bytes >= least, format!("{bytes} of {least} bytes"))
                .with(json!({ "bytes": bytes, "needed": least }))
        });
        let rows = self.plan.min_rows.map(|least| {
            let rows = total(|version| version.rows);
            Check::new("min_rows", rows >= least, format!("{rows} of {least} rows"))
                .with(json!({ "rows": rows, "needed": least }))
        });
        bytes.into_iter().chain(rows)
    }

    /// Tells where a run would be merged, unless the job leaves that to this host.
    pub(super) fn engine(&self, valid: &[&Matching<'_>]) -> Option<Check> {
        let plan = self.plan;
        let versions = valid
            .iter()
            .filter_map(|matching| matching.file.in_force.as_ref());
        let rows: u64 = versions.map(|version| version.rows).sum();
        let place = match plan.engine.takes_cluster(rows, plan.cluster_rows) {
            true => "the cluster",
            false => "this host",
        };
        let facts = match plan.engine {
            MergeEngine::Local => return None,
            MergeEngine::Cluster => format!("{place} merges"),
            MergeEngine::Auto => {
                let most = plan.cluster_rows.unwrap_or(USUAL_CLUSTER_ROWS);
                format!(
                    "{place} merges: the files have {rows} rows, and the cluster takes over beyond {most}"
                )
            }
        };
        Some(Check::new("engine", true, facts))
    }

    /// Appears only if it blocks the wave: partials of two layouts cannot be merged.
    pub(super) fn layout(&self) -> Option<Check> {
        let is_earlier = |file: &FileFact, version: &InForce| {
            !self
                .plan
                .feed
                .of_file(&file.file_url)
                .sums_with(&version.layout_digest)
        };
        let earlier: Vec<_> = self
            .files
            .iter()
            .filter(|matching| {
                let version = matching.file.in_force.as_ref();
                version.is_some_and(|version| is_earlier(matching.file, version))
            })
            .map(|matching| matching.file.file_url.as_str())
            .collect();
        let facts = format!(
            "not yet converted with the current feed settings: {}; a file that is gone from its source must be sent again",
            some_of(&earlier)
        );
        (!earlier.is_empty())
            .then(|| Check::new("feed settings", false, facts).with(json!({ "files": earlier })))
    }

    /// Returns when the newest file that a requirement asks for was found valid, and the file.
    fn newest_required(&self, required: &RequiredFile) -> Option<(Timestamp, &str)> {
        let matching = self.facts.required.iter().filter_map(|file| {
            let captures = required.files.captures(&file.file_url)?;
            // A dated file is required for the wave's own day.
            let is_of_wave = captures.date.is_none() || self.date.is_none() || captures.date == self.date;
            let validated = file.in_force.as_ref()?.validated;
            is_of_wave.then_some((validated, file.file_url.as_str()))
        });
        matching.max()
    }

    pub(super) fn required(&self, required: &RequiredFile) -> Check {
        let newest = self.newest_required(required);
        let (mut name, mut holds) = (format!("requires {}", required.files), newest.is_some());
        if let (Some(span), Some((validated, _))) = (required.within, newest) {
            let age = self.now.timestamp().duration_since(validated);
            holds &= age.unsigned_abs() <= span;
        }
        if let Some(span) = required.within {
            name.push_str(&format!(" within {}", in_words(span.as_secs())));
        }
        if required.today {
            name.push_str(" today");
            let is_today = |at: Timestamp| at.to_zoned(self.plan.time_zone.clone()).date() == self.now.date();
            holds &= newest.is_some_and(|(validated, _)| is_today(validated));
        }
        let facts = match newest {
            None => "no such file was validated".to_owned(),
            Some((validated, file)) => {
                format!("{file} was validated at {}", in_zone(validated, &self.now))
            }
        };
        Check::new(name, holds, facts).with(json!({
            "file": newest.map(|(_, file)| file),
            "validated": newest.map(|(validated, _)| validated),
        }))
    }

    /// What counts is the order of runs, never the time at which they ended. A run of the other job that is queued or
    /// in progress is waited for: otherwise it might end after this job's inputs were chosen, and be overlooked.
    pub(super) fn after(&self, job: &str, last: Option<&RunRow>) -> Check {
        // A job without dates follows any day of a dated one.
        let is_of_wave = |wave: Option<Date>| wave.is_none() || self.date.is_none() || wave == self.date;
        let name = format!("after {job}");
        let mut active = self.facts.active_elsewhere.iter();
        if let Some(run) = active.find(|run| run.job_id == job && is_of_wave(run.wave)) {
            let facts = format!("run {} is {}", run.run_id, run.state);
            return Check::new(name, false, facts).with(json!({ "active_run": run.run_id }));
        }
        let completions = self.facts.completions.iter();
        let newest = completions
            .filter(|done| done.job_id == job && is_of_wave(done.wave))
            .max_by_key(|done| done.sequence);
        let Some(done) = newest else {
            return Check::new(name, false, "it has not completed yet");
        };
        let holds = last.is_none_or(|last| done.sequence > last.sequence);
        let since = if holds { "" } else { ", before this job last began" };
        let at = in_zone(done.finished, &self.now);
        Check::new(
            name,
            holds,
            format!("run {} completed at {at}{since}", done.run_id),
        )
        .with(json!({ "run": done.run_id, "completed": done.finished }))
    }

    /// Returns the deadline on a day.
    fn deadline_on(&self, day: Date) -> Option<Zoned> {
        let at = day.to_datetime(self.plan.deadline?);
        at.to_zoned(self.plan.time_zone.clone()).ok()
    }

    /// Returns the next moment at which time alone may make the wave ready, if it waits: the deadline passes, or a required
    /// file that lies ahead of the clock becomes one of today. Time alone makes no other check hold.
    pub(super) fn next_moment(&self, checks: &[Check]) -> Option<Timestamp> {
        if !checks.iter().any(Check::blocks) {
            return None;
        }
        let deadlines = match self.date {
            Some(day) => [self.deadline_on(day), None],
            None => {
                let today = self.now.date();
                [today, today.tomorrow().unwrap_or(today)].map(|day| self.deadline_on(day))
            }
        };
        let required = self.plan.requires.iter().flat_map(|required| {
            let validated = self.newest_required(required).map(|(validated, _)| validated);
            let within = validated.zip(required.within);
            let from = within.and_then(|(validated, span)| validated.checked_sub(span).ok());
            let day = validated.filter(|_| required.today).and_then(|validated| {
                let validated = validated.to_zoned(self.plan.time_zone.clone());
                Some(validated.start_of_day().ok()?.timestamp())
            });
            [from, day]
        });
        let deadlines = deadlines.into_iter().flatten().map(|at| at.timestamp());
        let moments = deadlines.chain(required.flatten());
        moments.filter(|at| *at > self.now.timestamp()).min()
    }

    /// Returns whether the deadline has passed, and the words for it. The deadline of a dated wave is on its own day.
    /// Without days there is one each day; one that passed with files there and no run since, because nobody was there to
    /// judge, has passed until there is a run.
    pub(super) fn deadline(&self) -> Option<(bool, String)> {
        let today = self.now.date();
        let mut at = self.deadline_on(self.date.unwrap_or(today))?;
        let mut passed = self.now >= at;
        if !passed
            && self.date.is_none()
            && let Some(before) = today.yesterday().ok().and_then(|day| self.deadline_on(day))
            && self.was_missed(before.timestamp())
        {
            (at, passed) = (before, true);
        }
        let shown = at.strftime("%Y-%m-%d %H:%M %Z");
        Some(match passed {
            true => (true, format!("passed at {shown}: an incomplete wave may run")),
            false => {
                let left = self.now.duration_until(&at).unsigned_abs().as_secs();
                (false, format!("at {shown}, in {}", in_words(left)))
            }
        })
    }
}

impl Wave<'_> {
    /// Returns whether a file that no run has seen was there at a moment.
    fn was_missed(&self, moment: Timestamp) -> bool {
        let runs = self.facts.waves.get(&self.date);
        let last = runs.and_then(|runs| runs.completed.as_ref());
        let mut fresh = self.files.iter().filter_map(|matching| matching.since(last));
        fresh.any(|version| version.submitted <= moment)
    }
}

pub(super) fn answered(answer: &Result<bool, CriterionError>) -> Check {
    let (holds, facts) = match answer {
        Ok(true) => (true, "the query returned a row".to_owned()),
        Ok(false) => (false, "the query returned no row".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Check::new(CRITERION, holds, facts)
}

/// Formats a moment in the job's time zone, to the second.
pub(super) fn in_zone(at: Timestamp, now: &Zoned) -> String {
    at.to_zoned(now.time_zone().clone())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// Formats a number of seconds for people.
pub(super) fn in_words(seconds: u64) -> String {
    let span = jiff::Span::new().try_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
    match span.and_then(|span| span.round(jiff::SpanRound::new().largest(Unit::Day).days_are_24_hours())) {
        Ok(span) => format!("{span:#}"),
        Err(_) => format!("{seconds} s"),
    }
}
