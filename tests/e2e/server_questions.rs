//! Criteria and questions on a state database on a server: a role that the documentation creates answers them.

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::mariadb;
use gristmill_testkit::postgres::{self, shared};

use crate::operators_sql::{documented_in, statements};
use crate::page::Desk;
use crate::support::{self, SQLITE, line};

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
job_addl_criteria = \"SELECT 1 FROM files WHERE file_url = 'Item-Master.tdf' AND rows >= 1\"
[http]
listen = \"127.0.0.1:0\"
";

/// The settings of a site whose state is in a database, with the role that answers there.
fn settings(state: &str, role: Option<&str>) -> String {
    let role = role.map(|url| format!("\ncriteria_url = \"{url}\""));
    let settings = support::settings(SQLITE, JOB);
    settings.replacen(
        "sqlite://state.db\"",
        &format!("{state}\"{}", role.unwrap_or_default()),
        1,
    )
}

/// Creates the role as the documentation does, under another name, and returns its URL with a password that nobody may see.
fn role(state: &str, name: &str) -> String {
    let documented = documented_in("configuration.md", "### A role for criteria and questions");
    postgres::execute(state, &documented.replace("gristmill_reader", name));
    state.replacen("postgres@", &format!("{name}:hunter2@"), 1)
}

/// The same on a server of MariaDB.
fn role_on_mariadb(state: &str, name: &str) -> String {
    let documented = documented_in("configuration.md", "#### The role on MySQL and MariaDB");
    let (_, database) = state.rsplit_once('/').expect("it names a database");
    let documented = documented
        .replace("gristmill_reader", name)
        .replace(" state.", &format!(" {database}."))
        .replace("choose one", "hunter2");
    mariadb::execute(state, &documented);
    state.replacen("root@", &format!("{name}:hunter2@"), 1)
}

#[test]
fn a_job_runs_once_its_criterion_is_met_on_mariadb() {
    let state = mariadb::shared().create_database();
    let quoted = |settings: String| settings.replace("AND rows >= 1", "AND \\\"rows\\\" >= 1");
    let site = support::site(&quoted(settings(&state, None)));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    support::run_until_idle(&site);
    let explained = site.run(["explain", "IL"]);
    assert!(
        explained.stdout.contains("needs a role of its own on a server"),
        "{explained}"
    );
    let role = role_on_mariadb(&state, "asks_once");
    site.write_settings(&quoted(settings(&state, Some(&role))));
    support::run_until_idle(&site);
    assert_eq!(loads(&site), 0, "{}", site.run_ok(["explain", "IL"]));
    let mut running = support::service(&site);
    site.submit("Item-Master.tdf", "BUN\tBun\n");
    wait_until("the run", || {
        assert!(running.is_running(), "{}", running.stderr());
        site.run_ok(["runs"]).contains("COMPLETED")
    });
    assert!(running.terminate().status.success());
    assert_eq!(loads(&site), 1, "{}", site.run_ok(["explain", "IL"]));
    let desk = Desk::open(&site);
    let told = desk.get("/sql?q=SELECT%20file_url%20FROM%20files");
    assert!(
        told.status == 200 && told.body.contains("IL-1.tdf"),
        "{}",
        told.body
    );
    assert!(!told.body.contains("hunter2"));
    desk.close();
}

fn loads(site: &Site) -> usize {
    let runs = support::json(&site.run_ok(["runs", "--json"]));
    runs.as_array().map_or(0, Vec::len)
}

#[test]
fn a_job_runs_once_its_criterion_is_met() {
    let state = shared().create_database();
    let site = support::site(&settings(&state, None));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    support::run_until_idle(&site);
    let explained = site.run(["explain", "IL"]);
    assert!(
        explained.stdout.contains("needs a role of its own on a server")
            && explained.stdout.contains("state.criteria_url"),
        "{explained}"
    );

    // The service's own role is refused, and the message says so.
    site.write_settings(&settings(
        &state,
        Some(&state.replacen("postgres@", "postgres:hunter2@", 1)),
    ));
    let explained = site.run(["explain", "IL"]);
    assert!(
        explained.stdout.contains("it is a superuser; create a role"),
        "{explained}"
    );
    assert!(!explained.to_string().contains("hunter2"), "{explained}");

    let role = role(&state, "asks_for_a_job");
    site.write_settings(&settings(&state, Some(&role)));
    support::run_until_idle(&site);
    assert_eq!(loads(&site), 0, "{}", site.run_ok(["explain", "IL"]));
    let mut running = support::service(&site);
    site.submit("Item-Master.tdf", "BUN\tBun\n");
    wait_until("the run", || {
        assert!(running.is_running(), "{}", running.stderr());
        site.run_ok(["runs"]).contains("COMPLETED")
    });
    let ended = running.terminate();
    assert!(
        ended.status.success() && !ended.to_string().contains("hunter2"),
        "{ended}"
    );
    assert_eq!(loads(&site), 1, "{}", site.run_ok(["explain", "IL"]));
    let sales = "SELECT store_id || ' ' || sale_amount FROM sales_summary";
    assert_eq!(support::sqlite_warehouse(&site, sales), ["S1 1.00"]);
}

#[test]
fn the_page_answers_questions_to_the_views_and_no_others() {
    let state = shared().create_database();
    let site = support::site(&settings(&state, None));
    site.submit("IL-1.tdf", line("S1", "1.00", 4, "BUN", "2026-03-01"));
    support::run_until_idle(&site);
    let desk = Desk::open(&site);
    let refused = desk.get("/api/sql?q=SELECT%201");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("state.criteria_url"), "{}", refused.body);
    drop(desk);

    site.write_settings(&settings(&state, Some(&role(&state, "asks_for_the_page"))));
    let desk = Desk::open(&site);
    let answer = desk.api("/api/sql?q=SELECT%20file_url,%20rows%20FROM%20files");
    assert_eq!(answer["rows"], support::json("[[\"IL-1.tdf\", 1]]"));
    let views = desk.api("/api/sql/views");
    let views = views.as_array().expect("a list");
    assert!(views.len() > 8);
    for view in views {
        let about = view["about"].as_str().expect("a text");
        assert!(!about.is_empty(), "{view}");
        let name = view["name"].as_str().expect("a text");
        desk.api(&format!("/api/sql?q=SELECT%20*%20FROM%20{name}"));
    }
    let page = desk.page("/sql");
    assert!(
        page.contains("timestamptz") && !page.contains("julianday"),
        "{page}"
    );
    for (question, expected) in [
        (
            "SELECT%20*%20FROM%20job_run",
            "permission denied for table job_run",
        ),
        ("SELECT%201;%20SELECT%202", "multiple commands"),
        ("DELETE%20FROM%20job_run", "only a SELECT"),
        ("SELECT%20pg_read_file('postgresql.conf')", "permission denied"),
        ("SELECT%20repeat('x',%20200000000)", "too much memory"),
        ("SELECT%20pg_sleep(60)", "it was stopped after 5s"),
    ] {
        let answer = desk.get(&format!("/api/sql?q={question}"));
        assert_eq!(answer.status, 400, "{question}: {}", answer.body);
        assert!(answer.body.contains(expected), "{question}: {}", answer.body);
    }
}

#[test]
fn the_questions_of_the_documentation_are_answered_by_the_role() {
    let state = shared().create_database();
    let site = support::site(&settings(&state, None));
    support::run_until_idle(&site);
    let role = role(&state, "asks_what_is_documented");
    let views = documented_in("operations.md", "## The state database");
    let views = statements(&views);
    assert!(views.len() >= 4, "{views:?}");
    for question in views {
        support::postgres(&role, &question);
    }
    // These name tables, which operators read as themselves.
    for heading in ["### Late stores", "### The warehouse as it was at a time"] {
        for question in statements(&documented_in("operations.md", heading)) {
            support::postgres(&state, &question);
        }
    }
}
