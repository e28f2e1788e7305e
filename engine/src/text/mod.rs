//! Text, before its lines mean anything: where it ends, what ends its lines, how it is cut into units of whole lines, and
//! what the bytes of old code pages stand for.

mod dos;
mod ebcdic;
mod line_ends;
mod units;
mod whole_text;

pub(crate) use self::dos::Dos;
pub use self::ebcdic::Ebcdic;
pub(crate) use self::ebcdic::PageReader;
#[cfg(test)]
pub(crate) use self::line_ends::tests as line_ends_tests;
pub(crate) use self::line_ends::unify;
pub(crate) use self::units::{LONG_LINE_KEPT, LineEnds, MAX_LINE, Unit, Units};
pub(crate) use self::whole_text::WholeText;

/// A byte order mark in UTF-8. At the beginning of a line it shows that files were joined, and is skipped.
pub(crate) const MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns a line without byte order marks at its beginning.
pub(crate) fn without_marks(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(MARK) {
        line = rest;
    }
    line
}
