//! Retries: transient failures get three more attempts after growing, jittered pauses.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::causes;

/// A failure of one step, and whether a retry may help.
#[derive(Debug, thiserror::Error)]
#[error("{}", causes::joined(cause, ": "))]
pub(super) struct StepError {
    cause: anyhow::Error,
    is_transient: bool,
}

impl StepError {
    /// Makes a failure that may be gone a moment later.
    pub(super) fn transient(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: cause.into(),
            is_transient: true,
        }
    }

    /// Makes a failure that only a person can fix.
    pub(super) fn permanent(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: cause.into(),
            is_transient: false,
        }
    }

    /// Returns whether a retry may help.
    pub(super) fn is_transient(&self) -> bool {
        self.is_transient
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
        Self {
            is_transient: error.is_transient(),
            cause: error.into(),
        }
    }
}

impl From<gristmill_loader::LoadError> for StepError {
    fn from(error: gristmill_loader::LoadError) -> Self {
        Self {
            is_transient: error.is_transient(),
            cause: error.into(),
        }
    }
}

impl From<gristmill_state::StateError> for StepError {
    fn from(error: gristmill_state::StateError) -> Self {
        Self {
            is_transient: error.is_transient(),
            cause: error.into(),
        }
    }
}

/// Runs a step, and repeats it up to three times while it fails for a transient reason. Each failure that leads to a
/// retry is logged, with `what` as its subject.
pub(super) async fn with_retries<T, F>(what: &str, step: impl FnMut() -> F) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    step.retry(pauses())
        .when(|error| error.is_transient)
        .notify(|error, pause| tracing::warn!(?pause, "{what} failed and will be tried again: {error}"))
        .await
}

/// Pauses of about 0.5, 2 and 8 seconds, each randomly up to twice as long, so that steps that failed together are not
/// retried together.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_factor(4.0)
        .with_max_times(3)
        .with_jitter()
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder;

    use super::*;

    #[test]
    fn three_growing_pauses_differ_by_chance() {
        let drawn = || pauses().build().collect::<Vec<_>>();
        let (one, other) = (drawn(), drawn());
        assert!(one.len() == 3 && one.is_sorted(), "{one:?}");
        assert_ne!(one, other);
    }

    #[test]
    fn a_cause_is_told_once() {
        let full = std::io::Error::from_raw_os_error(28);
        let wrapped = std::io::Error::other(full);
        let error = anyhow::Error::new(wrapped).context("cannot write a/b");
        let message = StepError::transient(error).to_string();
        assert_eq!(message, "cannot write a/b: No space left on device (os error 28)");
    }
}
