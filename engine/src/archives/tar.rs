//! The members of a tar archive: ustar, with the long names of GNU and of pax.
//!
//! A tar has no directory, so it is passed over from its beginning to its end before anything of it is used.

use super::content::{Forward, Packing};
use super::{
    ArchiveError, MEMBERS, Member, NAME, checked_name, cut, damaged, long_name, of_reading, too_many,
};

/// Headers and contents fill whole blocks.
const BLOCK: u64 = 512;

/// The most bytes of a record about the member behind it.
const ABOUT: u64 = 1 << 20;

/// What records say of the member behind them.
#[derive(Default)]
struct About {
    name: Option<String>,
    bytes: Option<u64>,
}

/// Reads and checks the list of members.
pub(super) fn members(input: &mut impl Forward) -> Result<Vec<Member>, ArchiveError> {
    let mut members = Vec::new();
    let (mut at, mut headers, mut about) = (0, 0, About::default());
    loop {
        let mut header = [0; BLOCK as usize];
        input.read_exact(&mut header).map_err(of_reading)?;
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            // What follows is padding; but what a tar is packed in is checked at its own end.
            std::io::copy(input, &mut std::io::sink()).map_err(of_reading)?;
            return Ok(members);
        }
        check_sum(&header)?;
        headers += 1;
        if headers > 2 * MEMBERS || members.len() >= MEMBERS {
            return Err(too_many());
        }
        let own = number(&header[124..136]).ok_or_else(|| damaged("a member has no size"))?;
        let kind = header[156];
        if matches!(kind, b'x' | b'g' | b'L' | b'K') {
            let text = read_about(input, own, &mut at)?;
            match kind {
                b'x' => read_pax(&text, &mut about)?,
                b'L' => about.name = Some(text_until_nul(&text)?),
                _ => {}
            }
            continue;
        }
        let About { name, bytes } = std::mem::take(&mut about);
        let name = match name {
            Some(name) => name,
            None => own_name(&header)?,
        };
        if name.len() > NAME {
            return Err(long_name());
        }
        let is_folder = kind == b'5' || name.ends_with('/');
        let bytes = bytes.unwrap_or(own);
        if matches!(kind, b'0' | 0 | b'7') && !is_folder {
            members.push(Member {
                name: checked_name(&name)?,
                bytes,
                offset: at,
                packed: bytes,
                packing: Packing::Stored,
                crc: None,
            });
        } else if !is_folder {
            let what = match kind {
                b'1' | b'2' => "is a link, and no file",
                b'S' => "is a file with holes, which is not read",
                _ => "is no regular file",
            };
            return Err(ArchiveError::Refused(format!("its member {name:?} {what}")));
        }
        pass(input, if kind == b'5' { 0 } else { bytes }, &mut at)?;
    }
}

/// Passes over a content, up to the end of its last block.
fn pass(input: &mut impl Forward, bytes: u64, at: &mut u64) -> Result<(), ArchiveError> {
    let whole = bytes.checked_next_multiple_of(BLOCK);
    let end = whole.and_then(|whole| at.checked_add(whole)).ok_or_else(cut)?;
    input.skip(end - *at).map_err(of_reading)?;
    *at = end;
    Ok(())
}

fn read_about(input: &mut impl Forward, bytes: u64, at: &mut u64) -> Result<Vec<u8>, ArchiveError> {
    if bytes > ABOUT {
        return Err(damaged("a record about a member is too long"));
    }
    let mut text = vec![0; bytes.next_multiple_of(BLOCK) as usize];
    input.read_exact(&mut text).map_err(of_reading)?;
    *at += text.len() as u64;
    text.truncate(bytes as usize);
    Ok(text)
}

/// Reads records such as `19 path=a/IL-1.tdf\n`, each of which says its own length first.
fn read_pax(text: &[u8], about: &mut About) -> Result<(), ArchiveError> {
    let wrong = || damaged("a record about a member cannot be read");
    let mut rest = text;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length = std::str::from_utf8(&rest[..blank])
            .ok()
            .and_then(|text| text.parse().ok());
        let record = length
            .and_then(|length: usize| rest.get(blank + 1..length))
            .ok_or_else(wrong)?;
        rest = &rest[blank + 1 + record.len()..];
        let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => about.name = Some(text_until_nul(value)?),
            b"size" => {
                let text = std::str::from_utf8(value).ok();
                about.bytes = Some(text.and_then(|text| text.parse().ok()).ok_or_else(wrong)?);
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                let reason = "it has a file with holes, which is not read";
                return Err(ArchiveError::Refused(reason.into()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the name in a header. Only the format of POSIX has its beginning elsewhere.
fn own_name(header: &[u8]) -> Result<String, ArchiveError> {
    let name = text_until_nul(&header[..100])?;
    let is_posix = &header[257..263] == b"ustar\0";
    match is_posix && header[345] != 0 {
        true => Ok(format!("{}/{name}", text_until_nul(&header[345..500])?)),
        false => Ok(name),
    }
}

fn text_until_nul(field: &[u8]) -> Result<String, ArchiveError> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(&field[..end]);
    text.map(ToOwned::to_owned).map_err(|_| {
        let reason = "it has a member whose name is not UTF-8: rename the file, and pack it again";
        ArchiveError::Refused(reason.into())
    })
}

/// Reads a number: octal digits, or after a byte with its highest bit set, binary.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut bytes = std::iter::once(field[0] & 0x7f).chain(field[1..].iter().copied());
        return bytes.try_fold(0, |number: u64, byte| {
            (number >> 56 == 0).then_some(number << 8 | u64::from(byte))
        });
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches([' ', '\0']);
    match text.is_empty() {
        true => Some(0),
        false => u64::from_str_radix(text, 8).ok(),
    }
}

/// Compares the sum of a header's bytes with what it says. The sum itself counts as blanks.
fn check_sum(header: &[u8]) -> Result<(), ArchiveError> {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    match number(&header[148..156]) {
        Some(said) if said == sum => Ok(()),
        _ => Err(damaged("the header of a member has a wrong sum")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_digits_or_binary() {
        for (field, expected) in [
            (&b"0000017 "[..], Some(15)),
            (b" 17\0\0\0\0\0", Some(15)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"18\0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(258)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", Some(258)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }
}
