//! What the end-to-end tests share: settings, and looks into the databases that do not go through gristmill.

use std::path::Path;
use std::process::Command;

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::mariadb;
use gristmill_testkit::oracle::Row;
use gristmill_testkit::venv;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};

/// The source, the lake, the state and the feeds that nearly every test has.
const COMMON: &str = r#"
[source]
url = "incoming"
settle = "200ms"
sweep = "1s"
[lake]
url = "lake"
[state]
url = "sqlite://state.db"
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }
[[feed]]
name = "items"
files = "Item*"
reference = true
columns = ["item_id", "name"]
"#;

/// The warehouse of a test that needs no server.
pub const SQLITE: &str = "sqlite://warehouse.db";

/// A settings file with the usual feeds, a warehouse, and jobs as TOML.
pub fn settings(warehouse: &str, jobs: &str) -> String {
    format!("{COMMON}\n[warehouse]\nurl = \"{warehouse}\"\n{jobs}")
}

/// A site for the binary under test.
pub fn site(settings: &str) -> Site {
    Site::new(env!("CARGO_BIN_EXE_gristmill"), settings)
}

/// Runs until idle; the command must succeed.
pub fn run_until_idle(site: &Site) {
    site.run_ok(["run", "--until-idle"]);
}

/// Runs until idle after many kills. They may look as if a file killed the process: that is told, and a person has such a
/// file tried again.
pub fn run_until_idle_after_kills(site: &Site) {
    // The exit status is 1 if one is blamed only now; the next call shows all else.
    let first = site.run(["run", "--until-idle"]);
    assert!(matches!(first.status.code(), Some(0 | 1)), "{first}");
    let blamed = "UPDATE ingested_file_status SET stamp_bytes = NULL WHERE last_update_status = 'FAILED'
                     AND last_error LIKE 'the process died 3 times while it converted this file%' RETURNING file_url";
    state(site, blamed);
    run_until_idle(site);
}

/// The rows of the SQLite warehouse, by the bytes of their keys.
pub fn sqlite_rows(site: &Site) -> Vec<Row> {
    sqlite_rows_in(site, "warehouse.db")
}

/// The rows of a SQLite warehouse that lies elsewhere in the site, by the bytes of their keys.
pub fn sqlite_rows_in(site: &Site, database: &str) -> Vec<Row> {
    let sql =
        "SELECT store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount FROM sales_summary";
    let mut rows = query(site, database, sql, |row| Row {
        store_id: row.get(0),
        item_id: row.get(1),
        trans_date: row.get(2),
        sale_amount: row.get(3),
        tax_amount: row.get(4),
        discount_amount: row.get(5),
    });
    rows.sort();
    rows
}

/// The rows of a Postgres warehouse, by the bytes of their keys.
pub fn postgres_rows(url: &str) -> Vec<Row> {
    let sql = "SELECT store_id, item_id, trans_date::text, sale_amount::text, tax_amount::text, discount_amount::text \
               FROM sales_summary";
    let mut rows: Vec<_> = postgres(url, sql)
        .iter()
        .map(|row| Row {
            store_id: row.get(0),
            item_id: row.get(1),
            trans_date: row.get(2),
            sale_amount: row.get(3),
            tax_amount: row.get(4),
            discount_amount: row.get(5),
        })
        .collect();
    rows.sort();
    rows
}

/// The rows of a warehouse in MariaDB, by the bytes of their keys.
pub fn mariadb_rows(url: &str) -> Vec<Row> {
    let sql =
        "SELECT store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount FROM sales_summary";
    let rows = mariadb::query(url, sql).into_iter().map(|row| {
        let row: [Option<String>; 6] = row.try_into().expect("six columns were asked for");
        let [
            store_id,
            item_id,
            trans_date,
            sale_amount,
            tax_amount,
            discount_amount,
        ] = row;
        let key = |value: Option<String>| value.expect("a key is not NULL");
        Row {
            store_id: key(store_id),
            item_id: key(item_id),
            trans_date: key(trans_date),
            sale_amount,
            tax_amount,
            discount_amount,
        }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

/// The rows of a summary in Parquet in their order, as DuckDB reads them. The types are checked on the way.
pub fn parquet_rows(path: &Path) -> Vec<Row> {
    const SCRIPT: &str = r#"
import duckdb, json, sys
file = duckdb.read_parquet(sys.argv[1])
names = ["store_id", "item_id", "trans_date", "sale_amount", "tax_amount", "discount_amount"]
types = ["VARCHAR", "VARCHAR", "DATE"] + 3 * ["DECIMAL(18,2)"]
assert (file.columns, [str(t) for t in file.types]) == (names, types), (file.columns, file.types)
rows = file.project(", ".join(f"{name}::VARCHAR" for name in names)).fetchall()
json.dump([dict(zip(names, row)) for row in rows], sys.stdout)
"#;
    let output = Command::new(venv::python())
        .args(["-c", SCRIPT])
        .arg(path)
        .output()
        .expect("the tests' Python runs");
    assert!(
        output.status.success(),
        "DuckDB cannot read {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

/// A command's JSON.
pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Asks a Postgres database.
pub fn postgres(url: &str, sql: &str) -> Vec<tokio_postgres::Row> {
    wait_for(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .expect("the private server answers");
        tokio::spawn(connection);
        client
            .query(sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    })
}

/// A connection to a Postgres database that stays open, for questions that come by the millisecond.
pub struct Watcher {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Watcher {
    /// Connects.
    pub fn new(url: &str) -> Self {
        let runtime = runtime();
        let connected = runtime.block_on(tokio_postgres::connect(url, tokio_postgres::NoTls));
        let (client, connection) = connected.expect("the private server answers");
        runtime.spawn(connection);
        Self { runtime, client }
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// How many rows answer a question.
    pub fn count(&self, sql: &str) -> usize {
        let answer = self.runtime.block_on(self.client.query(sql, &[]));
        answer.unwrap_or_else(|error| panic!("{sql}: {error:?}")).len()
    }
}

/// Asks, or changes, the state database as a person with `sqlite3` does; the first column of each row, as text.
pub fn state(site: &Site, sql: &str) -> Vec<String> {
    query(site, "state.db", sql, first_column)
}

fn first_column(row: &SqliteRow) -> String {
    row.try_get::<String, _>(0)
        .unwrap_or_else(|_| row.try_get::<i64, _>(0).map_or(String::new(), |n| n.to_string()))
}

/// Changes the SQLite warehouse, as a person with `sqlite3` does.
pub fn sqlite(site: &Site, sql: &str) {
    wait_for(async {
        let options = SqliteConnectOptions::new()
            .filename(site.folder().join("warehouse.db"))
            .create_if_missing(true);
        let mut connection = options.connect().await.unwrap_or_else(|error| panic!("{error}"));
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    })
}

/// Does something while another connection holds a database's write lock, as a person does who left a transaction open.
pub fn while_locked(site: &Site, database: &str, work: impl FnOnce()) {
    let runtime = runtime();
    let options = SqliteConnectOptions::new().filename(site.folder().join(database));
    let mut connection = runtime
        .block_on(options.connect())
        .expect("the database is there");
    let mut execute = |sql| runtime.block_on(async { sqlx::query(sql).execute(&mut connection).await });
    execute("BEGIN IMMEDIATE").expect("nobody else holds the lock for long");
    work();
    execute("COMMIT").expect("an empty transaction can be ended");
}

/// Starts the service, and waits until it watches the source.
pub fn service(site: &Site) -> Background {
    let mut service = site.start(["run"]);
    wait_until("the service works", || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        service.stderr().contains("watching")
    });
    service
}

fn query<T>(site: &Site, database: &str, sql: &str, read: impl Fn(&SqliteRow) -> T) -> Vec<T> {
    wait_for(async {
        let options = SqliteConnectOptions::new().filename(site.folder().join(database));
        let mut connection = options
            .connect()
            .await
            .unwrap_or_else(|error| panic!("{database}: {error}"));
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
            .iter()
            .map(read)
            .collect()
    })
}

fn wait_for<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be made")
}

/// A line of the sales feed.
pub fn line(store: &str, amount: &str, code: u8, item: &str, date: &str) -> String {
    format!("{store}\t{amount}\t{code}\t{item}\t{date}\n")
}

/// Rows as `store item date sale tax discount`, with `-` where an amount is NULL.
pub fn told(rows: &[Row]) -> Vec<String> {
    let amount = |amount: &Option<String>| amount.clone().unwrap_or_else(|| "-".to_owned());
    let tell = |row: &Row| {
        let amounts = [&row.sale_amount, &row.tax_amount, &row.discount_amount].map(amount);
        format!(
            "{} {} {} {}",
            row.store_id,
            row.item_id,
            row.trans_date,
            amounts.join(" ")
        )
    };
    rows.iter().map(tell).collect()
}

/// Asks, or changes, the SQLite warehouse behind gristmill's back; the first column of each row, as [`state`] gives it.
pub fn sqlite_warehouse(site: &Site, sql: &str) -> Vec<String> {
    query(site, "warehouse.db", sql, first_column)
}

/// How many runs stand in the ledger of the SQLite warehouse.
pub fn loads(site: &Site) -> usize {
    sqlite_warehouse(site, "SELECT run_id FROM gristmill_ledger").len()
}

/// Waits until a question to the state database has this one answer.
pub fn wait_for_state(site: &Site, sql: &str, answer: &str) {
    wait_until(&format!("{sql} answers {answer}"), || {
        state(site, sql) == [answer]
    });
}

/// What `explain` says of one precondition of a job with a single wave: whether it holds, and its facts.
pub fn explained(site: &Site, job: &str, precondition: &str) -> (bool, String) {
    let finished = site.run(["explain", job, "--json"]);
    assert!(
        matches!(finished.status.code(), Some(0 | 3)),
        "0 is ready, 3 is waiting: {finished}"
    );
    fact(&finished.stdout, precondition)
}

/// The same, by a way to run a command.
pub fn explained_with(run: &impl Fn(&[&str]) -> String, job: &str, precondition: &str) -> (bool, String) {
    fact(&run(&["explain", job, "--json"]), precondition)
}

fn fact(json: &str, precondition: &str) -> (bool, String) {
    let verdicts: serde_json::Value = serde_json::from_str(json).expect("explain --json prints JSON");
    let verdicts = verdicts.as_array().expect("explain prints a list of waves");
    assert_eq!(verdicts.len(), 1, "{json}");
    let checks = verdicts[0]["checks"].as_array().expect("a wave has checks");
    let check = checks.iter().find(|check| check["name"] == precondition);
    let check = check.unwrap_or_else(|| panic!("no precondition {precondition:?} in {json}"));
    let facts = check["facts"].as_str().expect("facts are text");
    (check["holds"] == true, facts.to_owned())
}

/// The settings of a feed whose files share stores and days.
pub fn adding(settings: String) -> String {
    settings.replacen("name = \"sales\"", "name = \"sales\"\nsame_day = \"add\"", 1)
}

/// The settings of a feed whose files come anew with other lines, as no store sends them: no guard holds any.
pub fn unguarded(settings: String) -> String {
    let guards = "same_day = \"add\"\nshrink_percent = 0\nlate = \"replace\"";
    settings.replacen("name = \"sales\"", &format!("name = \"sales\"\n{guards}"), 1)
}
