//! Whole tables, read and filled row by row.
//!
//! Unlike all other statements, these are made up at run time, of the names of tables and columns. They are no part of the
//! notation: each database reads them as they are.

use std::pin::pin;

use futures::stream::{BoxStream, try_unfold};
use futures::{StreamExt as _, TryStreamExt as _};
use gristmill_servers::mysql::Line;
use mysql_async::prelude::Queryable as _;
use mysql_async::{BinaryProtocol, Conn, Params, QueryResult, Value};
use sqlx::{AssertSqlSafe, SqliteConnection};
use tokio_postgres::binary_copy::BinaryCopyInWriter;

use super::Dialect;
use super::connection::Connection;
use super::datum::{Datum, FromDatum};
use super::error::{DatabaseError, Result};
use super::mysql::{self, MySql, value};
use super::parameter::Parameter;
use super::postgres::{NO_NUL, Postgres, as_sql, columns};
use super::row::{Columns, Row};
use super::sqlite::{Sqlite, statement};

/// Rows that come one after another.
type Rows<'c, T> = BoxStream<'c, Result<T>>;

/// The most parameters of one statement that adds rows to a file. SQLite takes 32,766.
const PARAMETERS: usize = 8_000;

/// Returns a name as it is written in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns names as they are written in a statement, separated by commas.
pub(crate) fn all_quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

impl Dialect {
    /// Returns a value as the database keeps it.
    pub(crate) fn kept(self, value: Parameter) -> Parameter {
        match (self, value) {
            (Self::Postgres, Parameter::Text(text)) => Parameter::Text(text.replace('\0', NO_NUL)),
            (_, value) => value,
        }
    }
}

impl Connection {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
        }
    }

    /// Runs statements that have no parameters.
    pub(crate) async fn run(&mut self, statements: &str) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => {
                let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
                statements.execute(sqlite.driver()).await?;
                Ok(())
            }
            Self::Postgres(postgres) => postgres.batch(statements).await,
            Self::MySql(mysql) => mysql.batch(statements).await,
        }
    }

    /// Runs a statement that has no parameters, and returns its rows as they come.
    pub(crate) async fn stream(&mut self, text: &str) -> Result<Rows<'_, Row>> {
        match self {
            Self::Sqlite(sqlite) => {
                let rows = statement(text.into(), Vec::new()).fetch(sqlite.driver());
                Ok(rows.map(|row| Ok(Row::Sqlite(row?))).boxed())
            }
            Self::Postgres(postgres) => postgres.stream(text).await,
            Self::MySql(mysql) => mysql.stream(text).await,
        }
    }

    /// Adds rows to a table.
    pub(crate) async fn fill(
        &mut self,
        table: &str,
        columns: &[String],
        rows: Rows<'_, Vec<Parameter>>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.fill(table, columns, rows).await,
            Self::Postgres(postgres) => postgres.fill(table, columns, rows).await,
            Self::MySql(mysql) => mysql.fill(table, columns, rows).await,
        }
    }
}

impl Sqlite {
    async fn fill(
        &mut self,
        table: &str,
        columns: &[String],
        mut rows: Rows<'_, Vec<Parameter>>,
    ) -> Result<()> {
        let at_once = (PARAMETERS / columns.len()).max(1);
        let (mut bound, mut count) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            bound.extend(row);
            count += 1;
            if count == at_once {
                insert(self.driver(), table, columns, count, std::mem::take(&mut bound)).await?;
                count = 0;
            }
        }
        match count {
            0 => Ok(()),
            rest => insert(self.driver(), table, columns, rest, bound).await,
        }
    }
}

async fn insert(
    driver: &mut SqliteConnection,
    table: &str,
    columns: &[String],
    rows: usize,
    bound: Vec<Parameter>,
) -> Result<()> {
    let text = insertion(table, columns, rows);
    statement(text.into(), bound).execute(driver).await?;
    Ok(())
}

/// Returns the statement that adds some rows.
fn insertion(table: &str, columns: &[String], rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let (table, columns, values) = (quoted(table), all_quoted(columns), vec![row; rows].join(", "));
    format!("INSERT INTO {table} ({columns}) VALUES {values}")
}

/// An answer of MySQL, of which rows have yet to come.
type Coming<'c> = (QueryResult<'c, 'static, BinaryProtocol>, Columns, &'c Line);

async fn next_of_mysql(coming: Coming<'_>) -> Result<Option<(Row, Coming<'_>)>> {
    let (mut found, columns, line) = coming;
    let row = line.hear(found.next()).await?;
    Ok(row.map(|row| (Row::MySql(row, columns.clone()), (found, columns, line))))
}

impl MySql {
    async fn stream(&mut self, text: &str) -> Result<Rows<'_, Row>> {
        let (conn, line) = self.conn().await?;
        let found = line.hear(conn.exec_iter(text, Params::Empty)).await?;
        let columns = mysql::columns(found.columns_ref());
        Ok(try_unfold((found, columns, line), next_of_mysql).boxed())
    }

    async fn fill(
        &mut self,
        table: &str,
        columns: &[String],
        mut rows: Rows<'_, Vec<Parameter>>,
    ) -> Result<()> {
        let at_once = (PARAMETERS / columns.len()).max(1);
        let mut bound = Vec::new();
        while let Some(row) = rows.try_next().await? {
            bound.extend(row.iter().map(value));
            if bound.len() >= at_once * columns.len() {
                self.insert(table, columns, std::mem::take(&mut bound)).await?;
            }
        }
        match bound.is_empty() {
            true => Ok(()),
            false => self.insert(table, columns, bound).await,
        }
    }

    async fn insert(&mut self, table: &str, columns: &[String], bound: Vec<Value>) -> Result<()> {
        let text = insertion(table, columns, bound.len() / columns.len());
        let add = |mut conn: Conn| async move {
            let added = conn.exec_drop(text, Params::Positional(bound)).await;
            (conn, added)
        };
        self.call(add).await
    }
}

impl Postgres {
    async fn stream(&self, text: &str) -> Result<Rows<'_, Row>> {
        let statement = self.line.hear(self.client.prepare(text)).await?;
        let columns = columns(&statement);
        let rows = self.client.query_raw(&statement, std::iter::empty::<i64>());
        let rows = Box::pin(self.line.hear(rows).await?);
        let next = move |(mut rows, columns): (std::pin::Pin<Box<tokio_postgres::RowStream>>, _)| async move {
            let row = self.line.hear(rows.try_next()).await?;
            Ok(row.map(|row| (Row::Postgres(row, Columns::clone(&columns)), (rows, columns))))
        };
        Ok(try_unfold((rows, columns), next).boxed())
    }

    async fn fill(
        &mut self,
        table: &str,
        columns: &[String],
        mut rows: Rows<'_, Vec<Parameter>>,
    ) -> Result<()> {
        let (table, columns) = (quoted(table), all_quoted(columns));
        let types = format!("SELECT {columns} FROM {table}");
        let types = self.line.hear(self.client.prepare(&types)).await?;
        let types: Vec<_> = types
            .columns()
            .iter()
            .map(|column| column.type_().clone())
            .collect();
        let copy = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
        let sink = self.line.hear(self.client.copy_in(&copy)).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        while let Some(row) = rows.try_next().await? {
            self.line.hear(writer.as_mut().write(&as_sql(&row))).await?;
        }
        self.line.hear(writer.finish()).await?;
        Ok(())
    }
}

/// A value as it can be bound again.
impl<'r> FromDatum<'r> for Parameter {
    fn from_datum(datum: Datum<'r>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        match datum {
            Datum::Null => Ok(Self::Null),
            Datum::Integer(value) => Ok(Self::Integer(value)),
            Datum::Real(value) => Ok(Self::Real(value)),
            Datum::Text(value) => Ok(Self::Text(value.to_owned())),
            Datum::Bytes => Err("it is bytes instead of text or a number".into()),
        }
    }
}

impl Row {
    /// Returns all values of the row.
    pub(crate) fn values(&self) -> Result<Vec<Parameter>, DatabaseError> {
        (0..self.len()).map(|place| self.at(place)).collect()
    }
}
