//! The table that summaries go to, and how its name is written.

use std::collections::HashSet;
use std::str::FromStr;

use crate::LoadError;

/// The columns that name a row, in the order of the key.
pub(crate) const KEYS: [&str; 3] = ["store_id", "item_id", "trans_date"];

/// The columns that say when each row was last inserted or updated, and by which run.
pub(crate) const AUDIT: [&str; 2] = ["loaded_at", "run_id"];

/// The columns of a row of the target, without the audit columns. The names of measures are quoted.
pub(crate) fn columns(measures: &[String]) -> String {
    format!("{}, {}", KEYS.join(", "), measures.join(", "))
}

/// The audit columns, with a leading comma; empty without audit.
pub(crate) fn audit_columns(is_audited: bool) -> String {
    match is_audited {
        true => format!(", {}", AUDIT.join(", ")),
        false => String::new(),
    }
}

/// What `written` makes of the name of each measure, one after another.
pub(crate) fn each(measures: &[String], separator: &str, written: impl Fn(&str) -> String) -> String {
    let all: Vec<String> = measures.iter().map(|name| written(name)).collect();
    all.join(separator)
}

/// The ledger's table, in the target's schema.
pub(crate) const LEDGER: &str = "gristmill_ledger";

/// The name of the ledger's index by target, scope and sequence: each load looks for the newest of its scope.
pub(crate) const LEDGER_INDEX: &str = "gristmill_ledger_scope";

/// A table next to the ledger: for each target, store and date, the scope that loaded it last.
pub(crate) const DAYS: &str = "gristmill_days";

/// A table next to the ledger: for each target and scope, the run whose summary the target still holds, because no other
/// scope has loaded one of its days since.
pub(crate) const STANDING: &str = "gristmill_standing";

/// How a summary replaces what the target holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadMode {
    /// For every (store, date) of the coverage the target holds exactly the summary's rows; other days stay.
    #[default]
    ReplaceDays,
    /// The summary's rows are inserted or updated; nothing is deleted.
    Upsert,
    /// The target holds exactly the summary's rows.
    Reload,
}

impl LoadMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::ReplaceDays => "replace-days",
            Self::Upsert => "upsert",
            Self::Reload => "reload",
        }
    }
}

impl FromStr for LoadMode {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        match text {
            "replace-days" => Ok(Self::ReplaceDays),
            "upsert" => Ok(Self::Upsert),
            "reload" => Ok(Self::Reload),
            _ => Err(LoadError::BadTarget {
                table: text.into(),
                reason: "is not a way to load; write replace-days, upsert or reload".into(),
            }),
        }
    }
}

/// The table that summaries go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its schema; without one, the warehouse's session decides where the table is found or created.
    pub schema: Option<String>,
    /// Its name, exactly as the warehouse spells it.
    pub table: String,
    /// The amount columns, in the summary's order.
    pub measures: Vec<String>,
    /// How summaries replace existing rows.
    pub mode: LoadMode,
    /// Whether the table has the columns `loaded_at` and `run_id`, which a load sets on each row that it inserts or
    /// updates. They do not count when rows are compared.
    pub audit: bool,
}

impl Target {
    /// Returns the target with this table name: `table` or `schema.table`. A part that holds a dot or a quote is
    /// written in double quotes, with `""` for a quote. Upper and lower case are kept.
    pub fn new(name: &str, measures: Vec<String>, mode: LoadMode) -> Result<Self, LoadError> {
        let bad = |reason: &str| LoadError::BadTarget {
            table: name.into(),
            reason: reason.into(),
        };
        let mut parts = name_parts(name).ok_or_else(|| {
            bad("is not a table name; write table, schema.table or \"odd.schema\".\"odd table\"")
        })?;
        let target = match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(table), schema, None) => Self {
                schema,
                table,
                measures,
                mode,
                audit: false,
            },
            _ => return Err(bad("has too many parts; write table or schema.table")),
        };
        target.check()?;
        Ok(target)
    }

    /// The same with audit columns, or without.
    pub fn with_audit(self, audit: bool) -> Self {
        Self { audit, ..self }
    }

    /// The same with ASCII letters in lower case: by default Redshift folds all names so, quoted or not. Source: page
    /// "Names and identifiers".
    pub(crate) fn folded(self) -> Self {
        Self {
            schema: self.schema.map(|name| name.to_ascii_lowercase()),
            table: self.table.to_ascii_lowercase(),
            measures: self
                .measures
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            ..self
        }
    }

    /// The audit columns that the target has: all or none.
    pub(crate) fn audit_columns(&self) -> &'static [&'static str] {
        match self.audit {
            true => &AUDIT,
            false => &[],
        }
    }

    /// The table's name, in the form that [`Target::new`] reads.
    pub fn name(&self) -> String {
        match &self.schema {
            Some(schema) => qualified(schema, &self.table),
            None => plain_or_quoted(&self.table),
        }
    }

    /// How this target is loaded: its mode and measures. A run loaded in another mode, or with other measures, is no
    /// base for the next load: `upsert` leaves rows behind, and a measure that was not listed was not written.
    pub(crate) fn form(&self) -> String {
        let measures: Vec<String> = self.measures.iter().map(|name| quoted(name)).collect();
        format!("{} of {}", self.mode.as_str(), measures.join(", "))
    }

    /// Rejects names that no warehouse allows, and measures whose names clash with other columns.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let bad = |reason: String| LoadError::BadTarget {
            table: self.name(),
            reason,
        };
        let names = self.schema.iter().chain([&self.table]).chain(&self.measures);
        for name in names {
            if name.is_empty() || name.contains('\0') {
                return Err(bad(
                    "a schema, table or measure has an empty name or a NUL in it; name it".into(),
                ));
            }
        }
        if self.measures.is_empty() {
            return Err(bad(
                "has no measures; the feed names them as measures = { sale_amount = 4, … }".into(),
            ));
        }
        let others = KEYS.iter().chain(self.audit_columns());
        let mut seen: HashSet<String> = others.map(|name| name.to_string()).collect();
        // Case is folded because SQLite does so for column names.
        match self
            .measures
            .iter()
            .find(|measure| !seen.insert(measure.to_ascii_lowercase()))
        {
            Some(twice) => Err(bad(format!(
                "has the column {twice} twice; give each measure a name of its own"
            ))),
            None => Ok(()),
        }
    }
}

/// Quotes an identifier for SQL, whatever characters it has. All dialects agree on this form.
pub(crate) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// `schema.table` for people and for the ledger, with quotes only where they are needed.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", plain_or_quoted(schema), plain_or_quoted(table))
}

pub(crate) fn plain_or_quoted(identifier: &str) -> String {
    if identifier.contains(['.', '"']) {
        quoted(identifier)
    } else {
        identifier.into()
    }
}

/// Splits a written name at its dots; `None` if quotes do not match or a part is empty.
fn name_parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let part;
        (part, rest) = match rest.strip_prefix('"') {
            Some(inner) => quoted_part(inner)?,
            None => {
                let (part, rest) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                (part.to_string(), rest)
            }
        };
        if part.is_empty() || (!rest.is_empty() && !rest.starts_with('.')) {
            return None;
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => return Some(parts),
        }
    }
}

/// Reads up to the closing quote. Returns the part and what follows the quote.
fn quoted_part(inner: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = inner;
    loop {
        let (head, tail) = rest.split_once('"')?;
        part.push_str(head);
        match tail.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return Some((part, tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(name: &str) -> Result<Target, LoadError> {
        Target::new(name, vec!["sale_amount".into()], LoadMode::ReplaceDays)
    }

    #[test]
    fn names_are_read_with_and_without_quotes() {
        for (written, schema, table) in [
            ("sales", None, "sales"),
            ("Mart.Sales", Some("Mart"), "Sales"),
            (r#""a.b"."we""ird""#, Some("a.b"), "we\"ird"),
            ("with space.été", Some("with space"), "été"),
            (r#"mart."Sales""#, Some("mart"), "Sales"),
        ] {
            let target = target(written).unwrap();
            assert_eq!(
                (target.schema.as_deref(), target.table.as_str()),
                (schema, table),
                "{written}"
            );
        }
    }

    #[test]
    fn invalid_names_are_rejected() {
        for written in ["", ".", "a.", ".a", "a.b.c", r#""a"#, r#""a"b"#, r#""""#] {
            assert!(
                matches!(target(written), Err(LoadError::BadTarget { .. })),
                "{written}"
            );
        }
    }

    #[test]
    fn identifiers_are_quoted_whatever_they_hold() {
        assert_eq!(quoted("plain"), r#""plain""#);
        assert_eq!(quoted(r#"we"ird"#), r#""we""ird""#);
        assert_eq!(quoted("Größe; DROP"), r#""Größe; DROP""#);
    }

    #[test]
    fn measures_must_be_there_and_differ_from_each_other_and_from_the_keys() {
        for measures in [vec![], vec!["a", "A"], vec!["store_id"], vec![""]] {
            let measures = measures.into_iter().map(String::from).collect();
            assert!(Target::new("t", measures, LoadMode::Upsert).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back(schema in proptest::option::of("[a-z.\" é]{1,6}"), table in "[A-Z.\" _]{1,6}") {
            let written = Target { schema, table, measures: vec!["m".into()], mode: LoadMode::Reload, audit: false };
            let read = Target::new(&written.name(), vec!["m".into()], LoadMode::Reload).unwrap();
            prop_assert_eq!(read, written);
        }
    }
}
