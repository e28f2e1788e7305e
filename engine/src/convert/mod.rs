//! Conversion: one pass over a file yields its typed rows, its rejects, its partial and its report.
//!
//! The file is streamed: memory depends on the number of distinct keys, not on the file's size, and sums beyond the
//! memory limit are spilled to files. Each line becomes exactly one of row, ignored, skipped, reject;
//! [`ConversionReport`] counts them, and the total is checked.
//!
//! A file is read in units of whole lines ([`units`]). One thread reads until it has seen the first line that is not
//! skipped, which may be a header. From then on, all idle threads of the current rayon pool read units in parallel, and
//! their output is written in the order of the file ([`turns`]). What each line is, [`lines`] decides.

mod line_ends;
mod lines;
mod reader;
#[cfg(test)]
mod tests;
mod turns;
mod units;
mod whole_text;

use std::io::{self, Cursor, Read};
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

pub(crate) use self::reader::{FeedLines, Finished, LineOutcome};
use self::reader::{Order, Reading};
use self::whole_text::WholeText;
use crate::error::EngineError;
use crate::layout::{FeedKind, FeedLayout};
use crate::partial::Partial;
use crate::reference::ReferenceLines;
use crate::report::ConversionReport;
use crate::sales::SalesLines;
use crate::scratch::Scratch;

/// Where the outputs of a conversion go; an output without a path is not written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outputs<'p> {
    /// The typed rows as Parquet.
    pub converted: Option<&'p Path>,
    /// The rejects as Parquet; the file is created only when there are rejects.
    pub rejects: Option<&'p Path>,
}

/// The result of converting a file.
#[derive(Debug)]
pub struct Conversion {
    /// The counts, and whether the file is accepted.
    pub report: ConversionReport,
    /// The aggregate; `None` for a reference feed.
    pub partial: Option<Partial>,
}

/// Bytes per unit when no rows are written: text and marks stay in a core's own cache.
const UNIT: usize = 256 << 10;

/// Bytes per unit when rows are written: each unit becomes a row group.
const UNIT_OF_ROWS: usize = 2 << 20;

/// Converts one file.
///
/// Each thread holds up to `scratch.memory` bytes of sums. `progress` is called after each read of the input, with the
/// number of bytes read so far.
///
/// A file that is rejected as a whole is not an error: the report says so, and the caller must discard its outputs.
///
/// If a header in mid-file moves the columns, this fails with [`EngineError::ColumnsMoved`], because several threads
/// read the file: open it again, and call [`convert_in_order`].
pub fn convert(
    input: impl Read + Send,
    layout: &FeedLayout,
    outputs: Outputs<'_>,
    scratch: Scratch<'_>,
    progress: impl FnMut(u64) + Send,
) -> Result<Conversion, EngineError> {
    convert_by(Order::Any, input, layout, outputs, scratch, progress)
}

/// Converts one file as [`convert`] does, but on one thread, which can follow headers in mid-file.
pub fn convert_in_order(
    input: impl Read + Send,
    layout: &FeedLayout,
    outputs: Outputs<'_>,
    scratch: Scratch<'_>,
    progress: impl FnMut(u64) + Send,
) -> Result<Conversion, EngineError> {
    // What the first reading left.
    if let Some(path) = outputs.rejects.filter(|path| path.exists()) {
        std::fs::remove_file(path).map_err(EngineError::write(path))?;
    }
    convert_by(Order::OfLines, input, layout, outputs, scratch, progress)
}

fn convert_by(
    order: Order,
    input: impl Read + Send,
    layout: &FeedLayout,
    outputs: Outputs<'_>,
    scratch: Scratch<'_>,
    progress: impl FnMut(u64) + Send,
) -> Result<Conversion, EngineError> {
    let mut source = Source {
        input,
        bytes: 0,
        progress,
    };
    let (text, is_decoded) = decoded(&mut source, layout)?;
    let unit = if outputs.converted.is_some() {
        UNIT_OF_ROWS
    } else {
        UNIT
    };
    let reading = Reading::new(text, unit, layout, outputs.rejects, order);
    let mut conversion = match &layout.kind {
        FeedKind::Sales(sales) => {
            let (lines, file) = SalesLines::new(sales, outputs.converted, scratch, is_decoded)?;
            reading.read(lines, file)?
        }
        FeedKind::Reference(columns) => {
            let (lines, file) = ReferenceLines::new(columns, outputs.converted)?;
            reading.read(lines, file)?
        }
    };
    conversion.report.bytes = source.bytes;
    conversion.report.conclude(layout)?;
    Ok(conversion)
}

/// Returns a file's text in UTF-8 without its byte-order mark, and whether it went through a decoder.
pub(crate) fn decoded<'r>(
    mut source: impl Read + Send + 'r,
    layout: &FeedLayout,
) -> Result<(Box<dyn Read + Send + 'r>, bool), EngineError> {
    let mut beginning = Vec::with_capacity(3);
    source
        .by_ref()
        .take(3)
        .read_to_end(&mut beginning)
        .map_err(EngineError::Read)?;
    let (encoding, bom) = Encoding::for_bom(&beginning).unwrap_or((layout.encoding, 0));
    beginning.drain(..bom);
    let text = Cursor::new(beginning).chain(source);
    if encoding == UTF_8 {
        return Ok((Box::new(text), false));
    }
    let decoder = DecodeReaderBytesBuilder::new()
        .encoding(Some(encoding))
        .bom_sniffing(false)
        .build(text);
    Ok((Box::new(decoder), true))
}

/// Returns the part of a text before its end mark.
pub(crate) fn whole(text: impl Read) -> impl Read {
    WholeText::new(text)
}

/// A reader that counts the bytes it passes on.
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
