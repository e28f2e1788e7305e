//! Conversion: one pass over a file yields its typed rows, its rejects, its partial and its report.
//!
//! The file is streamed: memory depends on the number of distinct keys, not on the file's size, and sums beyond the
//! memory limit are spilled to files. Each line becomes exactly one of row, ignored, skipped, reject;
//! [`ConversionReport`] counts them, and the total is checked.
//!
//! A file is read in units of whole lines ([`text`](crate::text)). One thread reads until it has seen the first line that
//! is not skipped, which may be a header. From then on, all idle threads of the current rayon pool read units in parallel, and
//! their output is written in the order of the file ([`turns`]). What each line is, [`lines`] decides.

mod controls;
mod conversion;
mod lines;
mod objects;
mod preview;
mod reader;
mod records;
mod row_groups;
#[cfg(test)]
mod tests;
mod turns;

use std::io::{self, Cursor, Read};
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

pub use self::conversion::Conversion;
pub use self::preview::{Outcome, Previewed, preview};
use self::reader::Order;
use crate::archives::is_archive;
use crate::containers::{self, beginning_of, unpacked};
use crate::error::EngineError;
use crate::feed_lines::FeedLines;
use crate::formats::{self, ParquetFile, Records};
use crate::kinds;
use crate::layout::{Charset, FeedKind, FeedLayout, Format};
use crate::reference::ReferenceLines;
use crate::report::ConversionReport;
use crate::sales::SalesLines;
use crate::scratch::Scratch;
use crate::sums::DayLines;
use crate::text::PageReader;

/// Where the outputs of a conversion go; an output without a path is not written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outputs<'p> {
    /// The typed rows as Parquet.
    pub converted: Option<&'p Path>,
    /// The rejects as Parquet; the file is created only when there are rejects.
    pub rejects: Option<&'p Path>,
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
/// read the file: open it again, and call [`convert_in_order`]. If the file is an archive, this fails with
/// [`EngineError::Archive`]: see [`Archive`](crate::Archive).
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
    let converted = convert_source(order, &mut source, layout, outputs, scratch);
    let mut conversion = match converted {
        Err(EngineError::Read(error)) => match containers::unreadable(&error) {
            Some(reason) => rejected(reason),
            None => return Err(EngineError::Read(error)),
        },
        converted => converted?,
    };
    // The name of a version depends on all bytes of its file, even if some were not looked at.
    if let Err(error) = io::copy(&mut source, &mut io::sink()) {
        // A member of an archive that is damaged.
        let reason = containers::unreadable(&error).ok_or(EngineError::Read(error))?;
        conversion = rejected(reason);
    }
    conversion.report.bytes = source.bytes;
    Ok(conversion)
}

fn convert_source(
    order: Order,
    source: &mut (impl Read + Send),
    layout: &FeedLayout,
    outputs: Outputs<'_>,
    scratch: Scratch<'_>,
) -> Result<Conversion, EngineError> {
    let reading = FileReading {
        order,
        layout,
        outputs,
        scratch,
    };
    let mut conversion = match open(source, layout).map_err(EngineError::Read)? {
        Opened::Text { text, is_decoded } => reading.read_input(Input::Text(text), is_decoded)?,
        Opened::Foreign(reason) => return Ok(rejected(reason)),
        Opened::Archive => return Err(EngineError::Archive),
        Opened::Table(bytes) => {
            let Format::Table(table) = &layout.format else {
                return Ok(rejected("its format is none of tables".to_owned()));
            };
            formats::open_table(bytes, (table, layout), scratch.folder, reading)?
        }
    };
    if let Some((store_id, trans_date)) = layout
        .day_without_sales()
        .filter(|_| conversion.report.is_without_records())
    {
        conversion.report.days = vec![DayLines {
            store_id,
            trans_date,
            lines: Some(0),
            turnover: 0,
        }];
        conversion.report.first_date = Some(trans_date);
        conversion.report.last_date = Some(trans_date);
    }
    conversion.report.conclude(layout)?;
    Ok(conversion)
}

/// Makes the conversion of a file that cannot be read.
fn rejected(reason: String) -> Conversion {
    Conversion {
        report: ConversionReport::rejected(reason),
        partial: None,
    }
}

/// What a file is.
pub(crate) enum Opened<'r> {
    Text {
        /// The text in UTF-8, without a byte-order mark.
        text: Box<dyn Read + Send + 'r>,
        /// Whether it went through a decoder.
        is_decoded: bool,
    },
    /// The bytes of a table.
    Table(Box<dyn Read + Send + 'r>),
    /// Something that the format does not read, and why.
    Foreign(String),
    /// An archive: its members are files of their own.
    Archive,
}

/// Unpacks a file and, if it is text, decodes it.
pub(crate) fn open<'r>(source: impl Read + Send + 'r, layout: &FeedLayout) -> io::Result<Opened<'r>> {
    let (mut text, _) = unpacked(source)?;
    let beginning = beginning_of(&mut text)?;
    if is_archive(&beginning) {
        return Ok(Opened::Archive);
    }
    // Text in EBCDIC may begin with any bytes.
    let is_ebcdic = matches!(layout.charset, Charset::Ebcdic(_));
    if let Some(reason) = kinds::refusal(&beginning, layout.format.word()).filter(|_| !is_ebcdic) {
        return Ok(Opened::Foreign(reason));
    }
    if matches!(layout.format, Format::Table(_)) {
        return Ok(Opened::Table(Box::new(Cursor::new(beginning).chain(text))));
    }
    let (encoding, bom) = match layout.charset {
        Charset::Text(encoding) => Encoding::for_bom(&beginning).unwrap_or((encoding, 0)),
        Charset::Dos(_) => Encoding::for_bom(&beginning).unwrap_or((UTF_8, 0)),
        Charset::Ebcdic(_) => (UTF_8, 0),
    };
    let page = match layout.charset {
        Charset::Text(_) => None,
        Charset::Dos(dos) => Some(dos.table()).filter(|_| bom == 0),
        Charset::Ebcdic(ebcdic) => Some(ebcdic.characters()),
    };
    let is_decoded = encoding != UTF_8 || page.is_some();
    let mut beginning = Cursor::new(beginning);
    beginning.set_position(bom as u64);
    let text = beginning.chain(text);
    let text: Box<dyn Read + Send + 'r> = if let Some(characters) = page {
        Box::new(PageReader::new(text, characters))
    } else if is_decoded {
        let decoder = DecodeReaderBytesBuilder::new()
            .encoding(Some(encoding))
            .bom_sniffing(false)
            .build(text);
        Box::new(decoder)
    } else {
        Box::new(text)
    };
    Ok(Opened::Text { text, is_decoded })
}

/// How a file is read.
struct FileReading<'c> {
    order: Order,
    layout: &'c FeedLayout,
    outputs: Outputs<'c>,
    scratch: Scratch<'c>,
}

/// What a file gives.
enum Input<'r> {
    Text(Box<dyn Read + Send + 'r>),
    Records(Box<dyn Records + 'r>),
    Parquet(ParquetFile),
}

impl FileReading<'_> {
    fn read_input(&self, input: Input<'_>, is_decoded: bool) -> Result<Conversion, EngineError> {
        match &self.layout.kind {
            FeedKind::Sales(sales) => {
                let converted = self.outputs.converted;
                let (lines, file) = SalesLines::new(sales, converted, self.scratch, is_decoded)?;
                self.read_lines(input, lines, file)
            }
            FeedKind::Reference(columns) => {
                let (lines, file) = ReferenceLines::new(columns, self.outputs.converted)?;
                self.read_lines(input, lines, file)
            }
        }
    }

    /// Reads plain lines, and objects a line, with all threads that have nothing else to do; records of other formats one by
    /// one.
    fn read_lines<L: FeedLines>(
        &self,
        input: Input<'_>,
        lines: L,
        file: Option<L::File>,
    ) -> Result<Conversion, EngineError> {
        let unit = match self.outputs.converted {
            Some(_) => UNIT_OF_ROWS,
            None => UNIT,
        };
        let (layout, rejects) = (self.layout, self.outputs.rejects);
        let records = match input {
            Input::Text(text) if layout.plain_delimiter().is_some() => {
                return reader::Reading::new(text, unit, layout, rejects, self.order).read(lines, file);
            }
            Input::Text(text) if layout.has_plain_objects() => {
                let (text, are_lines) = formats::are_lines(text).map_err(EngineError::Read)?;
                if are_lines {
                    return reader::Reading::new(text, unit, layout, rejects, self.order).read(lines, file);
                }
                formats::open(text, layout)
            }
            Input::Text(text) => formats::open(text, layout),
            Input::Records(records) => records,
            Input::Parquet(parquet) => {
                return row_groups::read(parquet, layout, rejects, self.order, lines, file);
            }
        };
        records::read(records, layout, rejects, lines, file)
    }
}

impl formats::Reading<Conversion> for FileReading<'_> {
    fn read(self, records: Box<dyn Records + '_>) -> Result<Conversion, EngineError> {
        self.read_input(Input::Records(records), true)
    }

    fn read_parquet(self, file: ParquetFile) -> Result<Conversion, EngineError> {
        self.read_input(Input::Parquet(file), true)
    }
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
