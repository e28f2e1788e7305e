//! The lines of a reference feed, such as an item master: text that is validated and kept, but not aggregated.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use crate::error::EngineError;
use crate::feed_lines::{FeedLines, Finished, LineOutcome};
use crate::fields::Fields;
use crate::header::ColumnName;
use crate::layout::ReferenceLayout;
use crate::other_forms::Form;
use crate::rejects::Reason;
use crate::text_file::TextFile;

pub(crate) struct ReferenceLines<'l> {
    layout: &'l ReferenceLayout,
    /// The position of each column in a line.
    positions: Vec<usize>,
    /// How many leading fields of a line are read.
    wanted: usize,
    /// The rows of the current unit, if a converted file is written.
    unit: Option<UnitRows>,
}

/// The rows of one unit, column by column.
pub(crate) struct UnitRows {
    lines: Vec<u32>,
    columns: Vec<StringBuilder>,
}

impl UnitRows {
    fn new(columns: usize) -> Self {
        Self {
            lines: Vec::new(),
            columns: (0..columns).map(|_| StringBuilder::new()).collect(),
        }
    }
}

impl<'l> ReferenceLines<'l> {
    pub(crate) fn new(
        layout: &'l ReferenceLayout,
        converted: Option<&Path>,
    ) -> Result<(Self, Option<TextFile>), EngineError> {
        let columns = &layout.columns;
        let mut fields = vec![Field::new("line_number", DataType::Int64, false)];
        fields.extend(columns.iter().map(|name| Field::new(name, DataType::Utf8, false)));
        let file = converted
            .map(|path| TextFile::create(path, Schema::new(fields)))
            .transpose()?;
        let unit = file.as_ref().map(|_| UnitRows::new(columns.len()));
        let lines = Self {
            layout,
            positions: (0..columns.len()).collect(),
            wanted: columns.len(),
            unit,
        };
        Ok((lines, file))
    }
}

impl FeedLines for ReferenceLines<'_> {
    type Written = UnitRows;
    type File = TextFile;

    fn another(&self) -> Self {
        Self {
            layout: self.layout,
            positions: self.positions.clone(),
            wanted: self.wanted,
            unit: self
                .unit
                .as_ref()
                .map(|_| UnitRows::new(self.layout.columns.len())),
        }
    }

    fn wanted(&self) -> usize {
        self.wanted
    }

    fn needed(&self) -> &[ColumnName] {
        &self.layout.names
    }

    fn positions(&self) -> Vec<usize> {
        self.positions.clone()
    }

    fn move_columns(&mut self, positions: &[usize]) {
        self.positions = positions.to_vec();
        self.wanted = positions.iter().fold(0, |last, position| last.max(*position)) + 1;
    }

    fn has_header_values(&self, _: &Fields) -> bool {
        false
    }

    fn has_data_values(&self, _: &Fields) -> bool {
        false
    }

    /// Every text is well-formed here, the names of columns too.
    fn reads_headers(&self) -> bool {
        true
    }

    fn doubt(&mut self, _: &Fields) {}

    fn settles_doubt(&self) -> bool {
        false
    }

    fn is_well_formed(&self, fields: &Fields) -> bool {
        fields.len() >= self.wanted
    }

    fn carry(&mut self, _: usize, _: &[u8]) {}

    fn cents(&self, _: &Fields) -> Option<i64> {
        None
    }

    fn other_form<'f>(&self, _: Reason, _: &'f Fields) -> Option<(&'f [u8], Option<Form>)> {
        None
    }

    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome {
        if fields.len() < self.wanted {
            return LineOutcome::Reject(Reason::MissingColumn);
        }
        let mut texts = Vec::with_capacity(self.layout.columns.len());
        for position in &self.positions {
            match std::str::from_utf8(fields.get(*position).unwrap_or_default()) {
                Ok(text) if !text.contains(['\0', '\u{feff}']) => texts.push(text),
                _ => return LineOutcome::Reject(Reason::ReferenceText),
            }
        }
        if let Some(unit) = &mut self.unit {
            unit.lines.push(number);
            for (column, text) in unit.columns.iter_mut().zip(texts) {
                column.append_value(text);
            }
        }
        LineOutcome::WellFormed { is_row: true }
    }

    fn end_unit(&mut self) -> Result<Option<UnitRows>, EngineError> {
        let rows = self.unit.as_mut().filter(|unit| !unit.lines.is_empty());
        Ok(rows.map(|unit| std::mem::replace(unit, UnitRows::new(self.layout.columns.len()))))
    }

    fn write(&self, mut rows: UnitRows, lines_before: u64, file: &mut TextFile) -> Result<(), EngineError> {
        let mut numbers = Int64Builder::with_capacity(rows.lines.len());
        for line in &rows.lines {
            numbers.append_value((lines_before + u64::from(*line)) as i64);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers.finish())];
        columns.extend(
            rows.columns
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        file.write(|schema| RecordBatch::try_new(schema, columns))
    }

    fn finish(_: Vec<Self>, file: Option<TextFile>) -> Result<Option<Finished>, EngineError> {
        match file {
            Some(file) => file.finish().map(|()| None),
            None => Ok(None),
        }
    }
}
