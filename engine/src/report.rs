//! The report of a conversion.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::error::EngineError;
use crate::findings::Findings;
use crate::layout::FeedLayout;
use crate::records::{Empty, FinalNewline};
use crate::rejects::Reason;
use crate::sums::DayLines;

/// The counts of one file version, and whether it is accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversionReport {
    /// The file's size in bytes.
    pub bytes: u64,
    /// Lines of every kind.
    pub lines: u64,
    /// Lines that became typed rows.
    pub rows: u64,
    /// Well-formed lines with a code that no measure uses.
    pub ignored: u64,
    /// Blank lines, comments, headers, titles above a header, and what stands behind the end of the file's text.
    pub skipped: u64,
    /// Skipped lines that would be well-formed: they begin as comments do, or stand above the header.
    pub skipped_rows: u64,
    /// Lines behind a Ctrl-Z that have text. They are among the skipped ones.
    pub lines_behind_end: u64,
    /// Whether the last line has an end: if not, the file may have been cut. Yes for an empty file.
    pub last_line_ended: bool,
    /// Rows whose amount had more than two decimal places, and was rounded.
    pub rounded: u64,
    /// Lines that failed validation.
    pub rejects: u64,
    /// Lines with more columns than are read.
    pub drift_lines: u64,
    /// Whether the first line was a header, and how the columns were found.
    pub header: Header,
    /// The earliest business day among the rows.
    pub first_date: Option<Date>,
    /// The latest business day among the rows.
    pub last_date: Option<Date>,
    /// What the rows report of each store and day, in their order.
    pub days: Vec<DayLines>,
    /// The number of rejects by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Why the file is rejected as a whole; `None` when it is accepted.
    pub rejected_because: Option<String>,
    /// What was found in the file as a whole.
    pub(crate) findings: Findings,
}

/// How the columns of a file were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// By position: the file has no header.
    #[default]
    None,
    /// By name: the header names all columns.
    ByName,
    /// By position: the file has a header, but its names do not count.
    ByPosition,
}

impl ConversionReport {
    /// Makes the report of a file whose lines were not counted: it is rejected as a whole for this reason.
    pub fn rejected(reason: String) -> Self {
        Self {
            rejected_because: Some(reason),
            ..Self::default()
        }
    }

    /// Returns whether the file has no record that says anything, apart from a header.
    pub fn is_without_records(&self) -> bool {
        self.rows + self.ignored + self.rejects == 0
    }

    /// Adds the counts of other lines of the same file.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            bytes: _,
            lines,
            rows,
            ignored,
            skipped,
            skipped_rows,
            lines_behind_end: _,
            last_line_ended: _,
            rounded: _,
            rejects,
            drift_lines,
            header,
            first_date: _,
            last_date: _,
            days: _,
            reasons,
            rejected_because: _,
            findings,
        } = other;
        self.lines += lines;
        self.rows += rows;
        self.ignored += ignored;
        self.skipped += skipped;
        self.skipped_rows += skipped_rows;
        self.findings.add_counts(findings);
        self.rejects += rejects;
        self.drift_lines += drift_lines;
        if *header != Header::None {
            self.header = *header;
        }
        for (reason, count) in reasons {
            *self.reasons.entry(*reason).or_default() += count;
        }
    }

    /// Takes the first line, which was taken for a header, for data that is rejected.
    pub(crate) fn take_for_data(&mut self, reason: Reason) {
        self.skipped -= 1;
        self.rejects += 1;
        *self.reasons.entry(reason).or_default() += 1;
        self.header = Header::None;
    }

    /// Checks that every line was counted exactly once, and decides whether the file is accepted.
    pub(crate) fn conclude(&mut self, layout: &FeedLayout) -> Result<(), EngineError> {
        let Self {
            lines,
            rows,
            ignored,
            skipped,
            rejects,
            ..
        } = *self;
        if lines != rows + ignored + skipped + rejects {
            return Err(EngineError::Conservation(format!(
                "{lines} lines, but {rows} rows + {ignored} ignored + {skipped} skipped + {rejects} rejects"
            )));
        }
        let max_reject_percent = layout.max_reject_percent;
        let share = 100.0 * rejects as f64 / lines.max(1) as f64;
        let is_without_records = self.is_without_records();
        self.rejected_because = if let Some(found) = self.findings.rejected_because() {
            Some(found)
        } else if layout.records.final_newline == FinalNewline::Required && !self.last_line_ended {
            Some(
                "its last line does not end, so the file was cut (records.final_newline = \"required\")"
                    .to_owned(),
            )
        } else if is_without_records && layout.records.empty == Empty::NoSales {
            None
        } else if lines == 0 {
            Some("it is empty".to_owned())
        } else if share > max_reject_percent {
            Some(format!(
                "{rejects} of {lines} lines are rejects ({share:.1} %, more than {max_reject_percent} %)"
            ))
        } else if rows + ignored == 0 {
            Some("it has no rows".to_owned())
        } else {
            None
        };
        Ok(())
    }
}
