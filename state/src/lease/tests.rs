//! The lease on a real server: between tasks of one process here; `service::tests` has it between processes.

use super::*;
use crate::StateDb;
use crate::clock::SystemClock;
use crate::testing::{cut, execute, on_servers};

/// The time of a lease in these tests.
const SHORT: Duration = Duration::from_secs(2);

on_servers! {
    a_lease_is_held_by_one_at_a_time_and_given_back
    the_lease_of_a_dead_process_is_waited_for
    of_many_that_wait_one_takes_over
    whoever_does_not_renew_in_time_learns_that_another_took_over
    a_lease_that_is_over_is_renewed_if_nobody_took_it
    a_lease_that_the_database_is_too_old_for_is_lost_to_nobody
    a_connection_that_was_cut_is_made_anew
    a_write_that_is_under_way_is_waited_for_before_the_takeover
    whoever_stands_still_in_a_write_does_not_hold_a_takeover_up
    a_write_that_waits_for_the_takeover_is_refused
}

/// The place of a database with the tables.
async fn prepared(url: &str) -> Place {
    let place = crate::testing::place(url);
    StateDb::open(&place, std::sync::Arc::new(SystemClock))
        .await
        .unwrap();
    place
}

async fn seen(place: &Place) -> Seen {
    look(&mut connect(place, SHORT).await.unwrap()).await.unwrap()
}

fn spawn_take(place: &Place) -> JoinHandle<Result<Lease, StateError>> {
    let place = place.clone();
    tokio::spawn(async move { Lease::take(&place, SHORT).await })
}

/// Begins a write of the service with a number, and returns how many rows that has changed.
async fn begin_write(connection: &mut Connection, epoch: i64) -> u64 {
    let write = query("UPDATE writer SET writes = writes + 1 WHERE epoch = ?1").bind(epoch);
    write.execute(connection).await.unwrap().rows_affected()
}

async fn a_lease_is_held_by_one_at_a_time_and_given_back(url: String) {
    let place = prepared(&url).await;
    assert_eq!(seen(&place).await.holder, None);
    let first = Lease::take(&place, SHORT).await.unwrap();
    let holder = seen(&place).await.holder.unwrap();
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(holder.host, System::host_name().ok());
    assert!(holder.lease_until > holder.since && holder.lease_age < Some(SHORT.as_secs()));

    let begun = Instant::now();
    let error = Lease::take(&place, SHORT).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, StateError::Leased { .. }), "{message}");
    for part in [
        format!("process {}", std::process::id()),
        "since 20".into(),
        "lease until 20".into(),
        "stop it first".into(),
    ] {
        assert!(message.contains(&part), "{message}");
    }
    assert!(begun.elapsed() < SHORT, "it is refused at the first renewal");

    first.release().await.unwrap();
    let begun = Instant::now();
    let second = Lease::take(&place, SHORT).await.unwrap();
    assert!(
        begun.elapsed() < SHORT / 2,
        "nobody waits for a lease that was given back"
    );
    assert_eq!(second.epoch(), 2);
    // It outlives its time many times over while it is renewed.
    sleep(SHORT * 2).await;
    assert!(seen(&place).await.holder.is_some());
}

async fn the_lease_of_a_dead_process_is_waited_for(url: String) {
    let place = prepared(&url).await;
    let dead = Lease::take(&place, SHORT).await.unwrap();
    drop(dead);
    let begun = Instant::now();
    let next = Lease::take(&place, SHORT).await.unwrap();
    assert!(
        begun.elapsed() > SHORT / 2 && begun.elapsed() < SHORT * 2,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(next.epoch(), 2);
}

async fn of_many_that_wait_one_takes_over(url: String) {
    let place = prepared(&url).await;
    drop(Lease::take(&place, SHORT).await.unwrap());
    let waiting = (0..8).map(|_| spawn_take(&place));
    let waiting: Vec<_> = waiting.collect();
    let mut taken = Vec::new();
    for waiting in waiting {
        match waiting.await.unwrap() {
            Ok(lease) => taken.push(lease),
            Err(StateError::Leased { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].epoch(), 2);
}

async fn whoever_does_not_renew_in_time_learns_that_another_took_over(url: String) {
    let place = prepared(&url).await;
    let first = Lease::take(&place, SHORT).await.unwrap();
    // What another process does once the lease is over.
    execute(
        &url,
        "UPDATE service_lease SET owner = 'another', lease_until = '2100-01-01';
         UPDATE writer SET epoch = epoch + 1",
    );
    let error = timeout(SHORT * 2, first.lost()).await.unwrap();
    assert!(
        error.to_string().contains("another one has taken over"),
        "{error}"
    );
    // What the first one gives back is not the other's lease.
    first.release().await.unwrap();
    assert!(seen(&place).await.holder.is_some());
}

async fn a_lease_that_is_over_is_renewed_if_nobody_took_it(url: String) {
    let place = prepared(&url).await;
    let lease = Lease::take(&place, SHORT).await.unwrap();
    execute(&url, "UPDATE service_lease SET lease_until = '2000-01-01'");
    assert!(timeout(SHORT, lease.lost()).await.is_err());
    assert!(seen(&place).await.holder.is_some());
}

async fn a_lease_that_the_database_is_too_old_for_is_lost_to_nobody(url: String) {
    let place = prepared(&url).await;
    let lease = Lease::take(&place, SHORT).await.unwrap();
    // As a copy has it that was made before.
    execute(
        &url,
        "UPDATE service_lease SET owner = 'earlier', lease_until = '2000-01-01';
         UPDATE writer SET epoch = epoch - 1",
    );
    assert!(timeout(SHORT, lease.lost()).await.is_err());
    lease.release().await.unwrap();
    let next = Lease::take(&place, SHORT).await.unwrap();
    assert_eq!(next.epoch(), 1);
}

async fn a_connection_that_was_cut_is_made_anew(url: String) {
    let place = prepared(&url).await;
    let lease = Lease::take(&place, SHORT).await.unwrap();
    cut(&url);
    assert!(timeout(SHORT * 2, lease.lost()).await.is_err());
    assert!(seen(&place).await.holder.is_some());
}

async fn a_write_that_is_under_way_is_waited_for_before_the_takeover(url: String) {
    let place = prepared(&url).await;
    drop(Lease::take(&place, SHORT).await.unwrap());
    let mut paused = connect(&place, SHORT).await.unwrap();
    let mut write = Transaction::beside(&mut paused).await.unwrap();
    assert_eq!(begin_write(&mut write, 1).await, 1);
    let waiting = spawn_take(&place);
    sleep(SHORT + SHORT / 2).await;
    assert!(!waiting.is_finished());
    write.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().epoch(), 2);
    // From now on, no write begins under the former number.
    assert_eq!(begin_write(&mut paused, 1).await, 0);
}

async fn whoever_stands_still_in_a_write_does_not_hold_a_takeover_up(url: String) {
    let place = prepared(&url).await;
    drop(Lease::take(&place, SHORT).await.unwrap());
    let mut paused = connect(&place, SHORT).await.unwrap();
    let limit = match &paused {
        Connection::MySql(_) => {
            "SET SESSION /*M! idle_write_transaction_timeout = 3 */ /*!80017 wait_timeout = 3 */"
        }
        _ => "SET idle_in_transaction_session_timeout = '3s'",
    };
    paused.run(limit).await.unwrap();
    let mut write = Transaction::beside(&mut paused).await.unwrap();
    assert_eq!(begin_write(&mut write, 1).await, 1);
    assert_eq!(Lease::take(&place, SHORT).await.unwrap().epoch(), 2);
    assert!(write.commit().await.is_err());
}

async fn a_write_that_waits_for_the_takeover_is_refused(url: String) {
    let place = prepared(&url).await;
    let mut first = connect(&place, SHORT).await.unwrap();
    let mut taking = Transaction::beside(&mut first).await.unwrap();
    let counted = query(sql::COUNT_ON).bind(0).execute(&mut *taking).await.unwrap();
    assert_eq!(counted.rows_affected(), 1);
    let late = tokio::spawn({
        let place = place.clone();
        async move { begin_write(&mut connect(&place, SHORT).await.unwrap(), 0).await }
    });
    sleep(SHORT / 4).await;
    assert!(!late.is_finished());
    taking.commit().await.unwrap();
    assert_eq!(late.await.unwrap(), 0);
}
