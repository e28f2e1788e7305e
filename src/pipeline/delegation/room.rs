//! Room for work: in the service, and with its workers.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who does a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum By {
    /// The service itself.
    Service,
    /// A worker, unless it fails to.
    Worker,
}

/// Room for one piece of work, until it is dropped.
#[derive(Debug)]
pub(in crate::pipeline) struct Room {
    by: By,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Makes room in this process.
    pub(in crate::pipeline) fn here(permit: OwnedSemaphorePermit) -> Self {
        Self {
            by: By::Service,
            _permit: permit,
        }
    }

    /// Returns who does the work.
    pub(in crate::pipeline) fn by(&self) -> By {
        self.by
    }

    /// Has this process do the work instead of a worker, once there is room.
    pub(in crate::pipeline) async fn come_home(&mut self, here: &Arc<Semaphore>) {
        if self.by == By::Worker
            && let Ok(permit) = here.clone().acquire_owned().await
        {
            *self = Self::here(permit);
        }
    }
}

/// Has a permit for each task that the workers of a role have room for.
#[derive(Debug)]
pub(super) struct Capacity {
    permits: Arc<Semaphore>,
    /// How many permits there are, whoever has them.
    size: Mutex<usize>,
}

impl Capacity {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            size: Mutex::default(),
        }
    }

    /// Has room for as many tasks as these workers do at once. Permits that are in use are missed once they come back.
    pub(super) fn resize(&self, at_once: impl IntoIterator<Item = u64>) {
        let wanted = at_once.into_iter().fold(0, u64::saturating_add);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(1 << 16);
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted > *size {
            self.permits.add_permits(wanted - *size);
            *size = wanted;
        } else {
            *size -= self.permits.forget_permits(*size - wanted);
        }
    }

    /// Waits for room.
    pub(super) async fn wait(&self) -> Room {
        match self.permits.clone().acquire_owned().await {
            Ok(permit) => with_worker(permit),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns room if there is some.
    pub(super) fn now(&self) -> Option<Room> {
        self.permits.clone().try_acquire_owned().ok().map(with_worker)
    }
}

fn with_worker(permit: OwnedSemaphorePermit) -> Room {
    Room {
        by: By::Worker,
        _permit: permit,
    }
}
