//! What a person does with `sqlite3`, `psql` or `mysql`.

use gristmill_state::Place;
use mysql_async::prelude::Queryable;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// What has MySQL and MariaDB read standard SQL.
const STANDARD: &str = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')
    /*M! , max_recursive_iterations = 1000000 */ /*!80017 , cte_max_recursion_depth = 1000000 */";

/// Returns a statement with quotes around the names that are reserved words of MySQL, and with its names of types.
fn for_mysql(sql: &str) -> String {
    let sql = sql
        .replace(" AS bigint)", " AS SIGNED)")
        .replace(" AS TEXT)", " AS CHAR)")
        .replace(" AS text)", " AS CHAR)");
    let words = sql.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
    let mut is_text = false;
    let word = |word: &str| {
        let name = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let quoted = match name {
            "before" | "lines" | "of" | "rows" if !is_text && !word.ends_with('`') => {
                word.replace(name, &format!("`{name}`"))
            }
            _ => word.to_owned(),
        };
        is_text ^= word.ends_with('\'');
        quoted
    };
    words.map(word).collect()
}

/// A session. Foreign keys are enforced on servers, and not by `sqlite3`.
pub enum Shell {
    Sqlite(SqliteConnection),
    Postgres(Client),
    MySql(mysql_async::Conn),
}

impl Shell {
    pub async fn open(place: &Place) -> Self {
        match place {
            Place::File(path) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
                Self::Sqlite(options.connect().await.unwrap())
            }
            Place::Postgres(server, _) => {
                let (client, connection) = tokio_postgres::connect(server.url(), NoTls).await.unwrap();
                tokio::spawn(connection);
                Self::Postgres(client)
            }
            Place::MySql(server, _) => {
                let options = mysql_async::Opts::from_url(server.url()).unwrap();
                let options = mysql_async::OptsBuilder::from_opts(options).prefer_socket(false);
                let mut conn = mysql_async::Conn::new(options).await.unwrap();
                conn.query_drop(STANDARD).await.unwrap();
                Self::MySql(conn)
            }
        }
    }

    /// Runs statements, and returns what the database says when it refuses them.
    pub async fn execute(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(conn) => {
                let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await;
                done.map(drop).map_err(|error| error.to_string())
            }
            Self::Postgres(client) => {
                let done = client.batch_execute(sql).await;
                done.map_err(|error| error.as_db_error().unwrap().message().to_owned())
            }
            Self::MySql(conn) => {
                let done = conn.query_drop(for_mysql(sql)).await;
                done.map_err(|error| error.to_string())
            }
        }
    }

    /// Returns the first column of an answer, as text.
    pub async fn column(&mut self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(conn) => {
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(conn).await;
                let text = |row: &SqliteRow| row.try_get_unchecked(0).unwrap();
                rows.unwrap().iter().map(text).collect()
            }
            Self::Postgres(client) => {
                let answer = client.simple_query(sql).await;
                let answer = answer.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
                let text = |message| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
                    _ => None,
                };
                answer.into_iter().filter_map(text).collect()
            }
            Self::MySql(conn) => {
                let rows: Result<Vec<mysql_async::Row>, _> = conn.query(for_mysql(sql)).await;
                let rows = rows.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
                rows.into_iter().map(|mut row| row.take(0).unwrap()).collect()
            }
        }
    }

    /// Begins a transaction that has written.
    pub async fn begin_to_write(&mut self) {
        let begin = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) | Self::MySql(_) => {
                "BEGIN; UPDATE aggr_job_configuration SET job_enabled = job_enabled"
            }
        };
        self.execute(begin).await.unwrap();
    }

    /// Lets rows be removed that others refer to, as `sqlite3` does.
    pub async fn forget_foreign_keys(&mut self) {
        if let Self::MySql(_) = self {
            self.execute("SET SESSION foreign_key_checks = 0").await.unwrap();
        }
        if let Self::Postgres(_) = self {
            let keys = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
                          FROM pg_constraint WHERE contype = 'f'
                         UNION ALL
                        SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)
                          FROM pg_trigger WHERE tgname LIKE '%\\_referred\\_to'";
            for drop_one in self.column(keys).await {
                self.execute(&drop_one).await.unwrap();
            }
        }
    }
}
