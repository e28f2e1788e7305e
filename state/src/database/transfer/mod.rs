//! The whole state as a file of SQLite, written from any database and read into any.
//!
//! The file is a state database like any other. So there is one form, which the service itself can work on, and which
//! `sqlite3` reads. What belongs to one database alone stays there: its migrations, who works on it, and its name.

mod copy;
mod error;
mod gates;
mod identities;
mod source;
mod tables;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub use self::copy::CopiedTable;
use self::copy::copy;
use self::error::ToCopy as _;
pub use self::error::TransferError;
pub use self::source::StateFile;
use self::source::refuse_dangling;
use super::{StateDb, begin, schema};
use crate::dialect::{Connection, Place, Transaction};
use crate::error::During as _;

/// Without a log. Whoever writes there next begins one again.
const ONE_FILE: &str = "PRAGMA journal_mode = DELETE";

/// What hears of the rows of a table that were copied so far.
pub type Copying<'p> = &'p (dyn Fn(&str, u64) + Sync);

impl StateDb {
    /// Writes the state as it is at this moment into a new file. Others may write meanwhile.
    pub async fn export(&self, file: &Path, heard: Copying<'_>) -> Result<Vec<CopiedTable>, TransferError> {
        let unfinished = Unfinished::beside(file)?;
        let place = Place::File(unfinished.path.clone());
        let mut connection = super::connect_writer(&place, None).await?;
        schema::migrate(&mut connection, &place).await?;
        let (action, subject) = ("read", "the whole state");
        let mut source = self.readers.begin().await.during(action, subject)?;
        if let Some(path) = self.place.file() {
            refuse_dangling(&mut source, path).await?;
        }
        let mut target = begin(&mut connection).await.to_copy("the state")?;
        let copied = copy(&mut source, &mut target, heard).await?;
        target.commit().await.to_copy("the state")?;
        // So nothing lies beside the file when it is read.
        connection.run(ONE_FILE).await.to_copy("the state")?;
        connection.close().await.to_copy("the state")?;
        unfinished.finish(file)?;
        Ok(copied)
    }

    /// Reads the state of a file into this database, which must be empty. All of it, or nothing.
    pub async fn import(
        &self,
        file: StateFile,
        heard: Copying<'_>,
    ) -> Result<Vec<CopiedTable>, TransferError> {
        let StateFile {
            mut connection,
            copy: _copy,
        } = file;
        let mut source = Transaction::to_read(&mut connection).await.to_copy("the state")?;
        let mut writer = self.writer().await.to_copy("the state")?;
        let (given, tables) = (identities::read(&mut source).await, tables::all().await?);
        let given = given.to_copy("the numbers given so far")?;
        // Reserving numbers ends a transaction, so it is looked twice: what is refused is left as it is.
        self.must_be_empty(&mut *begin(&mut writer).await.to_copy("the state")?)
            .await?;
        identities::reserve(&mut writer, &tables, &given)
            .await
            .to_copy("the numbers given so far")?;
        let mut target = begin(&mut writer).await.to_copy("the state")?;
        self.must_be_empty(&mut target).await?;
        let copied = copy(&mut source, &mut target, heard).await?;
        target.commit().await.to_copy("the state")?;
        drop(source);
        connection.close().await.to_copy("the state")?;
        Ok(copied)
    }

    async fn must_be_empty(&self, connection: &mut Connection) -> Result<(), TransferError> {
        for table in tables::all().await?.iter().filter(|table| !table.is_seeded) {
            if table.has_rows(connection).await.to_copy(&table.name)? {
                return Err(TransferError::NotEmpty {
                    place: self.place.clone(),
                    table: table.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// A file that is not whole yet. It is removed unless it is finished.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Creates one beside a file that must not exist.
    fn beside(file: &Path) -> Result<Self, TransferError> {
        match fs::symlink_metadata(file) {
            Ok(_) => Err(TransferError::Exists(file.to_owned())),
            Err(_) => Self::create(file),
        }
    }

    /// Creates one for a copy of a file.
    fn create(file: &Path) -> Result<Self, TransferError> {
        let mut path = file.as_os_str().to_owned();
        path.push(format!(".unfinished-{}", std::process::id()));
        let path = PathBuf::from(path);
        match File::create_new(&path) {
            Ok(_) => Ok(Self { path }),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Err(TransferError::Exists(path)),
            Err(source) => Err(TransferError::Write { path, source }),
        }
    }

    /// Gives the file its name, once all of it is on disk.
    fn finish(self, file: &Path) -> Result<(), TransferError> {
        if fs::symlink_metadata(file).is_ok() {
            return Err(TransferError::Exists(file.to_owned()));
        }
        let finished = || -> io::Result<()> {
            File::open(&self.path)?.sync_all()?;
            fs::rename(&self.path, file)?;
            // The name of a file without a folder is relative to the one that the program is in.
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        finished().map_err(|source| TransferError::Write {
            path: file.to_owned(),
            source,
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // SQLite's log and its index lie beside a file that was given up. What is gone already has its name.
        for ending in ["", "-wal", "-shm"] {
            let mut path = self.path.as_os_str().to_owned();
            path.push(ending);
            let _ = fs::remove_file(PathBuf::from(path));
        }
    }
}
