//! Rounds judge only what was touched. Here random histories are judged by rounds, and after each step everything is
//! judged anew from all that the database holds: nothing must be ready that a round has passed over, and the facts that a
//! round reads of one wave must lead to the same verdict as all facts together.

mod complete;
mod upgrade;

use std::sync::Arc;

use gristmill_engine::{FeedLayout, FeedSpec};
use gristmill_loader::LoadMode;
use gristmill_state::{
    Guards, JobConfig, Late, Role, RunFilter, RunOutcome, RunResult, RunState, SameDay, Stamp, StateDb,
    StateError, SubmissionOutcome, SubmissionRecord, TestClock, Trigger, VersionDay, VersionRecord, Waves,
    Withdraw,
};
use jiff::SignedDuration;
use jiff::civil::Date;
use proptest::prelude::*;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::bench::Bench;
use super::rounds::Rounds;
use crate::pipeline::Until;
use crate::pipeline::jobs::CurrentJobs;
use crate::pipeline::retry::Patience;
use crate::preconditions::{JobIndex, Verdict, assess};
use crate::settings::Feeds;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A file arrives: which, with which content, and how many lines of each day.
    Submit {
        file: usize,
        content: u8,
        lines: [u8; 2],
    },
    /// Bytes that were sent before arrive again.
    Repeat {
        file: usize,
        content: u8,
    },
    /// A file cannot be read, or is rejected.
    Refuse {
        file: usize,
        is_failed: bool,
    },
    Accept {
        file: usize,
        adds: bool,
    },
    Withdraw {
        file: usize,
        what: u8,
    },
    /// The oldest queued run is claimed, and ends, or goes on working.
    Work {
        ends: u8,
    },
    /// The run that goes on working ends.
    End {
        fails: bool,
    },
    Retry,
    Pass {
        hours: i8,
    },
    /// Somebody edits with SQL.
    Edit {
        what: usize,
        number: u8,
    },
    /// No round takes place after the step.
    Quiet(Box<Step>),
}

const DAYS: [&str; 2] = ["2026-03-01", "2026-03-02"];

/// The paths, with their feeds, stores and days.
fn files() -> Vec<(String, &'static str, Option<&'static str>, Option<&'static str>)> {
    let mut files = Vec::new();
    for store in ["1", "2", "3"] {
        files.push((format!("IL-{store}.tdf"), "sales", Some(store), None));
    }
    files.push(("IL-1 (1).tdf".into(), "sales", Some("1 (1)"), None));
    for day in DAYS {
        for store in ["1", "2"] {
            files.push((format!("d/{day}/CA-{store}.tdf"), "sales", Some(store), Some(day)));
        }
        files.push((format!("Item-{day}"), "items", None, Some(day)));
    }
    files.push(("Item".into(), "items", None, None));
    files.push(("flag.tdf".into(), "sales", None, None));
    files
}

fn jobs() -> Vec<JobConfig> {
    let job = |id: &str, files: &str, min_files, trigger, params: &str| JobConfig {
        id: id.into(),
        feed: "sales".into(),
        files: files.into(),
        min_files,
        trigger,
        addl_criteria: None,
        params: params.into(),
        enabled: true,
    };
    let mut criterion = job("criterion", "IL-{store}.tdf", 1, Trigger::Any, "{}");
    criterion.addl_criteria = Some(
        "SELECT 1 FROM ingested_file_status WHERE file_url = 'flag.tdf' AND version_id IS NOT NULL".into(),
    );
    vec![
        job(
            "all",
            "IL-{store}.tdf",
            2,
            Trigger::All,
            r#"{"deadline":"18:00"}"#,
        ),
        job(
            "after",
            "IL-*.tdf",
            1,
            Trigger::Any,
            r#"{"after":["all","dated"]}"#,
        ),
        job(
            "dated",
            "d/{date}/CA-{store}.tdf",
            2,
            Trigger::Any,
            r#"{"requires":[{"files":"Item-{date}"}],"deadline":"20:00"}"#,
        ),
        job(
            "dated-after",
            "d/{date}/{store}.tdf",
            1,
            Trigger::All,
            r#"{"after":["dated"],"requires":[{"files":"Item*","within":"1 day","today":true}]}"#,
        ),
        job(
            "listed",
            "IL-{store}.tdf",
            2,
            Trigger::All,
            r#"{"stores":["1","2"],"min_rows":20}"#,
        ),
        criterion,
    ]
}

const EDITS: [&str; 10] = [
    "UPDATE aggr_job_configuration SET job_min_file_count = ?1 % 3 + 1 WHERE job_config_id = 'all'",
    "UPDATE aggr_job_configuration SET job_enabled = ?1 % 2 WHERE job_config_id IN ('dated', 'after')",
    "UPDATE aggr_job_configuration SET job_input_pattern = CASE ?1 % 2 WHEN 0 THEN 'IL-{store}.tdf' ELSE '*-{store}.tdf' END
      WHERE job_config_id = 'criterion'",
    "UPDATE aggr_job_configuration SET job_params = CASE ?1 % 3 WHEN 0 THEN '{\"stores\":[\"1\",\"2\"]}'
        WHEN 1 THEN '{\"stores\":[\"2\",\"3\"]}' ELSE '{\"deadline\":\"soon\"}' END WHERE job_config_id = 'listed'",
    "UPDATE aggr_job_configuration SET job_params = '{\"requires\":[{\"files\":\"Item*\"}]}', job_trigger = 'any'
      WHERE job_config_id = 'all' AND ?1 % 2 = 0",
    "DELETE FROM job_run WHERE state = 'FAILED' AND ?1 % 2 = 0",
    "UPDATE job_run SET state = 'FAILED', outcome = NULL, error = 'by hand'
      WHERE ?1 % 3 = 0 AND sequence = (SELECT max(sequence) FROM job_run WHERE state = 'COMPLETED')",
    "DELETE FROM ingested_file_status WHERE ?1 % 4 = 0 AND file_url = 'IL-3.tdf'",
    "UPDATE file_version SET rows = 10 * (?1 % 4), lines = 10 * (?1 % 4) WHERE version_id % 2 = 0",
    "INSERT OR IGNORE INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
     SELECT 'new', 'sales', '**/*{store}.tdf', 1, 'any' WHERE ?1 % 2 = 0",
];

fn step() -> impl Strategy<Value = Step> {
    let file = 0..files().len();
    let plain = prop_oneof![
        6 => (file.clone(), 0..4_u8, [0..4_u8, 0..4_u8])
            .prop_map(|(file, content, lines)| Step::Submit { file, content, lines }),
        2 => (file.clone(), 0..4_u8).prop_map(|(file, content)| Step::Repeat { file, content }),
        1 => (file.clone(), any::<bool>()).prop_map(|(file, is_failed)| Step::Refuse { file, is_failed }),
        1 => (file.clone(), any::<bool>()).prop_map(|(file, adds)| Step::Accept { file, adds }),
        1 => (file, 0..4_u8).prop_map(|(file, what)| Step::Withdraw { file, what }),
        4 => (0..4_u8).prop_map(|ends| Step::Work { ends }),
        2 => any::<bool>().prop_map(|fails| Step::End { fails }),
        1 => Just(Step::Retry),
        2 => (-12..30_i8).prop_map(|hours| Step::Pass { hours }),
        2 => (0..EDITS.len(), any::<u8>()).prop_map(|(what, number)| Step::Edit { what, number }),
    ];
    (plain, 0..4_u8).prop_map(|(step, quiet)| match quiet {
        0 => Step::Quiet(Box::new(step)),
        _ => step,
    })
}

/// A state database with the jobs, and how far its history has come.
struct World {
    state: Arc<StateDb>,
    shell: SqliteConnection,
    clock: Arc<TestClock>,
    feeds: Feeds,
    working: Option<String>,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(TestClock::new("2026-03-01T12:00:00Z".parse().unwrap()));
        let world = Self::open(tempfile::tempdir().unwrap(), clock).await;
        world.state.add_jobs(&jobs()).await.unwrap();
        world
    }

    /// Opens the database in a folder.
    async fn open(folder: TempDir, clock: Arc<TestClock>) -> Self {
        let path = folder.path().join("state.db");
        let state = Arc::new(StateDb::open(&path, clock.clone()).await.unwrap());
        let items = FeedSpec {
            name: "items".into(),
            files: "Item*".into(),
            columns: vec!["item_id".into(), "name".into()],
            measures: Default::default(),
            reference: true,
            ..FeedSpec::default()
        };
        let feeds = [FeedSpec::default(), items].map(|spec| FeedLayout::new(&spec).unwrap());
        let shell = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(false)
            .connect()
            .await
            .unwrap();
        Self {
            state,
            shell,
            clock,
            feeds: Feeds::new(feeds.into()),
            working: None,
            folder,
        }
    }

    /// Does a step.
    async fn take(&mut self, step: &Step, jobs: &CurrentJobs) {
        let files = files();
        match step {
            Step::Submit { file, content, lines } => {
                self.submit(&files[*file], Some((*content, *lines)), jobs).await;
            }
            Step::Repeat { file, content } => self.repeat(&files[*file], *content, jobs).await,
            Step::Refuse {
                file,
                is_failed: true,
            } => self.submit(&files[*file], None, jobs).await,
            Step::Refuse { file, .. } => self.submit(&files[*file], Some((9, [1, 1])), jobs).await,
            Step::Accept { file, adds } => {
                let late = if *adds { Late::Add } else { Late::Replace };
                let known = jobs.get(&self.state).await.unwrap();
                let (state, path) = (&self.state, &files[*file].0);
                allow(state.accept(path, late, Guards::default(), &*known, "test").await);
            }
            Step::Withdraw { file, what } => {
                let how = match what {
                    0 | 1 => Withdraw::Day(DAYS[usize::from(*what)].parse().unwrap()),
                    _ => Withdraw::File {
                        keeps_rows: *what == 3,
                    },
                };
                let known = jobs.get(&self.state).await.unwrap();
                let (state, path) = (&self.state, &files[*file].0);
                allow(
                    state
                        .withdraw(path, how, Guards::default(), &*known, "test")
                        .await,
                );
            }
            Step::Work { ends } => {
                if self.working.is_none()
                    && let Some(run) = self.state.claim("test").await.unwrap()
                {
                    self.working = Some(run.run_id);
                    if *ends > 0 {
                        self.end(*ends == 1).await;
                    }
                }
            }
            Step::End { fails } => self.end(*fails).await,
            Step::Retry => {
                for run_id in self.state.failed_runs().await.unwrap() {
                    allow(self.state.retry_run(&run_id).await);
                }
            }
            Step::Pass { hours } => self.clock.advance(SignedDuration::from_hours((*hours).into())),
            Step::Edit { what, number } => {
                let edit = sqlx::query(EDITS[*what]).bind(i64::from(*number));
                edit.execute(&mut self.shell).await.unwrap();
            }
            Step::Quiet(step) => return Box::pin(self.take(step, jobs)).await,
        }
        self.clock.advance(SignedDuration::from_secs(1));
    }

    async fn end(&mut self, fails: bool) {
        let Some(run_id) = self.working.take() else { return };
        let result = RunResult {
            outcome: RunOutcome::Loaded,
            changes: None,
        };
        match fails {
            true => self.state.fail(&run_id, "a test").await.unwrap(),
            false => self.state.complete(&run_id, &result).await.unwrap(),
        }
    }

    async fn submit(
        &self,
        file: &(String, &str, Option<&str>, Option<&str>),
        content: Option<(u8, [u8; 2])>,
        jobs: &CurrentJobs,
    ) {
        let outcome = match content {
            None => SubmissionOutcome::Failed {
                error: "a test".into(),
            },
            Some((content, lines)) => SubmissionOutcome::Converted(self.version(file, content, lines)),
        };
        self.record(file, outcome, jobs).await;
    }

    async fn repeat(
        &self,
        file: &(String, &str, Option<&str>, Option<&str>),
        content: u8,
        jobs: &CurrentJobs,
    ) {
        let version = self.version(file, content, [1, 1]);
        let known = self.state.versions_of(&file.0).await.unwrap();
        let known = known.iter().find(|known| {
            known.version.content_hash == version.content_hash
                && known.version.layout_digest == version.layout_digest
        });
        if known.is_some() {
            let outcome = SubmissionOutcome::Unchanged {
                content_hash: version.content_hash,
                layout_digest: version.layout_digest,
            };
            self.record(file, outcome, jobs).await;
        }
    }

    fn version(
        &self,
        (path, feed, store, _): &(String, &str, Option<&str>, Option<&str>),
        content: u8,
        lines: [u8; 2],
    ) -> VersionRecord {
        let days: Vec<VersionDay> = DAYS
            .iter()
            .zip(lines)
            .filter(|(_, lines)| *lines > 0 && *feed == "sales")
            .map(|(day, lines)| VersionDay {
                store_id: store.unwrap_or("9").to_owned(),
                trans_date: day.parse().unwrap(),
                lines: Some(lines.into()),
                turnover: 100,
            })
            .collect();
        let layout = self.feeds.get(feed).unwrap();
        VersionRecord {
            content_hash: format!("{path} {content} {lines:?}"),
            layout_digest: layout.digest().to_owned(),
            bytes: 100,
            lines: 10,
            rows: 10,
            ignored: 0,
            skipped: 0,
            rejects: 0,
            drift_lines: 0,
            last_line_ended: Some(true),
            first_date: days.first().map(|day| day.trans_date),
            last_date: days.last().map(|day| day.trans_date),
            rejected_because: (content == 9).then(|| "a test".to_owned()),
            days,
            converted: None,
            partial: Some(format!("{path} {content} {lines:?}")),
            reject_lines: None,
        }
    }

    async fn record(
        &self,
        (path, feed, store, day): &(String, &str, Option<&str>, Option<&str>),
        outcome: SubmissionOutcome,
        jobs: &CurrentJobs,
    ) {
        let now = gristmill_state::Clock::now(&*self.clock);
        let record = SubmissionRecord {
            file_url: path.clone(),
            feed: (*feed).to_owned(),
            store_id: store.map(str::to_owned),
            business_date: day.map(|day| day.parse().unwrap()),
            stamp: Stamp {
                bytes: 100,
                modified_ns: now.as_nanosecond() as i64,
                inode: 1,
                changed_ns: None,
            },
            role: Role::Alone,
            guards: Guards {
                same_day: SameDay::Hold,
                ..Guards::default()
            },
            outcome,
        };
        let jobs = jobs.get(&self.state).await.unwrap();
        self.state.record(&[record], &*jobs).await.unwrap();
    }

    fn bench(&self) -> Bench {
        Bench {
            state: self.state.clone(),
            clock: self.clock.clone(),
            patience: Patience {
                until: Until::Idle,
                stopped: tokio::sync::watch::channel(false).1,
                gauges: Arc::default(),
            },
            activity: Arc::default(),
        }
    }

    /// Compares the verdicts of all facts with those of the facts that a round reads. With `is_judged`, no wave may be
    /// left that is ready.
    async fn check(&mut self, is_judged: bool) {
        let index = JobIndex::matched(&self.state, &self.feeds).await.unwrap();
        for job in index.jobs() {
            let Ok(plan) = job.plan() else { continue };
            let now = gristmill_state::Clock::now(&*self.clock);
            let complete = complete::verdicts(&self.state, &mut self.shell, plan, now).await;
            let asked = async |waves| {
                let question = plan.question(waves);
                assess(&self.state, plan, &question, now).await.unwrap()
            };
            let all = asked(Waves::All).await;
            assert_eq!(shown(&all), shown(&complete), "all waves of {}", plan.id);
            let newest = asked(Waves::NewestAt(Date::MAX)).await;
            let last = complete.len().saturating_sub(1);
            assert_eq!(
                shown(&newest),
                shown(&complete[last..]),
                "the newest wave of {}",
                plan.id
            );
            for verdict in &complete {
                let one = asked(Waves::These([verdict.wave].into())).await;
                let expected = shown(std::slice::from_ref(verdict));
                assert_eq!(shown(&one), expected, "one wave of {}", plan.id);
                let is_due = verdict.is_ready() && verdict.run.is_some();
                assert!(
                    !(is_judged && is_due),
                    "{} was passed over: {expected:#?}",
                    plan.id
                );
            }
        }
    }
}

/// Everything that a verdict says, apart from files that are part of no job: rounds do not ask for these.
fn shown(verdicts: &[Verdict]) -> Vec<String> {
    let shown = verdicts.iter().map(|verdict| {
        let mut verdict = verdict.clone();
        verdict.unlisted_files.clear();
        verdict.touched = None;
        format!("{verdict:#?}")
    });
    shown.collect()
}

/// What cannot be done in the state of the database is left undone.
fn allow<T>(result: Result<T, StateError>) {
    match result {
        Ok(_)
        | Err(
            StateError::NothingHeld { .. }
            | StateError::NothingInForce { .. }
            | StateError::UnknownFile { .. }
            | StateError::Overtaken { .. }
            | StateError::WrongState { .. },
        ) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Judges, and waits for what is judged beside the others.
async fn judge(rounds: &mut Rounds<'_>, is_sweep: bool) {
    rounds.judge_touched(&[], is_sweep).await.unwrap();
    while !rounds.is_none_beside() {
        rounds.news().await.unwrap();
        rounds.judge_touched(&[], false).await.unwrap();
    }
}

async fn live(steps: Vec<Step>) {
    let mut world = World::new().await;
    let jobs = CurrentJobs::new(&world.feeds);
    let mut rounds = Rounds::new(world.bench(), &jobs, LoadMode::ReplaceDays);
    judge(&mut rounds, true).await;
    for step in &steps {
        world.take(step, &jobs).await;
        let is_quiet = matches!(step, Step::Quiet(_));
        if !is_quiet {
            // As at a sweep, so that queries are asked again, too.
            judge(&mut rounds, true).await;
        }
        world.check(!is_quiet).await;
    }
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(live(steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn rounds_pass_over_nothing_that_is_ready(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}

/// A wave whose run saw everything is closed, and not judged again before something of it changes.
#[tokio::test]
async fn a_wave_is_closed_once_its_run_saw_everything() {
    let mut world = World::new().await;
    let jobs = CurrentJobs::new(&world.feeds);
    let state = world.state.clone();
    let mut rounds = Rounds::new(world.bench(), &jobs, LoadMode::ReplaceDays);
    let open = async || {
        let waves = state.touched_waves(-1).await.unwrap().waves.into_iter();
        let of_day = |wave: Option<Date>| wave.map_or_else(String::new, |date| format!(" {date}"));
        let mut open: Vec<_> = waves
            .filter(|(job, _)| job == "dated")
            .map(|(job, wave)| job + &of_day(wave))
            .collect();
        open.sort_unstable();
        open
    };
    let submit = |file, content| Step::Submit {
        file,
        content,
        lines: [1, 0],
    };
    // Both stores of the first day, and its items.
    for file in [4, 5, 6] {
        world.take(&submit(file, 0), &jobs).await;
    }
    judge(&mut rounds, false).await;
    assert_eq!(open().await, ["dated 2026-03-01"], "it is queued");
    world.take(&Step::Work { ends: 2 }, &jobs).await;
    judge(&mut rounds, false).await;
    assert_eq!(open().await, [""; 0], "it has run");
    // Another day, and again the first one, with the same bytes.
    world.take(&submit(7, 0), &jobs).await;
    judge(&mut rounds, false).await;
    assert_eq!(open().await, ["dated 2026-03-02"]);
    world.take(&submit(4, 0), &jobs).await;
    judge(&mut rounds, false).await;
    assert_eq!(
        open().await,
        ["dated 2026-03-02"],
        "the first day was completed at once"
    );
    let of_job = RunFilter {
        job_id: Some("dated".into()),
        ..RunFilter::default()
    };
    let runs = state.runs(&of_job).await.unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.state == RunState::Completed));
    assert_eq!(
        state.run_inputs(&runs[0].run_id).await.unwrap().len(),
        2,
        "those of the run before"
    );
    // What a person takes out opens it again.
    world.take(&Step::Withdraw { file: 4, what: 2 }, &jobs).await;
    assert_eq!(open().await, ["dated 2026-03-01", "dated 2026-03-02"]);
}
