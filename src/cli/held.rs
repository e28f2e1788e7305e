//! What is held, as several commands show it.

use std::collections::HashMap;

use gristmill_state::HeldRow;
use serde::Serialize;

use super::output;

/// Something that is held, with the command that accepts it.
#[derive(Debug, Serialize)]
pub(super) struct Held {
    #[serde(flatten)]
    row: HeldRow,
    accept: String,
    /// The command that takes the other file out instead, if another file has the same store and day.
    withdraw_other: Option<String>,
}

impl Held {
    pub(super) fn new(row: HeldRow) -> Self {
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
pub(super) fn by_file(rows: Vec<HeldRow>) -> HashMap<String, Vec<Held>> {
    let mut held: HashMap<String, Vec<Held>> = HashMap::new();
    for row in rows {
        held.entry(row.file_url.clone()).or_default().push(Held::new(row));
    }
    held
}

/// Prints what is held, if anything is.
pub(super) fn print<'h>(held: impl IntoIterator<Item = &'h Held>) -> std::io::Result<()> {
    let mut held = held.into_iter().peekable();
    if held.peek().is_none() {
        return Ok(());
    }
    output::line("held, so it does not count:")?;
    let rows = held.map(|held| {
        let row = &held.row;
        let day = row.store_id.iter().zip(row.trans_date);
        let day = day.map(|(store, date)| format!("{store}, {date}")).next();
        let ways = [Some(held.accept.clone()), held.withdraw_other.clone()];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        [
            output::path(&row.file_url),
            day.unwrap_or_else(|| "all of it".to_owned()),
            row.reason.clone(),
            ways.join("\nor "),
        ]
    });
    output::table(["file", "store and day", "because", "decide by"], rows, "")
}

/// Quotes a file's name for a shell, if it needs that.
pub(super) fn quoted(name: &str) -> String {
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
