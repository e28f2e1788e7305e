//! The parts of a workbook that is a zip archive, and the bounds of what they may hold.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::super::spool::{Spool, SpoolReader};
use super::unreadable;

/// The longest text of a cell. Excel itself keeps 32,767 characters.
pub(super) const LONGEST_CELL: usize = 1 << 20;

/// The most parts of a workbook.
const MOST_PARTS: usize = 10_000;

/// A workbook may hold so many times its own size, after the first [`FREE`] bytes.
const MOST_TIMES: u64 = 200;
const FREE: u64 = 1 << 20;

/// What a workbook may hold at all: as much as is unpacked in some seconds.
const MOST_BYTES: u64 = 2 << 30;

/// The longest tag, or text between two tags.
const LONGEST_PIECE: usize = 2 * LONGEST_CELL;

/// A workbook.
pub(super) struct Package {
    zip: ZipArchive<BufReader<SpoolReader>>,
    /// Where the parts stand in the archive, by their names as they are compared.
    indexes: HashMap<String, usize>,
    room: Arc<Room>,
}

/// How much of a workbook was unpacked, and how much may be.
struct Room {
    unpacked: AtomicU64,
    most: u64,
}

/// Reads the XML of a part.
pub(super) type Xml<'p> = quick_xml::Reader<BufReader<Box<dyn Read + 'p>>>;

impl Package {
    pub(super) fn open(spool: &Spool) -> io::Result<Self> {
        let zip = ZipArchive::new(BufReader::with_capacity(64 << 10, spool.reader()));
        let zip =
            zip.map_err(|error| damaged(&format!("its directory of parts cannot be read ({error})")))?;
        if zip.len() > MOST_PARTS {
            return Err(unreadable(format!(
                "it has {} parts, more than {MOST_PARTS}",
                zip.len()
            )));
        }
        let mut indexes = HashMap::new();
        for index in 0..zip.len() {
            if let Some(Ok(name)) = zip.name_for_index(index) {
                indexes.insert(comparable(&name), index);
            }
        }
        let room = Arc::new(Room {
            unpacked: AtomicU64::new(0),
            most: MOST_BYTES.min(FREE + MOST_TIMES * spool.len()),
        });
        Ok(Self { zip, indexes, room })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.indexes.contains_key(&comparable(name))
    }

    /// Returns the names of all parts, as they are compared.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.indexes.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Opens a part. `None` if there is no such part.
    pub(super) fn part(&mut self, name: &str) -> io::Result<Option<Box<dyn Read + '_>>> {
        let Some(index) = self.indexes.get(&comparable(name)) else {
            return Ok(None);
        };
        let part = self.zip.by_index(*index);
        let part = part.map_err(|error| damaged(&format!("its part {name} cannot be read ({error})")))?;
        Ok(Some(Box::new(Bounded {
            part,
            room: self.room.clone(),
            piece: None,
        })))
    }

    /// Opens a part that is XML.
    pub(super) fn xml(&mut self, name: &str) -> io::Result<Option<Xml<'_>>> {
        let Some(index) = self.indexes.get(&comparable(name)) else {
            return Ok(None);
        };
        let part = self.zip.by_index(*index);
        let part = part.map_err(|error| damaged(&format!("its part {name} cannot be read ({error})")))?;
        let part: Box<dyn Read + '_> = Box::new(Bounded {
            part,
            room: self.room.clone(),
            piece: Some(0),
        });
        let mut xml = quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, part));
        let config = xml.config_mut();
        config.check_end_names = false;
        config.expand_empty_elements = true;
        Ok(Some(xml))
    }

    /// Has the beginning of each element of a part looked at. Returns whether there is such a part.
    pub(super) fn each(
        &mut self,
        name: &str,
        mut look: impl FnMut(&BytesStart<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Some(mut xml) = self.xml(name)? else {
            return Ok(false);
        };
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            match next(&mut xml, &mut buffer)? {
                Event::Start(start) => look(&start)?,
                Event::Eof => return Ok(true),
                _ => {}
            }
        }
    }
}

/// Names are compared without regard to case and the kind of slashes.
fn comparable(name: &str) -> String {
    name.replace('\\', "/")
        .trim_start_matches('/')
        .to_ascii_lowercase()
}

/// Reads the next event of XML.
pub(super) fn next<'b>(xml: &mut Xml<'_>, buffer: &'b mut Vec<u8>) -> io::Result<Event<'b>> {
    xml.read_event_into(buffer).map_err(|error| match error {
        quick_xml::Error::Io(error) => match error
            .get_ref()
            .is_some_and(|inner| inner.is::<crate::containers::Unreadable>())
        {
            true => io::Error::other(crate::containers::Unreadable(error.to_string())),
            false => damaged(&error.to_string()),
        },
        error => damaged(&error.to_string()),
    })
}

/// Steps over the rest of an element that has begun.
pub(super) fn skip(xml: &mut Xml<'_>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut depth = 1_u64;
    while depth > 0 {
        buffer.clear();
        match next(xml, buffer)? {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Eof => return Err(damaged("a part of it was cut")),
            _ => {}
        }
    }
    Ok(())
}

/// Adds the text that an event of XML holds.
pub(super) fn push_text(event: &Event<'_>, text: &mut String) -> io::Result<()> {
    match event {
        Event::Text(part) => text.push_str(&part.xml10_content()),
        Event::CData(part) => text.push_str(&part.xml10_content()),
        Event::GeneralRef(entity) => match quick_xml::escape::resolve_xml_entity(entity) {
            Some(known) => text.push_str(known),
            None => {
                let character = entity.resolve_char_ref().ok().flatten();
                text.push(character.ok_or_else(|| damaged("it has an entity that is not known"))?);
            }
        },
        _ => {}
    }
    if text.len() > LONGEST_CELL {
        return Err(unreadable(format!(
            "a cell of its holds over {} MiB of text",
            LONGEST_CELL >> 20
        )));
    }
    Ok(())
}

/// Returns an attribute of an element, by its name with the prefix that it has nearly everywhere.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> io::Result<Option<String>> {
    let attribute = start
        .try_get_attribute(name)
        .map_err(|error| damaged(&error.to_string()))?;
    let value = attribute.map(|attribute| {
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        value.map(|value| value.into_owned())
    });
    value.transpose().map_err(|error| damaged(&error.to_string()))
}

/// Reads a part as far as it is not too large.
struct Bounded<R> {
    part: R,
    room: Arc<Room>,
    /// In XML, the bytes since the last tag began.
    piece: Option<usize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(buffer)?;
        let unpacked = self.room.unpacked.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if unpacked > self.room.most {
            return Err(unreadable(match self.room.most {
                MOST_BYTES => format!("it is a workbook that holds over {} GiB", MOST_BYTES >> 30),
                _ => format!(
                    "it is a workbook that holds over {MOST_TIMES} times its own size, as no list of sales does"
                ),
            }));
        }
        if let Some(piece) = &mut self.piece {
            let bytes = &buffer[..read];
            let first = memchr::memchr(b'<', bytes).unwrap_or(read);
            if *piece + first > LONGEST_PIECE {
                return Err(unreadable(
                    "it is a workbook with a text that is too long for any cell".into(),
                ));
            }
            *piece = memchr::memrchr(b'<', bytes).map_or(*piece + read, |last| read - last);
        }
        Ok(read)
    }
}

/// Makes the error of a damaged workbook.
pub(super) fn damaged(why: &str) -> io::Error {
    unreadable(format!("it is a workbook, and damaged: {why}"))
}
