//! Reads the units of a file, on one thread or several, and counts the outcome of each line.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use super::Conversion;
use super::turns::Turns;
use super::units::{LONG_LINE_KEPT, MAX_LINE, Unit, Units};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::layout::{FeedLayout, HeaderRule};
use crate::partial::{DayLines, Partial};
use crate::rejects::{Reason, RejectWriter};
use crate::report::{ConversionReport, Header};
use crate::scan::{Line, Marks, parts};

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
    /// Returns whether the first line that is not skipped is a header, if the feed leaves that open.
    fn is_header(&self, fields: &Fields) -> bool;
    /// Learns the positions of the columns from a header.
    fn learn(&mut self, names: &[&[u8]]) -> Header;
    /// Adds a line by reading it in place; returns `None` if it is not plain enough for that. The line has no NUL.
    /// Without `MAY_BE_ODD`, it has neither a quote nor a CR either.
    fn add_plain<const MAY_BE_ODD: bool>(&mut self, number: u32, line: Line<'_>) -> Option<LineOutcome>;
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
    units: Mutex<Units<Box<dyn Read + Send + 'c>>>,
    layout: &'c FeedLayout,
    rejects: Option<RejectWriter>,
}

/// The files that threads write to in turn.
struct Files<F> {
    converted: Option<F>,
    rejects: Option<RejectWriter>,
}

/// A thread that reads.
struct Thread<'c, L> {
    unit: Unit,
    marks: Marks,
    read: Lines<'c, L>,
}

/// The state of a thread that reads lines.
struct Lines<'c, L> {
    layout: &'c FeedLayout,
    feed: L,
    fields: Fields,
    /// Whether the first line that is neither skipped nor too long has been seen.
    is_past_first: bool,
    report: ConversionReport,
    /// Lines of the current unit read so far.
    number: u32,
    /// Whether rejects are written, not only counted.
    keeps_rejects: bool,
    /// The rejects of the current unit: line number, reason, and the range of the text.
    rejects: Vec<(u32, Reason, Range<usize>)>,
}

impl<'c> Reading<'c> {
    pub(super) fn new(
        text: Box<dyn Read + Send + 'c>,
        unit: usize,
        layout: &'c FeedLayout,
        rejects: Option<&Path>,
    ) -> Self {
        Self {
            units: Mutex::new(Units::new(text, unit)),
            layout,
            rejects: rejects.map(RejectWriter::new),
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
        } = self;
        let mut first = Thread::new(layout, lines, rejects.is_some());
        let turns = Turns::new(Files {
            converted: file,
            rejects,
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
        if is_at_end(&units) {
            run(first);
        } else {
            let others: Vec<_> = (1..rayon::current_num_threads())
                .map(|_| first.another())
                .collect();
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
        finish(threads, turns.into_writer())
    }
}

fn finish<L: FeedLines>(
    threads: Vec<Thread<'_, L>>,
    files: Files<L::File>,
) -> Result<Conversion, EngineError> {
    let mut report = ConversionReport::default();
    let mut feeds = Vec::new();
    for thread in threads {
        report.add(&thread.read.report);
        feeds.push(thread.read.feed);
    }
    let partial = L::finish(feeds, files.converted)?.map(|Finished { partial, days }| {
        report.first_date = days.iter().map(|day| day.trans_date).min();
        report.last_date = days.iter().map(|day| day.trans_date).max();
        report.days = days;
        partial
    });
    if let Some(rejects) = files.rejects {
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
            marks: Marks::new(layout.delimiter),
            read: Lines {
                layout,
                feed,
                fields: Fields::default(),
                is_past_first: false,
                report: ConversionReport::default(),
                number: 0,
                keeps_rejects,
                rejects: Vec::new(),
            },
        }
    }

    /// Returns another thread for the same file, once the first line has been seen.
    fn another(&self) -> Self {
        let Lines {
            layout,
            feed,
            keeps_rejects,
            ..
        } = &self.read;
        let mut other = Self::new(layout, feed.another(), *keeps_rejects);
        other.read.is_past_first = true;
        other
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
        let lines = self.read.report.lines - lines_before;
        let written = self.read.feed.end_unit()?;
        if written.is_none() && self.read.rejects.is_empty() {
            turn.pass(lines);
            return Ok(true);
        }
        let wrote = turn.take(lines, |lines_before, files| {
            self.write(written, lines_before, files)
        });
        self.read.rejects.clear();
        wrote.transpose().map(|wrote| wrote.is_some())
    }

    fn write(
        &self,
        written: Option<L::Written>,
        lines_before: u64,
        files: &mut Files<L::File>,
    ) -> Result<(), EngineError> {
        if let (Some(written), Some(converted)) = (written, &mut files.converted) {
            self.read.feed.write(written, lines_before, converted)?;
        }
        let Some(rejects) = &mut files.rejects else {
            return Ok(());
        };
        for (number, reason, line) in &self.read.rejects {
            let (number, text) = (lines_before + u64::from(*number), &self.unit.text[line.clone()]);
            match reason {
                Reason::LongLine => {
                    let mut kept = text[..LONG_LINE_KEPT].to_vec();
                    let bytes = self.unit.long_line.unwrap_or(text.len() as u64);
                    kept.extend_from_slice(format!("… ({bytes} bytes)").as_bytes());
                    rejects.push(number, *reason, &kept)?;
                }
                _ => rejects.push(number, *reason, text)?,
            }
        }
        Ok(())
    }

    fn read_unit(&mut self) {
        let Self {
            unit, marks, read, ..
        } = self;
        if unit.long_line.is_some() {
            read.report.lines += 1;
            return read.reject(1, Reason::LongLine, unit.lines.clone());
        }
        let text = unit.text.as_slice();
        read.number = 0;
        for part in parts(text, unit.lines.clone()) {
            let marked = marks.mark(text, part.clone());
            // A part of MAX_LINE bytes or more is a single line.
            if !read.is_past_first || part.len() >= MAX_LINE || marked.has_nul() {
                marked.lines().for_each(|line| read.any_line(line));
            } else if marked.has_odd() {
                marked.lines().for_each(|line| read.line::<true>(line));
            } else {
                marked.lines().for_each(|line| read.line::<false>(line));
            }
        }
        read.report.lines += u64::from(read.number);
    }
}

impl<L: FeedLines> Lines<'_, L> {
    /// Reads a line that is neither a header nor too long.
    #[inline(always)]
    fn line<const MAY_BE_ODD: bool>(&mut self, line: Line<'_>) {
        let first = line.first_byte();
        if first > b' '
            && first != b'-'
            && let Some(outcome) = self.feed.add_plain::<MAY_BE_ODD>(self.number + 1, line)
        {
            self.number += 1;
            self.report.drift_lines += u64::from(line.fields() > self.feed.wanted());
            self.count(outcome, line);
        } else {
            self.any_line(line);
        }
    }

    /// Reads any line.
    #[inline(never)]
    fn any_line(&mut self, line: Line<'_>) {
        self.number += 1;
        // As with a long line that is a unit of its own, nothing else about the line matters.
        if line.whole().len() >= MAX_LINE {
            return self.reject(self.number, Reason::LongLine, line.whole().range());
        }
        let content = line.content().bytes();
        if content.starts_with(b"--") || content.trim_ascii().is_empty() {
            self.report.skipped += 1;
            return;
        }
        let is_first = !std::mem::replace(&mut self.is_past_first, true);
        let (delimiter, wanted) = (self.layout.delimiter, self.feed.wanted());
        if let Err(reason) = self.fields.split(content, delimiter, wanted) {
            return self.reject(self.number, reason, line.content().range());
        }
        if is_first && self.is_header() {
            return self.learn(content);
        }
        self.report.drift_lines += u64::from(self.fields.has_more);
        let outcome = self.feed.add(self.number, &self.fields);
        self.count(outcome, line);
    }

    #[inline(always)]
    fn count(&mut self, outcome: LineOutcome, line: Line<'_>) {
        match outcome {
            LineOutcome::WellFormed { is_row } => {
                self.report.rows += u64::from(is_row);
                self.report.ignored += u64::from(!is_row);
            }
            LineOutcome::Reject(reason) => self.reject(self.number, reason, line.content().range()),
        }
    }

    #[cold]
    fn reject(&mut self, number: u32, reason: Reason, line: Range<usize>) {
        self.report.rejects += 1;
        *self.report.reasons.entry(reason).or_default() += 1;
        if self.keeps_rejects {
            self.rejects.push((number, reason, line));
        }
    }

    fn is_header(&self) -> bool {
        match self.layout.header {
            HeaderRule::Always => true,
            HeaderRule::Never => false,
            HeaderRule::Auto => self.feed.is_header(&self.fields),
        }
    }

    /// Learns the columns. Only in a header are the fields after the last needed one read.
    fn learn(&mut self, header: &[u8]) {
        self.report.skipped += 1;
        let names: Vec<&[u8]> = match self.fields.split(header, self.layout.delimiter, usize::MAX) {
            Ok(()) => self.fields.iter().collect(),
            Err(_) => Vec::new(),
        };
        self.report.header = self.feed.learn(&names);
    }
}
