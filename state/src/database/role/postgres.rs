//! Answers a SELECT that a person wrote on a server of Postgres, as a role of its own.
//!
//! What may be read, and that nothing is written, rests on the rights of the role, which are looked at first
//! ([`rights`]), and on a read-only transaction that is never committed. The SELECT becomes a cursor: the server's own
//! grammar takes nothing there but one query that changes nothing, and sends no more rows than are asked for. After a
//! query has begun, a session cannot make its transaction write; and a limit that a question changes counts from the next
//! statement on, of which there is none.

mod cells;
mod rights;

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use gristmill_servers::postgres::{ConnectError, PostgresFault, Server};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::super::query::{MOST_BYTES, MOST_ROWS, bytes_of};
use super::{DOCS, Unanswered, cannot};
use crate::answerer::ReaderRole;
use crate::query::Answer;

/// The cursor must not take more than one question needs, and its text of bytes is read here.
const SETTINGS: &str = "
    SET default_transaction_read_only = on;
    SET idle_in_transaction_session_timeout = '10s';
    SET work_mem = '4MB';
    SET max_parallel_workers_per_gather = 0;
    SET jit = off;
    SET bytea_output = 'hex';
    SET client_min_messages = error;
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Returns whether a SELECT yields at least one row.
pub(super) async fn criterion(
    role: &ReaderRole,
    server: &Server,
    sql: &str,
    limit: Duration,
) -> Result<bool, Unanswered> {
    let has_row = async |client: &Client| {
        // The row itself stays on the server.
        let moved = client.execute("MOVE 1 FROM answer", &[]).await;
        moved
            .map_err(|error| failed(error.into(), limit))
            .map(|rows| rows > 0)
    };
    ask(role, server, sql, limit, has_row).await
}

/// Answers a SELECT.
pub(super) async fn query(
    role: &ReaderRole,
    server: &Server,
    sql: &str,
    limit: Duration,
) -> Result<Answer, Unanswered> {
    let rows = async |client: &Client| {
        let read = read(client).await;
        read.map_err(|error| failed(error.into(), limit))
    };
    ask(role, server, sql, limit, rows).await
}

/// Has the cursor of a SELECT read.
async fn ask<T>(
    role: &ReaderRole,
    server: &Server,
    sql: &str,
    limit: Duration,
    read: impl AsyncFnOnce(&Client) -> Result<T, Unanswered>,
) -> Result<T, Unanswered> {
    let answer = async {
        let client = connect(role, server, limit).await?;
        // A parameter has no value here, and is refused. A line of its own: the question may end with a comment.
        let declare = format!("DECLARE answer NO SCROLL CURSOR FOR {sql}\n");
        let declared = client.execute(&declare, &[]).await;
        declared.map_err(|error| failed(error.into(), limit))?;
        // The connection ends with the client, and what was not committed is undone.
        read(&client).await
    };
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or(Err(Unanswered::TimedOut(limit)))
}

/// Connects, and begins a transaction that can only read.
async fn connect(role: &ReaderRole, server: &Server, limit: Duration) -> Result<Client, Unanswered> {
    let cannot = |reason: &str| cannot(role, reason);
    let refused = |error: ConnectError| cannot(&format!("{error}{}", error.advice()));
    let client = server.connect().await.map_err(refused)?;
    let settings = format!("SET statement_timeout = {};{SETTINGS}", limit.as_millis());
    let set = client.batch_execute(&settings).await;
    set.map_err(|error| refused(PostgresFault::from(error).into()))?;
    match rights::problem(&client).await {
        Ok(None) => Ok(client),
        Ok(Some(problem)) => Err(cannot(&format!("{problem} ({DOCS})"))),
        Err(error) => Err(refused(PostgresFault::from(error).into())),
    }
}

/// Reads the rows of the cursor, as many as an answer may have.
async fn read(client: &Client) -> Result<Answer, tokio_postgres::Error> {
    let fetch = format!("FETCH {} FROM answer", MOST_ROWS + 1);
    // The types of the columns are known before, and the values come as text, which all types have.
    let statement = client.prepare(&fetch).await?;
    let columns = statement.columns();
    let mut answer = Answer {
        columns: columns.iter().map(|column| column.name().to_owned()).collect(),
        rows: Vec::new(),
        has_more: false,
    };
    let mut bytes = 0;
    let mut messages = pin!(client.simple_query_raw(&fetch).await?);
    while let Some(message) = messages.try_next().await? {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        if answer.rows.len() >= MOST_ROWS || bytes > MOST_BYTES {
            answer.has_more = true;
            break;
        }
        let texts = (0..columns.len()).map(|at| row.try_get(at));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let cells = columns.iter().zip(texts);
        let cells: Vec<_> = cells
            .map(|(column, text)| cells::cell(column.type_(), text))
            .collect();
        bytes += cells.iter().map(bytes_of).sum::<usize>();
        answer.rows.push(cells);
    }
    Ok(answer)
}

/// Converts what the server said about a SELECT.
fn failed(fault: PostgresFault, limit: Duration) -> Unanswered {
    let message = fault.message().map_or_else(|| fault.to_string(), str::to_owned);
    match fault.code() {
        Some(code) if *code == SqlState::QUERY_CANCELED => Unanswered::TimedOut(limit),
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Unanswered::Failed(format!(
            "{message}: the role of state.criteria_url has no right to it ({DOCS})"
        )),
        _ => Unanswered::Failed(message),
    }
}
