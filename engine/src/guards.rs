//! What a feed says about versions that would lower or double what a store has reported.
//!
//! The engine only reads these keys: the guards themselves stand where versions come into force.

use serde::{Deserialize, Serialize};

/// The guards of a feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeedGuards {
    /// What becomes of a few lines of an older day.
    pub late: LateLines,
    /// Below this percentage of the lines that stand, a day counts as shrunk; 0 turns that off.
    pub shrink_percent: f64,
    /// What becomes of a second file of one store and day.
    pub same_day: SecondFile,
    /// Whether a file whose name says another store than its lines is rejected.
    pub check_store: bool,
}

/// What becomes of a few lines of an older day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LateLines {
    /// The older day stays as it was, and the lines are held.
    #[default]
    Hold,
    /// They are added to what stands for the day.
    Add,
    /// They replace the day.
    Replace,
}

/// What becomes of a second file of one store and day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondFile {
    /// It is held.
    #[default]
    Hold,
    /// It is added to the first.
    Add,
}
