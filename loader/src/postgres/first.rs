//! The load into an empty target: nothing has to be compared, so rows go to the target itself.
//!
//! What costs is the key: building its index after the rows takes a fraction of keeping it while they come. So the
//! primary key is taken off and put on again, if nothing else hangs on it; views, grants, owner and columns are not
//! touched by that. The table is truncated besides, which lets COPY write its rows in their final form (FREEZE).
//! Readers wait until all is there. A table that is not only ours to shape gets its rows below its keys, and readers
//! see it empty meanwhile.

use tokio_postgres::error::SqlState;

use super::load::Loading;
use super::{copy, sql};
use crate::days::Days;
use crate::{LoadCounts, LoadError};

/// Brings the whole summary into the target, if that is empty. `None`: it is not, or takes no COPY; nothing was done.
pub(super) async fn load(
    loading: &Loading<'_>,
    days: Option<&Days>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<LoadCounts>, LoadError> {
    if !is_empty(loading).await? {
        return Ok(None);
    }
    let is_ours = look_at(loading).await?.key.is_some() && lock_alone(loading).await?;
    if !is_ours {
        let lock = loading.names.sql.lock_out_writers();
        loading.batch("lock the target in", &lock).await?;
    }
    // What was seen before the lock may have changed since.
    let table = look_at(loading).await?;
    if !table.takes_copies || !is_empty(loading).await? {
        return Ok(None);
    }
    match table.key.filter(|_| is_ours) {
        Some(key) => below_key(loading, &key, days, progress).await?,
        None => straight(loading, false, days, progress).await?,
    }
    let rows = loading.load.rows;
    Ok(Some(LoadCounts::of(rows, rows, rows, 0)))
}

/// What the target allows.
struct Table {
    takes_copies: bool,
    key: Option<Key>,
}

/// A primary key that may be taken off and put on again.
struct Key {
    /// Quoted where it has to be.
    name: String,
    definition: String,
}

async fn look_at(loading: &Loading<'_>) -> Result<Table, LoadError> {
    let rows = loading
        .query("look the target up in", sql::TABLE, &[&loading.names.sql.table])
        .await?;
    // A table that is gone by now is told by whoever touches it next.
    Ok(rows.first().map_or(
        Table {
            takes_copies: false,
            key: None,
        },
        |row| Table {
            takes_copies: row.get(0),
            key: row.get::<_, Option<String>>(1).map(|name| Key {
                name,
                definition: row.get(2),
            }),
        },
    ))
}

async fn is_empty(loading: &Loading<'_>) -> Result<bool, LoadError> {
    let rows = loading
        .query("look for rows in", &loading.names.sql.is_empty(), &[])
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Locks everybody out. False if somebody is at the target: to wait for a reader would make all others wait, too.
async fn lock_alone(loading: &Loading<'_>) -> Result<bool, LoadError> {
    let action = "lock the target in";
    let lock = loading.names.sql.lock_alone();
    loading.batch(action, "SAVEPOINT gristmill_lock").await?;
    let (is_alone, then) = match loading.transaction.batch_execute(&lock).await {
        Ok(()) => (true, "RELEASE SAVEPOINT gristmill_lock"),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            (false, "ROLLBACK TO SAVEPOINT gristmill_lock")
        }
        Err(error) => return Err(loading.failed(action)(error)),
    };
    loading.batch(action, then).await?;
    Ok(is_alone)
}

/// Copies rows to the target, and builds its key again when they are there.
async fn below_key(
    loading: &Loading<'_>,
    key: &Key,
    days: Option<&Days>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    let sql = &loading.names.sql;
    let (name, definition) = (&key.name, &key.definition);
    loading
        .batch("take the primary key off", &sql.take_key_off(name))
        .await?;
    straight(loading, true, days, progress).await?;
    fail::fail_point!("load-without-key");
    loading
        .batch("build the primary key in", &sql.put_key_on(name, definition))
        .await
}

async fn straight(
    loading: &Loading<'_>,
    freeze: bool,
    days: Option<&Days>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), LoadError> {
    let statement = loading.names.sql.copy_target(freeze);
    let stamp = loading.stamp().await?;
    let sent = copy::summary(loading, &statement, stamp, days, progress).await?;
    loading.load.expect_rows(sent.rows)?;
    loading.load.expect_covered(sent.uncovered)
}
