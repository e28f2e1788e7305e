//! What can go wrong between gristmill and a cluster.

use std::io;

use crate::connection::Status;

/// A failure of the cluster, or on the way to it. Each kind calls for a different response.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nobody answers. It ends by itself, or when somebody starts the server.
    #[error("cannot connect to the cluster at {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The connection broke, or the server said that it cannot answer now. It ends by itself.
    #[error("the cluster does not answer: {0}")]
    Unavailable(String),
    /// The server does not let gristmill in.
    #[error("the cluster refused access: {0}; check the token of cluster.url")]
    Denied(String),
    /// The operation is unknown there: the server was started again, or it gave the operation up.
    #[error(
        "the cluster does not know the operation any more ({0}): it was restarted, or waited too long for gristmill"
    )]
    Lost(String),
    /// The cluster could not do what was asked.
    #[error("the cluster failed: {0}")]
    Failed(String),
    /// The answer is none that Spark Connect has.
    #[error("the server at {address} does not speak Spark Connect: {problem}")]
    Foreign {
        /// Host and port.
        address: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl ClusterError {
    /// Returns whether it ends by itself, so that trying again is worth it for as long as it takes.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable(_))
    }

    /// Returns whether only a person can help.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Foreign { .. })
    }

    /// Makes the failure that a status of gRPC tells.
    pub(crate) fn of(status: Status) -> Self {
        /// The names that Spark gives to operations and sessions which it has no more.
        const LOST: [&str; 6] = [
            "INVALID_HANDLE.OPERATION_",
            "INVALID_HANDLE.SESSION_",
            "INVALID_CURSOR.",
            "operation not found",
            "task context not found",
            "session not found",
        ];
        let message = status.shown();
        if LOST.iter().any(|words| status.message.contains(words)) {
            return Self::Lost(message);
        }
        match status.code {
            Status::UNAUTHENTICATED | Status::PERMISSION_DENIED => Self::Denied(message),
            Status::UNAVAILABLE | Status::DEADLINE_EXCEEDED | Status::CANCELLED | Status::ABORTED => {
                Self::Unavailable(message)
            }
            _ => Self::Failed(message),
        }
    }
}
