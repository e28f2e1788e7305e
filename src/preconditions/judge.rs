//! The judgement itself: a plan and the facts of one moment give a verdict for each wave.
//!
//! A file counts with its version in force. It is *fresh* if it was submitted after the wave's last run chose its
//! inputs. It has *reported* if it was submitted after the wave's last complete run did: after a deadline run, a wave
//! stays open until its last file has arrived. What is new follows from the order of submissions, never from clocks.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_engine::Captures;
use gristmill_state::{
    Cause, CriterionError, Facts, FileFact, FileStatus, InForce, NewRun, RunRow, RunState, Trigger, WaveRuns,
};
use jiff::civil::Date;
use jiff::{Timestamp, Unit, Zoned};
use serde::Serialize;

use super::check::{Check, some_of};
use super::inputs;
use super::plan::{JobPlan, RequiredFile};

/// The state of one wave of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The business day, for jobs whose pattern has `{date}`.
    pub wave: Option<Date>,
    /// Every precondition with its facts.
    pub checks: Vec<Check>,
    /// The run over the files in force, if there are any. It is due if the wave is ready.
    #[serde(skip)]
    pub run: Option<NewRun>,
}

impl Verdict {
    /// Returns whether no check blocks the wave, so that a run would start.
    pub fn is_ready(&self) -> bool {
        !self.checks.iter().any(Check::blocks)
    }
}

/// What `job_addl_criteria` answered; `None` if the job has none.
pub type CriterionAnswer = Option<Result<bool, CriterionError>>;

/// Judges every wave: one for a job without `{date}`; otherwise, one for each day that has files.
pub fn judge(plan: &JobPlan, facts: &Facts, criterion: &CriterionAnswer, now: Timestamp) -> Vec<Verdict> {
    let mut waves: BTreeMap<Option<Date>, Vec<Matching<'_>>> = BTreeMap::new();
    if !plan.files.is_dated() {
        waves.insert(None, Vec::new());
    }
    for file in facts.files.iter().filter(|file| file.feed == plan.feed.name) {
        if let Some(captures) = plan.files.captures(&file.file_url) {
            waves
                .entry(captures.date)
                .or_default()
                .push(Matching { file, captures });
        }
    }
    let known_stores = known_stores(plan, &waves);
    waves
        .into_iter()
        .map(|(date, files)| {
            Wave {
                plan,
                facts,
                date,
                files,
                known_stores: &known_stores,
                now: now.to_zoned(plan.time_zone.clone()),
            }
            .judge(criterion)
        })
        .collect()
}

/// Returns the shops that are expected: those that the job lists, or else those of any wave so far.
fn known_stores(plan: &JobPlan, waves: &BTreeMap<Option<Date>, Vec<Matching<'_>>>) -> BTreeSet<String> {
    if !plan.stores.is_empty() {
        return plan.stores.iter().cloned().collect();
    }
    waves
        .values()
        .flatten()
        .filter(|matching| !matching.is_withdrawn())
        .filter_map(|matching| matching.captures.store.clone())
        .collect()
}

/// A file of the job.
struct Matching<'f> {
    file: &'f FileFact,
    captures: Captures,
}

impl<'f> Matching<'f> {
    /// Returns whether a person took the file out: no wave waits for it.
    fn is_withdrawn(&self) -> bool {
        self.file.status == FileStatus::Withdrawn
    }

    /// Returns the version in force, if it was submitted after `run` chose its inputs.
    fn since(&self, run: Option<&RunRow>) -> Option<&'f InForce> {
        let seen = run.map_or(0, |run| run.as_of_submission);
        self.file
            .in_force
            .as_ref()
            .filter(|version| version.submission_id > seen)
    }
}

struct Wave<'f> {
    plan: &'f JobPlan,
    facts: &'f Facts,
    date: Option<Date>,
    files: Vec<Matching<'f>>,
    known_stores: &'f BTreeSet<String>,
    now: Zoned,
}

impl Wave<'_> {
    fn judge(&self, criterion: &CriterionAnswer) -> Verdict {
        let plan = self.plan;
        let runs = self.facts.waves.get(&self.date);
        let last = runs.and_then(|runs| runs.completed.as_ref());
        let last_complete = runs.and_then(|runs| runs.complete.as_ref());
        let valid: Vec<_> = self
            .files
            .iter()
            .filter(|matching| matching.file.in_force.is_some())
            .collect();
        let fresh = self
            .files
            .iter()
            .filter(|matching| matching.since(last).is_some())
            .count();
        let reported: Vec<_> = match plan.trigger {
            Trigger::All => self
                .files
                .iter()
                .filter(|matching| matching.since(last_complete).is_some())
                .collect(),
            Trigger::Any => valid.clone(),
        };

        let is_changed = self
            .chosen()
            .is_changed(self.files.iter().map(|matching| matching.file));
        let fresh = fresh + usize::from(is_changed);
        let is_only_changed = is_changed
            && !self
                .files
                .iter()
                .any(|matching| matching.since(last_complete).is_some());
        let mut checks = vec![self.enabled(), not_running(runs)];
        let mut min_files = self.min_files(&valid);
        let mut trigger = self.trigger(fresh, &valid, &reported, last);
        if is_only_changed && let Some(last) = last {
            trigger.holds = true;
            trigger.facts = format!(
                "a person changed what counts of the files since run {}",
                last.run_id
            );
        }
        let deadline = self.deadline();
        if deadline.as_ref().is_some_and(|(passed, _)| *passed) && fresh > 0 {
            min_files.waived = !min_files.holds;
            trigger.waived = !trigger.holds;
        }
        let cause = match min_files.waived || trigger.waived {
            true => Cause::Deadline,
            false => Cause::Preconditions,
        };
        // A dated wave consists of its own day's files, so every file in force has arrived. In an undated wave, only
        // the files that have reported count as arrived; until one has, a run can only repeat the wave before.
        let arrived = match (self.date, reported.len()) {
            (Some(_), _) | (None, 0) => valid.len(),
            (None, reported) => reported,
        };
        let run = self.run(arrived, min_files.holds && trigger.holds, cause);
        checks.push(min_files);
        checks.push(trigger);
        checks.extend(self.held());
        checks.extend(runs.and_then(|runs| self.failed_before(runs)));
        checks.extend(self.layout());
        checks.extend(plan.requires.iter().map(|required| self.required(required)));
        checks.extend(self.volume(&valid));
        checks.extend(criterion.as_ref().map(answered));
        checks.extend(plan.after.iter().map(|job| self.after(job, last)));
        if let Some((_, facts)) = deadline {
            checks.push(Check::new("deadline", true, facts));
        }
        Verdict {
            wave: self.date,
            checks,
            run: (!run.inputs.is_empty()).then_some(run),
        }
    }

    fn run(&self, arrived: usize, holds: bool, cause: Cause) -> NewRun {
        let inputs = self
            .chosen()
            .inputs(self.files.iter().map(|matching| matching.file));
        let expected = self.expected();
        let is_incomplete = !holds && arrived < expected;
        NewRun {
            job_id: self.plan.id.clone(),
            wave: self.date,
            cause,
            inputs,
            order_matters: self.plan.order_matters(),
            incomplete: is_incomplete,
            completeness_percent: Some(match is_incomplete {
                true => 100.0 * arrived as f64 / expected as f64,
                false => 100.0,
            }),
            as_of_submission: self.facts.newest_submission,
        }
    }

    /// Returns what the inputs of a run are chosen by.
    fn chosen(&self) -> inputs::Wave<'_> {
        let last = self
            .facts
            .waves
            .get(&self.date)
            .and_then(|runs| runs.completed.as_ref());
        inputs::Wave {
            facts: self.facts,
            date: self.date,
            seen: last.map_or(0, |run| run.as_of_submission),
            newest_file_counts: self.plan.order_matters(),
        }
    }

    /// Tells what is held of the wave's files, which does not count until a person accepts it.
    fn held(&self) -> Option<Check> {
        let mut held = Vec::new();
        for Matching { file, .. } in &self.files {
            if file.status == FileStatus::Held {
                let reason = file.last_error.as_deref().unwrap_or("no reason was recorded");
                held.push(format!(
                    "{}: {reason}; `gristmill accept {}`",
                    file.file_url, file.file_url
                ));
            }
            let days = self.facts.days.iter().filter(|day| day.file_id == file.file_id);
            let reasons = days.filter_map(|day| day.reason.as_deref());
            held.extend(reasons.map(|reason| {
                format!(
                    "{}, one day: {reason}; `gristmill accept {}`",
                    file.file_url, file.file_url
                )
            }));
        }
        (!held.is_empty()).then(|| Check::new("held", true, format!("does not count: {}", some_of(&held))))
    }

    /// Blocks the wave if the last run failed and no file was submitted since: the run would fail again.
    fn failed_before(&self, runs: &WaveRuns) -> Option<Check> {
        let failed = runs.finished().filter(|run| run.state == RunState::Failed)?;
        let is_mended = self
            .files
            .iter()
            .any(|matching| matching.since(Some(failed)).is_some())
            || self
                .facts
                .days
                .iter()
                .any(|day| day.since_submission > failed.as_of_submission);
        let cause = failed.error.as_deref().unwrap_or("no cause was recorded");
        let facts = match is_mended {
            true => format!("run {} failed, and files were submitted since", failed.run_id),
            false => format!(
                "run {} failed: {cause}; `gristmill retry {}` runs it again",
                failed.run_id, failed.run_id
            ),
        };
        Some(Check::new("last run", is_mended, facts))
    }

    /// Returns how many files make the wave complete: never fewer than the job requires, so that no incomplete wave
    /// shows 100 %.
    fn expected(&self) -> usize {
        self.files
            .iter()
            .filter(|matching| !matching.is_withdrawn())
            .count()
            .max(self.plan.stores.len())
            .max(self.plan.min_files as usize)
    }

    fn enabled(&self) -> Check {
        let facts = match self.plan.is_enabled {
            true => "yes",
            false => "paused: `gristmill jobs resume`",
        };
        Check::new("enabled", self.plan.is_enabled, facts)
    }

    /// Checks the total size and row count of the files, if the job sets minimums.
    fn volume(&self, valid: &[&Matching<'_>]) -> impl Iterator<Item = Check> {
        let total = |value: fn(&InForce) -> u64| -> u64 {
            let versions = valid
                .iter()
                .filter_map(|matching| matching.file.in_force.as_ref());
            versions.map(value).sum()
        };
        let bytes = self.plan.min_bytes.map(|least| {
            let bytes = total(|version| version.bytes);
            Check::new("min_bytes", bytes >= least, format!("{bytes} of {least} bytes"))
        });
        let rows = self.plan.min_rows.map(|least| {
            let rows = total(|version| version.rows);
            Check::new("min_rows", rows >= least, format!("{rows} of {least} rows"))
        });
        bytes.into_iter().chain(rows)
    }

    fn min_files(&self, valid: &[&Matching<'_>]) -> Check {
        let least = self.plan.min_files as usize;
        let mut text = format!("{} of {least} files validated", valid.len());
        let present: BTreeSet<_> = valid
            .iter()
            .filter_map(|matching| matching.captures.store.as_ref())
            .collect();
        let missing: Vec<_> = self
            .known_stores
            .iter()
            .filter(|store| !present.contains(store))
            .collect();
        if !missing.is_empty() {
            text.push_str(&format!("; missing stores: {}", some_of(&missing)));
        }
        let bad: Vec<_> = self
            .files
            .iter()
            .filter(|matching| matching.file.in_force.is_none() && !matching.is_withdrawn())
            .map(|matching| format!("{} is {}", matching.file.file_url, matching.file.status))
            .collect();
        if !bad.is_empty() {
            text.push_str(&format!("; {}", some_of(&bad)));
        }
        Check::new("min_files", valid.len() >= least.max(1), text)
    }

    fn trigger(
        &self,
        fresh: usize,
        valid: &[&Matching<'_>],
        reported: &[&Matching<'_>],
        last: Option<&RunRow>,
    ) -> Check {
        let name = format!("trigger = \"{}\"", self.plan.trigger);
        let Some(last) = last else {
            return match valid.is_empty() {
                true => Check::new(name, false, "no run and no file so far"),
                false => Check::new(name, true, "no run so far, so every file is new"),
            };
        };
        let since = format!("since run {}", last.run_id);
        match self.plan.trigger {
            Trigger::Any => Check::new(
                name,
                fresh > 0,
                format!("{fresh} of {} files submitted {since}", valid.len()),
            ),
            Trigger::All => {
                let mut text = format!("{} of {} files submitted {since}", reported.len(), valid.len());
                if last.incomplete {
                    text = format!(
                        "{} of {} files submitted in this wave, {fresh} of them {since}",
                        reported.len(),
                        valid.len()
                    );
                }
                let has_reported: BTreeSet<_> =
                    reported.iter().map(|matching| matching.file.file_id).collect();
                let waited_for: Vec<_> = valid
                    .iter()
                    .filter(|matching| !has_reported.contains(&matching.file.file_id))
                    .map(|matching| match matching.file.status {
                        FileStatus::Validated => matching.file.file_url.clone(),
                        status => format!("{} (its newest submission is {status})", matching.file.file_url),
                    })
                    .collect();
                if !waited_for.is_empty() {
                    text.push_str(&format!(
                        "; seen before, not yet in this wave: {}; if a store has closed: `gristmill withdraw FILE \
                         --keep-rows`",
                        some_of(&waited_for)
                    ));
                }
                Check::new(name, fresh > 0 && waited_for.is_empty(), text)
            }
        }
    }

    /// Appears only if it blocks the wave: partials of two layouts cannot be merged.
    fn layout(&self) -> Option<Check> {
        let is_earlier = |version: &InForce| version.layout_digest != self.plan.feed.digest();
        let earlier: Vec<_> = self
            .files
            .iter()
            .filter(|matching| matching.file.in_force.as_ref().is_some_and(is_earlier))
            .map(|matching| matching.file.file_url.as_str())
            .collect();
        let facts = format!(
            "not yet converted with the current feed settings: {}; a file that is gone from its source must be sent again",
            some_of(&earlier)
        );
        (!earlier.is_empty()).then(|| Check::new("feed settings", false, facts))
    }

    fn required(&self, required: &RequiredFile) -> Check {
        let matching = self.facts.files.iter().filter_map(|file| {
            let captures = required.files.captures(&file.file_url)?;
            // A dated file is required for the wave's own day.
            let is_of_wave = captures.date.is_none() || self.date.is_none() || captures.date == self.date;
            let validated = file.in_force.as_ref()?.validated;
            is_of_wave.then_some((validated, file.file_url.as_str()))
        });
        let newest = matching.max();
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
        Check::new(name, holds, facts)
    }

    fn after(&self, job: &str, last: Option<&RunRow>) -> Check {
        let completed = self
            .facts
            .completions
            .iter()
            // A job without dates follows any day of a dated one.
            .filter(|done| done.wave.is_none() || self.date.is_none() || done.wave == self.date)
            .filter(|done| done.job_id == job)
            .max_by_key(|done| done.finished);
        let began = last.map(|run| run.queued);
        let holds = completed.is_some_and(|done| began.is_none_or(|began| done.finished > began));
        let facts = match completed {
            None => "it has not completed yet".to_owned(),
            Some(done) => {
                let at = in_zone(done.finished, &self.now);
                let since = if holds { "" } else { ", before this job last began" };
                format!("run {} completed at {at}{since}", done.run_id)
            }
        };
        Check::new(format!("after {job}"), holds, facts)
    }

    /// Returns whether the deadline has passed, and the words for it. The deadline of a dated wave is on its own day.
    fn deadline(&self) -> Option<(bool, String)> {
        let time = self.plan.deadline?;
        let day = self.date.unwrap_or(self.now.date());
        let at = day.to_datetime(time).to_zoned(self.plan.time_zone.clone()).ok()?;
        let passed = self.now >= at;
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

fn not_running(runs: Option<&WaveRuns>) -> Check {
    let active = runs.and_then(|runs| runs.active.as_ref());
    let facts = match active {
        None => "no run is queued or running".to_owned(),
        Some(run) => format!("run {} is {}", run.run_id, run.state),
    };
    Check::new("not running", active.is_none(), facts)
}

fn answered(answer: &Result<bool, CriterionError>) -> Check {
    let (holds, facts) = match answer {
        Ok(true) => (true, "the query returned a row".to_owned()),
        Ok(false) => (false, "the query returned no row".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Check::new("job_addl_criteria", holds, facts)
}

/// Formats a moment in the job's time zone, to the second.
fn in_zone(at: Timestamp, now: &Zoned) -> String {
    at.to_zoned(now.time_zone().clone())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// Formats a number of seconds for people.
fn in_words(seconds: u64) -> String {
    let span = jiff::Span::new().try_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
    match span.and_then(|span| span.round(jiff::SpanRound::new().largest(Unit::Day).days_are_24_hours())) {
        Ok(span) => format!("{span:#}"),
        Err(_) => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests;
