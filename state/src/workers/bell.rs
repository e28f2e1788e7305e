//! Tells that there is something to look for, before it is time to look anyway: where the state database is on Postgres, whose
//! triggers on the tasks ring it.

use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::postgres::Server;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::dialect::Place;

/// How long to wait before the server is listened to again.
const AGAIN: Duration = Duration::from_secs(5);

/// A bell that rings when there may be something new. It never rings where the database cannot tell, and whoever waits for it
/// looks by itself now and then, too: a pooler may keep notifications to itself.
#[derive(Debug)]
pub(super) struct Bell {
    rung: Arc<Notify>,
    listening: Option<JoinHandle<()>>,
}

impl Bell {
    /// Rings for the notifications of a channel.
    pub(super) fn of(place: &Place, channel: &'static str) -> Self {
        let rung = Arc::new(Notify::new());
        let listening = match place {
            Place::Postgres(server, _) => Some(tokio::spawn(listen(server.clone(), channel, rung.clone()))),
            Place::File(_) | Place::MySql(..) => None,
        };
        Self { rung, listening }
    }

    /// Waits until it rings. Any number of rings that nobody waited for are one.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

async fn listen(server: Arc<Server>, channel: &'static str, rung: Arc<Notify>) {
    loop {
        if let Err(error) = server.listen(channel, || rung.notify_one()).await {
            // Whoever waits asks the server, too, and says what is wrong.
            tracing::debug!(channel, "cannot listen to the state database: {error}");
        }
        sleep(AGAIN).await;
    }
}
