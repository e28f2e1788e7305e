//! The version of the schema in a database on a server of MySQL or MariaDB, and its migrations.
//!
//! Its numbers are those of Postgres. A statement that creates something is a transaction of its own there, and none of it can be
//! undone: a migration that was interrupted is noticed, and left to a person.

use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::mysql::Server;
use tokio::time::sleep;

use super::migration::{Migration, check, newest};
use super::{refuse_newer, refuse_older};
use crate::dialect::mysql::MySql;
use crate::dialect::{
    Connection, DatabaseError, Place, Purpose, Reading, Transaction, query, query_as, query_scalar,
};
use crate::error::{MigrationError, StateError};

macro_rules! texts {
    ($($name:literal)+) => {
        &[$(include_str!(concat!("../../../migrations/mysql/", $name))),+]
    };
}

/// All migrations, in their order.
static MIGRATIONS: [Migration; 3] = [
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
];

/// What the database must be, the first text of the first migration. It is run before anybody holds [`LOCK`]: it needs the
/// database for itself, and MySQL takes a transaction that has written a row to use it until its end. If another first start
/// holds the lock already, this one gives up soon: that one's statements wait behind it.
const DATABASE: &str = include_str!("../../../migrations/mysql/0030_0_server.sql");

const IS_DATABASE_SET: &str = "
    SELECT default_collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')
      FROM information_schema.schemata WHERE schema_name = database()";
const IS_BEGUN: &str = "SELECT EXISTS (SELECT 1 FROM gristmill_migration)";
const WAIT_SHORTLY: &str = "SET SESSION lock_wait_timeout = 5";
const WAIT_AS_USUAL: &str = "SET SESSION lock_wait_timeout = DEFAULT";
/// How often to try, and the pause before the next time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// The oldest servers that have what the statements need, JSON_TABLE for one.
const OLDEST_MARIADB: (u32, u32, u32) = (10, 6, 0);
const OLDEST_MYSQL: (u32, u32, u32) = (8, 0, 19);

/// The migrations that were applied, or at least begun; and the row that whoever migrates locks.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS gristmill_migration (
        version     bigint PRIMARY KEY,
        description longtext NOT NULL,
        checksum    longtext NOT NULL,
        applied     datetime(6)
    );
    CREATE TABLE IF NOT EXISTS gristmill_migrating (one bigint PRIMARY KEY);
    INSERT IGNORE INTO gristmill_migrating VALUES (1)";

/// How long whoever migrates is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two first starts at once apply no migration twice. The row is there already: of several that wait to add one, all but one
/// would be refused once it is clear that nobody adds it.
const LOCK: &str = "UPDATE gristmill_migrating SET one = 1 WHERE one = 1";

/// Where a server notes changes for others, not everybody may create functions and triggers. It says so before anything is
/// begun that could not be undone.
const TRIAL: &str = "
    DROP FUNCTION IF EXISTS gristmill_trial;
    CREATE FUNCTION gristmill_trial() RETURNS bigint DETERMINISTIC NO SQL RETURN 1;
    DROP FUNCTION gristmill_trial";

const SERVER: &str = "SELECT version()";

const HAS_TABLE: &str = "
    SELECT EXISTS (SELECT 1 FROM information_schema.tables
                    WHERE table_schema = database() AND table_name = 'gristmill_migration')";

const VERSION: &str = "SELECT max(version) FROM gristmill_migration WHERE applied IS NOT NULL";

const APPLIED: &str =
    "SELECT version, checksum, applied IS NOT NULL FROM gristmill_migration ORDER BY version";

const NOTE_BEGUN: &str =
    "INSERT INTO gristmill_migration (version, description, checksum) VALUES (?1, ?2, ?3)";

const NOTE_APPLIED: &str = "UPDATE gristmill_migration SET applied = utc_timestamp(6) WHERE version = ?1";

/// Returns the version of this program's schema.
pub(super) fn known() -> i64 {
    newest(&MIGRATIONS)
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
    let mut connection = Connection::MySql(Box::new(MySql::connect(server, Purpose::Read).await?));
    let has_table: bool = query_scalar(HAS_TABLE).fetch_one(&mut connection).await?;
    let version = match has_table {
        true => query_scalar(VERSION).fetch_one(&mut connection).await?,
        false => None::<i64>,
    };
    connection.close().await?;
    Ok(version.unwrap_or(0))
}

/// Migrates a database to this program's version.
pub(super) async fn migrate(writer: &mut Connection, place: &Place) -> Result<(), StateError> {
    match run_migrations(writer, place).await {
        Ok(found) => refuse_newer(place, found, known()),
        Err(MigrationError::Database(DatabaseError::LeaseLost(database))) => {
            Err(StateError::LeaseLost { database })
        }
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
async fn run_migrations(writer: &mut Connection, place: &Place) -> Result<i64, MigrationError> {
    // What creates tables ends its transaction, so another connection holds the lock meanwhile.
    let (mut connection, mut guard) = (beside(place).await?, beside(place).await?);
    refuse_old_server(&mut connection).await?;
    prepare(&mut connection).await?;
    // It is idle meanwhile.
    guard.run("SET SESSION wait_timeout = 28800").await?;
    let mut lock = Transaction::beside(&mut guard).await?;
    query(LOCK).execute(&mut *lock).await?;
    let found = apply_missing(&mut connection, writer).await?;
    drop(lock);
    connection.close().await?;
    guard.close().await?;
    Ok(found)
}

/// Makes the database what a migration needs. Of several first starts at once, one may be in another one's way.
async fn prepare(connection: &mut Connection) -> Result<(), DatabaseError> {
    connection.run(WAIT_SHORTLY).await?;
    for attempt in 1.. {
        match try_to_prepare(connection).await {
            Err(error) if error.is_busy() && attempt < ATTEMPTS => sleep(PAUSE).await,
            done => {
                done?;
                break;
            }
        }
    }
    connection.run(WAIT_AS_USUAL).await
}

async fn try_to_prepare(connection: &mut Connection) -> Result<(), DatabaseError> {
    let is_set: bool = query_scalar(IS_DATABASE_SET).fetch_one(&mut *connection).await?;
    if !is_set && !is_begun(connection).await? {
        connection.run(DATABASE).await?;
    }
    connection.run(TABLES).await
}

async fn is_begun(connection: &mut Connection) -> Result<bool, DatabaseError> {
    match query_scalar(HAS_TABLE).fetch_one(&mut *connection).await? {
        true => query_scalar(IS_BEGUN).fetch_one(&mut *connection).await,
        false => Ok(false),
    }
}

async fn beside(place: &Place) -> Result<Connection, DatabaseError> {
    let connection = place.connect_beside(PATIENCE, true).await?;
    connection.ok_or(DatabaseError::Closed)
}

async fn refuse_old_server(connection: &mut Connection) -> Result<(), MigrationError> {
    let version: String = query_scalar(SERVER).fetch_one(connection).await?;
    match is_new_enough(&version) {
        true => Ok(()),
        false => Err(MigrationError::TooOld(version)),
    }
}

fn is_new_enough(version: &str) -> bool {
    let oldest = match version.contains("MariaDB") {
        true => OLDEST_MARIADB,
        false => OLDEST_MYSQL,
    };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next(), next()) >= oldest
}

async fn apply_missing(connection: &mut Connection, writer: &mut Connection) -> Result<i64, MigrationError> {
    let begun: Vec<(i64, String, bool)> = query_as(APPLIED).fetch_all(&mut *connection).await?;
    let found = begun.last().map_or(0, |(version, ..)| *version);
    if found > known() {
        return Ok(found);
    }
    if let Some((version, ..)) = begun.iter().find(|(.., is_applied)| !is_applied) {
        return Err(MigrationError::Interrupted(*version));
    }
    let applied: Vec<_> = begun
        .into_iter()
        .map(|(version, checksum, _)| (version, checksum))
        .collect();
    check(&MIGRATIONS, &applied)?;
    let known_until = MIGRATIONS.partition_point(|migration| migration.version <= found);
    let missing = &MIGRATIONS[known_until..];
    if found > 0 {
        // A service that another one has followed must not change the tables under it.
        Transaction::to_write(writer).await?.commit().await?;
    }
    if !missing.is_empty() {
        connection.run(TRIAL).await?;
    }
    for migration in missing {
        let note = query(NOTE_BEGUN)
            .bind(migration.version)
            .bind(migration.description);
        note.bind(migration.checksum()).execute(&mut *connection).await?;
        for text in migration.texts.iter().filter(|text| **text != DATABASE) {
            connection.run(text).await?;
        }
        query(NOTE_APPLIED)
            .bind(migration.version)
            .execute(&mut *connection)
            .await?;
    }
    Ok(known())
}

#[cfg(test)]
mod tests {
    use super::super::migration::assert_are_of;
    use super::*;

    #[test]
    fn every_file_is_part_of_a_migration_in_its_order() {
        assert_are_of(&MIGRATIONS, "mysql");
        assert_eq!(MIGRATIONS[0].texts[0], DATABASE);
    }

    #[test]
    fn old_servers_are_told_from_new_ones() {
        for (version, is_enough) in [
            ("10.11.19-MariaDB-0+deb12u1", true),
            ("10.6.0-MariaDB", true),
            ("10.5.28-MariaDB", false),
            ("11.8.2-MariaDB-log", true),
            ("8.0.19", true),
            ("8.0.18-log", false),
            ("8.4.0", true),
            ("5.7.44", false),
        ] {
            assert_eq!(is_new_enough(version), is_enough, "{version}");
        }
    }
}
