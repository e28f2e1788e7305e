//! The beginning of a file, unpacked: what is looked at, and what is read again under the settings that were found.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use gristmill_engine::FormatWord;
use gristmill_engine::reading::{Ebcdic, is_archive, refusal, table_format, unpacked, unreadable};

/// The beginning of a file of a store.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The file's name, which patterns are made for.
    pub name: String,
    /// Its bytes, unpacked.
    pub(crate) bytes: Vec<u8>,
    /// Whether there is more than was read.
    pub(crate) is_cut: bool,
    /// How it is packed.
    pub(crate) packed: Option<&'static str>,
    /// Whether it is an archive.
    is_archive: bool,
    /// Whether it is in one, so that its whole name begins with that of the archive.
    pub(crate) is_member: bool,
    /// The format of a table.
    pub(crate) table: Option<FormatWord>,
    /// Why nothing in it can be read.
    pub(crate) unreadable: Option<String>,
}

/// Tables are looked at as a whole, up to this size.
const LARGEST_TABLE: usize = 4 << 20;

impl Sample {
    /// Reads up to `most` bytes of a file, counted as they are when they are unpacked.
    pub fn read(name: &str, input: impl Read + Send, most: usize) -> io::Result<Self> {
        let mut sample = Self {
            name: name.to_owned(),
            bytes: Vec::new(),
            is_cut: false,
            packed: None,
            is_archive: false,
            is_member: false,
            table: None,
            unreadable: None,
        };
        let (input, packed) = unpacked(input)?;
        sample.packed = packed;
        let limit = most as u64 + 1;
        if let Err(error) = input.take(limit).read_to_end(&mut sample.bytes) {
            sample.unreadable = Some(unreadable(&error).ok_or(error)?);
        }
        if is_archive(&sample.bytes) {
            sample.is_archive = true;
            sample.unreadable = Some("it is an archive in an archive, which is not read".to_owned());
        } else if let Some(table) = table_format(&sample.bytes) {
            sample.table = Some(table);
            if sample.bytes.len() > LARGEST_TABLE.min(most) {
                let largest = LARGEST_TABLE.min(most) >> 20;
                let reason = format!(
                    "it is a table of over {largest} MiB, which has to be looked at whole: give a smaller one"
                );
                sample.unreadable = Some(reason);
            }
        } else if let Some(reason) = refusal(&sample.bytes, FormatWord::Delimited) {
            sample.unreadable = Some(reason);
        }
        sample.is_cut = sample.bytes.len() > most;
        sample.bytes.truncate(most);
        Ok(sample)
    }

    /// Reads the same of a member of an archive. Its name is its path in there.
    pub fn read_member(path: &str, input: impl Read + Send, most: usize) -> io::Result<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok(Self {
            is_member: true,
            ..Self::read(name, input, most)?
        })
    }

    /// Makes the sample of a file that cannot be read.
    pub fn unreadable(name: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            bytes: Vec::new(),
            is_cut: false,
            packed: None,
            is_archive: true,
            is_member: false,
            table: None,
            unreadable: Some(reason),
        }
    }

    /// Returns whether it is an archive, whose members are samples.
    pub fn is_archive(&self) -> bool {
        self.is_archive
    }

    /// Returns the bytes of its whole records, to be converted. Without line ends, records have `record_length` bytes.
    pub fn whole_records(&self, record_length: Option<usize>) -> Cow<'_, [u8]> {
        if !self.is_cut {
            return Cow::Borrowed(&self.bytes);
        }
        if self.bytes.trim_ascii_start().starts_with(b"[") {
            return Cow::Owned(whole_array(&self.bytes));
        }
        let is_wide = matches!(self.bytes.get(..2), Some([0xFF, 0xFE] | [0xFE, 0xFF]));
        let end = match record_length {
            Some(length) => self.bytes.len() - self.bytes.len() % length,
            None => {
                let last = self.bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
                last.map_or(self.bytes.len(), |last| {
                    // In two bytes a character, either of them is the line end's.
                    if is_wide {
                        (last + 1).next_multiple_of(2)
                    } else {
                        last + 1
                    }
                })
            }
        };
        Cow::Borrowed(&self.bytes[..end])
    }
}

/// Returns an array of JSON that was cut, with its whole elements alone.
fn whole_array(bytes: &[u8]) -> Vec<u8> {
    let (mut depth, mut end, mut is_text, mut is_escaped) = (0, 0, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match (byte, is_text) {
            _ if is_escaped => is_escaped = false,
            (b'\\', true) => is_escaped = true,
            (b'"', _) => is_text = !is_text,
            (b'{' | b'[', false) => depth += 1,
            (b'}' | b']', false) => {
                depth -= 1;
                if depth == 1 {
                    end = at + 1;
                }
            }
            _ => {}
        }
    }
    [&bytes[..end], b"]"].concat()
}

/// What is known of the encoding of samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The label to write, if it is not the usual one.
    pub(crate) label: Option<&'static str>,
    /// How that is known.
    pub(crate) proof: String,
    /// What is not known.
    pub(crate) doubt: Option<String>,
    /// The texts of the samples.
    pub(crate) texts: Vec<String>,
}

/// Decodes all samples in the one encoding that fits them.
pub(crate) fn decode(samples: &[Sample]) -> Found {
    let mut found = Found::default();
    let marked = |sample: &Sample| Encoding::for_bom(&sample.bytes).is_some();
    let mut unmarked = samples.iter().filter(|sample| !marked(sample)).peekable();
    if unmarked.peek().is_none() && !samples.is_empty() {
        found.proof = "a byte order mark says it".to_owned();
    }
    let all: Vec<&[u8]> = unmarked.map(|sample| &sample.bytes[..]).collect();
    let is_utf8 = all.iter().all(|bytes| is_utf8(bytes));
    let mut plain: Option<&'static Encoding> = Some(UTF_8);
    let mut ebcdic = None;
    if let Some(wide) = all.iter().find_map(|bytes| without_mark(bytes)) {
        (plain, found.label) = (Some(wide), Some(wide.name()));
        found.proof = "every second byte is 0".to_owned();
    } else if !is_utf8 && all.iter().all(|bytes| is_ebcdic(bytes)) {
        (plain, ebcdic) = (None, Some(Ebcdic::Cp037));
        found.label = Some("cp037");
        found.proof = "its letters, digits and blanks are those of EBCDIC".to_owned();
        if all
            .iter()
            .any(|bytes| bytes.iter().any(|byte| Ebcdic::differs(*byte)))
        {
            found.doubt =
                Some("\"cp1047\" reads some of its characters ([ ] ^ and others) differently".to_owned());
        }
    } else if !is_utf8 {
        (plain, found.label) = (Some(WINDOWS_1252), Some("windows-1252"));
    }
    for sample in samples {
        found
            .texts
            .push(match (ebcdic, Encoding::for_bom(&sample.bytes)) {
                (_, Some((encoding, mark))) => encoding
                    .decode_without_bom_handling(&sample.bytes[mark..])
                    .0
                    .into_owned(),
                (Some(ebcdic), None) => ebcdic.decode(&sample.bytes),
                (None, None) => plain
                    .unwrap_or(UTF_8)
                    .decode_without_bom_handling(&sample.bytes)
                    .0
                    .into_owned(),
            });
    }
    if plain == Some(WINDOWS_1252) {
        let words = odd_words(&found.texts);
        found.proof = format!("no UTF-8; read so, it says {}", words.join(", "));
        let is_word = |word: &String| word.chars().all(|c| c.is_alphanumeric() || c.is_ascii_graphic());
        if !words.iter().all(is_word) {
            found.doubt = Some("if these are no words, name the encoding of the till".to_owned());
        }
    }
    found
}

fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character may have been cut.
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > bytes.len(),
    }
}

/// Tells UTF-16 without a mark by its zeros.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let looked = &bytes[..bytes.len().min(4096)];
    let zeros = |from: usize| {
        looked
            .iter()
            .skip(from)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
            * 2
    };
    let is_most = |count: usize| looked.len() >= 16 && count * 10 > looked.len() * 8;
    match (is_most(zeros(1)), is_most(zeros(0))) {
        (true, false) => Some(UTF_16LE),
        (false, true) => Some(UTF_16BE),
        _ => None,
    }
}

fn is_ebcdic(bytes: &[u8]) -> bool {
    let is_sign = |byte: &&u8| matches!(byte, 0x40 | 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9 | 0xF0..=0xF9);
    bytes.iter().filter(is_sign).count() * 10 >= bytes.len() * 6
}

/// Returns some words that have characters beyond ASCII.
fn odd_words(texts: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '|' | '"');
    for word in texts.iter().flat_map(|text| text.split(is_end)) {
        if !word.is_ascii() && !words.iter().any(|known| known == word) {
            words.push(word.chars().take(20).collect());
        }
        if words.len() == 3 {
            break;
        }
    }
    words
}
