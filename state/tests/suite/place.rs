//! Where these tests have their databases: each in a file of its own.

use std::path::Path;

use gristmill_state::{Answerer, Place};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use crate::support::Fixture;

/// What must outlive a database.
pub type Kept = TempDir;

pub fn new_place() -> (Place, Kept) {
    let folder = tempfile::tempdir().unwrap();
    (Place::File(folder.path().join("deep/er/state.db")), folder)
}

/// Returns who answers questions about a database.
pub fn answerer(f: &Fixture) -> Answerer {
    Answerer::File(file(f).to_owned())
}

/// Returns the file of a database.
pub fn file(f: &Fixture) -> &Path {
    match &f.place {
        Place::File(path) => path,
        Place::Postgres(..) | Place::MySql(..) => panic!("it is on a server"),
    }
}

/// Connects with SQLite's driver.
pub async fn connection(f: &Fixture) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file(f));
    options.connect().await.unwrap()
}
