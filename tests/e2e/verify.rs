//! `gristmill load --verify`: rows that somebody has changed in the warehouse are found, told and mended.

use gristmill_testkit::gristmill::Site;

use crate::support;

const JOB: &str = "[[job]]\nid = \"all\"\nfeed = \"sales\"\nfiles = \"*-*.tdf\"\ntrigger = \"any\"\n";
const FIRST: &str = "s1\t2.00\t4\ta\t2026-03-08\ns1\t1.00\t4\tb\t2026-03-08\ns1\t3.00\t4\tc\t2026-03-09\n";
const SECOND: &str = "s1\t2.00\t4\ta\t2026-03-08\ns1\t1.50\t4\tb\t2026-03-08\ns1\t3.00\t4\tc\t2026-03-09\n";

fn loaded() -> Site {
    let site = support::site(&support::settings(support::SQLITE, JOB));
    site.submit("IL-1.tdf", FIRST);
    support::run_until_idle(&site);
    site
}

#[test]
fn a_correction_leaves_a_hand_edit_elsewhere_and_a_comparison_finds_and_mends_it() {
    let site = loaded();
    let told = site.run_ok(["load", "--verify", "all"]);
    assert!(
        told.contains("3 rows compared") && told.contains("They agree."),
        "{told}"
    );

    support::sqlite(
        &site,
        "UPDATE sales_summary SET sale_amount = '9.99' WHERE item_id = 'a'",
    );
    support::sqlite(&site, "DELETE FROM sales_summary WHERE item_id = 'c'");
    site.submit("IL-1.tdf", SECOND);
    support::run_until_idle(&site);
    let changes =
        "SELECT concat_ws(' ', rows_inserted, rows_updated, rows_deleted, rows_unchanged) FROM job_run";
    let changes = support::state(&site, &format!("{changes} ORDER BY sequence DESC LIMIT 1"));
    assert_eq!(
        changes,
        ["0 1 0 2"],
        "only what differs from the load before was looked at"
    );

    let looked = site.run(["load", "--verify", "all", "--json"]);
    assert_eq!(looked.status.code(), Some(1), "{}", looked.stderr);
    let waves = support::json(&looked.stdout);
    let wave = &waves[0];
    assert_eq!(
        (&wave["missing"], &wave["different"], &wave["surplus"]),
        (&1.into(), &1.into(), &0.into())
    );
    assert_eq!(wave["agrees"], false);
    let first = &wave["differences"][0];
    assert_eq!(
        (&first["item_id"], &first["trans_date"]),
        (&"a".into(), &"2026-03-08".into())
    );
    assert_eq!(
        (&first["warehouse"][0], &first["summary"][0]),
        (&"9.99".into(), &"2.00".into())
    );
    assert!(wave["differences"][1]["warehouse"].is_null());

    let told = site.run(["load", "--verify", "all"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(
        told.stdout.contains("no row") && told.stdout.contains("--repair"),
        "{}",
        told.stdout
    );

    let told = site.run_ok(["load", "--verify", "all", "--repair"]);
    assert!(
        told.contains("Repaired: 1 inserted, 1 updated, 0 deleted."),
        "{told}"
    );
    let told = site.run_ok(["load", "--verify", "all"]);
    assert!(told.contains("They agree."), "{told}");
    let sales: Vec<_> = support::sqlite_rows(&site)
        .into_iter()
        .map(|row| row.sale_amount)
        .collect();
    assert_eq!(sales, ["2.00", "1.50", "3.00"].map(|text| Some(text.to_owned())));
}

#[test]
fn without_a_name_every_job_that_has_loaded_is_compared() {
    let jobs = format!(
        "{JOB}{}",
        JOB.replace("\"all\"", "\"none\"").replace("*-*", "none-*")
    );
    let site = support::site(&support::settings(support::SQLITE, &jobs));
    support::run_until_idle(&site);
    let nothing = site.run(["load", "--verify"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(
        nothing.stderr.contains("no job has loaded anything yet"),
        "{}",
        nothing.stderr
    );
    site.submit("IL-1.tdf", FIRST);
    support::run_until_idle(&site);
    let told = site.run_ok(["load", "--verify"]);
    assert!(told.contains("all-") && told.contains("They agree."), "{told}");
    let never = site.run(["load", "--verify", "none"]);
    assert_eq!(never.status.code(), Some(2));
    support::sqlite(&site, "DELETE FROM sales_summary WHERE item_id = 'c'");
    assert_eq!(site.run(["load", "--verify"]).status.code(), Some(1));
}

#[test]
fn a_warehouse_that_was_lost_is_filled_again() {
    let site = loaded();
    let before = support::sqlite_rows(&site);
    std::fs::remove_file(site.folder().join("warehouse.db")).unwrap();
    let told = site.run(["load", "--verify", "all"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(
        told.stdout.contains("lacks 3") && told.stdout.contains("does not have this run"),
        "{}",
        told.stdout
    );
    site.run_ok(["load", "--verify", "all", "--repair"]);
    assert_eq!(support::sqlite_rows(&site), before);
    site.submit("IL-1.tdf", SECOND);
    support::run_until_idle(&site);
    assert!(site.run_ok(["load", "--verify", "all"]).contains("They agree."));
}

#[test]
fn what_cannot_be_compared_is_told() {
    let site = loaded();
    let unknown = site.run(["load", "--verify", "nobody"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", unknown.stderr);
    std::fs::remove_dir_all(site.folder().join("lake/summaries")).unwrap();
    let gone = site.run(["load", "--verify", "all", "--repair"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(gone.stdout.contains("no longer in the lake"), "{}", gone.stdout);
    // A correction is loaded all the same, in full.
    site.submit("IL-1.tdf", SECOND);
    support::run_until_idle(&site);
    assert!(site.run_ok(["load", "--verify", "all"]).contains("They agree."));
}
