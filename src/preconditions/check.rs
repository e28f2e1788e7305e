//! One precondition with its facts.

use serde::Serialize;
use serde_json::Value;

/// One precondition, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, as in the settings.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it does not hold, but a passed deadline lets the job run anyway.
    pub waived: bool,
    /// The facts that decide it, for people.
    pub facts: String,
    /// The same facts for programs, complete where the text names only some.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub data: Value,
    #[serde(skip)]
    is_of_next_wave: bool,
}

impl Check {
    pub(crate) fn new(name: impl Into<String>, holds: bool, facts: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            holds,
            waived: false,
            facts: facts.into(),
            data: Value::Null,
            is_of_next_wave: false,
        }
    }

    /// Adds the facts for programs.
    pub(super) fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Marks a precondition that the files of the next wave bring about, or what comes with them.
    pub(super) fn of_next_wave(mut self) -> Self {
        self.is_of_next_wave = true;
        self
    }

    /// Returns whether it keeps the job from running.
    pub fn blocks(&self) -> bool {
        !self.holds && !self.waived
    }

    /// Returns whether it is a matter of the next wave, which nobody waits for before that begins.
    pub fn is_of_next_wave(&self) -> bool {
        self.is_of_next_wave
    }
}

/// Lists names: all of a few, or the first of many and how many more there are.
pub(crate) fn some_of<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 {
        shown.join(", ")
    } else {
        format!("{} and {rest} more", shown.join(", "))
    }
}
