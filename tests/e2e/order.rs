//! Which of two files of the same store and day counts: one order for the run, its digest, `load --verify` and `trace`.

use std::fs::OpenOptions;
use std::time::{Duration, SystemTime};

use gristmill_state::{Clock, SystemClock};
use gristmill_testkit::gristmill::Site;

use crate::support::{self, line, run_until_idle, told};

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";
const DAY: &str = "2026-03-08";

fn site() -> Site {
    let settings = support::settings(support::SQLITE, JOB);
    support::site(&settings.replace(
        "name = \"sales\"\n",
        "name = \"sales\"\nsupersede = \"store-day\"\n",
    ))
}

/// Submits a file that was written so many hours ago; ahead of now, if negative.
fn submit(site: &Site, name: &str, amount: &str, hours_ago: i64) {
    let path = site.submit(name, line("S1", amount, 4, "A", DAY));
    touch(&path, hours_ago);
}

fn touch(path: &std::path::Path, hours_ago: i64) {
    let span = Duration::from_secs(hours_ago.unsigned_abs() * 3600);
    let now = SystemTime::from(SystemClock.now());
    let at = if hours_ago < 0 { now + span } else { now - span };
    let file = OpenOptions::new().append(true).open(path);
    let file = file.expect("the file was submitted");
    file.set_modified(at).expect("the time can be set");
}

/// The sales of the one key, which `load --verify` and `trace` agree with.
fn sales(site: &Site) -> String {
    let verified = site.run_ok(["load", "--verify", "IL"]);
    assert!(verified.contains("They agree."), "{verified}");
    let traced = site.run_ok(["trace", "S1", "A", DAY]);
    assert!(traced.contains("They agree."), "{traced}");
    let rows = told(&support::sqlite_rows(site));
    rows.concat()
        .split(' ')
        .nth(3)
        .map(str::to_owned)
        .unwrap_or_default()
}

#[test]
fn a_file_that_is_touched_later_counts_even_with_the_same_bytes() {
    let site = site();
    submit(&site, "IL-B.tdf", "11.00", 3);
    run_until_idle(&site);
    submit(&site, "IL-A.tdf", "9.00", 5);
    run_until_idle(&site);
    assert_eq!(sales(&site), "11.00", "B was written later");
    touch(&site.incoming().join("IL-A.tdf"), 2);
    run_until_idle(&site);
    assert_eq!(sales(&site), "9.00", "now A was");
    let last = support::state(
        &site,
        "SELECT outcome FROM job_run ORDER BY sequence DESC LIMIT 1",
    );
    assert_eq!(last, ["LOADED"]);
}

#[test]
fn a_store_whose_clock_runs_ahead_is_told_and_can_correct_its_day() {
    let site = site();
    submit(&site, "IL-A.tdf", "9.00", -40_000);
    let first = site.run(["run", "--until-idle"]);
    assert!(
        first.stderr.contains("time of writing lies in the future"),
        "{first}"
    );
    assert_eq!(sales(&site), "9.00");
    let status = site.run_ok(["status"]);
    assert!(status.contains("IL-A.tdf: its time of writing was"), "{status}");
    submit(&site, "IL-B.tdf", "10.00", 0);
    run_until_idle(&site);
    assert_eq!(sales(&site), "10.00");
    // Reading A once more does not make it newer.
    support::state(
        &site,
        "UPDATE ingested_file_status SET stamp_bytes = NULL WHERE file_url = 'IL-A.tdf'",
    );
    run_until_idle(&site);
    assert_eq!(sales(&site), "10.00");
    let json = support::json(&site.run_ok(["status", "--json"]));
    assert_eq!(json["written_ahead"][0][0], "IL-A.tdf");
}

/// What a slow model says of a history: for each store and day, the newest file that holds it.
fn by_model(sent: &[(usize, usize, i64)]) -> Vec<String> {
    let mut newest = std::collections::BTreeMap::new();
    for (number, (file, content, hours_ago)) in sent.iter().enumerate() {
        // Only what was sent last of a file counts.
        if sent[number + 1..].iter().all(|later| later.0 != *file) {
            for (day, amount) in days(*file, *content) {
                let age = (-hours_ago, number);
                let entry = newest.entry(day).or_insert((age, amount.clone()));
                if entry.0 < age {
                    *entry = (age, amount);
                }
            }
        }
    }
    let rows = newest.into_iter();
    rows.map(|(day, (_, amount))| format!("S1 A 2026-03-0{day} {amount} - -"))
        .collect()
}

/// The days and amounts of a file's content.
fn days(file: usize, content: usize) -> Vec<(usize, String)> {
    let held: [&[usize]; 3] = [&[1], &[2], &[1, 2]];
    let amount = |day| format!("{}{}{day}.00", file + 1, content + 1);
    held[content].iter().map(|day| (*day, amount(*day))).collect()
}

#[test]
fn random_histories_end_as_the_model_says() {
    let mut random = fastrand::Rng::with_seed(9);
    for history in 0..3 {
        let site = site();
        let mut sent: Vec<(usize, usize, i64)> = Vec::new();
        for step in 0..6 {
            let (file, content) = (random.usize(0..3), random.usize(0..3));
            // Days that a file no longer holds stay as they were loaded, so each file keeps its days.
            let content = sent
                .iter()
                .find(|(known, ..)| *known == file)
                .map_or(content, |(_, content, _)| *content);
            let hours_ago = random.i64(1..50);
            let lines = days(file, content)
                .into_iter()
                .map(|(day, amount)| line("S1", &amount, 4, "A", &format!("2026-03-0{day}")));
            let path = site.submit(format!("IL-{file}.tdf"), lines.collect::<String>());
            touch(&path, hours_ago);
            sent.push((file, content, hours_ago));
            run_until_idle(&site);
            let rows = told(&support::sqlite_rows(&site));
            assert_eq!(rows, by_model(&sent), "history {history}, step {step}: {sent:?}");
        }
    }
}
