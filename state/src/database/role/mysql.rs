//! The role on MySQL and MariaDB.
//!
//! A question is prepared, so the server takes one statement only. There is no cursor as on Postgres, but the server sends no more
//! rows than an answer has. A limit on the time can be left out by a hint in a question; so a question that takes too long is
//! ended from another session.

mod cells;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::mysql::{ConnectError, MySqlFault, Server, close};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::super::query::{MOST_BYTES, MOST_ROWS, bytes_of};
use super::{DOCS, Unanswered, cannot};
use crate::answerer::ReaderRole;
use crate::query::Answer;

/// How long to wait for the end of a question that took too long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Too much time, and the end of a session or a statement by another one.
const STOPPED: [u16; 4] = [1317, 1969, 3024, 1927];

/// Rights that the role lacks: to a database, a table, a column, and a function.
const NO_RIGHT: [u16; 4] = [1044, 1142, 1143, 1370];

/// Returns whether a SELECT yields at least one row.
pub(super) async fn criterion(
    role: &ReaderRole,
    server: &Server,
    sql: &str,
    limit: Duration,
) -> Result<bool, Unanswered> {
    // A line of its own: the question may end with a comment.
    let has_row = format!("SELECT EXISTS (\n{}\n)", without_end(sql));
    let has_row = async |conn: &mut Conn| conn.exec_first::<bool, _, _>(has_row, ()).await;
    let has_row = ask(role, server, limit, has_row).await?;
    Ok(has_row.unwrap_or(false))
}

/// Answers a SELECT.
pub(super) async fn query(
    role: &ReaderRole,
    server: &Server,
    sql: &str,
    limit: Duration,
) -> Result<Answer, Unanswered> {
    ask(role, server, limit, async |conn| read(conn, sql).await).await
}

/// A subquery has no `;` at its end.
fn without_end(sql: &str) -> &str {
    sql.trim_end().trim_end_matches(';')
}

/// Asks something in a transaction that can only read.
async fn ask<T>(
    role: &ReaderRole,
    server: &Server,
    limit: Duration,
    question: impl AsyncFnOnce(&mut Conn) -> Result<T, mysql_async::Error>,
) -> Result<T, Unanswered> {
    let connected = tokio::time::timeout(limit, connect(role, server, limit)).await;
    let mut conn = connected.unwrap_or(Err(Unanswered::TimedOut(limit)))?;
    let session = conn.id();
    match tokio::time::timeout(limit, question(&mut conn)).await {
        Ok(answer) => {
            // What was not committed is undone.
            close(conn).await;
            answer.map_err(|error| failed(&error.into(), limit))
        }
        Err(_) => {
            // If it cannot be ended, its own limit ends it.
            let _ = tokio::time::timeout(FAREWELL, end(server, session)).await;
            Err(Unanswered::TimedOut(limit))
        }
    }
}

async fn end(server: &Server, session: u32) -> Result<(), ConnectError> {
    let (mut conn, _) = server.connect().await?;
    let ended = conn.query_drop(format!("KILL {session}")).await;
    ended.map_err(MySqlFault::from)?;
    Ok(())
}

async fn connect(role: &ReaderRole, server: &Server, limit: Duration) -> Result<Conn, Unanswered> {
    let refused = |error: ConnectError| {
        let advice = match &error {
            ConnectError::Server(fault) if is_of_rights(fault) => "; GRANT it SELECT on what it may read",
            error => error.advice(),
        };
        cannot(role, &format!("{error}{advice}"))
    };
    let (mut conn, _) = server.connect().await.map_err(refused)?;
    let set = conn.query_drop(settings(limit)).await;
    set.map_err(|error| refused(MySqlFault::from(error).into()))?;
    match rights::problem(&mut conn).await {
        Ok(None) => Ok(conn),
        Ok(Some(problem)) => Err(cannot(role, &format!("{problem} ({DOCS})"))),
        Err(error) => Err(refused(MySqlFault::from(error).into())),
    }
}

/// Returns the settings of a session. One question must not take more than it needs.
fn settings(limit: Duration) -> String {
    let (seconds, millis, rows) = (limit.as_secs_f64(), limit.as_millis(), MOST_ROWS + 1);
    format!(
        "SET NAMES utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */; \
         SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES', time_zone = '+00:00', \
         sql_select_limit = {rows}, innodb_lock_wait_timeout = 1 \
         /*M! , max_statement_time = {seconds}, max_session_mem_used = 268435456 */ \
         /*!80017 , max_execution_time = {millis} */; \
         SET SESSION TRANSACTION READ ONLY; START TRANSACTION READ ONLY"
    )
}

/// Reads as many rows as an answer may have.
async fn read(conn: &mut Conn, sql: &str) -> Result<Answer, mysql_async::Error> {
    let mut found = conn.exec_iter(sql, ()).await?;
    let columns: Arc<[_]> = found.columns().unwrap_or_default();
    let mut answer = Answer {
        columns: columns
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect(),
        rows: Vec::new(),
        has_more: false,
    };
    let mut bytes = 0;
    while let Some(row) = found.next().await? {
        if answer.rows.len() >= MOST_ROWS || bytes > MOST_BYTES {
            answer.has_more = true;
            break;
        }
        let cells = columns.iter().zip(row.unwrap());
        let cells: Vec<_> = cells.map(|(column, value)| cells::cell(column, value)).collect();
        bytes += cells.iter().map(bytes_of).sum::<usize>();
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn is_of_rights(fault: &MySqlFault) -> bool {
    fault.code().is_some_and(|code| NO_RIGHT.contains(&code))
}

/// Converts what the server said about a SELECT.
fn failed(fault: &MySqlFault, limit: Duration) -> Unanswered {
    let message = fault.message().map_or_else(|| fault.to_string(), str::to_owned);
    match fault.code() {
        Some(code) if STOPPED.contains(&code) => Unanswered::TimedOut(limit),
        Some(_) if is_of_rights(fault) => Unanswered::Failed(format!(
            "{message}: the role of state.criteria_url has no right to it ({DOCS})"
        )),
        _ => Unanswered::Failed(message),
    }
}
