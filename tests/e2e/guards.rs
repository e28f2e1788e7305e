//! What would silently lower or double what a store has reported is held, told, and decided by a person.

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::{self, Options};

use crate::support::{self, line, told};

const D1: &str = "2016-06-01";
const D2: &str = "2016-06-02";

/// A job that runs whenever one of its files is new.
const ANY: &str = "[[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = \"IL-{store}.tdf\"\ntrigger = \"any\"\n";

fn site_with(feed: &str, jobs: &str) -> Site {
    let settings = support::settings(support::SQLITE, jobs);
    support::site(&settings.replacen("name = \"sales\"", &format!("name = \"sales\"\n{feed}"), 1))
}

fn send(site: &Site, name: &str, lines: &[String]) {
    site.submit(name, lines.concat());
    support::run_until_idle(site);
}

fn rows(site: &Site) -> Vec<String> {
    told(&support::sqlite_rows(site))
}

fn statuses(site: &Site) -> Vec<String> {
    support::state(
        site,
        "SELECT file_url || ' ' || last_update_status FROM ingested_file_status ORDER BY file_url",
    )
}

fn beer(amount: &str, date: &str) -> String {
    line("1003", amount, 4, "BEER", date)
}

fn drawer(date: &str) -> String {
    line("1003", "0.00", 99, "DRAWER", date)
}

#[test]
fn a_line_with_a_code_that_nobody_asks_for_deletes_no_day() {
    for feed in ["", "supersede = \"store-day\""] {
        let site = site_with(feed, ANY);
        send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
        send(&site, "IL-1003.tdf", &[drawer(D1), beer("15.00", D2)]);
        assert_eq!(
            rows(&site),
            ["1003 BEER 2016-06-01 25.00 - -", "1003 BEER 2016-06-02 15.00 - -"],
            "{feed}"
        );
        assert_eq!(statuses(&site), ["IL-1003.tdf VALIDATED"]);
    }
}

#[test]
fn a_late_sale_is_held_added_or_replaces_its_day_as_the_feed_says() {
    for (feed, first_day, held) in [
        ("", "25.00", 1),
        ("supersede = \"store-day\"", "25.00", 1),
        ("late = \"add\"", "27.50", 0),
        ("late = \"add\"\nsupersede = \"store-day\"", "27.50", 0),
        ("late = \"replace\"", "2.50", 0),
    ] {
        let site = site_with(feed, ANY);
        send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
        let second = [beer("2.50", D1), beer("15.00", D2)];
        send(&site, "IL-1003.tdf", &second);
        let expected = |second_day: &str| {
            [
                format!("1003 BEER 2016-06-01 {first_day} - -"),
                format!("1003 BEER 2016-06-02 {second_day} - -"),
            ]
        };
        assert_eq!(rows(&site), expected("15.00"), "{feed}");
        // The same bytes again, then a longer version that repeats the late line: it counts once.
        send(&site, "IL-1003.tdf", &second);
        let third = [beer("2.50", D1), beer("15.00", D2), beer("5.00", D2)];
        send(&site, "IL-1003.tdf", &third);
        assert_eq!(rows(&site), expected("20.00"), "{feed}");
        let status = support::json(&site.run_ok(["status", "--json"]));
        assert_eq!(
            status["held"].as_array().map(Vec::len),
            Some(held),
            "{feed}: {status}"
        );
        let verified = site.run_ok(["load", "--verify", "J"]);
        assert!(verified.contains("They agree"), "{feed}: {verified}");
        let traced = site.run_ok(["trace", "1003", "BEER", D1]);
        assert!(traced.contains("They agree"), "{feed}: {traced}");
    }
}

#[test]
fn held_lines_are_accepted_in_place_of_the_day_or_beside_it() {
    for (option, first_day) in [(None, "2.50"), (Some("--add"), "27.50")] {
        let site = site_with("", ANY);
        send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
        send(&site, "IL-1003.tdf", &[beer("2.50", D1), beer("15.00", D2)]);
        let shown = site.run_ok(["files", "--status", "held"]);
        assert!(shown.contains("gristmill accept IL-1003.tdf"), "{shown}");
        site.run_ok(["accept", "IL-1003.tdf"].into_iter().chain(option));
        assert_eq!(
            rows(&site),
            [
                format!("1003 BEER 2016-06-01 {first_day} - -"),
                "1003 BEER 2016-06-02 15.00 - -".to_owned()
            ],
            "{option:?}"
        );
        assert_eq!(support::state(&site, "SELECT count(*) FROM held"), ["0"]);
        assert_eq!(
            support::state(
                &site,
                "SELECT action FROM intervention WHERE who <> '' AND at <> ''"
            ),
            ["accept"]
        );
        // It stays so, whatever the file does next.
        send(
            &site,
            "IL-1003.tdf",
            &[beer("2.50", D1), beer("15.00", D2), beer("1.00", D2)],
        );
        assert!(
            rows(&site)[0].contains(first_day),
            "{option:?}: {:?}",
            rows(&site)
        );
        assert!(site.run_ok(["load", "--verify", "J"]).contains("They agree"));
        // More late lines are another decision.
        if option.is_some() {
            let more = [beer("2.50", D1), beer("3.00", D1), beer("16.00", D2)];
            send(&site, "IL-1003.tdf", &more);
            assert!(rows(&site)[0].contains("27.50"), "{:?}", rows(&site));
            site.run_ok(["accept", "IL-1003.tdf", "--add"]);
            assert!(rows(&site)[0].contains("30.50"), "{:?}", rows(&site));
        }
    }
    let site = site_with("", ANY);
    send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
    let refused = site.run(["accept", "IL-1003.tdf"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused.stderr.contains("nothing of `IL-1003.tdf` is held"),
        "{refused}"
    );
}

#[test]
fn a_version_that_shrinks_is_held_until_a_whole_one_comes_or_somebody_agrees() {
    let many: Vec<String> = (0..10).map(|_| beer("1.00", D1)).collect();
    let site = site_with("", ANY);
    send(&site, "IL-1003.tdf", &many);
    send(&site, "IL-1003.tdf", &many[..3]);
    assert_eq!(rows(&site), ["1003 BEER 2016-06-01 10.00 - -"]);
    assert_eq!(statuses(&site), ["IL-1003.tdf HELD"]);
    let (holds, facts) = support::explained(&site, "J", "held");
    assert!(holds && facts.contains("3 lines of 2016-06-01"), "{facts}");
    send(&site, "IL-1003.tdf", &[many.clone(), many.clone()].concat());
    assert_eq!(statuses(&site), ["IL-1003.tdf VALIDATED"]);
    assert_eq!(rows(&site), ["1003 BEER 2016-06-01 20.00 - -"]);
    send(&site, "IL-1003.tdf", &many[..3]);
    let accepted = support::json(&site.run_ok(["accept", "IL-1003.tdf", "--json"]));
    assert_eq!(accepted["is_whole"], true);
    assert_eq!(rows(&site), ["1003 BEER 2016-06-01 3.00 - -"]);

    let off = site_with("shrink_percent = 0", ANY);
    send(&off, "IL-1003.tdf", &many);
    send(&off, "IL-1003.tdf", &many[..3]);
    assert_eq!(rows(&off), ["1003 BEER 2016-06-01 3.00 - -"]);
}

#[test]
fn a_file_under_a_second_name_counts_once() {
    let jobs = ANY.replace("trigger", "min_files = 2\nstores = [\"1003\", \"1007\"]\ntrigger");
    let site = site_with("", &jobs);
    send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
    send(&site, "IL-1003 (1).tdf", &[beer("25.00", D1)]);
    assert_eq!(statuses(&site), ["IL-1003 (1).tdf HELD", "IL-1003.tdf VALIDATED"]);
    assert_eq!(
        support::state(&site, "SELECT count(*) FROM job_run"),
        ["0"],
        "1007 is missing"
    );
    let shown = site.run_ok(["status"]);
    assert!(shown.contains("already in"), "{shown}");
    send(&site, "IL-1007.tdf", &[line("1007", "7.00", 4, "BEER", D1)]);
    assert_eq!(
        rows(&site),
        ["1003 BEER 2016-06-01 25.00 - -", "1007 BEER 2016-06-01 7.00 - -"]
    );

    let adding = site_with("same_day = \"add\"", ANY);
    send(&adding, "IL-1003.tdf", &[beer("25.00", D1)]);
    send(&adding, "IL-1003 (1).tdf", &[beer("25.00", D1)]);
    assert_eq!(rows(&adding), ["1003 BEER 2016-06-01 50.00 - -"]);
}

#[test]
fn days_that_no_run_read_before_their_file_began_a_new_day_count() {
    const D3: &str = "2016-06-03";
    let jobs = ANY.replace("trigger", "min_files = 2\ntrigger");
    let site = site_with("", &jobs);
    send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
    send(&site, "IL-1003.tdf", &[beer("15.00", D2)]);
    send(&site, "IL-1003.tdf", &[beer("5.00", D3)]);
    assert_eq!(support::state(&site, "SELECT count(*) FROM job_run"), ["0"]);
    send(&site, "IL-1007.tdf", &[line("1007", "7.00", 4, "BEER", D3)]);
    let expected = [
        "1003 BEER 2016-06-01 25.00 - -",
        "1003 BEER 2016-06-02 15.00 - -",
        "1003 BEER 2016-06-03 5.00 - -",
        "1007 BEER 2016-06-03 7.00 - -",
    ];
    assert_eq!(rows(&site), expected);
    // The next run need not read them again, and leaves them.
    send(&site, "IL-1007.tdf", &[line("1007", "8.00", 4, "BEER", D3)]);
    assert_eq!(rows(&site)[..3], expected[..3]);
    let read = "SELECT count(*) FROM job_run_input GROUP BY run_id ORDER BY count(*) DESC";
    assert_eq!(support::state(&site, read), ["4", "2"]);
    assert!(site.run_ok(["load", "--verify", "J"]).contains("They agree"));
    let traced = site.run_ok(["trace", "1003", "BEER", D1]);
    assert!(traced.contains("They agree"), "{traced}");
}

#[test]
fn a_file_that_holds_another_stores_lines_counts_once_and_is_told() {
    let site = site_with("", ANY);
    send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
    send(&site, "IL-1007.tdf", &[beer("25.00", D1)]);
    assert_eq!(rows(&site), ["1003 BEER 2016-06-01 25.00 - -"]);
    assert_eq!(statuses(&site), ["IL-1003.tdf VALIDATED", "IL-1007.tdf HELD"]);

    let strict = site_with("check_store = true", ANY);
    send(&strict, "IL-1007.tdf", &[beer("25.00", D1)]);
    assert_eq!(statuses(&strict), ["IL-1007.tdf REJECTED"]);
    let why = support::state(&strict, "SELECT last_error FROM ingested_file_status").concat();
    assert!(
        why.contains("its name says store 1007, but it has lines of store 1003"),
        "{why}"
    );
    assert!(rows_are_absent(&strict));

    // Whichever comes first: the file whose name fits has the day.
    let late = site_with("", ANY);
    send(&late, "IL-1007.tdf", &[beer("9.00", D1)]);
    let noted = late.run_ok(["files"]);
    assert!(noted.contains("its name says store 1007"), "{noted}");
    send(&late, "IL-1003.tdf", &[beer("25.00", D1)]);
    assert_eq!(rows(&late), ["1003 BEER 2016-06-01 25.00 - -"]);
}

fn rows_are_absent(site: &Site) -> bool {
    support::state(site, "SELECT count(*) FROM job_run") == ["0"]
}

#[test]
fn a_correction_under_a_new_name_has_two_ways_out() {
    for (trigger, command) in [
        ("any", ["withdraw", "IL-1003.tdf"]),
        ("any", ["accept", "IL-1003-new.tdf"]),
        ("all", ["withdraw", "IL-1003.tdf"]),
    ] {
        let jobs = ANY
            .replace("IL-{store}.tdf", "IL-*.tdf")
            .replace("\"any\"", &format!("\"{trigger}\""));
        let site = site_with("", &jobs);
        send(&site, "IL-1003.tdf", &[beer("25.00", D1)]);
        send(&site, "IL-1003-new.tdf", &[beer("20.00", D1)]);
        assert_eq!(
            rows(&site),
            ["1003 BEER 2016-06-01 25.00 - -"],
            "{trigger} {command:?}"
        );
        let held = support::json(&site.run_ok(["status", "--json"]));
        assert_eq!(held["held"][0]["accept"], "gristmill accept IL-1003-new.tdf");
        assert_eq!(
            held["held"][0]["withdraw_other"],
            "gristmill withdraw IL-1003.tdf"
        );
        site.run_ok(command);
        assert_eq!(
            rows(&site),
            ["1003 BEER 2016-06-01 20.00 - -"],
            "{trigger} {command:?}"
        );
        assert!(site.run_ok(["load", "--verify", "J"]).contains("They agree"));
    }
}

#[test]
fn the_warehouse_follows_what_is_withdrawn_until_it_is_sent_again() {
    let site = site_with("", ANY);
    let other = line("1007", "7.00", 4, "BEER", D1);
    let lines = [beer("25.00", D1), beer("15.00", D2)];
    send(&site, "IL-1007.tdf", std::slice::from_ref(&other));
    send(&site, "IL-1003.tdf", &lines);
    site.run_ok(["withdraw", "IL-1003.tdf", "--day", D1]);
    assert_eq!(
        rows(&site),
        ["1003 BEER 2016-06-02 15.00 - -", "1007 BEER 2016-06-01 7.00 - -"]
    );
    site.run_ok(["withdraw", "IL-1003.tdf"]);
    assert_eq!(rows(&site), ["1007 BEER 2016-06-01 7.00 - -"]);
    assert_eq!(
        statuses(&site),
        ["IL-1003.tdf WITHDRAWN", "IL-1007.tdf VALIDATED"]
    );
    assert!(site.run_ok(["load", "--verify", "J"]).contains("They agree"));
    let refused = site.run(["withdraw", "IL-1003.tdf"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    send(&site, "IL-1003.tdf", &lines);
    assert_eq!(
        rows(&site),
        [
            "1003 BEER 2016-06-01 25.00 - -",
            "1003 BEER 2016-06-02 15.00 - -",
            "1007 BEER 2016-06-01 7.00 - -"
        ]
    );
}

#[test]
fn a_closed_shop_does_not_stop_its_province() {
    let jobs = ANY.replace("\"any\"", "\"all\"");
    let site = site_with("", &jobs);
    let shop = |store: &str, amount: &str| [line(store, amount, 4, "BEER", D1)];
    send(&site, "IL-1.tdf", &shop("1", "1.00"));
    send(&site, "IL-2.tdf", &shop("2", "2.00"));
    send(&site, "IL-1.tdf", &shop("1", "3.00"));
    send(&site, "IL-2.tdf", &shop("2", "2.50"));
    send(&site, "IL-1.tdf", &shop("1", "3.50"));
    send(&site, "IL-1.tdf", &shop("1", "4.00"));
    send(&site, "IL-1.tdf", &shop("1", "5.00"));
    let (holds, facts) = support::explained(&site, "J", "trigger = \"all\"");
    assert!(
        !holds && facts.contains("gristmill withdraw FILE --keep-rows"),
        "{facts}"
    );
    site.run_ok(["withdraw", "IL-2.tdf", "--keep-rows"]);
    assert_eq!(
        rows(&site),
        ["1 BEER 2016-06-01 5.00 - -", "2 BEER 2016-06-01 2.50 - -"]
    );
}

#[test]
fn the_service_carries_out_what_a_person_decides() {
    let site = site_with("", ANY);
    let service = support::service(&site);
    site.submit("IL-1003.tdf", beer("25.00", D1));
    support::wait_for_state(&site, "SELECT state FROM job_run", "COMPLETED");
    let said = site.run_ok(["withdraw", "IL-1003.tdf"]);
    assert!(said.contains("The running gristmill picks it up"), "{said}");
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "2",
    );
    assert!(rows(&site).is_empty());
    service.terminate();
}

#[test]
fn in_dated_waves_a_late_line_neither_deletes_nor_doubles_its_day() {
    let jobs = ANY.replace("IL-{store}.tdf", "{date}-{store}.tdf");
    let first: Vec<String> = (0..5).map(|_| beer("5.00", D1)).collect();
    let second = [beer("2.50", D1), beer("15.00", D2)];
    for (feed, first_day) in [
        ("", "25.00"),
        ("late = \"add\"", "27.50"),
        ("late = \"replace\"", "2.50"),
    ] {
        let site = site_with(feed, &jobs);
        send(&site, "2016-06-01-1003.tdf", &first);
        send(&site, "2016-06-02-1003.tdf", &second);
        assert_eq!(
            rows(&site),
            [
                format!("1003 BEER 2016-06-01 {first_day} - -"),
                "1003 BEER 2016-06-02 15.00 - -".to_owned()
            ],
            "{feed}"
        );
    }
    // The file of the day comes after a late line of it.
    let site = site_with("", &jobs);
    send(&site, "2016-06-02-1003.tdf", &second);
    send(&site, "2016-06-01-1003.tdf", &first);
    send(&site, "2016-06-02-1003.tdf", &[second.concat(), beer("1.00", D2)]);
    assert_eq!(
        rows(&site),
        ["1003 BEER 2016-06-01 25.00 - -", "1003 BEER 2016-06-02 16.00 - -"]
    );
}

#[test]
fn a_file_that_overflows_with_others_is_held_and_the_job_goes_on() {
    let site = site_with("same_day = \"add\"", &ANY.replace("IL-{store}", "IL-*"));
    let most = "9999999999999999.99";
    send(&site, "IL-1003.tdf", &[beer(most, D1)]);
    site.submit("IL-1007.tdf", beer("1.00", D1));
    site.submit("IL-9.tdf", line("9", "9.00", 4, "BEER", D1));
    support::run_until_idle(&site);
    assert_eq!(
        rows(&site),
        [
            format!("1003 BEER 2016-06-01 {most} - -"),
            "9 BEER 2016-06-01 9.00 - -".to_owned()
        ]
    );
    assert_eq!(
        statuses(&site),
        ["IL-1003.tdf VALIDATED", "IL-1007.tdf HELD", "IL-9.tdf VALIDATED"]
    );
    assert_eq!(
        support::state(&site, "SELECT count(*) FROM job_run WHERE state <> 'COMPLETED'"),
        ["0"]
    );
    let why = support::state(
        &site,
        "SELECT last_error FROM ingested_file_status WHERE last_error IS NOT NULL",
    );
    assert!(why.concat().contains("does not fit decimal(18,2)"), "{why:?}");
}

#[test]
fn check_tells_of_a_good_and_of_an_overflowing_file() {
    let site = site_with("", ANY);
    site.submit("IL-1.tdf", line("1", "1.00", 4, "BEER", D1));
    site.submit(
        "IL-2.tdf",
        line("2", "9999999999999999.99", 4, "BEER", D1).repeat(2),
    );
    let checked = site.run(["check", "incoming/IL-1.tdf", "incoming/IL-2.tdf", "--json"]);
    assert_eq!(checked.status.code(), Some(1), "{checked}");
    let checked = support::json(&checked.stdout);
    assert_eq!(checked[0]["rejected_because"], serde_json::Value::Null);
    let why = checked[1]["rejected_because"].as_str().unwrap_or_default();
    assert!(why.contains("does not fit decimal(18,2)"), "{checked}");
}

#[test]
fn what_counts_equals_the_oracle() {
    let site = site_with("late = \"add\"", ANY);
    let first: Vec<String> = (0..20)
        .map(|n| line("1003", &format!("{n}.25"), 4, "A", D1))
        .collect();
    let late = line("1003", "2.50", 4, "B", D1);
    let second = [late.clone(), beer("15.00", D2)];
    send(&site, "IL-1003.tdf", &first);
    send(&site, "IL-1003.tdf", &second);
    let whole = site.folder().join("whole.tdf");
    std::fs::write(&whole, [first.concat(), second.concat()].concat()).expect("the site can be written");
    assert_eq!(
        support::sqlite_rows(&site),
        oracle::summary(&[whole], Options::default())
    );
}
