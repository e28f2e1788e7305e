//! Every rule of the judgement, shown on facts made by hand.
//!
//! A [`Story`] is a job with its facts and a clock: files are submitted, runs complete, time passes, and each verdict
//! is what `judge` says of that moment.

use std::sync::Arc;
use std::time::Duration;

use gristmill_engine::{FeedLayout, FeedSpec, FilePattern};
use gristmill_state::{ActiveRun, Completion, FileStatus, InForce, InputDays, RunInput, RunState};
use jiff::civil::{date, time};
use jiff::tz::TimeZone;

use super::super::params::MergeEngine;
use super::super::plan::RequiredFile;
use super::super::verdict::Progress;
use super::*;

const NOON: &str = "2026-11-23T12:00Z";

struct Story {
    plan: JobPlan,
    facts: Facts,
    criterion: CriterionAnswer,
    now: Timestamp,
    runs: i64,
}

impl Story {
    /// Begins with the job J over `IL-{store}.tdf`, at noon UTC on Monday 2026-11-23.
    fn new(trigger: Trigger, min_files: u32) -> Self {
        let plan = JobPlan {
            id: "J".into(),
            feed: Arc::new(FeedLayout::new(&FeedSpec::default()).unwrap()),
            files: pattern("IL-{store}.tdf"),
            min_files,
            trigger,
            is_enabled: true,
            criterion: None,
            requires: Vec::new(),
            min_bytes: None,
            min_rows: None,
            after: Vec::new(),
            deadline: None,
            time_zone: TimeZone::UTC,
            stores: BTreeSet::new(),
            engine: MergeEngine::Local,
            cluster_rows: None,
        };
        Self {
            plan,
            facts: Facts::default(),
            criterion: None,
            now: NOON.parse().unwrap(),
            runs: 0,
        }
    }

    /// Begins with a job that is judged by day.
    fn dated(trigger: Trigger, min_files: u32) -> Self {
        let mut story = Self::new(trigger, min_files);
        story.plan.files = pattern("{date}/IL-{store}.tdf");
        story
    }

    fn at(&mut self, moment: &str) {
        self.now = moment.parse().unwrap();
    }

    /// Each file arrives and is found valid, with 100 bytes and 10 rows.
    fn submit<const N: usize>(&mut self, paths: [&str; N]) {
        for path in paths {
            self.facts.newest_submission += 1;
            let submission_id = self.facts.newest_submission;
            let now = self.now;
            let layout_digest = self.plan.feed.digest().to_owned();
            let file = self.file(path);
            file.status = FileStatus::Validated;
            file.in_force = Some(InForce {
                version_id: 100 + submission_id,
                submission_id,
                submitted: now,
                validated: now,
                layout_digest,
                bytes: 100,
                rows: 10,
                is_partial_lost: false,
            });
        }
    }

    /// The file arrives and is rejected: what was in force stays.
    fn reject(&mut self, path: &str) {
        self.facts.newest_submission += 1;
        self.file(path).status = FileStatus::Rejected;
    }

    fn file(&mut self, path: &str) -> &mut FileFact {
        let files = &mut self.facts.files;
        let known = files.iter().position(|file| file.file_url == path);
        let place = known.unwrap_or_else(|| {
            files.push(FileFact {
                file_id: files.len() as i64 + 1,
                file_url: path.to_owned(),
                feed: if path.contains("Item") { "items" } else { "sales" }.to_owned(),
                status: FileStatus::Submitted,
                store_id: None,
                business_date: None,
                in_force: None,
                last_error: None,
            });
            files.len() - 1
        });
        &mut files[place]
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let facts = Facts {
            required: self.facts.files.clone(),
            ..self.facts.clone()
        };
        judge(&self.plan, &facts, &self.criterion, self.now)
    }

    /// The verdict on the only wave.
    fn verdict(&self) -> Verdict {
        let mut verdicts = self.verdicts();
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }

    fn is_ready(&self) -> bool {
        self.verdict().is_ready()
    }

    fn check(&self, name: &str) -> Check {
        let found = self
            .verdict()
            .checks
            .into_iter()
            .find(|check| check.name.starts_with(name));
        found.unwrap_or_else(|| panic!("no check {name}"))
    }

    /// Whether the check is the only one that does not hold, and keeps the job from running.
    fn waits_only_for(&self, name: &str) -> bool {
        let verdict = self.verdict();
        let failing: Vec<_> = verdict.checks.iter().filter(|check| !check.holds).collect();
        !verdict.is_ready() && failing.len() == 1 && failing[0].name.starts_with(name) && !failing[0].waived
    }

    /// The run that would be queued.
    fn due(&self) -> NewRun {
        let verdict = self.verdict();
        assert!(verdict.is_ready(), "waits:\n{}", self.explain());
        verdict.run.expect("a ready wave has files")
    }

    /// Completes a run that a person asks for, due or not.
    fn run_by_hand(&mut self) -> NewRun {
        let run = NewRun {
            cause: Cause::Manual,
            ..self.verdict().run.expect("there are files")
        };
        self.complete(&run);
        run
    }

    /// Completes the run that is due.
    fn run(&mut self) -> NewRun {
        let run = self.due();
        self.complete(&run);
        run
    }

    fn complete(&mut self, run: &NewRun) {
        let row = self.row(run, RunState::Completed);
        let wave = self.facts.waves.entry(run.wave).or_default();
        if !run.incomplete {
            wave.complete = Some(row.clone());
        }
        wave.completed = Some(row);
    }

    fn row(&mut self, run: &NewRun, state: RunState) -> RunRow {
        self.runs += 1;
        RunRow {
            run_id: format!("R{}", self.runs),
            job_id: run.job_id.clone(),
            wave: run.wave,
            sequence: self.runs,
            state,
            cause: run.cause,
            incomplete: run.incomplete,
            completeness_percent: run.completeness_percent,
            inputs_digest: String::new(),
            as_of_submission: run.as_of_submission,
            attempts: 1,
            owner: None,
            queued: self.now,
            started: Some(self.now),
            heartbeat: None,
            summarized: None,
            cluster_operation: None,
            finished: Some(self.now),
            summary: None,
            changes: None,
            outcome: None,
            lost: None,
            error: None,
        }
    }

    fn completed_elsewhere(&mut self, job: &str, wave: Option<Date>, finished: &str) {
        self.runs += 1;
        self.facts.completions.push(Completion {
            job_id: job.into(),
            wave,
            run_id: format!("{job}-{}", self.runs),
            sequence: self.runs,
            finished: finished.parse().unwrap(),
        });
    }

    fn active_elsewhere(&mut self, job: &str, wave: Option<Date>) {
        self.runs += 1;
        self.facts.active_elsewhere.push(ActiveRun {
            job_id: job.into(),
            wave,
            run_id: format!("{job}-{}", self.runs),
            state: RunState::Running,
        });
    }

    /// What `status` says that the only wave waits for.
    fn waits_for(&self) -> Vec<String> {
        let verdict = self.verdict();
        verdict.waits_for().map(|check| check.name.clone()).collect()
    }

    /// What is said of the wave's last run if it left nothing open.
    fn done(&self) -> Option<String> {
        self.verdict().done.map(|done| done.text)
    }

    fn explain(&self) -> String {
        let mut text = String::new();
        for verdict in self.verdicts() {
            for check in &verdict.checks {
                let mark = match (check.holds, check.waived) {
                    (true, _) => "yes",
                    (false, true) => "waived",
                    (false, false) => "no",
                };
                text.push_str(&format!("{mark} | {} | {}\n", check.name, check.facts));
            }
        }
        text
    }
}

fn pattern(text: &str) -> FilePattern {
    FilePattern::parse(text).unwrap()
}

fn required(files: &str) -> RequiredFile {
    RequiredFile {
        files: pattern(files),
        within: None,
        today: false,
    }
}

fn percent(run: &NewRun) -> f64 {
    run.completeness_percent.unwrap()
}

fn stores<const N: usize>(stores: [&str; N]) -> BTreeSet<String> {
    stores.map(str::to_owned).into()
}

/// The submissions that a run reads.
fn submissions(run: &NewRun) -> Vec<i64> {
    run.inputs.iter().map(|input| input.submission_id).collect()
}

#[test]
fn a_paused_job_waits() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf"]);
    story.plan.is_enabled = false;
    assert!(story.waits_only_for("enabled"));
    assert_eq!(story.check("enabled").facts, "paused: `gristmill jobs resume`");
    story.plan.is_enabled = true;
    assert!(story.is_ready());
}

#[test]
fn a_job_with_an_active_run_waits() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    let due = story.due();
    for (state, facts) in [
        (RunState::Queued, "run R1 is QUEUED"),
        (RunState::Running, "run R2 is RUNNING"),
    ] {
        let row = story.row(&due, state);
        story.facts.waves.entry(None).or_default().active = Some(row);
        assert!(story.waits_only_for("not running"));
        assert_eq!(story.check("not running").facts, facts);
    }
}

#[test]
fn a_failed_run_waits_for_a_person_or_for_a_new_file_and_consumes_nothing() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf"]);
    let due = story.due();
    let row = story.row(&due, RunState::Failed);
    story.facts.waves.entry(None).or_default().failed = Some(row);
    assert!(story.waits_only_for("last run"));
    assert!(story.check("last run").facts.contains("`gristmill retry R1`"));
    story.submit(["IL-2.tdf"]);
    assert!(story.is_ready());
    assert_eq!(story.due().inputs.len(), 2);
}

#[test]
fn min_files_below_at_and_above() {
    let mut story = Story::new(Trigger::All, 2);
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("min_files"));
    assert_eq!(story.check("min_files").facts, "1 of 2 files validated");
    story.submit(["IL-2.tdf"]);
    assert!(story.is_ready());
    story.submit(["IL-3.tdf"]);
    assert!(story.is_ready());
    assert_eq!(story.check("min_files").facts, "3 of 2 files validated");
}

#[test]
fn no_file_at_all_is_never_enough() {
    let mut story = Story::new(Trigger::All, 0);
    assert!(!story.is_ready());
    assert!(!story.check("min_files").holds);
    story.plan.deadline = Some(time(6, 0, 0, 0));
    assert!(!story.is_ready());
}

#[test]
fn only_the_jobs_own_files_count() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["CA-1.tdf", "old/IL-1.tdf"]);
    story.submit(["IL-2.tdf"]);
    story.file("IL-2.tdf").feed = "another".into();
    assert_eq!(story.check("min_files").facts, "0 of 1 files validated");
    assert!(!story.is_ready());
}

#[test]
fn an_empty_province_says_how_many_are_missing() {
    let story = Story::new(Trigger::All, 25);
    insta::assert_snapshot!(story.explain(), @r#"
    yes | enabled | yes
    yes | not running | no run is queued or running
    no | min_files | 0 of 25 files validated
    no | trigger = "all" | no run and no file so far
    "#);
}

#[test]
fn listed_stores_are_missed_by_name() {
    let mut story = Story::new(Trigger::All, 3);
    story.plan.stores = stores(["101", "102", "103"]);
    story.submit(["IL-102.tdf"]);
    assert_eq!(
        story.check("min_files").facts,
        "1 of 3 stores validated; missing stores: 101, 103"
    );
}

#[test]
fn many_missing_stores_are_counted() {
    let mut story = Story::new(Trigger::All, 12);
    story.plan.stores = (1..=12).map(|store| format!("{store:02}")).collect();
    assert_eq!(
        story.check("min_files").facts,
        "0 of 12 stores validated; missing stores: 01, 02, 03, 04, 05, 06, 07, 08, 09, 10 and 2 more"
    );
    let data = &story.check("min_files").data;
    assert_eq!(data["missing_stores"].as_array().unwrap().len(), 12);
}

#[test]
fn where_stores_are_listed_they_are_counted_and_not_their_files() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.files = pattern("IL-{store}-*.tdf");
    story.plan.stores = stores(["1", "2"]);
    story.submit(["IL-1-morning.tdf", "IL-1-evening.tdf"]);
    assert!(story.waits_only_for("min_files"));
    assert_eq!(
        story.check("min_files").facts,
        "1 of 2 stores validated; missing stores: 2"
    );
    story.submit(["IL-2-evening.tdf"]);
    assert!(story.is_ready());
    assert_eq!(story.due().inputs.len(), 3);
}

#[test]
fn a_file_of_a_store_that_is_not_listed_is_told_and_is_no_part_of_the_job() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.stores = stores(["1003", "1007"]);
    story.submit(["IL-1003.tdf", "IL-1003 (1).tdf"]);
    assert_eq!(story.verdict().unlisted_files, ["IL-1003 (1).tdf"]);
    assert!(story.waits_only_for("min_files"));
    story.submit(["IL-1007.tdf"]);
    let run = story.run();
    assert_eq!((submissions(&run), percent(&run)), (vec![1, 3], 100.0));
    // Neither is it waited for, nor a reason to run.
    story.submit(["IL-1003 (1).tdf"]);
    assert!(!story.is_ready());
    story.submit(["IL-1003.tdf", "IL-1007.tdf"]);
    assert_eq!(submissions(&story.run()), [5, 6]);
}

#[test]
fn jobs_with_one_pattern_each_take_the_files_of_their_stores() {
    let mut north = Story::new(Trigger::Any, 1);
    north.plan.files = pattern("{store}.tdf");
    north.submit(["1.tdf", "2.tdf", "3.tdf"]);
    let mut south = Story {
        plan: north.plan.clone(),
        facts: north.facts.clone(),
        criterion: None,
        ..north
    };
    north.plan.stores = stores(["1", "3"]);
    south.plan.stores = stores(["2"]);
    assert_eq!(submissions(&north.due()), [1, 3]);
    assert_eq!(submissions(&south.due()), [2]);
}

#[test]
fn the_store_may_stand_in_the_feeds_pattern() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.files = pattern("*.tdf");
    story.plan.stores = stores(["1"]);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    for (path, store) in [("IL-1.tdf", "1"), ("IL-2.tdf", "2")] {
        story.file(path).store_id = Some(store.into());
    }
    assert_eq!(submissions(&story.due()), [1]);
    assert_eq!(story.verdict().unlisted_files, ["IL-2.tdf"]);
}

#[test]
fn a_listed_store_must_send_again_in_each_wave_that_waits_for_all() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.stores = stores(["1", "2"]);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    story.run();
    assert_eq!(
        story.check("min_files").facts,
        "0 of 2 stores validated in this wave"
    );
    story.submit(["IL-1.tdf"]);
    assert_eq!(
        story.check("min_files").facts,
        "1 of 2 stores validated in this wave; missing stores: 2"
    );
    story.plan.trigger = Trigger::Any;
    assert!(story.is_ready(), "waits:\n{}", story.explain());
    assert_eq!(story.check("min_files").facts, "2 of 2 stores validated");
}

#[test]
fn a_run_without_a_listed_store_is_never_at_100_percent() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.stores = stores(["1", "2", "3"]);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    let run = story.run();
    assert_eq!(run.completeness_percent, Some(200.0 / 3.0));
    assert!(!run.incomplete, "the job asks for no more than two");
    let done = story.done().unwrap();
    assert!(
        done.starts_with("done since 2026-11-23 12:00:00 UTC, with 66 % of its stores"),
        "{done}"
    );
    // The wave is closed, so the third store waits for the others in the next one.
    story.submit(["IL-3.tdf"]);
    assert!(!story.is_ready());
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    assert_eq!(percent(&story.run()), 100.0);
}

#[test]
fn a_store_has_come_only_with_all_of_its_files() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.files = pattern("IL-{store}-*.tdf");
    story.plan.stores = stores(["1", "2"]);
    story.plan.deadline = Some(time(6, 0, 0, 0));
    story.submit(["IL-1-a.tdf", "IL-1-b.tdf", "IL-2-a.tdf"]);
    assert_eq!(percent(&story.run()), 100.0);
    story.at("2026-11-24T07:00Z");
    story.submit(["IL-1-a.tdf", "IL-2-a.tdf"]);
    let run = story.run();
    assert_eq!((run.incomplete, percent(&run)), (true, 50.0));
}

#[test]
fn stores_of_earlier_days_are_expected_on_a_later_one() {
    let mut story = Story::dated(Trigger::All, 1);
    story.submit([
        "2026-11-22/IL-1.tdf",
        "2026-11-23/IL-1.tdf",
        "2026-11-23/IL-2.tdf",
        "2026-11-24/IL-1.tdf",
    ]);
    let shares: Vec<_> = story
        .verdicts()
        .iter()
        .map(|verdict| percent(verdict.run.as_ref().unwrap()))
        .collect();
    assert_eq!(shares, [100.0, 100.0, 50.0]);
}

#[test]
fn stores_of_earlier_waves_are_missed() {
    let mut story = Story::dated(Trigger::All, 2);
    story.submit([
        "2026-11-22/IL-1.tdf",
        "2026-11-22/IL-2.tdf",
        "2026-11-23/IL-1.tdf",
    ]);
    let verdicts = story.verdicts();
    assert_eq!(verdicts[1].wave, Some(date(2026, 11, 23)));
    assert_eq!(
        verdicts[1].checks[2].facts,
        "1 of 2 files validated; missing stores: 2"
    );
    assert_eq!(verdicts[0].checks[2].facts, "2 of 2 files validated");
}

#[test]
fn a_rejected_file_without_a_version_does_not_count_and_is_named() {
    let mut story = Story::new(Trigger::All, 2);
    story.submit(["IL-1.tdf"]);
    story.reject("IL-2.tdf");
    assert!(story.waits_only_for("min_files"));
    assert_eq!(
        story.check("min_files").facts,
        "1 of 2 files validated; missing stores: 2; IL-2.tdf is REJECTED"
    );
}

#[test]
fn a_rejected_submission_leaves_the_earlier_version_in_force() {
    let mut story = Story::new(Trigger::All, 2);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    story.reject("IL-2.tdf");
    let run = story.due();
    assert_eq!(
        run.inputs,
        [
            RunInput {
                days: InputDays::default(),
                file_id: 1,
                version_id: 101,
                submission_id: 1
            },
            RunInput {
                days: InputDays::default(),
                file_id: 2,
                version_id: 102,
                submission_id: 2
            }
        ]
    );
    assert_eq!(run.as_of_submission, 3);
}

#[test]
fn files_converted_with_other_feed_settings_are_waited_for() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.deadline = Some(time(1, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    let mut other = FeedSpec::default();
    other.measures.insert("tips".into(), 7.into());
    story.plan.feed = Arc::new(FeedLayout::new(&other).unwrap());
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("feed settings"), "{}", story.explain());
    let facts = story.check("feed settings").facts;
    assert!(
        facts.contains("IL-2.tdf") && !facts.contains("IL-1.tdf"),
        "{facts}"
    );
    story.submit(["IL-2.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn a_run_reads_the_newest_valid_version_of_each_file() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-1.tdf", "Item-Master.tdf"]);
    story.reject("IL-3.tdf");
    let run = story.due();
    assert_eq!(submissions(&run), [3, 2]);
    assert_eq!(
        (run.job_id.as_str(), run.wave, run.cause),
        ("J", None, Cause::Preconditions)
    );
    // The job asks for no more, but a store is missing of which only a rejected file is known.
    assert_eq!(
        (run.incomplete, percent(&run), run.as_of_submission),
        (false, 200.0 / 3.0, 5)
    );
}

#[test]
fn before_the_first_run_every_file_is_new() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 2);
        story.submit(["IL-1.tdf", "IL-2.tdf"]);
        assert_eq!(
            story.check("trigger").facts,
            "no run so far, so every file is new"
        );
        assert!(story.is_ready());
    }
}

#[test]
fn trigger_all_waits_for_every_file() {
    let mut story = Story::new(Trigger::All, 2);
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"]);
    story.run();
    assert!(story.waits_only_for("trigger"));
    story.submit(["IL-2.tdf"]);
    assert!(story.waits_only_for("trigger"));
    insta::assert_snapshot!(story.explain(), @r#"
    yes | enabled | yes
    yes | not running | no run is queued or running
    yes | min_files | 3 of 2 files validated
    no | trigger = "all" | 1 of 3 files submitted since run R1; seen before, not yet in this wave: IL-1.tdf, IL-3.tdf; if a store has closed: `gristmill withdraw FILE --keep-rows`
    "#);
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("trigger"));
    story.submit(["IL-3.tdf"]);
    assert_eq!(
        story.check("trigger").facts,
        "3 of 3 files submitted since run R1"
    );
    let run = story.run();
    assert_eq!(
        (run.cause, run.incomplete, submissions(&run)),
        (Cause::Preconditions, false, vec![5, 4, 6])
    );
}

#[test]
fn trigger_all_says_when_the_newest_submission_was_refused() {
    let mut story = Story::new(Trigger::All, 2);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    story.run();
    story.submit(["IL-1.tdf"]);
    story.reject("IL-2.tdf");
    assert!(story.waits_only_for("trigger"));
    assert_eq!(
        story.check("trigger").facts,
        "1 of 2 files submitted since run R1; seen before, not yet in this wave: IL-2.tdf (its newest submission is \
         REJECTED); if a store has closed: `gristmill withdraw FILE --keep-rows`"
    );
}

#[test]
fn trigger_all_waits_when_only_a_new_store_has_come() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf"]);
    story.run();
    story.submit(["IL-2.tdf"]);
    assert!(story.waits_only_for("trigger"));
    story.submit(["IL-1.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn trigger_any_asks_for_one_new_file() {
    let mut story = Story::new(Trigger::Any, 2);
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"]);
    story.run();
    assert!(story.waits_only_for("trigger"));
    assert_eq!(
        story.check("trigger").facts,
        "0 of 3 files submitted since run R1"
    );
    story.submit(["IL-2.tdf"]);
    assert_eq!(
        story.check("trigger").facts,
        "1 of 3 files submitted since run R1"
    );
    assert_eq!(submissions(&story.run()), [1, 4, 3]);
    assert!(!story.is_ready());
}

#[test]
fn a_refused_submission_is_nothing_new() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    story.run();
    story.reject("IL-1.tdf");
    assert!(story.waits_only_for("trigger"));
}

#[test]
fn a_file_that_comes_while_a_run_works_is_new_after_it() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    let run = story.due();
    story.submit(["IL-2.tdf"]);
    story.complete(&run);
    assert!(story.is_ready());
}

#[test]
fn newness_does_not_go_by_the_clock() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    story.run();
    story.at("2026-11-23T03:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn a_required_file_must_be_there() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![required("Item*")];
    story.submit(["IL-1.tdf"]);
    story.reject("Item-Master.tdf");
    assert!(story.waits_only_for("requires Item*"));
    assert_eq!(story.check("requires").facts, "no such file was validated");
    story.submit(["Item-Master.tdf"]);
    assert!(story.is_ready());
    assert_eq!(
        story.check("requires").facts,
        "Item-Master.tdf was validated at 2026-11-23 12:00:00 UTC"
    );
}

#[test]
fn every_required_file_must_be_there() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![required("Item*"), required("prices/Item*")];
    story.submit(["IL-1.tdf", "Item-Master.tdf"]);
    assert!(story.waits_only_for("requires prices/Item*"));
}

#[test]
fn a_required_file_must_be_fresh_enough() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![RequiredFile {
        within: Some(Duration::from_secs(86_400)),
        ..required("Item*")
    }];
    story.at("2026-11-22T12:00Z");
    story.submit(["IL-1.tdf", "Item-Master.tdf"]);
    for (moment, is_ready) in [
        ("2026-11-22T12:00Z", true),
        ("2026-11-23T11:59:59Z", true),
        ("2026-11-23T12:00Z", true),
        ("2026-11-23T12:00:01Z", false),
    ] {
        story.at(moment);
        assert_eq!(story.is_ready(), is_ready, "{moment}");
    }
    assert!(story.waits_only_for("requires Item* within 1d"));
    assert_eq!(
        story.check("requires").facts,
        "Item-Master.tdf was validated at 2026-11-22 12:00:00 UTC"
    );
    // Any matching file will do, and the newest one counts.
    story.submit(["Item-Corrections.tdf"]);
    assert!(story.is_ready());
    story.reject("Item-Corrections.tdf");
    assert!(story.is_ready());
}

#[test]
fn a_span_of_any_length_can_be_said() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![RequiredFile {
        within: Some(Duration::MAX),
        ..required("Item*")
    }];
    story.submit(["IL-1.tdf", "Item-Master.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn today_is_a_day_of_the_jobs_time_zone() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![RequiredFile {
        today: true,
        ..required("Item*")
    }];
    story.plan.time_zone = TimeZone::get("America/Chicago").unwrap();
    story.at("2026-11-23T04:30Z");
    story.submit(["IL-1.tdf", "Item-Master.tdf"]);
    // Still Sunday the 22nd in Chicago, until 06:00 UTC.
    for (moment, is_ready) in [
        ("2026-11-23T05:59:59Z", true),
        ("2026-11-23T06:00Z", false),
        ("2026-11-23T12:00Z", false),
    ] {
        story.at(moment);
        assert_eq!(story.is_ready(), is_ready, "{moment}");
    }
    assert!(story.waits_only_for("requires Item* today"));
    assert_eq!(
        story.check("requires").facts,
        "Item-Master.tdf was validated at 2026-11-22 22:30:00 CST"
    );
    story.plan.time_zone = TimeZone::UTC;
    assert!(story.is_ready());
    story.plan.time_zone = TimeZone::get("America/Chicago").unwrap();
    story.submit(["Item-Master.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn a_dated_requirement_is_that_of_the_waves_own_day() {
    let mut story = Story::dated(Trigger::All, 1);
    story.plan.requires = vec![required("{date}/Item*")];
    story.submit([
        "2026-11-22/IL-1.tdf",
        "2026-11-23/IL-1.tdf",
        "2026-11-22/Item-Master.tdf",
    ]);
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, false]);
    // An undated one serves every day.
    story.plan.requires = vec![required("**/Item*")];
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, true]);
}

#[test]
fn a_job_without_days_may_require_a_dated_file() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.requires = vec![required("{date}/Item*")];
    story.submit(["IL-1.tdf"]);
    assert!(!story.is_ready());
    story.submit(["2026-11-23/Item-Master.tdf"]);
    assert!(story.is_ready());
}

#[test]
fn where_a_run_is_merged_is_told_if_the_job_says_it() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf"]);
    assert!(story.verdict().checks.iter().all(|check| check.name != "engine"));
    story.plan.engine = MergeEngine::Auto;
    story.plan.cluster_rows = Some(u64::MAX);
    let told = story.check("engine").facts;
    assert!(told.starts_with("this host merges: the files have "), "{told}");
    story.plan.cluster_rows = Some(0);
    assert!(story.check("engine").facts.starts_with("the cluster merges: "));
    story.plan.engine = MergeEngine::Cluster;
    assert_eq!(story.check("engine").facts, "the cluster merges");
}

#[test]
fn min_bytes_and_min_rows_are_of_all_valid_files_together() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf", "IL-2.tdf", "Item-Master.tdf", "CA-1.tdf"]);
    story.reject("IL-3.tdf");
    story.plan.min_bytes = Some(201);
    assert!(story.waits_only_for("min_bytes"));
    assert_eq!(story.check("min_bytes").facts, "200 of 201 bytes");
    story.plan.min_bytes = Some(200);
    assert!(story.is_ready());
    story.plan.min_rows = Some(21);
    assert!(story.waits_only_for("min_rows"));
    assert_eq!(story.check("min_rows").facts, "20 of 21 rows");
    story.plan.min_rows = Some(20);
    assert!(story.is_ready());
}

#[test]
fn the_criterion_must_return_a_row() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf"]);
    story.criterion = Some(Ok(true));
    assert!(story.is_ready());
    story.criterion = Some(Ok(false));
    assert!(story.waits_only_for("job_addl_criteria"));
    assert_eq!(
        story.check("job_addl_criteria").facts,
        "the query returned no row"
    );
    story.criterion = Some(Err(CriterionError::Failed {
        message: "no such table: stores".into(),
    }));
    assert!(story.waits_only_for("job_addl_criteria"));
    assert_eq!(
        story.check("job_addl_criteria").facts,
        "job_addl_criteria failed: no such table: stores"
    );
}

#[test]
fn after_another_job() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.after = vec!["prices".into()];
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("after prices"));
    assert_eq!(story.check("after").facts, "it has not completed yet");
    story.completed_elsewhere("stock", None, "2026-11-23T09:00Z");
    assert!(story.waits_only_for("after prices"));
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    assert_eq!(
        story.check("after").facts,
        "run prices-2 completed at 2026-11-23 10:00:00 UTC"
    );
    story.run();

    story.at("2026-11-23T13:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("after prices"));
    assert_eq!(
        story.check("after").facts,
        "run prices-2 completed at 2026-11-23 10:00:00 UTC, before this job last began"
    );
    story.completed_elsewhere("prices", None, "2026-11-23T12:30Z");
    assert!(story.is_ready());
}

#[test]
fn after_goes_by_the_order_of_runs_and_not_by_the_clock() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.after = vec!["prices".into()];
    story.submit(["IL-1.tdf"]);
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    story.run();
    // The clock was ahead until now, and is set back by a day.
    story.at("2026-11-22T12:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("after prices"));
    story.completed_elsewhere("prices", None, "2026-11-22T12:01Z");
    assert!(story.is_ready(), "waits:\n{}", story.explain());
    assert!(story.check("after").facts.starts_with("run prices-3 completed"));
    story.run();
    // What ended in the future, before this job's last run, is nothing new.
    story.facts.completions[1].finished = "2030-01-01T00:00Z".parse().unwrap();
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("after prices"));
}

#[test]
fn a_run_of_the_other_job_is_waited_for_until_it_has_ended() {
    let mut story = Story::dated(Trigger::Any, 1);
    story.plan.after = vec!["prices".into()];
    story.submit(["2026-11-22/IL-1.tdf", "2026-11-23/IL-1.tdf"]);
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    story.active_elsewhere("stock", None);
    story.active_elsewhere("prices", Some(date(2026, 11, 22)));
    let verdicts = story.verdicts();
    let ready: Vec<_> = verdicts.iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [false, true]);
    let waits_for = verdicts[0].waits_for().next().unwrap();
    assert_eq!(
        (waits_for.name.as_str(), waits_for.facts.as_str()),
        ("after prices", "run prices-3 is RUNNING")
    );
}

#[test]
fn every_job_of_after_must_have_completed() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.after = vec!["prices".into(), "stock".into()];
    story.submit(["IL-1.tdf"]);
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    assert!(story.waits_only_for("after stock"));
}

#[test]
fn a_dated_job_follows_the_same_day_of_a_dated_job() {
    let mut story = Story::dated(Trigger::Any, 1);
    story.plan.after = vec!["prices".into()];
    story.submit(["2026-11-22/IL-1.tdf", "2026-11-23/IL-1.tdf"]);
    story.completed_elsewhere("prices", Some(date(2026, 11, 22)), "2026-11-23T10:00Z");
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, false]);
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, true]);
}

#[test]
fn a_job_without_days_follows_any_day_of_a_dated_job() {
    let mut story = Story::new(Trigger::Any, 1);
    story.plan.after = vec!["prices".into()];
    story.submit(["IL-1.tdf"]);
    story.completed_elsewhere("prices", Some(date(2026, 11, 22)), "2026-11-23T10:00Z");
    story.run();
    story.at("2026-11-23T13:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("after prices"));
    // An earlier day's run that ends later is a completion all the same.
    story.completed_elsewhere("prices", Some(date(2026, 11, 21)), "2026-11-23T12:50Z");
    story.completed_elsewhere("prices", Some(date(2026, 11, 23)), "2026-11-23T11:00Z");
    assert!(story.is_ready());
}

#[test]
fn before_the_deadline_an_incomplete_wave_waits() {
    let mut story = Story::new(Trigger::All, 3);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    assert!(story.waits_only_for("min_files"));
    assert_eq!(story.check("deadline").facts, "at 2026-11-23 18:00 UTC, in 6h");
    story.at("2026-11-23T17:59:59Z");
    assert!(story.waits_only_for("min_files"));
    story.submit(["IL-3.tdf"]);
    let run = story.due();
    assert_eq!(
        (run.cause, run.incomplete, percent(&run)),
        (Cause::Preconditions, false, 100.0)
    );
}

#[test]
fn at_the_deadline_an_incomplete_wave_runs() {
    let mut story = Story::new(Trigger::All, 4);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"]);
    story.at("2026-11-23T18:00Z");
    insta::assert_snapshot!(story.explain(), @r#"
    yes | enabled | yes
    yes | not running | no run is queued or running
    waived | min_files | 3 of 4 files validated
    yes | trigger = "all" | no run so far, so every file is new
    yes | deadline | passed at 2026-11-23 18:00 UTC: an incomplete wave may run
    "#);
    let run = story.due();
    assert_eq!(
        (run.cause, run.incomplete, percent(&run)),
        (Cause::Deadline, true, 75.0)
    );
    assert_eq!((submissions(&run), run.as_of_submission), (vec![1, 2, 3], 3));
}

#[test]
fn a_complete_wave_after_the_deadline_is_complete() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.deadline = Some(time(6, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    let run = story.due();
    assert_eq!(
        (run.cause, run.incomplete, percent(&run)),
        (Cause::Preconditions, false, 100.0)
    );
}

#[test]
fn the_deadline_is_in_the_jobs_time_zone() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.plan.time_zone = TimeZone::get("America/Chicago").unwrap();
    story.submit(["IL-1.tdf"]);
    for (moment, is_ready) in [
        ("2026-11-23T18:00Z", false),
        ("2026-11-23T23:59:59Z", false),
        ("2026-11-24T00:00Z", true),
        ("2026-11-24T05:59:59Z", true),
    ] {
        story.at(moment);
        assert_eq!(story.is_ready(), is_ready, "{moment}");
    }
    // The next day in Chicago has its own deadline, for files that come on that day.
    story.at("2026-11-24T06:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(!story.is_ready());
    assert_eq!(story.check("deadline").facts, "at 2026-11-24 18:00 CST, in 18h");
    // Clocks go from 02:00 to 03:00: a deadline in between is an hour later.
    story.plan.deadline = Some(time(2, 30, 0, 0));
    story.at("2027-03-13T12:00Z");
    story.submit(["IL-1.tdf"]);
    story.at("2027-03-14T08:29:59Z");
    assert!(!story.is_ready());
    story.at("2027-03-14T08:30Z");
    assert!(story.is_ready());
}

#[test]
fn a_deadline_that_passed_while_nobody_judged_holds_after_midnight_until_there_is_a_run() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf"]);
    story.at("2026-11-24T01:00Z");
    assert_eq!(
        story.check("deadline").facts,
        "passed at 2026-11-23 18:00 UTC: an incomplete wave may run"
    );
    let run = story.due();
    assert_eq!((run.cause, run.incomplete), (Cause::Deadline, true));
    story.run();
    story.submit(["IL-1.tdf"]);
    assert!(!story.is_ready(), "the next file waits for the next deadline");
}

#[test]
fn a_correction_of_a_whole_past_day_runs_at_once_and_is_complete() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.files = pattern("{date}/IL-{store}.tdf");
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["2026-11-20/IL-1.tdf", "2026-11-20/IL-2.tdf"]);
    story.run();
    story.submit(["2026-11-20/IL-1.tdf"]);
    let run = story.due();
    assert_eq!((run.incomplete, percent(&run)), (false, 100.0));
}

#[test]
fn a_correction_on_the_day_of_a_complete_wave_is_complete_at_the_deadline() {
    let mut story = Story::new(Trigger::All, 3);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"]);
    story.run();
    for moment in ["2026-11-23T17:30Z", "2026-11-23T18:30Z"] {
        story.at(moment);
        story.submit(["IL-1.tdf"]);
        story.at("2026-11-23T18:30Z");
        let run = story.run();
        assert_eq!(
            (run.cause, run.incomplete, percent(&run)),
            (Cause::Deadline, false, 100.0)
        );
    }
    // It belongs to the wave that it corrects: the next one asks for its store again.
    story.at("2026-11-24T09:00Z");
    story.submit(["IL-2.tdf", "IL-3.tdf"]);
    assert!(story.waits_only_for("trigger"));
}

#[test]
fn what_comes_after_a_wave_that_was_completed_late_begins_the_next_one() {
    let mut story = Story::new(Trigger::All, 4);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf"]);
    story.at("2026-11-23T18:00Z");
    story.run();
    story.at("2026-11-24T07:00Z");
    story.submit(["IL-4.tdf"]);
    assert_eq!(percent(&story.run()), 100.0);
    story.at("2026-11-24T18:00Z");
    story.submit(["IL-1.tdf"]);
    let run = story.due();
    assert_eq!((run.incomplete, percent(&run)), (true, 25.0));
}

#[test]
fn a_deadline_with_nothing_new_runs_nothing() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 2);
        story.plan.deadline = Some(time(18, 0, 0, 0));
        story.submit(["IL-1.tdf", "IL-2.tdf"]);
        story.run();
        story.at("2026-11-23T18:00Z");
        assert!(story.waits_only_for("trigger"));
        story.reject("IL-1.tdf");
        assert!(story.waits_only_for("trigger"));
    }
}

#[test]
fn the_deadline_waives_no_other_check() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf"]);
    story.at("2026-11-23T19:00Z");
    assert!(story.is_ready());
    let obstacles: [fn(&mut Story); 6] = [
        |story| story.plan.is_enabled = false,
        |story| story.plan.requires = vec![required("Item*")],
        |story| story.plan.min_bytes = Some(101),
        |story| story.plan.min_rows = Some(11),
        |story| story.criterion = Some(Ok(false)),
        |story| story.plan.after = vec!["prices".into()],
    ];
    for (number, put) in obstacles.into_iter().enumerate() {
        let mut hindered = Story {
            plan: story.plan.clone(),
            facts: story.facts.clone(),
            criterion: None,
            ..story
        };
        put(&mut hindered);
        assert!(!hindered.is_ready(), "{number}");
        assert!(hindered.check("min_files").waived, "{number}");
    }
}

#[test]
fn late_files_run_after_the_deadline_until_the_wave_is_complete() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 4);
        story.plan.deadline = Some(time(18, 0, 0, 0));
        story.submit(["IL-1.tdf", "IL-2.tdf"]);
        story.at("2026-11-23T18:00Z");
        assert_eq!(percent(&story.run()), 50.0);
        assert!(!story.is_ready());

        story.at("2026-11-23T18:30Z");
        story.submit(["IL-3.tdf"]);
        let run = story.run();
        assert_eq!(
            (run.cause, run.incomplete, percent(&run)),
            (Cause::Deadline, true, 75.0)
        );
        assert_eq!((submissions(&run), run.as_of_submission), (vec![1, 2, 3], 3));
        assert!(!story.is_ready());

        // The last one completes the wave, even on the next morning.
        story.at("2026-11-24T07:00Z");
        story.submit(["IL-4.tdf"]);
        let run = story.run();
        assert_eq!(
            (run.cause, run.incomplete, percent(&run)),
            (Cause::Preconditions, false, 100.0)
        );
        assert_eq!(submissions(&run), [1, 2, 3, 4]);
        assert!(!story.is_ready());
    }
}

#[test]
fn a_later_wave_under_trigger_all_counts_what_has_reported_in_it() {
    let mut story = Story::new(Trigger::All, 4);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf", "IL-4.tdf"]);
    story.run();

    story.at("2026-11-24T17:00Z");
    story.submit(["IL-1.tdf"]);
    assert!(story.waits_only_for("trigger"));
    story.at("2026-11-24T18:00Z");
    assert!(story.check("trigger").waived);
    let run = story.run();
    assert_eq!(
        (run.cause, run.incomplete, percent(&run)),
        (Cause::Deadline, true, 25.0)
    );
    // The others count with what they sent before.
    assert_eq!(submissions(&run), [5, 2, 3, 4]);

    story.submit(["IL-2.tdf", "IL-3.tdf"]);
    assert_eq!(
        story.check("trigger").facts,
        "3 of 4 files submitted in this wave, 2 of them since run R2; seen before, not yet in this wave: IL-4.tdf; \
         if a store has closed: `gristmill withdraw FILE --keep-rows`"
    );
    assert_eq!(percent(&story.run()), 75.0);
    // A store that sends again brings the wave no nearer to its end.
    story.submit(["IL-1.tdf"]);
    assert_eq!(percent(&story.run()), 75.0);
    story.submit(["IL-4.tdf"]);
    let run = story.run();
    assert_eq!(
        (run.cause, run.incomplete, percent(&run)),
        (Cause::Preconditions, false, 100.0)
    );

    // The wave is closed: the next one begins with nothing.
    story.at("2026-11-25T09:00Z");
    story.submit(["IL-1.tdf"]);
    assert_eq!(
        story.check("trigger").facts,
        "1 of 4 files submitted since run R5; seen before, not yet in this wave: IL-2.tdf, IL-3.tdf, IL-4.tdf; \
         if a store has closed: `gristmill withdraw FILE --keep-rows`"
    );
}

#[test]
fn a_lower_min_files_after_a_deadline_run_is_nothing_new() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 4);
        story.plan.deadline = Some(time(6, 0, 0, 0));
        story.submit(["IL-1.tdf", "IL-2.tdf"]);
        story.run();
        story.plan.min_files = 2;
        assert!(story.waits_only_for("trigger"));
    }
}

#[test]
fn a_run_by_hand_of_an_incomplete_wave_leaves_it_open() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 2);
        story.submit(["IL-1.tdf"]);
        let run = story.run_by_hand();
        assert_eq!((run.incomplete, percent(&run)), (true, 50.0));
        assert!(!story.is_ready());
        story.submit(["IL-2.tdf"]);
        let run = story.run();
        assert_eq!((run.incomplete, percent(&run)), (false, 100.0));
    }
}

#[test]
fn a_run_by_hand_after_a_complete_wave_corrects_it_and_is_complete() {
    let mut story = Story::new(Trigger::All, 1);
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    story.run();
    story.submit(["IL-1.tdf"]);
    let run = story.run_by_hand();
    assert_eq!((run.incomplete, percent(&run)), (false, 100.0));
    assert_eq!(submissions(&run), [3, 2]);
    // The correction belongs to the wave before, so the next one waits for both.
    story.submit(["IL-2.tdf"]);
    assert!(story.waits_only_for("trigger"));
    story.submit(["IL-1.tdf"]);
    assert_eq!(submissions(&story.run()), [5, 4]);
}

#[test]
fn a_run_by_hand_before_the_deadline_of_a_later_day_counts_what_has_reported_in_its_wave() {
    let mut story = Story::new(Trigger::All, 1);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["IL-1.tdf", "IL-2.tdf"]);
    story.run();
    story.at("2026-11-24T10:00Z");
    story.submit(["IL-1.tdf"]);
    let run = story.run_by_hand();
    assert_eq!((run.incomplete, percent(&run)), (true, 50.0));
    story.submit(["IL-2.tdf"]);
    let run = story.run();
    assert_eq!((run.incomplete, submissions(&run)), (false, vec![3, 4]));
}

#[test]
fn a_run_by_hand_with_nothing_new_repeats_the_wave_before() {
    for trigger in [Trigger::All, Trigger::Any] {
        let mut story = Story::new(trigger, 2);
        story.submit(["IL-1.tdf", "IL-2.tdf"]);
        story.run();
        let run = story.run_by_hand();
        assert_eq!((run.incomplete, percent(&run)), (false, 100.0));
        story.submit(["IL-1.tdf"]);
        assert_eq!(story.is_ready(), trigger == Trigger::Any);
    }
}

#[test]
fn a_wave_without_a_file_in_force_has_no_run() {
    let mut story = Story::new(Trigger::Any, 1);
    assert!(story.verdict().run.is_none());
    story.reject("IL-1.tdf");
    assert!(story.verdict().run.is_none());
}

#[test]
fn the_percentage_is_of_all_that_is_expected() {
    let mut story = Story::new(Trigger::All, 2);
    story.plan.deadline = Some(time(6, 0, 0, 0));
    story.submit(["IL-1.tdf"]);
    assert_eq!(percent(&story.due()), 50.0);
    // A refused file is one that is missing.
    story.reject("IL-2.tdf");
    story.reject("IL-3.tdf");
    story.reject("IL-4.tdf");
    assert_eq!(percent(&story.due()), 25.0);
    story.plan.stores = (1..=5).map(|store| store.to_string()).collect();
    assert_eq!(percent(&story.due()), 20.0);
    story.plan.stores.clear();
    story.plan.files = pattern("IL-*.tdf");
    assert_eq!(percent(&story.due()), 25.0);
}

#[test]
fn an_incomplete_wave_is_never_at_100_percent() {
    // Two files a store, so there are more files than stores.
    let mut story = Story::new(Trigger::All, 4);
    story.plan.files = pattern("IL-{store}-?.tdf");
    story.plan.deadline = Some(time(6, 0, 0, 0));
    story.submit(["IL-1-a.tdf", "IL-1-b.tdf", "IL-2-a.tdf"]);
    let run = story.due();
    assert_eq!((run.incomplete, percent(&run)), (true, 75.0));
}

#[test]
fn each_day_is_judged_by_itself() {
    let mut story = Story::dated(Trigger::All, 2);
    assert!(story.verdicts().is_empty());
    story.submit([
        "2026-11-22/IL-1.tdf",
        "2026-11-23/IL-1.tdf",
        "2026-11-23/IL-2.tdf",
    ]);
    let verdicts = story.verdicts();
    let waves: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.wave.unwrap(), verdict.is_ready()))
        .collect();
    assert_eq!(waves, [(date(2026, 11, 22), false), (date(2026, 11, 23), true)]);
    let run = verdicts[1].run.as_ref().unwrap();
    assert_eq!(
        (run.wave, submissions(run)),
        (Some(date(2026, 11, 23)), vec![2, 3])
    );

    // A run of one day says nothing of another, not even while it works.
    let row = story.row(run, RunState::Running);
    story.facts.waves.entry(run.wave).or_default().active = Some(row);
    story.submit(["2026-11-22/IL-2.tdf"]);
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, false]);
    story.facts.waves.clear();
    story.complete(run);
    let ready: Vec<_> = story.verdicts().iter().map(Verdict::is_ready).collect();
    assert_eq!(ready, [true, false]);
}

#[test]
fn each_day_has_its_own_deadline() {
    let mut story = Story::dated(Trigger::All, 2);
    story.plan.deadline = Some(time(18, 0, 0, 0));
    story.submit(["2026-11-22/IL-1.tdf", "2026-11-23/IL-1.tdf"]);
    let verdicts = story.verdicts();
    assert!(verdicts[0].is_ready(), "waits:\n{}", story.explain());
    let run = verdicts[0].run.as_ref().unwrap();
    assert_eq!(
        (run.wave, run.cause, percent(run)),
        (Some(date(2026, 11, 22)), Cause::Deadline, 50.0)
    );
    assert!(!verdicts[1].is_ready());

    // A day's deadline stays passed: its late file runs at any hour of the following days.
    story.complete(run);
    assert!(!story.verdicts()[0].is_ready());
    story.at("2026-11-24T03:00Z");
    story.submit(["2026-11-22/IL-2.tdf"]);
    let verdicts = story.verdicts();
    assert!(verdicts[0].is_ready(), "waits:\n{}", story.explain());
    let run = verdicts[0].run.as_ref().unwrap();
    assert_eq!((run.cause, run.incomplete), (Cause::Preconditions, false));
    assert!(verdicts[1].is_ready());
}

#[test]
fn everything_is_explained() {
    let mut story = Story::new(Trigger::Any, 3);
    story.plan.stores = stores(["1", "2", "3"]);
    story.plan.requires = vec![RequiredFile {
        within: Some(Duration::from_secs(90_000)),
        today: true,
        ..required("Item*")
    }];
    story.plan.min_bytes = Some(500);
    story.plan.min_rows = Some(5);
    story.plan.after = vec!["prices".into()];
    story.plan.deadline = Some(time(18, 30, 0, 0));
    story.plan.time_zone = TimeZone::get("America/Chicago").unwrap();
    story.criterion = Some(Ok(true));
    story.submit(["IL-1.tdf", "Item-Master.tdf"]);
    story.reject("IL-3.tdf");
    insta::assert_snapshot!(story.explain(), @r#"
    yes | enabled | yes
    yes | not running | no run is queued or running
    no | min_files | 1 of 3 stores validated; missing stores: 2, 3; IL-3.tdf is REJECTED
    yes | trigger = "any" | no run so far, so every file is new
    yes | requires Item* within 1d 1h today | Item-Master.tdf was validated at 2026-11-23 06:00:00 CST
    no | min_bytes | 100 of 500 bytes
    yes | min_rows | 10 of 5 rows
    yes | job_addl_criteria | the query returned a row
    no | after prices | it has not completed yet
    yes | deadline | at 2026-11-23 18:30 CST, in 12h 30m
    "#);
}

#[test]
fn a_finished_wave_is_complete_and_waits_for_nothing() {
    let mut story = Story::new(Trigger::All, 3);
    story.plan.requires = vec![RequiredFile {
        today: true,
        ..required("Item*")
    }];
    story.plan.after = vec!["prices".into()];
    story.completed_elsewhere("prices", None, "2026-11-23T10:00Z");
    story.submit(["IL-1.tdf", "IL-2.tdf", "IL-3.tdf", "Item-Master.tdf"]);
    assert_eq!(story.verdict().state, WaveState::Ready);
    let due = story.due();
    let row = story.row(&due, RunState::Running);
    story.facts.waves.entry(None).or_default().active = Some(row);
    assert_eq!(story.verdict().state, WaveState::Running);
    story.facts.waves.clear();
    story.complete(&due);

    story.at("2026-11-24T06:00Z");
    assert_eq!(story.verdict().state, WaveState::Complete);
    assert_eq!(
        story.done().unwrap(),
        "complete since 2026-11-23 12:00:00 UTC; next wave: 0 of 3 files"
    );
    assert!(story.waits_for().is_empty(), "{:?}", story.waits_for());
    assert_eq!(
        story.check("trigger").facts,
        "0 of 3 files submitted since run R3"
    );
    // What is in the way of the next wave is said at once.
    story.plan.is_enabled = false;
    assert_eq!(story.verdict().state, WaveState::Waiting);
    assert_eq!(story.waits_for(), ["enabled"]);
    story.plan.is_enabled = true;

    story.submit(["IL-2.tdf"]);
    assert_eq!(story.verdict().state, WaveState::Waiting);
    assert!(story.done().unwrap().ends_with("; next wave: 1 of 3 files"));
    assert_eq!(
        story.waits_for(),
        ["trigger = \"all\"", "requires Item* today", "after prices"]
    );
    story.plan.stores = stores(["1", "2", "3", "4"]);
    let next = story.verdict().done.unwrap().next_wave;
    let expected = Progress {
        arrived: 1,
        expected: 4,
        unit: "stores",
    };
    assert_eq!(next, Some(expected));
}

#[test]
fn an_incomplete_run_leaves_its_wave_waiting() {
    let mut story = Story::new(Trigger::All, 3);
    story.plan.deadline = Some(time(6, 0, 0, 0));
    story.submit(["IL-1.tdf"]);
    story.run();
    assert_eq!((story.verdict().state, story.done()), (WaveState::Waiting, None));
    assert_eq!(story.waits_for(), ["min_files", "trigger = \"all\""]);
}

#[test]
fn a_wave_whose_last_run_failed_is_not_complete() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    story.run();
    story.submit(["IL-1.tdf"]);
    let due = story.due();
    let row = story.row(&due, RunState::Failed);
    story.facts.waves.entry(None).or_default().failed = Some(row);
    assert_eq!((story.verdict().state, story.done()), (WaveState::Waiting, None));
    assert_eq!(story.waits_for(), ["last run"]);
}

#[test]
fn a_day_and_a_job_that_runs_at_any_file_have_no_next_wave() {
    let mut story = Story::new(Trigger::Any, 1);
    story.submit(["IL-1.tdf"]);
    story.run();
    assert_eq!(
        story.done().unwrap(),
        "complete since 2026-11-23 12:00:00 UTC; nothing new since"
    );
    let mut story = Story::dated(Trigger::All, 1);
    story.submit(["2026-11-22/IL-1.tdf", "2026-11-22/IL-2.tdf"]);
    let due = story.verdict().run.unwrap();
    story.complete(&due);
    assert_eq!(story.verdict().state, WaveState::Complete);
    story.submit(["2026-11-22/IL-1.tdf"]);
    assert_eq!(
        story.done().unwrap(),
        "complete since 2026-11-23 12:00:00 UTC; files submitted since: 1"
    );
    assert_eq!(story.waits_for(), ["trigger = \"all\""]);
}
