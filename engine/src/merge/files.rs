//! Merges files in the form of a partial.

use std::path::Path;
use std::sync::Arc;

use super::ranges;
use super::selection::Selection;
use crate::budget::Budget;
use crate::error::EngineError;
use crate::layout::{Measure, Supersede};
use crate::sums::PartialFile;

/// Writes files in the form of a partial, which may have keys in common, as one partial.
pub(crate) fn merge_files(
    files: &[&Path],
    measures: &[Measure],
    memory: &Budget,
    path: &Path,
) -> Result<(), EngineError> {
    let mut file = PartialFile::create(path, measures)?;
    let all = Arc::new(Selection::all());
    let files = files.iter().map(|path| (*path, 0, all.clone()));
    ranges::merge_in_ranges(files, &[], Supersede::File, measures, memory, |batch| {
        file.append(&batch.into_rows())
    })?;
    file.finish()
}
