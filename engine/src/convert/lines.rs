//! The lines that one thread reads: what each of them is, and how many there are of each kind.

use std::ops::Range;

use super::controls::{Class, Controls};
use crate::feed_lines::{FeedLines, LineOutcome};
use crate::fields::Fields;
use crate::findings::{Kind, Note};
use crate::formats::{Cell, Record};
use crate::header::{HeaderFault, Names};
use crate::layout::{FeedLayout, Format, HeaderNames, HeaderRule};
use crate::rejects::Reason;
use crate::report::{ConversionReport, Header};
use crate::scan::{Line, Marked};
use crate::text::{LONG_LINE_KEPT, MARK, MAX_LINE, without_marks};

/// The state of a thread that reads lines.
pub(super) struct Lines<'c, L> {
    pub(super) layout: &'c FeedLayout,
    pub(super) feed: L,
    fields: Fields,
    cutting: Cutting,
    /// What tells records of several kinds apart, if the file has such. Only records that come in their order have.
    pub(super) controls: Option<Controls<'c>>,
    /// For each byte, whether a line that begins with it can be read in place.
    is_plain: [bool; 256],
    /// Whether the first line that is neither skipped nor too long has been seen.
    pub(super) is_past_first: bool,
    /// Whether no other thread reads the file, so that all lines come here, in their order.
    pub(super) reads_alone: bool,
    /// Set when a header moves the columns of lines that other threads may have read already.
    pub(super) columns_moved: bool,
    pub(super) report: ConversionReport,
    /// Lines of the current unit read so far.
    pub(super) number: u32,
    /// Whether rejects are written, not only counted.
    keeps_rejects: bool,
    /// The rejects of the current unit: line number, reason, and the range of the text.
    pub(super) rejects: Vec<(u32, Reason, Range<usize>)>,
    /// What lines of the current unit show about the file.
    pub(super) notes: Vec<(u32, Note)>,
}

/// How the lines of a file become fields.
#[derive(Clone, Copy)]
enum Cutting {
    /// They are cut at a delimiter.
    At(u8),
    /// They are records, whose fields their format has found, unless there is a fault.
    Done(Result<(), Reason>),
}

impl<'c, L: FeedLines> Lines<'c, L> {
    pub(super) fn new(layout: &'c FeedLayout, feed: L, keeps_rejects: bool) -> Self {
        let begins_mark = |byte: u8| layout.records.skip.iter().any(|mark| mark.first() == Some(&byte));
        Self {
            layout,
            feed,
            fields: Fields::default(),
            cutting: layout
                .plain_delimiter()
                .map_or(Cutting::Done(Ok(())), Cutting::At),
            controls: Controls::of(layout),
            is_plain: std::array::from_fn(|byte| {
                let byte = byte as u8;
                byte > b' ' && byte != MARK[0] && !begins_mark(byte)
            }),
            is_past_first: false,
            reads_alone: true,
            columns_moved: false,
            report: ConversionReport::default(),
            number: 0,
            keeps_rejects,
            rejects: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Returns whether the lines of the current unit have rejects or notes to write.
    pub(super) fn has_output(&self) -> bool {
        !self.rejects.is_empty() || !self.notes.is_empty()
    }

    /// Forgets these, once they are written.
    pub(super) fn clear_output(&mut self) {
        self.rejects.clear();
        self.notes.clear();
    }

    /// Returns the lines of another thread for the same file, once the first line has been seen.
    pub(super) fn another(&self) -> Self {
        Self {
            is_past_first: true,
            reads_alone: false,
            ..Self::new(self.layout, self.feed.another(), self.keeps_rejects)
        }
    }

    /// Reads lines that are neither headers at the beginning of the file nor too long.
    #[inline(always)]
    pub(super) fn plain_lines<const MAY_BE_ODD: bool>(&mut self, lines: Marked<'_>) {
        if self.feed.look_ahead::<MAY_BE_ODD>(lines) {
            for (place, line) in lines.lines().enumerate() {
                self.line::<MAY_BE_ODD, true>(place, line);
            }
        } else {
            lines
                .lines()
                .for_each(|line| self.line::<MAY_BE_ODD, false>(0, line));
        }
    }

    #[inline(always)]
    fn line<const MAY_BE_ODD: bool, const IS_AHEAD: bool>(&mut self, place: usize, line: Line<'_>) {
        if self.is_plain[usize::from(line.first_byte())]
            && let Some(outcome) = self
                .feed
                .add_plain::<MAY_BE_ODD, IS_AHEAD>(self.number + 1, place, line)
        {
            self.number += 1;
            let has_more = line.fields() > self.feed.wanted();
            match outcome {
                LineOutcome::WellFormed { is_row } => self.count(is_row, has_more),
                LineOutcome::Reject(reason) => self.refuse_line(line, reason, has_more),
            }
        } else {
            self.any_line(line);
        }
    }

    /// Reads any line.
    #[inline(never)]
    pub(super) fn any_line(&mut self, line: Line<'_>) {
        let content = line.content();
        self.classify(content.bytes(), content.range(), content.len());
    }

    /// Reads an object of JSON whose fields were found where they stand. Returns `false` if it must be read as a record.
    #[inline]
    pub(super) fn cells(&mut self, text: &[u8], object: &Range<usize>, cells: &[Cell]) -> bool {
        if !self.is_past_first || !self.is_plain[usize::from(text[object.start])] {
            return false;
        }
        match self.feed.add_cells(self.number + 1, text, cells) {
            Some(LineOutcome::WellFormed { is_row }) => {
                self.number += 1;
                self.count(is_row, false);
                true
            }
            Some(LineOutcome::Reject(_)) | None => false,
        }
    }

    /// Reads a row of a table. Returns `false` if it must be read as a record.
    #[inline]
    pub(super) fn row(&mut self, row: usize) -> bool {
        // Records of several kinds are told apart by their fields.
        if self.controls.is_some() {
            return false;
        }
        match self.feed.add_row(self.number + 1, row) {
            Some(LineOutcome::WellFormed { is_row }) => {
                self.number += 1;
                self.count(is_row, false);
                true
            }
            Some(LineOutcome::Reject(_)) | None => false,
        }
    }

    /// Reads a record. Its text is at `range` of the unit's.
    pub(super) fn record(&mut self, record: &mut Record, range: Range<usize>) {
        self.cutting = Cutting::Done(record.fault.map_or(Ok(()), Err));
        std::mem::swap(&mut self.fields, &mut record.fields);
        let length = record.too_long.map_or(record.text.len(), |_| MAX_LINE);
        self.classify(&record.text, range, length);
        std::mem::swap(&mut self.fields, &mut record.fields);
    }

    /// Decides what a line is. Its content is at `range` of the unit's text; of one that is too long, only the beginning.
    fn classify(&mut self, content: &[u8], range: Range<usize>, length: usize) {
        self.number += 1;
        let content = without_marks(content);
        if let Some(header_line) = self.layout.header_line.filter(|_| !self.is_past_first) {
            return match self.report.lines + u64::from(self.number) < u64::from(header_line) {
                true => self.skip_unread(content),
                false => self.read_header(content, length),
            };
        }
        // As with a long line that is a unit of its own, nothing else about the line matters.
        if length >= MAX_LINE {
            return self.reject(self.number, Reason::LongLine, range);
        }
        if content.trim_ascii().is_empty() {
            self.report.skipped += 1;
            return;
        }
        if self.layout.records.skips(content) {
            return self.skip_unread(content);
        }
        let is_header_for_certain = self.layout.header == HeaderRule::Always && !self.is_past_first;
        if self.controls.is_some() && !is_header_for_certain && self.is_of_other_kind(content, &range) {
            return;
        }
        let is_first = !std::mem::replace(&mut self.is_past_first, true);
        if is_first && self.first_line(content) {
            return;
        }
        if let Err(reason) = self.split(content, self.feed.wanted()) {
            return self.refuse(content, range, reason, false);
        }
        let has_more = self.fields.has_more;
        if self.feed.reads_headers() && self.names_columns(content) {
            return;
        }
        match self.feed.add(self.number, &self.fields) {
            LineOutcome::WellFormed { is_row } => self.count(is_row, has_more),
            LineOutcome::Reject(reason) => self.refuse(content, range, reason, has_more),
        }
    }

    /// Deals with a record that is no row by its kind, and returns whether it is such a one.
    fn is_of_other_kind(&mut self, content: &[u8], range: &Range<usize>) -> bool {
        let number = self.report.lines + u64::from(self.number);
        let is_whole = matches!(self.cutting, Cutting::Done(Ok(())));
        let Some(controls) = &mut self.controls else {
            return false;
        };
        match controls.classify(number, content, is_whole.then_some(&self.fields), &mut self.feed) {
            Class::Row => return false,
            Class::Skipped => self.report.skipped += 1,
            // A header has no kind.
            Class::Unknown if self.names_columns(content) => self.is_past_first = true,
            Class::Unknown => self.reject(self.number, Reason::Kind, range.clone()),
        }
        true
    }

    /// Splits a line into up to `wanted` fields.
    fn split(&mut self, content: &[u8], wanted: usize) -> Result<(), Reason> {
        match self.cutting {
            Cutting::At(delimiter) => self.fields.split(content, delimiter, wanted),
            Cutting::Done(outcome) => {
                let has_columns = matches!(self.layout.format, Format::Delimited(_));
                self.fields.has_more = has_columns && self.fields.len() > wanted;
                outcome
            }
        }
    }

    /// Reads a unit that is one line over the greatest length.
    pub(super) fn long_unit(&mut self, line: Range<usize>) {
        let number = self.report.lines + 1;
        self.report.lines = number;
        match self.layout.header_line {
            Some(header_line) if !self.is_past_first && number < u64::from(header_line) => {
                self.report.skipped += 1;
            }
            _ => self.reject(1, Reason::LongLine, line),
        }
    }

    #[inline(always)]
    fn count(&mut self, is_row: bool, has_more: bool) {
        self.report.rows += u64::from(is_row);
        self.report.ignored += u64::from(!is_row);
        self.report.drift_lines += u64::from(has_more);
    }

    /// Skips a line because of how it begins or where it stands, and counts it if it would be a row.
    fn skip_unread(&mut self, content: &[u8]) {
        self.report.skipped += 1;
        let split = self.split(content, self.feed.wanted());
        let is_row = split.is_ok() && self.feed.is_well_formed(&self.fields);
        self.report.skipped_rows += u64::from(is_row);
    }

    /// Looks at a line that is no row: it may be a header, and it may be written in a known other form.
    #[cold]
    fn refuse_line(&mut self, line: Line<'_>, reason: Reason, has_more: bool) {
        let content = line.content();
        self.refuse(without_marks(content.bytes()), content.range(), reason, has_more);
    }

    #[cold]
    fn refuse(&mut self, content: &[u8], range: Range<usize>, reason: Reason, has_more: bool) {
        if self.names_columns(content) {
            return;
        }
        self.report.drift_lines += u64::from(has_more);
        if let Some(kind) = Kind::of(reason)
            && self.split(content, self.feed.wanted()).is_ok()
            && let Some((text, form)) = self.feed.other_form(reason, &self.fields)
        {
            self.report.findings.count(kind, form.is_some());
            let is_new = |form: &_| {
                !self
                    .notes
                    .iter()
                    .any(|(_, note)| matches!(note, Note::Other(k, f, _) if *k == kind && f == form))
            };
            if let Some(form) = form.filter(is_new) {
                self.notes
                    .push((self.number, Note::Other(kind, form, text.to_vec())));
            }
        }
        self.reject(self.number, reason, range);
    }

    #[cold]
    fn reject(&mut self, number: u32, reason: Reason, line: Range<usize>) {
        self.report.rejects += 1;
        *self.report.reasons.entry(reason).or_default() += 1;
        if self.keeps_rejects {
            self.rejects.push((number, reason, line));
        }
    }

    /// Splits a line into all its fields, and finds the names among them.
    fn find_names(&mut self, content: &[u8]) -> Option<Names> {
        let split = self.split(content, usize::MAX);
        split
            .ok()
            .map(|()| Names::among(self.feed.needed(), self.fields.iter()))
    }

    /// Takes the names that a table gives its columns apart from its records, and returns whether they can be used.
    pub(super) fn take_names(&mut self, names: &[String]) -> bool {
        self.is_past_first = true;
        self.report.header = Header::ByPosition;
        if self.layout.header_names == HeaderNames::Ignore {
            return true;
        }
        let fields = || names.iter().map(String::as_bytes);
        let found = Names::among(self.feed.needed(), fields());
        match found.positions(self.feed.needed(), fields()) {
            Ok(positions) => {
                self.feed.move_columns(&positions);
                self.report.header = Header::ByName;
                true
            }
            Err(fault) => {
                self.notes.push((0, Note::Header(Some(fault))));
                false
            }
        }
    }

    /// Returns the positions of all fields that are read.
    pub(super) fn read_positions(&self) -> Vec<usize> {
        let mut positions = self.feed.read_positions();
        if let Some(kind) = &self.layout.kind_rule {
            positions.push(kind.position);
            positions.extend(kind.carried.iter().map(|carried| carried.position));
        }
        if let Some(trailer) = &self.layout.trailer {
            positions.extend([trailer.lines, trailer.sum].into_iter().flatten());
        }
        positions
    }

    /// Reads the line that the settings say is the header.
    fn read_header(&mut self, content: &[u8], length: usize) {
        self.is_past_first = true;
        let names = match length < MAX_LINE {
            true => self.find_names(content),
            false => None,
        };
        // A line that cannot be split names nothing.
        let names = names.unwrap_or_else(|| Names::among(self.feed.needed(), std::iter::empty()));
        let fault = self.learn(&names);
        self.notes.push((self.number, Note::Header(fault)));
    }

    /// Reads the first line that is not skipped, if it is a header, and returns whether it is.
    fn first_line(&mut self, content: &[u8]) -> bool {
        let rule = self.layout.header;
        if rule == HeaderRule::Never {
            return false;
        }
        let Some(names) = self.find_names(content) else {
            return false;
        };
        if rule == HeaderRule::Always || names.are_certain() {
            let fault = self.learn(&names);
            self.notes.push((self.number, Note::Header(fault)));
            return true;
        }
        if !self.feed.has_header_values(&self.fields) {
            return false;
        }
        if names.count() > 0 {
            let fault = self.learn(&names);
            self.notes.push((self.number, Note::Header(fault)));
            return true;
        }
        if self.feed.has_data_values(&self.fields) {
            return false;
        }
        self.feed.doubt(&self.fields);
        let fault = self.learn(&names);
        let text = content[..content.len().min(LONG_LINE_KEPT)].to_vec();
        self.notes.push((self.number, Note::Doubtful { text, fault }));
        true
    }

    /// Learns where the columns are from the header in `fields`. Returns why it cannot be used, if so.
    fn learn(&mut self, names: &Names) -> Option<HeaderFault> {
        self.report.skipped += 1;
        self.report.header = Header::ByPosition;
        if self.layout.header_names == HeaderNames::Ignore {
            return None;
        }
        match names.positions(self.feed.needed(), self.fields.iter()) {
            Ok(positions) => {
                self.feed.move_columns(&positions);
                self.report.header = Header::ByName;
                None
            }
            Err(fault) => Some(fault),
        }
    }

    /// Reads a line below the first one, if it names columns, and returns whether it is a header. It then holds for the
    /// lines behind it.
    fn names_columns(&mut self, content: &[u8]) -> bool {
        let Some(names) = self.find_names(content).filter(Names::are_certain) else {
            return false;
        };
        let positions = names.positions(self.feed.needed(), self.fields.iter());
        let is_same = positions
            .as_ref()
            .is_ok_and(|positions| *positions == self.feed.positions());
        if self.layout.header == HeaderRule::Never {
            if !is_same && self.layout.header_names == HeaderNames::Use {
                let fault = positions.err().unwrap_or(HeaderFault::NotExpected);
                self.notes.push((self.number, Note::Header(Some(fault))));
            }
            return false;
        }
        self.report.skipped += 1;
        if self.layout.header_names == HeaderNames::Ignore {
            return true;
        }
        match positions {
            Ok(positions) => {
                if !is_same && self.reads_alone {
                    self.feed.move_columns(&positions);
                }
                self.columns_moved |= !is_same && !self.reads_alone;
                self.note_names(None);
            }
            Err(fault) => self.note_names(Some(fault)),
        }
        true
    }

    /// Notes a header further down. Only the first of a unit with or without a fault says anything new.
    fn note_names(&mut self, fault: Option<HeaderFault>) {
        let is_known = |(_, note): &(u32, Note)| match note {
            Note::Names(known) => known.is_some() == fault.is_some(),
            _ => false,
        };
        if !self.notes.iter().any(is_known) {
            self.notes.push((self.number, Note::Names(fault)));
        }
    }
}
