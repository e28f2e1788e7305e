//! Services on a real server, each in a process of its own that is killed, or stands still for longer than its lease.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::dialect::query_scalar;
use crate::testing::{execute, on_servers, place};
use crate::{StateDb, SystemClock};

/// The time of a lease in these tests.
const SHORT: Duration = Duration::from_secs(2);

/// Where [`a_service_of_its_own`] finds its database.
const URL: &str = "GRISTMILL_TEST_STATE";

on_servers! {
    a_killed_service_is_followed_once_its_lease_is_over
    a_service_that_stood_still_writes_nothing_after_another_took_over
    a_service_that_stood_still_goes_on_if_nobody_took_over
    a_second_service_is_refused_and_a_stopped_one_is_followed_at_once
    commands_write_beside_the_service
    a_service_that_was_followed_does_not_migrate
    of_many_first_starts_at_once_one_works
}

async fn begin(url: &str) -> Result<(Service, StateDb), StateError> {
    let service = Service::begin_for(&place(url), SHORT).await?;
    let state = StateDb::open_for(&service, Arc::new(SystemClock)).await?;
    Ok((service, state))
}

/// A process that is the service of a database, and writes all the time. It prints a line for each write, and why it ended.
struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one, and waits for its first write.
    fn start(url: &str) -> Self {
        let mut child = Command::new("/proc/self/exe")
            .args([
                "service::tests::a_service_of_its_own",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines };
        process.until("wrote");
        process
    }

    /// Reads until a line begins with these words, and returns the rest of it.
    fn until(&mut self, words: &str) -> String {
        loop {
            let line = self
                .lines
                .next()
                .unwrap_or_else(|| panic!("it ended without {words:?}"))
                .unwrap();
            // What the test runner prints goes on in the same line.
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "other tests start it as a process of its own"]
async fn a_service_of_its_own() {
    let url = std::env::var(URL).expect("started by another test");
    let (service, state) = begin(&url).await.unwrap();
    let writing = async {
        loop {
            if let Err(error) = state.look_again(&["a".to_owned()]).await {
                return error;
            }
            println!("\nwrote");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (lost, refused) = tokio::join!(service.lost(), writing);
    println!("\nlost: {lost}");
    println!("\nrefused: {refused}");
}

/// How many writes the database counts.
async fn writes(url: &str) -> i64 {
    let reading = place(url).reading().connect().await;
    let writes = query_scalar("SELECT writes FROM writer");
    writes.fetch_one(&mut reading.unwrap()).await.unwrap()
}

async fn a_killed_service_is_followed_once_its_lease_is_over(url: String) {
    let killed = Process::start(&url);
    killed.signal("KILL");
    let begun = Instant::now();
    let (service, state) = begin(&url).await.unwrap();
    assert!(begun.elapsed() < SHORT * 2, "{:?}", begun.elapsed());
    assert_eq!(service.epoch(), Some(2));
    let holder = state.service().await.unwrap().unwrap();
    assert_eq!(holder.pid, Some(std::process::id()));
    state.look_again(&["a".to_owned()]).await.unwrap();
}

async fn a_service_that_stood_still_writes_nothing_after_another_took_over(url: String) {
    let mut paused = Process::start(&url);
    paused.signal("STOP");
    let (_service, state) = begin(&url).await.unwrap();
    state.look_again(&["a".to_owned()]).await.unwrap();
    let before = writes(&url).await;
    paused.signal("CONT");
    for (end, part) in [
        ("lost: ", "another one has taken over"),
        ("refused: ", "another one has taken over"),
    ] {
        let said = paused.until(end);
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(writes(&url).await, before);
    // The one that took over goes on.
    state.look_again(&["a".to_owned()]).await.unwrap();
    assert_eq!(writes(&url).await, before + 1);
}

async fn a_service_that_stood_still_goes_on_if_nobody_took_over(url: String) {
    let mut paused = Process::start(&url);
    paused.signal("STOP");
    tokio::time::sleep(SHORT * 2).await;
    let before = writes(&url).await;
    paused.signal("CONT");
    for _ in 0..5 {
        paused.until("wrote");
    }
    assert!(writes(&url).await > before);
}

async fn a_second_service_is_refused_and_a_stopped_one_is_followed_at_once(url: String) {
    let (first, state) = begin(&url).await.unwrap();
    let error = begin(&url).await.map(drop).unwrap_err();
    assert!(matches!(error, StateError::Leased { .. }), "{error}");
    state.close().await.unwrap();
    first.end().await.unwrap();
    assert_eq!(
        StateDb::open_to_read(place(&url), Arc::new(SystemClock))
            .await
            .unwrap()
            .service()
            .await
            .unwrap(),
        None
    );
    let begun = Instant::now();
    begin(&url).await.unwrap();
    assert!(begun.elapsed() < SHORT / 2, "{:?}", begun.elapsed());
}

async fn commands_write_beside_the_service(url: String) {
    let (_service, state) = begin(&url).await.unwrap();
    let beside = StateDb::open_beside(place(&url), Arc::new(SystemClock))
        .await
        .unwrap();
    beside.look_again(&["a".to_owned()]).await.unwrap();
    state.look_again(&["b".to_owned()]).await.unwrap();
    assert!(state.name().await.unwrap().is_some());
    assert_eq!(state.name().await.unwrap(), beside.name().await.unwrap());
}

async fn a_service_that_was_followed_does_not_migrate(url: String) {
    let (first, state) = begin(&url).await.unwrap();
    drop(state);
    execute(
        &url,
        "UPDATE writer SET epoch = epoch + 1; DELETE FROM gristmill_migration WHERE version = 31",
    );
    let error = StateDb::open_for(&first, Arc::new(SystemClock))
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, StateError::LeaseLost { .. }), "{error}");
}

async fn of_many_first_starts_at_once_one_works(url: String) {
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { begin(&url).await })
        })
        .collect();
    let mut working = Vec::new();
    for start in starts {
        match start.await.unwrap() {
            Ok(begun) => working.push(begun),
            Err(StateError::Leased { .. }) => {}
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
    assert_eq!(working.len(), 1);
    working[0].1.look_again(&["a".to_owned()]).await.unwrap();
}
