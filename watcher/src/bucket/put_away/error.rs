//! Why an object could not be put away, in words that say what to do.

use std::mem::{Discriminant, discriminant};

use object_store::Error as ObjectError;

use super::super::s3_requests::S3Error;
use crate::error::causes;

/// The most tags that an object may have.
pub(super) const MOST_TAGS: usize = 10;

/// Why an object could not be put away. It lies where it lay, and may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum PutAwayError {
    /// This user may not do it.
    #[error("may not {action} {url}: {cause}. Grant {rights}")]
    Denied {
        /// What was asked for.
        action: &'static str,
        /// The object's.
        url: String,
        /// What the server answered.
        cause: String,
        /// The rights that it takes.
        rights: &'static str,
    },
    /// The server does not do it with this object. Others may fare better.
    #[error("the server refuses to {action} {url}: {cause}")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// The object's.
        url: String,
        /// What the server answered.
        cause: String,
    },
    /// Anything else, after the retries that S3 asks for.
    #[error("cannot {action} {url}: {cause}")]
    Server {
        /// What was asked for.
        action: &'static str,
        /// The object's.
        url: String,
        /// What went wrong.
        cause: String,
    },
    /// There is no room for one more tag.
    #[error(
        "cannot tag {url}: it has {MOST_TAGS} tags, and S3 allows no more. Remove one, or set after = \"keep\""
    )]
    TooManyTags {
        /// The object's.
        url: String,
    },
    /// The server removes or copies whatever is there. No retry helps.
    #[error(
        "the server of {url} ignores conditions: {what}. A move could lose a version that was never read, so \
         after = \"move\" cannot be used with this server: set after = \"keep\" or \"tag\""
    )]
    IgnoresConditions {
        /// The place that objects were to be moved to.
        url: String,
        /// What it did.
        what: &'static str,
    },
}

/// What an error is about, whatever the object: equal ones have one remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PutAwayKind {
    what: Discriminant<PutAwayError>,
    action: &'static str,
}

impl PutAwayError {
    /// What it is about.
    pub fn kind(&self) -> PutAwayKind {
        let action = match self {
            Self::Denied { action, .. } | Self::Refused { action, .. } | Self::Server { action, .. } => {
                *action
            }
            Self::TooManyTags { .. } | Self::IgnoresConditions { .. } => "",
        };
        PutAwayKind {
            what: discriminant(self),
            action,
        }
    }

    /// Whether it concerns this object alone. Any other would probably be met with by all.
    pub fn is_of_object(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::TooManyTags { .. })
    }
}

/// Without an ETag no condition can be made.
pub(super) fn no_etag(action: &'static str, url: String) -> PutAwayError {
    PutAwayError::Server {
        action,
        url,
        cause: "the server gives no ETag, by which versions are told apart".to_owned(),
    }
}

/// What an error of S3 means.
pub(super) fn failed(
    action: &'static str,
    rights: &'static str,
    url: String,
    error: &S3Error,
) -> PutAwayError {
    let cause = error.to_string();
    match error {
        error if error.is_denied() => PutAwayError::Denied {
            action,
            url,
            cause,
            rights,
        },
        error if error.is_of_object() => PutAwayError::Refused { action, url, cause },
        _ => PutAwayError::Server { action, url, cause },
    }
}

/// What an error of `object_store` means.
pub(super) fn of_server(
    action: &'static str,
    rights: &'static str,
    url: String,
    error: &ObjectError,
) -> PutAwayError {
    let cause = causes(error);
    match error {
        ObjectError::PermissionDenied { .. } | ObjectError::Unauthenticated { .. } => PutAwayError::Denied {
            action,
            url,
            cause,
            rights,
        },
        _ => PutAwayError::Server { action, url, cause },
    }
}
