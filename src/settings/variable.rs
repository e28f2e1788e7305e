//! `${VAR}` in a setting, which keeps secrets out of the settings file.

use serde::{Deserialize, Deserializer, de::Error};

/// A text in which every `${VAR}` is replaced by the environment variable of that name.
#[derive(Clone, Debug)]
pub(super) struct Expanded(pub(super) String);

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
