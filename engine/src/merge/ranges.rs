//! Merging partials that memory should not hold at once, some stores at a time.
//!
//! Files in the form of a partial are sorted by store, so that the rows of some stores stand together in each. All files
//! are read once to learn which stores stand where; then the rows of as many stores as memory should hold are read from
//! all files and merged, and so on to the last store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::batch::{Batch, Input};
use super::selection::Selection;
use crate::budget::Budget;
use crate::error::EngineError;
use crate::key::{MOST_ITEMS, MOST_STORES};
use crate::layout::{Measure, Supersede};
use crate::sums::{PartialReader, Rows, StoreRows};

/// A file in the form of a partial.
struct SortedFile<'p> {
    path: &'p Path,
    order: i64,
    selection: Arc<Selection>,
    /// Its stores in their order, and where the rows of each stand.
    stores: Vec<StoreRows>,
}

/// While rows are merged and encoded, they are there about so many times.
const COPIES: usize = 3;

/// Merges files, some stores at a time, and hands each batch on in the order of the stores. Each file comes with the
/// order of its submission and what of it counts; `emptied` is sorted. Up to half of `memory` is used for rows, and at least
/// an eighth, also while others hold it all: otherwise a merge would read its files over and over. The rows of one store
/// are always held.
pub(crate) fn merge_in_ranges<'p>(
    files: impl IntoIterator<Item = (&'p Path, i64, Arc<Selection>)>,
    emptied: &[(&str, i32)],
    supersede: Supersede,
    measures: &[Measure],
    memory: &Budget,
    mut hand_on: impl FnMut(Batch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let files: Vec<_> = files.into_iter().collect();
    let files = files
        .into_par_iter()
        .map(|(path, order, selection)| {
            let stores = PartialReader::open(path)?.stores()?;
            Ok(SortedFile {
                path,
                order,
                selection,
                stores,
            })
        })
        .collect::<Result<Vec<_>, EngineError>>()?;
    let mut share = memory.share();
    let bytes = share.resize_up_to(memory.limit() / 2).max(memory.limit() / 8);
    let most_rows = bytes / (COPIES * Rows::row_memory(measures.len()));
    for (first, last) in batches(&files, emptied, most_rows.min(MOST_ITEMS)) {
        let mut inputs = files
            .par_iter()
            .filter_map(|file| file.read(&first, &last, measures).transpose())
            .collect::<Result<Vec<_>, EngineError>>()?;
        let from = emptied.partition_point(|(store, _)| *store < first.as_str());
        let to = emptied.partition_point(|(store, _)| *store <= last.as_str());
        inputs.extend(Input::of_emptied(&emptied[from..to], measures));
        hand_on(Batch::merge(inputs, supersede, measures)?)?;
    }
    Ok(())
}

/// The first and the last store of each batch.
fn batches(files: &[SortedFile<'_>], emptied: &[(&str, i32)], most_rows: usize) -> Vec<(String, String)> {
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for store in files.iter().flat_map(|file| &file.stores) {
        *rows.entry(&store.id).or_default() += store.rows.len();
    }
    for (store, _) in emptied {
        rows.entry(store).or_default();
    }
    let mut batches: Vec<(String, String)> = Vec::new();
    let (mut rows_so_far, mut stores) = (0, 0);
    for (id, count) in rows {
        match batches.last_mut() {
            Some((_, last)) if rows_so_far + count <= most_rows && stores < MOST_STORES => {
                id.clone_into(last);
                (rows_so_far, stores) = (rows_so_far + count, stores + 1);
            }
            _ => {
                batches.push((id.to_owned(), id.to_owned()));
                (rows_so_far, stores) = (count, 1);
            }
        }
    }
    batches
}

impl SortedFile<'_> {
    /// The rows of the stores from the first to the last, if there are any.
    fn read(&self, first: &str, last: &str, measures: &[Measure]) -> Result<Option<Input>, EngineError> {
        let from = self.stores.partition_point(|store| store.id.as_str() < first);
        let to = self.stores.partition_point(|store| store.id.as_str() <= last);
        let (Some(start), Some(end)) = (self.stores.get(from), self.stores[..to].last()) else {
            return Ok(None);
        };
        if from >= to {
            return Ok(None);
        }
        let file = PartialReader::open(self.path)?;
        let rows = file.read(measures, start.rows.start..end.rows.end)?;
        let rows = rows.ok_or(EngineError::TooManyItems)?;
        Ok(Some(Input::of(rows, self.order, self.selection.clone())))
    }
}
