//! The scan that every processor can do.

use super::QUOTE;

pub(super) fn scan(text: &[u8], offset: u32, delimiter: u8, positions: &mut Vec<u32>) {
    let found = memchr::memchr3_iter(delimiter, b'\n', QUOTE, text);
    positions.extend(found.map(|at| offset + at as u32));
}
