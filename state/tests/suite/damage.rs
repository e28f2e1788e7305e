//! Impossible values: what is written from now on is refused; what an old database holds stops only what it is about.

use gristmill_state::{FileFilter, RunFilter, StateDb, StateError};

use crate::shell::Shell;
use crate::support::{Fixture, converted, job, known_stamps, run};

const NO_TIME: &str = "2026-02-30T99:00:00.000000Z";

/// Writes what the triggers refuse, as an earlier version allowed.
async fn garble(f: &Fixture, sql: &str) {
    let mut shell = f.shell().await;
    let (off, on) = match &shell {
        Shell::Sqlite(_) => {
            let triggers =
                "FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%\\_values\\_%' ESCAPE '\\'";
            (
                format!("SELECT 'DROP TRIGGER ' || name {triggers}"),
                format!("SELECT sql {triggers}"),
            )
        }
        Shell::MySql(_) => {
            let triggers = "FROM information_schema.triggers
                             WHERE trigger_schema = database() AND trigger_name LIKE '%\\_values\\_%'";
            let creation = "'CREATE TRIGGER ' || trigger_name || ' ' || action_timing || ' ' || event_manipulation || ' ON '
                || event_object_table || ' FOR EACH ROW ' || action_statement";
            (
                format!("SELECT 'DROP TRIGGER ' || trigger_name {triggers}"),
                format!("SELECT {creation} {triggers}"),
            )
        }
        Shell::Postgres(_) => {
            let triggers = "FROM pg_trigger WHERE tgname LIKE '%\\_values'";
            let set = |word: &str| {
                format!(
                    "SELECT format('ALTER TABLE %s {word} TRIGGER %I', tgrelid::regclass, tgname) {triggers}"
                )
            };
            (set("DISABLE"), set("ENABLE"))
        }
    };
    let (off, on) = (shell.column(&off).await, shell.column(&on).await);
    assert!(off.len() > 10);
    for statement in off
        .iter()
        .map(String::as_str)
        .chain([sql])
        .chain(on.iter().map(String::as_str))
    {
        shell.execute(statement).await.unwrap();
    }
}

/// Two jobs, each with a file and a queued run.
async fn two_jobs() -> Fixture {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    let inputs = f.valid(&[("IL-1.tdf", "a"), ("IL-2.tdf", "b")]).await;
    for (id, input) in [("J101", &inputs[0]), ("J102", &inputs[1])] {
        let run = run(id, std::slice::from_ref(input));
        f.db.enqueue(&run).await.unwrap();
    }
    f
}

#[tokio::test]
async fn what_is_no_time_no_day_or_negative_is_refused() {
    let f = two_jobs().await;
    let mut shell = f.shell().await;
    for (statement, column) in [
        (
            "UPDATE aggr_job_configuration SET last_run_timestamp = '?'",
            "last_run_timestamp",
        ),
        (
            "UPDATE ingested_file_status SET last_validated_timestamp = '?'",
            "last_validated_timestamp",
        ),
        ("UPDATE ingested_file_status SET stamp_bytes = -5", "stamp_bytes"),
        (
            "UPDATE ingested_file_status SET business_date = '2026-02-30'",
            "business_date",
        ),
        ("UPDATE file_version SET first_date = 'soon'", "first_date"),
        ("UPDATE job_run SET queued_timestamp = '?'", "queued_timestamp"),
        (
            "UPDATE job_run SET queued_timestamp = '2026-11-23T24:00:00.000000Z'",
            "queued_timestamp",
        ),
        (
            "UPDATE job_run SET queued_timestamp = '2026-11-23T08:15:00.123Z'",
            "queued_timestamp",
        ),
        ("UPDATE job_run SET attempts = -1", "attempts"),
        ("UPDATE job_run SET wave = '2026-02-29'", "wave"),
        (
            "UPDATE submission SET submitted_timestamp = '?'",
            "submitted_timestamp",
        ),
        (
            "INSERT INTO unmatched_file VALUES ('x', -1, 0, '2026-11-23T08:15:00.123456Z')",
            "bytes",
        ),
    ] {
        let refused = shell.execute(&statement.replace('?', NO_TIME)).await.unwrap_err();
        assert!(refused.contains(column), "{statement}: {refused}");
    }
    let possible = "UPDATE job_run SET started_timestamp = '2024-02-29T23:59:59.999999Z', wave = '2024-02-29'
                     WHERE job_config_id = 'J101'";
    shell.execute(possible).await.unwrap();
}

#[tokio::test]
async fn a_row_with_an_old_impossible_value_can_still_be_written() {
    let f = two_jobs().await;
    garble(
        &f,
        &format!("UPDATE ingested_file_status SET last_validated_timestamp = '{NO_TIME}'"),
    )
    .await;
    f.db.look_again(&["IL-1.tdf".to_owned()]).await.unwrap();
    f.record("IL-1.tdf", converted("c")).await;
    let file = f.db.file("IL-1.tdf").await.unwrap().unwrap();
    assert!(file.last_validated.is_some(), "its next submission mends it");
}

#[tokio::test]
async fn a_time_of_a_job_that_is_none_stops_that_job_alone() {
    let f = two_jobs().await;
    let garbled = "UPDATE aggr_job_configuration SET last_run_timestamp = '?' WHERE job_config_id = 'J101'";
    garble(&f, &garbled.replace('?', NO_TIME)).await;
    let jobs = f.db.jobs().await.unwrap();
    assert_eq!(jobs.len(), 2, "files still belong to both");
    let damage = jobs[0].damage.as_ref().unwrap().to_string();
    for word in [
        "J101",
        "aggr_job_configuration.last_run_timestamp",
        NO_TIME,
        "correct it",
    ] {
        assert!(damage.contains(word), "{damage}");
    }
    assert!(jobs[1].damage.is_none());
    assert_eq!(f.facts("J101").await.damages.len(), 1);
    assert!(f.facts("J102").await.damages.is_empty());
}

#[tokio::test]
async fn a_run_with_an_impossible_value_waits_and_the_next_one_is_claimed() {
    let f = two_jobs().await;
    let garbled = "UPDATE job_run SET queued_timestamp = '?' WHERE job_config_id = 'J101'";
    garble(&f, &garbled.replace('?', NO_TIME)).await;
    assert_eq!(f.db.runs(&RunFilter::default()).await.unwrap().len(), 1);
    let facts = f.facts("J101").await;
    assert_eq!(facts.damages[0].job_id.as_deref(), Some("J101"));
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().job_id, "J102");
    assert!(f.db.claim("test").await.unwrap().is_none());
    assert!(!f.db.damages().is_empty());
}

#[tokio::test]
async fn a_run_whose_file_holds_an_impossible_value_waits() {
    let f = two_jobs().await;
    garble(
        &f,
        "UPDATE file_version SET first_date = 'soon'
          WHERE file_id = (SELECT file_id FROM ingested_file_status WHERE file_url = 'IL-1.tdf')",
    )
    .await;
    assert_eq!(f.db.claim("test").await.unwrap().unwrap().job_id, "J102");
    assert!(f.db.claim("test").await.unwrap().is_none());
    let error = f.db.run_inputs(&run_of(&f, "J101").await).await.unwrap_err();
    assert!(
        matches!(&error, StateError::Damaged { damage, .. } if damage.column == "first_date"),
        "{error}"
    );
}

async fn run_of(f: &Fixture, job: &str) -> String {
    let runs = f.db.runs(&RunFilter::default()).await.unwrap();
    runs.into_iter().find(|run| run.job_id == job).unwrap().run_id
}

#[tokio::test]
async fn a_run_that_was_interrupted_is_settled_whatever_its_times_say() {
    let f = two_jobs().await;
    let run_id = f.db.claim("test").await.unwrap().unwrap().run_id;
    garble(
        &f,
        &format!("UPDATE job_run SET started_timestamp = '{NO_TIME}', attempts = -3"),
    )
    .await;
    let running = f.db.running().await.unwrap();
    assert_eq!((running.len(), running[0].attempts), (1, 0));
    f.db.requeue(&run_id).await.unwrap();
}

#[tokio::test]
async fn a_file_with_an_impossible_value_is_told_and_the_others_are_read() {
    let f = two_jobs().await;
    garble(
        &f,
        &format!(
            "UPDATE ingested_file_status SET last_validated_timestamp = '{NO_TIME}', stamp_bytes = -5
              WHERE file_url = 'IL-1.tdf'"
        ),
    )
    .await;
    let files = f.db.files(&FileFilter::default()).await.unwrap();
    assert_eq!(files.len(), 1);
    let facts = f.facts("J101").await;
    assert_eq!(facts.files.len(), 1);
    assert_eq!(facts.damages[0].file_url.as_deref(), Some("IL-1.tdf"));
    let layout = |_: &str, _: &str| Some(crate::support::LAYOUT.to_owned());
    let known = known_stamps(&f.db, layout).await;
    assert!(
        !known.contains_key("IL-1.tdf") && known.contains_key("IL-2.tdf"),
        "a stamp that no file can have has the file read again: {known:?}"
    );
    assert!(matches!(
        f.db.file("IL-1.tdf").await,
        Err(StateError::Impossible { .. })
    ));
    let one = f.db.files_to_put_away("", "", 9).await.unwrap();
    assert!(one.iter().all(|file| file.file_url != "IL-1.tdf"));
}

#[tokio::test]
async fn the_database_opens_whatever_it_holds() {
    let f = two_jobs().await;
    garble(
        &f,
        &format!(
            "UPDATE aggr_job_configuration SET last_run_timestamp = '{NO_TIME}';
             UPDATE ingested_file_status SET last_validated_timestamp = '{NO_TIME}', stamp_bytes = -5;
             UPDATE file_version SET created_timestamp = 'x', last_date = 'y';
             UPDATE submission SET submitted_timestamp = 'z';
             UPDATE job_run SET queued_timestamp = '{NO_TIME}'"
        ),
    )
    .await;
    let again: StateDb = f.open_again().await;
    assert_eq!(again.jobs().await.unwrap().len(), 2);
    assert!(again.files(&FileFilter::default()).await.unwrap().is_empty());
    assert!(again.runs(&RunFilter::default()).await.unwrap().is_empty());
    assert!(again.claim("test").await.unwrap().is_none());
    assert!(again.held().await.unwrap().is_empty());
    assert!(again.ledger_news(None).await.unwrap().lost.is_empty());
    assert!(again.files_to_look_at().await.unwrap().is_empty());
    // A new submission is recorded all the same.
    f.record("IL-1.tdf", converted("c")).await;
}
