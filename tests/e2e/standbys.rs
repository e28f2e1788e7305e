//! The state database's server is followed, while the service runs, by one that lacks the last changes.

use std::time::Duration;

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::mariadb::MariaDb;
use gristmill_testkit::postgres::{Postgres, StopMode};

use crate::server_state::{JOB, on_server, submit};
use crate::support;

/// A server that can be followed by one that has received nothing for some time.
trait Followed {
    fn create_database(&self) -> String;

    /// What is committed from now on, the follower does not get.
    fn leave_behind(&self);

    fn fail_over(&self);
}

impl Followed for Postgres {
    fn create_database(&self) -> String {
        self.create_database()
    }

    fn leave_behind(&self) {
        self.leave_standby_behind();
    }

    fn fail_over(&self) {
        self.stop(StopMode::Failover);
        self.start_again();
    }
}

impl Followed for MariaDb {
    fn create_database(&self) -> String {
        self.create_database()
    }

    fn leave_behind(&self) {
        self.leave_copy_behind();
    }

    fn fail_over(&self) {
        self.follow_with_copy();
    }
}

fn site(state: &str, job: &str) -> Site {
    support::site(&on_server(&support::settings(support::SQLITE, job), state))
}

fn sales(site: &Site) -> Vec<String> {
    let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary ORDER BY 1";
    support::sqlite_warehouse(site, sales)
}

/// Waits until the sales are these, as long as the service runs.
fn wait_for_sales(site: &Site, running: &mut Background, expected: &[&str]) {
    wait_until(&format!("the sales are {expected:?}"), || {
        assert!(running.is_running(), "{}", running.stderr());
        running.stderr().contains("loaded") && sales(site) == expected
    });
}

fn began_anew(running: &Background) -> bool {
    running
        .stderr()
        .contains("starting afresh from what the state database holds")
}

#[test]
fn files_that_only_the_lost_server_knew_are_read_again_and_loaded() {
    files_are_read_again(&Postgres::start_with_standby());
}

#[test]
fn files_that_only_the_lost_server_knew_are_read_again_and_loaded_of_mariadb() {
    files_are_read_again(&MariaDb::start());
}

fn files_are_read_again(server: &impl Followed) {
    // Nothing is loaded before the third file is there, so the warehouse knows of nothing that is lost.
    let three = JOB.replacen("trigger = \"any\"", "min_files = 3", 1);
    let site = site(&server.create_database(), &three);
    let mut running = support::service(&site);
    submit(&site, "S0", "0.50");
    wait_until("the first file is recorded", || {
        site.run_ok(["files"]).contains("IL-S0.tdf")
    });
    server.leave_behind();
    submit(&site, "S1", "1.50");
    wait_until("the second file is recorded", || {
        site.run_ok(["files"]).contains("IL-S1.tdf")
    });
    server.fail_over();
    submit(&site, "S2", "2.50");
    wait_for_sales(&site, &mut running, &["S0 0.50", "S1 1.50", "S2 2.50"]);
    assert!(began_anew(&running), "{}", running.stderr());
    assert_eq!(running.terminate().status.code(), Some(0));
    assert!(site.run_ok(["state", "check"]).contains("agree."));
}

#[test]
fn loads_that_only_the_lost_server_knew_are_told_and_repaired() {
    loads_are_told(&Postgres::start_with_standby());
}

#[test]
fn loads_that_only_the_lost_server_knew_are_told_and_repaired_of_mariadb() {
    loads_are_told(&MariaDb::start());
}

fn loads_are_told(server: &impl Followed) {
    let site = site(&server.create_database(), JOB);
    let mut running = support::service(&site);
    submit(&site, "S1", "1.50");
    wait_for_sales(&site, &mut running, &["S1 1.50"]);
    server.leave_behind();
    submit(&site, "S1", "2.50");
    wait_for_sales(&site, &mut running, &["S1 2.50"]);
    submit(&site, "S2", "7.00");
    wait_for_sales(&site, &mut running, &["S1 2.50", "S2 7.00"]);
    server.fail_over();
    submit(&site, "S1", "3.50");
    wait_until("the service tells of it", || {
        assert!(running.is_running(), "{}", running.stderr());
        running.stderr().contains("gristmill state check --repair")
    });
    assert!(began_anew(&running), "{}", running.stderr());
    running.terminate();
    assert_eq!(sales(&site), ["S1 2.50", "S2 7.00"]);
    site.run_ok(["state", "check", "--repair"]);
    support::run_until_idle(&site);
    assert_eq!(sales(&site), ["S1 3.50", "S2 7.00"]);
}

/// Two jobs with a warehouse on a server that is followed, and their service.
struct TwoJobs {
    site: Site,
    warehouse: String,
    running: Background,
}

impl TwoJobs {
    fn with_warehouse_on(server: &Postgres) -> Self {
        let warehouse = server.create_database();
        let jobs = JOB.to_owned() + &JOB.replace("IL", "CA");
        let site = support::site(&support::settings(&warehouse, &jobs));
        let running = support::service(&site);
        Self {
            site,
            warehouse,
            running,
        }
    }

    fn send(&self, job: &str, amount: &str) {
        let line = support::line(job, amount, 4, "I1", "2026-03-01");
        self.site.submit(format!("{job}-1.tdf"), line);
    }

    /// Sends a file of a job, and waits until so many runs are completed.
    fn load(&mut self, job: &str, amount: &str, runs: &str) {
        self.send(job, amount);
        wait_until(&format!("{runs} runs are completed"), || {
            assert!(self.running.is_running(), "{}", self.running.stderr());
            support::state(
                &self.site,
                "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
            ) == [runs]
        });
    }

    fn end(self, expected: [&str; 2]) {
        assert_eq!(
            support::told(&support::postgres_rows(&self.warehouse)),
            expected.map(|sale| format!("{} - -", sale.replace(' ', " I1 2026-03-01 ")))
        );
        self.running.terminate();
        assert!(self.site.run_ok(["state", "check"]).contains("agree."));
    }
}

#[test]
fn loads_that_only_the_lost_warehouse_had_are_loaded_again_by_the_next_load_of_any_job() {
    let server = Postgres::start_with_standby();
    let mut jobs = TwoJobs::with_warehouse_on(&server);
    jobs.load("IL", "1.50", "1");
    server.leave_behind();
    jobs.load("IL", "2.50", "2");
    server.fail_over();
    jobs.load("CA", "7.00", "3");
    jobs.end(["CA 7.00", "IL 2.50"]);
}

/// What it does not show yet is taken for lost until it is there.
#[test]
fn a_warehouse_that_catches_up_is_waited_for_and_stops_no_job() {
    let server = Postgres::start();
    let mut jobs = TwoJobs::with_warehouse_on(&server);
    jobs.load("IL", "1.50", "1");
    server.add_late_standby();
    jobs.load("IL", "2.50", "2");
    server.follow_late();
    jobs.send("CA", "7.00");
    wait_until("the run of the other job is put off", || {
        support::state(&jobs.site, "SELECT count(*) FROM waiting WHERE kind = 'run'") == ["1"]
    });
    server.promote();
    jobs.load("IL", "3.50", "4");
    jobs.end(["CA 7.00", "IL 3.50"]);
}

/// What the follower lacks is left to chance: files, the claim of a run, its end, nothing.
#[test]
fn whatever_the_follower_lacks_the_service_goes_on_or_tells() {
    whatever_the_follower_lacks(&Postgres::start_with_standby());
}

#[test]
fn whatever_the_follower_lacks_the_service_goes_on_or_tells_of_mariadb() {
    whatever_the_follower_lacks(&MariaDb::start());
}

fn whatever_the_follower_lacks(server: &impl Followed) {
    let failovers = std::env::var("GRISTMILL_FAILOVERS").map_or(4, |count| count.parse().expect("a number"));
    let seed = fastrand::u64(..1000);
    eprintln!("{failovers} failovers, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let site = site(&server.create_database(), JOB);
    let mut running = support::service(&site);
    submit(&site, "S0", "0.50");
    wait_for_sales(&site, &mut running, &["S0 0.50"]);
    let (mut anew, mut told) = (0, 0);
    for round in 0..failovers {
        let said = running.stderr().len();
        let mut pause = || std::thread::sleep(Duration::from_millis(random.u64(..700)));
        let send = |stores: std::ops::Range<u32>, cents| {
            for store in stores {
                submit(&site, &format!("S{store}"), &format!("{round}.{cents}"));
            }
        };
        send(0..4, "10");
        pause();
        server.leave_behind();
        send(2..5, "20");
        pause();
        server.fail_over();
        send(4..6, "30");
        let expected = ["10", "10", "20", "20", "30", "30"];
        let expected = (0..).zip(expected);
        let expected: Vec<_> = expected
            .map(|(store, cents)| format!("S{store} {round}.{cents}"))
            .collect();
        let mut is_told = false;
        wait_until(
            &format!("round {round}: the sales are {expected:?}, or a word"),
            || {
                assert!(running.is_running(), "{}", running.stderr());
                is_told = running.stderr()[said..].contains("gristmill state check --repair");
                is_told || sales(&site) == expected
            },
        );
        anew += usize::from(
            running.stderr()[said..].contains("starting afresh from what the state database holds"),
        );
        if is_told {
            told += 1;
            running.terminate();
            site.run_ok(["state", "check", "--repair"]);
            running = support::service(&site);
            wait_until(&format!("round {round}: the sales are {expected:?}"), || {
                sales(&site) == expected
            });
        }
    }
    eprintln!("began anew {anew} times, and told of a repair {told} times");
    running.terminate();
    assert!(site.run_ok(["state", "check"]).contains("agree."));
}
