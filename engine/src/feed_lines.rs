//! What a kind of feed does with the lines of a file, whichever format they are in: sales are summed, references are kept
//! as text.

use crate::error::EngineError;
use crate::fields::Fields;
use crate::formats::{Batch, Cell};
use crate::header::ColumnName;
use crate::other_forms::Form;
use crate::partial::Partial;
use crate::rejects::Reason;
use crate::scan::{Line, Marked};
use crate::sums::DayLines;

/// How one thread reads the lines of one kind of feed: what they mean, and where their values go.
pub(crate) trait FeedLines: Send + Sized {
    /// What the lines of one unit add to the converted file.
    type Written: Send;
    /// The converted file.
    type File: Send;

    /// Returns a reader of the same columns for another thread, which has read nothing yet.
    fn another(&self) -> Self;
    /// Returns how many leading fields of a line are read.
    fn wanted(&self) -> usize;
    /// Returns the names of the columns that a header must name.
    fn needed(&self) -> &[ColumnName];
    /// Returns the positions of those columns, in their order.
    fn positions(&self) -> Vec<usize>;
    /// Returns the positions of all fields that are read.
    fn read_positions(&self) -> Vec<usize> {
        Vec::new()
    }
    /// Reads further lines with the columns at other positions.
    fn move_columns(&mut self, positions: &[usize]);
    /// Returns whether the values of the first line are those of a header, whatever the names in it.
    fn has_header_values(&self, fields: &Fields) -> bool;
    /// Returns whether the values of a line with such values are those of data all the same.
    fn has_data_values(&self, fields: &Fields) -> bool;
    /// Returns whether a line that is no reject may be a header.
    fn reads_headers(&self) -> bool;
    /// Remembers the ids of a line, to find out whether others have them too.
    fn doubt(&mut self, fields: &Fields);
    /// Returns whether a line that was read has one of those ids.
    fn settles_doubt(&self) -> bool;
    /// Returns whether a line, given its fields, would be well-formed.
    fn is_well_formed(&self, fields: &Fields) -> bool;
    /// Takes a value that records of another kind give to the rows behind them.
    fn carry(&mut self, input: usize, text: &[u8]);
    /// Returns the amount of a record in cents, if it has one that can be read.
    fn cents(&self, fields: &Fields) -> Option<i64>;
    /// Returns the text that a line was rejected for, if it has one, and the known other form of that text.
    fn other_form<'f>(&self, reason: Reason, fields: &'f Fields) -> Option<(&'f [u8], Option<Form>)>;
    /// Looks up what many lines will need, all at once, if that is worthwhile. They are those that
    /// [`FeedLines::add_plain`] gets next.
    fn look_ahead<const MAY_BE_ODD: bool>(&mut self, _lines: Marked<'_>) -> bool {
        false
    }
    /// Adds a line by reading it in place; returns `None` if it is not plain enough for that. The line has no NUL.
    /// Without `MAY_BE_ODD`, it has neither a quote nor a CR either. With `IS_AHEAD`, `place` is its place among the lines
    /// that were looked up.
    fn add_plain<const MAY_BE_ODD: bool, const IS_AHEAD: bool>(
        &mut self,
        _number: u32,
        _place: usize,
        _line: Line<'_>,
    ) -> Option<LineOutcome> {
        None
    }
    /// Adds an object of JSON whose fields stand at `cells` of a text with room around it. Returns `None` if it must be
    /// added by [`FeedLines::add`].
    fn add_cells(&mut self, _number: u32, _text: &[u8], _cells: &[Cell]) -> Option<LineOutcome> {
        None
    }
    /// Reads the columns of rows that come next, as far as their types allow.
    fn read_batch(&mut self, _batch: &Batch<'_>) {}
    /// Adds a row of these columns. Returns `None` if it must be added by [`FeedLines::add`].
    fn add_row(&mut self, _number: u32, _row: usize) -> Option<LineOutcome> {
        None
    }
    /// Adds a line, given its fields. `number` is the line's position in its unit, from 1.
    fn add(&mut self, number: u32, fields: &Fields) -> LineOutcome;
    /// Ends a unit of lines, and returns what is to be written for it.
    fn end_unit(&mut self) -> Result<Option<Self::Written>, EngineError>;
    /// Writes the output of a unit that comes after `lines_before` lines.
    fn write(
        &self,
        written: Self::Written,
        lines_before: u64,
        file: &mut Self::File,
    ) -> Result<(), EngineError>;
    /// Combines what all threads have read, and finishes the converted file.
    fn finish(threads: Vec<Self>, file: Option<Self::File>) -> Result<Option<Finished>, EngineError>;
}

/// What the lines of a sales feed add up to.
pub(crate) struct Finished {
    pub(crate) partial: Partial,
    /// One entry for each store and day, in their order.
    pub(crate) days: Vec<DayLines>,
    /// Rows whose amount was rounded.
    pub(crate) rounded: u64,
}

/// The outcome of a line.
pub(crate) enum LineOutcome {
    /// It is well-formed: a row if a measure uses its code, otherwise ignored.
    WellFormed {
        is_row: bool,
    },
    Reject(Reason),
}
