//! Tables and JSON on standard output.

use std::io::{self, Write};

use comfy_table::Table;
use jiff::Timestamp;
use serde::Serialize;

use super::table;

/// Prints one line.
pub(super) fn line(text: impl AsRef<str>) -> io::Result<()> {
    writeln!(io::stdout(), "{}", text.as_ref())
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints rows under headings, or `empty` if there are no rows. A table is as wide as the terminal at most or, if
/// standard output is none, as the environment variable COLUMNS says.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> io::Result<()> {
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|text| shown(&text))).collect();
    match rows.is_empty() {
        true => line(empty),
        false => line(table::layout(headings, &rows, width())),
    }
}

/// Returns the width of the terminal, or the one that the environment asks for.
fn width() -> Option<u16> {
    let of_environment = || std::env::var("COLUMNS").ok()?.parse().ok();
    Table::new().width().or_else(of_environment)
}

/// Escapes control characters other than newlines.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() && c != '\n' {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// Returns a file's path on one line: its name may contain newlines.
pub(super) fn path(text: &str) -> String {
    shown(text).replace('\n', "\\n")
}

/// Formats a moment to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Returns the value as text, or a dash.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
