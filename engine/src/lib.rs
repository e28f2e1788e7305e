//! Pure data processing: feed layouts, conversion, rejects, partials, summaries, Parquet.
//!
//! Nothing here uses a network or a database, or reads an environment variable: files come in as readers, settings as
//! values. [`convert`] turns a submitted file into typed rows, rejects and a partial; [`summarize`] merges the partials
//! of a run into its summary.

mod amount;
mod archives;
mod budget;
mod containers;
mod content_hash;
mod convert;
mod date;
mod error;
mod feed_lines;
mod fields;
mod findings;
mod formats;
mod from_rows;
mod guards;
mod header;
mod key;
mod kinds;
mod layout;
mod merge;
mod other_forms;
mod parquet_form;
mod partial;
mod pattern;
mod position;
mod radix;
#[cfg(test)]
mod read_back;
pub mod reading;
mod records;
mod reference;
mod rejects;
mod report;
mod rows;
mod sales;
mod scan;
mod scratch;
#[cfg(test)]
mod short_forms_tests;
mod short_text;
mod span;
mod summarize;
mod summing;
mod sums;
mod survey;
mod symbols;
mod text;
mod text_file;
mod values;

pub use amount::format_cents;
pub use archives::{Archive, ArchiveError, Batch, Batches, Member, MemberContent, has_archive_name};
pub use budget::{Budget, Share};
pub use containers::check_unpacked;
pub use content_hash::{HashingReader, content_hash};
pub use convert::{Conversion, Outcome, Outputs, Previewed, convert, convert_in_order, preview};
pub use date::day_number;
pub use error::EngineError;
pub use from_rows::partial_of_rows;
pub use guards::{FeedGuards, LateLines, SecondFile};
pub use layout::{
    Captured, FeedKind, FeedLayout, FeedSpec, FieldSpec, FormatWord, HeaderNames, HeaderRule, LayoutError,
    Measure, MeasureSpec, ProfileSpec, ReferenceLayout, SalesLayout, SheetSpec, Supersede, Through,
};
pub use merge::{DayEffect, FileDays, Selection, kept_days};
pub use partial::Partial;
pub use pattern::{Captures, FilePattern, NearMiss, NearMisses, PatternError};
pub use position::PositionSpec;
pub use records::{
    CarriedSpec, Empty, FinalNewline, KindSpec, LineEnds, RecordRules, RecordsSpec, TotalPosition,
    TrailerSpec,
};
pub use rejects::{Reason, Reject, read_rejects};
pub use report::{ConversionReport, Header};
pub use rows::{Row, rows_of_key};
pub use scratch::Scratch;
pub use span::parse_span;
pub use summarize::{
    EmptiedDay, RunPartial, SummaryOutputs, SummaryReport, absent_measures, summarize, summarize_parts,
};
pub use sums::{
    DayLines, DaySums, ExactTotals, StoreDays, add_exact_totals, covers_day, stored_days, sums_by_day,
};
pub use survey::{ColumnSurvey, Survey, survey};
pub use values::{
    IdCase, IdZeros, IdsSpec, Ignore, NegativeForm, NoAmount, OtherCodes, Rounding, ValueRules, ValuesSpec,
};
