//! Makes ready to create the target and the tables beside it, and checks whether an existing target fits a summary.

use super::session::RedshiftSession;
use super::sql;
use crate::protocol::{LOOK_UP_COLUMNS, PREPARE};
use crate::shape::{self, Column, Kind, Shape};
use crate::{LoadError, target};

const DIALECT: shape::Dialect = shape::Dialect {
    accepts,
    wanted: |kind| match kind {
        Kind::Text => "VARCHAR(100)",
        Kind::Day => "DATE",
        Kind::Amount => "DECIMAL(18,2)",
        Kind::Moment => "TIMESTAMP",
    },
    // Redshift changes a type in place only from VARCHAR to a wider one.
    retype: |table, column, wanted| {
        format!(
            "ALTER TABLE {table} ADD COLUMN mended {wanted}; UPDATE {table} SET mended = CAST({column} AS {wanted}); \
             ALTER TABLE {table} DROP COLUMN {column}; ALTER TABLE {table} RENAME COLUMN mended TO {column};"
        )
    },
    add_key: None,
    quoted: target::quoted,
};

/// The only types that COPY can load a summary's columns into. Text may have any width.
fn accepts(kind: Kind, type_name: &str) -> bool {
    match kind {
        Kind::Text => type_name.starts_with("character varying"),
        Kind::Day => type_name == "date",
        Kind::Amount => type_name == "numeric(18,2)",
        Kind::Moment => type_name == "timestamp without time zone",
    }
}

/// Makes ready for the transaction that creates tables: removes what earlier loads left in the bucket, and creates the table
/// that is locked.
pub(super) async fn make_ready(session: &RedshiftSession<'_>) -> Result<(), LoadError> {
    let (warehouse, schema) = (session.warehouse, &session.schema);
    if session.found(PREPARE, &sql::schema(schema)).await?.is_empty() {
        let create = target::quoted(schema);
        return Err(warehouse.mismatch(format!(
            "there is no schema {schema}; create it: CREATE SCHEMA {create};"
        )));
    }
    let now = session.number("read the clock of", sql::NOW).await?;
    warehouse.bucket.sweep(now).await?;
    if session.relation(sql::LOCK).await?.is_none() {
        let created = session
            .execute("create the lock in", &session.sql.create_lock())
            .await;
        // Another process may have created it first.
        if created.is_err() && session.relation(sql::LOCK).await?.is_none() {
            return created.map(drop);
        }
    }
    Ok(())
}

/// Fails if the target does not fit a summary.
pub(super) async fn check(session: &RedshiftSession<'_>) -> Result<(), LoadError> {
    let sql = sql::columns(&session.schema, &session.warehouse.target.table);
    let rows = session.found(LOOK_UP_COLUMNS, &sql).await?;
    let columns = rows.iter().map(|row| {
        let text = |at| row.get(at).unwrap_or_default();
        let type_name = match (text(1), row.get(2), row.get(3)) {
            (name @ ("character varying" | "character"), Some(length), _) => format!("{name}({length})"),
            ("numeric", _, Some(precision)) => format!("numeric({precision},{})", text(4)),
            (name, ..) => name.into(),
        };
        Column {
            name: text(0).into(),
            type_name,
            optional: text(5).eq_ignore_ascii_case("yes")
                || row.get(6).is_some_and(|default| !default.is_empty()),
        }
    });
    let shape = Shape {
        columns: columns.collect(),
        unique_keys: Vec::new(),
        further: Vec::new(),
    };
    shape::check(&shape, &session.warehouse.target, &session.sql.table, &DIALECT)
}
