//! The version of the database's schema: who may migrate it, and who may read it as it is.

mod migration;
mod mysql;
mod postgres;
mod sqlite;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::dialect::{Connection, Place, Reading};
use crate::error::StateError;

pub(super) use self::postgres::text_of_view;
pub(super) use self::sqlite::{look as look_at_file, readable as readable_file};

/// Returns whether the database exists and has this program's version. A newer one is an error.
pub(super) async fn is_current(place: &Place) -> Result<bool, StateError> {
    let (found, known) = match place {
        Place::File(path) if !path.exists() => return Ok(false),
        Place::File(path) => (sqlite::look(path).await?.1, sqlite::known()),
        Place::Postgres(server, _) => (postgres::look(server).await?, postgres::known()),
        Place::MySql(server, _) => (mysql::look(server).await?, mysql::known()),
    };
    refuse_newer(place, found, known)?;
    Ok(found == known)
}

/// Returns whether a database has nothing of this program yet.
pub(super) async fn is_absent(place: &Place) -> Result<bool, StateError> {
    match place {
        Place::File(path) => Ok(!path.exists()),
        Place::Postgres(server, _) => Ok(postgres::look(server).await? == 0),
        Place::MySql(server, _) => Ok(mysql::look(server).await? == 0),
    }
}

/// Returns how to read a database as it is. Its version must be this program's.
pub(super) async fn readable(place: &Place) -> Result<Reading, StateError> {
    match place {
        Place::File(path) => Ok(Reading::Sqlite(Box::new(sqlite::readable(path).await?))),
        Place::Postgres(server, _) => postgres::readable(server).await,
        Place::MySql(server, _) => mysql::readable(server).await,
    }
}

/// Returns why a database of an earlier version cannot be used beside the service.
pub(super) async fn older(place: &Place) -> StateError {
    let found = match place {
        Place::Postgres(server, _) => postgres::look(server)
            .await
            .map(|found| (found, postgres::known())),
        Place::MySql(server, _) => mysql::look(server).await.map(|found| (found, mysql::known())),
        Place::File(path) => sqlite::look(path)
            .await
            .map(|(_, found)| (found, sqlite::known())),
    };
    match found {
        Ok((found, known)) => StateError::Older {
            place: place.clone(),
            found,
            known,
        },
        Err(error) => error,
    }
}

/// Migrates the database to this program's version.
pub(super) fn migrate<'c>(
    writer: &'c mut Connection,
    place: &'c Place,
) -> BoxFuture<'c, Result<(), StateError>> {
    match writer {
        Connection::Sqlite(sqlite) => sqlite::migrate(sqlite.driver(), place).boxed(),
        Connection::Postgres(postgres) => postgres::migrate(postgres, place).boxed(),
        Connection::MySql(_) => mysql::migrate(writer, place).boxed(),
    }
}

fn refuse_newer(place: &Place, found: i64, known: i64) -> Result<(), StateError> {
    match found > known {
        true => Err(StateError::Newer {
            place: place.clone(),
            found,
            known,
        }),
        false => Ok(()),
    }
}

fn refuse_older(place: &Place, found: i64, known: i64) -> Result<(), StateError> {
    match found < known {
        true => Err(StateError::Older {
            place: place.clone(),
            found,
            known,
        }),
        false => Ok(()),
    }
}
