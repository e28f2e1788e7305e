//! What a conversion found.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::error::EngineError;
use crate::rejects::Reason;

/// The counts of one file version, and what they lead to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversionReport {
    /// The file's size.
    pub bytes: u64,
    /// Every line, of whatever sort.
    pub lines: u64,
    /// Lines that became typed rows.
    pub rows: u64,
    /// Well-formed lines with a code that is not asked for.
    pub ignored: u64,
    /// Blank lines, comments and the header.
    pub skipped: u64,
    /// Lines that failed validation.
    pub rejects: u64,
    /// Lines with more columns than the feed names.
    pub drift_lines: u64,
    /// Whether the first line was a header, and how columns were found then.
    pub header: Header,
    /// The earliest business day among rows and ignored lines.
    pub first_date: Option<Date>,
    /// The latest one.
    pub last_date: Option<Date>,
    /// How many rejects each reason has.
    pub reasons: BTreeMap<Reason, u64>,
    /// Why the file is rejected as a whole; `None` when it is accepted.
    pub rejected_because: Option<String>,
}

/// How the columns of a file were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It has no header; by position.
    #[default]
    None,
    /// Its header names all columns; by name.
    ByName,
    /// It has a header whose names are not the feed's; by position.
    ByPosition,
}

impl ConversionReport {
    /// Adds the counts of other lines of the same file.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            bytes: _,
            lines,
            rows,
            ignored,
            skipped,
            rejects,
            drift_lines,
            header,
            first_date: _,
            last_date: _,
            reasons,
            rejected_because: _,
        } = other;
        self.lines += lines;
        self.rows += rows;
        self.ignored += ignored;
        self.skipped += skipped;
        self.rejects += rejects;
        self.drift_lines += drift_lines;
        if *header != Header::None {
            self.header = *header;
        }
        for (reason, count) in reasons {
            *self.reasons.entry(*reason).or_default() += count;
        }
    }

    /// Checks the conservation law, and decides whether the file counts.
    pub(crate) fn judge(&mut self, max_reject_percent: f64) -> Result<(), EngineError> {
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
        let share = 100.0 * rejects as f64 / lines.max(1) as f64;
        self.rejected_because = if lines == 0 {
            Some("it is empty".to_owned())
        } else if share > max_reject_percent {
            Some(format!(
                "{rejects} of {lines} lines are rejects ({share:.1} %, more than {max_reject_percent} %)"
            ))
        } else if rows + ignored == 0 {
            Some("it has no row".to_owned())
        } else {
            None
        };
        Ok(())
    }
}
