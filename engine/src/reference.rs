//! The lines of a reference feed, such as an item master: text that is validated and kept, but not aggregated.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

use crate::convert::{FeedLines, Finished, LineOutcome};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::rejects::Reason;
use crate::report::Header;
use crate::scan::Line;
use crate::text_file::TextFile;

pub(crate) struct ReferenceLines<'l> {
    columns: &'l [String],
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
        columns: &'l [String],
        converted: Option<&Path>,
    ) -> Result<(Self, Option<TextFile>), EngineError> {
        let mut fields = vec![Field::new("line_number", DataType::Int64, false)];
        fields.extend(columns.iter().map(|name| Field::new(name, DataType::Utf8, false)));
        let file = converted
            .map(|path| TextFile::create(path, Schema::new(fields)))
            .transpose()?;
        let unit = file.as_ref().map(|_| UnitRows::new(columns.len()));
        Ok((Self { columns, unit }, file))
    }
}

impl FeedLines for ReferenceLines<'_> {
    type Written = UnitRows;
    type File = TextFile;

    fn another(&self) -> Self {
        Self {
            columns: self.columns,
            unit: self.unit.as_ref().map(|_| UnitRows::new(self.columns.len())),
        }
    }

    fn wanted(&self) -> usize {
        self.columns.len()
    }

    fn is_header(&self, fields: &Fields) -> bool {
        fields.len() >= self.columns.len()
            && self
                .columns
                .iter()
                .zip(fields.iter())
                .all(|(name, text)| is_name(text, name))
    }

    fn learn(&mut self, names: &[&[u8]]) -> Header {
        let is_by_name = names.len() >= self.columns.len()
            && self
                .columns
                .iter()
                .zip(names)
                .all(|(name, text)| is_name(text, name));
        if is_by_name {
            Header::ByName
        } else {
            Header::ByPosition
        }
    }

    fn add_plain<const MAY_BE_ODD: bool>(&mut self, _: u32, _: Line<'_>) -> Option<LineOutcome> {
        None
    }

    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome {
        if fields.len() < self.columns.len() {
            return LineOutcome::Reject(Reason::MissingColumn);
        }
        let mut texts = Vec::with_capacity(self.columns.len());
        for field in fields.iter().take(self.columns.len()) {
            match std::str::from_utf8(field) {
                Ok(text) if !text.contains('\0') => texts.push(text),
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
        Ok(rows.map(|unit| std::mem::replace(unit, UnitRows::new(self.columns.len()))))
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

/// Returns whether a header's field is the name of a column, ignoring letter case.
fn is_name(text: &[u8], name: &str) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}
