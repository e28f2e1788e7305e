//! The version of the schema in a database on a server of Postgres, and its migrations.
//!
//! Its numbers are its own: 30 is the schema that SQLite has with 29.

use std::sync::Arc;

use gristmill_servers::postgres::Server;

use super::migration::{Migration, check, newest};
use super::{refuse_newer, refuse_older};
use crate::dialect::postgres::{Postgres, refuse_shared_sessions};
use crate::dialect::{Connection, DatabaseError, Place, Purpose, Reading, query_scalar};
use crate::error::{MigrationError, StateError};

macro_rules! texts {
    ($($name:literal)+) => {
        &[$(include_str!(concat!("../../../migrations/postgres/", $name))),+]
    };
}

/// All migrations, in their order. The texts of one are run in one transaction.
const MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 30,
        description: "initial",
        texts: texts! {
            "0030_0_server.sql"
            "0030_1_functions.sql"
            "0030_2_tables.sql"
            "0030_3_tables_of_work.sql"
            "0030_4_values.sql"
            "0030_5_jobs.sql"
            "0030_6_files.sql"
            "0030_7_runs.sql"
            "0030_8_edits.sql"
            "0030_9_views.sql"
        },
    },
    Migration {
        version: 31,
        description: "service lease",
        texts: texts! { "0031_service_lease.sql" },
    },
    Migration {
        version: 32,
        description: "workers",
        texts: texts! { "0032_workers.sql" },
    },
    Migration {
        version: 33,
        description: "references",
        texts: texts! { "0033_references.sql" },
    },
    Migration {
        version: 34,
        description: "wake-ups",
        texts: texts! { "0034_wake_ups.sql" },
    },
];

/// The migrations that were applied.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS gristmill_migration (
        version     bigint PRIMARY KEY,
        description text NOT NULL,
        checksum    text NOT NULL,
        applied     timestamptz NOT NULL DEFAULT now()
    )";

/// Two first starts at once apply no migration twice.
const BEGIN: &str = "BEGIN; LOCK TABLE gristmill_migration IN EXCLUSIVE MODE";

const HAS_TABLE: &str = "SELECT to_regclass('gristmill_migration') IS NOT NULL";

const VERSION: &str = "SELECT max(version) FROM gristmill_migration";

const APPLIED: &str = "SELECT version, checksum FROM gristmill_migration ORDER BY version";

const NOTE: &str = "INSERT INTO gristmill_migration (version, description, checksum) VALUES (?1, ?2, ?3)";

/// Returns the version of this program's schema.
pub(super) fn known() -> i64 {
    newest(&MIGRATIONS)
}

/// Returns the newest text that makes a view, from its first line on.
pub(in crate::database) fn text_of_view(name: &str) -> Option<&'static str> {
    let texts = MIGRATIONS.iter().rev().flat_map(|migration| migration.texts);
    let begin = format!("CREATE VIEW {name} AS\n");
    texts
        .into_iter()
        .find_map(|text| Some(&text[text.find(&begin)?..]))
}

/// Returns how to read a database as it is. Its version must be this program's.
pub(super) async fn readable(server: &Arc<Server>) -> Result<Reading, StateError> {
    let found = look(server).await?;
    let place = Place::from(server.clone());
    refuse_newer(&place, found, known())?;
    refuse_older(&place, found, known())?;
    Ok(place.reading())
}

/// Reads the version; 0 if there is none.
pub(super) async fn look(server: &Arc<Server>) -> Result<i64, StateError> {
    version(server).await.map_err(|source| StateError::Read {
        place: Place::from(server.clone()),
        source,
    })
}

async fn version(server: &Arc<Server>) -> Result<i64, DatabaseError> {
    refuse_shared_sessions(server).await?;
    let mut connection = Connection::Postgres(Box::new(Postgres::connect(server, Purpose::Read).await?));
    let has_table: bool = query_scalar(HAS_TABLE).fetch_one(&mut connection).await?;
    if !has_table {
        return Ok(0);
    }
    let version: Option<i64> = query_scalar(VERSION).fetch_one(&mut connection).await?;
    Ok(version.unwrap_or(0))
}

/// Migrates a database to this program's version.
pub(super) async fn migrate(writer: &mut Postgres, place: &Place) -> Result<(), StateError> {
    match run_migrations(writer).await {
        Ok(found) => refuse_newer(place, found, known()),
        Err(MigrationError::Database(DatabaseError::LeaseLost(database))) => {
            Err(StateError::LeaseLost { database })
        }
        // Nothing was changed: the transaction was undone.
        Err(MigrationError::Database(source)) => Err(StateError::Open {
            place: place.clone(),
            source,
        }),
        Err(source) => Err(StateError::Migrate {
            place: place.clone(),
            source,
        }),
    }
}

/// Applies what is missing. Returns the newest version that was there, or that of this program.
async fn run_migrations(writer: &mut Postgres) -> Result<i64, MigrationError> {
    // Of two that create the table at once, one may fail.
    if writer.batch(TABLE).await.is_err() {
        writer.batch(TABLE).await?;
    }
    writer.begin(BEGIN).await?;
    match apply_missing(writer).await {
        Ok(newest) => {
            writer.commit().await?;
            Ok(newest)
        }
        Err(error) => {
            writer.start_rollback();
            Err(error)
        }
    }
}

async fn apply_missing(writer: &mut Postgres) -> Result<i64, MigrationError> {
    let applied = writer.rows(APPLIED, Vec::new()).await?;
    let applied = applied.iter().map(|row| Ok((row.at(0)?, row.at(1)?)));
    let applied = applied.collect::<Result<Vec<(i64, String)>, DatabaseError>>()?;
    let found = applied.last().map_or(0, |(version, _)| *version);
    if found > known() {
        return Ok(found);
    }
    check(&MIGRATIONS, &applied)?;
    if found > 0 {
        // A service that another one has followed must not change the tables under it.
        writer.count_write("SELECT 1").await?;
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        for text in migration.texts {
            writer.batch(text).await?;
        }
        let note = [
            migration.version.into(),
            migration.description.into(),
            migration.checksum().into(),
        ];
        writer.execute(NOTE, note.into()).await?;
    }
    Ok(known())
}

#[cfg(test)]
mod tests {
    use super::super::migration::assert_are_of;
    use super::*;

    #[test]
    fn every_file_is_part_of_a_migration_in_its_order() {
        assert_are_of(&MIGRATIONS, "postgres");
    }
}
