//! What `check` shows of a file's first records: their text, and the rows that they become.

use gristmill_engine::{Outcome, Previewed, Row, SalesLayout, format_cents};

use super::output;

/// Prints records beside what becomes of them.
pub(super) fn print(records: &[Previewed], sales: Option<&SalesLayout>) -> std::io::Result<()> {
    // The text has a third of the terminal; the values beside it are what matters.
    let room = output::width().map_or(60, |width| usize::from(width) / 3).max(16);
    let rows = records.iter().map(|record| {
        let first = record.rows.first();
        let value = |value: &dyn Fn(&Row) -> String| first.map_or_else(|| "–".to_owned(), value);
        [
            record.line.to_string(),
            shortened(&record.text, room),
            match record.outcome {
                Outcome::Row => value(&|row| row.store_id.clone()),
                Outcome::Ignored => "ignored".to_owned(),
                Outcome::Skipped => "skipped".to_owned(),
                Outcome::Reject => "reject".to_owned(),
            },
            match record.reason {
                Some(reason) => reason.to_owned(),
                None => value(&|row| row.item_id.clone()),
            },
            value(&|row| row.trans_date.to_string()),
            amounts(&record.rows, sales),
        ]
    });
    output::table(
        ["line", "text", "store", "item", "date", "amount"],
        rows,
        "  no record: the file has none, or cannot be unpacked",
    )
}

/// Writes the amounts of a record, each with its measure.
fn amounts(rows: &[Row], sales: Option<&SalesLayout>) -> String {
    let measure = |row: &Row| {
        let known = sales.and_then(|sales| sales.measures.iter().find(|measure| measure.code == row.code));
        known.map_or_else(|| row.code.to_string(), |measure| measure.name.clone())
    };
    let all: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", measure(row), format_cents(row.amount)))
        .collect();
    match all.is_empty() {
        true => "–".to_owned(),
        false => all.join(", "),
    }
}

fn shortened(text: &str, room: usize) -> String {
    let text = text.replace('\n', "⏎");
    match text.char_indices().nth(room) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
