//! The version of the database's schema: who may migrate it, and who may read it as it is.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use super::connect::{begin, reading};
use crate::error::{CANTOPEN, READONLY, StateError, sqlite_code};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The version of the newest migration that was applied. The table is the migrator's.
const VERSION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

/// Whether any table exists; a database without one was just created.
const HAS_TABLES: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";

/// Returns the version of this program's schema.
fn known() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Returns whether the database exists and has this program's version. A newer one is an error.
pub(super) async fn is_current(path: &Path) -> Result<bool, StateError> {
    if !path.exists() {
        return Ok(false);
    }
    let (_, found) = look(path).await?;
    refuse_newer(path, found)?;
    Ok(found == known())
}

/// Returns how to read a database as it is. Its version must be this program's.
pub(super) async fn readable(path: &Path) -> Result<SqliteConnectOptions, StateError> {
    let (options, found) = look(path).await?;
    refuse_newer(path, found)?;
    if found < known() {
        return Err(StateError::Older {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    Ok(options)
}

/// Returns why a database of an earlier version cannot be used beside the service.
pub(super) async fn older(path: &Path) -> StateError {
    match look(path).await {
        Ok((_, found)) => StateError::Older {
            path: path.to_owned(),
            found,
            known: known(),
        },
        Err(error) => error,
    }
}

fn refuse_newer(path: &Path, found: i64) -> Result<(), StateError> {
    match found > known() {
        true => Err(StateError::Newer {
            path: path.to_owned(),
            found,
            known: known(),
        }),
        false => Ok(()),
    }
}

/// Reads the version, and returns it with the options that could be used; 0 if the database is empty.
async fn look(path: &Path) -> Result<(SqliteConnectOptions, i64), StateError> {
    let options = reading(path);
    let found = match version(&options).await {
        Ok(found) => return Ok((options, found)),
        // Where nobody has the database open, SQLite must create two files beside it before it can be read, unless it is
        // told that nobody writes. That holds while there is no log.
        Err(error) if is_barred(&error) && !log_of(path).exists() => {
            let options = options.immutable(true);
            version(&options).await.map(|found| (options, found))
        }
        Err(error) => Err(error),
    };
    found.map_err(|source| StateError::Read {
        path: path.to_owned(),
        source,
    })
}

async fn version(options: &SqliteConnectOptions) -> sqlx::Result<i64> {
    let mut connection = options.connect().await?;
    let has_tables: bool = sqlx::query_scalar(HAS_TABLES).fetch_one(&mut connection).await?;
    if !has_tables {
        return Ok(0);
    }
    let version: Option<i64> = sqlx::query_scalar(VERSION).fetch_one(&mut connection).await?;
    Ok(version.unwrap_or(0))
}

/// Returns whether SQLite was not allowed to create its files.
fn is_barred(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(CANTOPEN | READONLY))
}

/// Returns the path of SQLite's write-ahead log.
fn log_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Migrates the database to this program's version.
pub(super) async fn migrate(writer: &mut SqliteConnection, path: &Path) -> Result<(), StateError> {
    let path = path.to_owned();
    // Some migrations rebuild tables that others refer to. SQLite ignores this within a transaction.
    let enforce = async |writer: &mut SqliteConnection, word| {
        let pragma = sqlx::query(word).execute(writer).await;
        pragma.map_err(|source| StateError::Open {
            path: path.clone(),
            source,
        })
    };
    enforce(writer, "PRAGMA foreign_keys = OFF").await?;
    run_migrations(writer, &path).await?;
    enforce(writer, "PRAGMA foreign_keys = ON").await?;
    Ok(())
}

async fn run_migrations(writer: &mut SqliteConnection, path: &Path) -> Result<(), StateError> {
    let path = path.to_owned();
    // The driver takes no migration lock on SQLite, so this transaction keeps two first starts apart.
    let mut tx = match begin(writer).await {
        Ok(tx) => tx,
        Err(source) => return Err(StateError::Open { path, source }),
    };
    let known = known();
    // `run` returns a future that cannot be spawned ("`Acquire` is not general enough"); this is its inner part.
    match MIGRATIONS.run_direct(None, &mut *tx, false).await {
        Ok(()) => {}
        Err(MigrateError::VersionMissing(found)) if found > known => {
            return Err(StateError::Newer { path, found, known });
        }
        Err(source) => return Err(StateError::Migrate { path, source }),
    }
    tx.commit()
        .await
        .map_err(|source| StateError::Open { path, source })
}
