//! What a notice says, before it takes the form of a receiver.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::settings::When;
use crate::shown::{path, shown};

/// How many things a message names: what is more is counted.
const NAMED: usize = 20;

/// How many characters of the facts about one thing it has.
const FACTS: usize = 300;

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The alert.
    pub(super) alert: String,
    /// What it watches for, as the settings say it.
    pub(super) when: String,
    /// When it was found, or was over.
    pub(super) at: Timestamp,
    /// How many things it is about.
    pub(super) count: usize,
    /// The first of them.
    pub(super) subjects: Vec<Subject>,
}

/// One thing that a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) subject: String,
    pub(super) facts: String,
    pub(super) since: Timestamp,
}

impl Message {
    /// Makes a message about some things.
    pub(super) fn new(alert: &str, when: &When, at: Timestamp, subjects: Vec<Subject>) -> Self {
        let cut = |subject: Subject| Subject {
            facts: match subject.facts.chars().count() > FACTS {
                true => format!("{}…", subject.facts.chars().take(FACTS).collect::<String>()),
                false => subject.facts,
            },
            ..subject
        };
        Self {
            alert: alert.to_owned(),
            when: when.word().to_owned(),
            at,
            count: subjects.len(),
            subjects: subjects.into_iter().take(NAMED).map(cut).collect(),
        }
    }

    /// Makes the message that tries a receiver out.
    pub(crate) fn test(receiver: &str, at: Timestamp) -> Self {
        Self {
            alert: format!("test of receiver {receiver}"),
            when: "test".to_owned(),
            at,
            count: 1,
            subjects: vec![Subject {
                subject: "test".to_owned(),
                facts: "somebody has called `gristmill alert test`; nothing has happened".to_owned(),
                since: at,
            }],
        }
    }

    /// Returns what it is about in a few words. `kind` is what the notice tells.
    pub(super) fn title(&self, kind: &str) -> String {
        let subject = match &self.subjects[..] {
            [only] if self.count == 1 => path(&only.subject),
            _ => format!("{} things", self.count),
        };
        let alert = path(&self.alert);
        match kind {
            "test" => format!("gristmill: {alert}"),
            "repeated" => format!("gristmill: {alert}, still: {subject}"),
            "resolved" => format!("gristmill: {alert}, over: {subject}"),
            _ => format!("gristmill: {alert}: {subject}"),
        }
    }

    /// Returns a line for each thing: what it is, and what is told of it.
    pub(super) fn lines(&self, zone: &TimeZone) -> Vec<(String, String)> {
        let moment = |at: Timestamp| {
            at.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M %Z")
                .to_string()
        };
        let line = |about: &Subject| {
            let facts = shown(&about.facts).replace('\n', " ");
            (
                path(&about.subject),
                format!("{facts} (since {})", moment(about.since)),
            )
        };
        self.subjects.iter().map(line).collect()
    }

    /// Returns how many things it does not name, in words.
    pub(super) fn rest(&self) -> Option<String> {
        let more = self.count.saturating_sub(self.subjects.len());
        (more > 0).then(|| format!("and {more} more: `gristmill status` has all"))
    }
}
