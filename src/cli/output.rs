//! Tables and JSON on standard output.

use std::io::{self, Write};

use comfy_table::Table;
use serde::Serialize;

use super::table;
pub(super) use crate::shown::{moment, or_dash, path, shown};

/// Prints one line. Control characters in it are escaped, whatever it quotes.
pub(super) fn line(text: impl AsRef<str>) -> io::Result<()> {
    written(writeln!(io::stdout(), "{}", shown(text.as_ref())))
}

/// Prints a text as it is. Whoever made it has escaped control characters.
pub(super) fn text(text: &str) -> io::Result<()> {
    written(io::stdout().write_all(text.as_bytes()))
}

/// Prints a value as indented JSON, which escapes control characters itself.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(written(writeln!(io::stdout(), "{text}"))?)
}

/// Ignores that nobody reads any more, as after `gristmill status | head -1`: the command goes on to its end.
fn written(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
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
pub(super) fn width() -> Option<u16> {
    let of_environment = || std::env::var("COLUMNS").ok()?.parse().ok();
    Table::new().width().or_else(of_environment)
}
