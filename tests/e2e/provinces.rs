//! A store that moves from one province to another: the newest file of each of its days counts, whatever job it is in.

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::postgres::shared;

use crate::support::{self, line, told};

const JOBS: &str = r#"
[[job]]
id = "west"
feed = "sales"
files = "west/OH-*.tdf"
trigger = "any"
[[job]]
id = "mid"
feed = "sales"
files = "mid/OH-*.tdf"
trigger = "any"
"#;

const D1: &str = "2026-03-08";
const D2: &str = "2026-03-09";

fn site(warehouse: &str) -> Site {
    let settings = support::settings(warehouse, JOBS);
    support::site(&settings.replace("files = \"*-*.tdf\"", "files = \"**/*-*.tdf\""))
}

/// Sends a file, and runs; returns what was logged.
fn send(site: &Site, file: &str, amount: &str, day: &str) -> String {
    let (_, store) = file.split_once("OH-").expect("the file names a store");
    site.submit(format!("{file}.tdf"), line(store, amount, 4, "A", day));
    let finished = site.run(["run", "--until-idle"]);
    assert!(finished.status.success(), "{finished}");
    finished.stderr
}

fn a_store_moves(site: &Site, rows: impl Fn() -> Vec<String>) {
    let rows = || {
        let rows = rows().into_iter();
        rows.map(|row| row.trim_end_matches(" - -").to_owned())
            .collect::<Vec<_>>()
    };
    send(site, "west/OH-s1039", "10.00", D1);
    send(site, "west/OH-s2", "1.00", D1);
    let log = send(site, "mid/OH-s1039", "12.00", D1);
    assert!(
        log.contains("takes days over from job west")
            && log.contains("store s1039 on 2026-03-08 (mid/OH-s1039.tdf, west/OH-s1039.tdf)"),
        "{log}"
    );
    let log = send(site, "west/OH-s2", "2.00", D1);
    assert!(log.contains("leaves days to job mid"), "{log}");
    assert_eq!(rows(), ["s1039 A 2026-03-08 12.00", "s2 A 2026-03-08 2.00"]);

    // It is told, and everything agrees.
    let status = site.run_ok(["status"]);
    assert!(status.contains("job west: leaves days to job mid"), "{status}");
    let (holds, facts) = support::explained(site, "west", "other jobs");
    assert!(holds && facts.contains("mid/OH-s1039.tdf"), "{facts}");
    let agree = |site: &Site| {
        for job in ["west", "mid"] {
            let verified = site.run_ok(["load", "--verify", job]);
            assert!(verified.contains("They agree."), "{verified}");
        }
        for store in ["s1039", "s2"] {
            let traced = site.run_ok(["trace", store, "A", D1]);
            assert!(traced.contains("They agree."), "{traced}");
        }
    };
    agree(site);
    let traced = site.run_ok(["trace", "s1039", "A", D1]);
    assert!(traced.contains("made by run mid-"), "{traced}");

    // The store goes on to the next day, and its new job does not mention the first one any more.
    send(site, "mid/OH-s1039", "5.00", D2);
    send(site, "west/OH-s2", "3.00", D1);
    assert_eq!(
        rows(),
        [
            "s1039 A 2026-03-08 12.00",
            "s1039 A 2026-03-09 5.00",
            "s2 A 2026-03-08 3.00"
        ]
    );
    agree(site);

    // It moves back, and corrects the first day there.
    send(site, "west/OH-s1039", "13.00", D1);
    send(site, "mid/OH-s7", "7.00", D1);
    site.run_ok(["jobs", "run", "mid"]);
    assert_eq!(
        rows(),
        [
            "s1039 A 2026-03-08 13.00",
            "s1039 A 2026-03-09 5.00",
            "s2 A 2026-03-08 3.00",
            "s7 A 2026-03-08 7.00"
        ]
    );
    agree(site);
}

#[test]
fn a_store_that_moves_between_provinces_is_not_undone() {
    let site = site(support::SQLITE);
    a_store_moves(&site, || told(&support::sqlite_rows(&site)));
}

#[test]
fn nor_is_it_in_postgres() {
    let url = shared().create_database();
    let site = site(&url);
    a_store_moves(&site, || told(&support::postgres_rows(&url)));
}
