//! Which amounts a summary lacks altogether: the sign of a code that the settings name and no file has.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::EngineError;

/// The columns before the measures: store, item and date.
const KEY_COLUMNS: usize = 3;

/// Returns the amount columns that are NULL in every row of a summary; none if it has no rows. It reads the footer alone.
pub fn absent_measures(summary: &Path) -> Result<Vec<String>, EngineError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| EngineError::Parquet {
        action: "read",
        path: summary.to_owned(),
        source,
    };
    let file = File::open(summary).map_err(|error| failed(error.into()))?;
    let reader = SerializedFileReader::new(file).map_err(|error| failed(error.into()))?;
    let metadata = reader.metadata();
    let rows: u64 = metadata.file_metadata().num_rows().unsigned_abs();
    if rows == 0 {
        return Ok(Vec::new());
    }
    let columns = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .enumerate();
    let is_absent = |column: usize| {
        let nulls = metadata.row_groups().iter().map(|group| {
            let statistics = group.column(column).statistics();
            statistics.and_then(|statistics| statistics.null_count_opt())
        });
        nulls.sum::<Option<u64>>() == Some(rows)
    };
    Ok(columns
        .skip(KEY_COLUMNS)
        .filter(|(column, _)| is_absent(*column))
        .map(|(_, descriptor)| descriptor.name().to_owned())
        .collect())
}
