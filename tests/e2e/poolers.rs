//! PgBouncer between gristmill and Postgres.

use gristmill_testkit::gristmill::{Site, wait_until};
use gristmill_testkit::pgbouncer::PgBouncer;
use gristmill_testkit::postgres::shared;

use crate::support;

const JOB: &str = "[[job]]\nid = \"IL\"\nfeed = \"sales\"\nfiles = \"IL-*.tdf\"\ntrigger = \"any\"\n";

fn database_of(url: &str) -> &str {
    url.rsplit('/').next().expect("it names a database")
}

fn site(state: &str, warehouse: &str) -> Site {
    support::site(&support::settings(warehouse, JOB).replacen("sqlite://state.db", state, 1))
}

fn submit(site: &Site, amount: &str) {
    let line = support::line("S1", amount, 4, "I1", "2026-03-01");
    site.submit("IL-S1.tdf", line);
}

fn sold(warehouse: &str) -> Vec<String> {
    support::told(&support::postgres_rows(warehouse))
}

#[test]
fn state_and_warehouse_are_reached_by_a_pooler_that_lends_out_sessions() {
    let pooler = PgBouncer::start(shared().port, "session");
    let [state, warehouse] = [(); 2].map(|()| shared().create_database());
    let [pooled_state, pooled] = [&state, &warehouse].map(|url| pooler.url(database_of(url)));
    let site = site(&pooled_state, &pooled);
    submit(&site, "1.50");
    support::run_until_idle(&site);
    assert_eq!(sold(&warehouse), ["S1 I1 2026-03-01 1.50 - -"]);
    let mut running = support::service(&site);
    submit(&site, "2.50");
    wait_until("the second load", || {
        assert!(running.is_running(), "{}", running.stderr());
        sold(&warehouse) == ["S1 I1 2026-03-01 2.50 - -"]
    });
    assert!(site.run_ok(["status"]).contains("service: runs as process"));
    assert_eq!(running.terminate().status.code(), Some(0));
}

#[test]
fn a_state_is_not_reached_by_a_pooler_that_lends_out_transactions() {
    let pooler = PgBouncer::start(shared().port, "transaction");
    let state = shared().create_database();
    let site = site(&pooler.url(database_of(&state)), support::SQLITE);
    for command in [&["run", "--until-idle"][..], &["status"], &["jobs", "list"]] {
        let refused = site.run(command);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains("pool_mode = session"), "{refused}");
    }
    let tables = support::postgres(&state, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'");
    assert!(tables.is_empty(), "{tables:?}");
}
