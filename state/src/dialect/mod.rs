//! What lies between the logic and the two databases that it can work on: SQLite and Postgres.

pub(crate) mod notation;

/// A database's way of writing SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// A file of SQLite.
    Sqlite,
    /// A Postgres server.
    Postgres,
}
