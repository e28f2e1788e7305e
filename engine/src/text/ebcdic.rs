//! EBCDIC: the code pages of the mainframes that tills report to.
//!
//! The encodings of the web do not include them, so the tables are here. Cp1047 differs from cp037 in six characters.

use std::io::{self, Read};

/// A code page of EBCDIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ebcdic {
    /// The usual one.
    Cp037,
    /// That of Unix on mainframes.
    Cp1047,
}

/// The characters of cp037 in the order of their bytes. Both of its line ends, NEL and LF, are LF here.
#[rustfmt::skip]
const CP037: [u8; 256] = [
    0x00, 0x01, 0x02, 0x03, 0x9C, 0x09, 0x86, 0x7F, 0x97, 0x8D, 0x8E, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F,
    0x10, 0x11, 0x12, 0x13, 0x9D, 0x0A, 0x08, 0x87, 0x18, 0x19, 0x92, 0x8F, 0x1C, 0x1D, 0x1E, 0x1F,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x0A, 0x17, 0x1B, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x05, 0x06, 0x07,
    0x90, 0x91, 0x16, 0x93, 0x94, 0x95, 0x96, 0x04, 0x98, 0x99, 0x9A, 0x9B, 0x14, 0x15, 0x9E, 0x1A,
    0x20, 0xA0, 0xE2, 0xE4, 0xE0, 0xE1, 0xE3, 0xE5, 0xE7, 0xF1, 0xA2, 0x2E, 0x3C, 0x28, 0x2B, 0x7C,
    0x26, 0xE9, 0xEA, 0xEB, 0xE8, 0xED, 0xEE, 0xEF, 0xEC, 0xDF, 0x21, 0x24, 0x2A, 0x29, 0x3B, 0xAC,
    0x2D, 0x2F, 0xC2, 0xC4, 0xC0, 0xC1, 0xC3, 0xC5, 0xC7, 0xD1, 0xA6, 0x2C, 0x25, 0x5F, 0x3E, 0x3F,
    0xF8, 0xC9, 0xCA, 0xCB, 0xC8, 0xCD, 0xCE, 0xCF, 0xCC, 0x60, 0x3A, 0x23, 0x40, 0x27, 0x3D, 0x22,
    0xD8, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0xAB, 0xBB, 0xF0, 0xFD, 0xFE, 0xB1,
    0xB0, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F, 0x70, 0x71, 0x72, 0xAA, 0xBA, 0xE6, 0xB8, 0xC6, 0xA4,
    0xB5, 0x7E, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0xA1, 0xBF, 0xD0, 0xDD, 0xDE, 0xAE,
    0x5E, 0xA3, 0xA5, 0xB7, 0xA9, 0xA7, 0xB6, 0xBC, 0xBD, 0xBE, 0x5B, 0x5D, 0xAF, 0xA8, 0xB4, 0xD7,
    0x7B, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0xAD, 0xF4, 0xF6, 0xF2, 0xF3, 0xF5,
    0x7D, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F, 0x50, 0x51, 0x52, 0xB9, 0xFB, 0xFC, 0xF9, 0xFA, 0xFF,
    0x5C, 0xF7, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0xB2, 0xD4, 0xD6, 0xD2, 0xD3, 0xD5,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0xB3, 0xDB, 0xDC, 0xD9, 0xDA, 0x9F,
];

/// Where cp1047 differs: byte and character.
const CP1047: [(u8, u8); 6] = [
    (0x5F, 0x5E),
    (0xAD, 0x5B),
    (0xB0, 0xAC),
    (0xBA, 0xDD),
    (0xBB, 0xA8),
    (0xBD, 0x5D),
];

/// Stands for what another program could not write in EBCDIC. Its character would end a text.
const SUBSTITUTE: u8 = 0x3F;

impl Ebcdic {
    /// Finds the code page of a label.
    pub(crate) fn of(label: &str) -> Option<Self> {
        match label.trim().to_ascii_lowercase().as_str() {
            "cp037" => Some(Self::Cp037),
            "cp1047" => Some(Self::Cp1047),
            _ => None,
        }
    }

    /// Returns the character of each byte.
    pub(crate) fn characters(self) -> [char; 256] {
        let mut characters = self.table().map(char::from);
        characters[usize::from(SUBSTITUTE)] = char::REPLACEMENT_CHARACTER;
        characters
    }

    /// Decodes a text.
    pub fn decode(self, bytes: &[u8]) -> String {
        let characters = self.characters();
        bytes.iter().map(|byte| characters[usize::from(*byte)]).collect()
    }

    /// Returns whether the code pages read a byte as different characters.
    pub fn differs(byte: u8) -> bool {
        CP1047.iter().any(|(other, _)| *other == byte)
    }

    /// Returns the character of each byte, before substitutes: all of them are below U+0100.
    fn table(self) -> [u8; 256] {
        let mut table = CP037;
        if self == Self::Cp1047 {
            for (byte, character) in CP1047 {
                table[usize::from(byte)] = character;
            }
        }
        table
    }
}

/// Reads text in a code page whose bytes are one character each as UTF-8.
pub(crate) struct PageReader<R> {
    input: R,
    characters: [char; 256],
    bytes: Vec<u8>,
    /// Decoded text that has not been given out.
    text: Vec<u8>,
    given: usize,
}

impl<R: Read> PageReader<R> {
    pub(crate) fn new(input: R, characters: [char; 256]) -> Self {
        Self {
            input,
            characters,
            bytes: vec![0; 32 << 10],
            text: Vec::new(),
            given: 0,
        }
    }
}

impl<R: Read> Read for PageReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
            let read = self.input.read(&mut self.bytes)?;
            for byte in &self.bytes[..read] {
                let character = self.characters[usize::from(*byte)];
                self.text
                    .extend_from_slice(character.encode_utf8(&mut [0; 3]).as_bytes());
            }
        }
        let given = buffer.len().min(self.text.len() - self.given);
        buffer[..given].copy_from_slice(&self.text[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_one_character_of_its_own_but_for_line_ends() {
        for page in [Ebcdic::Cp037, Ebcdic::Cp1047] {
            let mut characters = page.table().to_vec();
            characters.sort_unstable();
            characters.dedup();
            // NEL is LF.
            assert_eq!(characters.len(), 255, "{page:?}");
        }
    }

    #[test]
    fn text_is_decoded() {
        let bytes = [
            0xC3, 0xD6, 0xD3, 0xC1, 0x40, 0xF1, 0xF2, 0x4B, 0xF5, 0xC0, 0xD0, 0x15, 0xBA, 0x3F,
        ];
        let read = |page: Ebcdic| {
            let mut text = String::new();
            PageReader::new(&bytes[..], page.characters())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(page.decode(&bytes), text);
            text
        };
        assert_eq!(read(Ebcdic::Cp037), "COLA 12.5{}\n[\u{fffd}");
        assert_eq!(read(Ebcdic::Cp1047), "COLA 12.5{}\nÝ\u{fffd}");
    }
}
