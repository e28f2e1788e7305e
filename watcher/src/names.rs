//! Which names are looked at, and how a name that is not UTF-8 is shown.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Endings that a writer gives to unfinished files.
const UNFINISHED: [&[u8]; 3] = [b".tmp", b".part", b".filepart"];

/// Whether a file or folder of this name is looked at.
///
/// The same rules apply to folders and files: some upload tools fill `batch.part/` or `.staging/` and rename it
/// at the end, as others do with a single file.
pub fn is_looked_at(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !matches!(name.first(), Some(b'.' | b'_')) && !UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

/// Whether every part of a path relative to the root is looked at.
pub(crate) fn path_looked_at(path: &Path) -> bool {
    path.iter().all(is_looked_at)
}

/// The path as text, with each byte that is not UTF-8 written as `\xNN`.
pub(crate) fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_private_names_are_not_looked_at() {
        for path in [
            ".a",
            "_a",
            "a.tmp",
            "a.part",
            "a.filepart",
            ".hidden/a",
            "_x/a",
            "in/b.part/a",
            "in/.a",
            ".tmp",
        ] {
            assert!(!path_looked_at(Path::new(path)), "{path}");
        }
        for path in [
            "a",
            "a.tdf",
            "a_b",
            "a.b/c",
            "tmp",
            "a.tmpl",
            "a.part1",
            "in/a b\n'\"",
            "-",
        ] {
            assert!(path_looked_at(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_escaped() {
        assert_eq!(
            escaped(Path::new(OsStr::from_bytes(b"in/caf\xe9 \xff.tdf"))),
            r"in/caf\xE9 \xFF.tdf"
        );
        assert_eq!(escaped(Path::new("café")), "café");
    }
}
