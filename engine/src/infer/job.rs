//! What keys of the settings are written for.

use super::Candidate;
use super::draft::Draft;
use super::names::Names;
use crate::layout::FeedSpec;

/// What keys are written for.
pub(super) struct Job<'a> {
    pub(super) best: &'a Candidate,
    pub(super) names: &'a Names,
    pub(super) draft: Draft,
    /// The feed that a profile is to be part of.
    pub(super) feed: Option<&'a FeedSpec>,
    /// The part of the name that is the store.
    pub(super) store_part: Option<usize>,
    /// Whether the day comes from the name.
    pub(super) takes_day: bool,
}
