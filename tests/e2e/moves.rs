//! The state moves from a file to a server and back, and the service goes on where it stopped.

use std::fs;
use std::path::{Path, PathBuf};

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::postgres::shared;

use crate::support;

/// A province that runs whenever one of its files is new.
const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";

fn settings(state: &str) -> String {
    support::settings(support::SQLITE, JOB).replacen("sqlite://state.db", state, 1)
}

fn submit(site: &Site, store: &str, amount: &str) {
    site.submit(
        format!("IL-{store}.tdf"),
        support::line(store, amount, 4, "I1", "2026-03-01"),
    );
}

fn runs(site: &Site) -> Vec<serde_json::Value> {
    let runs = support::json(&site.run_ok(["runs", "--json"]));
    runs.as_array().expect("it is a list").clone()
}

/// All objects of the lake, without what says whose it is.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the lake exists") {
        let path = entry.expect("the lake can be read").path();
        match path.is_dir() {
            false if path.ends_with("_owner") => {}
            true => found.extend(objects(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Runs until idle with the state elsewhere: nothing is done again. Then a new file leads to one run.
fn goes_on(site: &Site, state: &str, store: &str) {
    site.write_settings(&settings(state));
    let (before, lake) = (runs(site), objects(&site.folder().join("lake")));
    support::run_until_idle(site);
    assert_eq!(runs(site), before);
    assert_eq!(objects(&site.folder().join("lake")), lake);
    submit(site, store, "2.50");
    support::run_until_idle(site);
    let after = runs(site);
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    assert_eq!(after[1..], before[..]);
    let agree = site.run_ok(["state", "check"]);
    assert!(agree.contains("ledger agree"), "{agree}");
}

#[test]
fn a_state_moves_to_a_server_and_back() {
    let server = shared().create_database();
    let site = support::site(&settings("sqlite://state.db"));
    let early = site.run(["state", "export", "moved.db"]);
    assert_eq!(early.status.code(), Some(2), "{early}");
    submit(&site, "S1", "1.50");
    support::run_until_idle(&site);
    submit(&site, "S2", "1.50");
    support::run_until_idle(&site);

    let wrote = site.run_ok(["state", "export", "moved.db"]);
    assert!(
        wrote.starts_with("Wrote ") && wrote.contains(" to moved.db."),
        "{wrote}"
    );
    let again = site.run(["state", "export", "moved.db"]);
    assert_eq!(again.status.code(), Some(2), "{again}");
    assert!(again.stderr.contains("it exists"), "{again}");

    // Into a database that is in use, from what is no state, and from nothing.
    for (file, why) in [
        ("moved.db", "has rows there already"),
        ("gristmill.toml", "it is an SQLite file"),
        ("absent.db", "there is no such file"),
    ] {
        let refused = site.run(["state", "import", file]);
        assert!(
            !refused.status.success() && refused.stderr.contains(why),
            "{refused}"
        );
    }

    site.write_settings(&settings(&server));
    let read = site.run_ok(["state", "import", "moved.db"]);
    assert!(read.starts_with("Read "), "{read}");
    goes_on(&site, &server, "S3");

    // Beside a service.
    let running = support::service(&site);
    let refused = site.run(["state", "import", "moved.db"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused.stderr.contains("another gristmill (process "),
        "{refused}"
    );
    site.run_ok(["state", "export", "meanwhile.db"]);
    let ended = running.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended}");

    site.run_ok(["state", "export", "back.db"]);
    site.write_settings(&settings("sqlite://imported.db"));
    site.run_ok(["state", "import", "back.db"]);
    goes_on(&site, "sqlite://imported.db", "S4");
}
