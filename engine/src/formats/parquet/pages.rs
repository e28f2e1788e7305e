//! A look at the pages of a Parquet file before they are unpacked: what they say of their sizes is what its reader takes
//! memory for.

use std::io::{self, Read};

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::super::record::unreadable;
use super::super::spool::Spool;
use super::damaged;

/// The largest page that is unpacked. Writers make pages of about a megabyte.
const LARGEST: u64 = 64 << 20;

/// Pages may hold so many times their packed size, after the first [`FREE`] bytes.
const MOST_TIMES: u64 = 200;
const FREE: u64 = 64 << 20;

/// The longest header of a page: it may hold the least and the greatest value.
const LONGEST_HEADER: u64 = 1 << 20;

/// How deep the header of a page may be nested.
const DEEPEST: usize = 8;

/// What the header of a page says.
#[derive(Debug, Default)]
struct PageHeader {
    /// 0 for data, 2 for a dictionary.
    kind: i64,
    unpacked: i64,
    packed: i64,
}

/// The sizes of the largest pages, unpacked.
#[derive(Debug, Default)]
pub(super) struct Largest {
    pub(super) dictionary: u64,
    /// Of any kind.
    pub(super) page: u64,
}

/// Checks the pages of columns.
pub(super) fn check(spool: &Spool, metadata: &ParquetMetaData, leaves: &[usize]) -> io::Result<Largest> {
    let (mut all_packed, mut all_unpacked, mut largest) = (0_u64, 0_u64, Largest::default());
    for group in metadata.row_groups() {
        for leaf in leaves {
            let column = group
                .columns()
                .get(*leaf)
                .ok_or_else(|| damaged("a row group lacks a column"))?;
            let of_dictionary = column.dictionary_page_offset().filter(|at| *at > 0);
            let start =
                of_dictionary.map_or(column.data_page_offset(), |at| at.min(column.data_page_offset()));
            let range = u64::try_from(start)
                .ok()
                .zip(u64::try_from(column.compressed_size()).ok());
            let range = range.and_then(|(start, length)| Some((start, start.checked_add(length)?)));
            let (mut at, end) = range
                .filter(|(_, end)| *end <= spool.len())
                .ok_or_else(|| damaged("a column lies beyond its end"))?;
            while at < end {
                let (header, length) = read_header(spool, at)?;
                let sizes = u64::try_from(header.packed)
                    .ok()
                    .zip(u64::try_from(header.unpacked).ok());
                let Some((packed, unpacked)) = sizes.filter(|(packed, _)| at + length + packed <= end) else {
                    return Err(damaged("a page has no size that can be"));
                };
                if unpacked > LARGEST {
                    return Err(unreadable(format!(
                        "it is a Parquet file with a page of {unpacked} bytes, more than {LARGEST}: no list of sales has such"
                    )));
                }
                all_packed += packed;
                all_unpacked += unpacked;
                if header.kind == 2 {
                    largest.dictionary = largest.dictionary.max(unpacked);
                }
                largest.page = largest.page.max(unpacked);
                at += length + packed;
            }
        }
    }
    if all_unpacked > FREE + MOST_TIMES * all_packed {
        return Err(unreadable(format!(
            "it is a Parquet file whose pages hold over {MOST_TIMES} times their size, as no list of sales does"
        )));
    }
    Ok(largest)
}

/// Reads the header of the page that begins there, and returns its length.
fn read_header(spool: &Spool, at: u64) -> io::Result<(PageHeader, u64)> {
    let input = spool.get_read(at).map_err(|error| damaged(&error.to_string()))?;
    let mut compact = Compact {
        input: input.take(LONGEST_HEADER),
        read: 0,
    };
    let mut header = PageHeader::default();
    let read = compact.fields(DEEPEST, |compact, id, kind| {
        match (id, kind) {
            (1, INTEGER) => header.kind = compact.integer()?,
            (2, INTEGER) => header.unpacked = compact.integer()?,
            (3, INTEGER) => header.packed = compact.integer()?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    match read {
        Ok(()) => Ok((header, compact.read)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
            ) =>
        {
            Err(damaged("a page has no header"))
        }
        Err(error) => Err(error),
    }
}

/// The type of a whole number of 32 bits in Thrift's compact protocol.
const INTEGER: u8 = 5;

/// Reads Thrift's compact protocol.
struct Compact<R> {
    input: R,
    read: u64,
}

impl<R: Read> Compact<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn integer(&mut self) -> io::Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Reads the fields of a structure. `take` gets the number and type of each, and returns whether it has read it.
    fn fields(
        &mut self,
        depth: usize,
        mut take: impl FnMut(&mut Self, i64, u8) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            let (step, kind) = (byte >> 4, byte & 0x0F);
            if kind == 0 {
                return Ok(());
            }
            id = match step {
                0 => self.integer()?,
                step => id + i64::from(step),
            };
            if !take(self, id, kind)? {
                self.skip(kind, false, depth)?;
            }
        }
    }

    /// Skips a value.
    fn skip(&mut self, kind: u8, is_element: bool, depth: usize) -> io::Result<()> {
        let depth = depth.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            // Outside of lists, the type is the value.
            1 | 2 if !is_element => Ok(()),
            1..=3 => self.byte().map(|_| ()),
            4..=6 => self.unsigned().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let length = self.unsigned()?;
                self.bytes(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.unsigned()?,
                    count => count.into(),
                };
                (0..count).try_for_each(|_| self.skip(byte & 0x0F, true, depth))
            }
            12 => self.fields(depth, |_, _, _| Ok(false)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn bytes(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(length), &mut io::sink())?;
        self.read += skipped;
        match skipped == length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
