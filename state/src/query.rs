//! What somebody asked the views of the state database, and got.

use serde::{Deserialize, Serialize};

/// A view, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRow {
    /// Its name.
    pub name: String,
    /// What it tells, in a sentence or two.
    pub about: String,
    /// Its columns, in their order.
    pub columns: Vec<String>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// NULL
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text. Bytes are written as `x'…'`.
    Text(String),
}

/// The rows of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Each with a value for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Whether there were more rows than are answered at once.
    pub has_more: bool,
}
