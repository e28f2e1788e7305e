//! A connection for workers and tasks alone: the rules' transactions never make it wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::dialect::{Connection, DatabaseError, Place, Result};
use crate::error::StateError;

/// How long a question waits for a lock.
const WAIT: Duration = Duration::from_secs(10);

/// A connection to the server of a state database, which is made anew when it has failed.
#[derive(Debug)]
pub(super) struct Link {
    place: Place,
    connection: Mutex<Option<Shared>>,
}

/// A connection that one question uses at a time.
type Shared = Arc<Mutex<Connection>>;

impl Link {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            connection: Mutex::default(),
        }
    }

    /// Asks the server something. `action` is a phrase that the database follows.
    pub(super) async fn ask<T>(
        &self,
        action: &'static str,
        question: impl AsyncFnOnce(&mut Connection) -> Result<T>,
    ) -> Result<T, StateError> {
        let asked = async {
            let shared = self.connection().await?;
            let mut connection = shared.lock().await;
            if !connection.is_usable().await {
                *connection = self.connect().await?;
            }
            question(&mut connection).await
        };
        // What it holds is large, and a service asks much.
        let answer = self.place.in_time(Box::pin(asked)).await;
        if answer.is_err() {
            // Whatever it was, the next question has a connection of its own.
            self.forget().await;
        }
        answer.map_err(|source| StateError::Lease {
            action,
            database: self.place.to_string(),
            source,
        })
    }

    /// Has the next question be asked over a new connection.
    pub(super) async fn forget(&self) {
        *self.connection.lock().await = None;
    }

    async fn connection(&self) -> Result<Shared> {
        let mut shared = self.connection.lock().await;
        if let Some(shared) = shared.as_ref() {
            return Ok(shared.clone());
        }
        let connected = Arc::new(Mutex::new(self.connect().await?));
        *shared = Some(connected.clone());
        Ok(connected)
    }

    /// Nothing here is missed after a crash of the server, so no commit waits for the disk.
    async fn connect(&self) -> Result<Connection> {
        let connection = self.place.connect_beside(WAIT, false).await?;
        connection.ok_or(DatabaseError::Closed)
    }
}
