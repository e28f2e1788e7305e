//! Positions in a record, as the settings name them.

use serde::{Deserialize, Serialize};

/// A position in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected { column = 1 }, or for fixed positions { start = 1, length = 8 }"
)]
pub enum PositionSpec {
    /// A column, from 1.
    Column {
        /// Its number.
        column: usize,
    },
    /// Characters.
    Characters {
        /// The first one, from 1.
        start: usize,
        /// How many.
        length: usize,
    },
}
