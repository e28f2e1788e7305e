//! The process, the warehouse or the disk goes away at the worst moment, and nothing is lost or counted twice.
//!
//! Fail points end the binary as a kill does; they are compiled in with the feature `failpoints`, without which these
//! tests fail. What must hold afterwards is always the same, and stands in [`assert_in_order`].

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::mariadb::{self, MariaDb};
use gristmill_testkit::oracle::{self, Counts, Row};
use gristmill_testkit::postgres::{Postgres, StopMode};
use tempfile::TempDir;

use crate::support;

/// A province that runs whenever one of its files is new.
const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-*.tdf"
min_files = 6
trigger = "any"
"#;

/// The fail points in the order in which a file and its run pass them.
const POINTS: [&str; 11] = [
    "after-converted",
    "after-partial",
    "after-record",
    "after-queue",
    "after-claim",
    "after-summary",
    "load-during-copy",
    "load-before-commit",
    "load-after-commit",
    "after-load",
    "after-complete",
];

const SIGABRT: i32 = 6;

/// A warehouse under test, with looks into it that do not go through gristmill.
enum Warehouse {
    Sqlite,
    Postgres(String),
    MariaDb(String),
}

impl Warehouse {
    /// A new database on a server that keeps what it has committed. No test stops it.
    fn postgres() -> Self {
        static DURABLE: OnceLock<Postgres> = OnceLock::new();
        Self::Postgres(DURABLE.get_or_init(Postgres::start).create_database())
    }

    /// The same on MariaDB.
    fn mariadb() -> Self {
        static DURABLE: OnceLock<MariaDb> = OnceLock::new();
        Self::MariaDb(DURABLE.get_or_init(MariaDb::start).create_database())
    }

    fn site(&self, jobs: &str) -> Site {
        let url = match self {
            Self::Sqlite => support::SQLITE,
            Self::Postgres(url) | Self::MariaDb(url) => url,
        };
        support::site(&support::unguarded(support::settings(url, jobs)))
    }

    fn rows(&self, site: &Site) -> Vec<Row> {
        match self {
            Self::Sqlite => support::sqlite_rows(site),
            Self::Postgres(url) => support::postgres_rows(url),
            Self::MariaDb(url) => support::mariadb_rows(url),
        }
    }

    /// The runs of the ledger, in order.
    fn ledger(&self, site: &Site) -> Vec<String> {
        let sql = "SELECT run_id FROM gristmill_ledger";
        let mut runs: Vec<String> = match self {
            Self::Sqlite => support::sqlite_warehouse(site, sql),
            Self::Postgres(url) => support::postgres(url, sql).iter().map(|row| row.get(0)).collect(),
            Self::MariaDb(url) => mariadb::query(url, sql).into_iter().flatten().flatten().collect(),
        };
        runs.sort();
        runs
    }
}

/// What the files of a folder must lead to.
struct Expected {
    rows: Vec<Row>,
    counts: Vec<Counts>,
}

impl Expected {
    fn of(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).expect("the folder can be listed");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("the folder can be listed").path())
            .collect();
        files.sort();
        let counts = oracle::counts(&files, oracle::Options::default());
        assert!(!counts.is_empty() && counts.iter().all(|count| !count.rejected));
        let rows = oracle::summary(&files, oracle::Options::default());
        Self { rows, counts }
    }
}

/// What must hold when nothing is left to do, whatever happened before.
fn assert_in_order(site: &Site, warehouse: &Warehouse, expected: &Expected, what: &str) {
    let rows = warehouse.rows(site);
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !expected.rows.contains(row))
        .take(5)
        .collect();
    let missing: Vec<_> = expected
        .rows
        .iter()
        .filter(|row| !rows.contains(row))
        .take(5)
        .collect();
    assert!(
        rows == expected.rows,
        "{what}: the warehouse has {} rows and the oracle {}; wrong: {wrong:#?}, missing: {missing:#?}",
        rows.len(),
        expected.rows.len()
    );
    let loaded = "SELECT run_id FROM job_run WHERE outcome = 'LOADED' ORDER BY run_id";
    assert_eq!(
        warehouse.ledger(site),
        support::state(site, loaded),
        "{what}: the ledger is not the list of loaded runs"
    );
    let open = "SELECT run_id || ' ' || state FROM job_run WHERE state NOT IN ('COMPLETED', 'FAILED')";
    assert_eq!(
        support::state(site, open),
        [""; 0],
        "{what}: runs that nobody works on"
    );
    let counts = "SELECT printf('%d %d %d %d %d %s', lines, rows, ignored, skipped, rejects, status) FROM files \
                  WHERE feed = 'sales' ORDER BY file_url";
    let expected_counts: Vec<_> = expected.counts.iter().map(validated).collect();
    assert_eq!(
        support::state(site, counts),
        expected_counts,
        "{what}: the counts of the files"
    );
    let spool = fs::read_dir(site.folder().join("lake/_spool")).expect("the lake has a spool folder");
    assert_eq!(spool.count(), 0, "{what}: unfinished files are left in the lake");
}

fn validated(counts: &Counts) -> String {
    let Counts {
        lines,
        rows,
        ignored,
        skipped,
        rejects,
        ..
    } = counts;
    format!("{lines} {rows} {ignored} {skipped} {rejects} VALIDATED")
}

fn feed(seed: u64) -> FeedSpec {
    FeedSpec {
        seed,
        files: 6,
        stores: 6,
        lines_per_file: 300,
        // The days of a store that a correction lacks as a whole are left as they are, so no store may be rare.
        dirt: Dirt {
            odd_ids: 0,
            quoted_fields: 0,
            ..Dirt::every_kind()
        },
        ..FeedSpec::default()
    }
}

/// A file of a feed drawn from `seed`.
fn submit(site: &Site, seed: u64, number: u32) {
    let bytes = feed(seed).file_bytes(number).expect("the spec is sound");
    site.submit(feed(seed).file_name(number), bytes);
}

/// The waves that the crashes hit: a first one of six files, and corrections of two that add, change and remove keys.
/// Each file as its seed and its number.
const WAVES: [&[(u64, u32)]; 2] = [
    &[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)],
    &[(2, 1), (3, 4)],
];

/// What stands after each wave.
static AFTER: LazyLock<[Expected; 2]> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder can be made");
    WAVES.map(|wave| {
        for &(seed, number) in wave {
            let bytes = feed(seed).file_bytes(number).expect("the spec is sound");
            fs::write(folder.path().join(feed(seed).file_name(number)), bytes)
                .expect("the folder can be written");
        }
        Expected::of(folder.path())
    })
});

fn recovers_at_every_point(new: impl Fn() -> Warehouse) {
    assert!(
        AFTER[0].rows != AFTER[1].rows,
        "the corrections correct something"
    );
    for point in POINTS {
        let warehouse = new();
        let mut site = warehouse.site(JOB);
        for (wave, expected) in WAVES.iter().zip(AFTER.iter()) {
            for &(seed, number) in *wave {
                submit(&site, seed, number);
            }
            site.set_variable("FAILPOINTS", &format!("{point}=panic"));
            let crashed = site.run(["run", "--until-idle"]);
            assert_eq!(
                crashed.status.signal(),
                Some(SIGABRT),
                "{point} was not reached: {crashed}"
            );
            site.clear_variable("FAILPOINTS");
            support::run_until_idle(&site);
            assert_in_order(&site, &warehouse, expected, point);
            // The first wave is complete with its last file; each correction may be a wave of its own.
            let runs = warehouse.ledger(&site).len();
            assert!(
                (1..=3).contains(&runs) && (wave.len() == 2 || runs == 1),
                "{point}: {runs} runs"
            );
        }
    }
}

#[test]
fn a_crash_at_any_point_is_mended_by_the_next_start_with_sqlite() {
    recovers_at_every_point(|| Warehouse::Sqlite);
}

#[test]
fn a_crash_at_any_point_is_mended_by_the_next_start_with_postgres() {
    recovers_at_every_point(Warehouse::postgres);
}

#[test]
fn a_crash_at_any_point_is_mended_by_the_next_start_with_mariadb() {
    recovers_at_every_point(Warehouse::mariadb);
}

#[test]
fn a_run_that_kills_the_process_again_and_again_is_given_up_and_waits_for_a_person() {
    let mut site = Warehouse::Sqlite.site(JOB);
    for &(seed, number) in WAVES[0] {
        submit(&site, seed, number);
    }
    site.set_variable("FAILPOINTS", "after-claim=panic");
    for _ in 0..10 {
        assert_eq!(site.run(["run", "--until-idle"]).status.signal(), Some(SIGABRT));
    }
    site.clear_variable("FAILPOINTS");
    let given_up = site.run(["run", "--until-idle"]);
    assert_eq!(given_up.status.code(), Some(1), "{given_up}");
    let run = "SELECT printf('%s %s', state, error) FROM job_run ORDER BY sequence";
    assert_eq!(
        support::state(&site, run),
        ["FAILED the process died 10 times while it worked on this run"]
    );
    site.run_ok(["retry"]);
    assert_eq!(Warehouse::Sqlite.rows(&site), AFTER[0].rows);
}

#[test]
fn a_run_that_died_after_its_load_is_completed_by_the_ledger_and_not_done_again() {
    let mut site = Warehouse::Sqlite.site(JOB);
    for &(seed, number) in WAVES[0] {
        submit(&site, seed, number);
    }
    site.set_variable("FAILPOINTS", "load-after-commit=panic");
    assert!(!site.run(["run", "--until-idle"]).status.success());
    site.clear_variable("FAILPOINTS");
    let run = "SELECT printf('%s %d', state, attempts) FROM job_run";
    assert_eq!(support::state(&site, run), ["RUNNING 1"]);

    support::run_until_idle(&site);
    assert_eq!(support::state(&site, run), ["COMPLETED 1"]);
    let job = "SELECT last_exec_status FROM aggr_job_configuration";
    assert_eq!(support::state(&site, job), ["COMPLETED"]);
    assert_in_order(&site, &Warehouse::Sqlite, &AFTER[0], "settled");
}

/// Kills the service again and again at random moments, while files are sent and corrected.
fn survives_kills(warehouse: &Warehouse, kills: u32, seed: u64) {
    let job = JOB.replace("min_files = 6", "min_files = 1");
    let site = warehouse.site(&job);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut interrupted = 0;
    for kill in 0..kills {
        // One kill in five hits the start.
        let mut service = if kill % 5 == 4 {
            site.start(["run"])
        } else {
            support::service(&site)
        };
        let end = Instant::now() + Duration::from_millis(random.u64(10..2000));
        while Instant::now() < end {
            submit(&site, random.u64(..), random.u32(0..10));
            thread::sleep(Duration::from_millis(random.u64(0..120)));
        }
        assert!(service.is_running(), "it ended by itself: {}", service.stderr());
        service.kill();
        let running = "SELECT run_id FROM job_run WHERE state = 'RUNNING'";
        interrupted += support::state(&site, running).len();
    }
    support::run_until_idle(&site);
    let expected = Expected::of(&site.incoming());
    assert_in_order(&site, warehouse, &expected, &format!("seed {seed}"));
    let runs = warehouse.ledger(&site).len();
    assert!(
        interrupted > 0 && runs > 1,
        "the kills hit {interrupted} runs at work, of {runs}"
    );
}

#[test]
fn kills_at_random_moments_lose_nothing_with_sqlite() {
    survives_kills(&Warehouse::Sqlite, 15, 20_261_123);
}

#[test]
fn kills_at_random_moments_lose_nothing_with_postgres() {
    survives_kills(&Warehouse::postgres(), 15, 20_261_124);
}

/// Kills loads into Postgres again and again while their transaction is open, or about to be.
#[test]
fn two_hundred_kills_of_loads_leave_every_row_right_and_every_run_once() {
    const KILLS: u32 = 200;
    const SEED: u64 = 20_261_125;
    let warehouse = Warehouse::postgres();
    let Warehouse::Postgres(url) = &warehouse else {
        unreachable!("it was made above")
    };
    let job = JOB.replace("min_files = 6", "min_files = 1");
    let settings = support::unguarded(support::settings(url, &job)).replace("200ms", "10ms");
    let site = support::site(&settings);
    submit(&site, SEED, 0);
    support::run_until_idle(&site);

    let watcher = support::Watcher::new(url);
    // Who holds the lock that a load takes first and keeps to its end.
    let loading =
        "SELECT l.pid FROM pg_locks l, hashtextextended('gristmill load public.sales_summary', 0) AS key
                   WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = key";
    let entered = "SELECT run_id FROM gristmill_ledger";
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut rolled_back, mut answers_lost) = (0, 0);
    for kill in 0..KILLS {
        // A run that dies ten times in a row would be given up.
        if kill % 8 == 7 {
            support::run_until_idle(&site);
        }
        let before = watcher.count(entered);
        submit(&site, random.u64(..), random.u32(0..6));
        let mut service = site.start(["run"]);
        let start = Instant::now();
        // Most kills fall into a load, some anywhere from the start on.
        let patience = match kill % 5 {
            4 => Duration::from_millis(random.u64(0..600)),
            _ => Duration::from_secs(5),
        };
        while watcher.count(loading) == 0 && start.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(random.u64(0..30_000)));
        assert!(service.is_running(), "it ended by itself: {}", service.stderr());
        let is_loading = watcher.count(loading) > 0;
        service.kill();
        wait_until("the server has noticed", || watcher.count(loading) == 0);
        let has_entered = watcher.count(entered) > before;
        rolled_back += u32::from(is_loading && !has_entered);
        answers_lost += u32::from(is_loading && has_entered);
    }
    support::run_until_idle(&site);
    let expected = Expected::of(&site.incoming());
    let what = format!(
        "seed {SEED}: of {KILLS} kills {rolled_back} undid an open load and {answers_lost} met its commit"
    );
    eprintln!("{what}");
    assert_in_order(&site, &warehouse, &expected, &what);
    assert!(rolled_back >= KILLS / 4, "{what}");
}

fn wait_for_runs(site: &Site, service: &mut Background, job: &str, states: &[&str]) {
    let sql = format!("SELECT state FROM job_run WHERE job_config_id = '{job}' ORDER BY sequence");
    wait_until(&format!("the runs of {job} are {states:?}"), || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        support::state(site, &sql) == states
    });
}

#[test]
fn a_load_goes_on_when_postgres_stops_in_its_middle_and_comes_back() {
    let server = Postgres::start();
    let url = server.create_database();
    let warehouse = Warehouse::Postgres(url.clone());
    let mut site = warehouse.site(JOB);
    site.set_variable("FAILPOINTS", "load-during-copy=1*sleep(3000)->off");
    let mut service = support::service(&site);
    for &(seed, number) in WAVES[0] {
        submit(&site, seed, number);
    }
    let copying = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'";
    wait_until("the load copies", || !support::postgres(&url, copying).is_empty());
    server.stop(StopMode::Immediate);
    wait_until("the load is tried again", || {
        service.stderr().contains("will be tried again")
    });
    server.start_again();

    wait_for_runs(&site, &mut service, "IL", &["COMPLETED"]);
    assert!(service.terminate().status.success());
    let attempts = support::state(&site, "SELECT attempts FROM job_run");
    assert_eq!(attempts, ["1"], "the run itself has tried again");
    assert_in_order(&site, &warehouse, &AFTER[0], "stopped and started");
}

#[test]
fn runs_wait_while_postgres_is_away_and_need_no_person_when_it_is_back() {
    let other_job = JOB.replace("IL", "CA").replace("min_files = 6", "min_files = 1");
    let server = Postgres::start();
    let url = server.create_database();
    let warehouse = Warehouse::Postgres(url.clone());
    let site = warehouse.site(&format!("{JOB}{other_job}"));
    let service = support::service(&site);
    wait_until("the warehouse is ready", || {
        service.stderr().contains("the warehouse is ready")
    });
    server.stop(StopMode::Fast);
    for &(seed, number) in WAVES[0] {
        submit(&site, seed, number);
    }
    // Stores of its own, so that no other job loads its days.
    let california = FeedSpec {
        files: 12,
        stores: 12,
        ..feed(7)
    };
    let bytes = california.file_bytes(9).expect("the spec is sound");
    site.submit("CA-2001.tdf", bytes);
    // More failures than a run of other causes may have.
    let waiting = "SELECT count(*) FROM waiting WHERE kind = 'run' AND failures >= 4";
    support::wait_for_state(&site, waiting, "2");
    let status = site.run_ok(["status"]);
    for part in [
        "run IL-",
        "run CA-",
        " waits (since ",
        "cannot connect",
        "Connection refused",
        "next try at",
    ] {
        assert!(status.contains(part), "{part:?} is not in {status}");
    }
    let states = "SELECT DISTINCT state FROM job_run";
    assert_eq!(support::state(&site, states), ["QUEUED"]);

    // The next start tries at once, and so does the end of a pause.
    service.terminate();
    let mut service = support::service(&site);
    server.start_again();
    wait_for_runs(&site, &mut service, "IL", &["COMPLETED"]);
    wait_for_runs(&site, &mut service, "CA", &["COMPLETED"]);
    assert!(!site.run_ok(["status"]).contains(" waits (since "));
    service.terminate();
    let attempts = "SELECT DISTINCT attempts FROM job_run";
    assert_eq!(support::state(&site, attempts), ["1"], "an outage is no attempt");
    let expected = Expected::of(&site.incoming());
    assert_in_order(&site, &warehouse, &expected, "waited");
}

#[test]
fn until_idle_leaves_a_run_that_an_outage_stops_to_the_next_call() {
    let server = Postgres::start();
    let url = server.create_database();
    let warehouse = Warehouse::Postgres(url.clone());
    let mut site = warehouse.site(JOB);
    site.set_variable("FAILPOINTS", "load-during-copy=1*sleep(3000)->off");
    for &(seed, number) in WAVES[0] {
        submit(&site, seed, number);
    }
    let run = site.start(["run", "--until-idle"]);
    let copying = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'";
    wait_until("the load copies", || !support::postgres(&url, copying).is_empty());
    server.stop(StopMode::Immediate);
    let told = run.wait();
    assert_eq!(told.status.code(), Some(1), "{told}");
    assert!(
        told.stdout.contains("runs wait for an outage to end (1)"),
        "{told}"
    );
    assert_eq!(support::state(&site, "SELECT state FROM job_run"), ["QUEUED"]);

    server.start_again();
    support::run_until_idle(&site);
    assert_in_order(&site, &warehouse, &AFTER[0], "left to the next call");
}

#[test]
fn nothing_is_lost_while_somebody_keeps_the_state_database_locked() {
    let site = Warehouse::Sqlite.site(JOB);
    // The warehouse has its tables before anybody asks it.
    support::run_until_idle(&site);
    let mut service = support::service(&site);
    // The second span is longer than a write waits, so that it has to be tried again.
    for ((wave, expected), span) in WAVES.iter().zip(AFTER.iter()).zip([3, 7]) {
        support::while_locked(&site, "state.db", || {
            for &(seed, number) in *wave {
                submit(&site, seed, number);
            }
            thread::sleep(Duration::from_secs(span));
        });
        wait_until("the wave is loaded", || {
            assert!(service.is_running(), "the service ended: {}", service.stderr());
            support::sqlite_rows(&site) == expected.rows
        });
    }
    let log = service.terminate();
    assert!(log.status.success(), "{log}");
    support::run_until_idle(&site);
    assert_in_order(&site, &Warehouse::Sqlite, &AFTER[1], "locked");
}

/// A binary whose lake has no room: on a disk of its own of 8 MiB where this user may mount one, with a filler, and
/// otherwise under a limit for the size of files. Its arguments and its process id are those of the binary.
fn short_of_disk(folder: &Path, filler: u32) -> PathBuf {
    let script = format!(
        r#"#!/bin/sh
if unshare --map-root-user --mount true 2> /dev/null; then
    mkdir -p lake
    exec unshare --map-root-user --mount sh -c '
        mount -t tmpfs -o size=8m tmpfs lake
        head -c {filler} /dev/zero > lake/filler 2> /dev/null
        exec "$0" "$@"' '{binary}' "$@"
fi
trap '' XFSZ
exec prlimit --fsize=300000:unlimited '{binary}' "$@"
"#,
        binary = env!("CARGO_BIN_EXE_gristmill")
    );
    let path = folder.join("short-of-disk");
    fs::write(&path, script).expect("the folder can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the script can be made to run");
    path
}

/// Gives the process the room that it lacks.
fn make_room(service: &Background, site: &Site) {
    let root = PathBuf::from(format!("/proc/{}/root", service.id()));
    let filler = site
        .folder()
        .join("lake/filler")
        .strip_prefix("/")
        .map(|path| root.join(path))
        .expect("the site's path is absolute");
    if filler.exists() {
        fs::remove_file(filler).expect("the filler can be removed");
        return;
    }
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--fsize=unlimited", "--pid", &service.id().to_string()]);
    assert!(prlimit.status().is_ok_and(|status| status.success()));
}

#[test]
fn files_wait_while_the_lake_is_full_and_no_job_runs_without_them() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let settings = support::settings(support::SQLITE, &JOB.replace("min_files = 6", "min_files = 1"));
    let settings = support::unguarded(settings);
    let site = Site::new(short_of_disk(folder.path(), 8_200_000), &settings);
    let mut service = support::service(&site);
    let big = FeedSpec {
        lines_per_file: 60_000,
        items: 100_000,
        ..feed(1)
    };
    site.submit("IL-1001.tdf", big.file_bytes(0).expect("the spec is sound"));
    support::wait_for_state(&site, "SELECT count(*) FROM waiting WHERE kind = 'file'", "1");
    // There is room for a small one, but the job would run without the big one.
    submit(&site, 1, 1);
    let status = "SELECT last_update_status FROM ingested_file_status";
    support::wait_for_state(&site, status, "VALIDATED");
    support::wait_for_state(
        &site,
        "SELECT failures >= 4 FROM waiting WHERE kind = 'file'",
        "1",
    );
    let error = support::state(&site, "SELECT reason FROM waiting").concat();
    let causes = ["No space left on device", "File too large"];
    let told: usize = causes.iter().map(|cause| error.matches(cause).count()).sum();
    assert!(told == 1 && error.starts_with("cannot write"), "{error}");
    let (holds, facts) = support::explained_with(&unlimited(&site), "IL", "files that wait");
    assert!(!holds && facts.contains("IL-1001.tdf"), "{facts}");
    assert_eq!(support::state(&site, "SELECT run_id FROM job_run"), [""; 0]);
    let told = unlimited(&site)(&["status"]);
    assert!(
        told.contains("IL-1001.tdf cannot be converted yet (since "),
        "{told}"
    );

    make_room(&service, &site);
    wait_for_runs(&site, &mut service, "IL", &["COMPLETED"]);
    assert_eq!(support::state(&site, status), ["VALIDATED", "VALIDATED"]);
    assert_eq!(support::state(&site, "SELECT count(*) FROM waiting"), ["0"]);
    assert!(support::sqlite_rows(&site) == Expected::of(&site.incoming()).rows);
}

#[test]
fn a_start_on_a_full_disk_waits_until_there_is_room() {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "true"]);
    if !unshare.output().is_ok_and(|done| done.status.success()) {
        eprintln!("left out: this user may not mount a disk");
        return;
    }
    let folder = TempDir::new().expect("a temporary folder can be made");
    let settings = support::settings(support::SQLITE, JOB);
    let site = Site::new(short_of_disk(folder.path(), 9_000_000), &settings);
    let mut service = site.start(["run"]);
    wait_until("it waits", || {
        assert!(service.is_running(), "{}", service.stderr());
        service
            .stderr()
            .contains("opening the lake failed and will be tried again")
    });
    make_room(&service, &site);
    wait_until("it works", || service.stderr().contains("watching"));
    assert_eq!(service.terminate().status.code(), Some(0));
}

/// Runs commands of the binary that the disk's limit does not apply to, and returns what they print.
fn unlimited(site: &Site) -> impl Fn(&[&str]) -> String {
    |arguments| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        let ended = command.args(arguments).current_dir(site.folder()).output();
        let ended = ended.expect("the binary can be run");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}
