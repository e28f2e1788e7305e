//! Tables: their cells have types, and their columns names, so that only the sheet and the roles are to be found.

use std::path::Path;

use super::Way;
use super::delimited::Line;
use super::grid::{self, ColumnPosition, Grid};
use super::sample::Sample;
use crate::error::EngineError;
use crate::fields::Typed;
use crate::formats::{self, Reading, Record, Records};
use crate::layout::{FeedLayout, FeedSpec, Format, FormatWord, SheetSpec};
use crate::text::MAX_LINE;

/// The most sheets of a workbook that are looked at.
const MOST_SHEETS: usize = 20;

/// What one sheet of all samples, or the one table of each, holds.
pub(super) struct Found {
    pub(super) way: Way,
    pub(super) grid: Grid,
    pub(super) positions: Vec<ColumnPosition>,
    /// For each position, how many values are numbers.
    pub(super) typed: Vec<u64>,
}

/// Reads the tables that samples are, all of them of one format.
pub(super) fn read(samples: &[Sample], format: FormatWord, most: usize) -> Vec<Found> {
    let sheets = if format == FormatWord::Xlsx {
        MOST_SHEETS
    } else {
        1
    };
    let mut found = Vec::new();
    for sheet in 1..=sheets {
        let mut rows = Rows {
            lines: Vec::new(),
            typed: Vec::new(),
            file: 0,
            most,
        };
        let is_read = |(file, sample): (usize, &Sample)| {
            rows.file = file;
            read_one(sample, format, sheet, &mut rows).is_some()
        };
        // There are no more sheets, at least in one of them.
        if !samples.iter().enumerate().all(is_read) {
            break;
        }
        let grid = grid::of_table(&rows.lines);
        found.push(Found {
            way: Way::Table { format, sheet },
            positions: (1..=grid.width).map(ColumnPosition::Column).collect(),
            typed: rows.typed,
            grid,
        });
    }
    found
}

/// Returns what is read of a table, or `None` if there is no such sheet, or if the table cannot be read.
fn read_one(sample: &Sample, format: FormatWord, sheet: usize, rows: &mut Rows) -> Option<()> {
    let spec = FeedSpec {
        format,
        columns: Vec::new(),
        sheet: (format == FormatWord::Xlsx).then_some(SheetSpec::Number(sheet)),
        ..FeedSpec::default()
    };
    let layout = FeedLayout::new(&spec).ok()?;
    let Format::Table(table) = &layout.format else {
        return None;
    };
    // Samples are small enough to be held in memory: nothing is written to a folder.
    formats::open_table(&sample.bytes[..], (table, &layout), Path::new(""), rows).ok()
}

/// The rows that were read, as lines.
struct Rows {
    lines: Vec<Line>,
    typed: Vec<u64>,
    file: usize,
    most: usize,
}

impl Reading<()> for &mut Rows {
    fn read(self, mut records: Box<dyn Records + '_>) -> Result<(), EngineError> {
        let mut number = 0;
        let names = records.names();
        if let Some(names) = names {
            number += 1;
            self.lines.push(Line {
                file: self.file,
                number,
                text: names.join("\t"),
                fields: Some(names),
            });
        }
        records.select(None).map_err(EngineError::Read)?;
        let mut record = Record::default();
        while number < self.most as u64 && records.next(&mut record).map_err(EngineError::Read)? {
            number += 1;
            let is_whole =
                record.fault.is_none() && record.too_long.is_none() && record.text.len() < MAX_LINE;
            let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            let fields: Vec<String> = record.fields.iter().map(text).collect();
            self.typed.resize(self.typed.len().max(fields.len()), 0);
            for (at, count) in self.typed.iter_mut().enumerate().take(fields.len()) {
                *count += u64::from(record.fields.typed(at) == Typed::Number);
            }
            self.lines.push(Line {
                file: self.file,
                number,
                text: text(&record.text),
                fields: is_whole.then_some(fields),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use crate::infer::{Sample, Wanted, infer};

    fn settings(names: &[&str], bytes: &[u8]) -> (String, Vec<String>) {
        let samples: Vec<Sample> = names
            .iter()
            .map(|name| Sample::read(name, bytes, 1 << 20).unwrap())
            .collect();
        let wanted = Wanted {
            feed: "sales".to_owned(),
            profile: None,
        };
        let found = infer(&samples, &wanted);
        (found.settings, found.questions)
    }

    fn parquet(rows: usize) -> Vec<u8> {
        let all = |at: usize| (0..rows).map(move |row| (row * at) as i32);
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "Day",
                Arc::new(Date32Array::from_iter_values(all(1).map(|day| 16_953 + day % 30))),
            ),
            ("store", Arc::new(Int32Array::from(vec![1001; rows]))),
            (
                "Net Amount",
                Arc::new(Float64Array::from_iter_values(all(7).map(|n| f64::from(n) / 4.0))),
            ),
            (
                "code",
                Arc::new(Int32Array::from_iter_values(all(1).map(|code| 4 + code % 3))),
            ),
            (
                "item",
                Arc::new(StringArray::from_iter_values(
                    all(1).map(|n| format!("SKU{}", n % 5)),
                )),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn the_columns_of_a_table_are_found_by_their_names_and_types() {
        let (settings, questions) = settings(&["IL-1001.parquet"], &parquet(200));
        assert_eq!(questions, [""; 0], "{settings}");
        for line in [
            "format = \"parquet\"",
            "store_id = [\"store\"]",
            "amount = [\"Net Amount\"]",
            "trans_date = [\"Day\"]",
            "item_id = [\"item\"]",
        ] {
            assert!(settings.contains(line), "{line} is not in {settings}");
        }
        for key in ["columns", "scale", "dates", "delimiter", "header_line"] {
            assert!(
                !settings.contains(&format!("\n{key} = ")),
                "{key} is in {settings}"
            );
        }
    }

    #[test]
    fn a_damaged_table_and_one_of_another_format_are_told() {
        let bytes = parquet(50);
        let (_, questions) = settings(&["IL-1001.parquet"], &bytes[..bytes.len() / 2]);
        assert!(!questions.is_empty());
        let text = b"1001\t2.50\t4\tCOLA\t2016-06-01\n".repeat(30);
        let samples = [
            Sample::read("a.parquet", &bytes[..], 1 << 20).unwrap(),
            Sample::read("b.tdf", &text[..], 1 << 20).unwrap(),
        ];
        let wanted = Wanted {
            feed: "sales".to_owned(),
            profile: None,
        };
        let questions = infer(&samples, &wanted).questions.concat();
        assert!(
            questions.contains("b.tdf: it is text, but a.parquet is not"),
            "{questions}"
        );
    }
}
