//! Writes the Parquet of a partial.

use std::path::Path;

use arrow_schema::{DataType, Field, Schema};

use super::rows::Rows;
use crate::amount::ABSENT;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form::{Chunk, Column, Form, NO_TEXT, ROW_GROUP_ROWS, Table};
use crate::rows::decimal;

/// Returns the columns of a partial.
fn schema(measures: &[Measure]) -> Schema {
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

pub(super) fn write(rows: &Rows, measures: &[Measure], path: &Path) -> Result<(), EngineError> {
    let mut file = PartialFile::create(path, measures)?;
    file.append(rows)?;
    file.finish()
}

/// A partial that is being written.
pub(crate) struct PartialFile {
    form: Form,
    table: Table,
}

impl PartialFile {
    pub(crate) fn create(path: &Path, measures: &[Measure]) -> Result<Self, EngineError> {
        let form = Form::new(&schema(measures))?;
        Ok(Self {
            table: form.create(path)?,
            form,
        })
    }

    /// Appends rows whose stores sort after those already written.
    pub(crate) fn append(&mut self, rows: &Rows) -> Result<(), EngineError> {
        // Within a store, its ignored days come before its items, because NULL sorts before texts.
        let mut days = rows.ignored_days.as_slice();
        let mut start = 0;
        while start < rows.keys.len() || !days.is_empty() {
            let mut columns = Columns::default();
            while columns.stores.len() < ROW_GROUP_ROWS {
                let day = days
                    .first()
                    .filter(|day| rows.keys.get(start).is_none_or(|key| day.store() <= key.store()));
                match (day, rows.keys.get(start)) {
                    (Some(day), _) => {
                        columns.push(day.store(), NO_TEXT, day.day());
                        days = &days[1..];
                    }
                    (None, Some(key)) => {
                        columns.push(key.store(), key.item(), key.day());
                        columns.rows.push(start);
                        start += 1;
                    }
                    (None, None) => break,
                }
            }
            let chunks = columns.encode(rows, &self.form, self.table.path())?;
            self.table.append(chunks)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), EngineError> {
        self.table.finish()
    }
}

/// A row group of a partial.
#[derive(Default)]
struct Columns {
    stores: Vec<u32>,
    items: Vec<u32>,
    dates: Vec<i32>,
    /// The rows that have amounts: those with an item, in order.
    rows: Vec<usize>,
}

impl Columns {
    fn push(&mut self, store: u32, item: u32, date: i32) {
        self.stores.push(store);
        self.items.push(item);
        self.dates.push(date);
    }

    fn encode(&self, rows: &Rows, form: &Form, path: &Path) -> Result<Vec<Chunk>, EngineError> {
        let mut amounts: Vec<Vec<i64>> = rows
            .sums
            .iter()
            .map(|_| Vec::with_capacity(self.items.len()))
            .collect();
        let mut sources = self.rows.iter();
        for item in &self.items {
            let source = (*item != NO_TEXT).then(|| sources.next()).flatten();
            for (column, sums) in amounts.iter_mut().zip(&rows.sums) {
                column.push(source.map_or(ABSENT, |row| sums[*row]));
            }
        }
        let mut columns = vec![
            Column::Texts {
                texts: &rows.stores,
                numbers: &self.stores,
            },
            Column::Texts {
                texts: &rows.items,
                numbers: &self.items,
            },
            Column::Few(&self.dates),
        ];
        let amounts: Vec<[&[i64]; 1]> = amounts.iter().map(|sums| [sums.as_slice()]).collect();
        columns.extend(amounts.iter().map(|sums| Column::Sums(sums)));
        form.encode(0, &columns, path)
    }
}
