//! The guards: whether a version comes into force, and which of its days count.
//!
//! They compare what a version reports of each store and day with what stands for it. What would silently lower or
//! double what a store has reported is held until a person decides, or until a whole file comes. This module decides;
//! it knows neither SQL nor jobs. `docs/decisions/0055-what-is-held.md` has the cases.

mod decide;
mod holdings;
mod rules;
#[cfg(test)]
mod tests;
mod verdict;

use jiff::civil::Date;

pub(crate) use self::decide::{decide, other_store};
pub(crate) use self::holdings::{Holdings, Touched};
pub use self::rules::{Guards, Late, SameDay, SameJob};
pub(crate) use self::verdict::{Candidate, DayVerdict, Decision, TakenOver};

use crate::day::VersionDay;

/// What a version of a file has to do with one store and day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) file_id: i64,
    pub(crate) file_url: String,
    /// The store and the business day in the file's name.
    pub(crate) named_store: Option<String>,
    pub(crate) named_date: Option<Date>,
    /// When the file was written.
    pub(crate) modified_ns: i64,
    pub(crate) version_id: i64,
    /// The version's newest day.
    pub(crate) newest: Option<Date>,
    pub(crate) standing: Standing,
    /// The submission that made it so.
    pub(crate) since: i64,
    /// Why it is held.
    pub(crate) reason: Option<String>,
    /// The file that gives the day instead.
    pub(crate) other_file_id: Option<i64>,
    /// The store and day, and what the version reports of it.
    pub(crate) day: VersionDay,
}

crate::text::words! {
    /// Whether what a version reports of a store and day counts.
    Standing {
        /// It is what the file reports of the day.
        Stands = "STANDS",
        /// Likewise, and runs must read it whichever version is in force.
        Counts = "COUNTS",
        /// It does not count until a person accepts it.
        Held = "HELD",
        /// A person took it out.
        Withdrawn = "WITHDRAWN",
        /// Another file gives the day now.
        Replaced = "REPLACED",
    }
}

impl Standing {
    /// Returns whether the warehouse shows it.
    pub fn counts(self) -> bool {
        matches!(self, Self::Stands | Self::Counts)
    }
}
