//! Which service works on the database, and how the database is called.

use super::StateDb;
use crate::dialect::{Place, query_scalar};
use crate::error::{During as _, StateError};
use crate::lease;
use crate::lock::{Holder, ServiceLock};
use crate::workers::{WorkerRow, workers_on};

/// The name of a database on a server.
const NAME: &str = "SELECT database_id FROM service_lease";

impl StateDb {
    /// Returns who works on the database as its service; `None` if nobody does.
    pub async fn service(&self) -> Result<Option<Holder>, StateError> {
        match &self.place {
            Place::File(path) => ServiceLock::holder(path),
            place => lease::holder(place).await,
        }
    }

    /// Returns the workers that help the service.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StateError> {
        match &self.place {
            Place::File(_) => Ok(Vec::new()),
            place => workers_on(place).await,
        }
    }

    /// Returns a name for the database that no other one has, if it is on a server. It is the same wherever it is opened.
    pub async fn name(&self) -> Result<Option<String>, StateError> {
        match &self.place {
            Place::File(_) => Ok(None),
            Place::Postgres(..) | Place::MySql(..) => {
                let name = query_scalar(NAME).fetch_one(&self.readers).await;
                name.map(Some).during("ask for the name of", "the state database")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gristmill_servers::Passwords;
    use gristmill_servers::postgres::Server;
    use gristmill_testkit::postgres::shared;

    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn whoever_stands_still_in_a_write_gives_up_its_lock_in_the_time_of_a_lease() {
        let server = Server::new(
            &shared().create_database(),
            &Passwords::default(),
            "gristmill state",
        );
        let server = Arc::new(server.unwrap());
        let state = StateDb::open(server, Arc::new(SystemClock)).await.unwrap();
        let mut writer = state.writer().await.unwrap();
        let limit = query_scalar("SHOW idle_in_transaction_session_timeout").fetch_one(&mut *writer);
        let limit: String = limit.await.unwrap();
        assert_eq!(limit, format!("{}s", lease::TTL.as_secs()));
    }
}
