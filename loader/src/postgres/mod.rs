//! Postgres as the warehouse.
//!
//! A load is one transaction: lock the target, check the ledger, COPY into temporary tables, change the target by key,
//! write the ledger, commit. A target with rows is never truncated or swapped, so its views, grants and extra columns
//! stay, readers never see half a load, and rows that are already right are not even locked. An empty target gets its
//! rows directly.

mod copy;
mod encode;
mod first;
mod rows;
mod session;
mod sql;
mod steps;
mod table;
mod wire;

use std::sync::Arc;

use gristmill_servers::postgres::{ConnectError, PostgresFault, Server};
use gristmill_servers::url::redacted;
use tokio_postgres::Client;

use crate::{Credentials, LoadError, Target};

/// A Postgres database as the warehouse.
pub(crate) struct PostgresWarehouse {
    server: Arc<Server>,
    target: Target,
}

impl PostgresWarehouse {
    pub(crate) fn new(url: &str, target: Target, credentials: &Credentials) -> Result<Self, LoadError> {
        let too_long = target
            .schema
            .iter()
            .chain([&target.table])
            .chain(&target.measures)
            .find(|n| n.len() > 63);
        if let Some(name) = too_long {
            // Postgres would only truncate it with a notice, and two names could become the same.
            let reason = format!("has the name {name} of more than 63 bytes; give it a shorter one");
            return Err(LoadError::BadTarget {
                table: target.name(),
                reason,
            });
        }
        let server = Server::new(url, &credentials.passwords, "gristmill");
        let server = server.map_err(|reason| LoadError::BadUrl {
            url: redacted(url),
            reason,
        })?;
        Ok(Self {
            server: Arc::new(server),
            target,
        })
    }

    /// Opens a session, which ends when the client is dropped.
    async fn connect(&self) -> Result<Client, LoadError> {
        self.server.connect().await.map_err(|error| match error {
            ConnectError::Url(reason) => LoadError::BadUrl {
                url: self.server.url().into(),
                reason,
            },
            ConnectError::Server(fault) => self.failed("connect to")(fault),
        })
    }

    fn failed<E: Into<PostgresFault>>(&self, action: &'static str) -> impl FnOnce(E) -> LoadError + use<E> {
        let warehouse = self.server.url().to_owned();
        move |error| LoadError::Postgres {
            action,
            warehouse,
            source: error.into(),
        }
    }

    fn mismatch(&self, problems: String) -> LoadError {
        LoadError::TargetMismatch {
            table: self.target.name(),
            problems,
        }
    }
}
