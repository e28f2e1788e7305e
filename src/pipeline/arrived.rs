//! Files that have arrived, on their way to a conversion.

use std::sync::Arc;

use gristmill_engine::{Captures, FeedLayout};
use gristmill_watcher::Arrival;

use super::activity::Token;

/// A file that has arrived, with what its name says.
pub(super) struct Arrived {
    pub(super) arrival: Arrival,
    pub(super) feed: Arc<FeedLayout>,
    /// Whether it counts as submitted only if its bytes are not those of its newest submission.
    pub(super) is_doubted: bool,
    pub(super) captures: Captures,
    /// How often it has failed in this process.
    pub(super) failures: u32,
    /// Whether it is to be converted by itself: a group that it was in has failed as a whole.
    pub(super) is_alone: bool,
    /// Whether it is an archive, or looks like one by its name and matches no feed.
    pub(super) is_archive: bool,
    /// Whether no worker is to convert it: one has not done so.
    pub(super) is_for_service: bool,
    /// Whether it was tried to find out if there is room again.
    pub(super) is_probe: bool,
    pub(super) token: Token,
}

impl Arrived {
    /// Makes a file that was not tried yet.
    pub(super) fn new(arrival: Arrival, feed: Arc<FeedLayout>, captures: Captures, token: Token) -> Self {
        Self {
            arrival,
            feed,
            is_doubted: false,
            captures,
            failures: 0,
            is_alone: false,
            is_archive: false,
            is_for_service: false,
            is_probe: false,
            token,
        }
    }
}
