//! Creates the tables beside the target, and checks whether an existing target fits a summary.

use super::session::PostgresSession;
use super::sql;
use crate::LoadError;
use crate::protocol::{CREATE_LEDGER, LOOK_UP_COLUMNS};
use crate::shape::{self, Column, Kind, Shape};
use crate::target::{self, LEDGER, LEDGER_INDEX};

const DIALECT: shape::Dialect = shape::Dialect {
    accepts,
    wanted: |kind| match kind {
        Kind::Text => "text",
        Kind::Day => "date",
        Kind::Amount => "numeric(18,2)",
        Kind::Moment => "timestamp with time zone",
    },
    retype: |table, column, wanted| {
        format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {wanted} USING {column}::{wanted};")
    },
    add_key: Some(|table, columns| format!("ALTER TABLE {table} ADD PRIMARY KEY ({columns});")),
    quoted: target::quoted,
};

/// Types that hold every value of a summary unchanged. `varchar(n)` is accepted, too: the server then rejects a longer
/// key, and the whole load with it.
fn accepts(kind: Kind, type_name: &str) -> bool {
    match kind {
        Kind::Text => type_name == "text" || type_name.starts_with("character varying"),
        Kind::Day => type_name == "date",
        Kind::Amount => matches!(type_name, "numeric" | "numeric(18,2)"),
        Kind::Moment => type_name == "timestamp with time zone",
    }
}

/// Creates the ledger and the tables next to it where they are absent. They are looked up first, because IF NOT EXISTS
/// requires the right to create even if there is nothing to create.
pub(super) async fn create_ledger(session: &PostgresSession<'_>) -> Result<(), LoadError> {
    for (name, create) in session.sql.create_ledger() {
        if session.relation(name).await?.is_none() {
            session.batch(CREATE_LEDGER, &create).await?;
        }
    }
    index_ledger(session).await
}

/// Gives the ledger its index, which that of an earlier gristmill lacks. Without the right to do so, each load reads all
/// of the ledger, which is slower and no reason to stop.
async fn index_ledger(session: &PostgresSession<'_>) -> Result<(), LoadError> {
    let action = "index the ledger in";
    let ledger = session.relation(LEDGER).await?;
    let index = session.relation(LEDGER_INDEX).await?;
    let (Some((ledger, _)), None) = (ledger, index) else {
        return Ok(());
    };
    let create = session.sql.create_ledger_index();
    let may = session.query(action, sql::MAY_INDEX, &[&ledger]).await?;
    if may.first().is_some_and(|row| row.get(0)) {
        return session.batch(action, &create).await;
    }
    tracing::warn!(
        "the ledger has no index yet, and this user may not create it; have its owner do so: {create};"
    );
    Ok(())
}

/// Fails if the target does not fit a summary.
pub(super) async fn check(session: &PostgresSession<'_>) -> Result<(), LoadError> {
    let target = &session.warehouse.target;
    let id = session.relation(&target.table).await?.map(|(id, _)| id);
    let columns = session.query(LOOK_UP_COLUMNS, sql::COLUMNS, &[&id]).await?;
    let keys = session.query(LOOK_UP_COLUMNS, sql::UNIQUE_KEYS, &[&id]).await?;
    let shape = Shape {
        columns: columns
            .iter()
            .map(|row| Column {
                name: row.get(0),
                type_name: row.get(1),
                optional: row.get(2),
            })
            .collect(),
        unique_keys: keys.iter().map(|row| row.get(0)).collect(),
        further: Vec::new(),
    };
    shape::check(&shape, target, &session.sql.table, &DIALECT)
}
