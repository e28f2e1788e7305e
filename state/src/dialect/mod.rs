//! What lies between the logic and the databases that it can work on: SQLite, Postgres, and MySQL or MariaDB.
//!
//! The logic is written once. It names a statement, binds values, and reads rows by column, through the types of this
//! folder; which database answers is known only here. Statements are written in one notation, which is expanded for each
//! database ([`Dialect`]).

mod bulk;
mod connection;
mod datum;
mod error;
mod expanded;
pub(crate) mod mysql;
pub(crate) mod notation;
mod parameter;
mod place;
pub(crate) mod postgres;
mod readers;
mod row;
pub(crate) mod sqlite;
mod statement;
mod transaction;

pub(crate) use self::bulk::{all_quoted, quoted};
pub(crate) use self::connection::{Connection, Purpose};
pub(crate) use self::datum::Datum;
pub use self::error::DatabaseError;
pub(crate) use self::error::{CANTOPEN, INTERRUPT, NOMEM, READONLY, Result, TOOBIG, sqlite_code};
pub(crate) use self::parameter::Parameter;
pub use self::place::Place;
pub(crate) use self::readers::{Readers, Reading};
pub(crate) use self::row::Row;
pub(crate) use self::statement::{Plain, query, query_as, query_scalar};
pub(crate) use self::transaction::Transaction;

/// A database's way of writing SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// A file of SQLite.
    Sqlite,
    /// A database on a server of Postgres.
    Postgres,
    /// A database on a server of MySQL or MariaDB.
    MySql,
}

impl Dialect {
    /// Returns whether it reads what stands under a name in the notation.
    fn reads(self, name: &str) -> bool {
        match self {
            Self::Sqlite => matches!(name, "sqlite" | "others"),
            Self::Postgres => matches!(name, "postgres" | "others"),
            Self::MySql => name == "mysql",
        }
    }
}
