//! What alerts have found.

use jiff::Timestamp;

/// Something that an alert has found. At most one finding is about a subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) subject: String,
    pub(super) facts: String,
    pub(super) since: Timestamp,
}

/// What a look has found, and when time alone may change that.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) next: Option<Timestamp>,
}

/// Keeps the sooner of two moments.
pub(super) fn sooner(next: &mut Option<Timestamp>, moment: Option<Timestamp>) {
    *next = match (*next, moment) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}
