//! Looks at all alerts when something has changed and when time alone may change what they find, and sends their notices.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gristmill_state::{Changes, Clock, Firing, Notice, StateDb, StateError};
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::conditions::{self, Scene};
use super::courier::Courier;
use super::finding::sooner;
use super::forms::Outgoing;
use super::message::Message;
use super::notices::decide;
use crate::disks::Disks;
use crate::pipeline::pause_after;
use crate::preconditions::JobIndex;
use crate::settings::{Alert, AlertSettings, LakeSettings, Place, Receiver, Settings};
use crate::web;

/// How often to ask the state database whether anybody has written to it.
const EDITS: Duration = Duration::from_millis(500);

/// A rest is so many times as long as the look before it: alerts take a small share of a core, however many jobs there are.
const REST: u32 = 20;

/// How many notices are read at a time.
const PAGE: u32 = 100;

/// How long a message that is being sent may take once the service stops.
const PARTING: Duration = Duration::from_secs(2);

/// How long the last look and its notices may take.
const LAST: Duration = Duration::from_secs(15);

/// Looks at alerts, and tells what they find.
pub(crate) struct Watch {
    settings: AlertSettings,
    disks: Disks,
    /// How long to wait at most between two looks: not everything that alerts look at stands in the state database.
    pause: Duration,
    jobs: Mutex<JobIndex>,
    /// The alerts whose last look failed.
    failing: Mutex<HashSet<String>>,
    pub(super) state: Arc<StateDb>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) courier: Courier,
    /// Whether every source was listed.
    pub(super) has_listed: Box<dyn Fn() -> bool + Send + Sync>,
    /// Counts the looks that have queued notices.
    queued: watch::Sender<u64>,
}

impl Watch {
    /// Makes a watch that has not begun.
    pub(crate) fn new(
        settings: &Settings,
        state: Arc<StateDb>,
        clock: Arc<dyn Clock>,
        has_listed: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            courier: Courier::new(settings.alerts.time_zone.clone())?,
            settings: settings.alerts.clone(),
            disks: Disks::new(folders(settings)),
            pause: settings.clock_pause(),
            jobs: Mutex::new(JobIndex::empty(&settings.feeds)),
            failing: Mutex::default(),
            state,
            clock,
            has_listed,
            queued: watch::Sender::new(0),
        })
    }

    /// Looks and tells until it is stopped.
    pub(crate) async fn run(&self, stop: &watch::Receiver<bool>) {
        let couriers = self.settings.receivers.iter();
        let couriers = couriers.map(|receiver| self.deliver(receiver, stop.clone()));
        let calling = async {
            match &self.settings.dead_man {
                Some(dead_man) => self.call_while_well(dead_man).await,
                None => std::future::pending().await,
            }
        };
        let mut stopped = stop.clone();
        let until_stopped = async {
            // An error means that the pipeline is gone, which is a reason to stop too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let looking = async {
            tokio::select! {
                () = until_stopped => {}
                () = self.look_regularly() => {}
                () = calling => {}
            }
        };
        futures::future::join(looking, futures::future::join_all(couriers)).await;
    }

    /// Looks a last time, and tries once to send what is to be sent: for a service that ends by itself.
    pub(crate) async fn finish(&self) {
        let last = async {
            self.look().await;
            let couriers = self.settings.receivers.iter();
            futures::future::join_all(couriers.map(|receiver| self.send_due(receiver))).await;
            if let Some(dead_man) = &self.settings.dead_man
                && let Err(problem) = self.call_if_well(dead_man).await
            {
                tracing::warn!("{problem}");
            }
        };
        if tokio::time::timeout(LAST, last).await.is_err() {
            tracing::warn!("not all notices of alerts could be sent: the next start sends them");
        }
    }

    async fn look_regularly(&self) {
        let mut changes: Option<Changes> = None;
        let (mut is_due, mut rested) = (true, Instant::now());
        let mut next = None;
        loop {
            is_due |= self.has_changed(&mut changes).await;
            is_due |=
                next.is_some_and(|next| next <= self.clock.now()) || rested + self.pause <= Instant::now();
            if is_due && rested <= Instant::now() {
                let began = Instant::now();
                next = self.look().await;
                rested = Instant::now() + began.elapsed() * REST;
                is_due = false;
            }
            tokio::time::sleep(EDITS).await;
        }
    }

    async fn has_changed(&self, changes: &mut Option<Changes>) -> bool {
        if changes.is_none() {
            *changes = self.state.watch().await.ok();
        }
        match changes {
            Some(watched) => match watched.any().await {
                Ok(has_changed) => has_changed,
                Err(_) => {
                    *changes = None;
                    true
                }
            },
            None => true,
        }
    }

    /// Looks at all alerts, and records what has changed with the notices of it. Returns when time alone may change
    /// something. An alert whose look fails keeps none of the others from being looked at.
    pub(super) async fn look(&self) -> Option<Timestamp> {
        let mut next = None;
        let begun = async {
            let mut jobs = self.jobs.lock().await;
            if jobs.edition_is_not(self.state.job_edition().await?) {
                *jobs = jobs.read_again(&self.state).await?;
            }
            Ok::<_, StateError>((jobs, self.state.firing().await?))
        };
        let (jobs, firing) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                self.note_failure("all", Some(error)).await;
                return None;
            }
        };
        self.note_failure("all", None).await;
        let mut before: HashMap<String, Vec<Firing>> = HashMap::new();
        for firing in firing {
            before.entry(firing.alert.clone()).or_default().push(firing);
        }
        for alert in &self.settings.alerts {
            let before = before.remove(&alert.name).unwrap_or_default();
            match self.look_at(alert, before, &jobs).await {
                Ok(moment) => {
                    sooner(&mut next, moment);
                    self.note_failure(&alert.name, None).await;
                }
                Err(error) => self.note_failure(&alert.name, Some(error)).await,
            }
        }
        next
    }

    async fn look_at(
        &self,
        alert: &Alert,
        before: Vec<Firing>,
        jobs: &JobIndex,
    ) -> Result<Option<Timestamp>, StateError> {
        let scene = Scene {
            state: &self.state,
            jobs,
            disks: &self.disks,
            now: self.clock.now(),
        };
        let known = before.iter().filter(|firing| firing.resolved.is_none());
        let known: HashSet<_> = known.map(|firing| firing.subject.clone()).collect();
        let Some(found) = conditions::look(alert, &scene, &known).await? else {
            return Ok(None);
        };
        let decision = decide(alert, before, found.findings, scene.now, &self.settings.time_zone);
        let changes = decision.changes;
        if !changes.is_empty() {
            self.state.note_alert(&alert.name, &changes, &alert.to).await?;
        }
        for notice in &changes.notices {
            tracing::info!(alert = alert.name, "alert: a notice is queued ({})", notice.kind);
        }
        if !changes.notices.is_empty() {
            self.queued.send_modify(|looks| *looks += 1);
        }
        let mut next = found.next;
        sooner(&mut next, decision.next);
        Ok(next)
    }

    /// Logs a failure when it begins, and when it has ended.
    async fn note_failure(&self, what: &str, error: Option<StateError>) {
        let mut failing = self.failing.lock().await;
        match error {
            Some(error) if failing.insert(what.to_owned()) => {
                tracing::warn!(
                    alert = what,
                    "alerts cannot be looked at, and will be again: {error}"
                );
            }
            Some(error) => tracing::debug!(alert = what, "alerts still cannot be looked at: {error}"),
            None if failing.remove(what) => tracing::info!(alert = what, "alerts can be looked at again"),
            None => {}
        }
    }

    /// Sends the notices to a receiver until it is stopped.
    async fn deliver(&self, receiver: &Receiver, mut stop: watch::Receiver<bool>) {
        let mut queued = self.queued.subscribe();
        loop {
            let next = {
                let mut parting = stop.clone();
                let parting = async {
                    let _ = parting.wait_for(|stop| *stop).await;
                    tokio::time::sleep(PARTING).await;
                };
                tokio::select! {
                    biased;
                    next = self.send_due(receiver) => next,
                    () = parting => return,
                }
            };
            let pause = next.map(|next| next.duration_since(self.clock.now()));
            let pause = pause.map_or(self.pause, |pause| pause.try_into().unwrap_or_default());
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = queued.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends the notices to a receiver that are due, in their order. Returns when the next one is tried, if one is left.
    pub(super) async fn send_due(&self, receiver: &Receiver) -> Option<Timestamp> {
        let mut next = None;
        let notices = match self.state.pending_notices(&receiver.name, PAGE).await {
            Ok(notices) => notices,
            Err(error) => {
                tracing::warn!(
                    receiver = receiver.name,
                    "notices cannot be read, and will be again: {error}"
                );
                return None;
            }
        };
        let is_page = notices.len() == PAGE as usize;
        for notice in notices {
            if notice.next_try > self.clock.now() {
                sooner(&mut next, Some(notice.next_try));
                continue;
            }
            match self.send(receiver, &notice).await {
                Ok(None) => {}
                Ok(Some((again, is_of_message))) => {
                    sooner(&mut next, Some(again));
                    if !is_of_message {
                        return next;
                    }
                }
                Err(error) => {
                    let receiver = &receiver.name;
                    tracing::warn!(receiver, "what came of a notice cannot be recorded: {error}");
                    return next;
                }
            }
        }
        match is_page {
            true => Some(self.clock.now()),
            false => next,
        }
    }

    /// Sends a notice, and records that it was sent or when it is tried again; returns that, and whether it is this notice
    /// that the receiver refuses.
    async fn send(
        &self,
        receiver: &Receiver,
        notice: &Notice,
    ) -> Result<Option<(Timestamp, bool)>, StateError> {
        let name = &receiver.name;
        let sent = match serde_json::from_str::<Message>(&notice.content) {
            Ok(message) => {
                let outgoing = Outgoing {
                    message: &message,
                    kind: notice.kind.as_str(),
                    notice: notice.notice_id,
                    queued: notice.queued,
                };
                self.courier.send(receiver, &outgoing).await
            }
            Err(error) => {
                tracing::warn!(
                    receiver = name,
                    "a notice was edited, cannot be read and is dropped: {error}"
                );
                Ok(())
            }
        };
        let Err(error) = sent else {
            if notice.failures > 0 {
                tracing::info!(receiver = name, "receiver reached again");
            }
            self.state.note_sent(notice.notice_id).await?;
            return Ok(None);
        };
        let failures = notice.failures.saturating_add(1);
        let now = self.clock.now();
        let pause = web::pause(error.asked, pause_after(failures), now);
        let again = now.checked_add(pause).unwrap_or(now);
        match notice.failures {
            0 => tracing::warn!(
                receiver = name,
                "a notice could not be sent, and will be tried again: {error}"
            ),
            _ => tracing::debug!(receiver = name, "a notice still cannot be sent: {error}"),
        }
        self.state
            .note_not_sent(notice.notice_id, &error.to_string(), again)
            .await?;
        Ok(Some((again, error.is_of_message)))
    }
}

/// Returns the folders that gristmill writes to, and local folders that stores write to.
fn folders(settings: &Settings) -> Vec<PathBuf> {
    let lake = match &settings.lake {
        LakeSettings::Folder(folder) => folder.as_path(),
        LakeSettings::Bucket { scratch, .. } => scratch,
    };
    let sources = settings.sources.iter().filter_map(|source| match &source.place {
        Place::Folder(folder) => Some(folder.as_path()),
        Place::Bucket(_) => None,
    });
    let warehouse = settings.own_warehouse().and_then(Path::parent);
    let state = settings.state.file().and_then(Path::parent);
    let own = [state, Some(lake), warehouse];
    // A relative path says little in a message, and that of the current folder is empty.
    let absolute = |folder: &Path| {
        let folder = std::path::absolute(Path::new(".").join(folder)).ok()?;
        Some(folder.components().collect())
    };
    own.into_iter()
        .flatten()
        .chain(sources)
        .filter_map(absolute)
        .collect()
}
