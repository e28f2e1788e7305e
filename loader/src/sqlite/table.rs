//! Checks whether an existing target fits a summary.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{SqliteWarehouse, sql};
use crate::protocol::LOOK_UP_COLUMNS;
use crate::shape::{self, Column, Kind, Shape};
use crate::{LoadError, target};

const DIALECT: shape::Dialect = shape::Dialect {
    accepts: |_, type_name| {
        // SQLite's rule for text affinity. Another affinity would turn amounts into floats.
        let name = type_name.to_ascii_uppercase();
        !name.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|text| name.contains(text))
    },
    wanted: |kind| match kind {
        Kind::Text | Kind::Day | Kind::Amount | Kind::Moment => "TEXT",
    },
    retype: |table, _, _| {
        format!(
            "ALTER TABLE {table} RENAME TO gristmill_old; and replay the jobs: SQLite cannot retype a column"
        )
    },
    add_key: Some(|table, columns| format!("CREATE UNIQUE INDEX gristmill_key ON {table} ({columns});")),
    quoted: target::quoted,
};

/// Fails if the target does not fit a summary.
pub(super) async fn check(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
) -> Result<(), LoadError> {
    let table = &warehouse.target.table;
    let columns: Vec<(String, String, bool)> = sqlx::query_as(sql::COLUMNS)
        .bind(table)
        .fetch_all(&mut *connection)
        .await
        .map_err(warehouse.failed(LOOK_UP_COLUMNS))?;
    let parts: Vec<(String, String)> = sqlx::query_as(sql::UNIQUE_KEYS)
        .bind(table)
        .fetch_all(connection)
        .await
        .map_err(warehouse.failed(LOOK_UP_COLUMNS))?;
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, column) in parts {
        keys.entry(key).or_default().push(column);
    }
    let columns = columns.into_iter();
    let shape = Shape {
        columns: columns
            .map(|(name, type_name, optional)| Column {
                name,
                type_name,
                optional,
            })
            .collect(),
        unique_keys: keys.into_values().collect(),
        further: Vec::new(),
    };
    shape::check(&shape, &warehouse.target, &warehouse.sql.table, &DIALECT)
}
