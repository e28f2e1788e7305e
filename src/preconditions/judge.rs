//! The judgement itself: a plan and the facts of one moment give a verdict for each wave.
//!
//! A file counts with its version in force. It is *fresh* if it was submitted after the wave's last run chose its
//! inputs. It has *reported* if it was submitted after the wave's last complete run did: after a deadline run, a wave
//! stays open until its last file has arrived. What is new follows from the order of submissions, never from clocks.

mod completeness;
mod conditions;
mod losses;
mod wave;

use std::collections::{BTreeMap, BTreeSet};

use gristmill_state::{
    Cause, CriterionError, Facts, FileFact, FileStatus, NewRun, RunRow, RunState, Trigger, WaveRuns,
};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use self::completeness::Completeness;
use self::conditions::{answered, in_zone};
use self::wave::{Matching, Wave};
use super::check::{Check, some_of};
use super::inputs;
use super::plan::JobPlan;
use super::verdict::{Done, Verdict, WaveState, percent};

/// What `job_addl_criteria` answered; `None` if the job has none.
pub type CriterionAnswer = Option<Result<bool, CriterionError>>;

/// Judges every wave that the facts are about: one for a job without `{date}`; otherwise, one for each day that has
/// files. What is said of a wave does not depend on which others the facts are about.
pub fn judge(plan: &JobPlan, facts: &Facts, criterion: &CriterionAnswer, now: Timestamp) -> Vec<Verdict> {
    let mut waves: BTreeMap<Option<Date>, Vec<Matching<'_>>> = BTreeMap::new();
    let mut taken_out: BTreeMap<Option<Date>, Vec<&FileFact>> = BTreeMap::new();
    let mut unlisted: BTreeMap<Option<Date>, Vec<String>> = BTreeMap::new();
    if !plan.files.is_dated() {
        waves.insert(None, Vec::new());
    }
    for file in &facts.files {
        let Some(found) = plan.matching(&file.feed, &file.file_url, file.store_id.as_deref()) else {
            continue;
        };
        if !found.is_member {
            unlisted
                .entry(found.date)
                .or_default()
                .push(file.file_url.clone());
            continue;
        }
        let of_wave = waves.entry(found.date).or_default();
        // No wave waits for a file that a person took out, but its days may have to be emptied.
        match file.status == FileStatus::Withdrawn && file.in_force.is_none() {
            true => taken_out.entry(found.date).or_default().push(file),
            false => of_wave.push(Matching {
                file,
                store: found.store,
            }),
        }
    }
    // The stores of a wave are expected in every later one.
    let mut seen = plan.stores.iter().map(String::as_str).collect::<BTreeSet<_>>();
    let mut verdicts = Vec::with_capacity(waves.len());
    for (date, files) in &waves {
        if plan.stores.is_empty() {
            seen.extend(files.iter().filter_map(|matching| matching.store.as_deref()));
            let earlier = facts
                .first_days
                .iter()
                .filter(|(_, first)| Some(**first) <= *date);
            seen.extend(earlier.map(|(store, _)| store.as_str()));
        }
        let wave = Wave {
            plan,
            facts,
            date: *date,
            files,
            taken_out: taken_out.get(date).map_or(&[][..], Vec::as_slice),
            expected_stores: &seen,
            now: now.to_zoned(plan.time_zone.clone()),
        };
        verdicts.push(Verdict {
            unlisted_files: unlisted.remove(date).unwrap_or_default(),
            ..wave.judge(criterion)
        });
    }
    verdicts
}

impl<'f> Wave<'f> {
    fn judge(&self, criterion: &CriterionAnswer) -> Verdict {
        let plan = self.plan;
        let runs = self.facts.waves.get(&self.date);
        let last = runs.and_then(|runs| runs.completed.as_ref());
        let last_complete = runs.and_then(|runs| runs.complete.as_ref());
        let since = |run| self.filtered(move |matching| matching.since(run).is_some());
        let valid = self.filtered(|matching| matching.file.in_force.is_some());
        let is_changed = self.chosen().is_changed(self.all_files());
        let fresh = since(last).len() + usize::from(is_changed);
        let reported = match plan.trigger {
            Trigger::All => since(last_complete),
            Trigger::Any => valid.clone(),
        };
        // A dated wave consists of its own day's files, so every file in force has arrived.
        let arrived = match self.date {
            Some(_) => &valid,
            None => &reported,
        };

        let mut checks = vec![self.enabled(), not_running(runs)];
        checks.extend(losses::ledger(&self.facts.ledger, self.date));
        let mut min_files = self.min_files(&valid, arrived, last_complete);
        let mut trigger = self.trigger(fresh, &valid, &reported, last);
        if let Some(last) = last
            && is_changed
            && since(last_complete).is_empty()
        {
            // Nothing is waited for: this corrects the wave before.
            min_files.holds = true;
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
        let holds = min_files.holds && trigger.holds;
        let run = self.run(self.completeness(&valid, arrived, last, holds), cause);
        checks.push(min_files.of_next_wave());
        checks.push(trigger.of_next_wave());
        checks.extend(self.held());
        checks.extend(runs.and_then(|runs| self.failed_before(runs)));
        checks.extend(self.layout());
        checks.extend(losses::partials(self.files.iter().map(|matching| matching.file)));
        let required = plan.requires.iter().map(|required| self.required(required));
        let others = required
            .chain(self.volume(&valid))
            .chain(criterion.as_ref().map(answered))
            .chain(plan.after.iter().map(|job| self.after(job, last)));
        checks.extend(others.map(Check::of_next_wave));
        if let Some((_, facts)) = deadline {
            checks.push(Check::new("deadline", true, facts));
        }
        checks.extend(self.engine(&valid));
        let done = runs.and_then(|runs| self.done(runs, &valid, arrived, fresh));
        let is_at_rest = done.is_some() && fresh == 0;
        let state = match () {
            () if runs.is_some_and(|runs| runs.active.is_some()) => WaveState::Running,
            () if !checks.iter().any(Check::blocks) => WaveState::Ready,
            () if is_at_rest
                && checks
                    .iter()
                    .all(|check| !check.blocks() || check.is_of_next_wave()) =>
            {
                WaveState::Complete
            }
            () => WaveState::Waiting,
        };
        Verdict {
            wave: self.date,
            state,
            done,
            unlisted_files: Vec::new(),
            is_at_rest,
            touched: self.facts.open.get(&self.date).copied(),
            next_moment: self.next_moment(&checks),
            // `trigger` never holds without something fresh, and no deadline waives it.
            is_over: last.is_some() && fresh == 0,
            waits_for_files: Vec::new(),
            is_damaged: false,
            checks,
            run: (!run.inputs.is_empty()).then_some(run),
        }
    }

    fn filtered(&self, is_wanted: impl Fn(&Matching<'f>) -> bool) -> Vec<&'f Matching<'f>> {
        self.files.iter().filter(|matching| is_wanted(matching)).collect()
    }

    fn all_files(&self) -> impl Iterator<Item = &'f FileFact> {
        let files = self.files.iter().map(|matching| matching.file);
        files.chain(self.taken_out.iter().copied())
    }

    /// Returns what the inputs of a run are chosen by.
    fn chosen(&self) -> inputs::Wave<'_> {
        let runs = self.facts.waves.get(&self.date);
        let last = runs.and_then(|runs| runs.completed.as_ref());
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
        for file in self.all_files() {
            let path = &file.file_url;
            if file.status == FileStatus::Held {
                let reason = file.last_error.as_deref().unwrap_or("no reason was recorded");
                held.push(format!("{path}: {reason}; `gristmill accept {path}`"));
            }
            let days = self.facts.days_of(file.file_id).iter();
            let reasons = days.filter_map(|day| day.reason.as_deref());
            held.extend(
                reasons.map(|reason| format!("{path}, one day: {reason}; `gristmill accept {path}`")),
            );
        }
        (!held.is_empty()).then(|| Check::new("held", true, format!("does not count: {}", some_of(&held))))
    }

    fn run(&self, completeness: Completeness, cause: Cause) -> NewRun {
        NewRun {
            job_id: self.plan.id.clone(),
            wave: self.date,
            cause,
            inputs: self.chosen().inputs(self.all_files()),
            order_matters: self.plan.order_matters(),
            incomplete: completeness.leaves_open,
            completeness_percent: Some(completeness.percent),
            as_of_submission: self.facts.newest_submission,
        }
    }

    /// Returns what is to say of a wave whose last run left nothing open.
    fn done(
        &self,
        runs: &WaveRuns,
        valid: &[&'f Matching<'f>],
        arrived: &[&'f Matching<'f>],
        fresh: usize,
    ) -> Option<Done> {
        let last = runs.finished()?;
        if last.state != RunState::Completed || last.incomplete {
            return None;
        }
        let since = last.finished.unwrap_or(last.queued);
        let share = last.completeness_percent.filter(|share| *share < 100.0);
        let next_wave = self.next_wave(valid, arrived);
        let at = in_zone(since, &self.now);
        let so_far = match share {
            None => format!("complete since {at}"),
            Some(share) => format!("done since {at}, with {} of its stores", percent(share)),
        };
        let then = match (next_wave, fresh) {
            (Some(next), _) => {
                format!("next wave: {} of {} {}", next.arrived, next.expected, next.unit)
            }
            (None, 0) => "nothing new since".to_owned(),
            (None, fresh) => format!("files submitted since: {fresh}"),
        };
        Some(Done {
            run_id: last.run_id.clone(),
            since,
            completeness_percent: last.completeness_percent,
            next_wave,
            text: format!("{so_far}; {then}"),
        })
    }

    fn enabled(&self) -> Check {
        let facts = match self.plan.is_enabled {
            true => "yes",
            false => "paused: `gristmill jobs resume`",
        };
        Check::new("enabled", self.plan.is_enabled, facts)
    }

    fn min_files(
        &self,
        valid: &[&'f Matching<'f>],
        arrived: &[&'f Matching<'f>],
        last_complete: Option<&RunRow>,
    ) -> Check {
        let least = self.plan.min_files;
        // A store that is listed is asked for again in each wave; files are counted as long as they are in force.
        let (counted, mut text) = match self.plan.stores.is_empty() {
            true => (valid, format!("{} of {least} files validated", valid.len())),
            false => {
                let is_next = last_complete.is_some() && self.next_wave(valid, arrived).is_some();
                let of_wave = if is_next { " in this wave" } else { "" };
                let stores = self.count(arrived);
                (arrived, format!("{stores} of {least} stores validated{of_wave}"))
            }
        };
        let missing = self.missing(counted);
        let begins = counted.is_empty() && last_complete.is_some();
        if !missing.is_empty() && !begins {
            text.push_str(&format!("; missing stores: {}", some_of(&missing)));
        }
        let bad: Vec<_> = self
            .files
            .iter()
            .filter(|matching| matching.file.in_force.is_none())
            .map(|matching| &matching.file)
            .collect();
        if !bad.is_empty() {
            let bad: Vec<_> = bad
                .iter()
                .map(|file| format!("{} is {}", file.file_url, file.status))
                .collect();
            text.push_str(&format!("; {}", some_of(&bad)));
        }
        let bad = bad
            .iter()
            .map(|file| json!({ "file": file.file_url, "status": file.status }));
        Check::new("min_files", self.are_enough(counted), text).with(json!({
            "counted": if self.plan.stores.is_empty() { "files" } else { "stores" },
            "arrived": self.count(counted),
            "needed": least,
            "missing_stores": missing,
            "without_valid_version": bad.collect::<Vec<_>>(),
        }))
    }

    fn trigger(
        &self,
        fresh: usize,
        valid: &[&'f Matching<'f>],
        reported: &[&'f Matching<'f>],
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
        if self.plan.trigger == Trigger::Any {
            let facts = format!("{fresh} of {} files submitted {since}", valid.len());
            return Check::new(name, fresh > 0, facts).with(json!({
                "since_run": last.run_id,
                "fresh": fresh,
                "files": valid.len(),
            }));
        }
        let mut text = match last.incomplete {
            false => format!("{} of {} files submitted {since}", reported.len(), valid.len()),
            true => format!(
                "{} of {} files submitted in this wave, {fresh} of them {since}",
                reported.len(),
                valid.len()
            ),
        };
        let has_reported: BTreeSet<_> = reported.iter().map(|matching| matching.file.file_id).collect();
        let waited_for: Vec<_> = valid
            .iter()
            .map(|matching| matching.file)
            .filter(|file| !has_reported.contains(&file.file_id))
            .collect();
        if !waited_for.is_empty() && !reported.is_empty() {
            let named: Vec<_> = waited_for
                .iter()
                .map(|file| match file.status {
                    FileStatus::Validated => file.file_url.clone(),
                    status => format!("{} (its newest submission is {status})", file.file_url),
                })
                .collect();
            text.push_str(&format!(
                "; seen before, not yet in this wave: {}; if a store has closed: `gristmill withdraw FILE --keep-rows`",
                some_of(&named)
            ));
        }
        let missing = waited_for
            .iter()
            .map(|file| json!({ "file": file.file_url, "status": file.status }));
        Check::new(name, fresh > 0 && waited_for.is_empty(), text).with(json!({
            "since_run": last.run_id,
            "fresh": fresh,
            "submitted": reported.len(),
            "files": valid.len(),
            "missing_files": missing.collect::<Vec<_>>(),
        }))
    }
}

fn not_running(runs: Option<&WaveRuns>) -> Check {
    let active = runs.and_then(|runs| runs.active.as_ref());
    let facts = match active {
        None => "no run is queued or running".to_owned(),
        Some(run) => format!("run {} is {}", run.run_id, run.state),
    };
    let check = Check::new("not running", active.is_none(), facts);
    match active {
        None => check,
        Some(run) => check.with(json!({ "run": run.run_id, "state": run.state })),
    }
}

#[cfg(test)]
mod tests;
