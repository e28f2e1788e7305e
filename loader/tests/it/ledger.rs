//! How the newest load of a scope is looked up: by the ledger's index, also in warehouses that were made before it.

use gristmill_loader::{Credentials, LoadMode, Target, open};
use gristmill_testkit::postgres::execute;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::support::{MEASURES, Place, Summary, counts};

const A: [Option<i64>; 3] = [Some(45_000), None, None];

/// What each load asks for, and `jobs` and `status` for all scopes.
const OF_SCOPE: &str =
    "SELECT run_id FROM gristmill_ledger WHERE target = 'main.sales_summary' AND scope = 'S7'
                         ORDER BY sequence DESC LIMIT 1";
const AFTER: &str = "SELECT run_id FROM gristmill_ledger WHERE target = 'main.sales_summary' AND scope = 'S7'
                        AND sequence > 19000 ORDER BY sequence DESC LIMIT 1";

fn summary() -> Summary {
    Summary::of(&[("s", "i", "2025-03-01", A)])
}

#[tokio::test]
async fn sqlite_looks_the_newest_load_up_by_index() {
    let place = Place::sqlite();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    place.loaded(&*warehouse, 1, &summary()).await;
    let options: SqliteConnectOptions = place.url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    for is_made_before in [false, true] {
        if is_made_before {
            place.edit("DROP INDEX gristmill_ledger_scope").await;
            warehouse.prepare().await.unwrap();
        }
        for statement in [OF_SCOPE, AFTER] {
            let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = sqlx::query(explained).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            assert!(
                plan.len() == 1 && plan[0].contains("INDEX gristmill_ledger_scope (target=? AND scope=?"),
                "{plan:?}"
            );
        }
    }
    assert_eq!(place.loaded(&*warehouse, 2, &summary()).await, counts(0, 0, 0, 1));
}

#[tokio::test]
async fn postgres_looks_the_newest_load_up_by_index() {
    let place = Place::postgres();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    place.loaded(&*warehouse, 1, &summary()).await;
    // Three years of 20 jobs.
    execute(
        &place.url,
        "INSERT INTO gristmill_ledger (run_id, target, scope, sequence, rows, digest)
         SELECT 'old-' || n, l.target, 'S' || n % 20, -n, 0, '' FROM gristmill_ledger l, generate_series(1, 20000) n;
         UPDATE gristmill_ledger SET target = target; ANALYZE gristmill_ledger",
    );
    let explained = async |statement: &str| {
        let statement = statement.replace("main.sales_summary", "public.sales_summary");
        place.texts(&format!("EXPLAIN {statement}")).await.join("\n")
    };
    for is_made_before in [false, true] {
        if is_made_before {
            execute(&place.url, "DROP INDEX gristmill_ledger_scope");
            let plan = explained(OF_SCOPE).await;
            assert!(!plan.contains("gristmill_ledger_scope"), "{plan}");
            warehouse.prepare().await.unwrap();
        }
        for statement in [OF_SCOPE, AFTER] {
            let plan = explained(statement).await;
            assert!(
                plan.contains("Index Scan Backward using gristmill_ledger_scope") && !plan.contains("Sort"),
                "{plan}"
            );
        }
    }
    assert_eq!(place.loaded(&*warehouse, 2, &summary()).await, counts(0, 0, 0, 1));
}

#[tokio::test]
async fn a_ledger_of_somebody_else_is_used_without_its_index() {
    let place = Place::postgres();
    place.ready(LoadMode::ReplaceDays).await;
    execute(
        &place.url,
        "DROP INDEX gristmill_ledger_scope; DROP ROLE IF EXISTS unindexed; CREATE ROLE unindexed LOGIN;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO unindexed",
    );
    let url = place.url.replace("postgres@", "unindexed@");
    let target = Target::new(
        "sales_summary",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    );
    let clerk = open(&url, target.unwrap(), &Credentials::default()).unwrap();
    clerk.prepare().await.unwrap();
    assert_eq!(place.loaded(&*clerk, 1, &summary()).await, counts(1, 0, 0, 0));
    let index = "SELECT relname::text FROM pg_class WHERE relname = 'gristmill_ledger_scope'";
    assert_eq!(place.texts(index).await, [""; 0]);
}
