//! Which of two files of the same store and day is the newer, and that the digest of a run's inputs follows that order.

use std::collections::BTreeMap;

use gristmill_state::{
    Age, Enqueued, InputDays, NewRun, RunInput, RunOutcome, RunResult, Stamp, SubmissionOutcome,
    SubmissionRecord,
};

use crate::support::{Fixture, converted, job, one_job, run, stamp, submission, unchanged};

const LOADED: RunResult = RunResult {
    outcome: RunOutcome::Loaded,
    changes: None,
};
const HOUR: i64 = 3600;

/// A site whose clock the test sets by hours.
struct Site {
    f: Fixture,
    /// The hour that the clock shows.
    hour: i64,
    inputs: BTreeMap<String, RunInput>,
}

impl Site {
    async fn new() -> Self {
        let f = Fixture::new().await;
        f.db.add_jobs(&[job("J101")]).await.unwrap();
        Self {
            f,
            hour: 0,
            inputs: BTreeMap::new(),
        }
    }

    fn at(&mut self, hour: i64) {
        self.f.pass((hour - self.hour) * HOUR);
        self.hour = hour;
    }

    /// A file as it looks when it was written at this hour of the clock that the site began with.
    fn written(&self, hour: i64) -> Stamp {
        let began = "2026-11-23T08:15:00.123456Z".parse::<jiff::Timestamp>().unwrap();
        Stamp {
            modified_ns: began.as_nanosecond() as i64 + hour * HOUR * 1_000_000_000,
            ..stamp(10)
        }
    }

    /// Records a file that was written at this hour, and puts it in force.
    async fn send(&mut self, file_url: &str, written: i64, outcome: SubmissionOutcome) {
        let record = SubmissionRecord {
            stamp: self.written(written),
            ..submission(file_url, outcome)
        };
        let submission_id = self.f.db.record(&[record], &one_job).await.unwrap()[0].submission_id;
        let file = self.f.db.file(file_url).await.unwrap().unwrap();
        let version_id = file.in_force.unwrap().version_id;
        let input = RunInput {
            file_id: file.file_id,
            version_id,
            submission_id,
            days: InputDays::default(),
        };
        self.inputs.insert(file_url.to_owned(), input);
    }

    fn run(&self) -> NewRun {
        let inputs: Vec<_> = self.inputs.values().cloned().collect();
        NewRun {
            order_matters: true,
            ..run("J101", &inputs)
        }
    }

    /// Runs the job; returns its inputs by name from the oldest to the newest, or `None` if there was nothing to do.
    async fn runs(&mut self) -> Option<Vec<String>> {
        let run_id = match self.f.db.enqueue(&self.run()).await.unwrap() {
            Enqueued::Queued(run_id) => run_id,
            Enqueued::Unchanged(_) => return None,
            Enqueued::Active(run_id) => panic!("{run_id} is active"),
        };
        let claimed = self.f.db.claim("test").await.unwrap().unwrap();
        self.f.db.complete(&run_id, &LOADED).await.unwrap();
        let mut files: Vec<(Age, String)> = claimed
            .inputs
            .into_iter()
            .map(|input| (input.age, input.version.content_hash))
            .collect();
        files.sort();
        Some(files.into_iter().map(|(_, content)| content).collect())
    }
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn a_file_that_was_written_again_is_the_newer_even_with_the_same_bytes() {
    let mut site = Site::new().await;
    site.at(13);
    site.send("B", 11, converted("b")).await;
    site.send("A", 9, converted("a")).await;
    assert_eq!(site.runs().await, names(&["a", "b"]), "by the time of writing");
    site.send("A", 9, unchanged("a")).await;
    assert_eq!(site.runs().await, None, "A is only reported once more");
    site.send("A", 12, unchanged("a")).await;
    assert_eq!(site.runs().await, names(&["b", "a"]));
    site.send("B", 12, unchanged("b")).await;
    assert_eq!(site.runs().await, names(&["a", "b"]), "then by submission");
}

#[tokio::test]
async fn a_clock_that_runs_ahead_does_not_suppress_corrections() {
    let mut site = Site::new().await;
    let far = 40_000;
    site.at(1);
    site.send("A", far, converted("a")).await;
    assert!(
        site.written(far)
            .seconds_ahead("2026-11-23T09:15:00Z".parse().unwrap())
            > Some(0)
    );
    assert_eq!(site.f.db.written_ahead().await.unwrap()[0].0, "A");
    assert_eq!(site.runs().await, names(&["a"]));
    site.at(2);
    site.send("B", 2, converted("b")).await;
    assert_eq!(site.runs().await, names(&["a", "b"]));
    // A is read again, because its layout changed or a person asked for it: that makes it no newer.
    site.at(3);
    site.send("A", far, unchanged("a")).await;
    assert_eq!(site.runs().await, None);
    site.at(4);
    site.send("A", far, unchanged("a")).await;
    assert_eq!(site.runs().await, None);
    // Other bytes are another writing, whatever the stamp says.
    site.at(5);
    site.send("A", far, converted("a2")).await;
    assert_eq!(site.runs().await, names(&["b", "a2"]));
    site.at(6);
    site.send("B", 6, unchanged("b")).await;
    assert_eq!(site.runs().await, names(&["a2", "b"]));
    assert_eq!(site.f.db.written_ahead().await.unwrap().len(), 1);
}

/// Numbers that look random, and are the same in each run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A slow model: all that was ever sent, in the order in which it came.
#[derive(Default)]
struct Model(Vec<Sent>);

struct Sent {
    file: String,
    bytes: String,
    /// The time of writing that its stamp says.
    said: i64,
    arrived: i64,
}

impl Model {
    /// The files in force, from the oldest to the newest.
    fn in_order(&self) -> Vec<String> {
        let mut files = BTreeMap::new();
        for (number, sent) in self.0.iter().enumerate() {
            // The same writing may have been read several times in succession: its first arrival bounds it.
            let of_file = self.0[..=number]
                .iter()
                .rev()
                .filter(|other| other.file == sent.file);
            let first = of_file
                .take_while(|other| other.bytes == sent.bytes && other.said == sent.said)
                .last();
            let arrived = first.map_or(sent.arrived, |first| first.arrived);
            files.insert(&sent.file, ((sent.said.min(arrived), number), &sent.bytes));
        }
        let mut files: Vec<_> = files.into_values().collect();
        files.sort();
        files.into_iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// What a run makes of the files: for each day the newest file that holds it. The bytes name the days.
    fn result(files: &[String]) -> BTreeMap<char, &str> {
        let mut days = BTreeMap::new();
        for bytes in files {
            let (held, _) = bytes.split_once('-').unwrap();
            days.extend(held.chars().map(|day| (day, bytes.as_str())));
        }
        days
    }
}

#[tokio::test]
async fn over_random_histories_runs_do_what_the_model_says() {
    for seed in 0..25 {
        let (mut random, mut site, mut model) = (Random(seed), Site::new().await, Model::default());
        let mut loaded: Vec<String> = Vec::new();
        let mut hour = 10;
        for step in 0..20 {
            hour += random.below(2) as i64;
            site.at(hour);
            let file = format!("F{}", random.below(3));
            // Days 1 and 2, in one of two states; sometimes ahead of the clock, mostly a little behind.
            let days = ["1", "2", "12"][random.below(3) as usize];
            let bytes = format!("{days}-{file}{}", random.below(2));
            let said = match random.below(5) {
                0 => 50_000,
                _ => hour - random.below(4) as i64,
            };
            let is_known = model
                .0
                .iter()
                .any(|sent| sent.file == file && sent.bytes == bytes);
            let outcome = if is_known {
                unchanged(&bytes)
            } else {
                converted(&bytes)
            };
            site.send(&file, said, outcome).await;
            model.0.push(Sent {
                file,
                bytes,
                said,
                arrived: hour,
            });
            let expected = model.in_order();
            match site.runs().await {
                Some(files) => {
                    assert_eq!(files, expected, "seed {seed}, step {step}");
                    loaded = files;
                }
                None => assert_eq!(
                    Model::result(&loaded),
                    Model::result(&expected),
                    "seed {seed}, step {step}: UNCHANGED, but the result is another"
                ),
            }
        }
    }
}
