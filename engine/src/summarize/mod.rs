//! Merges the partials of a run into its summary.
//!
//! The summary has one row for each store, item and date with a counted line; an amount is NULL where no line of its
//! code exists. Its coverage names every store and date that the run speaks for: those of its files' rows, as far as they
//! count ([`Selection`]), and those that are to be emptied. The load clears exactly these days of rows that are no more.
//!
//! Partials that fit in memory are merged there ([`Batch`]); of others, some stores at a time
//! ([`merge::merge_in_ranges`]). Either way Polars adds up what several partials hold of one key.

mod absent;
mod output;
mod parts;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use rayon::prelude::*;

pub use self::absent::absent_measures;
use self::output::Output;
pub use self::output::SummaryOutputs;
pub use self::parts::summarize_parts;
use crate::budget::{Budget, Share};
use crate::date::day_number;
use crate::error::EngineError;
use crate::key::{MOST_ITEMS, MOST_STORES};
use crate::layout::{Measure, SalesLayout};
use crate::merge::{self, Batch, Input, Selection};
use crate::partial::Partial;
use crate::scratch::Scratch;
use crate::sums::Rows;

/// The partial of one file of a run.
#[derive(Debug)]
pub struct RunPartial {
    /// Its sums.
    pub partial: Partial,
    /// Grows with submission: of two files that hold the same store and date the greater is the newer.
    pub order: i64,
    /// What of it counts.
    pub selection: Selection,
}

/// A store and a date that a run covers without a row of its own.
pub type EmptiedDay = (String, Date);

/// What a summary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryReport {
    /// Rows of the summary.
    pub rows: u64,
    /// Pairs of store and date that the run covers.
    pub covered: u64,
}

/// Merges partials. They must have been converted with this layout. The run also covers the days in `emptied`, which
/// then have only the rows that the partials give them.
pub fn summarize(
    partials: Vec<RunPartial>,
    emptied: &[EmptiedDay],
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
    scratch: Scratch<'_>,
) -> Result<SummaryReport, EngineError> {
    let mut partials = load(partials, scratch.memory)?;
    // Kept to the end, because the rows are merged without their partials.
    let shares: Vec<Share> = partials
        .iter_mut()
        .filter_map(|input| input.partial.take_share())
        .collect();
    let measures = &layout.measures;
    let mut output = Output::create(outputs, measures)?;
    let mut emptied: Vec<(&str, i32)> = emptied
        .iter()
        .map(|(store, day)| (store.as_str(), day_number(*day)))
        .collect();
    emptied.sort_unstable();
    match inputs_in_memory(partials, &emptied, measures) {
        Ok(inputs) => output.append(&Batch::merge(inputs, layout.supersede, measures)?)?,
        Err(partials) => {
            drop(shares);
            let partials = spill(partials, scratch.folder)?;
            let files = partials.iter().flat_map(|input| {
                let (order, selection) = (input.order, Arc::new(input.selection.clone()));
                let files = input.partial.files().into_iter();
                files.map(move |path| (path, order, selection.clone()))
            });
            merge::merge_in_ranges(
                files,
                &emptied,
                layout.supersede,
                measures,
                scratch.memory,
                |batch| output.append(&batch),
            )?;
        }
    }
    let (rows, covered) = output.finish()?;
    Ok(SummaryReport { rows, covered })
}

/// The rows of all partials, or the partials as they are: all rows must be in memory, and keys must have numbers enough
/// for all their stores and items.
fn inputs_in_memory(
    partials: Vec<RunPartial>,
    emptied: &[(&str, i32)],
    measures: &[Measure],
) -> Result<Vec<Input>, Vec<RunPartial>> {
    let count = |distinct: fn(&Rows) -> usize| {
        let counts = partials.iter().map(|input| input.partial.rows().map(distinct));
        counts.sum::<Option<usize>>()
    };
    let can_be_numbered = count(|rows| rows.stores.len())
        .is_some_and(|stores| stores + emptied.len() <= MOST_STORES)
        && count(|rows| rows.items.len()).is_some_and(|items| items <= MOST_ITEMS);
    if !can_be_numbered {
        return Err(partials);
    }
    let inputs = partials.into_iter().filter_map(|input| {
        let rows = input.partial.into_rows()?;
        Some(Input::of(rows, input.order, Arc::new(input.selection)))
    });
    Ok(inputs.chain(Input::of_emptied(emptied, measures)).collect())
}

/// The same partials in memory, as far as that can be.
fn load(partials: Vec<RunPartial>, memory: &Budget) -> Result<Vec<RunPartial>, EngineError> {
    if partials.iter().any(|input| input.partial.is_spilled()) {
        return Ok(partials);
    }
    let loaded = partials.into_par_iter().map(|input| {
        let partial = input.partial.load(memory)?;
        Ok(RunPartial { partial, ..input })
    });
    loaded.collect()
}

/// The same partials in files.
fn spill(partials: Vec<RunPartial>, folder: &Path) -> Result<Vec<RunPartial>, EngineError> {
    let spilled = partials.into_iter().map(|input| {
        let partial = input.partial.spill(folder)?;
        Ok(RunPartial { partial, ..input })
    });
    spilled.collect()
}
