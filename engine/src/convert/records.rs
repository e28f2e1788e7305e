//! Reads the records of any format but plain text, in their order, on one thread.

use std::path::Path;

use super::conversion::Conversion;
use super::lines::Lines;
use super::reader::{Files, UnitOutput, finish, write};
use crate::error::EngineError;
use crate::feed_lines::FeedLines;
use crate::findings::Findings;
use crate::formats::{Record, Records};
use crate::layout::FeedLayout;
use crate::rejects::RejectWriter;

/// Bytes of records after which what they yield is written.
const UNIT: usize = 1 << 20;

/// Reads all records.
pub(super) fn read<L: FeedLines>(
    mut records: Box<dyn Records + '_>,
    layout: &FeedLayout,
    rejects: Option<&Path>,
    feed: L,
    file: Option<L::File>,
) -> Result<Conversion, EngineError> {
    let mut files = Files {
        converted: file,
        rejects: rejects.map(RejectWriter::new),
        findings: Findings::default(),
    };
    let mut lines = Lines::new(layout, feed, files.rejects.is_some());
    let mut is_open = match records.names() {
        None => true,
        Some(names) => lines.take_names(&names),
    };
    if is_open {
        let positions = lines.read_positions();
        records.select(Some(&positions)).map_err(EngineError::Read)?;
    }
    let mut record = Record::default();
    // The records of a unit whose text is kept until it is known which of them are rejects to write.
    let mut unit = Vec::new();
    loop {
        let (mut bytes, mut too_long) = (0, None);
        unit.clear();
        lines.number = 0;
        // A record that is too long is a unit of its own, so that its length is known where it is written.
        while is_open && bytes < UNIT && too_long.is_none() {
            is_open = records.next(&mut record).map_err(EngineError::Read)?;
            if !is_open {
                break;
            }
            let start = unit.len();
            unit.extend_from_slice(&record.text);
            too_long = record.too_long;
            let rejects_before = lines.rejects.len();
            lines.record(&mut record, start..unit.len());
            bytes += record.text.len() + 1;
            if lines.rejects.len() == rejects_before {
                unit.truncate(start);
            }
        }
        let lines_before = lines.report.lines;
        lines.report.lines += u64::from(lines.number);
        let output = UnitOutput {
            text: &unit,
            too_long,
            written: lines.feed.end_unit()?,
        };
        write(&lines, output, lines_before, &mut files)?;
        lines.clear_output();
        if !is_open {
            break;
        }
    }
    finish(vec![lines], files, records.ending(), layout)
}
