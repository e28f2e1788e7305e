//! What reads single records and values, for the crate `gristmill-infer`, which tries ways of reading before there is a
//! layout. All of it belongs to the modules that conversions use, so both read alike; here it is only exported.

pub use crate::archives::is_archive;
pub use crate::containers::{unpacked, unreadable};
pub use crate::date::{DateFormat, from_days};
pub use crate::formats::{Record, Value, json_objects, read_delimited, read_table};
pub use crate::header::is_name;
pub use crate::kinds::{refusal, table_format};
pub use crate::layout::Delimited;
pub use crate::text::Ebcdic;
pub use crate::values::{Amount, AmountRule, DateRule, trimmed, without_blanks};
