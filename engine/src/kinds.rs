//! What a file is, by its first bytes: a file that its feed's format does not read is refused by its name, and not for
//! thousands of bad lines. Archives are told before: see [`crate::archives`].

use crate::formats::is_dbf;
use crate::layout::FormatWord;

/// A kind of file that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// What it is, in words.
    name: &'static str,
    /// The format that reads it, if one does.
    format: Option<FormatWord>,
}

/// Returns why a file that begins so is not read in this format, if that is certain.
pub fn refusal(beginning: &[u8], own: FormatWord) -> Option<String> {
    let Kind { name, format: reads } = kind(beginning)?;
    match reads {
        Some(reads) if reads == own => None,
        Some(reads) => Some(format!(
            "it is {name}, which format = \"{}\" does not read: set format = \"{}\" for the feed, or for a profile of such \
             files",
            own.word(),
            reads.word()
        )),
        None => Some(format!(
            "it is {name}, which no feed reads: have the store send its sales as text, a table or a workbook"
        )),
    }
}

/// Returns the format that reads a file that begins so, if it is a table.
pub fn table_format(beginning: &[u8]) -> Option<FormatWord> {
    kind(beginning)?.format
}

fn is_zip(beginning: &[u8]) -> bool {
    beginning.starts_with(b"PK\x03\x04")
}

/// Returns whether a zip archive is a workbook, by the name of its first part. Only that is certain to be among the first bytes.
pub(crate) fn is_workbook(beginning: &[u8]) -> bool {
    const PARTS: [&[u8]; 6] = [
        b"[Content_Types].xml",
        b"_rels/",
        b"docProps/",
        b"xl/",
        b"customXml/",
        b"mimetypeapplication/vnd.oasis",
    ];
    let first = beginning.get(30..).unwrap_or_default();
    is_zip(beginning) && PARTS.iter().any(|part| first.starts_with(part))
}

fn kind(beginning: &[u8]) -> Option<Kind> {
    const KINDS: [(&[u8], &str, Option<FormatWord>); 19] = [
        (b"7z\xBC\xAF\x27\x1C", "a 7z archive", None),
        (b"Rar!\x1A\x07", "a RAR archive", None),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
            "an old workbook or another old Office document",
            Some(FormatWord::Xlsx),
        ),
        (b"%PDF-", "a PDF document", None),
        (b"{\\rtf", "an RTF document", None),
        (b"\xFF\xD8\xFF", "a JPEG picture", None),
        (b"\x89PNG\r\n\x1A\n", "a PNG picture", None),
        (b"GIF89a", "a GIF picture", None),
        (b"GIF87a", "a GIF picture", None),
        (b"II*\0", "a TIFF picture", None),
        (b"MM\0*", "a TIFF picture", None),
        (b"-----BEGIN PGP", "encrypted or signed with PGP", None),
        (b"\x85\x01\x0C\x03", "encrypted with PGP", None),
        (b"\x85\x02\x0C\x03", "encrypted with PGP", None),
        (b"\x84\x5E\x03", "encrypted with PGP", None),
        (b"SQLite format 3\0", "a SQLite database", None),
        (b"\x7FELF", "a program", None),
        (b"PAR1\x15", "a Parquet file", Some(FormatWord::Parquet)),
        (b"ORC\n", "an ORC file", None),
    ];
    let named = |name, format| Some(Kind { name, format });
    if is_workbook(beginning) {
        return named("a workbook", Some(FormatWord::Xlsx));
    }
    if is_dbf(beginning) {
        return named("a dBASE table", Some(FormatWord::Dbf));
    }
    if let Some((_, name, format)) = KINDS.iter().find(|(begin, ..)| beginning.starts_with(begin)) {
        return named(name, *format);
    }
    markup(beginning)
}

/// Tells markup, which some tills save under the name of a workbook.
fn markup(beginning: &[u8]) -> Option<Kind> {
    let text = beginning
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(beginning)
        .trim_ascii_start();
    let begins = |mark: &str| {
        text.get(..mark.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(mark.as_bytes()))
    };
    let name = if ["<!doctype html", "<html", "<table"]
        .iter()
        .any(|mark| begins(mark))
    {
        "an HTML page"
    } else if begins("<?xml") {
        let has = |words: &[u8]| memchr::memmem::find(text, words).is_some();
        match has(b"urn:schemas-microsoft-com:office:spreadsheet") || has(b"Excel.Sheet") {
            true => "a workbook as XML of Excel 2003",
            false => "an XML document",
        }
    } else {
        return None;
    };
    Some(Kind { name, format: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(beginning: &[u8]) -> Option<&'static str> {
        kind(beginning).map(|kind| kind.name)
    }

    #[test]
    fn files_that_are_no_text_have_names() {
        let mut dbf = vec![3, 116, 6, 1, 0, 0, 0, 0, 65, 0, 9, 0];
        dbf.resize(32, 0);
        dbf.extend_from_slice(b"STORE\0\0\0\0\0\0C");
        let zip = |name: &str| [&b"PK\x03\x04"[..], &[0; 26], name.as_bytes()].concat();
        for (bytes, expected) in [
            (b"%PDF-1.7\n".to_vec(), "a PDF document"),
            (zip("[Content_Types].xml"), "a workbook"),
            (
                zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"),
                "a workbook",
            ),
            (dbf, "a dBASE table"),
            (b"\xef\xbb\xbf\r\n<HTML xmlns".to_vec(), "an HTML page"),
            (
                b"<?xml version=\"1.0\"?><?mso-application progid=\"Excel.Sheet\"?>".to_vec(),
                "a workbook as XML of Excel 2003",
            ),
            (b"<?xml version=\"1.0\"?><sales>".to_vec(), "an XML document"),
            (b"PAR1\x15\x04".to_vec(), "a Parquet file"),
        ] {
            assert_eq!(
                name(&bytes),
                Some(expected),
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn text_is_read() {
        for text in [
            &b"PAR1\t2.50\t4\tCOLA\t2016-06-01\n"[..],
            b"",
            b"PK\t1",
            b"PK\x03\x04 sales in an archive",
            b"GIF\t1",
            b"<5>\t2.50",
            b"0123456789,2.50,4,COLA,2016-06-01,1234567890\n0123456789,2.50,4,COLA,2016-06-01",
            b"PARE\t2.50\t4\tCOLA\t2016-06-01\n",
        ] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }
}
