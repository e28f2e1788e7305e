//! One precondition with its facts.

use serde::Serialize;

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
}

impl Check {
    pub(crate) fn new(name: impl Into<String>, holds: bool, facts: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            holds,
            waived: false,
            facts: facts.into(),
        }
    }

    /// Returns whether it keeps the job from running.
    pub fn blocks(&self) -> bool {
        !self.holds && !self.waived
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
