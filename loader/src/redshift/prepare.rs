//! Creates the target and the ledger, or checks an existing target; removes what earlier loads left in the bucket.

use super::session::Session;
use super::{RedshiftWarehouse, load, sql};
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

/// Creates the target and the ledger where they are absent; checks the target where it exists.
pub(super) async fn prepare(warehouse: &RedshiftWarehouse) -> Result<(), LoadError> {
    let session = Session::open(warehouse).await?;
    let (action, schema) = ("prepare the target in", &session.schema);
    if session.rows(action, &sql::schema(schema)).await?.is_empty() {
        let create = target::quoted(schema);
        return Err(warehouse.mismatch(format!(
            "there is no schema {schema}; create it: CREATE SCHEMA {create};"
        )));
    }
    if session.kind(sql::LOCK).await?.is_none() {
        let created = session
            .execute("create the lock in", &session.sql.create_lock())
            .await;
        // Another process may have created it first.
        if created.is_err() && session.kind(sql::LOCK).await?.is_none() {
            return created.map(drop);
        }
    }
    session.execute(action, sql::BEGIN).await?;
    session.execute(action, &session.sql.lock()).await?;
    for (name, create) in session.sql.create_ledgers() {
        if session.kind(name).await?.is_none() {
            session.execute("create the ledger in", &create).await?;
        }
    }
    match session.kind(&warehouse.target.table).await?.as_deref() {
        None => {
            let create = session.sql.create_table(&warehouse.settings.layout);
            session.execute("create the target in", &create).await?;
            // Someone may have dropped a table of this name: the records about its rows are no longer true.
            load::forget_days(&session).await?;
            let forget = session.sql.forget_ledger();
            session.execute("forget the lost loads in", &forget).await?;
        }
        Some("r") => check_present(&session).await?,
        Some(_) => {
            return Err(warehouse
                .mismatch("it is not a table but a view or similar; name the table behind it".into()));
        }
    }
    session.execute(action, sql::COMMIT).await?;
    let now = session.number("read the clock of", sql::NOW).await?;
    warehouse.bucket.sweep(now).await
}

async fn check_present(session: &Session<'_>) -> Result<(), LoadError> {
    let action = "look the target's columns up in";
    let sql = sql::columns(&session.schema, &session.warehouse.target.table);
    let rows = session.rows(action, &sql).await?;
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
    };
    shape::check(&shape, &session.warehouse.target, &session.sql.table, &DIALECT)
}
