//! One precondition with its facts.

use serde::Serialize;

/// One precondition, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, as in the settings.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it does not hold and a passed deadline lets the job run all the same.
    pub waived: bool,
    /// The facts that decide it, for people.
    pub facts: String,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, holds: bool, facts: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            holds,
            waived: false,
            facts: facts.into(),
        }
    }

    /// Whether it keeps the job from running.
    pub fn is_in_the_way(&self) -> bool {
        !self.holds && !self.waived
    }
}

/// Some of many names: all of a few, the first of many with their number.
pub(super) fn some_of<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 {
        shown.join(", ")
    } else {
        format!("{} and {rest} more", shown.join(", "))
    }
}
