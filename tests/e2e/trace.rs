//! `gristmill trace` where a row is no more, or an older one was replaced: what the warehouse rightly lacks is no
//! difference.

use gristmill_testkit::gristmill::Site;

use crate::support;

/// A store's day with an item that the next file no longer has.
const BEFORE: &str = "s1\t2.00\t4\tkept\t2026-03-08\ns1\t1.00\t4\tdropped\t2026-03-08\n";
const AFTER: &str = "s1\t2.50\t4\tkept\t2026-03-08\n";

const JOB: &str = "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"*-*.tdf\"\ntrigger = \"any\"\n";

/// Submits both files, one after the other, and traces the item that was dropped.
fn trace_of_the_dropped_item(site: &Site, names: [&str; 2]) -> String {
    for (name, lines) in names.into_iter().zip([BEFORE, AFTER]) {
        site.submit(name, lines);
        support::run_until_idle(site);
    }
    site.run_ok(["trace", "s1", "dropped", "2026-03-08"])
}

#[test]
fn a_row_that_a_correction_took_away_is_told_as_none() {
    let site = support::site(&support::settings(support::SQLITE, JOB));
    let told = trace_of_the_dropped_item(&site, ["IL-1.tdf", "IL-1.tdf"]);
    assert!(told.contains("no row since run all-"), "{told}");
    assert!(told.contains("They agree."), "{told}");
}

#[test]
fn a_row_of_a_day_that_a_newer_file_replaced_is_told_as_none() {
    let settings = support::settings(support::SQLITE, JOB);
    let settings = settings.replacen(
        "discount_amount = 6 }",
        "discount_amount = 6 }\nsupersede = \"store-day\"",
        1,
    );
    let site = support::site(&settings);
    let told = trace_of_the_dropped_item(&site, ["IL-morning.tdf", "IL-noon.tdf"]);
    assert!(told.contains("no row since run all-"), "{told}");
    assert!(told.contains("They agree."), "{told}");
}

#[test]
fn a_row_that_upsert_has_left_is_traced_to_the_older_run() {
    let settings = support::settings(support::SQLITE, "load = \"upsert\"\n");
    let site = support::site(&format!("{settings}{JOB}"));
    let told = trace_of_the_dropped_item(&site, ["IL-1.tdf", "IL-1.tdf"]);
    let first_run = support::state(&site, "SELECT run_id FROM job_run ORDER BY sequence LIMIT 1");
    assert!(told.contains(&format!("made by run {}", first_run[0])), "{told}");
    assert!(told.contains("They agree."), "{told}");
}
