//! Creates the tables beside the target, and checks whether an existing target fits a summary.

use std::collections::BTreeMap;

use super::session::{MySqlSession, number, text};
use super::sql::{self, Key, Product};
use crate::LoadError;
use crate::protocol::{CREATE_LEDGER, LOOK_UP_COLUMNS};
use crate::shape::{self, Column, Kind, Shape};
use crate::target::KEYS;

const MARIADB: shape::Dialect = shape::Dialect {
    accepts,
    wanted: |kind| match kind {
        Kind::Text => "varchar(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
        Kind::Day => "date",
        Kind::Amount => "decimal(18,2)",
        Kind::Moment => "datetime(6)",
    },
    retype: |table, column, wanted| format!("ALTER TABLE {table} MODIFY COLUMN {column} {wanted};"),
    add_key: Some(|table, columns| format!("ALTER TABLE {table} ADD PRIMARY KEY ({columns});")),
    quoted: sql::quoted,
};

const MYSQL: shape::Dialect = shape::Dialect {
    wanted: |kind| match kind {
        Kind::Text => "varchar(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
        kind => (MARIADB.wanted)(kind),
    },
    ..MARIADB
};

/// Types that hold every value of a summary unchanged. A shorter `varchar` is accepted, too: the server then rejects a
/// longer key, and the whole load with it. A text must be in a collation that compares by bytes and without padding.
fn accepts(kind: Kind, type_name: &str) -> bool {
    match kind {
        Kind::Text => {
            let by_bytes = [Product::MariaDb, Product::MySql].map(Product::collation);
            type_name.starts_with("varchar(")
                && by_bytes.iter().any(|collation| type_name.ends_with(collation))
        }
        Kind::Day => type_name == "date",
        Kind::Amount => type_name == "decimal(18,2)",
        Kind::Moment => type_name == "datetime(6)",
    }
}

/// Creates the ledger and the tables next to it where they are absent. They are looked up first, because IF NOT EXISTS
/// requires the right to create even if there is nothing to create.
pub(super) async fn create_ledger(session: &mut MySqlSession<'_>) -> Result<(), LoadError> {
    for (name, create) in session.sql.create_ledger() {
        if session.relation(name).await?.is_none() {
            session.execute(CREATE_LEDGER, &create, vec![]).await?;
        }
    }
    Ok(())
}

/// Fails if the target does not fit a summary.
pub(super) async fn check(session: &mut MySqlSession<'_>) -> Result<(), LoadError> {
    let target = &session.warehouse.target;
    let relation = session.relation(&target.table).await?;
    let of = || vec![session.sql.schema().into(), target.table.as_str().into()];
    let columns = session.query(LOOK_UP_COLUMNS, sql::COLUMNS, of()).await?;
    let keys = unique_keys(session).await?;
    let shape = Shape {
        columns: columns
            .iter()
            .map(|row| Column {
                name: text(row, 0).unwrap_or_default(),
                type_name: match (text(row, 1).unwrap_or_default(), text(row, 2)) {
                    (name, Some(collation)) => format!("{name} COLLATE {collation}"),
                    (name, None) => name,
                },
                optional: number(row, 3) == Some(1),
            })
            .collect(),
        unique_keys: keys.into_values().collect(),
        further: engine(&session.sql.table, relation.and_then(|relation| relation.engine)),
    };
    let dialect = match session.product {
        Product::MariaDb => &MARIADB,
        Product::MySql => &MYSQL,
    };
    shape::check(&shape, target, &session.sql.table, dialect)
}

/// The columns of the target's unique keys in their order, by the keys' names.
async fn unique_keys(session: &mut MySqlSession<'_>) -> Result<BTreeMap<String, Vec<String>>, LoadError> {
    let table = session.warehouse.target.table.as_str();
    let of = vec![session.sql.schema().into(), table.into()];
    let parts = session.query(LOOK_UP_COLUMNS, sql::UNIQUE_KEYS, of).await?;
    let mut keys: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for part in &parts {
        let key = keys.entry(text(part, 0).unwrap_or_default());
        let key = key.or_insert_with(|| Some(Vec::new()));
        // A key over a part of a column, or over an expression, makes texts equal that are not.
        match (text(part, 1), number(part, 2)) {
            (Some(column), Some(1)) => key.iter_mut().for_each(|key| key.push(column.clone())),
            _ => *key = None,
        }
    }
    let whole = keys
        .into_iter()
        .filter_map(|(name, columns)| Some((name, columns?)));
    Ok(whole.collect())
}

/// The unique key by which rows of the target are looked up. If there is none, the target is absent, or was changed since
/// it was checked, and the statements that need the key report that.
pub(super) async fn key(session: &mut MySqlSession<'_>) -> Result<Key, LoadError> {
    let keys = unique_keys(session).await?;
    let key = keys.into_iter().find(|(_, columns)| shape::is_the_key(columns));
    Ok(key.map_or_else(Key::default, |(name, columns)| Key {
        name: sql::quoted(&name),
        begins_with_store: columns[0] == KEYS[0],
    }))
}

/// What is wrong with a table's engine.
fn engine(table: &str, engine: Option<String>) -> Vec<String> {
    match engine {
        Some(engine) if !engine.eq_ignore_ascii_case("InnoDB") => vec![format!(
            "its engine is {engine}, and loads need the transactions of InnoDB; change it: \
             ALTER TABLE {table} ENGINE = InnoDB;"
        )],
        _ => Vec::new(),
    }
}
