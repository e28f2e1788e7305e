//! What Redshift rejects, and what has to be translated for Postgres.

use crate::sql::{Token, begins, has, tokens, written};

/// Sequences of keywords that Redshift's SQL does not have. Sources: pages "Unsupported PostgreSQL features",
/// "Unsupported PostgreSQL functions", "Unsupported PostgreSQL data types" and the statements' own pages.
const REFUSED: [&[&str]; 20] = [
    &["on", "conflict"],
    &["returning"],
    &["distinct", "from"],
    &["distinct", "on"],
    &["from", "stdin"],
    &["to", "stdout"],
    &["freeze"],
    &["unlogged"],
    &["savepoint"],
    &["release"],
    &["for", "update"],
    &["create", "index"],
    &["create", "unique"],
    &["create", "sequence"],
    &["create", "trigger"],
    &["pg_advisory_lock"],
    &["pg_advisory_xact_lock"],
    &["pg_try_advisory_lock"],
    &["string_agg"],
    &["on", "commit"],
];

/// Returns the error message if Redshift would reject the statement.
pub(crate) fn refusal(tokens: &[Token<'_>], in_transaction: bool) -> Option<String> {
    if let Some(keywords) = REFUSED.iter().find(|keywords| has(tokens, keywords)) {
        return Some(format!("syntax error at or near \"{}\"", keywords[0]));
    }
    // Page "ALTER TABLE APPEND": it commits when it runs.
    if begins(tokens, &["alter", "table"]) && has(tokens, &["append"]) && in_transaction {
        return Some("ALTER TABLE APPEND cannot run inside a transaction block".into());
    }
    None
}

/// Returns the statement in Postgres' SQL.
pub(crate) fn translated(statement: &str) -> String {
    let tokens = tokens(statement);
    let is_table = begins(&tokens, &["create", "table"])
        || begins(&tokens, &["create", "temp", "table"])
        || begins(&tokens, &["create", "temporary", "table"]);
    if is_table && !has(&tokens, &["as", "select"]) {
        return table(&tokens);
    }
    statement.to_owned()
}

/// Returns CREATE TABLE without what only Redshift has (distribution, sort keys, encodings) and without the
/// constraints that Redshift accepts but does not enforce (page "Defining table constraints"). Lengths of text count
/// bytes (page "Character types").
fn table(tokens: &[Token<'_>]) -> String {
    let open = tokens.iter().position(|token| *token == Token::Sign('('));
    let open = open.unwrap_or(tokens.len());
    let mut items: Vec<Vec<Token<'_>>> = vec![Vec::new()];
    let mut depth = 0;
    for token in &tokens[(open + 1).min(tokens.len())..] {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') if depth == 0 => break,
            Token::Sign(')') => depth -= 1,
            Token::Sign(',') if depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(*token);
        }
    }
    let items: Vec<String> = items.iter().filter_map(|item| item_of_table(item)).collect();
    format!("{}({})", written(&tokens[..open]), items.join(", "))
}

fn item_of_table(item: &[Token<'_>]) -> Option<String> {
    let is_constraint = ["primary", "unique", "foreign", "constraint"];
    if is_constraint.iter().any(|keyword| begins(item, &[keyword])) {
        return None;
    }
    if begins(item, &["like"]) {
        return Some(format!("{} INCLUDING CONSTRAINTS", written(item)));
    }
    let mut kept = Vec::new();
    let mut rest = item.iter().copied();
    while let Some(token) = rest.next() {
        if token.is("encode") || token.is("primary") {
            // Skip what follows, too: the encoding, or KEY.
            rest.next();
        } else if !["distkey", "sortkey", "unique"]
            .iter()
            .any(|keyword| token.is(keyword))
        {
            kept.push(token);
        }
    }
    // Page "Character types": TEXT is VARCHAR(256).
    let column = written(&kept).replace(" text", " varchar(256)");
    match bytes_of_text(&kept) {
        Some(bytes) => Some(format!(
            "{column} CHECK (octet_length({}) <= {bytes})",
            kept[0].written()
        )),
        None => Some(column),
    }
}

/// Returns how many bytes a text column may hold, or `None` for other columns.
fn bytes_of_text(column: &[Token<'_>]) -> Option<u32> {
    let is_text = |token: &Token<'_>| {
        ["varchar", "varying", "char", "text"]
            .iter()
            .any(|name| token.is(name))
    };
    let at = column.iter().skip(1).position(is_text)? + 1;
    match column.get(at + 1..at + 3) {
        Some([Token::Sign('('), Token::Word(length)]) => length.parse().ok(),
        _ => Some(256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_table_loses_what_only_redshift_has() {
        let statement = "CREATE TABLE IF NOT EXISTS \"mart\".\"t\" (\"store_id\" varchar(100) ENCODE zstd NOT NULL, \
                         \"n\" decimal(18,2), PRIMARY KEY (\"store_id\")) DISTSTYLE KEY DISTKEY (\"store_id\") SORTKEY (\"n\");";
        assert_eq!(
            translated(statement),
            "CREATE TABLE IF NOT EXISTS \"mart\".\"t\"(\"store_id\" varchar(100)NOT NULL CHECK \
             (octet_length(\"store_id\") <= 100), \"n\" decimal(18,2))"
        );
        assert_eq!(
            translated("create temp table s (like t)"),
            "create temp table s(like t INCLUDING CONSTRAINTS)"
        );
    }

    #[test]
    fn refusals_look_at_keywords_and_not_at_literals() {
        let refused = |statement| refusal(&tokens(statement), true).is_some();
        assert!(refused("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"));
        assert!(refused("SELECT pg_advisory_xact_lock(1)"));
        assert!(refused("ALTER TABLE a APPEND FROM b"));
        assert!(!refused("SELECT 'on conflict', \"returning\" FROM t"));
        assert!(!refused("DELETE FROM t USING s WHERE t.a = s.a"));
    }
}
