//! What an address asks for: its path and its query.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use jiff::civil::Date;
use percent_encoding::percent_decode_str;

use super::address::address;
use super::problem::Problem;

/// The query of an address. What is empty counts as absent, as in a form that was left blank.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask(BTreeMap<String, String>);

impl Ask {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let query: Query<Vec<(String, String)>> = Query::try_from_uri(uri)
            .map_err(|error| Problem::Bad(format!("the query of the address cannot be read: {error}")))?;
        Ok(Self::new(query.0))
    }

    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(filled.collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_owned)
    }

    /// Returns the value of a key that must be there.
    pub(super) fn needed(&self, key: &str) -> Result<&str, Problem> {
        self.get(key)
            .ok_or_else(|| Problem::Bad(format!("{key} is missing in the request")))
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value != "false" && value != "0")
    }

    pub(super) fn date(&self, key: &str) -> Result<Option<Date>, Problem> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Problem::Bad(format!(
                    "{key} = {text:?} is not a day: write one such as 2016-06-01"
                ))
            })
        };
        self.get(key).map(parse).transpose()
    }

    pub(super) fn number(&self, key: &str, usual: u32, most: u32) -> Result<u32, Problem> {
        let Some(text) = self.get(key) else {
            return Ok(usual);
        };
        match text.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(Problem::Bad(format!(
                "{key} = {text:?} is not a number up to {most}"
            ))),
        }
    }

    /// Returns the address of `path` with this query, in which one value is another.
    pub(super) fn with(&self, path: &str, key: &str, value: &str) -> String {
        let mut changed = self.0.clone();
        changed.insert(key.to_owned(), value.to_owned());
        let pairs: Vec<_> = changed
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        address(path, &pairs)
    }
}

/// Returns the segments of a path, decoded; `None` if one is not UTF-8.
pub(super) fn segments(uri: &Uri) -> Option<Vec<String>> {
    let segments = uri.path().split('/').filter(|segment| !segment.is_empty());
    let decode = |segment| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
    segments.map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::super::address::{of_file, of_job};
    use super::*;

    #[test]
    fn odd_names_survive_an_address() {
        for name in ["a/b c.tdf", "ü&x=1#?%", "<script>", "\"'", "..", "a\nb"] {
            let uri: Uri = of_file(name).parse().unwrap();
            assert_eq!(Ask::of(&uri).unwrap().get("path"), Some(name), "{uri}");
            let uri: Uri = of_job(name).parse().unwrap();
            assert_eq!(segments(&uri).unwrap(), ["jobs", name], "{uri}");
        }
    }

    #[test]
    fn what_is_blank_is_absent() {
        let ask = Ask::of(&"/files?q=&feed=sales".parse().unwrap()).unwrap();
        assert_eq!((ask.get("q"), ask.get("feed")), (None, Some("sales")));
        assert_eq!(ask.with("/files", "page", "2"), "/files?feed=sales&page=2");
        assert_eq!(ask.with("/files", "feed", ""), "/files");
    }
}
