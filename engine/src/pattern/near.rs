//! How a path misses a pattern by little: letter case, something added at the end, another fragment in place of one, another
//! folder.
//!
//! A file that no feed matches is mostly a file that a store named otherwise than agreed. The pattern that it was meant
//! for tells the operator which.

use regex::{Regex, RegexBuilder};

use super::{FilePattern, Piece};

/// What must differ between a path and a pattern that nearly matches it, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Date,
    Case,
    Ending,
    Fragment,
    Folder,
}

/// A pattern's near misses, compiled once for many paths.
#[derive(Clone, Debug)]
pub struct NearMisses {
    pattern: FilePattern,
    misses: Vec<Miss>,
}

#[derive(Clone, Debug)]
struct Miss {
    kind: Kind,
    regex: Regex,
    /// The fragment of the pattern that something else stands for.
    fragment: String,
}

/// How a path misses a pattern. Ordered: the least is the nearest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NearMiss {
    kind: Kind,
    /// The difference, for people.
    pub difference: String,
}

impl NearMisses {
    /// Compiles the near misses of a pattern.
    pub fn new(pattern: &FilePattern) -> Self {
        let fragments = fragments(&pattern.pieces);
        let whole: String = fragments.iter().map(|fragment| fragment.regex.as_str()).collect();
        let mut misses = Vec::new();
        let mut add = |kind, source: String, fragment: &str| {
            let regex = RegexBuilder::new(&format!("^{source}$"))
                .dot_matches_new_line(true)
                .case_insensitive(true)
                .build();
            // A pattern close to the limit of regular expressions may have no near misses.
            misses.extend(regex.ok().map(|regex| Miss {
                kind,
                regex,
                fragment: fragment.to_owned(),
            }));
        };
        add(Kind::Case, whole.clone(), "");
        add(Kind::Ending, format!("{whole}(?P<other>[^/]+)"), "");
        let fixed = fragments.iter().filter(|fragment| fragment.is_fixed).count();
        for (number, fragment) in fragments
            .iter()
            .enumerate()
            .filter(|(_, fragment)| fragment.can_differ)
        {
            // Wildcards alone would match anything.
            if fixed == usize::from(fragment.is_fixed) {
                continue;
            }
            // A sign stands in place of a sign.
            let other = match fragment.text.chars().all(char::is_alphanumeric) || fragment.text.len() > 1 {
                true => "(?P<other>[^/]*?)",
                false => r"(?P<other>[^/\p{L}\p{N}]*)",
            };
            let source = fragments
                .iter()
                .enumerate()
                .map(|(n, fragment)| match n == number {
                    true => other,
                    false => fragment.regex.as_str(),
                });
            add(Kind::Fragment, source.collect(), &fragment.text);
        }
        let name = fragments.iter().rposition(|fragment| fragment.text.contains('/'));
        let name = &fragments[name.map_or(0, |folder| folder + 1)..];
        let name: String = name.iter().map(|fragment| fragment.regex.as_str()).collect();
        if !name.is_empty() {
            add(Kind::Folder, format!("(?:.*/)?{name}"), "");
        }
        Self {
            pattern: pattern.clone(),
            misses,
        }
    }

    /// Returns how a path that does not match nearly does.
    pub fn of(&self, path: &str) -> Option<NearMiss> {
        if self.pattern.has_form(path) {
            return Some(NearMiss {
                kind: Kind::Date,
                difference: "its date is no day of the calendar".into(),
            });
        }
        self.misses.iter().find_map(|miss| {
            let found = miss.regex.captures(path)?;
            let other = found.name("other").map_or("", |other| other.as_str());
            let fragment = &miss.fragment;
            let difference = match miss.kind {
                Kind::Date | Kind::Case => "it differs in letter case".to_owned(),
                Kind::Fragment if other.is_empty() => format!("it lacks {fragment:?}"),
                Kind::Fragment => format!("it has {other:?} in place of {fragment:?}"),
                Kind::Folder => "it lies in another folder".to_owned(),
                Kind::Ending => format!("it has {other:?} at its end"),
            };
            Some(NearMiss {
                kind: miss.kind,
                difference,
            })
        })
    }

    /// The pattern.
    pub fn pattern(&self) -> &FilePattern {
        &self.pattern
    }
}

/// A fragment of a pattern: a word, a sign between words, or a wildcard.
struct Fragment {
    text: String,
    regex: String,
    /// Whether it stands for itself.
    is_fixed: bool,
    /// Whether another text in its place still is a near miss: not for a wildcard, which matches nearly anything.
    can_differ: bool,
}

fn fragments(pieces: &[Piece]) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = Vec::new();
    let mut in_word = false;
    for piece in pieces {
        match piece {
            Piece::Literal(c) => {
                let is_of_word = c.is_alphanumeric();
                let regex = regex::escape(c.encode_utf8(&mut [0; 4]));
                match fragments.last_mut() {
                    Some(word) if is_of_word && in_word => {
                        word.text.push(*c);
                        word.regex.push_str(&regex);
                    }
                    _ => fragments.push(Fragment {
                        text: c.to_string(),
                        regex,
                        is_fixed: true,
                        can_differ: *c != '/',
                    }),
                }
                in_word = is_of_word;
            }
            Piece::Wildcard { text, regex } => {
                in_word = false;
                fragments.push(Fragment {
                    text: text.clone(),
                    regex: regex.clone(),
                    is_fixed: false,
                    can_differ: text.starts_with("{date") || text.starts_with('['),
                });
            }
        }
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(pattern: &str, path: &str) -> Option<String> {
        let pattern = FilePattern::parse(pattern).unwrap();
        assert!(!pattern.matches(path), "{path} matches");
        NearMisses::new(&pattern).of(path).map(|miss| miss.difference)
    }

    #[test]
    fn what_differs_is_told() {
        for (pattern, path, difference) in [
            ("IL-{store}.tdf", "IL-1007.TDF", "it differs in letter case"),
            ("IL-{store}.tdf", "il-1007.tdf", "it differs in letter case"),
            (
                "IL-{store}.tdf",
                "IL-1007.txt",
                "it has \"txt\" in place of \"tdf\"",
            ),
            ("IL-{store}.tdf", "IL_1007.tdf", "it has \"_\" in place of \"-\""),
            (
                "IL-{store}.tdf",
                "CA-1007.TDF",
                "it has \"CA\" in place of \"IL\"",
            ),
            ("*-*.tdf", "IL1007.tdf", "it lacks \"-\""),
            ("IL-{store}.tdf", "IL-1007.tdf.gz", "it has \".gz\" at its end"),
            ("IL-{store}.tdf", "old/IL-1007.tdf", "it lies in another folder"),
            ("in/IL-{store}.tdf", "IL-1007.tdf", "it lies in another folder"),
            (
                "{date:%Y%m%d}/IL-*.tdf",
                "2016-06-01/IL-1.tdf",
                "it has \"2016-06-01\" in place of \"{date:%Y%m%d}\"",
            ),
            (
                "IL-{date:%Y%m%d}.tdf",
                "IL-20160631.tdf",
                "its date is no day of the calendar",
            ),
            ("IL-[0-9].tdf", "IL-x.tdf", "it has \"x\" in place of \"[0-9]\""),
        ] {
            assert_eq!(
                miss(pattern, path).as_deref(),
                Some(difference),
                "{pattern} {path}"
            );
        }
        for (pattern, path) in [
            ("IL-{store}.tdf", "readme.md"),
            ("Item*", "notes.txt"),
            ("IL-{store}.tdf", "CA-1007.txt"),
        ] {
            assert_eq!(miss(pattern, path), None, "{pattern} {path}");
        }
    }

    #[test]
    fn the_nearest_is_the_least() {
        let pattern = |text| NearMisses::new(&FilePattern::parse(text).unwrap());
        let case = pattern("IL-*.tdf").of("IL-1.TDF");
        let fragment = pattern("CA-*.tdf").of("IL-1.TDF");
        assert!(case.is_some() && fragment.is_some() && case < fragment);
    }
}
