//! Merges sums: Polars adds up what several files hold of one key, as far as it counts.

mod add_up;
mod batch;
mod files;
mod kept;
mod ranges;
mod selection;

pub(crate) use self::batch::{Batch, Input, Segment};
pub(crate) use self::files::merge_files;
pub use self::kept::{FileDays, kept_days};
pub(crate) use self::ranges::merge_in_ranges;
pub use self::selection::{DayEffect, Selection};
