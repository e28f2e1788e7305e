//! The right to be the one service that works on a state database: a lock on a file, or a lease on a server.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::database::prepare;
use crate::dialect::Place;
use crate::error::StateError;
use crate::lease::{Lease, TTL};
use crate::lock::ServiceLock;

/// The right to be the one service that works on a state database. It ends with [`end`](Self::end), or with the process.
#[derive(Debug)]
pub struct Service {
    place: Place,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Lock { _lock: ServiceLock },
    Lease(Lease),
}

impl Service {
    /// Begins to be the service. Fails if another process is. On a server, one that was killed is waited for until its
    /// lease ends; and if there is nothing yet, the tables are created.
    pub async fn begin(place: &Place) -> Result<Self, StateError> {
        Self::begin_for(place, TTL).await
    }

    /// The same with a lease that runs for `ttl` at a time.
    pub(crate) async fn begin_for(place: &Place, ttl: Duration) -> Result<Self, StateError> {
        let hold = match place {
            Place::File(path) => Hold::Lock {
                _lock: ServiceLock::acquire(path)?,
            },
            Place::Postgres(..) | Place::MySql(..) => {
                prepare(place).await?;
                Hold::Lease(Lease::take(place, ttl).await?)
            }
        };
        Ok(Self {
            place: place.clone(),
            hold,
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The number under which the service may write to a server.
    pub(crate) fn epoch(&self) -> Option<i64> {
        match &self.hold {
            Hold::Lock { .. } => None,
            Hold::Lease(lease) => Some(lease.epoch()),
        }
    }

    /// Completes when another process has become the service, with an error that says so.
    pub async fn lost(&self) -> StateError {
        match &self.hold {
            Hold::Lock { .. } => std::future::pending().await,
            Hold::Lease(lease) => lease.lost().await,
        }
    }

    /// Lets the next service in.
    pub async fn end(self) -> Result<(), StateError> {
        match self.hold {
            Hold::Lock { .. } => Ok(()),
            Hold::Lease(lease) => lease.release().await,
        }
    }
}
