//! A state database of the version before open waves were kept (migration 17) is judged like one that has always kept
//! them.

use std::path::Path;

use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;

use super::*;

/// The first migration that the version before does not have.
const FIRST_NEW: &str = "0017";

/// Copies a history into a database as the version before made it, and opens it with this version.
async fn upgraded(world: &World) -> World {
    let folder = tempfile::tempdir().unwrap();
    let steps = tempfile::tempdir().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("state/migrations/sqlite");
    for entry in all.read_dir().unwrap() {
        let entry = entry.unwrap();
        if *entry.file_name() < *FIRST_NEW {
            std::fs::copy(entry.path(), steps.path().join(entry.file_name())).unwrap();
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("state.db"))
        .create_if_missing(true)
        .foreign_keys(false);
    let mut old = options.connect().await.unwrap();
    let migrator = Migrator::new(steps.path()).await.unwrap();
    migrator.run_direct(None, &mut old, false).await.unwrap();
    copy(world, &mut old).await;
    drop(old);
    let clock = world.clock.clone();
    World {
        working: world.working.clone(),
        ..World::open(folder, clock).await
    }
}

async fn copy(world: &World, old: &mut SqliteConnection) {
    let newer = world.folder.path().join("state.db");
    let attach = sqlx::query("ATTACH ?1 AS newer").bind(newer.to_str().unwrap().to_owned());
    attach.execute(&mut *old).await.unwrap();
    let tables = "SELECT name FROM main.sqlite_schema
                   WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN ('_sqlx_migrations', 'job_edit')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *old).await.unwrap();
    let mut statements = Vec::new();
    for table in tables {
        let columns = "SELECT group_concat(o.name, ', ') FROM pragma_table_info(?1, 'main') o
                         JOIN pragma_table_info(?1, 'newer') n ON n.name = o.name";
        let columns = sqlx::query_scalar(columns).bind(&table);
        let columns: String = columns.fetch_one(&mut *old).await.unwrap();
        statements.push(format!("DELETE FROM main.{table}"));
        statements.push(format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
        ));
    }
    // The version before repeated the inputs of runs that had nothing to do.
    for (table, columns) in [
        (
            "job_run_input",
            "file_id, version_id, submission_id, others_count",
        ),
        ("job_run_input_day", "version_id, store_id, trans_date, effect"),
    ] {
        statements.push(format!(
            "INSERT INTO main.{table} (run_id, {columns})
             SELECT r.run_id, {columns} FROM newer.job_run r JOIN newer.{table} i ON i.run_id = r.inputs_of"
        ));
    }
    statements.push("DETACH newer".to_owned());
    for statement in statements {
        let done = sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut *old)
            .await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn live(steps: Vec<Step>) {
    let mut world = World::new().await;
    let jobs = CurrentJobs::new(&world.feeds);
    let bench = world.bench();
    let mut rounds = Rounds::new(bench, &jobs, LoadMode::ReplaceDays);
    judge(&mut rounds, true).await;
    for step in &steps {
        world.take(step, &jobs).await;
        if !matches!(step, Step::Quiet(_)) {
            judge(&mut rounds, true).await;
        }
    }

    let mut old = upgraded(&world).await;
    let now = gristmill_state::Clock::now(&*world.clock);
    let index = JobIndex::matched(&old.state, &old.feeds).await.unwrap();
    for job in index.jobs() {
        let Ok(plan) = job.plan() else { continue };
        let before = complete::verdicts(&world.state, &mut world.shell, plan, now).await;
        let after = complete::verdicts(&old.state, &mut old.shell, plan, now).await;
        assert_eq!(shown(&after), shown(&before), "{}", plan.id);
    }
    old.check(false).await;
    let jobs = CurrentJobs::new(&old.feeds);
    let bench = old.bench();
    let mut rounds = Rounds::new(bench, &jobs, LoadMode::ReplaceDays);
    judge(&mut rounds, true).await;
    old.check(true).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_upgraded_database_is_judged_the_same(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}
