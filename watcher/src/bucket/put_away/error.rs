//! Why an object could not be put away, in words that say what to do.

use object_store::Error as StoreError;

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
        /// What the store answered.
        cause: String,
        /// The rights that it takes.
        rights: &'static str,
    },
    /// Anything else, after the retries that S3 asks for.
    #[error("cannot {action} {url}: {cause}")]
    Store {
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
    /// The store removes or copies whatever is there. No retry helps.
    #[error(
        "the store of {url} ignores conditions: {what}. A move could lose a version that was never read, so \
         after = \"move\" cannot be used with this store: set after = \"keep\" or \"tag\""
    )]
    IgnoresConditions {
        /// The place that objects were to be moved to.
        url: String,
        /// What it did.
        what: &'static str,
    },
}

/// Without an ETag no condition can be made.
pub(super) fn no_etag(action: &'static str, url: String) -> PutAwayError {
    PutAwayError::Store {
        action,
        url,
        cause: "the store gives no ETag, by which versions are told apart".to_owned(),
    }
}

/// What an error of AWS's client means.
pub(super) fn failed(
    action: &'static str,
    rights: &'static str,
    url: String,
    error: &S3Error,
) -> PutAwayError {
    refused_or_not(error.is_denied(), action, rights, url, error.to_string())
}

/// What an error of `object_store` means.
pub(super) fn of_store(
    action: &'static str,
    rights: &'static str,
    url: String,
    error: &StoreError,
) -> PutAwayError {
    let is_denied = matches!(
        error,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }
    );
    refused_or_not(is_denied, action, rights, url, causes(error))
}

fn refused_or_not(
    is_denied: bool,
    action: &'static str,
    rights: &'static str,
    url: String,
    cause: String,
) -> PutAwayError {
    match is_denied {
        true => PutAwayError::Denied {
            action,
            url,
            cause,
            rights,
        },
        false => PutAwayError::Store { action, url, cause },
    }
}
