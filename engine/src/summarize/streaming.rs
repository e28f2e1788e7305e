//! Merging partials that memory should not hold, from their files, with Polars' streaming engine.

use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;

use super::{Adding, RunPartial, SummaryOutputs, merged};
use crate::error::EngineError;
use crate::layout::{Measure, SalesLayout, Supersede};

const STORE: &str = "store_id";
const ITEM: &str = "item_id";
const DATE: &str = "trans_date";
/// The order of submission, while partials of several files are compared.
const ORDER: &str = "submission order";

/// The amounts in Parquet are decimal(18,2).
const ADDING: Adding = Adding::Decimals(2);

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
    let summary = merged(with_item, &[STORE, ITEM, DATE], &layout.measures, ADDING);
    let days = [STORE, DATE];
    let coverage = rows
        .select(days.map(col))
        .unique(None, UniqueKeepStrategy::Any)
        .sort(days, SortMultipleOptions::default());
    sink(summary, outputs.summary)?;
    sink(coverage, outputs.coverage)
}

/// Writes files in the form of a partial as one partial.
pub(crate) fn merge_files(files: &[&Path], measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    let rows = scan(files.iter().copied())?;
    sink(merged(rows, &[STORE, ITEM, DATE], measures, ADDING), path)
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
