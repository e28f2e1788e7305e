//! What the names of the samples have in common, and which fragment of them is the store or the day.

use gristmill_engine::reading::DateFormat;

use crate::dates::TILL_DAYS;

/// Forms of days in names.
const FORMS: [&str; 4] = ["%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y%m%d"];

/// A fragment of a name: a word, what stands between words, or a day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fragment {
    text: String,
    /// The form of a day, and the day.
    day: Option<(&'static str, i32)>,
}

/// The names of all samples, cut into fragments.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    names: Vec<String>,
    /// The fragments of each, if all have as many, with the same marks between them.
    fragments: Option<Vec<Vec<Fragment>>>,
}

impl Names {
    pub(crate) fn new(names: Vec<String>) -> Self {
        let fragments: Vec<Vec<Fragment>> = names.iter().map(|name| fragments(name)).collect();
        let is_like = |other: &Vec<Fragment>| {
            let first = &fragments[0];
            first.len() == other.len()
                && first.iter().zip(other).all(|(one, other)| {
                    one.day.map(|(form, _)| form) == other.day.map(|(form, _)| form)
                        && (is_word(&one.text) == is_word(&other.text))
                        && (is_word(&one.text) || one.text == other.text)
                })
        };
        let are_alike = !fragments.is_empty() && fragments.iter().all(is_like);
        Self {
            names,
            fragments: are_alike.then_some(fragments),
        }
    }

    /// Returns the fragment that is the store of each file, if one is. `None` stands for a file whose store is not known.
    pub(crate) fn store_fragment(&self, stores: &[Option<String>]) -> Option<usize> {
        let fragments = self.fragments.as_ref()?;
        let is_store = |at: &usize| {
            let mut known = fragments
                .iter()
                .zip(stores)
                .filter_map(|(fragments, store)| Some((fragments, store.as_ref()?)))
                .peekable();
            known.peek().is_some()
                && known.all(|(fragments, store)| bare(&fragments[*at].text) == bare(store))
        };
        let mut words = (0..fragments[0].len())
            .filter(|at| is_word(&fragments[0][*at].text) && fragments[0][*at].day.is_none());
        words.find(is_store)
    }

    /// Returns the fragments that may be a store, the likeliest first: those that differ between the files, or numbers.
    pub(crate) fn maybe_stores(&self) -> Vec<usize> {
        let Some(fragments) = &self.fragments else {
            return Vec::new();
        };
        let last = fragments[0].len().saturating_sub(1);
        let words = (0..fragments[0].len()).filter(|at| {
            let is_ending = *at == last && *at > 0 && fragments[0][*at - 1].text == ".";
            is_word(&fragments[0][*at].text) && fragments[0][*at].day.is_none() && !is_ending
        });
        let words: Vec<usize> = words.collect();
        let differs = |at: &usize| {
            fragments
                .iter()
                .any(|other| other[*at].text != fragments[0][*at].text)
        };
        let is_number = |at: &usize| {
            fragments
                .iter()
                .all(|fragments| fragments[*at].text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let different: Vec<usize> = words.iter().copied().filter(differs).collect();
        if !different.is_empty() {
            return different;
        }
        words.into_iter().filter(is_number).collect()
    }

    /// Returns the text of a fragment in the first name.
    pub(crate) fn text(&self, fragment: usize) -> &str {
        self.fragments
            .as_ref()
            .map_or("", |fragments| &fragments[0][fragment].text)
    }

    /// Returns whether the names have a day.
    pub(crate) fn has_day(&self) -> bool {
        self.fragments
            .as_ref()
            .is_some_and(|fragments| fragments[0].iter().any(|fragment| fragment.day.is_some()))
    }

    /// Returns the pattern for files with such names, and what it rests on.
    pub(crate) fn pattern(&self, store: Option<usize>, has_date: bool) -> (String, String) {
        let Some(fragments) = &self.fragments else {
            // The two ends may not overlap. The one behind says what kind of file it is.
            let shortest = self.names.iter().map(|name| name.chars().count()).min();
            let shortest = shortest.unwrap_or_default();
            let end = self.common(true, shortest);
            let start = self.common(false, shortest - end.chars().count());
            return (
                format!("{start}*{end}"),
                format!("what {} names have in common", self.names.len()),
            );
        };
        let mut pattern = String::new();
        for (at, fragment) in fragments[0].iter().enumerate() {
            let is_same = fragments.iter().all(|other| other[at].text == fragment.text);
            match (store == Some(at), fragment.day) {
                (true, _) => pattern.push_str("{store}"),
                (_, Some(("%Y-%m-%d", _))) if has_date => pattern.push_str("{date}"),
                (_, Some((form, _))) if has_date => pattern.push_str(&format!("{{date:{form}}}")),
                (_, Some(_)) => pattern.push('*'),
                _ if is_same => pattern.push_str(&literal(&fragment.text)),
                _ => pattern.push('*'),
            }
        }
        let proof = match self.names.len() {
            1 => "one name: write * for what differs in other names".to_owned(),
            count => format!("{count} of {count} names"),
        };
        (pattern, proof)
    }

    /// Returns what all names begin with, or end with: at most so many characters.
    fn common(&self, is_end: bool, most: usize) -> String {
        let letters = |name: &String| {
            let mut letters: Vec<char> = name.chars().collect();
            if is_end {
                letters.reverse();
            }
            letters
        };
        let Some(first) = self.names.first().map(letters) else {
            return String::new();
        };
        let shared = self.names.iter().map(|name| {
            let alike = first
                .iter()
                .zip(letters(name))
                .take_while(|(one, other)| *one == other);
            alike.count()
        });
        let mut common: Vec<char> = first[..shared.min().unwrap_or(0).min(most)].to_vec();
        if is_end {
            common.reverse();
        }
        literal(&common.into_iter().collect::<String>())
    }
}

/// Writes a text so that a pattern means just that.
fn literal(text: &str) -> String {
    text.chars()
        .map(|c| {
            if matches!(c, '*' | '?' | '[' | ']' | '{' | '}') {
                '?'
            } else {
                c
            }
        })
        .collect()
}

/// Returns an id without what does not matter between a name and a line.
fn bare(text: &str) -> String {
    text.trim().trim_start_matches('0').to_lowercase()
}

fn is_word(text: &str) -> bool {
    text.chars().all(char::is_alphanumeric)
}

/// Cuts a name into words, marks and days.
fn fragments(name: &str) -> Vec<Fragment> {
    let mut fragments = Vec::new();
    let mut rest = name;
    'next: while let Some(first) = rest.chars().next() {
        let is_behind_digit = name[..name.len() - rest.len()].ends_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() && !is_behind_digit {
            for form in FORMS {
                let Ok(format) = DateFormat::parse(form) else {
                    continue;
                };
                let length = if form == "%Y%m%d" { 8 } else { 10 };
                let Some((text, behind)) = rest.split_at_checked(length) else {
                    continue;
                };
                let day = format
                    .parse_days(text.as_bytes())
                    .filter(|day| TILL_DAYS.contains(day));
                if let Some(day) = day
                    && !behind.starts_with(|c: char| c.is_ascii_digit())
                {
                    fragments.push(Fragment {
                        text: text.to_owned(),
                        day: Some((form, day)),
                    });
                    rest = behind;
                    continue 'next;
                }
            }
        }
        let is_alike = |c: char| c.is_alphanumeric() == first.is_alphanumeric();
        let end = rest.find(|c| !is_alike(c)).unwrap_or(rest.len());
        fragments.push(Fragment {
            text: rest[..end].to_owned(),
            day: None,
        });
        rest = &rest[end..];
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_store_and_the_day_are_found_in_names() {
        let two = names(&["IL-1003-20160601.tdf", "IL-0007-20160602.tdf"]);
        let store = two.store_fragment(&[Some("1003".into()), Some("7".into())]);
        assert_eq!(two.pattern(store, true).0, "IL-{store}-{date:%Y%m%d}.tdf");
        assert_eq!(two.pattern(store, false).0, "IL-{store}-*.tdf");
        assert_eq!(two.maybe_stores().len(), 1);
        let one = names(&["IL-1-2016-06-01.tdf"]);
        assert_eq!(
            one.pattern(one.store_fragment(&[Some("1".into())]), true).0,
            "IL-{store}-{date}.tdf"
        );
        assert_eq!(one.pattern(None, false).0, "IL-1-*.tdf");
        assert_eq!(names(&["a-1.csv", "b.csv"]).pattern(None, false).0, "*.csv");
        assert_eq!(names(&["IL-day.txt"]).maybe_stores(), Vec::<usize>::new());
    }
}
