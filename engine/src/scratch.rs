//! The scratch space that a piece of work may use.

use std::path::Path;

use crate::budget::Budget;

/// A folder, and memory that it shares with others. What does not fit in the memory goes to files in the folder, which are removed again.
#[derive(Clone, Copy, Debug)]
pub struct Scratch<'p> {
    /// The folder for what does not fit in memory. It must exist.
    pub folder: &'p Path,
    /// The memory for sums.
    pub memory: &'p Budget,
}
