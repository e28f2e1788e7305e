//! The version of the schema in a file of SQLite, and its migrations.

use std::path::Path;

use sqlx::migrate::{MigrateError, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, SqlSafeStr as _, SqliteConnection};

use super::migration::{Migration, newest};
use super::{refuse_newer, refuse_older};
use crate::dialect::sqlite::reading;
use crate::dialect::{CANTOPEN, Place, READONLY, sqlite_code};
use crate::error::StateError;

macro_rules! texts {
    ($name:literal) => {
        &[include_str!(concat!("../../../migrations/sqlite/", $name))]
    };
}

/// All migrations, in their order. What `sqlx::migrate!` needs would have SQLite compiled twice.
static MIGRATIONS: [Migration; 27] = [
    Migration {
        version: 1,
        description: "initial",
        texts: texts! { "0001_initial.sql" },
    },
    Migration {
        version: 2,
        description: "retention",
        texts: texts! { "0002_retention.sql" },
    },
    Migration {
        version: 3,
        description: "put away",
        texts: texts! { "0003_put_away.sql" },
    },
    Migration {
        version: 4,
        description: "to put away",
        texts: texts! { "0004_to_put_away.sql" },
    },
    Migration {
        version: 5,
        description: "last line",
        texts: texts! { "0005_last_line.sql" },
    },
    Migration {
        version: 6,
        description: "days",
        texts: texts! { "0006_days.sql" },
    },
    Migration {
        version: 8,
        description: "written",
        texts: texts! { "0008_written.sql" },
    },
    Migration {
        version: 9,
        description: "ledger",
        texts: texts! { "0009_ledger.sql" },
    },
    Migration {
        version: 10,
        description: "sight",
        texts: texts! { "0010_sight.sql" },
    },
    Migration {
        version: 11,
        description: "older days",
        texts: texts! { "0011_older_days.sql" },
    },
    Migration {
        version: 12,
        description: "waiting",
        texts: texts! { "0012_waiting.sql" },
    },
    Migration {
        version: 13,
        description: "attempts",
        texts: texts! { "0013_attempts.sql" },
    },
    Migration {
        version: 14,
        description: "possible values",
        texts: texts! { "0014_possible_values.sql" },
    },
    Migration {
        version: 15,
        description: "job history",
        texts: texts! { "0015_job_history.sql" },
    },
    Migration {
        version: 17,
        description: "members",
        texts: texts! { "0017_members.sql" },
    },
    Migration {
        version: 18,
        description: "lookups",
        texts: texts! { "0018_lookups.sql" },
    },
    Migration {
        version: 19,
        description: "runs",
        texts: texts! { "0019_runs.sql" },
    },
    Migration {
        version: 20,
        description: "archives",
        texts: texts! { "0020_archives.sql" },
    },
    Migration {
        version: 21,
        description: "inputs of",
        texts: texts! { "0021_inputs_of.sql" },
    },
    Migration {
        version: 22,
        description: "summarized",
        texts: texts! { "0022_summarized.sql" },
    },
    Migration {
        version: 23,
        description: "alerts",
        texts: texts! { "0023_alerts.sql" },
    },
    Migration {
        version: 24,
        description: "tallies",
        texts: texts! { "0024_tallies.sql" },
    },
    Migration {
        version: 25,
        description: "stores",
        texts: texts! { "0025_stores.sql" },
    },
    Migration {
        version: 26,
        description: "newest files",
        texts: texts! { "0026_newest_files.sql" },
    },
    Migration {
        version: 27,
        description: "views in no order",
        texts: texts! { "0027_views_in_no_order.sql" },
    },
    Migration {
        version: 28,
        description: "cluster operation",
        texts: texts! { "0028_cluster_operation.sql" },
    },
    Migration {
        version: 29,
        description: "files without versions",
        texts: texts! { "0029_files_without_versions.sql" },
    },
];

/// The version of the newest migration that was applied. The table is the migrator's.
const VERSION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

/// Whether the migrator has been there: a database of something else, and one that was just created, has no such table.
const HAS_TABLES: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";

/// Returns the version of this program's schema.
pub(super) fn known() -> i64 {
    newest(&MIGRATIONS)
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

/// Returns the driver's migrator, which records what it did in a table of its own.
fn migrator() -> Migrator {
    let steps = MIGRATIONS.iter().map(|migration| {
        let text = AssertSqlSafe(migration.texts.concat()).into_sql_str();
        let description = migration.description.into();
        sqlx::migrate::Migration::new(migration.version, description, MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(steps.collect())
}

async fn run_migrations(writer: &mut SqliteConnection, place: &Place) -> Result<(), StateError> {
    // The driver takes no migration lock on SQLite, so this transaction keeps two first starts apart.
    let begun = writer.begin_with("BEGIN IMMEDIATE").await;
    let mut tx = begun.map_err(|source| not_open(place, source))?;
    let known = known();
    // `run` returns a future that cannot be spawned ("`Acquire` is not general enough"); this is its inner part.
    match migrator().run_direct(None, &mut *tx, false).await {
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

#[cfg(test)]
mod tests {
    use super::super::migration::assert_are_of;
    use super::*;

    #[test]
    fn every_file_is_a_migration_in_its_order() {
        assert_are_of(&MIGRATIONS, "sqlite");
    }
}
