//! The pages of a store, of a run's changed rows, and for SQL; and the report that is sent to a store.

use gristmill_testkit::gristmill::Site;

use crate::page::Desk;
use crate::support::{self, json, line, state};

const HTTP: &str = "\n[http]\nlisten = \"127.0.0.1:0\"\n";

fn site(jobs: &str) -> Site {
    support::site(&format!("{}{HTTP}", support::settings(support::SQLITE, jobs)))
}

const BY_DAY: &str = "
[[job]]
id = \"D\"
feed = \"sales\"
files = \"D-{store}-{date}.tdf\"
trigger = \"any\"
[[job]]
id = \"ALL\"
feed = \"sales\"
files = \"ALL-*.tdf\"
trigger = \"any\"
";

fn day(store: &str, date: &str) -> String {
    let item = |number: usize| line(store, "1.00", 4, &format!("ITEM{number}"), date);
    (0..20).map(item).collect()
}

#[test]
fn a_store_is_told_what_is_missing_and_what_to_change() {
    let site = site(BY_DAY);
    for date in ["2026-03-01", "2026-03-02", "2026-03-03"] {
        site.submit(format!("D-2-{date}.tdf"), day("2", date));
    }
    site.submit("D-1-2026-03-01.tdf", day("1", "2026-03-01"));
    site.submit(
        "D-1-2026-03-02.tdf",
        day("1", "2026-03-02") + "1\t=1+none\t4\tBUN\t2026-03-02\n",
    );
    // Nobody knows which store its bad line is of.
    let of_both = "9\tsecret\t4\tBUN\t2026-03-01\n";
    site.submit(
        "ALL-1.tdf",
        day("1", "2026-02-01") + &day("9", "2026-02-01") + of_both,
    );
    support::run_until_idle(&site);

    let told = json(&site.run_ok(["report", "1", "--since", "2026-03-01", "--json"]));
    let of_job = &told["punctuality"][0];
    let fates: Vec<_> = of_job["days"]
        .as_array()
        .expect("days")
        .iter()
        .map(|day| (day["day"].clone(), day["fate"].clone()))
        .collect();
    assert!(fates.contains(&("2026-03-03".into(), "missing".into())), "{told}");
    assert_eq!(of_job["days"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(told["reasons"][0]["lines"][0]["line_number"], 21, "{told}");
    assert!(
        !told.to_string().contains("secret"),
        "lines of others are not told: {told}"
    );
    assert!(
        told["days"].as_array().is_some_and(|days| days.len() == 2),
        "{told}"
    );

    let html = site.run_ok(["report", "1", "--since", "2026-03-01"]);
    for word in [
        "Days without a file",
        "2026-03-03",
        "D-1-2026-03-02.tdf",
        "=1+none",
        "What to change",
    ] {
        assert!(html.contains(word), "{word}: {html}");
    }
    assert!(
        !html.contains("values.") && !html.contains("src=") && !html.contains("href="),
        "{html}"
    );
    site.run_ok([
        "report",
        "1",
        "--since",
        "2026-03-01",
        "--format",
        "csv",
        "--output",
        "report.csv",
    ]);
    let csv = std::fs::read_to_string(site.folder().join("report.csv")).expect("it was written");
    assert!(
        csv.contains("\"day without a file\",\"2026-03-03\"") && csv.contains("\"21\""),
        "{csv}"
    );
    let unknown = site.run(["report", "77", "--since", "2026-03-01"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown}");
    assert!(unknown.stderr.contains("gristmill files"), "{unknown}");

    let desk = Desk::open(&site);
    let page = desk.page("/store?store=1&since=2026-03-01&to=2026-03-05");
    for word in [
        "Store 1",
        "missing",
        "D-1-2026-03-02.tdf",
        "For the store:",
        "/store/report.html?",
        "of several stores",
        "/jobs/D",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert_eq!(desk.api("/api/store?store=1&since=2026-03-01"), told);
    assert!(
        desk.page("/store/report.html?store=1&since=2026-03-01")
            .contains("What to change")
    );
    assert!(
        desk.page("/store/report.csv?store=1&since=2026-03-01")
            .contains("without a file")
    );
    assert!(desk.page("/stores?job=D").contains("/store?store=1"));
    assert!(desk.page("/files").contains("/store?store=1"));
    for (path, status) in [
        ("/store?store=1&since=2026-03-05&to=2026-03-01", 400),
        ("/store/report.pdf?store=1", 404),
        ("/api/store", 400),
    ] {
        assert_eq!(desk.get(path).status, status, "{path}");
    }
}

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
";

fn sales(store: &str, rows: &[(&str, &str)]) -> String {
    let row = |(item, amount): &(&str, &str)| line(store, amount, 4, item, "2026-03-01");
    rows.iter().map(row).collect()
}

#[test]
fn each_row_that_a_run_changed_names_the_file_behind_it() {
    let site = site(JOB);
    site.submit(
        "IL-1.tdf",
        sales(
            "S1",
            &[("A", "1.00"), ("B", "2.00"), ("C", "3.00"), ("D", "4.00")],
        ),
    );
    site.submit("IL-2.tdf", sales("S2", &[("A", "1.00")]));
    support::run_until_idle(&site);
    site.submit(
        "IL-1.tdf",
        sales(
            "S1",
            &[("A", "1.00"), ("B", "2.50"), ("C", "3.00"), ("E", "5.00")],
        ),
    );
    support::run_until_idle(&site);
    let runs = state(
        &site,
        "SELECT run_id FROM job_run WHERE outcome = 'LOADED' ORDER BY sequence",
    );
    let (first, second) = (&runs[0], runs.last().expect("there are runs"));
    let desk = Desk::open(&site);
    let changed = desk.api(&format!("/api/runs/{second}/rows"));
    assert_eq!(changed["before"], **first, "{changed}");
    let rows: Vec<_> = changed["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (
                row["item_id"].as_str().expect("an item"),
                row["before"][0].as_str(),
                row["after"][0].as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("B", Some("2.00"), Some("2.50")),
            ("D", Some("4.00"), None),
            ("E", None, Some("5.00"))
        ]
    );
    for row in changed["rows"].as_array().expect("rows") {
        let files = row["files"].as_array().expect("files");
        assert_eq!(files.len(), 1, "{row}");
        assert_eq!(files[0]["file"], "IL-1.tdf");
        assert_ne!(files[0]["before"], files[0]["after"]);
    }
    let part = desk.api(&format!("/api/runs/{second}/rows?offset=1&limit=1"));
    assert_eq!(
        (&part["rows"][0]["item_id"], &part["has_more"]),
        (&"D".into(), &true.into())
    );
    let removed = desk.api(&format!("/api/runs/{second}/rows?change=removed"));
    assert_eq!(removed["rows"].as_array().map(Vec::len), Some(1), "{removed}");
    let all = desk.api(&format!("/api/runs/{first}/rows"));
    assert_eq!(
        (&all["before"], all["rows"].as_array().map(Vec::len)),
        (&serde_json::Value::Null, Some(5))
    );
    assert!(
        desk.page(&format!("/runs/{second}"))
            .contains(&format!("/runs/{second}/rows"))
    );
    let page = desk.page(&format!("/runs/{second}/rows"));
    for word in [
        "2.00 → <strong>2.50</strong>",
        "no row",
        "IL-1.tdf",
        "/row?store=S1&amp;item=B",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert_eq!(desk.get("/api/runs/none/rows").status, 404);
    assert_eq!(desk.get(&format!("/runs/{second}/rows?change=odd")).status, 400);
    std::fs::remove_dir_all(site.folder().join("lake/summaries")).expect("the lake is ours");
    let page = desk.page(&format!("/runs/{second}/rows"));
    assert!(page.contains("removed from the lake"), "{page}");
}

#[test]
fn views_can_be_asked_and_nothing_else() {
    let site = site(JOB);
    site.submit("IL-1.tdf", sales("S1", &[("A", "1.00")]));
    support::run_until_idle(&site);
    let desk = Desk::open(&site);
    let question = "SELECT%20file_url,%20rows%20FROM%20files";
    let page = desk.page(&format!("/sql?q={question}"));
    assert!(
        page.contains("IL-1.tdf") && page.contains("1 row") && page.contains("store_days"),
        "{page}"
    );
    assert_eq!(
        desk.page(&format!("/sql.csv?q={question}")),
        "\"file_url\",\"rows\"\r\n\"IL-1.tdf\",\"1\"\r\n"
    );
    let answer = desk.api(&format!("/api/sql?q={question}"));
    assert_eq!(answer["rows"], json("[[\"IL-1.tdf\", 1]]"));
    assert!(
        desk.api("/api/sql/views")
            .as_array()
            .is_some_and(|views| views.len() > 8)
    );
    for refused in [
        "SELECT%20*%20FROM%20job_run",
        "DELETE%20FROM%20job_run",
        "PRAGMA%20table_list",
        "ATTACH%20'x'%20AS%20y",
        "SELECT%20load_extension('x')",
        "SELECT%20randomblob(900000000)",
        "WITH%20RECURSIVE%20n(i)%20AS%20(SELECT%201%20UNION%20ALL%20SELECT%20i%2B1%20FROM%20n)%20SELECT%20max(i)%20FROM%20n",
    ] {
        let answer = desk.get(&format!("/api/sql?q={refused}"));
        assert_eq!(answer.status, 400, "{refused}: {}", answer.body);
        let page = desk.page(&format!("/sql?q={refused}"));
        assert!(page.contains("class=\"problem\""), "{refused}: {page}");
    }
    assert_eq!(desk.get("/api/sql").status, 400);
    // A page that stays as it is has no stream, which would ask again and again.
    assert_eq!(desk.get("/live?at=/sql").body, "");
}
