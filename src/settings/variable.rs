//! `${VAR}` in a setting, which keeps secrets out of the settings file.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// A text in which every `${VAR}` is replaced by the environment variable of that name.
#[derive(Clone)]
pub(super) struct Expanded(pub(super) String);

/// The same, where a variable that is not set matters only to whoever uses the text.
#[derive(Clone)]
pub(super) struct ExpandedLater(pub(super) Result<String, String>);

/// A secret, where a variable that is not set matters only to whoever uses the secret.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Result<String, String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ExpandedLater::deserialize(deserializer).map(|text| Self(text.0))
    }
}

// A variable may hold a password.
impl fmt::Debug for Expanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&gristmill_servers::url::redacted(&self.0))
    }
}

impl fmt::Debug for ExpandedLater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(text) => f.write_str(&gristmill_servers::url::redacted(text)),
            Err(problem) => f.write_str(problem),
        }
    }
}

impl<'de> Deserialize<'de> for ExpandedLater {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(expand(&text, |name| std::env::var(name).ok())))
    }
}

impl<'de> Deserialize<'de> for Expanded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        expand(&text, |name| std::env::var(name).ok())
            .map(Self)
            .map_err(D::Error::custom)
    }
}

fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("a \"${\" has no closing \"}\"")?;
        let value = variable(name).ok_or_else(|| {
            format!("the environment variable {name} is not set: set it, or write the value instead of ${{{name}}}")
        })?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_place() {
        let variable = |name: &str| (name == "A").then(|| "x${A}".to_owned());
        assert_eq!(expand("u://${A}@h/${A}", variable).unwrap(), "u://x${A}@h/x${A}");
        assert_eq!(
            expand("no variable $A {A}", variable).unwrap(),
            "no variable $A {A}"
        );
        assert!(expand("${B}", variable).unwrap_err().contains("B is not set"));
        assert!(expand("${A", variable).is_err());
    }
}
