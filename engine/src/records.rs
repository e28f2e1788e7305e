//! The `[feed.records]` table: how the files of a feed are cut into records, and which records count.
//!
//! [`RecordsSpec`] is what a person writes; [`RecordRules`] is the same, checked and ready to use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::position::PositionSpec;

/// A `[feed.records]` table as written in the settings file. What is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsSpec {
    /// What ends a line.
    pub ends: Option<LineEnds>,
    /// Lines that begin with one of these texts are skipped.
    pub skip: Option<Vec<String>>,
    /// Whether the last line must end as the others do.
    pub final_newline: Option<FinalNewline>,
    /// What a file without lines, or with nothing but a header, means.
    pub empty: Option<Empty>,
    /// How records of several kinds are told apart.
    pub kind: Option<KindSpec>,
    /// The record that says how many there are.
    pub trailer: Option<TrailerSpec>,
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

/// How records of several kinds in one file are told apart. Its other keys are the fields that the rows take from
/// records of another kind before them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct KindSpec {
    /// The position of the kind: its column, from 1.
    pub column: Option<usize>,
    /// The position of the kind: its first character, from 1.
    pub start: Option<usize>,
    /// The position of the kind: how many characters it has.
    pub length: Option<usize>,
    /// The kinds that are rows.
    pub rows: Vec<String>,
    /// The kinds that are skipped.
    #[serde(default)]
    pub skip: Vec<String>,
    /// The fields that come from records of another kind.
    #[serde(flatten)]
    pub fields: BTreeMap<String, CarriedSpec>,
}

/// A field that comes from a record of another kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedSpec {
    /// The kind of that record.
    pub kind: String,
    /// The position of the field: its column, from 1.
    pub column: Option<usize>,
    /// The position of the field: its first character, from 1.
    pub start: Option<usize>,
    /// The position of the field: how many characters it has.
    pub length: Option<usize>,
}

/// The record that says how many rows there are, or what their amounts sum up to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrailerSpec {
    /// How its line begins.
    pub begins: String,
    /// Where it says how many rows there are.
    #[serde(default)]
    pub lines: Option<TotalPosition>,
    /// Where it says what their amounts sum up to.
    #[serde(default)]
    pub sum: Option<TotalPosition>,
}

/// The position of a total: a column, from 1, or characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "expected a column such as 2, or for fixed positions { start = 1, length = 8 }"
)]
pub enum TotalPosition {
    /// A column.
    Column(usize),
    /// Either. Digests have the name of this variant, so it stays.
    Place(PositionSpec),
}

impl From<TotalPosition> for PositionSpec {
    fn from(position: TotalPosition) -> Self {
        match position {
            TotalPosition::Column(column) => Self::Column { column },
            TotalPosition::Place(position) => position,
        }
    }
}

impl RecordsSpec {
    /// Returns this table with what it leaves out taken from another one.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self {
            ends: self.ends.or(other.ends),
            skip: self.skip.clone().or_else(|| other.skip.clone()),
            final_newline: self.final_newline.or(other.final_newline),
            empty: self.empty.or(other.empty),
            kind: self.kind.clone().or_else(|| other.kind.clone()),
            trailer: self.trailer.clone().or_else(|| other.trailer.clone()),
        }
    }

    /// Returns the texts with which lines begin that are skipped.
    pub(crate) fn skip(&self) -> Vec<String> {
        self.skip.clone().unwrap_or_else(|| vec!["--".into()])
    }
}

/// A checked `[feed.records]` table, without the positions in it.
#[derive(Clone, Debug)]
pub struct RecordRules {
    /// Lines that begin with one of these are skipped.
    pub skip: Vec<Box<[u8]>>,
    /// Whether the last line must end as the others do.
    pub final_newline: FinalNewline,
    /// What a file without lines, or with nothing but a header, means.
    pub empty: Empty,
}

/// How records of several kinds are told apart, with the positions found.
#[derive(Clone, Debug)]
pub(crate) struct KindRule {
    /// The position of the field with the kind, from 0.
    pub(crate) position: usize,
    pub(crate) rows: Vec<Box<[u8]>>,
    pub(crate) skip: Vec<Box<[u8]>>,
    pub(crate) carried: Vec<CarriedRule>,
}

/// A field that comes from a record of another kind.
#[derive(Clone, Debug)]
pub(crate) struct CarriedRule {
    /// The number of the input that it gives.
    pub(crate) input: usize,
    pub(crate) kind: Box<[u8]>,
    /// Its position there, from 0.
    pub(crate) position: usize,
}

/// The record with totals, with the positions found.
#[derive(Clone, Debug)]
pub(crate) struct TrailerRule {
    pub(crate) begins: Box<[u8]>,
    /// Positions from 0.
    pub(crate) lines: Option<usize>,
    pub(crate) sum: Option<usize>,
}

impl RecordRules {
    /// Checks the table. `Err` says what is wrong with `skip`.
    pub(crate) fn new(spec: &RecordsSpec) -> Result<Self, String> {
        let skip = spec.skip();
        for mark in &skip {
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
            final_newline: spec.final_newline.unwrap_or_default(),
            empty: spec.empty.unwrap_or_default(),
        })
    }

    /// Returns whether a line begins with a text that has it skipped.
    pub(crate) fn skips(&self, line: &[u8]) -> bool {
        self.skip.iter().any(|mark| line.starts_with(mark))
    }
}
