//! Delimited text that is not plain: delimiters of several bytes, other quotes or none, escapes, and quoted fields that
//! go over lines.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::lines::{Ending, LineReader, TextLine};
use super::record::{Record, Records};
use crate::fields::Fields;
use crate::layout::Delimited;
use crate::rejects::Reason;
use crate::text::MAX_LINE;

/// The records of delimited text.
pub(super) struct DelimitedRecords<'l, R> {
    lines: LineReader<R>,
    dialect: &'l Delimited,
    /// Lines that were read to find the end of a quoted field, and are yet to be read themselves.
    ahead: VecDeque<Ahead>,
    /// The bytes of those.
    ahead_bytes: usize,
    is_at_end: bool,
}

/// A line that was read ahead.
struct Ahead {
    text: Vec<u8>,
    too_long: Option<u64>,
}

/// How the fields of a text end.
enum Split {
    Done,
    /// In a quoted field that has not ended.
    Open,
    Fault(Reason),
}

impl<'l, R: Read> DelimitedRecords<'l, R> {
    pub(super) fn new(text: R, dialect: &'l Delimited) -> Self {
        Self {
            lines: LineReader::new(text),
            dialect,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            is_at_end: false,
        }
    }

    /// Reads the next line into `record`, and returns `false` at the end.
    fn line(&mut self, record: &mut Record) -> io::Result<bool> {
        if let Some(ahead) = self.ahead.pop_front() {
            self.ahead_bytes -= ahead.text.len();
            record.text.extend_from_slice(&ahead.text);
            record.too_long = ahead.too_long;
            return Ok(true);
        }
        match self.lines.next()? {
            None => return Ok(false),
            Some(TextLine::Whole(line)) => record.text.extend_from_slice(line),
            Some(TextLine::TooLong(kept, length)) => {
                record.text.extend_from_slice(kept);
                record.too_long = Some(length);
            }
        }
        Ok(true)
    }

    /// Returns the line at a place among those read ahead, and reads it if need be.
    fn ahead(&mut self, at: usize) -> io::Result<Option<&Ahead>> {
        if at == self.ahead.len() && !self.is_at_end {
            let line = match self.lines.next()? {
                None => {
                    self.is_at_end = true;
                    return Ok(None);
                }
                Some(TextLine::Whole(line)) => Ahead {
                    text: line.to_vec(),
                    too_long: None,
                },
                Some(TextLine::TooLong(kept, length)) => Ahead {
                    text: kept.to_vec(),
                    too_long: Some(length),
                },
            };
            self.ahead_bytes += line.text.len();
            self.ahead.push_back(line);
        }
        Ok(self.ahead.get(at))
    }

    /// Adds the lines over which a quoted field goes. If it does not end as a quoted field does, the record is its first
    /// line alone: then the quote is a stray one, and the lines behind it are records of their own.
    fn join(&mut self, record: &mut Record) -> io::Result<Split> {
        let dialect = self.dialect;
        let mut joined = record.text.clone();
        for at in 0.. {
            let Some(next) = self.ahead(at)? else { break };
            if next.too_long.is_some() || joined.len() + 1 + next.text.len() >= MAX_LINE {
                break;
            }
            joined.push(b'\n');
            joined.extend_from_slice(&next.text);
            match split(None, &next.text, dialect, true) {
                Split::Open => {}
                Split::Done => {
                    for taken in self.ahead.drain(..=at) {
                        self.ahead_bytes -= taken.text.len();
                    }
                    record.text = joined;
                    return Ok(split(Some(&mut record.fields), &record.text, dialect, false));
                }
                Split::Fault(_) => break,
            }
        }
        Ok(Split::Fault(Reason::UnclosedQuote))
    }
}

impl<R: Read> Records for DelimitedRecords<'_, R> {
    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        if !self.line(record)? {
            return Ok(false);
        }
        if record.too_long.is_some() {
            return Ok(true);
        }
        let mut found = split(Some(&mut record.fields), &record.text, self.dialect, false);
        if matches!(found, Split::Open) && self.dialect.joins_lines {
            found = self.join(record)?;
        }
        record.fault = match found {
            Split::Done => None,
            Split::Open => Some(Reason::UnclosedQuote),
            Split::Fault(reason) => Some(reason),
        };
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        self.lines.ending()
    }
}

/// Splits a text into all its fields. `is_open` says that it begins inside a quoted field; without `fields`, it is only
/// found out how it ends.
fn split(mut fields: Option<&mut Fields>, text: &[u8], dialect: &Delimited, mut is_open: bool) -> Split {
    let Delimited {
        delimiter,
        quote,
        escape,
        ..
    } = dialect;
    if let Some(fields) = &mut fields {
        fields.clear();
    }
    let mut rest = text;
    loop {
        let quoted = match std::mem::take(&mut is_open) {
            true => quote.map(|quote| (quote, rest)),
            false => quote.and_then(|quote| Some((quote, rest.strip_prefix(&[quote])?))),
        };
        if let Some((quote, quoted)) = quoted {
            match unquote(&mut fields, quoted, quote, *escape) {
                Some(behind) => rest = behind,
                None => return Split::Open,
            }
            if !rest.is_empty() && !rest.starts_with(delimiter) {
                return Split::Fault(Reason::TextAfterQuote);
            }
        } else {
            let end = memchr::memmem::find(rest, delimiter).unwrap_or(rest.len());
            add(&mut fields, &rest[..end]);
            rest = &rest[end..];
        }
        if let Some(fields) = &mut fields {
            fields.end_field();
        }
        match rest.get(delimiter.len()..) {
            Some(behind) => rest = behind,
            None => return Split::Done,
        }
    }
}

fn add(fields: &mut Option<&mut Fields>, text: &[u8]) {
    if let Some(fields) = fields {
        fields.extend(text);
    }
}

/// Copies a field up to its closing quote, and returns what follows that. `None` if there is no closing quote.
fn unquote<'t>(
    fields: &mut Option<&mut Fields>,
    mut rest: &'t [u8],
    quote: u8,
    escape: Option<u8>,
) -> Option<&'t [u8]> {
    loop {
        let at = match escape {
            Some(escape) => memchr::memchr2(quote, escape, rest)?,
            None => memchr::memchr(quote, rest)?,
        };
        add(fields, &rest[..at]);
        let behind = &rest[at + 1..];
        if escape == Some(rest[at]) {
            let (escaped, behind) = behind.split_first()?;
            add(fields, std::slice::from_ref(escaped));
            rest = behind;
        } else if let Some(doubled) = behind.strip_prefix(&[quote]).filter(|_| escape.is_none()) {
            add(fields, &[quote]);
            rest = doubled;
        } else {
            return Some(behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dialect(delimiter: &str, quote: Option<u8>, escape: Option<u8>, joins_lines: bool) -> Delimited {
        Delimited {
            delimiter: delimiter.as_bytes().into(),
            quote,
            escape,
            joins_lines,
        }
    }

    /// Returns the fields of each record, or its fault and text.
    fn read(text: &str, dialect: &Delimited) -> Vec<Result<Vec<String>, (Reason, String)>> {
        let mut records = DelimitedRecords::new(text.as_bytes(), dialect);
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.next(&mut record).unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            all.push(match record.fault {
                None => Ok(record.fields.iter().map(text).collect()),
                Some(reason) => Err((reason, text(&record.text))),
            });
        }
        assert_eq!(records.ahead_bytes, 0);
        all
    }

    fn fields(fields: &[&str]) -> Result<Vec<String>, (Reason, String)> {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn delimiters_of_several_bytes() {
        let tildes = dialect("~|~", Some(b'"'), None, false);
        assert_eq!(
            read("a~|~b~|~\n~~|~|\n", &tildes),
            [fields(&["a", "b", ""]), fields(&["~", "|"])]
        );
        assert_eq!(read("\"a~|~b\"~|~c", &tildes), [fields(&["a~|~b", "c"])]);
        assert_eq!(
            read("a||b|||c", &dialect("||", None, None, false)),
            [fields(&["a", "b", "|c"])]
        );
    }

    #[test]
    fn quotes_of_other_kinds_and_none() {
        assert_eq!(
            read("'it''s',b", &dialect(",", Some(b'\''), None, false)),
            [fields(&["it's", "b"])]
        );
        let literal = dialect("\t", None, None, false);
        assert_eq!(
            read("6\" SUB\t\"BIG\" B\t\"X", &literal),
            [fields(&["6\" SUB", "\"BIG\" B", "\"X"])]
        );
        let escaped = dialect(",", Some(b'"'), Some(b'\\'), false);
        assert_eq!(read(r#""a\"b\\",c\d"#, &escaped), [fields(&[r#"a"b\"#, r"c\d"])]);
        assert_eq!(
            read(r#""a""b",c"#, &escaped),
            [Err((Reason::TextAfterQuote, r#""a""b",c"#.to_owned()))]
        );
    }

    #[test]
    fn quoted_fields_go_over_lines_and_stray_quotes_do_not() {
        let joining = dialect(",", Some(b'"'), None, true);
        assert_eq!(
            read("1,\"call\r\nat \"\"noon\"\"\n\",x\n2,b\n", &joining),
            [fields(&["1", "call\nat \"noon\"\n", "x"]), fields(&["2", "b"])]
        );
        let stray = |line: &str| Err((Reason::UnclosedQuote, line.to_owned()));
        assert_eq!(
            read("1,\"a\n2,b\n3,c\n", &joining),
            [stray("1,\"a"), fields(&["2", "b"]), fields(&["3", "c"])]
        );
        assert_eq!(
            read("1,\"a\n2,\"b\"\n3,\"c\nd\"\n", &joining),
            [stray("1,\"a"), fields(&["2", "b"]), fields(&["3", "c\nd"])]
        );
        let far = format!("1,\"a\n{}\"\n", "2,b\n".repeat(MAX_LINE / 4));
        assert_eq!(
            read(&far, &joining).len(),
            MAX_LINE / 4 + 2,
            "no field is that long"
        );
        assert_eq!(
            read("1,\"a\n", &dialect(",", Some(b'"'), None, false)),
            [stray("1,\"a")]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            records in prop::collection::vec(prop::collection::vec("[ab,\"'\\\\\n~|]{0,4}", 1..4), 1..5),
            escape in any::<bool>(),
            delimiter in prop::sample::select(vec![",", "~|~", "||"]),
        ) {
            let mut text = String::new();
            for record in &records {
                let quoted: Vec<String> = record.iter().map(|field| match escape {
                    true => format!("\"{}\"", field.replace('\\', "\\\\").replace('"', "\\\"")),
                    false => format!("\"{}\"", field.replace('"', "\"\"")),
                }).collect();
                text.push_str(&quoted.join(delimiter));
                text.push('\n');
            }
            let dialect = dialect(delimiter, Some(b'"'), escape.then_some(b'\\'), true);
            let expected: Vec<_> = records.into_iter().map(Ok).collect();
            prop_assert_eq!(read(&text, &dialect), expected, "{}", text);
        }

        #[test]
        fn every_line_is_part_of_a_record(text in "[ab,\"\n]{0,60}", joins in any::<bool>()) {
            let dialect = dialect(",", Some(b'"'), None, joins);
            let mut records = DelimitedRecords::new(text.as_bytes(), &dialect);
            let (mut record, mut all) = (Record::default(), String::new());
            while records.next(&mut record).unwrap() {
                all.push_str(std::str::from_utf8(&record.text).unwrap());
                all.push('\n');
            }
            let expected = if text.is_empty() || text.ends_with('\n') { text.clone() } else { format!("{text}\n") };
            prop_assert_eq!(all, expected);
        }
    }
}
