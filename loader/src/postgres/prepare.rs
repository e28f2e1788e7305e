//! Creates the target and the ledger, or checks an existing target.

use tokio_postgres::Transaction;

use super::sql;
use super::{Names, PostgresWarehouse, claims};
use crate::LoadError;
use crate::shape::{self, Column, Kind, Shape};
use crate::target::{self, DAYS, LEDGER, LEDGER_INDEX, STANDING};

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

/// Creates the target and the ledger where they are absent; checks the target where it exists.
pub(super) async fn prepare(warehouse: &PostgresWarehouse) -> Result<(), LoadError> {
    let (mut client, names) = warehouse.session().await?;
    let Names { schema, sql, .. } = &names;
    let action = "prepare the target in";
    let line = &names.line;
    let transaction = line.hear(client.transaction()).await;
    let transaction = transaction.map_err(warehouse.failed(action))?;
    line.identify(&transaction)
        .await
        .map_err(warehouse.failed(action))?;
    line.hear(transaction.execute(sql::LOCK_PREPARE, &[]))
        .await
        .map_err(warehouse.failed(action))?;

    let exists = line
        .hear(transaction.query_one(sql::SCHEMA_EXISTS, &[&schema]))
        .await
        .map_err(warehouse.failed(action))?;
    if !exists.get::<_, bool>(0) {
        let create = target::quoted(schema);
        return Err(warehouse.mismatch(format!(
            "there is no schema {schema}; create it: CREATE SCHEMA {create};"
        )));
    }
    // Looked up first, because IF NOT EXISTS requires the right to create even if there is nothing to create.
    let tables = [
        (LEDGER, sql.create_ledger()),
        (DAYS, sql.claims(claims::CREATE_DAYS)),
        (STANDING, sql.claims(claims::CREATE_STANDING)),
    ];
    for (name, create) in tables {
        if warehouse.relation(&transaction, &names, name).await?.is_none() {
            line.hear(transaction.batch_execute(&create))
                .await
                .map_err(warehouse.failed("create the ledger in"))?;
        }
    }
    index_ledger(warehouse, &transaction, &names).await?;
    match warehouse
        .relation(&transaction, &names, &warehouse.target.table)
        .await?
    {
        None => {
            line.hear(transaction.batch_execute(&sql.create_table()))
                .await
                .map_err(warehouse.failed("create the target in"))?;
            // Someone may have dropped a table of this name: the records about its rows are no longer true.
            claims::forget(warehouse, &transaction, &names).await?;
            line.hear(transaction.execute(&sql.forget_ledger(), &[&names.target]))
                .await
                .map_err(warehouse.failed("forget the lost loads in"))?;
        }
        Some((oid, kind)) if kind == "r" || kind == "p" => {
            check_present(warehouse, &transaction, &names, oid).await?
        }
        Some(_) => {
            return Err(warehouse
                .mismatch("it is not a table but a view or similar; name the table behind it".into()));
        }
    }
    line.hear(transaction.commit())
        .await
        .map_err(warehouse.failed(action))
}

/// Gives the ledger its index, which that of an earlier gristmill lacks. Without the right to do so, each load reads all
/// of the ledger, which is slower and no reason to stop.
async fn index_ledger(
    warehouse: &PostgresWarehouse,
    transaction: &Transaction<'_>,
    names: &Names,
) -> Result<(), LoadError> {
    let action = "index the ledger in";
    let line = &names.line;
    let ledger = warehouse.relation(transaction, names, LEDGER).await?;
    let index = warehouse.relation(transaction, names, LEDGER_INDEX).await?;
    let (Some((ledger, _)), None) = (ledger, index) else {
        return Ok(());
    };
    let create = names.sql.create_ledger_index();
    let may = line.hear(transaction.query_one(sql::MAY_INDEX, &[&ledger])).await;
    if may.map_err(warehouse.failed(action))?.get::<_, bool>(0) {
        return line
            .hear(transaction.batch_execute(&create))
            .await
            .map_err(warehouse.failed(action));
    }
    tracing::warn!(
        "the ledger has no index yet, and this user may not create it; have its owner do so: {create};"
    );
    Ok(())
}

async fn check_present(
    warehouse: &PostgresWarehouse,
    transaction: &Transaction<'_>,
    Names { sql, line, .. }: &Names,
    oid: u32,
) -> Result<(), LoadError> {
    let action = "look the target's columns up in";
    let columns = line
        .hear(transaction.query(sql::COLUMNS, &[&oid]))
        .await
        .map_err(warehouse.failed(action))?;
    let keys = line
        .hear(transaction.query(sql::UNIQUE_KEYS, &[&oid]))
        .await
        .map_err(warehouse.failed(action))?;
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
    };
    shape::check(&shape, &warehouse.target, &sql.table, &DIALECT)
}
