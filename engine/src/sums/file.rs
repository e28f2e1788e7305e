//! Writes the Parquet of a partial.

use std::ops::Range;
use std::path::Path;

use arrow_schema::{DataType, Field, Schema};

use super::rows::Rows;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form::{Chunk, Column, Form, ROW_GROUP_ROWS, TypedFile};
use crate::rows::decimal;

/// Returns the columns of a partial.
pub(super) fn schema(measures: &[Measure]) -> Schema {
    let mut fields = vec![
        Field::new("store_id", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, true),
        Field::new("trans_date", DataType::Date32, false),
    ];
    fields.extend(
        measures
            .iter()
            .map(|measure| Field::new(&measure.name, decimal(), true)),
    );
    Schema::new(fields)
}

pub(crate) fn write(rows: &Rows, measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    let mut file = PartialFile::create(path, measures)?;
    file.append(rows)?;
    file.finish()
}

/// A partial that is being written.
pub(crate) struct PartialFile {
    form: Form,
    file: TypedFile,
}

impl PartialFile {
    pub(crate) fn create(path: &Path, measures: &[Measure]) -> Result<Self, EngineError> {
        let form = Form::new(&schema(measures))?;
        Ok(Self {
            file: form.create(path)?,
            form,
        })
    }

    /// Appends rows whose stores sort after those already written.
    pub(crate) fn append(&mut self, rows: &Rows) -> Result<(), EngineError> {
        for start in (0..rows.keys.len()).step_by(ROW_GROUP_ROWS) {
            let group = start..rows.keys.len().min(start + ROW_GROUP_ROWS);
            let chunks = encode(rows, group, &self.form, self.file.path())?;
            self.file.append(chunks)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), EngineError> {
        self.file.finish()
    }
}

/// Encodes a row group of a partial.
fn encode(rows: &Rows, group: Range<usize>, form: &Form, path: &Path) -> Result<Vec<Chunk>, EngineError> {
    let keys = &rows.keys[group.clone()];
    let stores: Vec<u32> = keys.iter().map(|key| key.store()).collect();
    let items: Vec<u32> = keys.iter().map(|key| key.item()).collect();
    let dates: Vec<i32> = keys.iter().map(|key| key.day()).collect();
    let sums: Vec<[&[i64]; 1]> = rows.sums.iter().map(|sums| [&sums[group.clone()]]).collect();
    let mut columns = vec![
        Column::Texts {
            texts: &rows.stores,
            numbers: &stores,
        },
        Column::Texts {
            texts: &rows.items,
            numbers: &items,
        },
        Column::Few(&dates),
    ];
    columns.extend(sums.iter().map(|sums| Column::Sums(sums)));
    form.encode(0, &columns, path)
}
