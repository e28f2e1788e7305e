//! Merges the partials of a run into its summary.
//!
//! The summary has one row for each store, item and date with a counted line; an amount is NULL where no line of its
//! code exists. Its coverage names every store and date that the run's files hold, also those that have no summary row
//! left: the load clears exactly these days of rows that are no more.
//!
//! Partials that fit in memory are merged there ([`memory`]); others are streamed from their files ([`streaming`]).
//! Either way Polars adds up what several partials hold of one key.

mod memory;
mod streaming;

use std::fs::File;
use std::path::Path;

use polars::prelude::*;
use rayon::prelude::*;

use crate::content_hash::content_hash;
use crate::error::EngineError;
use crate::layout::{Measure, SalesLayout};
use crate::partial::{Partial, row_count};
use crate::scratch::Scratch;

pub(crate) use self::streaming::merge_files;

/// The partial of one file of a run.
#[derive(Debug)]
pub struct RunPartial {
    /// Its sums.
    pub partial: Partial,
    /// Grows with submission: of two files that hold the same store and date the greater is the newer.
    pub order: i64,
}

/// Where the outputs of [`summarize`] go.
#[derive(Clone, Copy, Debug)]
pub struct SummaryOutputs<'p> {
    /// `store_id`, `item_id`, `trans_date` and one decimal(18,2) a measure, sorted by the three keys.
    pub summary: &'p Path,
    /// `store_id`, `trans_date`, sorted, each pair once.
    pub coverage: &'p Path,
}

/// What a summary holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryReport {
    /// Rows of the summary.
    pub rows: u64,
    /// Pairs of store and date that the run covers.
    pub covered: u64,
    /// BLAKE3 of the summary file, in hexadecimal.
    pub digest: String,
}

/// Merges partials. They must have been converted with this layout.
pub fn summarize(
    partials: Vec<RunPartial>,
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
    scratch: Scratch<'_>,
) -> Result<SummaryReport, EngineError> {
    let needed = partials.par_iter().map(|input| input.partial.memory_of_rows());
    let needed: usize = needed.try_reduce(|| 0, |one, other| Ok(one + other))?;
    let is_spilled = partials.iter().any(|input| input.partial.is_spilled());
    if is_spilled || needed > scratch.memory {
        streaming::summarize(&spill(partials, scratch.folder)?, layout, outputs)?;
    } else {
        let inputs = partials.into_par_iter().map(|RunPartial { partial, order }| {
            let rows = partial.into_rows()?.unwrap_or_default();
            Ok(memory::Input { rows, order })
        });
        let inputs = inputs.collect::<Result<Vec<_>, EngineError>>()?;
        if memory::can_be_numbered(&inputs) {
            memory::summarize(inputs, layout, outputs)?;
        } else {
            let partials = inputs
                .into_iter()
                .map(|memory::Input { rows, order }| RunPartial {
                    partial: Partial::held(rows, &layout.measures),
                    order,
                });
            streaming::summarize(&spill(partials.collect(), scratch.folder)?, layout, outputs)?;
        }
    }
    Ok(SummaryReport {
        rows: row_count(outputs.summary)?,
        covered: row_count(outputs.coverage)?,
        digest: file_digest(outputs.summary)?,
    })
}

/// The same partials in files.
fn spill(partials: Vec<RunPartial>, folder: &Path) -> Result<Vec<RunPartial>, EngineError> {
    let spilled = partials.into_iter().map(|RunPartial { partial, order }| {
        let partial = partial.spill(folder)?;
        Ok(RunPartial { partial, order })
    });
    spilled.collect()
}

/// One row a key, sorted by the keys: the sum of each amount, or NULL where no row of the key has one. `scale` is that
/// of the amounts.
fn merged(rows: LazyFrame, keys: &[&str], measures: &[Measure], scale: usize) -> LazyFrame {
    // Summed with 38 digits, so that only the result has to fit.
    let amount = |name: &str| {
        when(col(name).count().gt(lit(0)))
            .then(col(name).cast(DataType::Decimal(38, scale)).sum())
            .otherwise(lit(NULL))
            .strict_cast(DataType::Decimal(18, scale))
            .alias(name)
    };
    let amounts: Vec<Expr> = measures.iter().map(|measure| amount(&measure.name)).collect();
    let keys: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    rows.group_by(keys.clone())
        .agg(amounts)
        .sort_by_exprs(keys, SortMultipleOptions::default())
}

fn file_digest(path: &Path) -> Result<String, EngineError> {
    File::open(path)
        .and_then(content_hash)
        .map_err(EngineError::parquet("read", path))
}
