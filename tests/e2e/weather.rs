//! A site whose state is on a Postgres server, in bad weather: several processes, kills, pauses beyond a lease, servers that
//! stop, connections that are cut, a full disk and clocks that differ. `weather.py` drives it and audits it in the end.
//!
//! The usual run takes a minute or two. `GRISTMILL_WEATHER=all` takes 500 kills, for some hours; docs/reliability.md tells
//! what that came to. `GRISTMILL_WEATHER=SEED` repeats the short run of a seed, and `GRISTMILL_WEATHER=SEED:KILLS` one with
//! so many kills.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use gristmill_testkit::mariadb::MariaDb;
use gristmill_testkit::postgres::{Postgres, StopMode};
use gristmill_testkit::venv;
use tempfile::TempDir;

/// What runs at the same time: the service, and one that stands by.
const PROCESSES: &str = "run,run";

/// The kills of the short form.
const KILLS: u32 = 10;

/// The size of the lake's disk, in megabytes for each kill: the long form writes more.
const DISK: u32 = 8;

/// The server of the warehouse.
enum Warehouse {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Warehouse {
    fn stop(&self, how: &str) {
        match self {
            Self::Postgres(server) => server.stop(mode(how)),
            Self::MariaDb(server) => server.kill(),
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
        _ => panic!("{how:?} is no way to stop a server"),
    }
}

/// Whether this user may mount a disk. If not, none is full.
fn may_mount() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "true"]);
    unshare.output().is_ok_and(|done| done.status.success())
}

/// Seeds and kills that somebody asks for, or the usual ones.
fn asked_for(seed: u32) -> (u32, u32) {
    match std::env::var("GRISTMILL_WEATHER").as_deref() {
        Ok("all") => (seed, 500),
        Ok(asked) => {
            let (seed, kills) = asked.split_once(':').unwrap_or((asked, ""));
            let number = |text: &str| {
                text.parse()
                    .expect("GRISTMILL_WEATHER is `all`, SEED or SEED:KILLS")
            };
            (number(seed), if kills.is_empty() { KILLS } else { number(kills) })
        }
        Err(_) => (seed, KILLS),
    }
}

fn survives(seed: u32, warehouse: &Warehouse) {
    let (seed, kills) = asked_for(seed);
    let state = Postgres::start();
    let url = match warehouse {
        Warehouse::Postgres(server) => server.create_database(),
        Warehouse::MariaDb(server) => server.create_database(),
    };
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
    command.arg(script).arg("--prove");
    command.args([
        "--binary",
        env!("CARGO_BIN_EXE_gristmill"),
        "--processes",
        PROCESSES,
    ]);
    command.args(["--state", &state.create_database(), "--warehouse", &url]);
    command.args(["--seed", &seed.to_string(), "--kills", &kills.to_string()]);
    command.arg("--folder").arg(folder);
    if has_disk {
        command.args(["--small-disk", &(64 + DISK * kills).to_string()]);
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
            ["stop", "state", how] => state.stop(mode(how)),
            ["stop", "warehouse", how] => warehouse.stop(how),
            ["start", "state"] => state.start_again(),
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
            "seed {seed}, {kills} kills: see above; the site is kept in {}. GRISTMILL_WEATHER={seed}:{kills} runs it again",
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
    survives(1, &Warehouse::Postgres(Postgres::start()));
}

#[test]
fn bad_weather_loses_and_doubles_nothing_with_a_warehouse_on_mariadb() {
    survives(2, &Warehouse::MariaDb(MariaDb::start()));
}
