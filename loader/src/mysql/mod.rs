//! MySQL or MariaDB as the warehouse.
//!
//! A load is one transaction, as in Postgres: lock the target, check the ledger, fill temporary tables, change the target
//! by key, write the ledger, commit. A target with rows is never truncated or swapped. If it holds no row of the covered
//! stores, it gets its rows directly.
//!
//! Three things are different here. Statements that create or drop a table commit the transaction around them; so
//! preparing holds its lock in a second connection, and a load creates temporary tables only, which commit nothing. The
//! lock is a row of a table of its own: a lock by name (`GET_LOCK`) belongs to the connection and not to the transaction,
//! so a server that has lost the connection could give it away while the commit is still under way. And MySQL refuses a
//! statement that names a temporary table twice, so no statement here does, although MariaDB would allow it.

mod connection;
mod session;
mod sql;
mod stage;
mod steps;
mod table;

use std::sync::Arc;

use gristmill_servers::mysql::{ConnectError, FORM, Server};
use gristmill_servers::url::redacted;

use crate::{LoadError, Target};
pub use gristmill_servers::mysql::MySqlFault;

/// The longest name of a database, table or column, in characters.
const LONGEST_NAME: usize = 64;

/// A database of MySQL or MariaDB as the warehouse.
pub(crate) struct MySqlWarehouse {
    server: Arc<Server>,
    /// For messages; without the password.
    url: String,
    target: Target,
    /// The database that the target is in.
    schema: String,
}

impl MySqlWarehouse {
    pub(crate) fn new(url: &str, target: Target) -> Result<Self, LoadError> {
        let bad = |reason: String| LoadError::BadTarget {
            table: target.name(),
            reason,
        };
        let names = target.schema.iter().chain([&target.table]);
        for name in names.chain(&target.measures) {
            if name.chars().count() > LONGEST_NAME {
                return Err(bad(format!(
                    "has the name {name} of more than {LONGEST_NAME} characters; give it a shorter one"
                )));
            }
            if name.ends_with(' ') || name.chars().any(|c| c > '\u{ffff}') {
                return Err(bad(format!(
                    "has the name {name:?}, and MySQL allows neither blanks at the end nor characters such as emoji"
                )));
            }
        }
        let unusable = |reason| LoadError::BadUrl {
            url: redacted(url),
            reason,
        };
        let server = Server::new(url).map_err(unusable)?;
        let schema = target.schema.clone().or_else(|| server.database());
        let schema = schema.ok_or_else(|| unusable(format!("it names no database; {FORM}")))?;
        Ok(Self {
            server: Arc::new(server),
            url: redacted(url),
            target,
            schema,
        })
    }

    fn failed<E: Into<MySqlFault>>(&self, action: &'static str) -> impl FnOnce(E) -> LoadError + use<E> {
        let warehouse = self.url.clone();
        move |error| LoadError::MySql {
            action,
            warehouse,
            source: error.into(),
        }
    }

    fn not_connected(&self, error: ConnectError) -> LoadError {
        match error {
            ConnectError::Url(reason) => LoadError::BadUrl {
                url: self.url.clone(),
                reason,
            },
            ConnectError::Server(fault) => self.failed("connect to")(fault),
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.target.name(),
            problems,
        }
    }
}
