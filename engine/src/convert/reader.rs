//! Reads the units of a file, on one thread or several.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use super::controls::Controls;
use super::conversion::Conversion;
use super::lines::Lines;
use super::objects::read_objects;
use super::turns::Turns;
use crate::error::EngineError;
use crate::feed_lines::{FeedLines, Finished};
use crate::findings::Findings;
use crate::formats::{Ending, LONGEST_OBJECT, Objects};
use crate::layout::{FeedLayout, Format};
use crate::rejects::{Reason, RejectWriter};
use crate::report::ConversionReport;
use crate::scan::{Marks, first_part};
use crate::text::{LONG_LINE_KEPT, LineEnds, MAX_LINE, Unit, Units, WholeText, unify};

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
