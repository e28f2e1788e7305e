//! Where the state database is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_servers::postgres::Server;

use super::connection::Connection;
use super::error::Result;
use super::postgres::{Postgres, Purpose};
use super::readers::Reading;
use super::sqlite::{Sqlite, reading};
use crate::answerer::{Answerer, ReaderRole};

/// Where the state database is, and who answers what people ask it.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a file of SQLite.
    File(PathBuf),
    /// On a server of Postgres, with the role that answers there, if there is one.
    Server(Arc<Server>, Option<Arc<ReaderRole>>),
}

impl Place {
    /// Returns the file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(..) => None,
        }
    }

    /// Returns who answers what people ask.
    pub(crate) fn answerer(&self) -> Option<Answerer> {
        match self {
            Self::File(path) => Some(Answerer::File(path.clone())),
            Self::Server(_, role) => role.as_deref().cloned().map(Answerer::Role),
        }
    }

    /// Connects to write. A file that does not exist is created.
    pub(crate) async fn connect_to_write(&self) -> Result<Connection> {
        match self {
            Self::File(path) => Ok(Connection::Sqlite(Sqlite::to_write(path).await?)),
            Self::Server(server, _) => {
                let postgres = Postgres::connect(server, Purpose::Write).await?;
                Ok(Connection::Postgres(Box::new(postgres)))
            }
        }
    }

    /// Returns how to connect to read.
    pub(crate) fn reading(&self) -> Reading {
        match self {
            Self::File(path) => Reading::Sqlite(Box::new(reading(path))),
            Self::Server(server, _) => Reading::Postgres(server.clone()),
        }
    }

    /// Returns what must hold so that it can be written.
    pub(crate) fn to_be_written(&self) -> &'static str {
        match self {
            Self::File(_) => "it is an SQLite file that this user can write",
            Self::Server(..) => {
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
            Self::Server(..) => "its server is up, and that the user in its URL may read its tables",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server, _) => server.url().fmt(f),
        }
    }
}

impl From<Arc<Server>> for Place {
    fn from(server: Arc<Server>) -> Self {
        Self::Server(server, None)
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
