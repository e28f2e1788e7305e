//! The settings of lineage: who is told of runs by OpenLineage events.

use std::fmt;

use super::file::LineageTable;

/// Who is told of runs.
#[derive(Clone)]
pub struct LineageSettings {
    /// Where events are sent.
    pub url: reqwest::Url,
    /// The namespace of the jobs.
    pub namespace: String,
    /// What is presented to the receiver, if it asks for something; or why that is not known.
    api_key: Result<Option<String>, String>,
}

/// Where receivers take events, unless the URL says it.
const USUAL_PATH: &str = "/api/v1/lineage";

/// The namespace of jobs, unless the settings say another.
const USUAL_NAMESPACE: &str = "gristmill";

impl LineageSettings {
    /// Checks the table.
    pub(super) fn check(table: &LineageTable) -> Result<Self, String> {
        let example = "write one such as \"http://marquez.example.com:5000\"";
        let mut url: reqwest::Url = table
            .url
            .0
            .parse()
            .map_err(|error| format!("lineage.url: it is not a URL ({error}): {example}"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(format!(
                "lineage.url: it is not the URL of a web server: {example}"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("lineage.url: it holds a password: use lineage.api_key".into());
        }
        if url.path() == "/" {
            url.set_path(USUAL_PATH);
        }
        let namespace = table.namespace.as_deref().unwrap_or(USUAL_NAMESPACE);
        if namespace.trim().is_empty() {
            return Err("lineage.namespace: it is empty: write a name, or leave it out".into());
        }
        let api_key = match &table.api_key {
            None => Ok(None),
            Some(key) => match &key.0 {
                Ok(key) if key.chars().all(|c| c.is_ascii_graphic()) && !key.is_empty() => {
                    Ok(Some(key.clone()))
                }
                Ok(_) => {
                    return Err(
                        "lineage.api_key: a header cannot hold it: it has a blank, or a character beyond ASCII, or nothing"
                            .into(),
                    );
                }
                Err(problem) => Err(format!("lineage.api_key: {problem}")),
            },
        };
        Ok(Self {
            url,
            namespace: namespace.to_owned(),
            api_key,
        })
    }

    /// Returns what is presented to the receiver, or what to do about a variable that is not set.
    pub fn api_key(&self) -> Result<Option<&str>, &str> {
        match &self.api_key {
            Ok(key) => Ok(key.as_deref()),
            Err(problem) => Err(problem),
        }
    }
}

impl fmt::Debug for LineageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.url, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::variable::{Expanded, Secret};

    fn table(url: &str, key: Option<Result<String, String>>) -> LineageTable {
        LineageTable {
            url: Expanded(url.to_owned()),
            namespace: None,
            api_key: key.map(Secret),
        }
    }

    #[test]
    fn the_usual_path_is_left_out() {
        for (url, full) in [
            ("http://h:5000", "http://h:5000/api/v1/lineage"),
            ("https://h/", "https://h/api/v1/lineage"),
            ("https://h/events?workspace=a", "https://h/events?workspace=a"),
        ] {
            let settings = LineageSettings::check(&table(url, None)).unwrap();
            assert_eq!(
                (settings.url.as_str(), settings.namespace.as_str()),
                (full, "gristmill")
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_secret() {
        for (url, told) in [
            ("marquez", "is not a URL"),
            ("file:///x", "web server"),
            ("http://me:secret@h", "lineage.api_key"),
        ] {
            let problem = LineageSettings::check(&table(url, None)).unwrap_err();
            assert!(problem.contains(told) && !problem.contains("secret"), "{problem}");
        }
        let problem = LineageSettings::check(&table("http://h", Some(Ok("se\ncret".into())))).unwrap_err();
        assert!(
            problem.contains("lineage.api_key") && !problem.contains("cret"),
            "{problem}"
        );
        let settings =
            LineageSettings::check(&table("http://h", Some(Err("KEY is not set".into())))).unwrap();
        assert!(settings.api_key().unwrap_err().contains("KEY is not set"));
        let settings = LineageSettings::check(&table("http://h", Some(Ok("secret".into())))).unwrap();
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
