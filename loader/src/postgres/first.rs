//! The load into an empty target: nothing has to be compared, so rows go directly into the target.
//!
//! The expensive part is the key: building its index after the rows are there takes a fraction of the time of updating
//! it row by row. So the primary key is dropped and added again, if nothing else depends on it; views, grants, owner
//! and columns stay as they are. The table is also truncated, which lets COPY write its rows in their final form
//! (FREEZE). Readers wait until the load is complete. A table that gristmill may not change in this way gets its rows
//! with its keys in place, and readers see it empty meanwhile.

use tokio_postgres::error::SqlState;

use super::copy;
use super::encode::Stamp;
use super::session::PostgresSession;
use super::sql::{self, Sql};
use crate::days::Days;
use crate::protocol::{Arrived, LOOK_UP, Progress};
use crate::{Load, LoadError};

/// Whether a COPY into the target works like an INSERT; and its primary key, if that may be dropped and added again: the
/// user owns the table and it is an ordinary one, it has no triggers (which foreign keys use too), the key is its only
/// index, the key's definition says everything about it, and nothing depends on it. Its parameter is the quoted name.
const TABLE: &str =
    "SELECT NOT c.relhasrules AND NOT c.relrowsecurity, quote_ident(k.conname), pg_get_constraintdef(k.oid)
       FROM pg_catalog.pg_class c
       LEFT JOIN (pg_catalog.pg_constraint k
                  JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid
                  JOIN pg_catalog.pg_class x ON x.oid = k.conindid)
         ON k.conrelid = c.oid AND k.contype = 'p'
        AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
        AND NOT c.relhastriggers AND NOT c.relispartition AND NOT c.relhassubclass
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index o WHERE o.indrelid = c.oid AND o.indexrelid <> k.conindid)
        AND x.reloptions IS NULL AND x.reltablespace = 0 AND NOT i.indisclustered AND NOT i.indisreplident
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                         WHERE d.objid <> k.conindid
                           AND (d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid
                                OR d.refclassid = 'pg_class'::regclass AND d.refobjid = k.conindid))
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_description d
                         WHERE d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid
                            OR d.classoid = 'pg_class'::regclass AND d.objoid = k.conindid)
      WHERE c.oid = to_regclass($1)";

/// Loads the whole summary into an empty target. `None`: it is not empty, or cannot take a COPY; nothing was done.
pub(super) async fn load(
    session: &PostgresSession<'_>,
    load: &Load,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Option<Arrived>, LoadError> {
    if !is_empty(session).await? {
        return Ok(None);
    }
    let is_ours = look_at(session).await?.key.is_some() && lock_alone(session).await?;
    if !is_ours {
        let lock = session.sql.lock_out_writers();
        session.batch("lock the target in", &lock).await?;
    }
    // The table may have changed before it was locked.
    let table = look_at(session).await?;
    if !table.takes_copies || !is_empty(session).await? {
        return Ok(None);
    }
    let arrived = match table.key.filter(|_| is_ours) {
        Some(key) => below_key(session, &key, load, days, progress).await?,
        None => straight(session, false, load, days, progress).await?,
    };
    Ok(Some(arrived))
}

/// What the target allows.
struct Permitted {
    takes_copies: bool,
    key: Option<PrimaryKey>,
}

/// A primary key that may be dropped and added again.
struct PrimaryKey {
    /// Quoted where necessary.
    name: String,
    definition: String,
}

async fn look_at(session: &PostgresSession<'_>) -> Result<Permitted, LoadError> {
    let rows = session.query(LOOK_UP, TABLE, &[&session.sql.table]).await?;
    // If the table is gone by now, the next statement on it reports that.
    Ok(rows.first().map_or(
        Permitted {
            takes_copies: false,
            key: None,
        },
        |row| Permitted {
            takes_copies: row.get(0),
            key: row.get::<_, Option<String>>(1).map(|name| PrimaryKey {
                name,
                definition: row.get(2),
            }),
        },
    ))
}

async fn is_empty(session: &PostgresSession<'_>) -> Result<bool, LoadError> {
    let rows = session
        .query("look for rows in", &session.sql.is_empty(), &[])
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Locks out all other sessions. Returns false if one is using the target: waiting for a reader would make all later
/// ones wait, too.
async fn lock_alone(session: &PostgresSession<'_>) -> Result<bool, LoadError> {
    let action = "lock the target in";
    let lock = session.sql.lock_alone();
    session.batch(action, "SAVEPOINT gristmill_lock").await?;
    let (is_alone, then) = match session.hear(session.client.batch_execute(&lock)).await {
        Ok(()) => (true, "RELEASE SAVEPOINT gristmill_lock"),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            (false, "ROLLBACK TO SAVEPOINT gristmill_lock")
        }
        Err(error) => return Err(session.failed(action)(error)),
    };
    session.batch(action, then).await?;
    Ok(is_alone)
}

/// Drops the target's key, copies the rows, and builds the key again.
async fn below_key(
    session: &PostgresSession<'_>,
    key: &PrimaryKey,
    load: &Load,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let sql = &session.sql;
    let (name, definition) = (&key.name, &key.definition);
    session
        .batch("drop the target's primary key in", &sql.take_key_off(name))
        .await?;
    let arrived = straight(session, true, load, days, progress).await?;
    fail::fail_point!("load-without-key");
    session
        .batch("build the primary key in", &sql.put_key_on(name, definition))
        .await?;
    Ok(arrived)
}

async fn straight(
    session: &PostgresSession<'_>,
    freeze: bool,
    load: &Load,
    days: Option<&Days>,
    progress: Progress<'_>,
) -> Result<Arrived, LoadError> {
    let statement = session.sql.copy_target(freeze);
    let stamp = stamp(session, load).await?;
    copy::summary(session, load, &statement, stamp, days, progress).await
}

/// What the audit columns get, if the target has them.
async fn stamp<'l>(session: &PostgresSession<'_>, load: &'l Load) -> Result<Option<Stamp<'l>>, LoadError> {
    if !session.warehouse.target.audit {
        return Ok(None);
    }
    let rows = session.query("read the clock of", sql::NOW, &[]).await?;
    Ok(rows.first().map(|row| Stamp {
        microseconds_since_2000: row.get(0),
        run_id: &load.run_id,
    }))
}

impl Sql {
    /// A COPY to the target itself.
    fn copy_target(&self, freeze: bool) -> String {
        let freeze = if freeze { ", FREEZE" } else { "" };
        let (table, columns) = (&self.table, self.columns());
        let audit = self.audit_columns();
        format!("COPY {table} ({columns}{audit}) FROM STDIN (FORMAT binary{freeze})")
    }

    fn is_empty(&self) -> String {
        format!("SELECT NOT EXISTS (SELECT 1 FROM {})", self.table)
    }

    /// Other sessions may read; they may write once the transaction has ended.
    fn lock_out_writers(&self) -> String {
        format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.table)
    }

    /// Other sessions may do nothing. Fails if one is using the table.
    fn lock_alone(&self) -> String {
        format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", self.table)
    }

    /// FREEZE needs a table that was truncated in the same transaction.
    fn take_key_off(&self, name: &str) -> String {
        let table = &self.table;
        format!("ALTER TABLE {table} DROP CONSTRAINT {name}; TRUNCATE ONLY {table}")
    }

    /// ANALYZE helps the next load, and queries that come right after this one.
    fn put_key_on(&self, name: &str, definition: &str) -> String {
        let table = &self.table;
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}; ANALYZE {table}")
    }
}
