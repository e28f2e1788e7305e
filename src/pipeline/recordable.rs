//! Submissions, as they are sent to be recorded.

use gristmill_engine::{Captures, FeedLayout};
use gristmill_state::{Role, SubmissionOutcome, SubmissionRecord};
use gristmill_watcher::Arrival;

use super::activity::Token;
use super::sources::to_state;
use crate::guards;

/// A submission to be recorded.
#[derive(Debug)]
pub(super) struct Recordable {
    pub(super) record: SubmissionRecord,
    /// The arrival, if it counts as submitted only if its bytes are not those of its newest submission.
    pub(super) doubted: Option<Arrival>,
    pub(super) token: Token,
}

/// Makes the record of a submission.
pub(super) fn submission(
    feed: &FeedLayout,
    captures: Captures,
    arrival: &Arrival,
    outcome: SubmissionOutcome,
) -> SubmissionRecord {
    SubmissionRecord {
        file_url: arrival.path.clone(),
        feed: feed.name.clone(),
        store_id: captures.store,
        business_date: captures.date,
        stamp: to_state(arrival.stamp),
        guards: guards::of_feed(feed),
        role: Role::Alone,
        outcome,
    }
}

/// Returns whether the conversion itself has rejected the file.
pub(super) fn is_rejected(record: &SubmissionRecord) -> bool {
    match &record.outcome {
        SubmissionOutcome::Converted(version) => version.rejected_because.is_some(),
        _ => false,
    }
}
