//! Archives as others write them, and traps written by hand.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::*;

/// A member of a zip that is written by hand, so that any of it can be wrong.
struct Entry {
    name: &'static str,
    bytes: Vec<u8>,
    method: u16,
    flags: u16,
    crc: u32,
    said: u32,
    own_name: Option<&'static str>,
}

fn entry(name: &'static str, text: &[u8]) -> Entry {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(text).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(text);
    Entry {
        name,
        bytes: deflated.finish().unwrap(),
        method: 8,
        flags: 0,
        crc: crc.sum(),
        said: text.len() as u32,
        own_name: None,
    }
}

fn stored(name: &'static str, text: &[u8]) -> Entry {
    Entry {
        bytes: text.to_vec(),
        method: 0,
        ..entry(name, text)
    }
}

fn header(entry: &Entry, is_own: bool, offset: u32) -> Vec<u8> {
    let name = entry.own_name.filter(|_| is_own).unwrap_or(entry.name);
    let mut header = Vec::new();
    let u16 = |header: &mut Vec<u8>, value: u16| header.extend(value.to_le_bytes());
    header.extend(if is_own { b"PK\x03\x04" } else { b"PK\x01\x02" });
    if !is_own {
        u16(&mut header, 20);
    }
    for value in [20, entry.flags, entry.method, 0, 0] {
        u16(&mut header, value);
    }
    for value in [entry.crc, entry.bytes.len() as u32, entry.said] {
        header.extend(value.to_le_bytes());
    }
    u16(&mut header, name.len() as u16);
    u16(&mut header, 0);
    if !is_own {
        for _ in 0..3 {
            u16(&mut header, 0);
        }
        header.extend(0_u32.to_le_bytes());
        header.extend(offset.to_le_bytes());
    }
    header.extend(name.as_bytes());
    header
}

/// Writes a zip. `count` is what its end says of the number of entries.
fn zip_of(entries: &[Entry], count: usize) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(header(entry, false, zip.len() as u32));
        zip.extend(header(entry, true, 0));
        zip.extend(&entry.bytes);
    }
    let offset = zip.len() as u32;
    zip.extend(&directory);
    end(&mut zip, count, directory.len() as u32, offset);
    zip
}

fn end(zip: &mut Vec<u8>, count: usize, bytes: u32, offset: u32) {
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat());
    zip.extend([bytes.to_le_bytes(), offset.to_le_bytes()].concat());
    zip.extend([0, 0]);
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_of(entries, entries.len())
}

fn tar_header(name: &str, bytes: u64, kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn tar_member(name: &str, text: &[u8], kind: u8) -> Vec<u8> {
    let mut member = tar_header(name, text.len() as u64, kind);
    member.extend(text);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar: Vec<u8> = members
        .iter()
        .flat_map(|(name, text)| tar_member(name, text, b'0'))
        .collect();
    tar.extend([0; 1024]);
    tar
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn open(bytes: &[u8]) -> Result<Option<Archive>, ArchiveError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Archive::open(Arc::new(file))
}

/// Returns the names and contents of all members, or why one cannot be read.
fn read(bytes: &[u8]) -> Vec<(String, Result<Vec<u8>, String>)> {
    let archive = open(bytes).unwrap().unwrap();
    let all: Vec<usize> = (0..archive.members().len()).collect();
    let folder = tempfile::tempdir().unwrap();
    let batches = archive.batches(&all, folder.path());
    let contents = batches.flat_map(Result::unwrap);
    contents
        .map(|(number, content)| {
            let mut text = Vec::new();
            let read = content.open().read_to_end(&mut text);
            let text = read.map(|_| text).map_err(|error| unreadable(&error).unwrap());
            (archive.members()[number].name.clone(), text)
        })
        .collect()
}

fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(ArchiveError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn texts(members: &[(&str, &[u8])]) -> Vec<(String, Result<Vec<u8>, String>)> {
    let texts = members.iter();
    texts
        .map(|(name, text)| ((*name).to_owned(), Ok(text.to_vec())))
        .collect()
}

#[test]
fn members_are_read_from_each_kind_of_archive() {
    let members: [(&str, &[u8]); 3] = [
        ("IL-1.tdf", b"one"),
        ("sub/IL-2.tdf", b""),
        ("IL-3.tdf", b"three"),
    ];
    let zipped = zip(&[
        entry("IL-1.tdf", b"one"),
        stored("sub/", b""),
        stored("sub\\IL-2.tdf", b""),
        stored("./IL-3.tdf", b"three"),
    ]);
    assert_eq!(read(&zipped), texts(&members));
    let plain = tar(&members);
    assert_eq!(read(&plain), texts(&members));
    assert_eq!(read(&gzipped(&plain)), texts(&members));
    assert!(open(&zip(&[])).unwrap().unwrap().members().is_empty());
    assert!(open(b"1\t2.50\t4\tCOLA\t2016-06-01\n").unwrap().is_none());
    assert!(
        open(&gzipped(b"1\t2.50\t4\tCOLA\t2016-06-01\n"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn many_members_of_a_packed_tar_come_in_batches_of_any_choice() {
    let names: Vec<String> = (0..600).map(|n| format!("IL-{n}.tdf")).collect();
    let members: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), name.as_bytes()))
        .collect();
    let archive = open(&gzipped(&tar(&members))).unwrap().unwrap();
    let odd: Vec<usize> = (1..600).step_by(2).collect();
    let folder = tempfile::tempdir().unwrap();
    let batches: Vec<Batch> = archive.batches(&odd, folder.path()).map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [256, 44]);
    for (number, content) in batches.into_iter().flatten() {
        let mut text = String::new();
        content.open().read_to_string(&mut text).unwrap();
        assert_eq!(text, names[number]);
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing has a name"
    );
}

#[test]
fn long_names_of_gnu_and_pax_are_read() {
    let long = format!("{}/IL-1.tdf", "d".repeat(150));
    let gnu = [
        tar_member("././@LongLink", format!("{long}\0").as_bytes(), b'L'),
        tar(&[("cut", b"one")]),
    ];
    assert_eq!(read(&gnu.concat()), texts(&[(&long, b"one")]));
    let record = format!("{} path={long}\n", 9 + long.len() + 1);
    let pax = [
        tar_member("PaxHeaders/x", record.as_bytes(), b'x'),
        tar(&[("cut", b"one")]),
    ];
    assert_eq!(read(&pax.concat()), texts(&[(&long, b"one")]));
}

#[test]
fn names_that_lead_out_or_occur_twice_are_refused() {
    for (name, words) in [
        ("../IL-1.tdf", "`..`"),
        ("a/../../IL-1.tdf", "`..`"),
        ("..\\IL-1.tdf", "`..`"),
        ("/etc/IL-1.tdf", "root"),
        ("C:\\IL-1.tdf", "root"),
        ("IL\u{1b}.tdf", "control"),
        ("./", "empty"),
    ] {
        let reason = refusal(&zip(&[stored(name, b"1")]));
        assert!(reason.contains(words), "{name}: {reason}");
        if !name.contains('\\') && name != "./" {
            assert!(refusal(&tar(&[(name, b"1")])).contains(words), "{name}");
        }
    }
    let twice = refusal(&zip(&[stored("IL-1.tdf", b"1"), stored("./IL-1.tdf", b"2")]));
    assert!(twice.contains("two members"), "{twice}");
    let twice = refusal(&gzipped(&tar(&[("IL-1.tdf", b"1"), ("IL-1.tdf", b"2")])));
    assert!(twice.contains("two members"), "{twice}");
}

#[test]
fn what_is_encrypted_or_no_file_is_refused() {
    let encrypted = Entry {
        flags: 1,
        ..stored("IL-1.tdf", b"1")
    };
    assert!(refusal(&zip(&[encrypted])).contains("encrypted"));
    let other = Entry {
        method: 12,
        ..stored("IL-1.tdf", b"1")
    };
    assert!(refusal(&zip(&[other])).contains("method 12"));
    for (kind, words) in [
        (b'2', "a link"),
        (b'1', "a link"),
        (b'3', "no regular file"),
        (b'S', "holes"),
    ] {
        let reason = refusal(&[tar_header("IL-1.tdf", 0, kind), vec![0; 1024]].concat());
        assert!(reason.contains(words), "{reason}");
    }
    let office = zip(&[stored("a", b""), stored("[Content_Types].xml", b"<x/>")]);
    assert!(refusal(&office).contains("workbook"));
    assert!(is_archive(&zip(&[stored("IL-1.tdf", b"1")])));
    assert!(!is_archive(&zip(&[stored("[Content_Types].xml", b"1")])));
}

#[test]
fn traps_are_refused_before_anything_is_unpacked() {
    let zeros = vec![0; 4 << 20];
    assert!(refusal(&zip(&[entry("IL-1.tdf", &zeros)])).contains("200 times"));
    assert!(refusal(&gzipped(&tar(&[("IL-1.tdf", &zeros)]))).contains("200 times"));
    let huge = Entry {
        said: u32::MAX - 1,
        ..entry("IL-1.tdf", b"1")
    };
    assert!(refusal(&zip(&[huge])).contains("200 times"));
    assert!(refusal(&zip_of(&[stored("IL-1.tdf", b"1")], 65_000)).contains("10000 members"));
    assert!(refusal(&zip_of(&[stored("IL-1.tdf", b"1")], 2)).contains("ends too early"));
    assert!(refusal(&zip_of(&[stored("IL-1.tdf", b"1")], 0)).contains("more entries"));

    // Two entries for the same bytes: each would be unpacked.
    let (one, other) = (stored("IL-1.tdf", b"same"), stored("IL-2.tdf", b"same"));
    let mut overlapping = [header(&one, true, 0), one.bytes.clone()].concat();
    let offset = overlapping.len() as u32;
    let directory = [header(&one, false, 0), header(&other, false, 0)].concat();
    overlapping.extend(&directory);
    end(&mut overlapping, 2, directory.len() as u32, offset);
    assert!(refusal(&overlapping).contains("otherwise than its directory"));
    let quoted = [header(&other, true, 0), one.bytes.clone()].concat();
    let outer = Entry {
        bytes: quoted,
        said: (HEADER + 8 + 4) as u32,
        ..stored("IL-1.tdf", b"")
    };
    let mut overlapping = [header(&outer, true, 0), outer.bytes.clone()].concat();
    let (inner, offset) = ((HEADER + 8) as u32, overlapping.len() as u32);
    let directory = [header(&outer, false, 0), header(&other, false, inner)].concat();
    overlapping.extend(&directory);
    end(&mut overlapping, 2, directory.len() as u32, offset);
    assert!(refusal(&overlapping).contains("overlap"));
}

/// The length of a member's own header in a zip.
const HEADER: usize = 30;

#[test]
fn headers_that_lie_are_told() {
    let other_name = Entry {
        own_name: Some("IL-9.tdf"),
        ..stored("IL-1.tdf", b"1")
    };
    assert!(refusal(&zip(&[other_name])).contains("otherwise"));
    let lies = [
        (
            Entry {
                said: 2,
                ..entry("IL-1.tdf", b"123")
            },
            "smaller than it is",
        ),
        (
            Entry {
                said: 4,
                ..entry("IL-1.tdf", b"123")
            },
            "larger than it is",
        ),
        (
            Entry {
                crc: 7,
                ..entry("IL-1.tdf", b"123")
            },
            "checksum",
        ),
        (
            Entry {
                bytes: vec![0xff; 20],
                ..entry("IL-1.tdf", b"123")
            },
            "damaged there",
        ),
    ];
    for (lie, words) in lies {
        let read = read(&zip(&[lie, stored("IL-2.tdf", b"2")]));
        let reason = read[0].1.clone().unwrap_err();
        assert!(reason.contains(words), "{reason}");
        assert_eq!(read[1].1.as_deref(), Ok(&b"2"[..]), "others can be read");
    }
}

#[test]
fn what_was_cut_is_refused_as_a_whole() {
    let whole = zip(&[entry("IL-1.tdf", b"one"), entry("IL-2.tdf", b"two")]);
    let members: [(&str, &[u8]); 2] = [("IL-1.tdf", b"one"), ("IL-2.tdf", b"two")];
    let plain = tar(&members);
    let packed = gzipped(&plain);
    for length in [40, whole.len() / 2, whole.len() - 1] {
        assert!(refusal(&whole[..length]).contains("cut"), "{length}");
    }
    for length in [512, 700, 1024, 1536, 2048] {
        assert!(refusal(&plain[..length]).contains("cut"), "{length}");
    }
    assert!(refusal(&packed[..packed.len() - 4]).contains("cut"));
    let mut damaged = plain.clone();
    damaged[600] = b'!';
    assert_eq!(
        read(&damaged)[0].1.as_deref(),
        Ok(&b"one"[..]),
        "tar has no sums of contents"
    );
    damaged[100] = b'!';
    assert!(refusal(&damaged).contains("wrong sum"));
}

#[test]
fn names_of_archives_are_known() {
    for name in [
        "a/night.zip",
        "NIGHT.ZIP",
        "x.tar.gz",
        "x.tgz",
        "x.tar.zst",
        ".zip.tar",
    ] {
        assert!(has_archive_name(name), "{name}");
    }
    for name in ["zip", ".zip", "a.zip/b", "x.gz", "x.tdf", "tar"] {
        assert!(!has_archive_name(name), "{name}");
    }
}
