//! Who answers a SELECT that a person wrote: a file of SQLite, or a role of its own on a server.
//!
//! It can be sent to the process that answers, with all that is needed there.

use std::fmt;
use std::path::PathBuf;

use gristmill_servers::url::redacted;
use gristmill_servers::{Passwords, mysql, postgres};
use serde::{Deserialize, Serialize};

/// What a server's own list of sessions calls those of questions.
const NAME: &str = "gristmill questions";

/// Who answers a SELECT that a person wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answerer {
    /// The state database in a file of SQLite.
    File(PathBuf),
    /// A role on the server that has the state database.
    Role(ReaderRole),
}

/// A server as a role reaches it.
pub(crate) enum RoleServer {
    Postgres(Box<postgres::Server>),
    MySql(Box<mysql::Server>),
}

/// A role that may only read.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReaderRole {
    url: String,
    passwords: Passwords,
}

// Its fields hold passwords.
impl fmt::Debug for ReaderRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReaderRole").field(&redacted(&self.url)).finish()
    }
}

impl ReaderRole {
    /// Reads a URL, without contacting the server. Error texts continue a sentence about the URL.
    pub fn new(url: &str, passwords: &Passwords) -> Result<Self, String> {
        let role = Self {
            url: url.to_owned(),
            passwords: passwords.clone(),
        };
        role.server().map(|_| role)
    }

    /// Returns how the server is reached as this role.
    pub(crate) fn server(&self) -> Result<RoleServer, String> {
        match self.url.starts_with("mysql:") {
            true => mysql::Server::new(&self.url).map(|server| RoleServer::MySql(Box::new(server))),
            false => postgres::Server::new(&self.url, &self.passwords, NAME)
                .map(|server| RoleServer::Postgres(Box::new(server))),
        }
    }

    /// The URL without its password, for messages.
    pub(crate) fn shown(&self) -> String {
        redacted(&self.url)
    }
}
