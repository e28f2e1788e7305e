//! Puts away what was taken: a task for each source whose objects are to be tagged or moved once they are recorded.
//!
//! What is still to be done stands in the state database, so a crash forgets nothing of it. The tasks work beside the
//! stages: what fails here is told, and tried again after a pause, and holds up no conversion, job or load, nor other
//! objects.

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
use super::sources::told;
use super::{Parts, stopped};
use crate::settings::Source;

/// Objects that are put away at the same time.
const AT_ONCE: usize = 16;

/// Objects that are noted as put away in one transaction. If what is tried of so many fails as all others would, the
/// round ends.
const PAGE: u32 = 64;

/// The pauses before what failed is tried again, which double from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Wakes the tasks.
pub(super) struct Wakes(Vec<mpsc::Sender<Token>>);

impl Wakes {
    /// Says that something may have to be put away. It is in hand until it was tried.
    pub(super) fn wake(&self, activity: &Arc<Activity>) {
        for task in &self.0 {
            // A full channel holds a wake that is heard after this.
            let _ = task.try_send(activity.begin());
        }
    }
}

/// Starts a task for each source that needs one. The first thing put away is what the last process has left.
pub(super) fn start(
    parts: &Arc<Parts>,
    stages: &mut JoinSet<anyhow::Result<()>>,
    stop: &watch::Receiver<bool>,
) -> Wakes {
    let mut wakes = Vec::new();
    for open in &parts.sources {
        if let Some(put_away) = &open.put_away {
            let (wake, woken) = mpsc::channel(1);
            let task = Task {
                parts: parts.clone(),
                source: open.source.clone(),
                put_away: put_away.clone(),
                is_checked: false,
                is_through: true,
                troubles: Troubles::default(),
                told: 0,
            };
            stages.spawn(task.run(woken, stop.clone()));
            wakes.push(wake);
        }
    }
    let wakes = Wakes(wakes);
    wakes.wake(&parts.activity);
    wakes
}

struct Task {
    parts: Arc<Parts>,
    source: Source,
    put_away: PutAway,
    /// Whether the store was seen to obey what moving depends on.
    is_checked: bool,
    /// Whether all was tried since what had failed was made due.
    is_through: bool,
    troubles: Troubles,
    /// How many troubles there were when they were last told of.
    told: u64,
}

impl Task {
    /// Works until it is stopped. What is in hand then is done again at the next start.
    async fn run(
        mut self,
        mut woken: mpsc::Receiver<Token>,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut pause = Duration::ZERO;
        let mut again_at = Instant::now();
        loop {
            let is_failing = self.troubles.count() > 0;
            // What has come meanwhile need not wait for what has failed, unless nothing can be done at all.
            let is_heard = self.is_checked || !is_failing;
            let (token, again) = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                () = tokio::time::sleep_until(again_at), if is_failing => (woken.try_recv().ok(), true),
                Some(token) = woken.recv(), if is_heard => (Some(token), false),
            };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                result = self.round(again) => result?,
            }
            self.tell();
            drop(token);
            if self.troubles.count() == 0 {
                pause = Duration::ZERO;
            } else if again || pause.is_zero() {
                pause = (pause * 2).clamp(PAUSES.0, PAUSES.1);
                again_at = Instant::now() + pause;
            }
        }
    }

    /// Tries what is still to be put away: what has not been tried yet, and, if `again`, what has failed. An error means
    /// that it can never be done, or that the state database stays away.
    ///
    /// After a round that ended early, the next goes on behind what was tried. So whatever fails, it keeps the others
    /// waiting for a while at most.
    async fn round(&mut self, again: bool) -> anyhow::Result<()> {
        let before = self.troubles.before();
        if !self.is_checked {
            match self.put_away.check_store().await {
                Ok(()) => self.is_checked = true,
                Err(error @ PutAwayError::IgnoresConditions { .. }) => return Err(error.into()),
                Err(error) => {
                    self.troubles.tried_place(&before, Some(error));
                    return Ok(());
                }
            }
            self.troubles.tried_place(&before, None);
        }
        if again && mem::replace(&mut self.is_through, true) {
            self.troubles.make_due();
        }
        let (prefix, mut last) = (self.source.file_name(""), String::new());
        loop {
            let state = &self.parts.state;
            let page = with_retries("asking what is to be put away", || async {
                Ok(state.files_to_put_away(&prefix, &last, PAGE).await?)
            });
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
                with_retries("noting what was put away", note)
                    .await
                    .context("cannot note in the state database what was put away")?;
            }
            if is_last {
                return Ok(());
            }
            if is_hopeless {
                // The store is away, or a right lacks: the others would fail as well, and take as long.
                self.is_through = false;
                return Ok(());
            }
        }
    }

    async fn try_file(&self, file: FileToPutAway) -> (FileToPutAway, Result<(), PutAwayError>) {
        let name = file.file_url.as_str();
        // The names asked for begin with the source's own.
        let path = self.source.path_of(name).unwrap_or(name);
        let outcome = match file.is_valid {
            true => self.put_away.put_away(path, told(file.stamp)).await,
            // A person shall find it where it was sent to.
            false => self.put_away.leave(path).await.map(|()| Away::Done),
        };
        let outcome = outcome.map(|away| match away {
            Away::TooLarge => tracing::warn!(
                path = name,
                "stays where it is: it is larger than 5 GiB, which S3 does not copy in one request"
            ),
            Away::Archived => tracing::warn!(
                path = name,
                "stays where it is: it is archived, and S3 copies nothing from there; it is not tried again"
            ),
            away => tracing::debug!(path = name, is_valid = file.is_valid, ?away, "put away"),
        });
        (file, outcome)
    }

    /// Tells of a trouble when it begins, and when all have ended.
    fn tell(&mut self) {
        let source = &self.source.place;
        for news in self.troubles.news() {
            let News { error, objects, .. } = &news;
            match news.is_new {
                true => tracing::warn!(
                    %source,
                    objects,
                    "what was taken could not be put away, and will be tried again: {error}"
                ),
                false => tracing::debug!(%source, objects, "the trouble goes on: {error}"),
            }
        }
        let now = self.troubles.count();
        if self.told > 0 && now == 0 {
            tracing::info!(%source, "what was taken is put away again");
        }
        let tally = &self.parts.activity.tally;
        tally.change_not_put_away(self.told, now);
        self.told = now;
    }
}
