//! What MySQL and MariaDB write otherwise than SQLite and Postgres.
//!
//! | written                                    | read instead                                                          |
//! |--------------------------------------------|-----------------------------------------------------------------------|
//! | `UPDATE t AS x SET a = … FROM j WHERE …`   | `UPDATE t AS x, j SET x.a = … WHERE …`; an array comes first          |
//! | `UPDATE t AS x SET a = … FROM list(…) l …` | `UPDATE list(…) l STRAIGHT_JOIN t AS x SET x.a = … WHERE …`           |
//! | `DELETE FROM t WHERE a IN (SELECT value FROM list(…))` | `DELETE t FROM list(…) STRAIGHT_JOIN t ON t.a = list.value` |
//! | `ON CONFLICT (a, b) DO UPDATE SET c = …`   | `ON DUPLICATE KEY UPDATE c = …`                                       |
//! | `ON CONFLICT (a, b) DO NOTHING`            | `ON DUPLICATE KEY UPDATE t.a = t.a`                                   |
//! | `excluded.a`                               | `VALUES(a)`                                                           |
//! | `a IS NOT DISTINCT FROM b`                 | `a <=> b`                                                             |
//! | `AS TEXT`, `AS bigint`                     | `AS CHAR`, `AS SIGNED`                                                |
//!
//! A name that is a key word of theirs is put into quotes. A statement may be several, with `;` between them: so is what
//! others write with `RETURNING`.

use std::borrow::Cow;

use super::{Array, Expansion, is_word, word};

/// The names in statements that are reserved words.
const RESERVED: [&str; 6] = ["before", "key", "lines", "of", "read", "rows"];

/// Returns a name as it is written in a statement.
pub(super) fn quoted(name: &str) -> Cow<'_, str> {
    match RESERVED.contains(&name) {
        true => format!("\"{name}\"").into(),
        false => name.into(),
    }
}

/// A statement whose parameters have no numbers.
#[derive(Debug, PartialEq)]
pub(crate) struct Positional {
    pub(crate) text: String,
    /// The place of each parameter among the values that are bound, counted from 0.
    pub(in crate::dialect) places: Vec<usize>,
}

/// Returns the statements that one was expanded to.
pub(crate) fn positional(expanded: &str) -> Vec<Positional> {
    let parts = split(expanded, ';').into_iter();
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts.map(without_numbers).collect()
}

fn without_numbers(text: &str) -> Positional {
    let mut pieces = split(text, '?').into_iter();
    let mut out = pieces.next().unwrap_or_default().to_owned();
    let mut places = Vec::new();
    for piece in pieces {
        let number = word(piece);
        let place: usize = number.parse().unwrap_or(0);
        places.push(place.saturating_sub(1));
        out.push('?');
        out += &piece[number.len()..];
    }
    Positional { text: out, places }
}

/// Splits a text at a character that stands in no quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quote = None;
    let is_there = |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        quote.is_none() && c == at
    };
    text.split(is_there).collect()
}

/// Returns a statement with its parts in the order of MySQL.
pub(super) fn rearranged(statement: &str) -> Cow<'_, str> {
    let rearranged = update_from(statement).or_else(|| delete_in_list(statement));
    rearranged.map_or(Cow::Borrowed(statement), Cow::Owned)
}

/// An UPDATE names all tables before what it sets.
fn update_from(statement: &str) -> Option<String> {
    let rest = statement.trim_start().strip_prefix("UPDATE ")?;
    let (table, rest) = split_at_word(rest, "SET")?;
    let (assignments, rest) = split_at_word(rest, "FROM")?;
    let (source, condition) = split_at_word(rest, "WHERE")?;
    // Its index may be named behind it.
    let alias = table.split("mysql{").next()?.split_whitespace().last()?;
    let mut depth = 0;
    let assignments = assignments.split(|c| {
        depth += nesting(c);
        depth == 0 && c == ','
    });
    let assignments = assignments.map(|assignment| format!("{alias}.{}", assignment.trim()));
    let assignments = assignments.collect::<Vec<_>>().join(", ");
    let (table, source) = (table.trim(), source.trim());
    // What is given, or was put together, is not gone through again for each row of the table.
    let tables = match source.starts_with("rows(") || source.starts_with("list(") || source.starts_with('(') {
        true => format!("{source} CROSS JOIN {table}"),
        false => format!("{table}, {source}"),
    };
    Some(format!("UPDATE {tables} SET {assignments} WHERE{condition}"))
}

/// What is removed is found by its index: MySQL and MariaDB would look through the whole table, and for each row through
/// the list.
fn delete_in_list(statement: &str) -> Option<String> {
    let rest = statement.trim_start().strip_prefix("DELETE FROM ")?;
    let (table, condition) = split_at_word(rest, "WHERE")?;
    let (column, rest) = condition.split_once(" IN (SELECT value FROM list(")?;
    let (array, rest) = rest.split_once("))")?;
    let (table, column) = (table.trim(), column.trim());
    let condition = match rest.trim() {
        "" => String::new(),
        more => format!(" WHERE {}", more.strip_prefix("AND ")?),
    };
    column.chars().all(is_word).then(|| {
        format!(
            "DELETE {table} FROM list({array}) l CROSS JOIN {table} ON {table}.{column} = l.value{condition}"
        )
    })
}

/// Returns what stands before and behind the first word of that name that is in no parentheses.
fn split_at_word<'s>(text: &'s str, name: &str) -> Option<(&'s str, &'s str)> {
    let mut depth = 0;
    let mut is_inside = false;
    for (at, c) in text.char_indices() {
        depth += nesting(c);
        let here = &text[at..];
        if depth == 0 && !is_inside && word(here) == name {
            return Some((&text[..at], &here[name.len()..]));
        }
        is_inside = is_word(c);
    }
    None
}

/// Returns how much deeper a character leads.
fn nesting(c: char) -> i32 {
    match c {
        '(' | '{' => 1,
        ')' | '}' => -1,
        _ => 0,
    }
}

impl Array<'_> {
    /// Writes it as MySQL reads it. Each table must have a name there.
    pub(super) fn for_mysql(&self, out: &mut String) {
        let mut columns = "\"key\" FOR ORDINALITY".to_owned();
        for (place, (name, kind)) in self.columns.iter().enumerate() {
            let (name, path) = match *name {
                "" => ("value".into(), "$".to_owned()),
                name => (quoted(name), format!("$[{place}]")),
            };
            let kind = match *kind {
                "int" | "bool" => "BIGINT",
                _ => "LONGTEXT",
            };
            columns += &format!(", {name} {kind} PATH '{path}'");
        }
        *out += &format!("JSON_TABLE(?{}, '$[*]' COLUMNS ({columns}))", self.parameter);
        if self.alias.is_empty() {
            *out += " AS list";
        }
    }
}

impl<'s> Expansion<'s> {
    /// Writes a word that others read as it is, and returns what follows it.
    pub(super) fn word_for_mysql(&mut self, word: &'s str, after: &'s str) -> &'s str {
        match word {
            "CROSS" => {
                if let Some(rest) = after.trim_start().strip_prefix("JOIN") {
                    self.out += "STRAIGHT_JOIN";
                    return rest;
                }
                self.out += word;
            }
            "INTO" => {
                self.table = self::word(after.trim_start());
                self.out += word;
            }
            "ON" if let Some(rest) = after.strip_prefix(" CONFLICT (") => return self.conflict(rest),
            "IS" if let Some(rest) = after.strip_prefix(" NOT DISTINCT FROM") => {
                self.out += "<=>";
                return rest;
            }
            "MATERIALIZED" => return after.trim_start(),
            "TEXT" => self.out += "CHAR",
            "bigint" => self.out += "SIGNED",
            _ => self.name(word),
        }
        after
    }

    /// Writes what is done with a row that is there already, of which `text` has the columns, and returns what follows.
    fn conflict(&mut self, text: &'s str) -> &'s str {
        let (columns, rest) = text.split_once(')').unwrap_or((text, ""));
        let rest = rest.trim_start();
        self.out += "ON DUPLICATE KEY UPDATE";
        if let Some(rest) = rest.strip_prefix("DO UPDATE") {
            return rest.trim_start().strip_prefix("SET").unwrap_or(rest);
        }
        let (table, column) = (self.table, quoted(word(columns)));
        self.out += &format!(" {table}.{column} = {table}.{column}");
        rest.strip_prefix("DO NOTHING").unwrap_or(rest)
    }
}
