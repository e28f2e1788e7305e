//! What the lake's retention removes, and that nothing is missed of it.

use std::path::Path;

use gristmill_testkit::gristmill::Site;

use crate::support::{self, line, run_until_idle, sqlite_rows, state, told};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-{store}.tdf\"\ntrigger = \"any\"\n";

fn objects(site: &Site, folder: &str) -> usize {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        let paths = entries.map(|entry| entry.expect("the lake can be listed").path());
        paths
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&site.folder().join("lake").join(folder))
}

#[test]
fn what_has_expired_is_removed_and_an_old_version_comes_back_when_it_is_sent_again() {
    // The first version, sent again, has few lines of the first day.
    let kept_for_ever = support::unguarded(support::settings(support::SQLITE, JOB));
    let retention =
        "[lake.retention]\nconverted = \"0s\"\npartials = \"0s\"\nrejects = \"0s\"\nsummaries = \"0s\"\n";
    let site = support::site(&kept_for_ever);
    let day = |day| format!("2026-03-0{day}");
    let first = line("1", "2.00", 4, "A", &day(1)) + &line("1", "9.00", 4, "A", &day(2));
    let second = (1..=20).fold(line("1", "x", 4, "A", &day(1)), |text, item| {
        text + &line("1", "3.00", 4, &format!("I{item:02}"), &day(1))
    });
    for text in [&first, &second] {
        site.submit("IL-1.tdf", text);
        run_until_idle(&site);
    }
    let held =
        |site: &Site| ["converted", "partials", "rejects", "summaries"].map(|kind| objects(site, kind));
    assert_eq!(held(&site), [2, 2, 1, 4]);

    site.write_settings(&format!("{kept_for_ever}{retention}"));
    let swept = site.run(["run", "--until-idle"]);
    assert!(swept.stderr.contains("objects=6"), "{swept}");
    assert_eq!(
        held(&site),
        [0, 1, 0, 2],
        "the partial in force and the last summary stay"
    );
    let rejects = site.run_ok(["rejects", "IL-1.tdf"]);
    assert!(
        rejects.contains("removed from the lake by its retention"),
        "{rejects}"
    );
    let verified = site.run_ok(["load", "--verify", "IL"]);
    assert!(verified.contains("They agree."), "{verified}");
    // The second day is not covered any more, and was left as the first version had it.
    let traced = site.run(["trace", "1", "A", &day(2)]);
    assert!(
        !traced.status.success() && traced.stderr.contains("cannot be traced any further"),
        "{traced}"
    );

    site.write_settings(&kept_for_ever);
    site.submit("IL-1.tdf", &first);
    run_until_idle(&site);
    let versions = "SELECT count(*) FROM file_version WHERE partial_object IS NOT NULL";
    assert_eq!(state(&site, versions), ["2"], "it was converted again");
    let rows = told(&sqlite_rows(&site));
    assert_eq!(rows, ["1 A 2026-03-01 2.00 - -", "1 A 2026-03-02 9.00 - -"]);
}

#[test]
fn a_start_removes_summaries_of_runs_that_the_state_database_does_not_have() {
    let site = support::site(&support::settings(support::SQLITE, JOB));
    site.submit("IL-1.tdf", line("1", "2.00", 4, "A", "2026-03-01"));
    run_until_idle(&site);
    let summary = state(&site, "SELECT summary_object FROM job_run").remove(0);
    let lake = site.folder().join("lake");
    let left = ["summaries/IL/IL-20260301T080000.000001.parquet"];
    let not_ours = [
        "summaries/MI/MI-20260301T080000.000001.parquet",
        "summaries/IL/mine.parquet",
    ];
    for object in left.iter().chain(&not_ours) {
        let copy = lake.join(object);
        std::fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("the lake is ours");
        std::fs::copy(lake.join(&summary), copy).expect("the lake is ours");
    }
    let is_there = |object: &&str| lake.join(object).exists();
    // They may be those of runs that an older copy of the state database does not have.
    run_until_idle(&site);
    assert!(left.iter().all(is_there));
    site.submit("IL-1.tdf", line("1", "3.00", 4, "A", "2026-03-01"));
    run_until_idle(&site);
    let started = site.run(["run", "--until-idle"]);
    assert!(
        started.status.success() && started.stderr.contains("an interrupted process left in the lake"),
        "{started}"
    );
    assert!(!left.iter().any(is_there));
    assert!(not_ours.iter().chain([&&*summary]).all(is_there), "{started}");
}

#[test]
fn a_replay_takes_converted_rows_where_partials_have_expired() {
    let kept = support::unguarded(support::settings(support::SQLITE, JOB));
    let site = support::site(&kept);
    let send = |amount: &str| {
        site.submit("IL-1.tdf", line("1", amount, 4, "A", "2026-03-01"));
        run_until_idle(&site);
    };
    send("2.00");
    let until = state(&site, "SELECT max(submitted) FROM submissions").remove(0);
    send("3.00");
    site.write_settings(&format!("{kept}[lake.retention]\npartials = \"0s\"\n"));
    run_until_idle(&site);
    assert_eq!([objects(&site, "partials"), objects(&site, "converted")], [1, 2]);
    let replay = ["replay", "IL", "--from", "2020-01-01", "--to", &until];
    let replayed = site.run(replay);
    assert!(
        replayed.status.success()
            && replayed
                .stderr
                .contains("had no partials of IL-1.tdf; they were made anew from converted rows"),
        "{replayed}"
    );
    assert_eq!(told(&sqlite_rows(&site)), ["1 A 2026-03-01 2.00 - -"]);
    assert_eq!(state(&site, "SELECT count(*) FROM submission"), ["2"]);
    // It expires again.
    run_until_idle(&site);
    assert_eq!(objects(&site, "partials"), 1);
    // Of rows that have expired as well, nothing can be made.
    site.write_settings(&format!("{kept}[lake.retention]\nconverted = \"0s\"\n"));
    run_until_idle(&site);
    let replayed = site.run(replay);
    assert!(
        !replayed.status.success()
            && replayed
                .stderr
                .contains("the lake keeps no converted rows of it): send the file again"),
        "{replayed}"
    );
}
