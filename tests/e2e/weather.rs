//! A site whose state is on a server, in bad weather: several processes, kills, pauses beyond a lease, servers that
//! stop or are followed by a standby, a bucket that is away, connections that are cut, a full disk and clocks that differ.
//! `weather.py` drives it and audits it in the end.
//!
//! The usual run takes a minute or two. `GRISTMILL_WEATHER=all` takes 500 kills, for an hour or more; docs/reliability.md tells
//! what that came to. `GRISTMILL_WEATHER=SEED` repeats the short run of a seed, and `GRISTMILL_WEATHER=SEED:KILLS` one with
//! so many kills; what runs at the same time may follow, as in `7:100:run,run,run+convert`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use gristmill_testkit::mariadb::MariaDb;
use gristmill_testkit::postgres::{Postgres, StopMode};
use gristmill_testkit::seaweedfs::SeaweedFs;
use gristmill_testkit::venv;
use tempfile::TempDir;

use crate::buckets::BUCKET;

/// The kills of the short form.
const KILLS: &str = "10";

/// Up to so many kills, the auditor proves that it notices damages. It looks at everything for each.
const PROVEN: u32 = 10;

/// The server of the state or of the warehouse.
enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Server {
    /// A server of Postgres with a standby, which takes its place where it fails over.
    fn postgres() -> Self {
        Self::Postgres(Postgres::start_with_standby())
    }

    fn mariadb() -> Self {
        Self::MariaDb(MariaDb::start())
    }

    fn stop(&self, how: &str) {
        match self {
            Self::Postgres(server) => server.stop(mode(how)),
            Self::MariaDb(server) => server.kill(),
        }
    }

    fn create_database(&self) -> String {
        match self {
            Self::Postgres(server) => server.create_database(),
            Self::MariaDb(server) => server.create_database(),
        }
    }

    fn start(&self) {
        match self {
            Self::Postgres(server) => server.start_again(),
            Self::MariaDb(server) => server.start_again(),
        }
    }
}

fn mode(how: &str) -> StopMode {
    match how {
        "fast" => StopMode::Fast,
        "immediate" => StopMode::Immediate,
        "kill" => StopMode::Kill,
        "failover" => StopMode::Failover,
        _ => panic!("{how:?} is no way to stop a server"),
    }
}

/// Whether this user may mount a disk. If not, none is full.
fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "true"]);
    unshare.output().is_ok_and(|done| done.status.success())
}

/// What a run is asked for: a seed, how many kills, and what runs at the same time.
struct Asked {
    seed: String,
    kills: u32,
    processes: String,
}

/// What somebody asks for, or the usual.
fn asked_for(seed: &str, processes: &str) -> Asked {
    let asked = std::env::var("GRISTMILL_WEATHER").unwrap_or_default();
    let asked = if asked == "all" {
        format!("{seed}:500")
    } else {
        asked
    };
    let mut parts = asked.split(':').filter(|part| !part.is_empty());
    let seed = parts.next().unwrap_or(seed).to_owned();
    let kills = parts.next().unwrap_or(KILLS);
    Asked {
        seed,
        kills: kills
            .parse()
            .expect("GRISTMILL_WEATHER is `all`, SEED, SEED:KILLS or SEED:KILLS:PROCESSES"),
        processes: parts.next().unwrap_or(processes).to_owned(),
    }
}

fn survives(seed: &str, processes: &str, state: &Server, warehouse: &Server) {
    survives_in(seed, processes, state, warehouse, None);
}

fn survives_in(seed: &str, processes: &str, state: &Server, warehouse: &Server, bucket: Option<&SeaweedFs>) {
    let Asked {
        seed,
        kills,
        processes,
    } = asked_for(seed, processes);
    let site = TempDir::with_prefix("gristmill-weather-").expect("a temporary folder can be made");
    let folder = site.path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/weather.py");
    let has_disk = may_mount();
    let mut command = match has_disk {
        true => {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount"]).arg(venv::python());
            command
        }
        false => Command::new(venv::python()),
    };
    command.arg(script);
    if kills <= PROVEN {
        command.arg("--prove");
    }
    command.args([
        "--binary",
        env!("CARGO_BIN_EXE_gristmill"),
        "--processes",
        &processes,
    ]);
    let (state_url, warehouse_url) = (state.create_database(), warehouse.create_database());
    command.args(["--state", &state_url, "--warehouse", &warehouse_url]);
    if let Some(server) = bucket {
        command.args(["--bucket", &server.endpoint()]);
        command
            .env("AWS_ACCESS_KEY_ID", SeaweedFs::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SeaweedFs::SECRET_KEY)
            .env("AWS_REGION", SeaweedFs::REGION)
            .env("AWS_DEFAULT_REGION", SeaweedFs::REGION);
    }
    command.args(["--seed", &seed, "--kills", &kills.to_string()]);
    command.arg("--folder").arg(folder);
    if has_disk {
        // What is written grows with the run.
        command.args(["--small-disk", &(64 + kills).to_string()]);
    }
    let mut driver = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tests' Python runs");
    let mut answers = driver.stdin.take().expect("it was asked for");
    let mut totals = String::new();
    for line in BufReader::new(driver.stdout.take().expect("it was asked for")).lines() {
        let line = line.expect("the driver writes text");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["stop", "state", how] => state.stop(how),
            ["stop", "warehouse", how] => warehouse.stop(how),
            ["start", "state"] => state.start(),
            ["start", "warehouse"] => warehouse.start(),
            _ => {
                totals = line;
                continue;
            }
        }
        // If it has ended meanwhile, that is told below.
        let _ = writeln!(answers, "done");
    }
    let status = driver.wait().expect("the driver can be waited for");
    eprintln!("{totals}");
    if !status.success() {
        let kept = site.keep();
        panic!(
            "see above; the site is kept in {}. GRISTMILL_WEATHER={seed}:{kills}:{processes} runs it again",
            kept.display()
        );
    }
    let totals: serde_json::Value = serde_json::from_str(&totals).expect("the last line is JSON");
    let happened = |what: &str| totals[what].as_u64().unwrap_or(0);
    assert!(happened("kill") >= u64::from(kills), "{totals}");
    assert!(
        happened("pause beyond lease") > 0 && happened("runs loaded") > 0,
        "{totals}"
    );
    assert!(happened("disk full") > 0 || !has_disk, "{totals}");
}

#[test]
fn bad_weather_loses_and_doubles_nothing_with_a_warehouse_on_postgres() {
    survives(
        "1",
        "run,run,run+convert,run+load",
        &Server::postgres(),
        &Server::postgres(),
    );
}

#[test]
fn bad_weather_loses_and_doubles_nothing_with_a_warehouse_on_mariadb() {
    survives("2", "run,run", &Server::postgres(), &Server::mariadb());
}

#[test]
fn bad_weather_loses_and_doubles_nothing_with_the_state_on_mariadb() {
    survives("3", "run,run+convert", &Server::mariadb(), &Server::postgres());
}

#[test]
fn bad_weather_loses_and_doubles_nothing_with_source_and_lake_in_a_bucket() {
    let (state, warehouse) = (Server::postgres(), Server::postgres());
    let bucket = SeaweedFs::start(&[BUCKET]);
    let processes = "run,run,run+convert,run+load";
    survives_in("4", processes, &state, &warehouse, Some(&bucket));
}
