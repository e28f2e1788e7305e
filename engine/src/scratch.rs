//! What a piece of work may use on its way.

use std::path::Path;

/// A folder and some memory. What does not fit the memory goes to files in the folder, which are removed again.
#[derive(Clone, Copy, Debug)]
pub struct Scratch<'p> {
    /// The folder for what memory should not hold. It must be there.
    pub folder: &'p Path,
    /// How many bytes of sums may be held.
    pub memory: usize,
}
