//! The directory of a zip archive, and of zip64.
//!
//! A zip ends with a directory, which says where each member is. Each member also has a header of its own in front of
//! its bytes; the two must agree, or different readers would see different archives.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::content::{Packing, Slice};
use super::{
    ArchiveError, MEMBERS, Member, NAME, checked_name, cut, damaged, long_name, of_reading, too_many,
};
use crate::containers::{FREE, MOST_TIMES};

/// The length of the record that ends a zip, without its comment.
const END: usize = 22;

/// The same of zip64, as far as it is read.
const END_64: usize = 56;

/// The length of the record behind it that says where it is.
const LOCATOR: usize = 20;

/// The length of a member's entry in the directory without its name, and of its own header.
const ENTRY: usize = 46;
const HEADER: usize = 30;

/// What says that a number stands elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// Where the directory is.
struct Directory {
    entries: u64,
    offset: u64,
    bytes: u64,
}

/// An entry of the directory that is no folder.
struct Entry {
    member: Member,
    raw_name: Vec<u8>,
    method: u16,
    /// Where the member's own header is.
    header: u64,
}

/// Reads and checks the list of members.
pub(super) fn members(file: &Arc<File>, bytes: u64) -> Result<Vec<Member>, ArchiveError> {
    let directory = find_directory(file, bytes)?;
    if directory.entries > MEMBERS as u64 {
        return Err(too_many());
    }
    let slice = Slice::new(file.clone(), directory.offset, directory.bytes);
    let mut input = BufReader::with_capacity(64 << 10, slice);
    let mut entries = Vec::new();
    for _ in 0..directory.entries {
        entries.extend(entry(&mut input)?);
    }
    if input.read(&mut [0]).map_err(of_reading)? > 0 {
        return Err(damaged("its directory has more entries than it says"));
    }
    let mut ranges = Vec::with_capacity(entries.len());
    for entry in &mut entries {
        let begin = entry.header;
        entry.member.offset = check_header(file, entry)?;
        let end = entry.member.offset.checked_add(entry.member.packed);
        let end = end.filter(|end| *end <= directory.offset);
        ranges.push((
            begin,
            end.ok_or_else(|| damaged("a member ends behind the directory"))?,
        ));
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(ArchiveError::Refused("its members overlap, as in a trap".into()));
    }
    let members: Vec<Member> = entries.into_iter().map(|entry| entry.member).collect();
    let unpacked = members
        .iter()
        .try_fold(0_u64, |sum, member| sum.checked_add(member.bytes));
    if unpacked.is_none_or(|unpacked| unpacked > FREE + MOST_TIMES * bytes) {
        return Err(too_much());
    }
    Ok(members)
}

/// Returns whether an archive is one only by its form: Office's files, and OpenDocument's, are zip archives.
pub(super) fn is_workbook(members: &[Member]) -> bool {
    let mut members = members.iter();
    members.any(|member| member.name == "[Content_Types].xml" || member.name == "mimetype")
}

fn find_directory(file: &File, bytes: u64) -> Result<Directory, ArchiveError> {
    let length = bytes.min((END + usize::from(u16::MAX)) as u64) as usize;
    let tail = read(file, bytes - length as u64, length)?;
    // The comment behind it may hold anything, so the record must end just where the file does.
    let ends_here = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && END + usize::from(u16_at(record, 20)) == record.len()
    };
    let at = (0..=length.saturating_sub(END))
        .rev()
        .find(|at| tail.len() >= END && ends_here(at));
    let at = at.ok_or_else(cut)?;
    let (end, position) = (&tail[at..], bytes - length as u64 + at as u64);
    let mut directory = Directory {
        entries: u16_at(end, 10).into(),
        bytes: u32_at(end, 12).into(),
        offset: u32_at(end, 16).into(),
    };
    let mut limit = position;
    let mut disks = (u32::from(u16_at(end, 4)), u32::from(u16_at(end, 6)));
    let is_64 = directory.entries == u64::from(u16::MAX)
        || directory.bytes == ELSEWHERE
        || directory.offset == ELSEWHERE;
    if is_64 && position >= LOCATOR as u64 {
        let locator = read(file, position - LOCATOR as u64, LOCATOR)?;
        if locator.starts_with(b"PK\x06\x07") {
            limit = u64_at(&locator, 8);
            let fits = limit
                .checked_add(END_64 as u64)
                .is_some_and(|end| end <= position);
            let end = if fits {
                read(file, limit, END_64)?
            } else {
                Vec::new()
            };
            if !end.starts_with(b"PK\x06\x06") {
                return Err(damaged("the end of its zip64 directory is not where it says"));
            }
            disks = (u32_at(&end, 16), u32_at(&end, 20));
            directory = Directory {
                entries: u64_at(&end, 32),
                bytes: u64_at(&end, 40),
                offset: u64_at(&end, 48),
            };
        }
    }
    if disks != (0, 0) {
        let reason = "it is one part of an archive in several parts, which is not read";
        return Err(ArchiveError::Refused(reason.into()));
    }
    match directory.offset.checked_add(directory.bytes) {
        Some(end) if end <= limit => Ok(directory),
        _ => Err(damaged("its directory is not where it says")),
    }
}

/// Reads an entry of the directory; `None` if it is a folder.
fn entry(input: &mut impl Read) -> Result<Option<Entry>, ArchiveError> {
    let mut fixed = [0; ENTRY];
    let mut take = |buffer: &mut [u8]| {
        input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("its directory ends too early"),
            _ => of_reading(error),
        })
    };
    take(&mut fixed)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(damaged("its directory has an entry that is none"));
    }
    let (flags, method) = (u16_at(&fixed, 8), u16_at(&fixed, 10));
    let mut raw_name = vec![0; u16_at(&fixed, 28).into()];
    let mut extra = vec![0; u16_at(&fixed, 30).into()];
    let mut comment = vec![0; u16_at(&fixed, 32).into()];
    take(&mut raw_name)?;
    take(&mut extra)?;
    take(&mut comment)?;
    if raw_name.len() > NAME {
        return Err(long_name());
    }
    let text = name_text(&raw_name, flags & 0x800 != 0);
    let is_of_unix = fixed[5] == 3;
    let is_link = is_of_unix && u32_at(&fixed, 38) >> 28 == 0xA;
    let is_folder = text.ends_with('/');
    let name = checked_name(&text)?;
    if flags & 0x41 != 0 || method == 99 {
        let reason = format!("its member {name:?} is encrypted, which is not read");
        return Err(ArchiveError::Refused(reason));
    }
    if is_link {
        let reason = format!("its member {name:?} is a link, and no file");
        return Err(ArchiveError::Refused(reason));
    }
    let mut sizes = [u32_at(&fixed, 24), u32_at(&fixed, 20), u32_at(&fixed, 42)].map(u64::from);
    read_64(&extra, &mut sizes)?;
    let [bytes, packed, header] = sizes;
    let packing = match method {
        0 if bytes != packed => return Err(damaged("a stored member has two sizes")),
        0 => Packing::Stored,
        8 => Packing::Deflated,
        other => {
            let reason = format!(
                "its member {name:?} is packed in a way that is not read (method {other}); deflate is read"
            );
            return Err(ArchiveError::Refused(reason));
        }
    };
    if bytes > packed.saturating_mul(MOST_TIMES).saturating_add(FREE) {
        return Err(too_much());
    }
    Ok((!is_folder).then_some(Entry {
        member: Member {
            name,
            bytes,
            offset: 0,
            packed,
            packing,
            crc: Some(u32_at(&fixed, 16)),
        },
        raw_name,
        method,
        header,
    }))
}

/// Takes those of an entry's numbers from zip64's field that have no room in the entry.
fn read_64(extra: &[u8], sizes: &mut [u64; 3]) -> Result<(), ArchiveError> {
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let Some(field) = rest.get(4..4 + length) else {
            break;
        };
        rest = &rest[4 + length..];
        if id != 1 {
            continue;
        }
        let mut numbers = field.chunks_exact(8);
        for size in sizes.iter_mut().filter(|size| **size == ELSEWHERE) {
            let number = numbers.next().ok_or_else(|| damaged("zip64 lacks a size"))?;
            *size = u64_at(number, 0);
        }
    }
    Ok(())
}

/// Compares a member's own header with its entry, and returns where its bytes begin.
fn check_header(file: &File, entry: &Entry) -> Result<u64, ArchiveError> {
    let header = read(file, entry.header, HEADER)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(damaged("a member is not where its directory says"));
    }
    let (name, extra) = (u64::from(u16_at(&header, 26)), u64::from(u16_at(&header, 28)));
    let name_at = entry.header + HEADER as u64;
    let is_same = name == entry.raw_name.len() as u64
        && u16_at(&header, 8) == entry.method
        && read(file, name_at, entry.raw_name.len())? == entry.raw_name;
    match is_same {
        true => Ok(name_at + name + extra),
        false => Err(damaged("a member's own header says otherwise than its directory")),
    }
}

/// Reads a member's name: UTF-8, or the code page of DOS. Some programs on Windows write `\` between folders.
fn name_text(raw: &[u8], is_utf8: bool) -> String {
    const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    let text = match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        Err(_) if is_utf8 => String::from_utf8_lossy(raw).into_owned(),
        Err(_) => raw
            .iter()
            .map(|&byte| match byte {
                0..0x80 => char::from(byte),
                _ => CP437.chars().nth(usize::from(byte - 0x80)).unwrap_or('\u{fffd}'),
            })
            .collect(),
    };
    text.replace('\\', "/")
}

fn too_much() -> ArchiveError {
    ArchiveError::Refused(format!(
        "it holds over {MOST_TIMES} times its own size, as no list of sales does"
    ))
}

fn read(file: &File, at: u64, bytes: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut buffer = vec![0; bytes];
    file.read_exact_at(&mut buffer, at).map_err(of_reading)?;
    Ok(buffer)
}

/// Reads numbers whose place the caller has made sure of.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
