//! The rows of one unit of lines, before they are written to the converted file.

use std::path::Path;

use arrow_schema::{DataType, Field, Schema};

use crate::date::from_days;
use crate::error::EngineError;
use crate::parquet_form::{Chunk, Column, Form, Table};
use crate::partial::Key;
use crate::rows::{Row, decimal};
use crate::symbols::{Symbol, Texts};

/// Returns the columns of a converted file.
pub(super) fn form() -> Result<Form, EngineError> {
    Form::new(&Schema::new(vec![
        Field::new("line_number", DataType::Int64, false),
        Field::new("store_id", DataType::Utf8, false),
        Field::new("amount", decimal(), false),
        Field::new("code", DataType::Int32, false),
        Field::new("item_id", DataType::Utf8, false),
        Field::new("trans_date", DataType::Date32, false),
    ]))
}

/// The rows of one unit, column by column.
#[derive(Default)]
pub(super) struct UnitRows {
    /// The line numbers within the unit, from 1.
    lines: Vec<i64>,
    stores: Vec<Symbol>,
    cents: Vec<i64>,
    codes: Vec<i32>,
    items: Vec<Symbol>,
    dates: Vec<i32>,
}

/// The rows of a unit, encoded except for their line numbers, which depend on the units before.
pub(crate) struct EncodedRows {
    lines: Vec<i64>,
    others: Vec<Chunk>,
}

impl UnitRows {
    #[inline(always)]
    pub(super) fn push(&mut self, line: u32, cents: i64, code: i32, key: Key) {
        self.lines.push(i64::from(line));
        self.stores.push(key.store());
        self.cents.push(cents);
        self.codes.push(code);
        self.items.push(key.item());
        self.dates.push(key.day());
    }

    /// Takes the rows as they are.
    pub(super) fn take(&mut self, (stores, items): (&Texts, &Texts)) -> Vec<Row> {
        let taken = std::mem::take(self);
        let row = |at: usize| Row {
            line_number: taken.lines[at].unsigned_abs(),
            store_id: stores.get(taken.stores[at]).to_owned(),
            amount: taken.cents[at],
            code: taken.codes[at],
            item_id: items.get(taken.items[at]).to_owned(),
            trans_date: from_days(taken.dates[at]),
        };
        (0..taken.lines.len()).map(row).collect()
    }

    /// Encodes the rows and clears them. Returns `None` if there are none.
    pub(super) fn encode(
        &mut self,
        form: &Form,
        (stores, items): (&Texts, &Texts),
        path: &Path,
    ) -> Result<Option<EncodedRows>, EngineError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let columns = [
            Column::Texts {
                texts: stores,
                numbers: &self.stores,
            },
            Column::Near(&self.cents),
            Column::Few(&self.codes),
            Column::Texts {
                texts: items,
                numbers: &self.items,
            },
            Column::Few(&self.dates),
        ];
        let others = form.encode(1, &columns, path)?;
        let lines = self.lines.clone();
        self.lines.clear();
        self.stores.clear();
        self.cents.clear();
        self.codes.clear();
        self.items.clear();
        self.dates.clear();
        Ok(Some(EncodedRows { lines, others }))
    }
}

impl EncodedRows {
    /// Appends the rows of a unit that comes after `lines_before` lines.
    pub(super) fn write(
        mut self,
        form: &Form,
        lines_before: u64,
        table: &mut Table,
    ) -> Result<(), EngineError> {
        for line in &mut self.lines {
            *line += lines_before as i64;
        }
        let mut chunks = form.encode(0, &[Column::Near(&self.lines)], table.path())?;
        chunks.extend(self.others);
        table.append(chunks)
    }
}
