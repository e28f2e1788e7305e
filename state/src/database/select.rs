//! Looks at a SELECT that a person wrote before the database does: whether it is one, and which words it has.

/// Why a text is not exactly one SELECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotOneSelect {
    /// It begins with another word.
    NotSelect {
        /// The word.
        found: String,
    },
    /// There is more after its `;`.
    Several,
}

/// Rejects what does not begin as a SELECT, with its first word. (The connection rejects a `WITH` that leads to a write.)
pub(super) fn is_select(sql: &str) -> Result<(), String> {
    let first = tokens(sql).next().unwrap_or_default();
    match first.eq_ignore_ascii_case("select") || first.eq_ignore_ascii_case("with") {
        true => Ok(()),
        false => Err(first.to_owned()),
    }
}

/// Rejects anything but exactly one SELECT of SQLite.
pub(super) fn one_select(sql: &str) -> Result<(), NotOneSelect> {
    is_select(sql).map_err(|found| NotOneSelect::NotSelect { found })?;
    let mut after_end = tokens(sql).skip_while(|token| *token != ";");
    if after_end.any(|token| token != ";") {
        return Err(NotOneSelect::Several);
    }
    Ok(())
}

/// Splits SQL of SQLite into words, quoted pieces and single characters; drops whitespace and comments.
pub(super) fn tokens(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let (length, is_comment) = match first {
                '-' if rest.starts_with("--") => (end_of(rest, 2, "\n"), true),
                '/' if rest.starts_with("/*") => (end_of(rest, 2, "*/"), true),
                // A doubled quote reads as two quoted pieces, which makes no difference here.
                '\'' => (end_of(rest, 1, "'"), false),
                '"' => (end_of(rest, 1, "\""), false),
                '`' => (end_of(rest, 1, "`"), false),
                '[' => (end_of(rest, 1, "]"), false),
                _ if is_word(first) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), false),
                _ => (first.len_utf8(), false),
            };
            let (token, after) = rest.split_at(length);
            rest = after;
            if !is_comment {
                return Some(token);
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the end of the piece that begins with `opening` bytes and is closed by `close`.
fn end_of(text: &str, opening: usize, close: &str) -> usize {
    text[opening..]
        .find(close)
        .map_or(text.len(), |at| opening + at + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_passes() {
        for sql in [
            "SELECT 1",
            "  select 1 ; ; -- done",
            "-- why\n/* and; how */ WITH t AS (SELECT 1) SELECT * FROM t;",
            "SELECT ';' || \"a;b\" || [c;d] || `e;f` || 'it''s; fine'",
        ] {
            assert!(one_select(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn other_statements_are_named() {
        for (sql, word) in [
            ("DELETE FROM job_run", "DELETE"),
            ("/* SELECT */ pragma x", "pragma"),
            ("", ""),
            ("(", "("),
        ] {
            let error = one_select(sql).unwrap_err();
            assert!(
                matches!(&error, NotOneSelect::NotSelect { found } if found == word),
                "{sql}: {error:?}"
            );
        }
    }

    #[test]
    fn a_second_statement_is_refused() {
        for sql in [
            "SELECT 1; DELETE FROM job_run",
            "SELECT '--'; SELECT 2",
            "SELECT 1 /* ; */ ; x",
        ] {
            assert!(matches!(one_select(sql), Err(NotOneSelect::Several)), "{sql}");
        }
    }
}
