//! Store-days that files of two jobs hold: the newest file counts, whatever job it is in.

use std::collections::BTreeMap;

use gristmill_state::{
    ClaimedRun, DayEffect, Enqueued, InputDays, NewRun, RunInput, RunOutcome, RunResult, Stamp,
    SubmissionOutcome, SubmissionRecord, VersionDay, VersionRecord,
};

use crate::support::{Fixture, job, run, stamp, submission, version};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};

/// No two of these files belong to one job.
fn other_jobs(_: &str, _: &str) -> bool {
    false
}

/// Two jobs, the warehouse that they load, and the files of each.
struct Site {
    f: Fixture,
    /// For each day of June, the content that stands in the warehouse.
    warehouse: BTreeMap<i8, String>,
    inputs: BTreeMap<(String, String), RunInput>,
}

impl Site {
    async fn new() -> Self {
        let f = Fixture::new().await;
        f.db.add_jobs(&[job("west"), job("mid")]).await.unwrap();
        Self {
            f,
            warehouse: BTreeMap::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// Sends a file of a job that holds these days of one store, written so many hours before 2026.
    async fn send(&mut self, job: &str, file: &str, content: &str, days: &[i8], hours_ago: i64) {
        self.f.pass(1);
        let day = |day: &i8| VersionDay {
            store_id: "s1039".to_owned(),
            trans_date: jiff::civil::date(2026, 6, *day),
            lines: Some(1),
            turnover: 1,
        };
        let record = SubmissionRecord {
            stamp: Stamp {
                modified_ns: (1_767_225_600 - hours_ago * 3600) * 1_000_000_000,
                ..stamp(10)
            },
            ..submission(
                file,
                SubmissionOutcome::Converted(VersionRecord {
                    days: days.iter().map(day).collect(),
                    ..version(content)
                }),
            )
        };
        let submission_id = self.f.db.record(&[record], &other_jobs).await.unwrap()[0].submission_id;
        let row = self.f.db.file(file).await.unwrap().unwrap();
        let input = RunInput {
            file_id: row.file_id,
            version_id: row.in_force.unwrap().version_id,
            submission_id,
            days: InputDays::default(),
        };
        self.inputs.insert((job.to_owned(), file.to_owned()), input);
    }

    fn run(&self, job: &str) -> NewRun {
        let of_job = self.inputs.iter().filter(|((of, _), _)| of == job);
        let inputs: Vec<_> = of_job.map(|(_, input)| input.clone()).collect();
        NewRun {
            order_matters: true,
            ..run(job, &inputs)
        }
    }

    /// Runs a job to its end; returns what it was told of the other job, as `day: newer` or `day: older`.
    async fn load(&mut self, job: &str) -> Vec<String> {
        match self.f.db.enqueue(&self.run(job)).await.unwrap() {
            Enqueued::Unchanged(_) => return Vec::new(),
            Enqueued::Queued(_) => {}
            Enqueued::Active(run_id) => panic!("{run_id} is active"),
        }
        let claimed = self.f.db.claim("test").await.unwrap().unwrap();
        self.finish(&claimed).await
    }

    /// Loads what counts of a claimed run's inputs, as the newest file of each day.
    async fn finish(&mut self, claimed: &ClaimedRun) -> Vec<String> {
        let mut inputs: Vec<_> = claimed.inputs.iter().collect();
        inputs.sort_by_key(|input| input.age);
        for input in inputs {
            let days = self.f.db.version_days(&[input.version_id]).await.unwrap();
            for day in days.values().flatten() {
                let named = input
                    .days
                    .named
                    .iter()
                    .find(|named| named.trans_date == day.trans_date);
                if named.is_none_or(|named| named.effect == DayEffect::Counts) {
                    let content = input.version.content_hash.clone();
                    self.warehouse.insert(day.trans_date.day(), content);
                }
            }
        }
        self.f.db.complete(&claimed.run_id, &LOADED).await.unwrap();
        let told = claimed.days_of_others.iter().map(|day| {
            let word = if day.is_newer { "newer" } else { "older" };
            format!("{}: {word}", day.trans_date.day())
        });
        told.collect()
    }

    fn stands(&self) -> Vec<String> {
        let days = self.warehouse.iter();
        days.map(|(day, content)| format!("{day} {content}")).collect()
    }
}

#[tokio::test]
async fn a_store_that_moved_to_another_job_stays_there() {
    let mut site = Site::new().await;
    site.send("west", "west/s1039", "w1", &[1, 2], 9).await;
    site.send("west", "west/s2", "x", &[], 9).await;
    assert_eq!(site.load("west").await, [""; 0]);
    site.send("mid", "mid/s1039", "m1", &[1, 2], 8).await;
    assert_eq!(site.load("mid").await, ["1: older", "2: older"]);
    assert_eq!(site.stands(), ["1 m1", "2 m1"]);
    // Another store of the old job sends.
    site.send("west", "west/s2", "x2", &[], 7).await;
    assert_eq!(site.load("west").await, ["1: newer", "2: newer"]);
    assert_eq!(site.stands(), ["1 m1", "2 m1"]);
    // The new job's file goes on to the next day, and does not mention the first one any more.
    site.send("mid", "mid/s1039", "m2", &[2, 3], 6).await;
    site.load("mid").await;
    site.send("west", "west/s2", "x3", &[], 5).await;
    assert_eq!(site.load("west").await, ["1: newer", "2: newer"]);
    assert_eq!(site.stands(), ["1 m1", "2 m2", "3 m2"]);
    // The store moves back.
    site.send("west", "west/s1039", "w2", &[2], 4).await;
    assert_eq!(site.load("west").await, ["2: older"]);
    assert_eq!(site.stands(), ["1 m1", "2 w2", "3 m2"]);
    let inputs = site.run("mid").inputs;
    let told = site.f.db.days_of_others(&[("mid", &inputs)]).await.unwrap();
    let told = &told[0];
    assert_eq!(
        (
            told[0].other_job.as_str(),
            told[0].other_file.as_str(),
            told[0].is_newer
        ),
        ("west", "west/s1039", true)
    );
    // The same files as before are work all the same: what counts of them has changed.
    assert_eq!(site.load("mid").await, ["2: newer"]);
    assert_eq!(site.load("mid").await, [""; 0], "now nothing has");
    assert_eq!(site.stands(), ["1 m1", "2 w2", "3 m2"]);
}

#[tokio::test]
async fn what_was_loaded_since_a_run_was_queued_counts() {
    let mut site = Site::new().await;
    site.send("west", "west/s1039", "w1", &[1], 9).await;
    site.load("west").await;
    site.send("mid", "mid/s1039", "m1", &[1], 8).await;
    site.send("west", "west/s2", "x", &[], 7).await;
    // Both are queued before either is loaded.
    for job in ["west", "mid"] {
        site.f.db.enqueue(&site.run(job)).await.unwrap();
    }
    let west = site.f.db.claim("test").await.unwrap().unwrap();
    assert_eq!(west.job_id, "west");
    // They hold the same day, so they are not in progress at the same time.
    assert_eq!(site.f.db.claim("test").await.unwrap(), None);
    // The process dies, and the order turns round.
    site.f.db.requeue(&west.run_id).await.unwrap();
    let mut shell = site.f.shell().await;
    shell
        .execute("UPDATE job_run SET sequence = sequence + 1000000 WHERE job_config_id = 'west'")
        .await
        .unwrap();
    let mid = site.f.db.claim("test").await.unwrap().unwrap();
    assert_eq!(mid.job_id, "mid");
    site.finish(&mid).await;
    let west = site.f.db.claim("test").await.unwrap().unwrap();
    site.finish(&west).await;
    assert_eq!(site.stands(), ["1 m1"]);
    // What was left out at the claim is kept with the run.
    let inputs = site.f.db.run_inputs(&west.run_id).await.unwrap();
    let left_out: usize = inputs.iter().map(|input| input.days.named.len()).sum();
    assert_eq!(left_out, 1);
    assert_eq!(site.load("west").await, [""; 0], "nothing has changed since");
}

#[tokio::test]
async fn jobs_that_share_no_day_run_at_the_same_time() {
    let mut site = Site::new().await;
    site.send("west", "west/s1039", "w1", &[1], 9).await;
    site.send("mid", "mid/s1039", "m1", &[2], 8).await;
    for job in ["west", "mid"] {
        site.f.db.enqueue(&site.run(job)).await.unwrap();
        assert!(site.f.db.claim("test").await.unwrap().is_some());
    }
}

/// Of a file, its days, and the place in the order of files and the content of its newest version.
type Newest = (Vec<i8>, (i64, usize), String);

#[tokio::test]
async fn random_histories_of_two_jobs_end_with_the_newest_file_of_each_day() {
    for seed in 0..12 {
        let mut state: u64 = seed;
        let mut below = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let mut site = Site::new().await;
        let mut files: BTreeMap<String, Newest> = BTreeMap::new();
        for step in 0..12 {
            let job = ["west", "mid"][below(2) as usize];
            let file = format!("{job}/{}", below(2));
            let all: [&[i8]; 3] = [&[1], &[2], &[1, 2]];
            let some = all[below(3) as usize].to_vec();
            let days = files.get(&file).map_or(some, |(days, ..)| days.clone());
            let (hours_ago, content) = (below(100) as i64, format!("{file}-{step}"));
            site.send(job, &file, &content, &days, hours_ago).await;
            files.insert(file, (days, (-hours_ago, step), content));
            // A file may have become older than another job's, so each job may have to run.
            for job in ["west", "mid", "west", "mid"] {
                if site.inputs.keys().any(|(of, _)| of == job) {
                    site.load(job).await;
                }
            }
            let mut newest: BTreeMap<i8, (&(i64, usize), &String)> = BTreeMap::new();
            for (days, age, content) in files.values() {
                for day in days {
                    let entry = newest.entry(*day).or_insert((age, content));
                    *entry = (*entry).max((age, content));
                }
            }
            let expected = newest
                .iter()
                .map(|(day, (_, content))| format!("{day} {content}"));
            assert_eq!(
                site.stands(),
                expected.collect::<Vec<_>>(),
                "seed {seed}, step {step}"
            );
        }
    }
}
