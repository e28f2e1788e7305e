//! Tables: their cells have types, and their columns names, so that only the sheet and the roles are to be found.

use std::path::Path;

use super::Way;
use super::delimited::Line;
use super::grid::{self, Grid, Place};
use super::sample::Sample;
use crate::convert::MAX_LINE;
use crate::error::EngineError;
use crate::fields::Typed;
use crate::formats::{self, Reading, Record, Records};
use crate::layout::{FeedLayout, FeedSpec, Format, FormatWord, SheetSpec};

/// The most sheets of a workbook that are looked at.
const MOST_SHEETS: usize = 20;

/// What one sheet of all samples, or the one table of each, holds.
pub(super) struct Found {
    pub(super) way: Way,
    pub(super) grid: Grid,
    pub(super) places: Vec<Place>,
    /// For each place, how many values are numbers.
    pub(super) typed: Vec<u64>,
}

/// Reads the tables that samples are, all of them of one format.
pub(super) fn read(samples: &[Sample], format: &'static str, most: usize) -> Vec<Found> {
    let sheets = if format == "xlsx" { MOST_SHEETS } else { 1 };
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
            places: (1..=grid.width).map(Place::Column).collect(),
            typed: rows.typed,
            grid,
        });
    }
    found
}

/// Returns what is read of a table, or `None` if there is no such sheet, or if the table cannot be read.
fn read_one(sample: &Sample, format: &str, sheet: usize, rows: &mut Rows) -> Option<()> {
    let spec = FeedSpec {
        format: match format {
            "dbf" => FormatWord::Dbf,
            "parquet" => FormatWord::Parquet,
            _ => FormatWord::Xlsx,
        },
        columns: Vec::new(),
        sheet: (format == "xlsx").then_some(SheetSpec::Number(sheet)),
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
