//! A fresh database with a clock that the test moves, and helpers to record things in it.

use std::collections::HashMap;
use std::sync::Arc;

use gristmill_state::{
    AsksFor, Cause, Enqueued, Facts, Guards, InputDays, JobConfig, KnownStamp, Named, NewRun, Place,
    Question, Role, RunInput, Stamp, StateDb, StateError, SubmissionOutcome, SubmissionRecord, Taker, Takers,
    TestClock, Trigger, VersionRecord, Waves,
};
use jiff::SignedDuration;
use jiff::civil::Date;

use crate::place::{Kept, new_place};
use crate::shell::Shell;

pub const LAYOUT: &str = "layout-1";

pub struct Fixture {
    pub db: Arc<StateDb>,
    pub clock: Arc<TestClock>,
    pub place: Place,
    _kept: Kept,
}

impl Fixture {
    pub async fn new() -> Self {
        let (place, kept) = new_place();
        let clock = Arc::new(TestClock::new("2026-11-23T08:15:00.123456Z".parse().unwrap()));
        let db = Arc::new(StateDb::open(&place, clock.clone()).await.unwrap());
        Self {
            db,
            clock,
            place,
            _kept: kept,
        }
    }

    /// Opens the same database as another process would.
    pub async fn open_again(&self) -> StateDb {
        StateDb::open(&self.place, self.clock.clone()).await.unwrap()
    }

    /// Connects as a person does.
    pub async fn shell(&self) -> Shell {
        Shell::open(&self.place).await
    }

    /// The time of the database's clock.
    pub fn db_now(&self) -> jiff::Timestamp {
        use gristmill_state::Clock;
        self.clock.now()
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Records one submission and returns its id.
    pub async fn record(&self, file_url: &str, outcome: SubmissionOutcome) -> i64 {
        self.pass(1);
        self.db
            .record(&[submission(file_url, outcome)], &one_job)
            .await
            .unwrap()[0]
            .submission_id
    }

    /// Records valid files with the given contents, and returns them as a run's inputs.
    pub async fn valid(&self, files: &[(&str, &str)]) -> Vec<RunInput> {
        let mut inputs = Vec::new();
        for (file_url, content) in files {
            let submission_id = self.record(file_url, converted(content)).await;
            let file = self.db.file(file_url).await.unwrap().unwrap();
            inputs.push(RunInput {
                file_id: file.file_id,
                version_id: file.in_force.unwrap().version_id,
                submission_id,
                days: InputDays::default(),
            });
        }
        inputs
    }

    /// Reads the facts about a job that takes all files of its feed, in one wave, and follows all other jobs.
    pub async fn facts(&self, job_id: &str) -> Facts {
        self.facts_of(job_id, [None]).await.unwrap()
    }

    /// The same for several waves, of which only that without a day has files.
    pub async fn facts_of(
        &self,
        job_id: &str,
        waves: impl IntoIterator<Item = Option<Date>>,
    ) -> Result<Facts, StateError> {
        let (rows, edition) = self.db.jobs_and_edition().await.unwrap();
        let jobs = rows.into_iter().map(|row| row.config);
        let all = AllFiles {
            edition,
            jobs: jobs.map(|job| (job.id, job.feed)).collect(),
        };
        self.db.match_files(&all).await.unwrap();
        let question = Question {
            job_id,
            waves: Waves::These(waves.into_iter().collect()),
            is_dated: false,
            expects_earlier_stores: true,
            requires: Vec::new(),
            after: all.jobs.iter().map(|(id, _)| id.as_str()).collect(),
            strays_of_feed: None,
        };
        self.db.facts(&question).await
    }

    /// Queues and claims a run, and returns its name.
    pub async fn running(&self, run: &NewRun) -> String {
        let Enqueued::Queued(run_id) = self.db.enqueue(run).await.unwrap() else {
            panic!("not queued")
        };
        assert_eq!(self.db.claim("test").await.unwrap().unwrap().run_id, run_id);
        run_id
    }
}

/// The stamps of all known files, by path.
pub async fn known_stamps(
    db: &StateDb,
    digest_of: impl Fn(&str, &str) -> Option<String>,
) -> HashMap<String, KnownStamp> {
    let mut known = HashMap::new();
    db.each_known_stamp(digest_of, |path, stamp| {
        known.insert(path.to_owned(), stamp);
    })
    .await
    .unwrap();
    known
}

/// Each job takes all files of its feed.
struct AllFiles {
    edition: i64,
    jobs: Vec<(String, String)>,
}

impl Takers for AllFiles {
    fn edition(&self) -> i64 {
        self.edition
    }

    fn takers(&self, file: Named<'_>) -> Vec<Taker> {
        let of_feed = self.jobs.iter().filter(|(_, feed)| feed == file.feed);
        let taker = |(job_id, _): &(String, String)| Taker {
            job_id: job_id.clone(),
            wave: None,
            store_id: None,
        };
        of_feed.map(taker).collect()
    }

    fn required_by(&self, _: &str) -> Vec<(String, Option<Date>)> {
        Vec::new()
    }

    fn asks_for(&self, _: &str) -> Option<AsksFor> {
        Some(AsksFor {
            start: String::new(),
            requires: Vec::new(),
            after: Vec::new(),
        })
    }
}

pub fn one_job(_: &str, _: &str) -> bool {
    true
}

pub fn stamp(bytes: u64) -> Stamp {
    // An inode number beyond i64, as some network file systems have.
    Stamp {
        bytes,
        modified_ns: 1_700_000_000_123_456_789,
        inode: u64::MAX - bytes,
        changed_ns: Some(1_700_000_000_123_456_790),
    }
}

pub fn submission(file_url: &str, outcome: SubmissionOutcome) -> SubmissionRecord {
    SubmissionRecord {
        file_url: file_url.to_owned(),
        feed: "sales".to_owned(),
        store_id: Some("s1".to_owned()),
        business_date: Some("2026-11-22".parse().unwrap()),
        stamp: stamp(10),
        guards: Guards::default(),
        role: Role::default(),
        outcome,
    }
}

pub fn version(content: &str) -> VersionRecord {
    VersionRecord {
        content_hash: content.to_owned(),
        layout_digest: LAYOUT.to_owned(),
        bytes: 1_000,
        lines: 10,
        rows: 6,
        ignored: 2,
        skipped: 1,
        rejects: 1,
        drift_lines: 3,
        last_line_ended: Some(true),
        first_date: Some("2026-11-20".parse().unwrap()),
        last_date: Some("2026-11-22".parse().unwrap()),
        rejected_because: None,
        days: Vec::new(),
        converted: Some(format!("converted/sales/{content}.parquet")),
        partial: Some(format!("partials/sales/{content}.parquet")),
        reject_lines: Some(format!("rejects/sales/{content}.parquet")),
    }
}

pub fn converted(content: &str) -> SubmissionOutcome {
    SubmissionOutcome::Converted(version(content))
}

pub fn rejected(content: &str) -> SubmissionOutcome {
    let rejected_because = Some("40 % of its lines are rejects".to_owned());
    SubmissionOutcome::Converted(VersionRecord {
        rejected_because,
        ..version(content)
    })
}

pub fn unchanged(content: &str) -> SubmissionOutcome {
    SubmissionOutcome::Unchanged {
        content_hash: content.to_owned(),
        layout_digest: LAYOUT.to_owned(),
    }
}

pub fn failed(error: &str) -> SubmissionOutcome {
    SubmissionOutcome::Failed {
        error: error.to_owned(),
    }
}

pub fn job(id: &str) -> JobConfig {
    JobConfig {
        id: id.to_owned(),
        feed: "sales".to_owned(),
        files: "IL-{store}.tdf".to_owned(),
        min_files: 13,
        trigger: Trigger::All,
        addl_criteria: None,
        params: r#"{"after":["J100"]}"#.to_owned(),
        enabled: true,
    }
}

pub fn run(job_id: &str, inputs: &[RunInput]) -> NewRun {
    NewRun {
        job_id: job_id.to_owned(),
        wave: None,
        cause: Cause::Preconditions,
        inputs: inputs.to_vec(),
        order_matters: false,
        incomplete: false,
        completeness_percent: Some(100.0),
        as_of_submission: inputs.iter().map(|input| input.submission_id).max().unwrap_or(0),
    }
}
