//! What a feed's settings are written from, and the draft of them.

use super::Candidate;
use super::draft::Draft;
use super::names::Names;
use crate::layout::FeedSpec;

/// What keys are written for.
pub(super) struct Task<'a> {
    pub(super) best: &'a Candidate,
    pub(super) names: &'a Names,
    pub(super) draft: Draft,
    /// The feed that a profile is to be part of.
    pub(super) feed: Option<&'a FeedSpec>,
    /// The fragment of the name that is the store.
    pub(super) store_fragment: Option<usize>,
    /// Whether the day comes from the name.
    pub(super) takes_day: bool,
}
