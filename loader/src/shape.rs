//! Checks whether an existing table fits a summary.
//!
//! The dialects read their catalogs; the check and its messages to the operator are here.

use crate::LoadError;
use crate::target::{KEYS, Target};

/// What a column has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `store_id`, `item_id`, `run_id`
    Text,
    /// `trans_date`
    Day,
    /// A measure.
    Amount,
    /// `loaded_at`
    Moment,
}

/// A column, as the catalog describes it.
pub(crate) struct Column {
    pub name: String,
    pub type_name: String,
    /// Whether an INSERT may leave it out: it is nullable, has a default, or is generated.
    pub optional: bool,
}

/// A table, as the catalog describes it.
pub(crate) struct Shape {
    pub columns: Vec<Column>,
    /// The columns of each unique key over whole columns and all rows.
    pub unique_keys: Vec<Vec<String>>,
    /// Problems that only this dialect knows, with their remedies.
    pub further: Vec<String>,
}

/// A dialect's column types, and the SQL that corrects its tables.
pub(crate) struct Dialect {
    pub accepts: fn(Kind, &str) -> bool,
    pub wanted: fn(Kind) -> &'static str,
    /// SQL that gives a column another type; takes table, column and type.
    pub retype: fn(&str, &str, &str) -> String,
    /// SQL that adds the primary key; takes table and columns. `None`: keys mean nothing there.
    pub add_key: Option<fn(&str, &str) -> String>,
    /// Quotes an identifier.
    pub quoted: fn(&str) -> String,
}

/// Checks an existing table, and reports every problem at once. `table` is the table's name in SQL.
pub(crate) fn check(shape: &Shape, target: &Target, table: &str, dialect: &Dialect) -> Result<(), LoadError> {
    let keys = KEYS.into_iter().zip([Kind::Text, Kind::Text, Kind::Day]);
    let measures = target.measures.iter().map(|name| (name.as_str(), Kind::Amount));
    let audit = target.audit_columns().iter().copied();
    let audit = audit.zip([Kind::Moment, Kind::Text]);
    let needed: Vec<(&str, Kind)> = keys.chain(measures).chain(audit).collect();
    let quoted = dialect.quoted;
    let mut problems = shape.further.clone();

    for &(name, kind) in &needed {
        let wanted = (dialect.wanted)(kind);
        match shape.columns.iter().find(|column| column.name == name) {
            None => problems.push(format!(
                "it has no column {name}; add it: ALTER TABLE {table} ADD COLUMN {} {wanted};",
                quoted(name)
            )),
            Some(column) if !(dialect.accepts)(kind, &column.type_name) => problems.push(format!(
                "its column {name} is {}, not {wanted}; change it: {}",
                column.type_name,
                (dialect.retype)(table, &quoted(name), wanted)
            )),
            Some(_) => {}
        }
    }
    for column in &shape.columns {
        if !column.optional && !needed.iter().any(|(name, _)| *name == column.name) {
            problems.push(format!(
                "its column {0} must have a value, and summaries have none for it; give {0} a default or make it nullable",
                column.name
            ));
        }
    }
    if let Some(add_key) = dialect.add_key
        && !shape.unique_keys.iter().any(|key| is_the_key(key))
    {
        problems.push(format!(
            "it has no unique key on exactly {}; add it: {}",
            KEYS.join(", "),
            add_key(table, &KEYS.map(quoted).join(", "))
        ));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(LoadError::TargetMismatch {
        table: target.name(),
        problems: problems.join("\n  "),
    })
}

/// Whether a key is on exactly the three key columns, in whatever order.
pub(crate) fn is_the_key(columns: &[String]) -> bool {
    columns.len() == KEYS.len() && KEYS.iter().all(|key| columns.iter().any(|column| column == key))
}
