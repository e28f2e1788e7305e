//! What a feed's settings are written from, and the draft of them.

use gristmill_engine::FeedSpec;

use crate::Candidate;
use crate::draft::{Draft, SettingsTable};
use crate::names::Names;

/// What keys are written for.
pub(crate) struct Task<'a> {
    pub(crate) best: &'a Candidate,
    pub(crate) names: &'a Names,
    pub(crate) draft: Draft,
    /// The feed that a profile is to be part of.
    pub(crate) feed: Option<&'a FeedSpec>,
    /// The fragment of the name that is the store.
    pub(crate) store_fragment: Option<usize>,
    /// Whether the day comes from the name.
    pub(crate) takes_day: bool,
}

impl Task<'_> {
    /// Sets a key unless it has its usual value. A profile must say so where its feed says something else.
    pub(crate) fn set_unless<T: PartialEq>(
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
