//! Merges the partials of a run into its summary, with Polars.
//!
//! The summary has one row for each store, item and date with a counted line; an amount is NULL where no line of its
//! code exists. Its coverage names every store and date that the run's files hold, also those that have no summary row
//! left: the load clears exactly these days of rows that are no more.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use polars::prelude::*;

use crate::content_hash::content_hash;
use crate::error::EngineError;
use crate::layout::{SalesLayout, Supersede};

const STORE: &str = "store_id";
const ITEM: &str = "item_id";
const DATE: &str = "trans_date";
/// The order of submission, while partials of several files are compared.
const ORDER: &str = "submission order";

/// The partial of one file version.
#[derive(Clone, Debug)]
pub struct PartialFile {
    /// Its Parquet.
    pub path: PathBuf,
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
    partials: &[PartialFile],
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
) -> Result<SummaryReport, EngineError> {
    let rows = match layout.supersede {
        Supersede::File => scan(partials.iter().map(|partial| partial.path.as_path()))?,
        Supersede::StoreDay => newest_of_each_day(partials)?,
    };
    let amounts: Vec<Expr> = layout
        .measures
        .iter()
        .map(|measure| merged_amount(&measure.name))
        .collect();
    let keys = [STORE, ITEM, DATE];
    let summary = rows
        .clone()
        .filter(col(ITEM).is_not_null())
        .group_by(keys.map(col))
        .agg(amounts)
        .sort(keys, SortMultipleOptions::default());
    let days = [STORE, DATE];
    let coverage = rows
        .select(days.map(col))
        .unique(None, UniqueKeepStrategy::Any)
        .sort(days, SortMultipleOptions::default());
    sink(summary, outputs.summary)?;
    sink(coverage, outputs.coverage)?;
    Ok(SummaryReport {
        rows: row_count(outputs.summary)?,
        covered: row_count(outputs.coverage)?,
        digest: file_digest(outputs.summary)?,
    })
}

/// The sum of one amount column over a group, or NULL where the group has none. Summed with 38 digits, so that only the
/// result has to fit.
fn merged_amount(name: &str) -> Expr {
    when(col(name).count().gt(lit(0)))
        .then(col(name).cast(DataType::Decimal(38, 2)).sum())
        .otherwise(lit(NULL))
        .strict_cast(DataType::Decimal(18, 2))
        .alias(name)
}

/// For each store and date, the rows of the newest file that holds it.
fn newest_of_each_day(partials: &[PartialFile]) -> Result<LazyFrame, EngineError> {
    let frames = partials
        .iter()
        .map(|partial| Ok(scan([partial.path.as_path()])?.with_column(lit(partial.order).alias(ORDER))))
        .collect::<Result<Vec<_>, EngineError>>()?;
    let rows = concat(frames, UnionArgs::default())?;
    let newest = rows
        .clone()
        .group_by([col(STORE), col(DATE)])
        .agg([col(ORDER).max()]);
    let on = [col(STORE), col(DATE), col(ORDER)];
    Ok(rows.join(newest, on.clone(), on, JoinArgs::new(JoinType::Inner)))
}

fn scan<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<LazyFrame, EngineError> {
    let paths = paths
        .into_iter()
        .map(PlRefPath::try_from_path)
        .collect::<PolarsResult<Vec<_>>>()?;
    let args = ScanArgsParquet {
        glob: false,
        ..Default::default()
    };
    Ok(LazyFrame::scan_parquet_files(paths.into(), args)?)
}

fn sink(frame: LazyFrame, path: &Path) -> Result<(), EngineError> {
    let target = SinkDestination::File {
        target: SinkTarget::Path(PlRefPath::try_from_path(path)?),
    };
    let options = ParquetWriteOptions {
        compression: ParquetCompression::Snappy,
        ..Default::default()
    };
    let format = FileWriteFormat::Parquet(Arc::new(options));
    frame
        .sink(target, format, UnifiedSinkArgs::default())?
        .collect_with_engine(Engine::Streaming)?;
    Ok(())
}

fn row_count(path: &Path) -> Result<u64, EngineError> {
    let file = File::open(path).map_err(EngineError::parquet("read", path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
        .map_err(EngineError::parquet("read", path))?;
    Ok(metadata.metadata().file_metadata().num_rows() as u64)
}

fn file_digest(path: &Path) -> Result<String, EngineError> {
    File::open(path)
        .and_then(content_hash)
        .map_err(EngineError::parquet("read", path))
}
