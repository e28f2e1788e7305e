//! `job_addl_criteria`: a SELECT that a person wrote as a precondition.
//!
//! It runs on its own read-only connection, and SQLite checks at short intervals whether to stop. Its text is checked
//! first, so that a statement that is not a SELECT gets a clear error message.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions};

use super::schema;
use crate::error::{CriterionError, INTERRUPT, NOMEM, TOOBIG, sqlite_code};

/// Instructions of SQLite's virtual machine between two checks of the time: well below a millisecond.
const LOOK_EVERY: i32 = 1_000;

/// The most memory that SQLite may take.
const MOST_MEMORY: &str = "67108864";

/// Returns whether a SELECT on the state database at `path` yields at least one row. Stops it if it takes longer than
/// `limit`; but a single function may go on beyond that, so this is for a process that can be killed. It bounds the memory
/// of all SQLite databases of this process.
pub async fn criterion(path: &Path, sql: &str, limit: Duration) -> Result<bool, CriterionError> {
    check(sql)?;
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
    let options = schema::readable(path)
        .await
        .map_err(|error| CriterionError::Failed {
            message: error.to_string(),
        })?
        // What it sorts or gathers counts as memory, and does not fill a disk.
        .pragma("temp_store", "MEMORY")
        .pragma("hard_heap_limit", MOST_MEMORY);
    let mut conn = options.connect().await.map_err(failed)?;
    let deadline = Instant::now() + limit;
    let go_on = move || Instant::now() < deadline;
    conn.lock_handle()
        .await
        .map_err(failed)?
        .set_progress_handler(LOOK_EVERY, go_on);
    // Safe: the connection can only read, and only what the operator may read anyway.
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    let row = query.fetch_optional(&mut conn).await.map_err(failed)?;
    Ok(row.is_some())
}

/// Rejects anything but exactly one SELECT. (The connection rejects a `WITH` that leads to a write.)
fn check(sql: &str) -> Result<(), CriterionError> {
    let mut tokens = tokens(sql);
    let first = tokens.next().unwrap_or_default();
    if !first.eq_ignore_ascii_case("select") && !first.eq_ignore_ascii_case("with") {
        return Err(CriterionError::NotSelect {
            found: first.to_owned(),
        });
    }
    let mut after_end = tokens.skip_while(|token| *token != ";");
    if after_end.any(|token| token != ";") {
        return Err(CriterionError::SeveralStatements);
    }
    Ok(())
}

/// Splits SQL into words, quoted pieces and single characters; drops whitespace and comments.
fn tokens(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let (length, is_comment) = match first {
                '-' if rest.starts_with("--") => (end_of(rest, 2, "\n"), true),
                '/' if rest.starts_with("/*") => (end_of(rest, 2, "*/"), true),
                // A doubled quote reads as two quoted pieces, which makes no difference here.
                '\'' => (end_of(rest, 1, "'"), false),
                '"' => (end_of(rest, 1, "\""), false),
                '`' => (end_of(rest, 1, "`"), false),
                '[' => (end_of(rest, 1, "]"), false),
                _ if is_word(first) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), false),
                _ => (first.len_utf8(), false),
            };
            let (token, after) = rest.split_at(length);
            rest = after;
            if !is_comment {
                return Some(token);
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the end of the piece that begins with `opening` bytes and is closed by `close`.
fn end_of(text: &str, opening: usize, close: &str) -> usize {
    text[opening..]
        .find(close)
        .map_or(text.len(), |at| opening + at + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_passes() {
        for sql in [
            "SELECT 1",
            "  select 1 ; ; -- done",
            "-- why\n/* and; how */ WITH t AS (SELECT 1) SELECT * FROM t;",
            "SELECT ';' || \"a;b\" || [c;d] || `e;f` || 'it''s; fine'",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn other_statements_are_named() {
        for (sql, word) in [
            ("DELETE FROM job_run", "DELETE"),
            ("/* SELECT */ pragma x", "pragma"),
            ("", ""),
            ("(", "("),
        ] {
            let error = check(sql).unwrap_err();
            assert!(
                matches!(&error, CriterionError::NotSelect { found } if found == word),
                "{sql}: {error}"
            );
        }
    }

    #[test]
    fn a_second_statement_is_refused() {
        for sql in [
            "SELECT 1; DELETE FROM job_run",
            "SELECT '--'; SELECT 2",
            "SELECT 1 /* ; */ ; x",
        ] {
            assert!(
                matches!(check(sql), Err(CriterionError::SeveralStatements)),
                "{sql}"
            );
        }
    }
}
