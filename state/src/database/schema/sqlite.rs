//! The version of the schema in a file of SQLite, and its migrations.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use super::{refuse_newer, refuse_older};
use crate::dialect::sqlite::reading;
use crate::dialect::{CANTOPEN, Place, READONLY, sqlite_code};
use crate::error::StateError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The version of the newest migration that was applied. The table is the migrator's.
const VERSION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

/// Whether the migrator has been there: a database of something else, and one that was just created, has no such table.
const HAS_TABLES: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";

/// Returns the version of this program's schema.
pub(super) fn known() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Returns how to read a file as it is. Its version must be this program's.
pub(in crate::database) async fn readable(path: &Path) -> Result<SqliteConnectOptions, StateError> {
    let (options, found) = look(path).await?;
    let place = Place::from(path);
    refuse_newer(&place, found, known())?;
    refuse_older(&place, found, known())?;
    Ok(options)
}

/// Reads the version, and returns it with the options that could be used; 0 if it is no state database, or a new one.
pub(in crate::database) async fn look(path: &Path) -> Result<(SqliteConnectOptions, i64), StateError> {
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
        place: path.into(),
        source: source.into(),
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

/// Migrates a file to this program's version.
pub(super) async fn migrate(writer: &mut SqliteConnection, place: &Place) -> Result<(), StateError> {
    // Some migrations rebuild tables that others refer to. SQLite ignores this within a transaction.
    let enforce = async |writer: &mut SqliteConnection, word| {
        let pragma = sqlx::query(word).execute(writer).await;
        pragma.map_err(|source| not_open(place, source))
    };
    enforce(writer, "PRAGMA foreign_keys = OFF").await?;
    run_migrations(writer, place).await?;
    enforce(writer, "PRAGMA foreign_keys = ON").await?;
    Ok(())
}

async fn run_migrations(writer: &mut SqliteConnection, place: &Place) -> Result<(), StateError> {
    // The driver takes no migration lock on SQLite, so this transaction keeps two first starts apart.
    let begun = writer.begin_with("BEGIN IMMEDIATE").await;
    let mut tx = begun.map_err(|source| not_open(place, source))?;
    let known = known();
    // `run` returns a future that cannot be spawned ("`Acquire` is not general enough"); this is its inner part.
    match MIGRATIONS.run_direct(None, &mut *tx, false).await {
        Ok(()) => {}
        Err(MigrateError::VersionMissing(found)) if found > known => refuse_newer(place, found, known)?,
        Err(source) => {
            return Err(StateError::Migrate {
                place: place.clone(),
                source: source.into(),
            });
        }
    }
    tx.commit().await.map_err(|source| not_open(place, source))
}

fn not_open(place: &Place, source: sqlx::Error) -> StateError {
    StateError::Open {
        place: place.clone(),
        source: source.into(),
    }
}
