//! A look at an xls before it is read: which cells its sheets have. Its reader makes a table of all cells between the first
//! and the last one, so that two cells may take more memory than there is.

use std::io;

use super::package::damaged;
use super::unreadable;

/// The most cells, filled or not, between the first and the last one of all sheets.
const MOST_CELLS: u64 = 1_500_000;

/// The numbers of sectors from here on say something else.
const NO_SECTOR: u32 = 0xFFFF_FFFA;

/// Streams below this size lie in small sectors.
const SMALL: usize = 4096;

/// A compound file: streams of sectors that follow each other in any order.
struct Compound<'b> {
    bytes: &'b [u8],
    sector: usize,
    /// For each sector, the next one.
    next: Vec<u32>,
}

/// Checks how many cells the sheets of an xls span.
pub(super) fn check(bytes: &[u8]) -> io::Result<()> {
    let stream = Compound::open(bytes).and_then(|compound| compound.workbook());
    let stream = stream.map_err(|why| match why {
        Fault::Damaged => damaged("the directory of its streams cannot be read"),
        Fault::Locked => unreadable("it is a workbook that is protected with a password".into()),
        Fault::NoWorkbook => unreadable("it is an old Office document without a workbook in it".into()),
    })?;
    let mut sheets = Vec::new();
    each(&stream, |kind, record| {
        if kind == 0x85 && record.len() >= 4 {
            sheets.push(number(record, 0) as usize);
        }
    });
    let mut cells = 0;
    for sheet in sheets {
        let (mut rows, mut columns) = ((u32::MAX, 0), (u32::MAX, 0));
        let mut span = |row: u32, first: u32, last: u32| {
            rows = (rows.0.min(row), rows.1.max(row));
            columns = (columns.0.min(first), columns.1.max(last));
        };
        each(
            stream.get(sheet..).unwrap_or_default(),
            |kind, record| match kind {
                // What the sheet says of itself: memory is taken for that too.
                0x200 if record.len() >= 12 => {
                    span(number(record, 0), 0, 0);
                    span(number(record, 4), 0, short(record, 10));
                }
                0x03 | 0x04 | 0x06 | 0xD6 | 0xFD | 0x203..=0x205 | 0x27E if record.len() >= 4 => {
                    span(short(record, 0), short(record, 2), short(record, 2));
                }
                0xBD if record.len() >= 6 => span(
                    short(record, 0),
                    short(record, 2),
                    short(record, record.len() - 2),
                ),
                _ => {}
            },
        );
        if rows.0 <= rows.1 {
            cells += (u64::from(rows.1 - rows.0) + 1) * (u64::from(columns.1.saturating_sub(columns.0)) + 1);
        }
    }
    if cells > MOST_CELLS {
        return Err(unreadable(format!(
            "it is an old workbook (xls) whose sheets span {cells} cells, more than the {MOST_CELLS} that are kept in memory: have \
             the store save it as xlsx"
        )));
    }
    Ok(())
}

/// Has the records of a stream looked at, up to the end of the first part.
fn each(stream: &[u8], mut look: impl FnMut(u16, &[u8])) {
    let (mut rest, mut depth) = (stream, 0_u32);
    while let Some((head, behind)) = rest.split_at_checked(4) {
        let (kind, length) = (short(head, 0) as u16, short(head, 2) as usize);
        let Some((record, behind)) = behind.split_at_checked(length) else {
            return;
        };
        match kind {
            0x809 => depth += 1,
            0x0A => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return;
                }
            }
            _ => look(kind, record),
        }
        rest = behind;
    }
}

/// Returns a piece of bytes that has a number among pieces of one length; the last may be shorter. None is empty: whoever goes
/// from one to the next gets on.
fn piece(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.chunks(length).nth(at)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let byte = |at| bytes.get(at).copied().unwrap_or_default();
    u32::from_le_bytes(std::array::from_fn(|n| byte(at + n)))
}

fn short(bytes: &[u8], at: usize) -> u32 {
    number(bytes, at) & 0xFFFF
}

/// Why there is no stream to look at.
enum Fault {
    Damaged,
    Locked,
    NoWorkbook,
}

impl<'b> Compound<'b> {
    fn open(bytes: &'b [u8]) -> Result<Self, Fault> {
        let shift = short(bytes, 30);
        if bytes.len() < 512 || !matches!(shift, 9 | 12) {
            return Err(Fault::Damaged);
        }
        let mut compound = Self {
            bytes,
            sector: 1 << shift,
            next: Vec::new(),
        };
        let most = bytes.len() / compound.sector + 1;
        let mut tables: Vec<u32> = (0..109).map(|at| number(bytes, 76 + 4 * at)).collect();
        let (mut at, mut count) = (number(bytes, 68), 0);
        while at < NO_SECTOR && count < most {
            let sector = compound.at(at).ok_or(Fault::Damaged)?;
            let last = (sector.len() / 4).checked_sub(1).ok_or(Fault::Damaged)?;
            tables.extend((0..last).map(|n| number(sector, 4 * n)));
            (at, count) = (number(sector, 4 * last), count + 1);
        }
        for table in tables.into_iter().filter(|at| *at < NO_SECTOR).take(most) {
            let sector = compound.at(table).ok_or(Fault::Damaged)?;
            compound
                .next
                .extend((0..sector.len() / 4).map(|n| number(sector, 4 * n)));
        }
        Ok(compound)
    }

    fn at(&self, sector: u32) -> Option<&'b [u8]> {
        piece(self.bytes, sector as usize + 1, self.sector)
    }

    /// Returns the sectors from this one on.
    fn chain(&self, mut sector: u32) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while sector < NO_SECTOR {
            bytes.extend_from_slice(self.at(sector).ok_or(Fault::Damaged)?);
            // A chain that comes back to itself does not end.
            if bytes.len() > self.bytes.len() + self.sector {
                return Err(Fault::Damaged);
            }
            sector = self.next.get(sector as usize).copied().unwrap_or(u32::MAX);
        }
        Ok(bytes)
    }

    /// Returns the stream with the sheets.
    fn workbook(&self) -> Result<Vec<u8>, Fault> {
        let directory = self.chain(number(self.bytes, 48))?;
        let name = |entry: &[u8]| -> String {
            let length = (short(entry, 64) as usize / 2).saturating_sub(1).min(31);
            let units = (0..length).map(|at| short(entry, 2 * at) as u16);
            char::decode_utf16(units).map(|c| c.unwrap_or('?')).collect()
        };
        let find = |wanted: &str| {
            directory
                .chunks_exact(128)
                .find(|entry| name(entry).eq_ignore_ascii_case(wanted))
        };
        if find("EncryptedPackage").is_some() {
            return Err(Fault::Locked);
        }
        let entry = find("Workbook")
            .or_else(|| find("Book"))
            .ok_or(Fault::NoWorkbook)?;
        let (start, length) = (number(entry, 116), number(entry, 120) as usize);
        if length >= SMALL {
            let mut stream = self.chain(start)?;
            stream.truncate(length);
            return Ok(stream);
        }
        let root = directory.chunks_exact(128).next().ok_or(Fault::Damaged)?;
        let (small, table) = (
            self.chain(number(root, 116))?,
            self.chain(number(self.bytes, 60))?,
        );
        let (mut stream, mut sector) = (Vec::new(), start);
        while sector < NO_SECTOR && stream.len() < length {
            stream.extend_from_slice(piece(&small, sector as usize, 64).ok_or(Fault::Damaged)?);
            sector = number(&table, 4 * sector as usize);
        }
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compound file of a header and the table of sectors, which says of the sector behind it that it follows itself.
    fn circular() -> Vec<u8> {
        let mut bytes = vec![0xFF; 1024];
        bytes[30..32].copy_from_slice(&[9, 0]);
        bytes[48..52].copy_from_slice(&[1, 0, 0, 0]);
        bytes[76..80].copy_from_slice(&[0, 0, 0, 0]);
        bytes[516..520].copy_from_slice(&[1, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_chain_of_sectors_behind_the_end_ends() {
        assert!(check(&circular()).is_err());
    }

    #[test]
    fn a_list_of_tables_may_be_cut_off() {
        let mut bytes = circular();
        bytes[68..72].copy_from_slice(&[1, 0, 0, 0]);
        bytes.extend([0, 0]);
        assert!(check(&bytes).is_err());
    }
}
