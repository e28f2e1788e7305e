//! Keeps open pages up to date: a stream of events for each, which carry only the parts that changed.
//!
//! While somebody watches, one task looks for changes of the state database. After a change, each address that is open is
//! rendered once, however many browsers show it, and what differs from what a browser has is sent there. The more work
//! rendering is, the longer the pause before the next look.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use gristmill_state::Changes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::ask::Ask;
use super::desk::Desk;
use super::layout::Part;
use super::pages;
use super::problem::Problem;
use super::rendered::{LivePart, Rendered};
use super::session::viewer;
use super::viewer::Viewer;

/// How often to look for changes.
const LOOK: Duration = Duration::from_millis(500);

/// How often pages are rendered although nothing was written: time alone changes what some tell.
const ANYWAY: Duration = Duration::from_secs(20);

/// How many times as long as rendering takes, nothing is rendered afterwards: it takes 1 % of a core at most.
const REST: u32 = 100;

/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How many rendered addresses are kept.
const KEPT: usize = 64;

/// One open page.
struct Stream {
    desk: Arc<Desk>,
    uri: Uri,
    viewer: Viewer,
    revision: watch::Receiver<u64>,
    /// The digests of the parts that the browser has.
    has: HashMap<String, String>,
    to_send: VecDeque<Event>,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

/// Begins a stream for the page whose address the query names. `have` lists what the browser has of it.
pub(super) async fn stream(State(desk): State<Arc<Desk>>, headers: HeaderMap, uri: Uri) -> Response {
    match begin(desk, &headers, &uri) {
        Ok(stream) => stream.into_response(),
        Err(problem) => problem.json(),
    }
}

fn begin(desk: Arc<Desk>, headers: &HeaderMap, uri: &Uri) -> Result<impl IntoResponse + use<>, Problem> {
    let ask = Ask::of(uri)?;
    let at = ask.needed("at")?;
    let at: Uri = at
        .parse()
        .map_err(|_| Problem::Bad("at is not the address of a page".to_owned()))?;
    let permit = desk.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::Unavailable("so many pages are open that this one is not kept up to date".to_owned())
    })?;
    let has = ask.get("have").unwrap_or_default().split(',');
    let has = has.filter_map(|part| part.split_once(':'));
    let stream = Stream {
        uri: at,
        viewer: viewer(&desk, headers),
        revision: desk.revision.subscribe(),
        has: has
            .map(|(id, digest)| (id.to_owned(), digest.to_owned()))
            .collect(),
        to_send: VecDeque::new(),
        is_first: true,
        _permit: permit,
        desk: desk.clone(),
    };
    desk.watched.notify_one();
    let events = stream::unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}

impl Stream {
    /// Returns the next event; `None` when the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.to_send.pop_front() {
                return Some(event);
            }
            if !std::mem::take(&mut self.is_first) {
                tokio::select! {
                    () = self.desk.stopped() => return None,
                    changed = self.revision.changed() => changed.ok()?,
                }
            }
            self.revision.borrow_and_update();
            match rendered(&self.desk, &self.uri, self.viewer).await {
                // Such a page is not rendered again and again for nothing.
                Ok(parts) if parts.is_empty() => return None,
                Ok(parts) => self.compare(&parts),
                Err(problem) => {
                    // The page is gone, or cannot be told just now; the next change may bring it back.
                    tracing::debug!("a page cannot be kept up to date: {}", problem.message());
                }
            }
        }
    }

    /// Puts what differs from what the browser has in the queue.
    fn compare(&mut self, parts: &[LivePart]) {
        for part in parts {
            if self.has.get(part.id) == Some(&part.digest) {
                continue;
            }
            self.has.insert(part.id.to_owned(), part.digest.clone());
            self.to_send.push_back(part.event.clone());
        }
    }
}

/// Returns the live parts of an address, rendered once for each revision.
async fn rendered(desk: &Desk, uri: &Uri, viewer: Viewer) -> Result<Arc<Vec<LivePart>>, Problem> {
    let key = format!("{} {uri}", viewer.is_signed_in);
    // Held while rendering: whoever wants the same waits for it.
    let mut kept = desk.rendered.lock().await;
    let revision = *desk.revision.borrow();
    if let Some(found) = kept.get(&key).filter(|found| found.revision == revision) {
        return Ok(found.parts.clone());
    }
    let began = Instant::now();
    let page = pages::page(desk, uri, viewer).await?;
    let live = page.parts.into_iter().filter_map(|part| match part {
        Part::Live(id, markup) => Some(LivePart::new(id, markup)),
        Part::Fixed(_) => None,
    });
    let parts = Arc::new(live.collect::<Vec<_>>());
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(
        key,
        Rendered {
            revision,
            parts: parts.clone(),
        },
    );
    desk.note_spent(began.elapsed());
    Ok(parts)
}

/// Looks for changes while somebody watches, until the server stops.
pub(super) async fn watch(desk: Arc<Desk>) {
    tokio::select! {
        () = desk.stopped() => {}
        () = look_for_changes(&desk) => {}
    }
}

async fn look_for_changes(desk: &Desk) {
    let mut changes: Option<Changes> = None;
    let mut rendered = Instant::now();
    loop {
        if desk.revision.receiver_count() == 0 {
            desk.watched.notified().await;
        }
        tokio::time::sleep(LOOK).await;
        let is_changed = match any(desk, &mut changes).await {
            Ok(is_changed) => is_changed,
            Err(problem) => {
                tracing::debug!("cannot look for changes: {}", problem.message());
                changes = None;
                continue;
            }
        };
        if !is_changed && rendered.elapsed() < ANYWAY {
            continue;
        }
        desk.spent.store(0, Ordering::Relaxed);
        desk.revision.send_modify(|revision| *revision += 1);
        rendered = Instant::now();
        // Those who watch render now.
        tokio::time::sleep(LOOK).await;
        let spent = Duration::from_micros(desk.spent.load(Ordering::Relaxed));
        tokio::time::sleep((spent * REST).saturating_sub(LOOK)).await;
    }
}

async fn any(desk: &Desk, changes: &mut Option<Changes>) -> Result<bool, Problem> {
    let watching = match changes {
        Some(watching) => watching,
        None => changes.insert(desk.state().await?.watch().await?),
    };
    Ok(watching.any().await?)
}
