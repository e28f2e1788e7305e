//! Merging partials that memory should not hold, from their files, with Polars' streaming engine.

use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;

use super::{RunPartial, SummaryOutputs, beyond_decimal, merged};
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::{Measure, SalesLayout, Supersede};

const STORE: &str = "store_id";
const ITEM: &str = "item_id";
const DATE: &str = "trans_date";
const KEYS: [&str; 3] = [STORE, ITEM, DATE];
/// The order of submission, while partials of several files are compared.
const ORDER: &str = "submission order";

/// The scale of the amounts in Parquet: decimal(18,2).
const SCALE: usize = 2;

/// Writes summary and coverage. All partials must be in files.
pub(super) fn summarize(
    partials: &[RunPartial],
    layout: &SalesLayout,
    outputs: SummaryOutputs<'_>,
) -> Result<(), EngineError> {
    let rows = match layout.supersede {
        Supersede::File => scan(partials.iter().flat_map(|input| input.partial.files()))?,
        Supersede::StoreDay => newest_of_each_day(partials)?,
    };
    let with_item = rows.clone().filter(col(ITEM).is_not_null());
    let days = [STORE, DATE];
    let coverage = rows
        .select(days.map(col))
        .unique(None, UniqueKeepStrategy::Any)
        .sort(days, SortMultipleOptions::default());
    sink_merged(with_item, &layout.measures, outputs.summary)?;
    sink(coverage, outputs.coverage).map_err(EngineError::Merge)
}

/// Writes files in the form of a partial as one partial.
pub(crate) fn merge_files(files: &[&Path], measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    sink_merged(scan(files.iter().copied())?, measures, path)
}

/// For each store and date, the rows of the newest file that holds it.
fn newest_of_each_day(partials: &[RunPartial]) -> Result<LazyFrame, EngineError> {
    let frames = partials
        .iter()
        .map(|input| Ok(scan(input.partial.files())?.with_column(lit(input.order).alias(ORDER))))
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

/// Writes one row a key.
fn sink_merged(rows: LazyFrame, measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    let merged = merged(rows.clone(), &KEYS, measures, SCALE);
    sink(merged, path).map_err(|error| match error {
        // The rows could not be read or written: they cannot be looked through either.
        PolarsError::IO { .. } => EngineError::Merge(error),
        error => overflow(&rows, measures).unwrap_or(EngineError::Merge(error)),
    })
}

/// The sum for which a merge has failed, if it was for one.
fn overflow(rows: &LazyFrame, measures: &[Measure]) -> Option<EngineError> {
    let (measure, row) = beyond_decimal(rows, &KEYS, measures, SCALE).ok()??;
    let text = |key| Some(row.column(key).ok()?.str().ok()?.get(0)?.to_owned());
    Some(EngineError::Overflow {
        measure: measure.name.clone(),
        store_id: text(STORE)?,
        item_id: text(ITEM)?,
        trans_date: from_days(row.column(DATE).ok()?.date().ok()?.physical().get(0)?),
    })
}

fn sink(frame: LazyFrame, path: &Path) -> PolarsResult<()> {
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
