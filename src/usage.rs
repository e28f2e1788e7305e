//! The error of a request that cannot be carried out as it was made, on the command line or on a page.

/// A request that cannot be carried out. Its message says what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
