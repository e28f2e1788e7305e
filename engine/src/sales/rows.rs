//! The rows of one unit of lines, before they are written to the converted file.

use std::path::Path;

use arrow_schema::{DataType, Field, Schema};

use crate::date::from_days;
use crate::error::EngineError;
use crate::key::Key;
use crate::layout::Measure;
use crate::parquet_form::{Chunk, Column, Form, TypedFile};
use crate::rows::{Row, decimal};
use crate::symbols::Texts;

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

/// The rows of one unit.
///
/// The processor cannot predict well whether a line is a row or ignored, so there is no branch on it: each line is written
/// behind the rows so far, whose number grows only by rows. A row is written as one; its columns are told apart later.
#[derive(Default)]
pub(super) struct UnitRows {
    /// The rows, and room for more.
    rows: Vec<UnitRow>,
    count: usize,
}

/// A row of a unit.
#[derive(Clone, Copy, Default)]
pub(super) struct UnitRow {
    pub(super) key: Key,
    pub(super) cents: i64,
    /// The line number within the unit, from 1.
    pub(super) line: u32,
    /// The number of the measure that sums the amount.
    pub(super) measure: u32,
}

/// Room for rows is made for so many at first.
const FIRST_ROOM: usize = 1024;

/// The rows of a unit, encoded except for their line numbers, which depend on the units before.
pub(crate) struct EncodedRows {
    lines: Vec<i64>,
    others: Vec<Chunk>,
}

impl UnitRows {
    /// Adds a row, or nothing if the line is none.
    #[inline(always)]
    pub(super) fn push(&mut self, row: UnitRow, is_row: bool) {
        if self.count == self.rows.len() {
            self.make_room();
        }
        self.rows[self.count] = row;
        self.count += usize::from(is_row);
    }

    #[cold]
    fn make_room(&mut self) {
        let room = (self.rows.len() * 2).max(FIRST_ROOM);
        self.rows.resize(room, UnitRow::default());
    }

    /// Takes the rows as they are.
    pub(super) fn take(&mut self, (stores, items): (&Texts, &Texts), measures: &[Measure]) -> Vec<Row> {
        let row = |row: &UnitRow| Row {
            line_number: row.line.into(),
            store_id: stores.get(row.key.store()).to_owned(),
            amount: row.cents,
            code: measures[row.measure as usize].code,
            item_id: items.get(row.key.item()).to_owned(),
            trans_date: from_days(row.key.day()),
        };
        self.rows[..std::mem::take(&mut self.count)]
            .iter()
            .map(row)
            .collect()
    }

    /// Encodes the rows and clears them. Returns `None` if there are none.
    pub(super) fn encode(
        &mut self,
        form: &Form,
        (stores, items): (&Texts, &Texts),
        measures: &[Measure],
        path: &Path,
    ) -> Result<Option<EncodedRows>, EngineError> {
        let rows = &self.rows[..self.count];
        self.count = 0;
        if rows.is_empty() {
            return Ok(None);
        }
        fn column<T>(rows: &[UnitRow], of: impl Fn(&UnitRow) -> T) -> Vec<T> {
            rows.iter().map(of).collect()
        }
        let others = form.encode(
            1,
            &[
                Column::Texts {
                    texts: stores,
                    numbers: &column(rows, |row| row.key.store()),
                },
                Column::Near(&column(rows, |row| row.cents)),
                Column::Few(&column(rows, |row| measures[row.measure as usize].code)),
                Column::Texts {
                    texts: items,
                    numbers: &column(rows, |row| row.key.item()),
                },
                Column::Few(&column(rows, |row| row.key.day())),
            ],
            path,
        )?;
        let lines = column(rows, |row| i64::from(row.line));
        Ok(Some(EncodedRows { lines, others }))
    }
}

impl EncodedRows {
    /// Appends the rows of a unit that comes after `lines_before` lines.
    pub(super) fn write(
        mut self,
        form: &Form,
        lines_before: u64,
        file: &mut TypedFile,
    ) -> Result<(), EngineError> {
        for line in &mut self.lines {
            *line += lines_before as i64;
        }
        let mut chunks = form.encode(0, &[Column::Near(&self.lines)], file.path())?;
        chunks.extend(self.others);
        file.append(chunks)
    }
}
