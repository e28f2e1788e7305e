//! The first records of a file beside what becomes of each: the same decisions as in a conversion, one by one.

use std::io::Read;

use serde::Serialize;

use super::lines::Lines;
use super::{Opened, open};
use crate::containers;
use crate::error::EngineError;
use crate::feed_lines::FeedLines;
use crate::formats::{self, Reading, Record, Records};
use crate::layout::{FeedKind, FeedLayout, Format};
use crate::reference::ReferenceLines;
use crate::rows::Row;
use crate::sales::SalesLines;
use crate::scratch::Scratch;

/// The longest text of a record that is kept, in bytes.
const LONGEST: usize = 4096;

/// A record, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Previewed {
    /// Its number, from 1.
    pub line: u64,
    /// Its text as it stands in the file, decoded; the beginning of a long one.
    pub text: String,
    /// What it is.
    pub outcome: Outcome,
    /// Why it is a reject.
    pub reason: Option<&'static str>,
    /// The rows of a sales feed that it gives: one, or one for each amount where amounts stand side by side.
    pub rows: Vec<Row>,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A row.
    Row,
    /// Well-formed, but nothing asks for its code.
    Ignored,
    /// Blank, a comment, a header, or of a kind that is no row.
    Skipped,
    /// It failed validation.
    Reject,
}

/// Reads the first `most` records of a file, and nothing behind them. A first line that the rest of the file may show to
/// be data is shown as skipped, if it looks like a header. What cannot be unpacked has no records.
pub fn preview(
    input: impl Read + Send,
    layout: &FeedLayout,
    scratch: Scratch<'_>,
    most: usize,
) -> Result<Vec<Previewed>, EngineError> {
    let preview = Preview {
        layout,
        scratch,
        most,
    };
    let previewed = match open(input, layout) {
        Err(error) => Err(EngineError::Read(error)),
        Ok(Opened::Text { text, is_decoded }) => preview.records(formats::open(text, layout), is_decoded),
        Ok(Opened::Table(bytes)) => match &layout.format {
            Format::Table(table) => formats::open_table(bytes, (table, layout), scratch.folder, preview),
            _ => Ok(Vec::new()),
        },
        Ok(Opened::Foreign(_) | Opened::Archive) => Ok(Vec::new()),
    };
    match previewed {
        Err(EngineError::Read(error)) if containers::unreadable(&error).is_some() => Ok(Vec::new()),
        previewed => previewed,
    }
}

/// How records are looked at.
struct Preview<'c> {
    layout: &'c FeedLayout,
    scratch: Scratch<'c>,
    most: usize,
}

impl Reading<Vec<Previewed>> for Preview<'_> {
    fn read(self, records: Box<dyn Records + '_>) -> Result<Vec<Previewed>, EngineError> {
        self.records(records, true)
    }
}

impl Preview<'_> {
    fn records(
        &self,
        records: Box<dyn Records + '_>,
        is_decoded: bool,
    ) -> Result<Vec<Previewed>, EngineError> {
        let layout = self.layout;
        match &layout.kind {
            FeedKind::Sales(sales) => {
                let (mut lines, _) = SalesLines::new(sales, None, self.scratch, is_decoded)?;
                lines.keep_rows()?;
                let lines = Lines::new(layout, lines, true);
                read(records, lines, self.most, SalesLines::take_rows)
            }
            FeedKind::Reference(columns) => {
                let (lines, _) = ReferenceLines::new(columns, None)?;
                read(records, Lines::new(layout, lines, true), self.most, |_| {
                    Vec::new()
                })
            }
        }
    }
}

fn read<L: FeedLines>(
    mut records: Box<dyn Records + '_>,
    mut lines: Lines<'_, L>,
    most: usize,
    mut rows: impl FnMut(&mut L) -> Vec<Row>,
) -> Result<Vec<Previewed>, EngineError> {
    let is_open = records.names().is_none_or(|names| lines.take_names(&names));
    if !is_open {
        return Ok(Vec::new());
    }
    let positions = lines.read_positions();
    records.select(Some(&positions)).map_err(EngineError::Read)?;
    let mut record = Record::default();
    let mut found = Vec::new();
    while found.len() < most {
        match records.next(&mut record) {
            Err(error) if containers::unreadable(&error).is_some() => break,
            Err(error) => return Err(EngineError::Read(error)),
            Ok(false) => break,
            Ok(true) => {}
        }
        let kept = &record.text[..record.text.len().min(LONGEST)];
        let text = String::from_utf8_lossy(kept)
            .trim_start_matches('\u{feff}')
            .to_owned();
        let (rows_before, ignored_before) = (lines.report.rows, lines.report.ignored);
        lines.record(&mut record, 0..0);
        let reject = lines.rejects.pop().map(|(_, reason, _)| reason.text());
        lines.clear_output();
        let outcome = if reject.is_some() {
            Outcome::Reject
        } else if lines.report.rows > rows_before {
            Outcome::Row
        } else if lines.report.ignored > ignored_before {
            Outcome::Ignored
        } else {
            Outcome::Skipped
        };
        found.push(Previewed {
            line: found.len() as u64 + 1,
            text,
            outcome,
            reason: reject,
            rows: rows(&mut lines.feed),
        });
    }
    Ok(found)
}
