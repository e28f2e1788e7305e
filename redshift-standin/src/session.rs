//! One client's session: a connection to the backend database, and the state that Postgres does not keep.

use std::sync::Arc;
use std::sync::Mutex;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::Shared;
use crate::copy::{Copy, LoadFault};
use crate::dialect::{refusal, translated};
use crate::refusal::Refusal;
use crate::sql::{Token, begins, tokens};

/// Creates what Redshift has and Postgres does not. Sources: pages "SVV_COLUMNS", "SYS_LOAD_ERROR_DETAIL",
/// "SYS_QUERY_HISTORY" and "GETDATE function".
const PREPARATION: &str = "
CREATE SCHEMA IF NOT EXISTS standin;
CREATE TABLE IF NOT EXISTS standin.sys_load_error_detail (
  user_id int, query_id bigint, transaction_id bigint, session_id int, database_name varchar(64), table_id int,
  start_time timestamp, file_name varchar(256), line_number bigint, column_name varchar(127), column_type varchar(10),
  column_length varchar(10), position int, error_code int, error_message varchar(512));
CREATE OR REPLACE VIEW standin.sys_query_history AS
  SELECT pid AS session_id, CASE state WHEN 'active' THEN 'running' ELSE 'success' END AS status
    FROM pg_catalog.pg_stat_activity;
CREATE OR REPLACE VIEW standin.svv_columns AS
  SELECT table_catalog::text, table_schema::text, table_name::text, column_name::text, ordinal_position::int,
    column_default::text, is_nullable::text, data_type::text, character_maximum_length::int, numeric_precision::int,
    numeric_scale::int FROM information_schema.columns;
CREATE OR REPLACE FUNCTION standin.getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT now()::timestamp(0)';
";

/// The result of a statement.
pub(crate) enum Reply {
    /// The names of the columns, and the rows.
    Rows(Vec<String>, Vec<Vec<Option<String>>>),
    /// The statement's tag, and how many rows it affected, if it reports that.
    Done(&'static str, Option<u64>),
}

/// Whether a transaction is open after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    None,
    Open,
    Failed,
}

pub(crate) struct Session {
    shared: Arc<Shared>,
    backend: Client,
    process: String,
    state: Mutex<State>,
}

struct State {
    transaction: Transaction,
    last_copy: u64,
}

/// Prepares the database for all sessions.
pub(crate) async fn prepare(url: &str) {
    let client = connect(url).await;
    client
        .batch_execute(PREPARATION)
        .await
        .expect("cannot prepare the backend database");
}

async fn connect(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("cannot connect to the backend database");
    // The connection ends with its client.
    tokio::spawn(async move { drop(connection.await) });
    client
}

impl Session {
    pub(crate) async fn open(shared: Arc<Shared>) -> Self {
        let backend = connect(&shared.backend).await;
        let prepared = backend.batch_execute("SET search_path TO public, standin").await;
        prepared.expect("cannot prepare a session");
        let row = backend.query_one("SELECT pg_backend_pid()::text", &[]).await;
        let process = row.expect("every session has a process").get(0);
        Self {
            shared,
            backend,
            process,
            state: Mutex::new(State {
                transaction: Transaction::None,
                last_copy: 0,
            }),
        }
    }

    pub(crate) fn transaction(&self) -> Transaction {
        self.state.lock().expect("a statement panicked").transaction
    }

    /// Runs a statement. An error aborts the open transaction.
    pub(crate) async fn run(self: Arc<Self>, statement: &str) -> Result<Reply, Refusal> {
        let tokens = tokens(statement);
        let done = self.clone().dispatch(statement, &tokens).await;
        let before = self.transaction();
        if done.is_err() && before == Transaction::Open {
            // Wherever the error came from, the backend's transaction must be aborted, too.
            drop(self.backend.simple_query("SELECT 1 / 0").await);
        }
        let begun = begins(&tokens, &["begin"]) || begins(&tokens, &["start"]);
        // Page "TRUNCATE": it commits the transaction in which it runs.
        let ends = ["commit", "end", "rollback", "abort", "truncate"];
        let ended = ends.iter().any(|keyword| begins(&tokens, &[keyword]));
        let after = match (&done, before) {
            (Err(_), Transaction::Open | Transaction::Failed) => Transaction::Failed,
            (Ok(_), _) if begun => Transaction::Open,
            (Ok(_), _) if ended => Transaction::None,
            _ => before,
        };
        self.state.lock().expect("a statement panicked").transaction = after;
        done
    }

    /// Aborts the open transaction, as an error does.
    pub(crate) async fn fail(&self) {
        if self.transaction() == Transaction::Open {
            drop(self.backend.simple_query("SELECT 1 / 0").await);
            self.state.lock().expect("a statement panicked").transaction = Transaction::Failed;
        }
    }

    async fn dispatch(self: Arc<Self>, statement: &str, tokens: &[Token<'_>]) -> Result<Reply, Refusal> {
        if tokens.contains(&Token::Sign(';')) {
            return Err(Refusal::new(
                "42601",
                "the stand-in accepts one statement at a time",
            ));
        }
        let in_transaction = self.transaction() != Transaction::None;
        if let Some(message) = refusal(tokens, in_transaction) {
            return Err(Refusal::new("42601", &message));
        }
        if begins(tokens, &["copy"]) && self.transaction() != Transaction::Failed {
            let copy = Copy::parse(tokens).map_err(|message| Refusal::new("0A000", &message))?;
            // In a task of its own: a COPY outside a transaction continues after its client is gone.
            let rows = tokio::spawn(self.copy(copy)).await.expect("a COPY panicked")?;
            return Ok(Reply::Done("COPY", Some(rows)));
        }
        if begins(tokens, &["truncate"]) {
            self.backend.simple_query(&statement.replacen(';', "", 1)).await?;
            if in_transaction {
                self.backend.simple_query("COMMIT").await?;
            }
            return Ok(Reply::Done("TRUNCATE TABLE", None));
        }
        let last_copy = self.state.lock().expect("a statement panicked").last_copy;
        // Pages "PG_LAST_COPY_COUNT" and "SYSDATE function".
        let statement = translated(statement)
            .replace("pg_last_copy_count()", &format!("{last_copy}::bigint"))
            .replace("SYSDATE", "LOCALTIMESTAMP");
        let answers = self.backend.simple_query(&statement).await?;
        Ok(reply(tokens, &answers))
    }

    async fn copy(self: Arc<Self>, copy: Copy) -> Result<u64, Refusal> {
        match copy.run(&self.backend, &self.shared.s3).await {
            Ok(rows) => {
                self.state.lock().expect("a statement panicked").last_copy = rows;
                Ok(rows)
            }
            Err((refusal, fault)) => {
                if let Some(fault) = fault {
                    self.record(&fault).await;
                }
                Err(refusal)
            }
        }
    }

    /// Records a fault through another connection, so that it outlives the transaction.
    async fn record(&self, fault: &LoadFault) {
        let client = connect(&self.shared.backend).await;
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let statement = format!(
            "INSERT INTO standin.sys_load_error_detail (session_id, start_time, file_name, column_name, error_code, \
             error_message) VALUES ({}, now(), {}, {}, {}, {})",
            self.process,
            text(&fault.file),
            text(&fault.column),
            fault.code,
            text(&fault.message)
        );
        client
            .batch_execute(&statement)
            .await
            .expect("cannot record a fault");
    }
}

fn reply(tokens: &[Token<'_>], answers: &[SimpleQueryMessage]) -> Reply {
    let (mut columns, mut rows, mut touched) = (None, Vec::new(), None);
    for answer in answers {
        match answer {
            SimpleQueryMessage::RowDescription(of_answer) => {
                columns = Some(of_answer.iter().map(|column| column.name().to_owned()).collect());
            }
            SimpleQueryMessage::Row(row) => {
                rows.push(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                );
            }
            SimpleQueryMessage::CommandComplete(count) => touched = Some(*count),
            _ => {}
        }
    }
    if let Some(columns) = columns {
        return Reply::Rows(columns, rows);
    }
    let tags = [
        ("insert", "INSERT 0"),
        ("delete", "DELETE"),
        ("update", "UPDATE"),
        ("begin", "BEGIN"),
        ("start", "BEGIN"),
        ("commit", "COMMIT"),
        ("end", "COMMIT"),
        ("rollback", "ROLLBACK"),
        ("abort", "ROLLBACK"),
    ];
    let tag = tags.iter().find(|(keyword, _)| begins(tokens, &[keyword]));
    match tag {
        Some((_, tag @ ("INSERT 0" | "DELETE" | "UPDATE"))) => Reply::Done(tag, touched),
        Some((_, tag)) => Reply::Done(tag, None),
        None => Reply::Done("OK", None),
    }
}
