//! The numbers that rows get: no number is given twice, also if its row is gone.

use super::tables::Table;
use crate::dialect::{Connection, Result, query, query_as, quoted};

/// The greatest numbers that were given so far, by table. A table of SQLite without AUTOINCREMENT has none beyond its rows.
const GIVEN: &str = "
    sqlite{SELECT name, seq FROM sqlite_sequence}
    postgres{SELECT t.relname::text,
                    coalesce(pg_sequence_last_value(pg_get_serial_sequence(quote_ident(t.relname), c.attname)::regclass), 0)
               FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
              WHERE c.attidentity <> '' AND t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace
                AND pg_has_role(t.relowner, 'USAGE')}
    mysql{SELECT table_name, auto_increment - 1 FROM information_schema.tables
           WHERE table_schema = database() AND auto_increment IS NOT NULL}";

/// SQLite notes the numbers of the rows by itself.
const FORGET: &str = "
    DELETE FROM sqlite_sequence WHERE name = ?1 AND seq < ?2";
const NOTE: &str = "
    INSERT INTO sqlite_sequence (name, seq)
    SELECT name, ?2 FROM sqlite_schema
     WHERE name = ?1 AND type = 'table' AND sql LIKE '%AUTOINCREMENT%'
       AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)";

/// The sequences of Postgres, with their tables and columns.
const SEQUENCES: &str = "
    SELECT t.relname::text, c.attname::text, pg_get_serial_sequence(quote_ident(t.relname), c.attname)
      FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
     WHERE c.attidentity <> '' AND t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace";

/// Returns the greatest number that was given in each table.
pub(super) async fn read(source: &mut Connection) -> Result<Vec<(String, i64)>> {
    query_as(GIVEN).fetch_all(source).await
}

/// Has the next numbers of MySQL follow those that were given at the source. That ends a transaction there, so it is done before
/// the rows are copied. Those of all rows follow by themselves.
pub(super) async fn reserve(
    target: &mut Connection,
    tables: &[Table],
    given: &[(String, i64)],
) -> Result<()> {
    if let Connection::MySql(_) = target {
        // Somebody may keep tables of their own there.
        for (name, last) in given
            .iter()
            .filter(|(name, _)| tables.iter().any(|table| table.name == *name))
        {
            let next = format!("ALTER TABLE {} AUTO_INCREMENT = {}", quoted(name), last + 1);
            target.run(&next).await?;
        }
    }
    Ok(())
}

/// Has the next numbers follow those that were given at the source, and those of all rows.
pub(super) async fn go_on(target: &mut Connection, tables: &[Table], given: &[(String, i64)]) -> Result<()> {
    if let Connection::Sqlite(_) = target {
        for (table, last) in given.iter().filter(|(_, last)| *last > 0) {
            for statement in [FORGET, NOTE] {
                query(statement)
                    .bind(table)
                    .bind(*last)
                    .execute(&mut *target)
                    .await?;
            }
        }
        return Ok(());
    }
    if let Connection::MySql(_) = target {
        return Ok(());
    }
    let sequences: Vec<(String, String, String)> = query_as(SEQUENCES).fetch_all(&mut *target).await?;
    // Somebody may keep tables of their own there.
    let is_ours = |name: &str| tables.iter().any(|table| table.name == name);
    for (table, column, sequence) in sequences.into_iter().filter(|(table, ..)| is_ours(table)) {
        let last = given
            .iter()
            .find(|(name, _)| *name == table)
            .map_or(0, |(_, last)| *last);
        let (table, column, sequence) = (quoted(&table), quoted(&column), sequence.replace('\'', "''"));
        let set = format!(
            "SELECT setval('{sequence}', n) FROM (SELECT greatest(max({column}), {last}) AS n FROM {table}) s WHERE n > 0"
        );
        target.run(&set).await?;
    }
    Ok(())
}
