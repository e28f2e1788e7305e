//! Puts away what was taken: one task for each source whose objects are tagged or moved once they are recorded.
//!
//! The state database knows what is still to be done, so a crash loses none of it. The tasks work beside the stages: a
//! failure here is logged and retried after a pause, and holds up no conversion, job or load, nor other objects.

mod troubles;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, stream};
use gristmill_state::FileToPutAway;
use gristmill_watcher::{Away, PutAway, PutAwayError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::troubles::{News, Troubles};
use super::activity::{Activity, Token};
use super::retry::with_retries;
use super::sources::from_state;
use super::{Components, stopped};
use crate::settings::Source;

/// The most objects that are put away at the same time.
const AT_ONCE: usize = 16;

/// How many objects are read, tried and noted as put away at a time. If every attempt of a page fails for a reason that
/// affects all objects, the round ends.
const PAGE: u32 = 64;

/// The shortest and the longest pause before failures are retried. The pause doubles from one to the other.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Wakes the tasks.
pub(super) struct Wakes(Vec<mpsc::Sender<Token>>);

impl Wakes {
    /// Says that something may have to be put away. It counts as work in progress until it was tried.
    pub(super) fn wake(&self, activity: &Arc<Activity>) {
        for task in &self.0 {
            // A full channel still holds a wake that will be received.
            let _ = task.try_send(activity.begin());
        }
    }
}

/// Starts a task for each source that needs one. It begins with what the last process left undone.
pub(super) fn start(
    components: &Arc<Components>,
    stages: &mut JoinSet<anyhow::Result<()>>,
    stop: &watch::Receiver<bool>,
) -> Wakes {
    let mut wakes = Vec::new();
    for open in &components.sources {
        if let Some(put_away) = &open.put_away {
            let (wake, woken) = mpsc::channel(1);
            let task = Task {
                components: components.clone(),
                source: open.source.clone(),
                put_away: put_away.clone(),
                is_checked: false,
                is_through: true,
                troubles: Troubles::default(),
                counted: 0,
            };
            stages.spawn(task.run(woken, stop.clone()));
            wakes.push(wake);
        }
    }
    let wakes = Wakes(wakes);
    wakes.wake(&components.activity);
    wakes
}

struct Task {
    components: Arc<Components>,
    source: Source,
    put_away: PutAway,
    /// Whether the storage was found to obey the conditions that moving depends on.
    is_checked: bool,
    /// Whether everything was tried since failures were last made due.
    is_through: bool,
    troubles: Troubles,
    /// How many failures there were when they were last reported.
    counted: u64,
}

impl Task {
    /// Works until it is stopped. A round that is interrupted is repeated at the next start.
    async fn run(
        mut self,
        mut woken: mpsc::Receiver<Token>,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut pause = Duration::ZERO;
        let mut again_at = Instant::now();
        loop {
            let is_failing = self.troubles.count() > 0;
            // New objects need not wait for those that failed, unless nothing can be done at all.
            let listens = self.is_checked || !is_failing;
            let (token, again) = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                () = tokio::time::sleep_until(again_at), if is_failing => (woken.try_recv().ok(), true),
                Some(token) = woken.recv(), if listens => (Some(token), false),
            };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                result = self.round(again) => result?,
            }
            self.report();
            drop(token);
            if self.troubles.count() == 0 {
                pause = Duration::ZERO;
            } else if again || pause.is_zero() {
                pause = (pause * 2).clamp(PAUSES.0, PAUSES.1);
                again_at = Instant::now() + pause;
            }
        }
    }

    /// Tries everything that is still to be put away: what has not been tried yet, and, if `again`, what has failed. An
    /// error means that it can never be done, or that the state database stays unavailable.
    ///
    /// After a round that ended early, the next one continues behind what was tried. So failures delay the other
    /// objects only for a while.
    async fn round(&mut self, again: bool) -> anyhow::Result<()> {
        let before = self.troubles.before();
        if !self.is_checked {
            match self.put_away.check_server().await {
                Ok(()) => self.is_checked = true,
                Err(error @ PutAwayError::IgnoresConditions { .. }) => return Err(error.into()),
                Err(error) => {
                    self.troubles.checked_storage(&before, Some(error));
                    return Ok(());
                }
            }
            self.troubles.checked_storage(&before, None);
        }
        if again && mem::replace(&mut self.is_through, true) {
            self.troubles.make_due();
        }
        let (prefix, mut last) = (self.source.file_name(""), String::new());
        loop {
            let state = &self.components.state;
            let page = with_retries(
                &self.components.patience,
                "asking what is to be put away",
                || async { Ok(state.files_to_put_away(&prefix, &last, PAGE).await?) },
            );
            let page = page
                .await
                .context("cannot read the files that are to be put away")?;
            let Some(file) = page.last() else {
                return Ok(());
            };
            last = file.file_url.clone();
            let is_last = page.len() < PAGE as usize;
            let due: Vec<_> = page
                .into_iter()
                .filter(|file| self.troubles.lets_try(file, again))
                .collect();
            let tries = due.into_iter().map(|file| self.try_file(file));
            let tries: Vec<_> = stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
            let mut is_hopeless = !tries.is_empty();
            let mut done = Vec::new();
            for (file, outcome) in tries {
                match outcome {
                    Ok(()) => {
                        is_hopeless = false;
                        self.troubles.passed(&file);
                        done.push((file.file_url, file.stamp));
                    }
                    Err(error) => {
                        is_hopeless &= !error.is_of_object();
                        self.troubles.failed(&before, file, error);
                    }
                }
            }
            if !done.is_empty() {
                let note = || async { Ok(state.note_put_away(&done).await?) };
                with_retries(&self.components.patience, "noting what was put away", note)
                    .await
                    .context("cannot note in the state database what was put away")?;
            }
            if is_last {
                return Ok(());
            }
            if is_hopeless {
                // The storage does not answer, or a permission is missing: the others would fail as well, and as
                // slowly.
                self.is_through = false;
                return Ok(());
            }
        }
    }

    async fn try_file(&self, file: FileToPutAway) -> (FileToPutAway, Result<(), PutAwayError>) {
        let name = file.file_url.as_str();
        // The query returned only names that begin with the source's own.
        let path = self.source.path_of(name).unwrap_or(name);
        let outcome = match file.is_valid {
            true => self.put_away.put_away(path, from_state(file.stamp)).await,
            // A file that was not accepted stays, so that people find it where it was sent.
            false => self.put_away.leave(path).await.map(|()| Away::Done),
        };
        let outcome = outcome.map(|away| match away {
            Away::TooLarge => tracing::warn!(
                path = name,
                "stays where it is: it is larger than 5 GiB, and S3 cannot copy that much in one request"
            ),
            Away::Archived => tracing::warn!(
                path = name,
                "stays where it is: it is archived, and S3 cannot copy archived objects; it is not tried again"
            ),
            away => tracing::debug!(path = name, is_valid = file.is_valid, ?away, "put away"),
        });
        (file, outcome)
    }

    /// Logs a failure when it begins, and when all have ended.
    fn report(&mut self) {
        let source = &self.source.place;
        for news in self.troubles.news() {
            let News { error, objects, .. } = &news;
            match news.is_new {
                true => tracing::warn!(
                    %source,
                    objects,
                    "what was taken could not be put away, and will be tried again: {error}"
                ),
                false => tracing::debug!(%source, objects, "putting away still fails: {error}"),
            }
        }
        let now = self.troubles.count();
        if self.counted > 0 && now == 0 {
            tracing::info!(%source, "what was taken can be put away again");
        }
        let tally = &self.components.activity.tally;
        tally.change_not_put_away(self.counted, now);
        self.counted = now;
    }
}
