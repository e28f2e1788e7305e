//! What a database does and checks when rows are written, taken away for as long as all rows are copied.
//!
//! Triggers would count, note and touch again what was counted, noted and touched at the source. And files, versions and
//! submissions refer to each other in a circle, so no order of the tables suits the foreign keys.

use std::collections::HashSet;

use super::tables::Table;
use crate::dialect::{Connection, Result, query_as, quoted};

/// The triggers of SQLite in the order of their creation, each with what created it.
const TRIGGERS: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid";

/// SQLite compares foreign keys at the end of the transaction.
const DEFER: &str = "PRAGMA defer_foreign_keys = ON";

/// The foreign keys of Postgres: of which table, and how each is removed and added again.
const KEYS: &str = "
    SELECT t.relname::text,
           format('ALTER TABLE %I DROP CONSTRAINT %I', t.relname, k.conname),
           format('ALTER TABLE %I ADD CONSTRAINT %I %s', t.relname, k.conname, pg_get_constraintdef(k.oid))
      FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
     WHERE k.contype = 'f' AND t.relnamespace = current_schema()::regnamespace ORDER BY k.oid";

/// The triggers of MySQL do nothing while this session copies: to take them away would end its transaction. A row that refers to
/// one that is not there is not found afterwards: the file has none.
const COPYING: &str = "SET SESSION foreign_key_checks = 0, @gristmill = 'copies'";
const COPIED: &str = "SET SESSION foreign_key_checks = 1, @gristmill = 'works'";

/// What has to be done when all rows are there.
#[derive(Debug)]
#[must_use]
pub(super) struct Gates {
    close: Vec<String>,
}

impl Gates {
    /// Takes triggers and foreign keys away, within a transaction.
    pub(super) async fn open(target: &mut Connection, tables: &[Table]) -> Result<Self> {
        match target {
            Connection::Sqlite(_) => Self::open_sqlite(target).await,
            Connection::Postgres(_) => Self::open_postgres(target, tables).await,
            Connection::MySql(_) => Self::open_mysql(target).await,
        }
    }

    async fn open_sqlite(target: &mut Connection) -> Result<Self> {
        let triggers: Vec<(String, String)> = query_as(TRIGGERS).fetch_all(&mut *target).await?;
        let mut close = Vec::with_capacity(triggers.len());
        for (name, creation) in triggers {
            target.run(&format!("DROP TRIGGER {}", quoted(&name))).await?;
            close.push(creation);
        }
        target.run(DEFER).await?;
        Ok(Self { close })
    }

    async fn open_postgres(target: &mut Connection, tables: &[Table]) -> Result<Self> {
        let ours: HashSet<_> = tables.iter().map(|table| table.name.as_str()).collect();
        let keys: Vec<(String, String, String)> = query_as(KEYS).fetch_all(&mut *target).await?;
        let mut close = Vec::new();
        // Those of other people's tables are left alone.
        for (_, removal, creation) in keys
            .into_iter()
            .filter(|(table, ..)| ours.contains(table.as_str()))
        {
            target.run(&removal).await?;
            close.push(creation);
        }
        for table in tables {
            let name = quoted(&table.name);
            target
                .run(&format!("ALTER TABLE {name} DISABLE TRIGGER USER"))
                .await?;
            close.push(format!("ALTER TABLE {name} ENABLE TRIGGER USER"));
            // Otherwise the server would plan for small tables until it looks at them by itself.
            close.push(format!("ANALYZE {name}"));
        }
        Ok(Self { close })
    }

    async fn open_mysql(target: &mut Connection) -> Result<Self> {
        target.run(COPYING).await?;
        Ok(Self {
            close: vec![COPIED.to_owned()],
        })
    }

    /// Puts everything back, in the same transaction.
    pub(super) async fn close(self, target: &mut Connection) -> Result<()> {
        for statement in &self.close {
            target.run(statement).await?;
        }
        Ok(())
    }
}
