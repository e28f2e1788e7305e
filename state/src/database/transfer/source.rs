//! The file that a state is read from. It is never changed.

use std::path::Path;

use super::error::{ToCopy as _, TransferError};
use super::{Unfinished, schema};
use crate::dialect::sqlite::Sqlite;
use crate::dialect::{Connection, Place, query, query_as};
use crate::error::StateError;
use crate::lock::ServiceLock;

/// The first row that refers to one that is gone.
const DANGLING: &str = "
    SELECT \"table\" || coalesce(' with rowid ' || rowid, ''), parent FROM pragma_foreign_key_check LIMIT 1";

/// A copy that is whole, and has the log of the file that it is of.
const COPY: &str = "VACUUM INTO ?1";

/// A state in a file, in this program's version.
#[derive(Debug)]
pub struct StateFile {
    pub(super) connection: Connection,
    /// The migrated copy of a file of an earlier version, which is removed in the end.
    pub(super) copy: Option<Unfinished>,
}

impl StateFile {
    /// Opens a file that no service works on. One of an earlier version is copied, and the copy migrated.
    pub async fn open(path: &Path) -> Result<Self, TransferError> {
        if !path.exists() {
            return Err(TransferError::Missing(path.to_owned()));
        }
        let place = Place::from(path);
        let (options, found) = schema::look_at_file(path).await?;
        if found == 0 {
            return Err(TransferError::NoState(path.to_owned()));
        }
        // What a service records from now on would be missing.
        if let Some(holder) = ServiceLock::holder(path)? {
            return Err(StateError::AlreadyRunning {
                path: path.to_owned(),
                pid: holder.pid,
            }
            .into());
        }
        let is_current = schema::is_current(&place).await?;
        let sqlite = Sqlite::connect(&options).await.to_copy("the state")?;
        let mut connection = Connection::Sqlite(sqlite);
        refuse_dangling(&mut connection, path).await?;
        if is_current {
            return Ok(Self {
                connection,
                copy: None,
            });
        }
        let copy = Unfinished::create(path)?;
        let to = copy.path.to_string_lossy().into_owned();
        query(COPY)
            .bind(to)
            .execute(&mut connection)
            .await
            .to_copy("the state")?;
        connection.close().await.to_copy("the state")?;
        let place = Place::from(&copy.path);
        let mut connection = super::super::connect_writer(&place, None).await?;
        schema::migrate(&mut connection, &place).await?;
        Ok(Self {
            connection,
            copy: Some(copy),
        })
    }
}

/// Refuses a file in which a row refers to one that is gone.
pub(super) async fn refuse_dangling(connection: &mut Connection, path: &Path) -> Result<(), TransferError> {
    let dangling = query_as(DANGLING).fetch_optional(connection).await;
    match dangling.to_copy("the state")? {
        Some((row, parent)) => Err(TransferError::Dangling {
            path: path.to_owned(),
            row,
            parent,
        }),
        None => Ok(()),
    }
}
