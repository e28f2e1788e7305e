//! The values that are read of a point-of-sale record, and where each comes from.

use super::spec::Captured;
use crate::header::ColumnName;

/// The numbers of the inputs that every layout has, in the order of [`NEEDED_COLUMNS`]. Those of measures with fields
/// of their own follow.
pub(crate) const STORE: usize = 0;
pub(crate) const AMOUNT: usize = 1;
pub(crate) const CODE: usize = 2;
pub(crate) const ITEM: usize = 3;
pub(crate) const TRANS_DATE: usize = 4;
pub(crate) const MEASURES: usize = 5;

/// One value of a record.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// What it is called in the settings.
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A field of the record.
    Field {
        /// The names that a header may give it; none if it has a position only.
        name: Option<ColumnName>,
        /// Its position, from 0; `None` if only a header says it.
        position: Option<usize>,
    },
    /// The same text in all records of a file.
    Given(Box<[u8]>),
    /// What the file's name says.
    Capture(Captured),
    /// A record of another kind.
    Carried,
    /// There is none.
    Absent,
}
