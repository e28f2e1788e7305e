//! Delimited text: which delimiter, and what quotes mean.

use gristmill_engine::reading::{Delimited, read_delimited};

/// A record of a sample.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) file: usize,
    /// Its number in the file, from 1.
    pub(crate) number: u64,
    pub(crate) text: String,
    /// `None` if it cannot be cut.
    pub(crate) fields: Option<Vec<String>>,
}

impl Line {
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    pub(crate) fn width(&self) -> usize {
        self.fields.as_ref().map_or(0, Vec::len)
    }
}

/// How text is cut, as the settings say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: String,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) joins_lines: bool,
}

impl Dialect {
    /// Returns the usual way with a delimiter.
    pub(crate) fn usual(delimiter: &str) -> Self {
        Self {
            delimiter: delimiter.to_owned(),
            quote: Some(b'"'),
            escape: None,
            joins_lines: false,
        }
    }

    /// Reads the first `most` records of each text.
    pub(crate) fn read(&self, texts: &[String], most: usize) -> Vec<Line> {
        let rule = Delimited {
            delimiter: self.delimiter.as_bytes().into(),
            quote: self.quote,
            escape: self.escape,
            joins_lines: self.joins_lines,
        };
        let mut lines = Vec::new();
        for (file, text) in texts.iter().enumerate() {
            let mut number = 0;
            read_delimited(text, &rule, most, |record| {
                number += 1;
                let fields = record.fields().map(|field| unmarked(field).to_owned());
                lines.push(Line {
                    file,
                    number,
                    text: unmarked(record.text()).to_owned(),
                    fields: record.is_whole().then(|| fields.collect()),
                });
            });
        }
        lines
    }
}

/// Returns a text without byte order marks before it, which joined files have.
fn unmarked(text: &[u8]) -> &str {
    std::str::from_utf8(text)
        .unwrap_or_default()
        .trim_start_matches('\u{feff}')
}

/// Returns the first lines of texts, whatever is in them.
pub(crate) fn lines(texts: &[String], most: usize) -> Vec<Line> {
    let whole = Dialect {
        delimiter: "\u{0}\u{1}\u{0}".to_owned(),
        quote: None,
        escape: None,
        joins_lines: false,
    };
    whole.read(texts, most)
}

/// Returns the delimiters that the lines may have, the longer ones first.
pub(crate) fn delimiters(lines: &[Line]) -> Vec<String> {
    const SINGLE: [&str; 8] = ["\t", ";", ",", "|", "~", "^", "\u{1f}", ":"];
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.is_blank()).take(300).collect();
    let mut found: Vec<String> = Vec::new();
    for line in lines.iter().take(20) {
        for run in line.text.split(|c: char| {
            c.is_alphanumeric()
                || c.is_whitespace()
                || matches!(c, '.' | '-' | '"' | '\'' | '$' | '(' | ')' | '/')
        }) {
            if (2..=8).contains(&run.len())
                && run.is_ascii()
                && !found.iter().any(|known| known == run)
                && found.len() < 30
            {
                found.push(run.to_owned());
            }
        }
    }
    // What a longer run is made of twice is an empty field.
    let halves: Vec<String> = found
        .iter()
        .filter(|run| run.len() % 2 == 0)
        .map(|run| run[..run.len() / 2].to_owned())
        .collect();
    found.retain(|run| {
        !(run.len() % 2 == 0
            && run[..run.len() / 2] == run[run.len() / 2..]
            && halves
                .iter()
                .any(|half| half.len() > 1 && run.starts_with(half.as_str())))
    });
    found.extend(SINGLE.map(str::to_owned));
    let is_often = |delimiter: &String| {
        let with = lines
            .iter()
            .filter(|line| line.text.contains(delimiter.as_str()))
            .count();
        !lines.is_empty() && with * 10 >= lines.len() * 6
    };
    found.retain(is_often);
    found
}

/// Finds what quotes mean: of the ways that cut the most records into as many fields as most have, the most usual one.
/// Returns what speaks for it.
pub(crate) fn quoting(delimiter: &str, texts: &[String], most: usize) -> (Dialect, String) {
    let usual = Dialect::usual(delimiter);
    if !texts.iter().any(|text| text.contains('"')) && !is_quoted_singly(delimiter, texts) {
        return (usual, String::new());
    }
    let with = |change: &dyn Fn(&mut Dialect)| {
        let mut dialect = usual.clone();
        change(&mut dialect);
        dialect
    };
    let mut ways = vec![
        usual.clone(),
        with(&|dialect| dialect.joins_lines = true),
        with(&|dialect| dialect.escape = Some(b'\\')),
        with(&|dialect| (dialect.escape, dialect.joins_lines) = (Some(b'\\'), true)),
        with(&|dialect| dialect.quote = None),
    ];
    if is_quoted_singly(delimiter, texts) {
        ways.insert(0, with(&|dialect| dialect.quote = Some(b'\'')));
    }
    let mut best: Option<(u64, Dialect, u64)> = None;
    let mut usual_faults = 0;
    for dialect in ways {
        let lines = dialect.read(texts, most);
        let faults = faults(&lines);
        if dialect == usual {
            usual_faults = faults;
        }
        // Text in which quotes stand for nothing has some that end nowhere.
        if best.as_ref().is_none_or(|(least, ..)| faults < *least) {
            best = Some((faults, dialect, lines.len() as u64));
        }
    }
    let (faults, dialect, all) = best.unwrap_or((0, usual, 0));
    let proof = format!(
        "{} of {all} records can be cut; {usual_faults} cannot if quotes mean what they usually do",
        all - faults.min(all)
    );
    (dialect, proof)
}

/// Returns whether texts stand between single quotes.
fn is_quoted_singly(delimiter: &str, texts: &[String]) -> bool {
    let fields = texts
        .iter()
        .flat_map(|text| text.lines().take(50))
        .flat_map(|line| line.split(delimiter));
    let (mut quoted, mut all) = (0, 0);
    for field in fields.map(str::trim) {
        all += 1;
        quoted += usize::from(field.len() > 1 && field.starts_with('\'') && field.ends_with('\''));
    }
    quoted * 3 >= all && all > 0
}

/// Counts the records that cannot be cut, or not into as many fields as others that begin alike.
fn faults(lines: &[Line]) -> u64 {
    let filled: Vec<&Line> = lines.iter().filter(|line| !line.is_blank()).collect();
    let width = usual_width(filled.iter().copied());
    let is_fault = |line: &&&Line| line.fields.is_none() || line.width() != width;
    filled.iter().filter(is_fault).count() as u64
}

/// Returns how many fields most records have.
pub(crate) fn usual_width<'l>(lines: impl Iterator<Item = &'l Line>) -> usize {
    let mut counts = std::collections::BTreeMap::new();
    for line in lines.filter(|line| line.fields.is_some()) {
        *counts.entry(line.width()).or_insert(0_u64) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(width, count)| (*count, *width))
        .map_or(0, |(width, _)| width)
}
