//! The scan that runs on every processor.

use super::{CR, Ends, QUOTE};

pub(super) fn scan(text: &[u8], offset: u32, delimiter: u8, ends: &mut Ends) {
    ends.has_odd |= memchr::memchr2(QUOTE, CR, text).is_some();
    ends.has_nul |= memchr::memchr(0, text).is_some();
    for at in memchr::memchr2_iter(delimiter, b'\n', text) {
        if text[at] == b'\n' {
            ends.lines.push(ends.fields.len() as u32);
        }
        ends.fields.push(offset + at as u32);
    }
}
