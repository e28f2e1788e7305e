//! Answers a SELECT that a person wrote on the views of the state database.
//!
//! On a server it is put by a role of its own, whose rights say what it may read ([`super::role`]).
//!
//! SQLite would tell a program which tables a statement reads, and through which view, by an authorizer; the driver has
//! none. So the words of the statement are compared with the names of the tables, quoted or not: whatever reads a table
//! must name it.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Column, Executor as _, Row, SqlSafeStr as _, SqliteConnection, Statement as _,
    TypeInfo as _, ValueRef as _,
};

use super::criterion::bounded;
use super::select::{NotOneSelect, one_select, tokens};
use super::{StateDb, role, schema};
use crate::answerer::Answerer;
use crate::dialect::{self, INTERRUPT, NOMEM, TOOBIG, sqlite_code};
use crate::error::{During, QueryError, StateError};
use crate::query::{Answer, Cell, ViewRow};

/// The most rows of an answer.
pub const MOST_ROWS: usize = 1_000;

/// The most bytes of text in an answer. The row that exceeds it is the last.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// The names of everything that is no view.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type <> 'view'";

/// The views, each with its columns, and its text, of which servers do not keep the comments.
const VIEWS: &str = "
    sqlite{
    SELECT s.name, s.sql AS sql_text, (SELECT json_group_array(c.name) FROM pragma_table_info(s.name) c) AS columns
      FROM sqlite_schema s WHERE s.type = 'view'
    }
    postgres{
    SELECT v.relname::text AS name, NULL::text AS sql_text,
           (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
      FROM pg_class v WHERE v.relkind = 'v' AND v.relnamespace = current_schema()::regnamespace
    }
    mysql{
    SELECT v.table_name AS name, NULL AS sql_text,
           (SELECT '[\"' || group_concat(c.column_name ORDER BY c.ordinal_position SEPARATOR '\",\"') || '\"]'
              FROM information_schema.columns c
             WHERE c.table_schema = v.table_schema AND c.table_name = v.table_name) AS columns
      FROM information_schema.views v WHERE v.table_schema = database()
    }
     ORDER BY 1";

/// What tells about the database itself, or loads code. No name of a view, of a column or of a function that is needed
/// begins so.
const INTERNAL: [&str; 7] = [
    "sqlite_",
    "pragma_",
    "dbstat",
    "bytecode",
    "tables_used",
    "load_extension",
    "fts3_tokenizer",
];

impl StateDb {
    /// Lists the views.
    pub async fn views(&self) -> Result<Vec<ViewRow>, StateError> {
        let views = dialect::query(VIEWS)
            .try_map(|row| {
                let name: String = row.get("name")?;
                let sql: Option<&str> = row.get("sql_text")?;
                Ok(ViewRow {
                    about: about(sql.or_else(|| schema::text_of_view(&name)).unwrap_or_default()),
                    name,
                    columns: serde_json::from_str(row.get("columns")?)?,
                })
            })
            .fetch_all(&self.readers)
            .await;
        views.during("list the views of", "the state database")
    }
}

/// Returns what the comments at the beginning of a view say.
fn about(sql: &str) -> String {
    let lines = sql.lines().skip(1).map(str::trim);
    let comments = lines.map_while(|line| line.strip_prefix("--"));
    comments.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Answers a SELECT on the views of the state database, as far as it takes no longer than `limit`. As
/// [`criterion`](super::criterion), this is for a process that can be killed, whose memory it bounds.
pub async fn query(answerer: &Answerer, sql: &str, limit: Duration) -> Result<Answer, QueryError> {
    match answerer {
        Answerer::File(path) => of_file(path, sql, limit).await,
        Answerer::Role(role) => role::query(role, sql, limit).await,
    }
}

async fn of_file(path: &Path, sql: &str, limit: Duration) -> Result<Answer, QueryError> {
    one_select(sql).map_err(|problem| match problem {
        NotOneSelect::NotSelect { found } => QueryError::NotSelect { found },
        NotOneSelect::Several => QueryError::SeveralStatements,
    })?;
    let failed = |error: sqlx::Error| match (&error, sqlite_code(&error)) {
        (_, Some(INTERRUPT)) => QueryError::TimedOut { limit },
        (_, Some(NOMEM | TOOBIG)) => QueryError::TooMuchMemory,
        (sqlx::Error::Database(error), _) => QueryError::Failed {
            message: error.message().to_owned(),
        },
        _ => QueryError::Failed {
            message: error.to_string(),
        },
    };
    let options = schema::readable_file(path)
        .await
        .map_err(|error| QueryError::Failed {
            message: error.to_string(),
        })?;
    let mut conn = bounded(options, limit).await.map_err(failed)?;
    let tables: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&mut conn)
        .await
        .map_err(failed)?;
    let tables: HashSet<String> = tables.iter().map(|name| name.to_lowercase()).collect();
    only_views(sql, &tables)?;
    read(&mut conn, sql).await.map_err(failed)
}

/// Fails if a word of the statement names what is no view.
fn only_views(sql: &str, tables: &HashSet<String>) -> Result<(), QueryError> {
    for token in tokens(sql) {
        let name = token.trim_matches(['"', '\'', '`', '[', ']']).to_lowercase();
        let is_internal = INTERNAL.iter().any(|start| name.starts_with(start));
        if is_internal || tables.contains(&name) {
            return Err(QueryError::NotAView {
                name: token.to_owned(),
            });
        }
    }
    Ok(())
}

async fn read(conn: &mut SqliteConnection, sql: &str) -> sqlx::Result<Answer> {
    // Safe: the connection can only read, and only what the operator may read anyway.
    let statement = conn.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let columns = statement.columns().iter().map(|column| column.name().to_owned());
    let mut answer = Answer {
        columns: columns.collect(),
        rows: Vec::new(),
        has_more: false,
    };
    let mut bytes = 0;
    let mut rows = statement.query().fetch(conn);
    while let Some(row) = rows.try_next().await? {
        if answer.rows.len() >= MOST_ROWS || bytes > MOST_BYTES {
            answer.has_more = true;
            break;
        }
        let cells = (0..answer.columns.len()).map(|at| cell(&row, at));
        let cells = cells.collect::<sqlx::Result<Vec<_>>>()?;
        bytes += cells.iter().map(bytes_of).sum::<usize>();
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn cell(row: &SqliteRow, at: usize) -> sqlx::Result<Cell> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Cell::Integer(row.try_get_unchecked(at)?),
        "REAL" => Cell::Real(row.try_get_unchecked(at)?),
        "TEXT" => Cell::Text(row.try_get_unchecked(at)?),
        _ => {
            let bytes: Vec<u8> = row.try_get_unchecked(at)?;
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Cell::Text(format!("x'{digits}'"))
        }
    })
}

/// Returns how much of an answer a value takes.
pub(super) fn bytes_of(cell: &Cell) -> usize {
    match cell {
        Cell::Text(text) => text.len(),
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_however_they_are_quoted() {
        let tables: HashSet<String> = ["submission", "job_run"].map(str::to_owned).into();
        for sql in [
            "SELECT * FROM submission",
            "SELECT * FROM SubMission s",
            "SELECT * FROM \"submission\"",
            "SELECT * FROM [submission]",
            "SELECT * FROM `job_run`",
            "SELECT * FROM 'job_run'",
            "SELECT * FROM main.job_run",
            "SELECT * FROM/**/job_run",
            "SELECT * FROM files, job_run",
            "WITH x AS (SELECT * FROM job_run) SELECT * FROM x",
            "SELECT (SELECT count(*) FROM job_run)",
            "SELECT * FROM sqlite_master",
            "SELECT * FROM \"SQLITE_SCHEMA\"",
            "SELECT * FROM pragma_database_list",
            "SELECT load_extension('x')",
        ] {
            assert!(
                matches!(only_views(sql, &tables), Err(QueryError::NotAView { .. })),
                "{sql}"
            );
        }
        for sql in [
            "SELECT submission_id FROM submissions",
            "SELECT 'a job_run' FROM runs -- job_run",
        ] {
            assert_eq!(only_views(sql, &tables), Ok(()), "{sql}");
        }
    }

    #[test]
    fn what_a_view_is_about_stands_in_its_first_lines() {
        let sql = "CREATE VIEW v AS\n    -- One thing,\n    -- and another.\n    SELECT 1 -- not this";
        assert_eq!(about(sql), "One thing, and another.");
    }
}
