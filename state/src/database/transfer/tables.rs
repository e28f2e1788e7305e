//! The tables of the state, with their columns.
//!
//! They are asked of a new database in memory, and not of one that people use: theirs may have tables of their own. Both
//! databases have the same tables with the same columns.

use std::path::Path;

use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::error::{ToCopy as _, TransferError};
use crate::database::schema::migrate;
use crate::dialect::sqlite::Sqlite;
use crate::dialect::{Connection, Place, Result, query_as, quoted};

/// All columns of all tables but SQLite's own and the migrator's.
const COLUMNS: &str = "
    SELECT t.name, c.name
      FROM sqlite_schema t JOIN pragma_table_info(t.name) c
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations'
     ORDER BY t.name, c.cid";

/// A table of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Whether it has rows in a new database.
    pub(super) is_seeded: bool,
}

impl Table {
    pub(super) async fn has_rows(&self, connection: &mut Connection) -> Result<bool> {
        let any = format!("SELECT 1 FROM {} LIMIT 1", quoted(&self.name));
        let row = connection.stream(&any).await?.try_next().await?;
        Ok(row.is_some())
    }
}

/// Returns all tables by their names.
pub(super) async fn all() -> Result<Vec<Table>, TransferError> {
    let place = Place::from(Path::new(":memory:"));
    let options = SqliteConnectOptions::new().in_memory(true);
    let sqlite = Sqlite::connect(&options).await.to_copy("the state")?;
    let mut connection = Connection::Sqlite(sqlite);
    migrate(&mut connection, &place).await?;
    let columns = query_as(COLUMNS).fetch_all(&mut connection).await;
    let columns: Vec<(String, String)> = columns.to_copy("the state")?;
    let mut tables: Vec<Table> = Vec::new();
    for (table, column) in columns {
        match tables.last_mut() {
            Some(last) if last.name == table => last.columns.push(column),
            _ => tables.push(Table {
                name: table,
                columns: vec![column],
                is_seeded: false,
            }),
        }
    }
    for table in &mut tables {
        table.is_seeded = table.has_rows(&mut connection).await.to_copy(&table.name)?;
    }
    Ok(tables)
}
