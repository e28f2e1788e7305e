//! What a feed's settings are written from, and the draft of them.

use super::Candidate;
use super::draft::{Draft, SettingsTable};
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

impl Task<'_> {
    /// Sets a key unless it has its usual value. A profile must say so where its feed says something else.
    pub(super) fn set_unless<T: PartialEq>(
        &mut self,
        (table, name): (SettingsTable, &'static str),
        value: (&T, String),
        usual: &T,
        of_feed: impl Fn(&FeedSpec) -> Option<T>,
        proof: String,
    ) {
        let (value, text) = value;
        let inherited = self.feed.and_then(of_feed);
        if value != inherited.as_ref().unwrap_or(usual) {
            self.draft.set(table, name, text, proof);
        }
    }
}
