//! The scratch space that a piece of work may use.

use std::path::Path;

/// A folder and some memory. What does not fit in the memory goes to files in the folder, which are removed again.
#[derive(Clone, Copy, Debug)]
pub struct Scratch<'p> {
    /// The folder for what does not fit in memory. It must exist.
    pub folder: &'p Path,
    /// How many bytes of sums may be held in memory.
    pub memory: usize,
}
