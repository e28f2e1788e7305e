//! What a person does with `sqlite3` or `psql`.

use gristmill_state::Place;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A session. Foreign keys are enforced on Postgres, and not by `sqlite3`.
pub enum Shell {
    Sqlite(SqliteConnection),
    Postgres(Client),
}

impl Shell {
    pub async fn open(place: &Place) -> Self {
        match place {
            Place::File(path) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
                Self::Sqlite(options.connect().await.unwrap())
            }
            Place::Server(server, _) => {
                let (client, connection) = tokio_postgres::connect(server.url(), NoTls).await.unwrap();
                tokio::spawn(connection);
                Self::Postgres(client)
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
        }
    }

    /// Begins a transaction that has written.
    pub async fn begin_to_write(&mut self) {
        let begin = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN; UPDATE aggr_job_configuration SET job_enabled = job_enabled",
        };
        self.execute(begin).await.unwrap();
    }

    /// Lets rows be removed that others refer to, as `sqlite3` does.
    pub async fn forget_foreign_keys(&mut self) {
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
