//! Tables: their cells have types, and their columns names, so that only the sheet and the roles are to be found.

use gristmill_engine::reading::read_table;
use gristmill_engine::{FeedLayout, FeedSpec, FormatWord, SheetSpec};

use crate::Way;
use crate::delimited::Line;
use crate::grid::{self, ColumnPosition, Grid};
use crate::sample::Sample;

/// The most sheets of a workbook that are looked at.
const MOST_SHEETS: usize = 20;

/// What one sheet of all samples, or the one table of each, holds.
pub(crate) struct Found {
    pub(crate) way: Way,
    pub(crate) grid: Grid,
    pub(crate) positions: Vec<ColumnPosition>,
    /// For each position, how many values are numbers.
    pub(crate) typed: Vec<u64>,
}

/// Reads the tables that samples are, all of them of one format.
pub(crate) fn read(samples: &[Sample], format: FormatWord, most: usize) -> Vec<Found> {
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
            most,
        };
        let is_read = |(file, sample): (usize, &Sample)| rows.add(file, sample, format, sheet).is_some();
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

/// The rows that were read, as lines.
struct Rows {
    lines: Vec<Line>,
    typed: Vec<u64>,
    /// How many are read of each table.
    most: usize,
}

impl Rows {
    /// Adds those of a table. Returns `None` if there is no such sheet, or if the table cannot be read.
    fn add(&mut self, file: usize, sample: &Sample, format: FormatWord, sheet: usize) -> Option<()> {
        let spec = FeedSpec {
            format,
            columns: Vec::new(),
            sheet: (format == FormatWord::Xlsx).then_some(SheetSpec::Number(sheet)),
            ..FeedSpec::default()
        };
        let layout = FeedLayout::new(&spec).ok()?;
        let mut rows: Vec<(String, Option<Vec<String>>)> = Vec::new();
        let names = read_table(&sample.bytes, &layout, self.most, |record| {
            let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            let fields: Vec<String> = record.fields().map(text).collect();
            self.typed.resize(self.typed.len().max(fields.len()), 0);
            for (at, count) in self.typed.iter_mut().enumerate().take(fields.len()) {
                *count += u64::from(record.is_number(at));
            }
            rows.push((text(record.text()), record.is_whole().then_some(fields)));
        });
        let names = names.ok()?.map(|names| (names.join("\t"), Some(names)));
        let lines = names.into_iter().chain(rows).zip(1..);
        self.lines.extend(lines.map(|((text, fields), number)| Line {
            file,
            number,
            text,
            fields,
        }));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use crate::{Sample, Wanted, infer};

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
