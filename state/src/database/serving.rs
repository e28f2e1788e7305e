//! Which service works on the database, and how the database is called.

use super::StateDb;
use crate::dialect::Place;
use crate::error::StateError;
use crate::lease;
use crate::lock::{Holder, ServiceLock};

impl StateDb {
    /// Returns who works on the database as its service; `None` if nobody does.
    pub async fn service(&self) -> Result<Option<Holder>, StateError> {
        match &self.place {
            Place::File(path) => ServiceLock::holder(path),
            Place::Server(server) => lease::holder(server).await,
        }
    }

    /// Returns a name for the database that no other one has, if it is on a server. It is the same wherever it is opened.
    pub async fn name(&self) -> Result<Option<String>, StateError> {
        match &self.place {
            Place::File(_) => Ok(None),
            Place::Server(server) => lease::database_id(server).await.map(Some),
        }
    }
}
