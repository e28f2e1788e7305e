//! Why AWS did not do what it was asked for.

use std::error::Error;

/// A request that was refused, or that had no answer after all retries.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AwsError {
    /// The status of the answer, if there was one.
    status: Option<u16>,
    code: Option<String>,
    message: String,
    is_transient: bool,
}

impl AwsError {
    /// The request cannot be made.
    pub(crate) fn unsent(error: &dyn Error) -> Self {
        Self::permanent(&causes(error))
    }

    pub(crate) fn no_region() -> Self {
        Self::permanent(
            "nothing says which region to ask: name it in the URL or the settings, or set AWS_REGION",
        )
    }

    pub(crate) fn no_credentials() -> Self {
        Self::permanent("no AWS credentials are configured: set them in the environment, a profile or a role")
    }

    fn permanent(message: &str) -> Self {
        Self {
            status: None,
            code: None,
            message: message.to_owned(),
            is_transient: false,
        }
    }

    /// No answer came.
    pub(crate) fn unanswered(error: &dyn Error) -> Self {
        Self {
            is_transient: true,
            ..Self::unsent(error)
        }
    }

    /// The service did what it was asked for, and its answer cannot be read.
    pub(crate) fn unreadable(error: &dyn Error) -> Self {
        Self {
            message: format!("the answer cannot be read: {}", causes(error)),
            ..Self::unsent(error)
        }
    }

    /// The service answered with an error. The message is its own, where it has one.
    pub(crate) fn refused(status: u16, code: Option<String>, message: Option<String>) -> Self {
        let is_transient = matches!(status, 408 | 429 | 500..) || code.as_deref().is_some_and(may_pass);
        let message = match (&code, message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.clone(),
            (None, Some(message)) => message,
            (None, None) => format!("the answer had status {status}"),
        };
        Self {
            status: Some(status),
            code,
            message,
            is_transient,
        }
    }

    /// Returns the status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns AWS's code for the error, if the answer named one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }
}

/// Whether an error of this code may be gone at the next try, whatever its status.
fn may_pass(code: &str) -> bool {
    const LATER: [&str; 7] = [
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
    ];
    LATER.contains(&code) || code.contains("Throttl")
}

/// An error with all its causes.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Many errors quote their causes.
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        let refused = |status, code: &str| AwsError::refused(status, Some(code.to_owned()), None);
        for error in [
            refused(400, "ThrottlingException"),
            refused(400, "Throttling"),
            refused(200, "InternalError"),
            refused(503, "SlowDown"),
            refused(500, "whatever"),
            AwsError::unanswered(&std::io::Error::other("reset")),
        ] {
            assert!(error.is_transient(), "{error}");
        }
        for error in [
            refused(403, "AccessDenied"),
            refused(404, "NoSuchKey"),
            refused(412, "PreconditionFailed"),
        ] {
            assert!(!error.is_transient(), "{error}");
        }
    }
}
