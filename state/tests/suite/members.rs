//! Which jobs take a file, which waves are open, and what touches them: by gristmill's own calls and by edits in SQL.

use crate::shell::Shell;
use gristmill_state::{
    AsksFor, Enqueued, JobConfig, Named, NewRun, OpenWave, Question, RunOutcome, RunResult, SameJob, StateDb,
    StateError, Taker, Takers, Waves,
};
use jiff::civil::Date;

use super::support::{Fixture, converted, failed, job, run, submission};

/// Jobs that take the files whose paths begin with their pattern, up to a `*`. What follows, up to the first `-`, is the
/// day if it is one. `params` holds the patterns that the job requires, as `{"requires":["Item*"],"after":["J1"]}`.
struct Jobs {
    edition: i64,
    rows: Vec<JobConfig>,
}

impl Jobs {
    async fn read(db: &StateDb) -> Self {
        let (rows, edition) = db.jobs_and_edition().await.unwrap();
        let rows = rows.into_iter().map(|row| row.config).collect();
        Self { edition, rows }
    }

    fn list(config: &JobConfig, key: &str) -> Vec<String> {
        let params: serde_json::Value = serde_json::from_str(&config.params).unwrap();
        let list = params[key].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }
}

fn start(pattern: &str) -> &str {
    pattern.trim_end_matches('*')
}

fn day(pattern: &str, path: &str) -> Option<Option<Date>> {
    let rest = path.strip_prefix(start(pattern))?;
    Some(rest.get(..10).and_then(|day| day.parse().ok()))
}

impl SameJob for Jobs {
    fn are_of_one_job(&self, _: &str, _: &str) -> bool {
        true
    }

    fn takers(&self) -> Option<&dyn Takers> {
        Some(self)
    }
}

impl Takers for Jobs {
    fn edition(&self) -> i64 {
        self.edition
    }

    fn takers(&self, file: Named<'_>) -> Vec<Taker> {
        let of_feed = self.rows.iter().filter(|job| job.feed == file.feed);
        let taker = |job: &JobConfig| {
            Some(Taker {
                job_id: job.id.clone(),
                wave: day(&job.files, file.file_url)?,
                store_id: file.store_id.map(str::to_owned),
            })
        };
        of_feed.filter_map(taker).collect()
    }

    fn required_by(&self, file_url: &str) -> Vec<(String, Option<Date>)> {
        let mut patterns: Vec<_> = self
            .rows
            .iter()
            .flat_map(|job| Self::list(job, "requires"))
            .collect();
        patterns.sort_unstable();
        patterns.dedup();
        let matching = patterns.into_iter();
        matching
            .filter_map(|pattern| Some((pattern.clone(), day(&pattern, file_url)?)))
            .collect()
    }

    fn asks_for(&self, job_id: &str) -> Option<AsksFor> {
        let job = self.rows.iter().find(|job| job.id == job_id)?;
        let requires = Self::list(job, "requires").into_iter();
        Some(AsksFor {
            start: start(&job.files).to_owned(),
            requires: requires
                .map(|pattern| (pattern.clone(), start(&pattern).to_owned()))
                .collect(),
            after: Self::list(job, "after"),
        })
    }
}

fn takes(id: &str, files: &str, params: &str) -> JobConfig {
    JobConfig {
        files: files.to_owned(),
        params: params.to_owned(),
        ..job(id)
    }
}

/// Records a valid file, matched by the jobs of now.
async fn send(f: &Fixture, path: &str, content: &str) {
    f.pass(1);
    let jobs = Jobs::read(&f.db).await;
    f.db.record(&[submission(path, converted(content))], &jobs)
        .await
        .unwrap();
}

async fn matched(f: &Fixture) {
    f.db.match_files(&Jobs::read(&f.db).await).await.unwrap();
}

/// The open waves that were touched since a revision, and the revision of now.
async fn touched(f: &Fixture, since: i64) -> (Vec<String>, i64) {
    let touched = f.db.touched_waves(since).await.unwrap();
    let mut waves: Vec<String> = touched
        .waves
        .into_iter()
        .map(|(job, wave)| job + &wave.map_or_else(String::new, |date| format!(" {date}")))
        .collect();
    waves.sort_unstable();
    (waves, touched.revision)
}

async fn column(shell: &mut Shell, sql: &str) -> Vec<String> {
    shell.column(sql).await
}

async fn execute(shell: &mut Shell, sql: &str) {
    shell.execute(sql).await.unwrap();
}

const MEMBERS: &str = "SELECT job_config_id || ' ' || file_url || ' ' || wave FROM job_file
     JOIN ingested_file_status USING (file_id) ORDER BY 1";
const WITHOUT_JOB: &str =
    "SELECT file_url FROM file_without_job JOIN ingested_file_status USING (file_id) ORDER BY 1";

#[tokio::test]
async fn files_are_matched_when_they_are_recorded_and_jobs_when_they_are_edited() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    f.db.add_jobs(&[takes("J1", "IL-*", "{}"), takes("J2", "d/*", "{}")])
        .await
        .unwrap();
    for path in ["IL-1", "d/2026-03-01-1", "CA-1"] {
        send(&f, path, "a").await;
    }
    assert_eq!(
        column(&mut shell, MEMBERS).await,
        ["J1 IL-1 ", "J2 d/2026-03-01-1 2026-03-01"]
    );
    assert_eq!(column(&mut shell, WITHOUT_JOB).await, ["CA-1"]);

    execute(
        &mut shell,
        "UPDATE aggr_job_configuration SET job_input_pattern = 'CA-*' WHERE job_config_id = 'J1'",
    )
    .await;
    matched(&f).await;
    assert_eq!(
        column(&mut shell, MEMBERS).await,
        ["J1 CA-1 ", "J2 d/2026-03-01-1 2026-03-01"]
    );
    assert_eq!(column(&mut shell, WITHOUT_JOB).await, ["IL-1"]);
    assert_eq!(f.db.jobs_without_files().await.unwrap(), [""; 0]);

    // A file of another feed, by hand; and one that is deleted.
    execute(
        &mut shell,
        "UPDATE ingested_file_status SET feed = 'items' WHERE file_url = 'CA-1'",
    )
    .await;
    shell.forget_foreign_keys().await;
    execute(
        &mut shell,
        "DELETE FROM ingested_file_status WHERE file_url = 'd/2026-03-01-1'",
    )
    .await;
    matched(&f).await;
    assert_eq!(column(&mut shell, MEMBERS).await, [""; 0]);
    assert_eq!(column(&mut shell, WITHOUT_JOB).await, ["CA-1", "IL-1"]);
    assert_eq!(f.db.jobs_without_files().await.unwrap(), ["J1", "J2"]);

    execute(
        &mut shell,
        "DELETE FROM aggr_job_configuration WHERE job_config_id = 'J1'",
    )
    .await;
    matched(&f).await;
    assert_eq!(
        column(&mut shell, "SELECT job_config_id FROM job_to_match").await,
        [""; 0]
    );
}

#[tokio::test]
async fn files_are_not_matched_with_the_jobs_of_before() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[takes("J1", "IL-*", "{}")]).await.unwrap();
    let before = Jobs::read(&f.db).await;
    f.db.add_jobs(&[takes("J2", "IL-*", "{}")]).await.unwrap();
    let file = [submission("IL-1", converted("a"))];
    let error = f.db.record(&file, &before).await.unwrap_err();
    assert!(matches!(error, StateError::JobsEdited), "{error}");
    assert!(f.db.file("IL-1").await.unwrap().is_none(), "nothing was recorded");
    let error = f.db.match_files(&before).await.unwrap_err();
    assert!(matches!(error, StateError::JobsEdited), "{error}");
    // The state of a run is no edit.
    matched(&f).await;
    let jobs = Jobs::read(&f.db).await;
    let inputs = f.valid(&[("IL-1", "a")]).await;
    f.running(&run("J1", &inputs)).await;
    assert_eq!(f.db.job_edition().await.unwrap(), jobs.edition());
}

#[tokio::test]
async fn required_files_are_matched_once_for_all_jobs() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    send(&f, "Item-2026-03-01", "a").await;
    send(&f, "Item-2026-03-02", "a").await;
    let requires = r#"{"requires":["Item-*"]}"#;
    f.db.add_jobs(&[takes("J1", "IL-*", requires), takes("J2", "CA-*", requires)])
        .await
        .unwrap();
    matched(&f).await;
    let required = "SELECT pattern || ' ' || wave FROM required_file ORDER BY 1";
    assert_eq!(
        column(&mut shell, required).await,
        ["Item-* 2026-03-01", "Item-* 2026-03-02"]
    );
    // The newest of all days, or those of the days that are asked about.
    let question = |is_dated, waves| Question {
        job_id: "J1",
        waves,
        is_dated,
        expects_earlier_stores: true,
        requires: vec!["Item-*"],
        after: Vec::new(),
        strays_of_feed: None,
    };
    let urls = async |question: Question<'_>| {
        let facts = f.db.facts(&question).await.unwrap();
        let urls = facts.required.into_iter().map(|file| file.file_url);
        urls.collect::<Vec<_>>()
    };
    assert_eq!(urls(question(false, Waves::All)).await, ["Item-2026-03-02"]);
    let first = Waves::These([Some("2026-03-01".parse().unwrap())].into());
    assert_eq!(urls(question(true, first)).await, ["Item-2026-03-01"]);
    // Nobody requires them any more.
    for edit in [
        "UPDATE aggr_job_configuration SET job_params = '{}' WHERE job_config_id = 'J1'",
        "UPDATE aggr_job_configuration SET job_params = '{}' WHERE job_config_id = 'J2'",
    ] {
        execute(&mut shell, edit).await;
        matched(&f).await;
    }
    assert_eq!(column(&mut shell, required).await, [""; 0]);
}

#[tokio::test]
async fn only_what_a_verdict_rests_on_touches_a_wave() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    f.db.add_jobs(&[
        takes("J1", "d/*", "{}"),
        takes("J2", "IL-*", r#"{"requires":["Item*"],"after":["J1"]}"#),
        takes("J3", "CA-*", "{}"),
    ])
    .await
    .unwrap();
    for path in ["d/2026-03-01-1", "d/2026-03-02-1", "IL-1", "CA-1"] {
        send(&f, path, "a").await;
    }
    let (all, mut now) = touched(&f, -1).await;
    assert_eq!(all, ["J1 2026-03-01", "J1 2026-03-02", "J2", "J3"]);
    let mut since = async |f: &Fixture| {
        let (waves, revision) = touched(f, now).await;
        now = revision;
        waves
    };
    send(&f, "d/2026-03-02-1", "b").await;
    assert_eq!(since(&f).await, ["J1 2026-03-02"]);
    send(&f, "d/2026-03-01-2", "a").await;
    assert_eq!(since(&f).await, ["J1 2026-03-01"], "a new file");
    send(&f, "Item", "a").await;
    assert_eq!(since(&f).await, ["J2"], "what it requires");
    send(&f, "Item", "b").await;
    assert_eq!(since(&f).await, ["J2"]);
    send(&f, "other", "a").await;
    f.db.look_again(&["IL-1".to_owned()]).await.unwrap();
    assert_eq!(since(&f).await, [""; 0]);
    f.record("CA-1", failed("a test")).await;
    assert_eq!(since(&f).await, ["J3"]);
    f.db.set_enabled("J3", false).await.unwrap();
    assert_eq!(since(&f).await, ["J3"]);
    execute(
        &mut shell,
        "UPDATE aggr_job_configuration SET job_min_file_count = 2 WHERE job_config_id = 'J1'",
    )
    .await;
    assert_eq!(since(&f).await, ["J1 2026-03-01", "J1 2026-03-02"]);
    execute(
        &mut shell,
        "UPDATE ingested_file_status SET version_id = NULL, valid_submission_id = NULL WHERE file_url = 'IL-1'",
    )
    .await;
    assert_eq!(since(&f).await, ["J2"], "an edit in SQL");
    shell.forget_foreign_keys().await;
    execute(
        &mut shell,
        "DELETE FROM ingested_file_status WHERE file_url = 'd/2026-03-01-2'",
    )
    .await;
    assert_eq!(since(&f).await, ["J1 2026-03-01"]);

    // A run that begins touches nothing; one that ends touches its own wave, and the job that follows it.
    let inputs = f.valid(&[("d/2026-03-02-1", "b")]).await;
    since(&f).await;
    let of_day = NewRun {
        wave: Some("2026-03-02".parse().unwrap()),
        ..run("J1", &inputs)
    };
    let run_id = f.running(&of_day).await;
    assert_eq!(since(&f).await, [""; 0]);
    let result = RunResult {
        outcome: RunOutcome::Loaded,
        changes: None,
    };
    f.db.complete(&run_id, &result).await.unwrap();
    assert_eq!(since(&f).await, ["J1 2026-03-02", "J2"]);
    // One that has nothing to do ends at once.
    let again = f.db.enqueue(&of_day).await.unwrap();
    let Enqueued::Unchanged(again) = again else {
        panic!("{again:?}")
    };
    assert_eq!(since(&f).await, ["J1 2026-03-02", "J2"]);
    let (first, second) = (f.db.run_inputs(&run_id).await, f.db.run_inputs(&again).await);
    assert_eq!(first.unwrap(), second.unwrap());
    let copied = "SELECT run_id FROM job_run_input GROUP BY run_id";
    assert_eq!(column(&mut shell, copied).await, [run_id]);
    execute(&mut shell, "DELETE FROM job_run WHERE outcome = 'UNCHANGED'").await;
    assert_eq!(since(&f).await, ["J1 2026-03-02", "J2"]);
}

#[tokio::test]
async fn a_wave_that_was_touched_meanwhile_is_not_closed() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[takes("J1", "IL-*", "{}")]).await.unwrap();
    send(&f, "IL-1", "a").await;
    let question = Question {
        job_id: "J1",
        waves: Waves::All,
        is_dated: false,
        expects_earlier_stores: true,
        requires: Vec::new(),
        after: Vec::new(),
        strays_of_feed: None,
    };
    let open = async || f.db.facts(&question).await.unwrap().open.get(&None).copied();
    let wave = |touched| OpenWave {
        job_id: "J1".to_owned(),
        wave: None,
        touched,
    };
    let before = open().await.unwrap();
    send(&f, "IL-1", "b").await;
    f.db.close_waves(&[wave(before)]).await.unwrap();
    let now = open().await.expect("it is still open");
    assert!(now > before);
    f.db.close_waves(&[wave(now)]).await.unwrap();
    assert_eq!(open().await, None);
    assert_eq!(touched(&f, -1).await.0, [""; 0]);
    send(&f, "IL-1", "b").await;
    assert!(open().await.is_some(), "the same bytes are a report, too");
}

#[tokio::test]
async fn of_files_that_are_matched_for_the_first_time_only_the_waves_with_something_to_do_are_opened() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    f.db.add_jobs(&[takes("J1", "d/*", "{}")]).await.unwrap();
    for path in ["d/2026-03-01-1", "d/2026-03-02-1", "d/2026-03-03-1"] {
        send(&f, path, "a").await;
    }
    let result = RunResult {
        outcome: RunOutcome::Loaded,
        changes: None,
    };
    for day in ["2026-03-01", "2026-03-02"] {
        let inputs = f.valid(&[(&format!("d/{day}-1"), "a")]).await;
        let of_day = NewRun {
            wave: Some(day.parse().unwrap()),
            ..run("J1", &inputs)
        };
        let run_id = f.running(&of_day).await;
        f.db.complete(&run_id, &result).await.unwrap();
    }
    // The first day has nothing new, the second has, and the third has no run.
    send(&f, "d/2026-03-02-2", "a").await;
    let forget = "DELETE FROM job_file; DELETE FROM open_wave;
                  INSERT INTO file_to_match SELECT file_id FROM ingested_file_status";
    execute(&mut shell, forget).await;
    matched(&f).await;
    assert_eq!(touched(&f, -1).await.0, ["J1 2026-03-02", "J1 2026-03-03"]);
    // A wave that is open is touched, whatever the file.
    let (_, now) = touched(&f, -1).await;
    let forget = "DELETE FROM job_file; DELETE FROM open_wave WHERE wave <> '2026-03-02';
                  INSERT INTO file_to_match SELECT file_id FROM ingested_file_status WHERE file_url = 'd/2026-03-02-1'";
    execute(&mut shell, forget).await;
    matched(&f).await;
    assert_eq!(touched(&f, now).await.0, ["J1 2026-03-02"]);
}

#[tokio::test]
async fn more_files_than_one_transaction_takes_are_all_matched() {
    let f = Fixture::new().await;
    let mut shell = f.shell().await;
    f.db.add_jobs(&[takes("J1", "IL-*", "{}")]).await.unwrap();
    let fill = "
        INSERT INTO ingested_file_status
               (file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp)
        WITH RECURSIVE file (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM file WHERE number < 20100)
        SELECT 'IL-' || number, 'sales', 'SUBMITTED', '2026-03-01T00:00:00.000000Z', '2026-03-01T00:00:00.000000Z'
          FROM file";
    execute(&mut shell, fill).await;
    // A file whose row is gone keeps nobody waiting.
    execute(&mut shell, "INSERT INTO file_to_match VALUES (1000000)").await;
    matched(&f).await;
    let members = "SELECT count(*) || ' of ' || max(file_id) FROM job_file";
    assert_eq!(column(&mut shell, members).await, ["20100 of 20100"]);
    let left = "SELECT CAST(file_id AS TEXT) FROM file_to_match";
    assert_eq!(column(&mut shell, left).await, ["1000000"]);
    // What follows is recorded and matched as ever.
    send(&f, "IL-new", "a").await;
    assert_eq!(touched(&f, -1).await.0, ["J1"]);
}
