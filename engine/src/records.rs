//! The `[feed.records]` table: how the files of a feed are cut into lines, and which lines count.
//!
//! [`RecordsSpec`] is what a person writes; [`RecordRules`] is the same, checked and ready to use.

use serde::{Deserialize, Serialize};

/// A `[feed.records]` table as written in the settings file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsSpec {
    /// What ends a line.
    pub ends: LineEnds,
    /// Lines that begin with one of these texts are skipped.
    pub skip: Vec<String>,
    /// Whether the last line must end as the others do.
    pub final_newline: FinalNewline,
    /// What a file without lines, or with nothing but a header, means.
    pub empty: Empty,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnds {
    /// LF, CR LF, CR and CR CR LF, also mixed in one file.
    #[default]
    Any,
}

/// Whether the last line must end as the others do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalNewline {
    /// It may lack its end.
    #[default]
    Optional,
    /// A file whose last line does not end is rejected as a whole: it was cut.
    Required,
}

/// What a file without lines, or with nothing but a header, means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// Nothing that can be relied on: it is rejected as a whole.
    #[default]
    Reject,
    /// The store sold nothing: it is valid.
    NoSales,
}

impl Default for RecordsSpec {
    fn default() -> Self {
        Self {
            ends: LineEnds::Any,
            skip: vec!["--".into()],
            final_newline: FinalNewline::Optional,
            empty: Empty::Reject,
        }
    }
}

/// A checked `[feed.records]` table.
#[derive(Clone, Debug)]
pub struct RecordRules {
    /// Lines that begin with one of these are skipped.
    pub skip: Vec<Box<[u8]>>,
    /// Whether the last line must end as the others do.
    pub final_newline: FinalNewline,
    /// What a file without lines, or with nothing but a header, means.
    pub empty: Empty,
}

impl RecordRules {
    /// Checks the table. `Err` says what is wrong with `skip`.
    pub(crate) fn new(spec: &RecordsSpec) -> Result<Self, String> {
        let RecordsSpec {
            ends: LineEnds::Any,
            skip,
            final_newline,
            empty,
        } = spec;
        for mark in skip {
            if mark.is_empty() {
                return Err("has an empty text, with which every line begins: leave it out".into());
            }
            if mark.starts_with('"') || mark.contains(char::is_control) {
                return Err(format!(
                    "has {mark:?}: a text may not begin with a quote, and may not hold control characters"
                ));
            }
        }
        Ok(Self {
            skip: skip.iter().map(|mark| mark.as_bytes().into()).collect(),
            final_newline: *final_newline,
            empty: *empty,
        })
    }

    /// Returns whether a line begins with a text that has it skipped.
    pub(crate) fn skips(&self, line: &[u8]) -> bool {
        self.skip.iter().any(|mark| line.starts_with(mark))
    }
}
