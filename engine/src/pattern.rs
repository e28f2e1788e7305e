//! File patterns: globs over the path relative to the source, with captures.
//!
//! `*` and `?` stay inside one folder, `**` crosses folders, `[a-z]` is a class, `{store}` captures the store and
//! `{date}` the business day (`{date:%Y%m%d}` for a format other than `2016-06-01`). A pattern must match the whole
//! path: `IL-*.tdf` does not match `old/IL-1.tdf`; `**/IL-*.tdf` matches both.

mod near;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use jiff::civil::Date;
use regex::Regex;

use crate::date::DateFormat;
pub use near::{NearMiss, NearMisses};

/// A valid pattern: it compiles, and has `{store}` and `{date}` at most once each.
#[derive(Clone)]
pub struct FilePattern {
    text: String,
    pieces: Vec<Piece>,
    /// Matches what follows the literal start.
    rest: Arc<Regex>,
    date: Option<DateFormat>,
    has_store: bool,
    literal_prefix: usize,
}

/// The compiled rests of all patterns in use, by their source: thousands of jobs may differ in their literal starts
/// alone, as `P0001-{store}.tdf` and `P0002-{store}.tdf` do, and each compiled rest takes many kilobytes.
static RESTS: LazyLock<Mutex<Rests>> = LazyLock::new(Mutex::default);

/// How many rests stay although no pattern in use has them.
const KEPT: usize = 8;

#[derive(Default)]
struct Rests {
    in_use: HashMap<String, Weak<Regex>>,
    /// The last that were compiled. Settings are checked job by job, and each pattern is dropped before the next is parsed:
    /// without these, thousands of jobs would have the same rest compiled thousands of times.
    last: VecDeque<Arc<Regex>>,
}

impl Rests {
    /// Compiles what follows a pattern's literal start, or returns it if another pattern has the same.
    fn compiled(&mut self, source: String) -> Result<Arc<Regex>, regex::Error> {
        if let Some(known) = self.in_use.get(&source).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let regex = regex::RegexBuilder::new(&format!("^{source}$"))
            .dot_matches_new_line(true)
            .build()?;
        let regex = Arc::new(regex);
        // Those that are no longer in use are dropped now and then.
        if self.in_use.len().is_power_of_two() {
            self.in_use.retain(|_, rest| rest.strong_count() > 0);
        }
        self.in_use.insert(source, Arc::downgrade(&regex));
        self.last.push_back(regex.clone());
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
        Ok(regex)
    }
}

/// What a pattern consists of.
#[derive(Clone)]
enum Piece {
    Literal(char),
    Wildcard {
        /// As it was written.
        text: String,
        regex: String,
    },
}

impl Piece {
    fn regex(&self) -> String {
        match self {
            Self::Literal(c) => regex::escape(c.encode_utf8(&mut [0; 4])),
            Self::Wildcard { regex, .. } => regex.clone(),
        }
    }
}

/// What a matching path says about its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// The store, if the pattern has `{store}`.
    pub store: Option<String>,
    /// The business day, if the pattern has `{date}`.
    pub date: Option<Date>,
}

/// Why a text is not a valid pattern.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the pattern {pattern:?} {problem}")]
pub struct PatternError {
    pattern: String,
    problem: String,
}

/// The most characters of a pattern. Matching takes time and memory for each of them.
const MOST_CHARS: usize = 1_000;

impl FilePattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some((at, _)) = text.char_indices().nth(MOST_CHARS) {
            return Err(PatternError {
                pattern: format!("{}…", text[..at].chars().take(40).collect::<String>()),
                problem: format!("has more than {MOST_CHARS} characters: write a shorter one"),
            });
        }
        let fail = |problem: String| PatternError {
            pattern: text.to_owned(),
            problem,
        };
        if text.is_empty() {
            return Err(fail("is empty: write a glob such as \"*.tdf\"".into()));
        }
        let mut pieces = Vec::new();
        let mut date = None;
        let mut has_store = false;
        let mut literal_prefix = None;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let matched_so_far = text.len() - rest.len();
            if matches!(first, '*' | '?' | '[' | '{') {
                literal_prefix.get_or_insert(matched_so_far);
            }
            rest = &rest[first.len_utf8()..];
            let regex = match first {
                '*' if rest.starts_with("*/") => {
                    rest = &rest[2..];
                    "(?:.*/)?".to_owned()
                }
                '*' if rest.starts_with('*') => {
                    rest = &rest[1..];
                    ".*".to_owned()
                }
                '*' => "[^/]*".to_owned(),
                '?' => "[^/]".to_owned(),
                '[' => {
                    let (class, after) = rest
                        .split_once(']')
                        .ok_or_else(|| fail("has a '[' without its ']'".into()))?;
                    rest = after;
                    class_source(class).map_err(fail)?
                }
                '{' => {
                    let (name, after) = rest
                        .split_once('}')
                        .ok_or_else(|| fail("has a '{' without its '}'".into()))?;
                    rest = after;
                    if name == "store" {
                        if has_store {
                            return Err(fail("has {store} twice".into()));
                        }
                        has_store = true;
                        "(?P<store>[^/]+?)".to_owned()
                    } else if let Some(format) = date_capture(name) {
                        if date.is_some() {
                            return Err(fail("has {date} twice".into()));
                        }
                        let format =
                            DateFormat::parse(format).map_err(|e| fail(format!("cannot be used: {e}")))?;
                        let regex = format!("(?P<date>{})", format.regex_source());
                        date = Some(format);
                        regex
                    } else {
                        return Err(fail(format!(
                            "has {{{name}}}, which is not a capture: use {{store}}, {{date}} or {{date:%Y%m%d}}"
                        )));
                    }
                }
                other => {
                    pieces.push(Piece::Literal(other));
                    continue;
                }
            };
            let text = text[matched_so_far..text.len() - rest.len()].to_owned();
            pieces.push(Piece::Wildcard { text, regex });
        }
        let literal_prefix = literal_prefix.unwrap_or(text.len());
        let start = pieces
            .iter()
            .take_while(|piece| matches!(piece, Piece::Literal(_)));
        let source = pieces[start.count()..].iter().map(Piece::regex).collect();
        let mut rests = RESTS.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = rests
            .compiled(source)
            .map_err(|e| fail(format!("cannot be used: {e}")))?;
        Ok(Self {
            text: text.to_owned(),
            pieces,
            rest,
            date,
            has_store,
            literal_prefix,
        })
    }

    /// Returns what the path says, or `None` if it does not match. A `{date}` must be a calendar day.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        let found = self.rest.captures(path.strip_prefix(self.literal_start())?)?;
        let date = match &self.date {
            Some(format) => {
                let days = format.parse_days(found.name("date")?.as_str().as_bytes())?;
                Some(crate::date::from_days(days))
            }
            None => None,
        };
        Some(Captures {
            store: found.name("store").map(|m| m.as_str().to_owned()),
            date,
        })
    }

    /// Returns whether the path matches.
    pub fn matches(&self, path: &str) -> bool {
        match self.date {
            Some(_) => self.captures(path).is_some(),
            None => self.has_form(path),
        }
    }

    /// Returns whether the path matches, apart from whether a `{date}` is a calendar day.
    fn has_form(&self, path: &str) -> bool {
        path.strip_prefix(self.literal_start())
            .is_some_and(|rest| self.rest.is_match(rest))
    }

    /// Returns whether the pattern has `{date}`, which makes a job run separately for each day.
    pub fn is_dated(&self) -> bool {
        self.date.is_some()
    }

    /// Returns whether the pattern has `{store}`.
    pub fn has_store(&self) -> bool {
        self.has_store
    }

    /// Returns how many bytes come before the first wildcard. Of two patterns that match a path, the one with the
    /// longer literal prefix is the more specific: `Item*` wins over `*-*.tdf`.
    pub fn literal_prefix(&self) -> usize {
        self.literal_prefix
    }

    /// Returns what comes before the first wildcard: every path that matches begins with it.
    pub fn literal_start(&self) -> &str {
        &self.text[..self.literal_prefix]
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Returns the date format of a `{date}` or `{date:FORMAT}` capture, or `None` for any other name.
fn date_capture(name: &str) -> Option<&str> {
    match name.strip_prefix("date")? {
        "" => Some("%Y-%m-%d"),
        format => format.strip_prefix(':'),
    }
}

/// Returns the regex for the inside of `[…]`: single characters and ranges, with a leading `!` or `^` to negate.
fn class_source(class: &str) -> Result<String, String> {
    let (negated, members) = match class.strip_prefix(['!', '^']) {
        Some(members) => (true, members),
        None => (false, class),
    };
    if members.is_empty() {
        return Err("has an empty [] class".into());
    }
    let mut source = String::from(if negated { "[^/" } else { "[" });
    for c in members.chars() {
        if !matches!(c, '-') && !c.is_alphanumeric() {
            source.push('\\');
        }
        source.push(c);
    }
    source.push(']');
    Ok(source)
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilePattern({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, path: &str) -> Option<(Option<String>, Option<String>)> {
        let found = FilePattern::parse(pattern).unwrap().captures(path)?;
        Some((found.store, found.date.map(|d| d.to_string())))
    }

    #[test]
    fn wildcards_stay_inside_a_folder() {
        assert!(captures("*-*.tdf", "IL-101.tdf").is_some());
        assert!(captures("*-*.tdf", "old/IL-101.tdf").is_none());
        assert!(captures("**/*.tdf", "a/b/IL-101.tdf").is_some());
        assert!(captures("**/*.tdf", "IL-101.tdf").is_some());
        assert!(captures("IL-?0[1-3].tdf", "IL-102.tdf").is_some());
        assert!(captures("IL-?0[!1-3].tdf", "IL-102.tdf").is_none());
        assert!(captures("a.tdf", "axtdf").is_none());
        assert!(captures("*.tdf", "line\nbreak.tdf").is_some());
    }

    #[test]
    fn store_and_date_are_captured() {
        assert_eq!(
            captures("IL-{store}.tdf", "IL-101.tdf"),
            Some((Some("101".into()), None))
        );
        assert_eq!(
            captures("{date}/IL-{store}.tdf", "2016-06-01/IL-7.tdf"),
            Some((Some("7".into()), Some("2016-06-01".into())))
        );
        assert_eq!(
            captures("IL-{store}-{date:%Y%m%d}.tdf", "IL-7-20160601.tdf"),
            Some((Some("7".into()), Some("2016-06-01".into())))
        );
        assert_eq!(captures("IL-{date:%Y%m%d}.tdf", "IL-20160631.tdf"), None);
    }

    #[test]
    fn invalid_patterns_are_rejected() {
        for bad in [
            "",
            "[",
            "[]",
            "{store",
            "{shop}",
            "{store}{store}",
            "{date}{date}",
            "{date:%H}",
        ] {
            assert!(FilePattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_compiled_last_stays_for_the_patterns_that_come_next() {
        let mut rests = Rests::default();
        let first = Arc::downgrade(&rests.compiled("a".into()).unwrap());
        assert!(Arc::ptr_eq(
            &first.upgrade().unwrap(),
            &rests.compiled("a".into()).unwrap()
        ));
        for number in 0..100 {
            rests.compiled(format!("b{number}")).unwrap();
        }
        assert!(first.upgrade().is_none(), "not all of them stay");
        assert!(rests.in_use.len() < 100 && rests.last.len() == KEPT);
    }

    #[test]
    fn patterns_that_differ_in_their_starts_alone_share_what_is_compiled() {
        let parse = |text: &str| FilePattern::parse(text).unwrap();
        let (one, other) = (parse("P1-{store}.a"), parse("P2-{store}.a"));
        assert!(Arc::ptr_eq(&one.rest, &other.rest));
        assert_eq!(one.literal_start(), "P1-");
        assert_eq!(captures("P1-{store}.a", "P2-7.a"), None);
        assert_eq!(captures("a.tdf", "a.tdf"), Some((None, None)));
        assert_eq!(captures("a.tdf", "a.tdf2"), None);
        // A literal '.' in the middle of the start is no wildcard, and a line end is no end.
        assert_eq!(captures("a.b-*", "axb-1"), None);
        assert_eq!(captures("a-*.tdf", "a-1.tdf\n"), None);
    }

    #[test]
    fn the_literal_prefix_tells_which_pattern_is_more_specific() {
        assert_eq!(FilePattern::parse("Item*").unwrap().literal_prefix(), 4);
        assert_eq!(FilePattern::parse("*-*.tdf").unwrap().literal_prefix(), 0);
        assert_eq!(FilePattern::parse("a.tdf").unwrap().literal_prefix(), 5);
    }
}
