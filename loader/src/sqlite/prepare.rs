//! Creates the file, the target and the ledger, or checks an existing target.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{BEGIN, SqliteWarehouse, claims, sql};
use crate::LoadError;
use crate::shape::{self, Column, Kind, Shape};

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
};

/// Creates what is absent, including the file's folder; checks the target where it exists.
pub(super) async fn prepare(warehouse: &SqliteWarehouse) -> Result<(), LoadError> {
    create_folder(warehouse)?;
    let options = warehouse.options.clone().create_if_missing(true);
    let mut connection = options.connect().await.map_err(warehouse.failed("open"))?;
    let action = "prepare the target in";
    let mut transaction = connection
        .begin_with(BEGIN)
        .await
        .map_err(warehouse.failed(action))?;
    let [days, standing] = warehouse.sql.create_claims();
    let (ledger, index) = (warehouse.sql.create_ledger(), warehouse.sql.create_ledger_index());
    for sql in [ledger, index, days, standing] {
        warehouse
            .execute(&mut transaction, sql, "create the ledger in")
            .await?;
    }
    match warehouse
        .kind(&mut transaction, &warehouse.target.table)
        .await?
        .as_deref()
    {
        None => {
            warehouse
                .execute(
                    &mut transaction,
                    warehouse.sql.create_table(),
                    "create the target in",
                )
                .await?;
            // Someone may have dropped a table of this name: the records about its rows are no longer true.
            claims::forget(warehouse, &mut transaction).await?;
            sqlx::query(warehouse.sql.forget_ledger())
                .bind(&warehouse.name)
                .execute(&mut *transaction)
                .await
                .map_err(warehouse.failed("forget the lost loads in"))?;
        }
        Some("table") => check_present(warehouse, &mut transaction).await?,
        Some(_) => {
            return Err(warehouse.mismatch("it is a view, not a table; name the table behind it".into()));
        }
    }
    transaction.commit().await.map_err(warehouse.failed(action))
}

fn create_folder(warehouse: &SqliteWarehouse) -> Result<(), LoadError> {
    match warehouse.options.get_filename().parent() {
        Some(folder) if folder != Path::new("") => {
            std::fs::create_dir_all(folder).map_err(|source| LoadError::Folder {
                path: folder.to_path_buf(),
                source,
            })
        }
        _ => Ok(()),
    }
}

async fn check_present(
    warehouse: &SqliteWarehouse,
    connection: &mut SqliteConnection,
) -> Result<(), LoadError> {
    let action = "look the target's columns up in";
    let table = &warehouse.target.table;
    let columns: Vec<(String, String, bool)> = sqlx::query_as(sql::COLUMNS)
        .bind(table)
        .fetch_all(&mut *connection)
        .await
        .map_err(warehouse.failed(action))?;
    let parts: Vec<(String, String)> = sqlx::query_as(sql::UNIQUE_KEYS)
        .bind(table)
        .fetch_all(connection)
        .await
        .map_err(warehouse.failed(action))?;
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
    };
    shape::check(&shape, &warehouse.target, &warehouse.sql.table, &DIALECT)
}
