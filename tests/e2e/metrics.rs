//! The metrics: they equal an audit of the state database, and the dashboard and the rules ask for nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::{promtool, venv};

use crate::page::{Desk, many, mill, sale};
use crate::support;

fn deployed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// Keeps a scrape beside the site, and returns its path.
fn scrape(desk: &Desk, site: &Site, name: &str) -> PathBuf {
    let path = site.folder().join(name);
    std::fs::write(&path, desk.page("/metrics")).expect("the scrape can be kept");
    path
}

/// Compares a scrape with what the state database has, until they agree: a scrape is told for some seconds.
fn audit(desk: &Desk, site: &Site, earlier: Option<&Path>) -> PathBuf {
    let mut told = String::new();
    let mut kept = PathBuf::new();
    wait_until("the scrape equals the audit", || {
        kept = scrape(desk, site, "scrape.txt");
        let done = Command::new(venv::python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/metrics.py"))
            .arg(&kept)
            .arg(site.folder().join("state.db"))
            .args(earlier)
            .output()
            .expect("the audit runs");
        let now = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        if now != told {
            told = now;
            eprintln!("{told}");
        }
        told.starts_with("ok")
    });
    kept
}

#[test]
fn a_scrape_equals_an_audit_and_counters_go_on_after_a_restart() {
    let site = mill("");
    site.submit(
        "IL-1.tdf",
        many("S1") + "S1\tnone\t4\tBUN\t2026-03-01\n-- a remark\n" + "S1\t1.00\t9\tBUN\t2026-03-01\n",
    );
    site.submit("IL-2.tdf", many("S2"));
    site.submit("IL-3.tdf", "not what a store sends\n");
    site.submit("odd.name", "x");
    site.submit("Items", "BUN\tBun\n");
    let desk = Desk::open(&site);
    desk.wait_for("/api/runs", |runs| {
        runs[0]["state"] == "COMPLETED" && runs[0]["summary"]["rows"] == 40
    });
    // Much less: it is held.
    site.submit("IL-2.tdf", sale("S2", "2.00"));
    desk.wait_for("/api/status", |status| status["files"]["HELD"] == 1);
    let before = audit(&desk, &site, None);
    let text = std::fs::read_to_string(&before).unwrap();
    let value = |series: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        let line = line.unwrap_or_else(|| panic!("no {series} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("gristmill_conversion_duration_seconds_count") >= 5.0);
    assert!(
        value("gristmill_disk_size_bytes{place=\"lake\"}")
            > value("gristmill_disk_free_bytes{place=\"lake\"}")
    );
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert_eq!(value("gristmill_held"), 1.0);
    assert_eq!(value("gristmill_unmatched_files"), 1.0);
    let earlier = site.folder().join("earlier.txt");
    std::fs::copy(&before, &earlier).unwrap();
    desk.close();

    let desk = Desk::open(&site);
    site.submit("IL-1.tdf", many("S1") + &sale("S1", "3.00"));
    desk.wait_for("/api/runs", |runs| runs[0]["summary"]["rows"] == 41);
    audit(&desk, &site, Some(&earlier));
}

#[test]
fn stores_that_others_are_ahead_of_are_missing() {
    let job = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
stores = [\"1\", \"2\", \"3\"]
min_files = 3
";
    let settings = support::settings(support::SQLITE, job);
    let site = support::site(&format!("{settings}\n[http]\nlisten = \"127.0.0.1:0\"\n"));
    let desk = Desk::open(&site);
    let missing = |stores: u32| {
        wait_until("the scrape tells of the stores", || {
            let series = format!("gristmill_province_missing_stores{{province=\"IL\"}} {stores}\n");
            desk.page("/metrics").contains(&series)
        });
    };
    missing(0);
    site.submit("IL-1.tdf", many("1"));
    missing(2);
    site.submit("IL-2.tdf", many("2"));
    site.submit("IL-3.tdf", many("3"));
    missing(0);
    // The next wave begins.
    site.submit("IL-3.tdf", many("3") + &sale("3", "1.00"));
    missing(2);
}

#[test]
fn dashboard_and_rules_name_only_what_a_scrape_has() {
    let site = mill("");
    site.submit("IL-1.tdf", many("S1"));
    let desk = Desk::open(&site);
    desk.wait_for("/api/runs", |runs| runs[0]["state"] == "COMPLETED");
    let scrape = std::fs::read_to_string(audit(&desk, &site, None)).unwrap();
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut known = BTreeSet::new();
    for family in types {
        let (name, kind) = family.split_once(' ').unwrap();
        match kind {
            "counter" => drop(known.insert(format!("{name}_total"))),
            "histogram" => known.extend(["_bucket", "_count", "_sum"].map(|part| format!("{name}{part}"))),
            _ => drop(known.insert(name.to_owned())),
        }
    }
    for file in ["prometheus/rules.yml", "grafana/gristmill.json"] {
        let text = std::fs::read_to_string(deployed(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: BTreeSet<_> = words
            .filter(|word| word.starts_with("gristmill_") || word.starts_with("process_"))
            .map(str::to_owned)
            .collect();
        assert!(named.len() > 5, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(
            unknown.is_empty(),
            "{file} asks for {unknown:?}, which a scrape lacks"
        );
    }
    // And each is explained.
    let page = std::fs::read_to_string(deployed("../docs/metrics.md")).unwrap();
    let unexplained: Vec<_> = known
        .iter()
        .map(|name| {
            ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name)
        })
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(unexplained.is_empty(), "docs/metrics.md lacks {unexplained:?}");
}

#[test]
fn promtool_accepts_the_rules_and_fires_them_on_recorded_series() {
    for arguments in [
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules.test.yml"],
    ] {
        let done = Command::new(promtool::program())
            .args(arguments)
            .current_dir(deployed("prometheus"))
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("SUCCESS"), "{said}");
    }
    // Each alert is described, leads to what to do about it, and is tried.
    let read = |path: &str| std::fs::read_to_string(deployed(path)).unwrap();
    let (rules, tests, operations) = (
        read("prometheus/rules.yml"),
        read("prometheus/rules.test.yml"),
        read("../docs/operations.md"),
    );
    let headings: BTreeSet<String> = operations
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches(['#', ' '])
                .to_ascii_lowercase()
                .replace(' ', "-")
        })
        .collect();
    let alerts = rules.split("- alert: ").skip(1);
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in ["summary: ", "description: ", "severity: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        let anchor = alert
            .split("docs/operations.md#")
            .nth(1)
            .unwrap_or_else(|| panic!("{name} leads nowhere"));
        let anchor = anchor.lines().next().unwrap();
        assert!(
            headings.contains(anchor),
            "{name} leads to {anchor}, which docs/operations.md lacks"
        );
        assert!(
            tests.contains(&format!("alertname: {name}\n")),
            "{name} is never fired"
        );
    }
}
