//! Conversion: one pass over a file gives its typed rows, its rejects, its partial and its report.
//!
//! The file is streamed: memory depends on the number of distinct keys, never on the file's size. Each line becomes
//! exactly one of row, ignored, skipped, reject; [`ConversionReport`] counts them and the sum is checked.

use std::io::{self, Read};
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::blocks::{Block, Blocks, Lines};
use crate::date::from_days;
use crate::error::EngineError;
use crate::fields::{Fields, LineCursor, LineShape};
use crate::layout::{FeedKind, FeedLayout, HeaderRule};
use crate::reference::ReferenceLines;
use crate::rejects::{Reason, RejectWriter};
use crate::report::{ConversionReport, Header};
use crate::sales::SalesLines;

/// Where the outputs of a conversion go; what has no path is not written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outputs<'p> {
    /// The typed rows as Parquet.
    pub converted: Option<&'p Path>,
    /// The aggregate of the file as Parquet; a reference feed has none.
    pub partial: Option<&'p Path>,
    /// The rejects as Parquet; the file comes into being with the first of them.
    pub rejects: Option<&'p Path>,
}

/// Converts one file. `progress` is told how many bytes were read so far, some times a megabyte.
///
/// A file that is rejected as a whole is no error: the report says so, and its outputs are to be thrown away.
pub fn convert(
    input: impl Read,
    layout: &FeedLayout,
    outputs: Outputs<'_>,
    progress: impl FnMut(u64),
) -> Result<ConversionReport, EngineError> {
    let mut source = Source {
        input,
        bytes: 0,
        progress,
    };
    let mut beginning = Vec::with_capacity(3);
    source
        .by_ref()
        .take(3)
        .read_to_end(&mut beginning)
        .map_err(EngineError::Read)?;
    let (encoding, bom) = Encoding::for_bom(&beginning).unwrap_or((layout.encoding, 0));

    let rejects = outputs.rejects.map(RejectWriter::new);
    let mut report = match &layout.kind {
        FeedKind::Sales(sales) => {
            let lines = SalesLines::new(sales, outputs, encoding != UTF_8)?;
            read_lines(&mut source, &beginning, (encoding, bom), layout, lines, rejects)?
        }
        FeedKind::Reference(columns) => {
            let lines = ReferenceLines::new(columns, outputs.converted)?;
            read_lines(&mut source, &beginning, (encoding, bom), layout, lines, rejects)?
        }
    };
    report.bytes = source.bytes;
    report.judge(layout.max_reject_percent)?;
    Ok(report)
}

/// The lines of one kind of feed: what they mean, and where their values go.
pub(crate) trait FeedLines {
    /// How many leading fields of a line are looked at.
    fn wanted(&self) -> usize;
    /// Whether the first line that is not skipped is a header, where the feed leaves that open.
    fn is_header(&self, fields: &Fields, block: &[u8]) -> bool;
    /// Learns from a header where the columns stand.
    fn learn(&mut self, names: &[&[u8]]) -> Header;
    /// Takes one line's fields.
    fn take(&mut self, line_number: u64, fields: &Fields, block: &[u8]) -> Result<Taken, EngineError>;
    /// The first and last business day seen, as day numbers.
    fn days(&self) -> Option<(i32, i32)>;
    /// Ends the outputs.
    fn finish(self) -> Result<(), EngineError>;
}

/// What became of a line.
pub(crate) enum Taken {
    Row,
    Ignored,
    Reject(Reason),
}

fn read_lines(
    source: &mut impl Read,
    beginning: &[u8],
    (encoding, bom): (&'static Encoding, usize),
    layout: &FeedLayout,
    lines: impl FeedLines,
    rejects: Option<RejectWriter>,
) -> Result<ConversionReport, EngineError> {
    let input = beginning[bom..].chain(source);
    let reader = Reader {
        layout,
        lines,
        rejects,
        fields: Fields::default(),
        is_past_first: false,
        report: ConversionReport::default(),
    };
    if encoding == UTF_8 {
        reader.read(Blocks::new(input, layout.delimiter))
    } else {
        let decoded = DecodeReaderBytesBuilder::new()
            .encoding(Some(encoding))
            .bom_sniffing(false)
            .build(input);
        reader.read(Blocks::new(decoded, layout.delimiter))
    }
}

/// Counts lines, and hands each to where it belongs.
struct Reader<'l, L> {
    layout: &'l FeedLayout,
    lines: L,
    rejects: Option<RejectWriter>,
    fields: Fields,
    /// Whether the first line that is not skipped has been seen.
    is_past_first: bool,
    report: ConversionReport,
}

impl<L: FeedLines> Reader<'_, L> {
    fn read(mut self, mut blocks: Blocks<impl Read>) -> Result<ConversionReport, EngineError> {
        while let Some(block) = blocks.next().map_err(EngineError::Read)? {
            match block {
                Block::Lines(lines) => self.lines(lines)?,
                Block::LongLine { start, bytes } => {
                    self.report.lines += 1;
                    let mut text = start[..LONG_LINE_KEPT].to_vec();
                    text.extend_from_slice(format!("… ({bytes} bytes)").as_bytes());
                    self.reject(Reason::LongLine, &text)?;
                }
            }
        }
        if let Some((first, last)) = self.lines.days() {
            self.report.first_date = Some(from_days(first));
            self.report.last_date = Some(from_days(last));
        }
        self.lines.finish()?;
        if let Some(rejects) = self.rejects {
            rejects.finish()?;
        }
        Ok(self.report)
    }

    fn lines(&mut self, lines: Lines<'_>) -> Result<(), EngineError> {
        let mut cursor = LineCursor::new(lines, self.layout.delimiter);
        loop {
            let Some((line, shape)) = cursor.next(self.lines.wanted(), &mut self.fields) else {
                return Ok(());
            };
            self.report.lines += 1;
            match shape {
                LineShape::Skipped => {
                    self.report.skipped += 1;
                    continue;
                }
                LineShape::Broken(reason) => {
                    self.is_past_first = true;
                    self.reject(reason, line)?;
                    continue;
                }
                LineShape::Fields => {}
            }
            if !self.is_past_first {
                self.is_past_first = true;
                if self.is_header(lines.text) {
                    self.header(line);
                    continue;
                }
            }
            match self.lines.take(self.report.lines, &self.fields, lines.text)? {
                Taken::Row => self.report.rows += 1,
                Taken::Ignored => self.report.ignored += 1,
                Taken::Reject(reason) => self.reject(reason, line)?,
            }
            self.report.drift_lines += u64::from(self.fields.has_more);
        }
    }

    fn is_header(&self, block: &[u8]) -> bool {
        match self.layout.header {
            HeaderRule::Always => true,
            HeaderRule::Never => false,
            HeaderRule::Auto => self.lines.is_header(&self.fields, block),
        }
    }

    fn header(&mut self, line: &[u8]) {
        self.report.skipped += 1;
        // Columns past the last needed one are looked at in a header only.
        let names = match self.fields.split(line, self.layout.delimiter, usize::MAX) {
            Ok(()) => self.fields.iter(line).collect(),
            Err(_) => Vec::new(),
        };
        self.report.header = self.lines.learn(&names);
    }

    fn reject(&mut self, reason: Reason, line: &[u8]) -> Result<(), EngineError> {
        self.report.rejects += 1;
        *self.report.reasons.entry(reason).or_default() += 1;
        match &mut self.rejects {
            Some(rejects) => rejects.push(self.report.lines, reason, line),
            None => Ok(()),
        }
    }
}

/// How much of a line over 1 MiB is kept with its reject.
const LONG_LINE_KEPT: usize = 4096;

/// Counts what passes through.
struct Source<R, P> {
    input: R,
    bytes: u64,
    progress: P,
}

impl<R: Read, P: FnMut(u64)> Read for Source<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes += read as u64;
        (self.progress)(self.bytes);
        Ok(read)
    }
}
