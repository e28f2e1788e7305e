//! Reads the units of a file, on one thread or several.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use super::Conversion;
use super::controls::Controls;
use super::line_ends::unify;
use super::lines::Lines;
use super::objects::read_objects;
use super::turns::Turns;
use super::units::{LONG_LINE_KEPT, LineEnds, MAX_LINE, Unit, Units};
use super::whole_text::WholeText;
use crate::error::EngineError;
use crate::fields::Fields;
use crate::findings::Findings;
use crate::formats::{Batch, Cell, Ending, LONGEST_OBJECT, Objects};
use crate::header::ColumnName;
use crate::layout::{FeedLayout, Format};
use crate::other_forms::Form;
use crate::partial::{DayLines, Partial};
use crate::rejects::{Reason, RejectWriter};
use crate::report::ConversionReport;
use crate::scan::{Line, Marked, Marks, first_part};

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

/// A file that is being read.
pub(super) struct Reading<'c> {
    units: Mutex<Units<Text<'c>>>,
    layout: &'c FeedLayout,
    rejects: Option<RejectWriter>,
    order: Order,
}

type Text<'c> = WholeText<Box<dyn Read + Send + 'c>>;

/// In which order the lines of a file are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By all threads that have nothing else to do.
    Any,
    /// By one thread, from the first to the last. A header in mid-file then moves the columns of the lines behind it.
    OfLines,
}

/// What threads write to in turn.
pub(super) struct Files<F> {
    pub(super) converted: Option<F>,
    pub(super) rejects: Option<RejectWriter>,
    pub(super) findings: Findings,
}

/// What the lines of one unit have to write.
pub(super) struct UnitOutput<'u, W> {
    /// The text in which rejects stand.
    pub(super) text: &'u [u8],
    /// The length of the one line of the unit, if it is too long.
    pub(super) too_long: Option<u64>,
    pub(super) written: Option<W>,
}

/// A thread that reads.
struct Thread<'c, L> {
    unit: Unit,
    finder: Finder<'c>,
    read: Lines<'c, L>,
}

/// What finds the fields of a unit.
enum Finder<'c> {
    /// Of plain lines.
    Marks(Marks),
    /// Of lines that are objects of JSON.
    Objects(Objects<'c>),
}

impl<'c> Finder<'c> {
    fn new(layout: &'c FeedLayout) -> Self {
        match &layout.format {
            Format::Json(json) => Self::Objects(Objects::new(json)),
            _ => Self::Marks(Marks::new(layout.plain_delimiter().unwrap_or_default())),
        }
    }
}

impl<'c> Reading<'c> {
    pub(super) fn new(
        text: Box<dyn Read + Send + 'c>,
        unit: usize,
        layout: &'c FeedLayout,
        rejects: Option<&Path>,
        order: Order,
    ) -> Self {
        let ends = match layout.format {
            Format::Json(_) => LineEnds::Lf {
                longest: LONGEST_OBJECT,
            },
            _ => LineEnds::Any,
        };
        Self {
            units: Mutex::new(Units::new(WholeText::new(text), unit, ends)),
            layout,
            rejects: rejects.map(RejectWriter::new),
            order,
        }
    }

    /// Reads the whole file.
    pub(super) fn read<L: FeedLines>(
        self,
        lines: L,
        file: Option<L::File>,
    ) -> Result<Conversion, EngineError> {
        let Self {
            units,
            layout,
            rejects,
            order,
        } = self;
        let mut first = Thread::new(layout, lines, rejects.is_some());
        let turns = Turns::new(Files {
            converted: file,
            rejects,
            findings: Findings::default(),
        });
        // The first line that is not skipped decides the positions of the columns.
        while !first.read.is_past_first && first.read_next(&units, &turns)? {}
        let threads = Mutex::new(Vec::new());
        let run = |mut thread: Thread<'c, L>| {
            let outcome = loop {
                match thread.read_next(&units, &turns) {
                    Ok(true) => {}
                    Ok(false) => break Ok(thread),
                    Err(error) => {
                        // The other threads need not read the rest of a file that has failed.
                        units.lock().expect("no holder panics").stop();
                        break Err(error);
                    }
                }
            };
            threads.lock().expect("no holder panics").push(outcome);
        };
        let threads_wanted = match order {
            Order::Any if !is_at_end(&units) => rayon::current_num_threads(),
            Order::Any | Order::OfLines => 1,
        };
        if threads_wanted == 1 {
            run(first);
        } else {
            first.read.reads_alone = false;
            let others: Vec<_> = (1..threads_wanted).map(|_| first.another()).collect();
            rayon::in_place_scope(|scope| {
                for other in others {
                    let run = &run;
                    scope.spawn(move |_| run(other));
                }
                run(first);
            });
        }
        let threads = threads.into_inner().expect("no holder panics");
        // A thread that gave up because another had failed has no error of its own.
        let threads = threads.into_iter().collect::<Result<Vec<_>, _>>()?;
        let units = units.into_inner().expect("no holder panics");
        let (text, is_unfinished) = units.into_input();
        let behind = text.behind();
        let ending = Ending {
            lines: behind.lines,
            with_text: behind.with_text,
            is_ended: !is_unfinished || behind.is_marked,
            fault: None,
        };
        let threads = threads.into_iter().map(|thread| thread.read).collect();
        finish(threads, turns.into_writer(), ending, layout)
    }
}

/// Puts together what threads have read.
pub(super) fn finish<L: FeedLines>(
    threads: Vec<Lines<'_, L>>,
    files: Files<L::File>,
    ending: Ending,
    layout: &FeedLayout,
) -> Result<Conversion, EngineError> {
    let Files {
        converted,
        mut rejects,
        mut findings,
    } = files;
    let mut report = ConversionReport::default();
    let mut feeds = Vec::new();
    let mut is_past_first = false;
    for thread in threads {
        is_past_first |= thread.is_past_first;
        report.add(&thread.report);
        findings.control(thread.controls.and_then(Controls::fault));
        feeds.push(thread.feed);
    }
    report.lines += ending.lines;
    report.skipped += ending.lines;
    report.lines_behind_end = ending.with_text;
    report.last_line_ended = ending.is_ended;
    findings.control(ending.fault);
    if let Some(line) = layout.header_line.filter(|_| !is_past_first) {
        findings.lacks_header_line(line);
    }
    let is_data = feeds.iter().any(L::settles_doubt);
    if let Some((number, text)) = findings.settle_doubt(is_data) {
        report.take_for_data(Reason::Amount);
        if let Some(rejects) = &mut rejects {
            rejects.push(number, Reason::Amount, &text)?;
        }
    }
    findings.add_counts(&report.findings);
    report.findings = findings;
    let partial = L::finish(feeds, converted)?.map(
        |Finished {
             partial,
             days,
             rounded,
         }| {
            report.rounded = rounded;
            report.first_date = days.iter().map(|day| day.trans_date).min();
            report.last_date = days.iter().map(|day| day.trans_date).max();
            report.days = days;
            partial
        },
    );
    if let Some(rejects) = rejects {
        rejects.finish()?;
    }
    Ok(Conversion { report, partial })
}

fn is_at_end<R: Read>(units: &Mutex<Units<R>>) -> bool {
    units.lock().expect("no holder panics").is_at_end()
}

impl<'c, L: FeedLines> Thread<'c, L> {
    fn new(layout: &'c FeedLayout, feed: L, keeps_rejects: bool) -> Self {
        Self {
            unit: Unit::new(),
            finder: Finder::new(layout),
            read: Lines::new(layout, feed, keeps_rejects),
        }
    }

    /// Returns another thread for the same file, once the first line has been seen.
    fn another(&self) -> Self {
        Self {
            unit: Unit::new(),
            finder: Finder::new(self.read.layout),
            read: self.read.another(),
        }
    }

    /// Reads the next unit and writes its output. Returns `false` if there is no unit left, or if another thread has
    /// failed.
    fn read_next<R: Read>(
        &mut self,
        units: &Mutex<Units<R>>,
        turns: &Turns<Files<L::File>>,
    ) -> Result<bool, EngineError> {
        let turn = {
            let mut units = units.lock().expect("no holder panics");
            if !units.fill(&mut self.unit).map_err(EngineError::Read)? {
                return Ok(false);
            }
            turns.of(self.unit.number)
        };
        let lines_before = self.read.report.lines;
        self.read_unit();
        if self.read.columns_moved {
            return Err(EngineError::ColumnsMoved);
        }
        let lines = self.read.report.lines - lines_before;
        let written = self.read.feed.end_unit()?;
        if written.is_none() && !self.read.has_output() {
            turn.pass(lines);
            return Ok(true);
        }
        let output = UnitOutput {
            text: &self.unit.text,
            too_long: self.unit.long_line,
            written,
        };
        let wrote = turn.take(lines, |lines_before, files| {
            write(&self.read, output, lines_before, files)
        });
        self.read.clear_output();
        wrote.transpose().map(|wrote| wrote.is_some())
    }

    fn read_unit(&mut self) {
        let Self { unit, finder, read } = self;
        match finder {
            Finder::Objects(objects) => return read_objects(unit, objects, read),
            Finder::Marks(_) if unit.long_line.is_some() => return read.long_unit(unit.lines.clone()),
            Finder::Marks(marks) => read_plain(unit, marks, read),
        }
        read.report.lines += u64::from(read.number);
    }
}

/// Reads the plain lines of a unit.
fn read_plain<L: FeedLines>(unit: &mut Unit, marks: &mut Marks, read: &mut Lines<'_, L>) {
    let mut rest = unit.lines.clone();
    if unit.ends_in_cr {
        rest.end = unify(&mut unit.text, rest.clone());
    }
    read.number = 0;
    while !rest.is_empty() {
        let text = unit.text.as_slice();
        let part = first_part(text, rest.clone());
        let marked = marks.mark(text, part.clone());
        if marked.has_lone_cr() {
            // From here on, the ends of lines are made alike. All lines before have been read.
            rest.end = unify(&mut unit.text, rest.clone());
            continue;
        }
        // A part of MAX_LINE bytes or more is a single line.
        if !read.is_past_first || part.len() >= MAX_LINE || marked.has_nul() {
            marked.lines().for_each(|line| read.any_line(line));
        } else if marked.has_odd() {
            read.plain_lines::<true>(marked);
        } else {
            read.plain_lines::<false>(marked);
        }
        rest.start = part.end;
    }
}

/// Writes what the lines of a unit, which comes after `lines_before` lines, have to write.
pub(super) fn write<L: FeedLines>(
    read: &Lines<'_, L>,
    output: UnitOutput<'_, L::Written>,
    lines_before: u64,
    files: &mut Files<L::File>,
) -> Result<(), EngineError> {
    let UnitOutput {
        text,
        too_long,
        written,
    } = output;
    if let (Some(written), Some(converted)) = (written, &mut files.converted) {
        read.feed.write(written, lines_before, converted)?;
    }
    for (number, note) in &read.notes {
        files.findings.add(lines_before + u64::from(*number), note);
    }
    let Some(rejects) = &mut files.rejects else {
        return Ok(());
    };
    for (number, reason, line) in &read.rejects {
        let (number, text) = (lines_before + u64::from(*number), &text[line.clone()]);
        match reason {
            Reason::LongLine => {
                let mut kept = text[..text.len().min(LONG_LINE_KEPT)].to_vec();
                let bytes = too_long.unwrap_or(text.len() as u64);
                kept.extend_from_slice(format!("… ({bytes} bytes)").as_bytes());
                rejects.push(number, *reason, &kept)?;
            }
            _ => rejects.push(number, *reason, text)?,
        }
    }
    Ok(())
}
