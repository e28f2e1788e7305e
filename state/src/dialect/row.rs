//! Rows, which are read by the name of a column, or by its place.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;

use super::datum::{Datum, FromDatum};
use super::error::{DatabaseError, Result};
use super::mysql;
use super::postgres;
use super::sqlite;

/// The places of the columns by their names. Where several have one name, the last of them counts.
pub(super) type Columns = Arc<HashMap<String, usize>>;

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(tokio_postgres::Row, Columns),
    MySql(mysql_async::Row, Columns),
}

impl Row {
    /// Reads a column. Where several columns have the name, it is the last of them.
    pub(crate) fn get<'r, T: FromDatum<'r>>(&'r self, column: &str) -> Result<T> {
        T::from_datum(self.datum(column)?).map_err(|source| DatabaseError::column(column, source))
    }

    /// Reads the column at a place, counted from 0.
    pub(crate) fn at<'r, T: FromDatum<'r>>(&'r self, place: usize) -> Result<T> {
        let datum = match self {
            Self::Sqlite(row) => sqlite::datum(row, place)?,
            Self::Postgres(row, _) => postgres::datum(row, place)?,
            Self::MySql(row, _) => mysql::datum(row, place)?,
        };
        T::from_datum(datum).map_err(|source| DatabaseError::column(&place.to_string(), source))
    }

    /// Returns the number of columns.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.len(),
            Self::Postgres(row, _) => row.len(),
            Self::MySql(row, _) => row.len(),
        }
    }

    /// Returns what a column holds, whatever that is.
    pub(crate) fn datum(&self, column: &str) -> Result<Datum<'_>> {
        match self {
            Self::Sqlite(row) => sqlite::datum(row, column),
            Self::Postgres(row, columns) => postgres::datum(row, place(columns, column)?),
            Self::MySql(row, columns) => mysql::datum(row, place(columns, column)?),
        }
    }
}

/// Returns the place of a column.
fn place(columns: &Columns, column: &str) -> Result<usize> {
    let place = columns.get(column).copied();
    place.ok_or_else(|| DatabaseError::column(column, "there is no such column"))
}

/// What a whole row is read as, column by column in their order.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self>;
}

macro_rules! tuples {
    ($($($field:ident $place:literal)+;)+) => {$(
        impl<$($field: for<'r> FromDatum<'r>),+> FromRow for ($($field,)+) {
            fn from_row(row: &Row) -> Result<Self> {
                Ok(($(row.at::<$field>($place)?,)+))
            }
        }
    )+};
}

tuples! {
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
}
