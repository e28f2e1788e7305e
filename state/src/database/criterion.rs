//! `job_addl_criteria`: a SELECT that a person wrote as a precondition.
//!
//! On a server it is put by a role of its own ([`super::role`]). A file is read by a connection of its own that only reads,
//! and SQLite checks at short intervals whether to stop. The text is checked first, so that a statement that is not a
//! SELECT gets a clear error message.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use super::select::{NotOneSelect, one_select};
use super::{role, schema};
use crate::answerer::Answerer;
use crate::dialect::{INTERRUPT, NOMEM, TOOBIG, sqlite_code};
use crate::error::CriterionError;

/// Instructions of SQLite's virtual machine between two checks of the time: well below a millisecond.
const LOOK_EVERY: i32 = 1_000;

/// The most memory that SQLite may take.
const MOST_MEMORY: &str = "67108864";

/// Returns whether a SELECT on the state database yields at least one row. Stops it if it takes longer than `limit`; but a
/// single function of SQLite may go on beyond that, so this is for a process that can be killed. It bounds the memory of
/// all SQLite databases of this process.
pub async fn criterion(answerer: &Answerer, sql: &str, limit: Duration) -> Result<bool, CriterionError> {
    match answerer {
        Answerer::File(path) => of_file(path, sql, limit).await,
        Answerer::Role(role) => role::criterion(role, sql, limit).await,
    }
}

async fn of_file(path: &Path, sql: &str, limit: Duration) -> Result<bool, CriterionError> {
    one_select(sql).map_err(|problem| match problem {
        NotOneSelect::NotSelect { found } => CriterionError::NotSelect { found },
        NotOneSelect::Several => CriterionError::SeveralStatements,
    })?;
    let failed = |error: sqlx::Error| match (&error, sqlite_code(&error)) {
        (_, Some(INTERRUPT)) => CriterionError::TimedOut { limit },
        (_, Some(NOMEM | TOOBIG)) => CriterionError::TooMuchMemory,
        (sqlx::Error::Database(error), _) => CriterionError::Failed {
            message: error.message().to_owned(),
        },
        _ => CriterionError::Failed {
            message: error.to_string(),
        },
    };
    let options = schema::readable_file(path)
        .await
        .map_err(|error| CriterionError::Failed {
            message: error.to_string(),
        })?;
    let mut conn = bounded(options, limit).await.map_err(failed)?;
    // Safe: the connection can only read, and only what the operator may read anyway.
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    let row = query.fetch_optional(&mut conn).await.map_err(failed)?;
    Ok(row.is_some())
}

/// How many bytes of the database are read in place: the most that SQLite allows.
const IN_PLACE: &str = "2147418112";

/// Opens a connection for a SELECT that somebody wrote: it only reads, and is stopped when its time is up, or when it takes
/// too much memory.
pub(super) async fn bounded(
    options: SqliteConnectOptions,
    limit: Duration,
) -> sqlx::Result<SqliteConnection> {
    let options = options
        .pragma("query_only", "ON")
        .pragma("trusted_schema", "OFF")
        // Copies of pages would take a third of the time. Should the file ever become shorter, only this process ends.
        .pragma("mmap_size", IN_PLACE)
        // What it sorts or gathers counts as memory, and does not fill a disk.
        .pragma("temp_store", "MEMORY")
        .pragma("hard_heap_limit", MOST_MEMORY);
    let mut conn = options.connect().await?;
    let deadline = Instant::now() + limit;
    let go_on = move || Instant::now() < deadline;
    conn.lock_handle().await?.set_progress_handler(LOOK_EVERY, go_on);
    Ok(conn)
}
