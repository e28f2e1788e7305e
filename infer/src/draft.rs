//! The settings that are being found, key by key: each with its proof, or with the alternatives between which the samples
//! cannot decide.

use std::fmt::Write as _;

/// The table that a key stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SettingsTable {
    Feed,
    Fields,
    Values,
    Records,
}

/// One key, and what it is set to.
#[derive(Clone, Debug)]
struct SettingsKey {
    table: SettingsTable,
    name: &'static str,
    /// What it may be, each with what speaks for it. Empty where the usual value is one of them.
    choices: Vec<(String, String)>,
    /// What is asked, if the samples cannot decide.
    question: Option<String>,
}

/// All keys that were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    keys: Vec<SettingsKey>,
    /// What is missing, without which nothing can be read.
    pub(crate) lacks: Vec<String>,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

impl Draft {
    /// Sets a key for certain.
    pub(crate) fn set(
        &mut self,
        table: SettingsTable,
        name: &'static str,
        value: impl Into<String>,
        proof: impl Into<String>,
    ) {
        self.keys.push(SettingsKey {
            table,
            name,
            choices: vec![(value.into(), proof.into())],
            question: None,
        });
    }

    /// Leaves a key open. An empty value stands for leaving it out. The first choice is the likeliest.
    pub(crate) fn ask(
        &mut self,
        table: SettingsTable,
        name: &'static str,
        question: impl Into<String>,
        choices: Vec<(String, String)>,
    ) {
        self.keys.push(SettingsKey {
            table,
            name,
            choices,
            question: Some(question.into()),
        });
    }

    /// Returns whether a key was set, or asked for.
    pub(crate) fn has(&self, table: SettingsTable, name: &str) -> bool {
        self.keys.iter().any(|key| key.table == table && key.name == name)
    }

    /// Returns what is not known.
    pub(crate) fn questions(&self) -> Vec<String> {
        let asked = self.keys.iter().filter_map(|key| {
            let path = match key.table {
                SettingsTable::Feed => key.name.to_owned(),
                SettingsTable::Fields => format!("fields.{}", key.name),
                SettingsTable::Values => format!("values.{}", key.name),
                SettingsTable::Records => format!("records.{}", key.name),
            };
            key.question
                .as_ref()
                .map(|question| format!("{path}: {question}"))
        });
        self.lacks.iter().cloned().chain(asked).collect()
    }

    /// Writes the tables below `[[feed]]`, or below `[[feed.profile]]`. With `is_trial`, open keys have their first choice;
    /// otherwise they are comments.
    pub(crate) fn toml(&self, head: &str, below: &str, is_trial: bool) -> String {
        let mut text = format!("{head}\n");
        for table in [
            SettingsTable::Feed,
            SettingsTable::Fields,
            SettingsTable::Values,
            SettingsTable::Records,
        ] {
            let name = match table {
                SettingsTable::Feed => None,
                SettingsTable::Fields => Some("fields"),
                SettingsTable::Values => Some("values"),
                SettingsTable::Records => Some("records"),
            };
            let keys: Vec<&SettingsKey> = self.keys.iter().filter(|key| key.table == table).collect();
            if let Some(name) = name.filter(|_| !keys.is_empty()) {
                let _ = writeln!(text, "[{below}.{name}]");
            }
            for key in keys {
                write_key(&mut text, key, is_trial);
            }
        }
        text
    }
}

fn write_key(text: &mut String, key: &SettingsKey, is_trial: bool) {
    let line = |(value, proof): &(String, String)| {
        let proof = one_line(proof);
        match value.is_empty() {
            true => format!(
                "(without {}){}{proof}",
                key.name,
                if proof.is_empty() { "" } else { "  # " }
            ),
            false => format!(
                "{} = {value}{}{proof}",
                key.name,
                if proof.is_empty() { "" } else { "  # " }
            ),
        }
    };
    match (&key.question, is_trial) {
        (None, _) => key.choices.iter().for_each(|(value, proof)| {
            // A long proof stands above.
            let choice = match value.len() + proof.len() > LONGEST && !proof.is_empty() {
                true => {
                    for part in proof.split("; ") {
                        let _ = writeln!(text, "# {}", one_line(part));
                    }
                    (value.clone(), String::new())
                }
                false => (value.clone(), proof.clone()),
            };
            let _ = writeln!(text, "{}", line(&choice));
        }),
        (Some(_), true) => {
            if let Some(choice) = key.choices.first().filter(|(value, _)| !value.is_empty()) {
                let _ = writeln!(text, "{}", line(choice));
            }
        }
        (Some(question), false) => {
            let _ = writeln!(text, "# ? {}", one_line(question));
            for choice in &key.choices {
                let _ = writeln!(text, "#   {}", line(choice));
            }
        }
    }
}

/// The longest key with its proof behind it, in characters.
const LONGEST: usize = 100;

/// Returns a comment's text: names and values of files may hold anything.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Writes a text of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
            {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a list of texts.
pub(crate) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Writes a key of an inline table, which needs quotes unless it is a word.
pub(crate) fn toml_key(text: &str) -> String {
    let is_bare = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { text.to_owned() } else { quoted(text) }
}

/// Writes a share: `1,204 of 1,204`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{} of {}", grouped(part), grouped(whole))
}

/// Writes a number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number of records.
pub(crate) fn records(count: u64) -> String {
    if count == 1 {
        "1 record".to_owned()
    } else {
        format!("{} records", grouped(count))
    }
}
