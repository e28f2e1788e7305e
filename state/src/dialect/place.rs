//! Where the state database is.

use std::fmt;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use gristmill_servers::{mysql, postgres};

use super::connection::{Connection, Purpose};
use super::error::Result;
use super::readers::Reading;
use super::sqlite::{Sqlite, reading};
use crate::answerer::{Answerer, ReaderRole};

/// The bytes of a path that an index of Postgres can hold beside other columns.
const LONGEST_ON_POSTGRES: usize = 2500;

/// The characters of the columns for paths on MySQL.
const LONGEST_ON_MYSQL: usize = 700;

/// The characters of the columns for stores there.
const LONGEST_STORE: usize = 255;

/// Where the state database is, and who answers what people ask it.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a file of SQLite.
    File(PathBuf),
    /// On a server of Postgres, with the role that answers there, if there is one.
    Postgres(Arc<postgres::Server>, Option<Arc<ReaderRole>>),
    /// On a server of MySQL or MariaDB, likewise.
    MySql(Arc<mysql::Server>, Option<Arc<ReaderRole>>),
}

impl Place {
    /// Returns the file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Postgres(..) | Self::MySql(..) => None,
        }
    }

    /// Returns why a file with this path cannot be recorded, if its path is longer than the indexes of a server can hold.
    pub fn refuses_path(&self, path: &str) -> Option<String> {
        let (length, longest, unit, server) = match self {
            Self::File(_) => return None,
            Self::Postgres(..) => (path.len(), LONGEST_ON_POSTGRES, "bytes", "Postgres"),
            Self::MySql(..) => (
                path.chars().count(),
                LONGEST_ON_MYSQL,
                "characters",
                "MySQL or MariaDB",
            ),
        };
        if length > longest {
            return Some(format!(
                "its path has {length} {unit}, of which a state database on {server} takes {longest}: send it under a shorter name"
            ));
        }
        // A part of it may be the name of a store.
        let parts = path.split('/').map(|part| part.chars().count());
        let part = parts
            .max()
            .filter(|part| *part > LONGEST_STORE && matches!(self, Self::MySql(..)))?;
        Some(format!(
            "a part of its path has {part} characters, of which a state database on {server} takes {LONGEST_STORE}: send it under \
             a shorter name"
        ))
    }

    /// Returns who answers what people ask.
    pub(crate) fn answerer(&self) -> Option<Answerer> {
        match self {
            Self::File(path) => Some(Answerer::File(path.clone())),
            Self::Postgres(_, role) | Self::MySql(_, role) => role.as_deref().cloned().map(Answerer::Role),
        }
    }

    /// Connects to write. A file that does not exist is created.
    pub(crate) fn connect_to_write(&self) -> BoxFuture<'_, Result<Connection>> {
        match self {
            Self::File(path) => Sqlite::to_write(path).map_ok(Connection::Sqlite).boxed(),
            Self::Postgres(server, _) => Connection::to_postgres(server, Purpose::Write),
            Self::MySql(server, _) => Connection::to_mysql(server, Purpose::Write),
        }
    }

    /// Connects to a server for what lies beside the rules. `None` if the database is in a file.
    pub(crate) fn connect_beside(
        &self,
        wait: Duration,
        is_flushed: bool,
    ) -> BoxFuture<'_, Result<Option<Connection>>> {
        let purpose = Purpose::Beside { wait, is_flushed };
        match self {
            Self::File(_) => ready(Ok(None)).boxed(),
            Self::Postgres(server, _) => Connection::to_postgres(server, purpose).map_ok(Some).boxed(),
            Self::MySql(server, _) => Connection::to_mysql(server, purpose).map_ok(Some).boxed(),
        }
    }

    /// Waits for a call that waits for nobody itself, as long as a server may be silent.
    pub(crate) async fn in_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self {
            Self::File(_) => call.await,
            Self::Postgres(server, _) => server.in_time(call).await,
            Self::MySql(server, _) => server.in_time(call).await,
        }
    }

    /// Returns how to connect to read.
    pub(crate) fn reading(&self) -> Reading {
        match self {
            Self::File(path) => Reading::Sqlite(Box::new(reading(path))),
            Self::Postgres(server, _) => Reading::Postgres(server.clone()),
            Self::MySql(server, _) => Reading::MySql(server.clone()),
        }
    }

    /// Returns what must hold so that it can be written.
    pub(crate) fn to_be_written(&self) -> &'static str {
        match self {
            Self::File(_) => "it is an SQLite file that this user can write",
            Self::Postgres(..) | Self::MySql(..) => {
                "its server is up, and that the user in its URL may create and write tables there"
            }
        }
    }

    /// Returns what must hold so that it can be read.
    pub(crate) fn to_be_read(&self) -> &'static str {
        match self {
            Self::File(_) => {
                "it is an SQLite file that this user can read; if a log lies beside it (-wal), this user must be able to \
                 read that and its index (-shm) too"
            }
            Self::Postgres(..) | Self::MySql(..) => {
                "its server is up, and that the user in its URL may read its tables"
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(server, _) => server.url().fmt(f),
            Self::MySql(server, _) => server.url().fmt(f),
        }
    }
}

impl From<Arc<postgres::Server>> for Place {
    fn from(server: Arc<postgres::Server>) -> Self {
        Self::Postgres(server, None)
    }
}

impl From<Arc<mysql::Server>> for Place {
    fn from(server: Arc<mysql::Server>) -> Self {
        Self::MySql(server, None)
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}
