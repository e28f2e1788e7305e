//! Statements with the values bound to them, and how their rows are read.

use super::connection::{Connection, Done};
use super::datum::FromDatum;
use super::error::{DatabaseError, Result};
use super::parameter::Parameter;
use super::readers::Readers;
use super::row::{FromRow, Row};

/// What a statement runs on.
pub(crate) enum On<'c> {
    Connection(&'c mut Connection),
    /// Whichever of the reading connections is free.
    Readers(&'c Readers),
}

impl<'c> From<&'c mut Connection> for On<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        Self::Connection(connection)
    }
}

impl<'c> From<&'c Readers> for On<'c> {
    fn from(readers: &'c Readers) -> Self {
        Self::Readers(readers)
    }
}

/// A statement with the values that were bound so far, and how its rows are read.
pub(crate) struct Query<F> {
    statement: &'static str,
    bound: Vec<Parameter>,
    read: F,
}

/// A statement that is run for its effect, or whose rows are taken as they are.
pub(crate) type Plain = Query<AsIs>;

/// Takes rows as they are.
type AsIs = fn(Row) -> Result<Row>;

/// Prepares a statement.
pub(crate) fn query(statement: &'static str) -> Query<AsIs> {
    Query::new(statement, Ok)
}

/// Prepares a statement of whose rows only the first column counts.
pub(crate) fn query_scalar<T: for<'r> FromDatum<'r>>(statement: &'static str) -> Query<fn(Row) -> Result<T>> {
    Query::new(statement, |row| row.at(0))
}

/// Prepares a statement whose rows are read as tuples.
pub(crate) fn query_as<T: FromRow>(statement: &'static str) -> Query<fn(Row) -> Result<T>> {
    Query::new(statement, |row| T::from_row(&row))
}

impl<F> Query<F> {
    fn new(statement: &'static str, read: F) -> Self {
        Self {
            statement,
            bound: Vec::new(),
            read,
        }
    }

    /// Binds the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Parameter>) -> Self {
        self.bound.push(value.into());
        self
    }

    /// Runs the statement for its effect.
    pub(crate) async fn execute(self, on: impl Into<On<'_>>) -> Result<Done> {
        match on.into() {
            On::Connection(connection) => connection.execute(self.statement, self.bound).await,
            On::Readers(readers) => readers.acquire().await?.execute(self.statement, self.bound).await,
        }
    }

    async fn rows(self, on: On<'_>) -> Result<(Vec<Row>, F)> {
        let rows = match on {
            On::Connection(connection) => connection.rows(self.statement, self.bound).await,
            On::Readers(readers) => readers.acquire().await?.rows(self.statement, self.bound).await,
        };
        Ok((rows?, self.read))
    }
}

impl Query<AsIs> {
    /// Has each row read by a function.
    pub(crate) fn try_map<T, F: FnMut(Row) -> Result<T>>(self, read: F) -> Query<F> {
        Query {
            statement: self.statement,
            bound: self.bound,
            read,
        }
    }
}

impl<T, F: FnMut(Row) -> Result<T>> Query<F> {
    /// Returns all rows.
    pub(crate) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<T>> {
        let (rows, read) = self.rows(on.into()).await?;
        rows.into_iter().map(read).collect()
    }

    /// Returns the first row, if there is one.
    pub(crate) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<T>> {
        let (rows, read) = self.rows(on.into()).await?;
        rows.into_iter().next().map(read).transpose()
    }

    /// Returns the first row, which must exist.
    pub(crate) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<T> {
        self.fetch_optional(on).await?.ok_or(DatabaseError::NoRow)
    }
}
