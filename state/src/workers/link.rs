//! A connection for workers and tasks alone: the rules' transactions never make it wait.

use std::sync::Arc;

use gristmill_servers::postgres::{ConnectError, PostgresFault, Server};
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::sql;
use crate::error::StateError;

/// A connection to the server of a state database, which is made anew when it has failed.
#[derive(Debug)]
pub(super) struct Link {
    server: Arc<Server>,
    client: Mutex<Option<Arc<Client>>>,
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            client: Mutex::default(),
        }
    }

    /// Asks the server something. `action` is a phrase that the database follows.
    pub(super) async fn ask<T>(
        &self,
        action: &'static str,
        question: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StateError> {
        let asked = async {
            let client = self.client().await?;
            question(&client)
                .await
                .map_err(|error| ConnectError::from(PostgresFault::from(error)))
        };
        let answer = self.server.in_time(asked).await;
        if answer.is_err() {
            // Whatever it was, the next question has a connection of its own.
            self.forget().await;
        }
        answer.map_err(|source| StateError::Lease {
            action,
            database: self.server.url().to_owned(),
            source,
        })
    }

    /// Has the next question be asked over a new connection.
    pub(super) async fn forget(&self) {
        *self.client.lock().await = None;
    }

    async fn client(&self) -> Result<Arc<Client>, ConnectError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let connected = Arc::new(self.server.connect().await?);
        connected
            .batch_execute(sql::ON_CONNECT)
            .await
            .map_err(PostgresFault::from)?;
        *client = Some(connected.clone());
        Ok(connected)
    }
}
