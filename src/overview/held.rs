//! What is held, with the ways to decide about it.

use std::collections::HashMap;

use gristmill_state::HeldRow;
use serde::Serialize;

/// Something that is held, with the command that accepts it.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    #[serde(flatten)]
    pub(crate) row: HeldRow,
    pub(crate) accept: String,
    /// The command that takes the other file out instead, if another file has the same store and day.
    pub(crate) withdraw_other: Option<String>,
}

impl Held {
    pub(crate) fn new(row: HeldRow) -> Self {
        Self {
            accept: format!("gristmill accept {}", quoted(&row.file_url)),
            withdraw_other: row
                .other_file
                .as_deref()
                .map(|other| format!("gristmill withdraw {}", quoted(other))),
            row,
        }
    }
}

/// Groups what is held by file.
pub(crate) fn by_file(rows: Vec<HeldRow>) -> HashMap<String, Vec<Held>> {
    let mut held: HashMap<String, Vec<Held>> = HashMap::new();
    for row in rows {
        held.entry(row.file_url.clone()).or_default().push(Held::new(row));
    }
    held
}

/// Quotes a file's name for a shell, if it needs that.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=:@%".contains(c);
    match !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("in/IL-1003.tdf"), "in/IL-1003.tdf");
        assert_eq!(quoted("IL-1003 (1).tdf"), "'IL-1003 (1).tdf'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
