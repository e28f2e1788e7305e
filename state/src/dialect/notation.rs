//! The notation that statements are written in, and what each database reads instead.
//!
//! A statement is SQL that all databases understand, and, where they differ, one of these:
//!
//! | written                             | means                                                                          |
//! |-------------------------------------|--------------------------------------------------------------------------------|
//! | `?1`, `?2:int`                      | a parameter; with a type where Postgres cannot tell it: `text`, `int`, `real`   |
//! | `list(?1 int) l`                    | the values of a JSON array, `l.value`, and their places from 0, `l.key`         |
//! | `rows(?1 job text, wave text) r`    | the rows of a JSON array of arrays, by column: `r.job`, `r.wave`; and `r.key`   |
//! | `greatest(a, b)`, `least(a, b)`     | the greater, the lesser; neither may be NULL                                    |
//! | `beyond(a)`                         | what sorts after all texts that begin with `a`                                  |
//! | `nanoseconds(a)`                    | a time, as nanoseconds since 1970                                               |
//! | `instr(a, b)`                       | the place of the text `b` in `a`, or 0                                          |
//! | `a CROSS JOIN b ON …`               | a join that SQLite and MySQL work off in this order; Postgres finds its own     |
//! | `+a`                                | `a`, for which SQLite uses no index                                             |
//! | `sqlite{…}`, `postgres{…}`, `mysql{…}` | what only one of them reads                                                  |
//! | `others{…}`                         | what SQLite and Postgres read, and MySQL does not                               |
//!
//! A column of `rows` may have the type `bool`, too: true, false, 1 and 0 are read as 1 and 0. SQLite gives a column that is
//! selected from `rows` no name: where one is needed, write `r.job AS job`. In its statement, nothing else is called as
//! `rows` is.
//!
//! Key words are written in capitals, and names in small letters. [`mysql`] has more that only MySQL reads otherwise.

mod mysql;

use std::borrow::Cow;

pub(crate) use self::mysql::positional;
use super::Dialect;

/// Returns a statement as a database reads it. For MySQL, it may be several, and its parameters have their numbers still:
/// see [`positional`].
pub(crate) fn expand(statement: &str, dialect: Dialect) -> String {
    let statement = match dialect {
        Dialect::MySql => mysql::rearranged(statement),
        Dialect::Sqlite | Dialect::Postgres => Cow::Borrowed(statement),
    };
    let mut expansion = Expansion {
        dialect,
        arrays: arrays(&statement),
        table: "",
        out: String::with_capacity(2 * statement.len()),
    };
    expansion.text(&statement);
    expansion.out
}

/// Returns the arrays of a statement that are read like tables. A column may be named before the array that it is of.
fn arrays(statement: &str) -> Vec<Array<'_>> {
    let calls = ["rows(", "list("]
        .into_iter()
        .flat_map(|call| statement.match_indices(call));
    let arrays = calls.filter_map(|(at, call)| Array::read(&statement[at + call.len()..]));
    arrays.map(|(array, _)| array).collect()
}

struct Expansion<'s> {
    dialect: Dialect,
    /// The arrays of the statement. SQLite reads the columns of rows by place; MySQL counts the rows of all from 1.
    arrays: Vec<Array<'s>>,
    /// The table that rows are added to.
    table: &'s str,
    out: String,
}

/// An array of JSON that is read like a table.
struct Array<'s> {
    /// The number of the parameter that holds it.
    parameter: &'s str,
    /// The names and types of its columns. A list has one type, without a name.
    columns: Vec<(&'s str, &'s str)>,
    alias: &'s str,
}

impl<'s> Array<'s> {
    /// Reads what stands behind `list(` or `rows(`. Returns it with the text behind its `)`.
    fn read(text: &'s str) -> Option<(Self, &'s str)> {
        let (inner, rest) = text.split_once(')')?;
        let (parameter, columns) = inner.strip_prefix('?')?.split_once(' ')?;
        let columns = columns.split(',').map(str::trim);
        let columns = columns.map(|column| column.split_once(' ').unwrap_or(("", column)));
        let alias = word(rest.trim_start());
        let array = Self {
            parameter,
            columns: columns.collect(),
            // What follows is lower case only if it is a name.
            alias: if alias.starts_with(char::is_lowercase) {
                alias
            } else {
                ""
            },
        };
        Some((array, rest))
    }

    /// Writes it as Postgres reads it. A subquery must have a name there.
    fn for_postgres(&self, out: &mut String) {
        let (mut columns, mut function) = (String::new(), "jsonb_array_elements");
        for (place, (name, kind)) in self.columns.iter().enumerate() {
            let (name, value) = match *name {
                "" => {
                    function = "jsonb_array_elements_text";
                    ("value", "e.value".to_owned())
                }
                name => (name, format!("(e.value ->> {place})")),
            };
            let value = match *kind {
                "int" => format!("{value}::bigint"),
                "bool" => format!("{value}::boolean::int::bigint"),
                _ => format!("{value} COLLATE \"C\""),
            };
            columns += &format!("{value} AS {name}, ");
        }
        let parameter = self.parameter;
        *out += &format!(
            "(SELECT {columns}e.key - 1 AS key FROM {function}(${parameter}::jsonb) WITH ORDINALITY AS e (value, key))"
        );
        if self.alias.is_empty() {
            *out += " AS list";
        }
    }
}

impl<'s> Expansion<'s> {
    fn text(&mut self, text: &'s str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                '\'' => self.quoted(rest),
                '?' => self.parameter(rest),
                '+' if self.dialect != Dialect::Sqlite && !word(&rest[1..]).is_empty() => &rest[1..],
                _ if is_word(first) => self.word(rest),
                _ => self.copy(rest, first.len_utf8()),
            };
        }
    }

    /// Writes the first bytes of a text as they are, and returns those behind them.
    fn copy(&mut self, text: &'s str, bytes: usize) -> &'s str {
        let (copied, rest) = text.split_at(bytes);
        self.out += copied;
        rest
    }

    fn quoted(&mut self, text: &'s str) -> &'s str {
        let end = text[1..].find('\'').map_or(text.len(), |end| end + 2);
        self.copy(text, end)
    }

    fn parameter(&mut self, text: &'s str) -> &'s str {
        let number = word(&text[1..]);
        let after = &text[1 + number.len()..];
        let kind = after.strip_prefix(':').map_or("", word);
        match (self.dialect, kind) {
            (Dialect::Sqlite | Dialect::MySql, _) => self.out += &format!("?{number}"),
            (Dialect::Postgres, "text") => self.out += &format!("(${number}::text COLLATE \"C\")"),
            (Dialect::Postgres, "int") => self.out += &format!("${number}::bigint"),
            (Dialect::Postgres, "real") => self.out += &format!("${number}::double precision"),
            (Dialect::Postgres, _) => self.out += &format!("${number}"),
        }
        match kind {
            "" => after,
            kind => &after[1 + kind.len()..],
        }
    }

    fn word(&mut self, text: &'s str) -> &'s str {
        let word = word(text);
        let after = &text[word.len()..];
        let is_sqlite = self.dialect == Dialect::Sqlite;
        match (word, after.chars().next()) {
            ("sqlite" | "postgres" | "mysql" | "others", Some('{')) => {
                let (inner, rest) = after[1..].split_once('}').unwrap_or((&after[1..], ""));
                if self.dialect.reads(word) {
                    self.text(inner);
                }
                return rest;
            }
            ("list" | "rows", Some('(')) => {
                if let Some((array, rest)) = Array::read(&after[1..]) {
                    match self.dialect {
                        Dialect::Sqlite => self.out += &format!("jsonb_each(?{})", array.parameter),
                        Dialect::Postgres => array.for_postgres(&mut self.out),
                        Dialect::MySql => array.for_mysql(&mut self.out),
                    }
                    return rest;
                }
            }
            ("beyond" | "nanoseconds", Some('(')) => {
                let (inner, rest) = after[1..].split_once(')').unwrap_or((&after[1..], ""));
                self.function(word, inner);
                return rest;
            }
            ("greatest", Some('(')) if is_sqlite => self.out += "max",
            ("least", Some('(')) if is_sqlite => self.out += "min",
            ("instr", Some('(')) if self.dialect == Dialect::Postgres => self.out += "strpos",
            ("CROSS", _) if self.dialect == Dialect::Postgres => return after.trim_start(),
            (_, Some('.')) => {
                let column = self::word(&after[1..]);
                if self.column(word, column) {
                    return &after[1 + column.len()..];
                }
                self.name(word);
            }
            _ if self.dialect == Dialect::MySql => return self.word_for_mysql(word, after),
            _ => self.out += word,
        }
        after
    }

    /// Writes a column of an array, if it is one that the database reads in its own way.
    fn column(&mut self, alias: &str, column: &str) -> bool {
        let array = self.arrays.iter().find(|array| array.alias == alias);
        let place = array.and_then(|array| array.columns.iter().position(|(name, _)| *name == column));
        match self.dialect {
            Dialect::Sqlite if let Some(place) = place => self.out += &format!("{alias}.value ->> {place}"),
            Dialect::MySql if array.is_some() && column == "key" => {
                self.out += &format!("({alias}.\"key\" - 1)")
            }
            Dialect::MySql if alias == "excluded" => {
                self.out += &format!("VALUES({})", mysql::quoted(column))
            }
            Dialect::Sqlite | Dialect::Postgres | Dialect::MySql => return false,
        }
        true
    }

    fn name(&mut self, name: &str) {
        match self.dialect {
            Dialect::MySql => self.out += &mysql::quoted(name),
            Dialect::Sqlite | Dialect::Postgres => self.out += name,
        }
    }

    fn function(&mut self, name: &str, of: &'s str) {
        match (name, self.dialect) {
            // UTF-8 text never contains the byte FF, so every text that begins with another sorts before that one followed
            // by FF.
            ("beyond", Dialect::Sqlite) => self.around("", of, " || CAST(x'ff' AS TEXT)"),
            // Postgres takes no such byte. This is the last of all characters, which no path has.
            ("beyond", Dialect::Postgres) => self.around("", of, " || chr(1114111)"),
            ("beyond", Dialect::MySql) => self.around("", of, " || '\u{10ffff}'"),
            (_, Dialect::Sqlite) => {
                self.around("(CAST(strftime('%s', ", of, ") AS INTEGER) * 1000000000");
                self.around(" + CAST(substr(", of, ", 21, 6) AS INTEGER) * 1000)");
            }
            (_, Dialect::Postgres) => {
                let behind = " AS timestamptz)) * 1000000000 AS bigint)";
                self.around("CAST(extract(epoch FROM CAST(", of, behind);
            }
            (_, Dialect::MySql) => {
                let before = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', CAST(left(";
                self.around(before, of, ", 26) AS DATETIME(6))) * 1000");
            }
        }
    }

    fn around(&mut self, before: &str, inner: &'s str, behind: &str) {
        self.out += before;
        self.text(inner);
        self.out += behind;
    }
}

/// Returns the word with which a text begins; it may be empty.
fn word(text: &str) -> &str {
    let end = text.find(|c| !is_word(c));
    &text[..end.unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests;
