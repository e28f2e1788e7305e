//! Sums by store, item and date: as they are added up, as sorted rows, and as files in the form of a partial.

mod amounts;
mod by_day;
mod days;
mod file;
mod key_table;
pub(crate) mod order;
mod read;
mod rows;
mod table;
mod totals;

pub use self::by_day::{DaySums, sums_by_day};
pub(crate) use self::days::DayTotals;
pub use self::days::{DayLines, stored_days};
pub(crate) use self::file::{PartialFile, write};
pub use self::read::covers_day;
pub(crate) use self::read::{PartialReader, StoreRows, symbols};
pub(crate) use self::rows::Rows;
pub(crate) use self::table::{SumTable, Sums};
pub use self::totals::{ExactTotals, StoreDays, add_exact_totals};
