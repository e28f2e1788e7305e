//! Failures of steps, and how often they are tried again.
//!
//! An outage (a server that is away, a full disk, somebody's lock) ends by itself: what it stops is tried again for as
//! long as it takes, with pauses that grow to a minute. A failure of which that is not certain gets three more attempts.
//! Everything else is for a person to mend. `run --until-idle` does not wait for long: it gives an outage three more
//! attempts too, and leaves the rest to the next call.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::watch;

use super::faults::Hope;
use super::gauges::Gauges;
use super::{Until, faults, stopped};
use crate::causes;

/// How many more attempts there are where they are limited.
pub(super) const RETRIES: u32 = 3;

/// The longest pause before something is tried again.
const LONGEST: Duration = Duration::from_secs(60);

/// A failure of one step, and whether a retry may help.
#[derive(Debug, thiserror::Error)]
#[error("{}", causes::joined(cause, ": "))]
pub(super) struct StepError {
    cause: anyhow::Error,
    hope: Hope,
    is_of_room: bool,
    is_of_group: bool,
}

impl StepError {
    fn new(cause: anyhow::Error, hope: Hope) -> Self {
        Self {
            is_of_room: faults::is_of_room(&cause),
            cause,
            hope,
            is_of_group: false,
        }
    }

    /// Makes a failure that may be gone a moment later, unless its cause says that it never is, or that it certainly is
    /// once an outage has ended.
    pub(super) fn transient(cause: impl Into<anyhow::Error>) -> Self {
        let cause = cause.into();
        let hope = faults::hope(&cause);
        Self::new(cause, hope)
    }

    /// Makes a failure that ends with an outage.
    pub(super) fn outage(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(cause.into(), Hope::Outage)
    }

    /// Makes a failure that only a person can fix.
    pub(super) fn permanent(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(cause.into(), Hope::None)
    }

    /// Makes the same failure for a file of the group that failed as a whole.
    pub(super) fn of_group(&self) -> Self {
        Self {
            cause: anyhow::anyhow!("{self}"),
            is_of_group: true,
            ..*self
        }
    }

    /// Returns whether it is not of one file, but of the group that the file was in.
    pub(super) fn is_of_group(&self) -> bool {
        self.is_of_group
    }

    /// Returns whether a retry may help.
    pub(super) fn is_transient(&self) -> bool {
        self.hope != Hope::None
    }

    /// Returns whether it ends with an outage.
    pub(super) fn is_outage(&self) -> bool {
        self.hope == Hope::Outage
    }

    /// Returns whether there is no room to write.
    pub(super) fn is_of_room(&self) -> bool {
        self.is_of_room
    }

    /// Returns whether what has failed so many times is worth another attempt, in a pipeline that waits for outages to
    /// end.
    pub(super) fn is_worth_another(&self, failures: u32) -> bool {
        self.is_outage() || self.is_transient() && failures <= RETRIES
    }

    /// Returns the failure.
    pub(super) fn cause(&self) -> &anyhow::Error {
        &self.cause
    }

    /// Returns the failure itself.
    pub(super) fn into_cause(self) -> anyhow::Error {
        self.cause
    }
}

impl From<gristmill_engine::EngineError> for StepError {
    fn from(error: gristmill_engine::EngineError) -> Self {
        match error.is_transient() {
            true => Self::transient(error),
            false => Self::permanent(error),
        }
    }
}

impl From<gristmill_loader::LoadError> for StepError {
    fn from(error: gristmill_loader::LoadError) -> Self {
        let hope = match (error.is_outage(), error.is_transient()) {
            (true, _) => Hope::Outage,
            (false, true) => Hope::Doubtful,
            (false, false) => Hope::None,
        };
        Self::new(error.into(), hope)
    }
}

impl From<gristmill_state::StateError> for StepError {
    fn from(error: gristmill_state::StateError) -> Self {
        match error.is_transient() {
            true => Self::outage(error),
            false => Self::permanent(error),
        }
    }
}

/// How long a pipeline waits for outages to end.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    pub(super) until: Until,
    pub(super) stopped: watch::Receiver<bool>,
    /// Where retries are counted.
    pub(super) gauges: Arc<Gauges>,
}

impl Patience {
    /// Returns whether something that has failed so many times is to be tried again.
    pub(super) fn tries_again(&self, error: &StepError, failures: u32) -> bool {
        match self.until {
            Until::Stopped => error.is_worth_another(failures),
            Until::Idle => error.is_transient() && failures <= RETRIES,
        }
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

/// Runs a step, and repeats it while that is worth it and the pipeline is not stopped. Each failure that leads to a
/// retry is logged, with `what` as its subject.
pub(super) async fn with_retries<T, F>(
    patience: &Patience,
    what: &str,
    step: impl FnMut() -> F,
) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    with_retries_reported(patience, what, step, |_, _| std::future::ready(())).await
}

/// Does the same, and calls `report` with the reason of each failure that leads to a retry, and the pause before it.
pub(super) async fn with_retries_reported<T, F, N>(
    patience: &Patience,
    what: &str,
    mut step: impl FnMut() -> F,
    report: impl Fn(String, Duration) -> N,
) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
    N: Future<Output = ()>,
{
    let mut is_stopped = patience.stopped.clone();
    let mut failures = 0;
    loop {
        let error = match step().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failures += 1;
        if patience.is_stopped() || !patience.tries_again(&error, failures) {
            return Err(error);
        }
        patience.gauges.count_retry();
        let pause = pause_after(failures);
        tracing::warn!(?pause, "{what} failed and will be tried again: {error}");
        report(error.to_string(), pause).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopped(&mut is_stopped) => return Err(error),
        }
    }
}

/// Returns the pause after so many failures: about 0.5, 2, 8 and 32 seconds, then a minute, each but the last by chance
/// up to twice as long, so that what failed together is not retried together.
pub(crate) fn pause_after(failures: u32) -> Duration {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_factor(4.0)
        .with_max_delay(LONGEST)
        .without_max_times()
        .with_jitter()
        .build();
    let place = failures.saturating_sub(1).min(10) as usize;
    pauses.nth(place).map_or(LONGEST, |pause| pause.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_by_chance_and_grow_to_a_minute() {
        let drawn = || (1..=8).map(pause_after).collect::<Vec<_>>();
        let (one, other) = (drawn(), drawn());
        assert!(one.is_sorted(), "{one:?}");
        assert_ne!(one, other);
        assert!(one[0] < Duration::from_secs(1) && one[7] == LONGEST, "{one:?}");
        assert_eq!(pause_after(u32::MAX), LONGEST);
    }

    #[test]
    fn a_cause_is_told_once() {
        let full = std::io::Error::from_raw_os_error(28);
        let wrapped = std::io::Error::other(full);
        let error = anyhow::Error::new(wrapped).context("cannot write a/b");
        let message = StepError::transient(error).to_string();
        assert_eq!(message, "cannot write a/b: No space left on device (os error 28)");
    }

    #[test]
    fn an_outage_is_waited_out_and_what_is_doubtful_is_not() {
        let (_stopper, stopped) = watch::channel(false);
        let tries = |until, error: &StepError, failures| {
            let stopped = stopped.clone();
            let gauges = Arc::default();
            Patience {
                until,
                stopped,
                gauges,
            }
            .tries_again(error, failures)
        };
        let outage = StepError::outage(anyhow::anyhow!("away"));
        let doubtful = StepError::transient(anyhow::anyhow!("odd"));
        let hopeless = StepError::permanent(anyhow::anyhow!("wrong"));
        assert!(tries(Until::Stopped, &outage, 1000));
        assert!(tries(Until::Idle, &outage, 3) && !tries(Until::Idle, &outage, 4));
        for until in [Until::Stopped, Until::Idle] {
            assert!(tries(until, &doubtful, 3) && !tries(until, &doubtful, 4));
            assert!(!tries(until, &hopeless, 1));
        }
    }

    #[tokio::test]
    async fn who_is_stopped_does_not_wait() {
        let (stopper, stopped) = watch::channel(false);
        let until = Until::Stopped;
        let patience = Patience {
            until,
            stopped,
            gauges: Arc::default(),
        };
        stopper.send_replace(true);
        let step = || async { Err::<(), _>(StepError::outage(anyhow::anyhow!("away"))) };
        with_retries(&patience, "it", step).await.unwrap_err();
    }
}
