//! A lock that only one process can hold: on a state database, or on a lake.
//!
//! The operating system releases it when its holder dies. A process that acquires the lock therefore knows that every
//! run that is still RUNNING belongs to a dead process.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::StateError;

/// A lock held by this process; dropping it lets the next process in.
#[derive(Debug)]
pub struct ServiceLock {
    file: File,
}

/// Who holds a lock, or the lease on a state database on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process, if the lock file names it.
    pub pid: Option<u32>,
    /// When it took the lock or the lease, by the clock of the file system or of the server.
    pub since: Option<Timestamp>,
    /// Of a lease: the host that the process is on.
    pub host: Option<String>,
    /// Of a lease: when it ends unless it is renewed.
    pub lease_until: Option<Timestamp>,
    /// Of a lease: how many seconds ago it was renewed.
    pub lease_age: Option<u64>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("process unknown")?,
        }
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        Ok(())
    }
}

/// How long to wait before a lock that is held is tried once more: [`ServiceLock::holder`] holds it for a moment.
const GLANCE: Duration = Duration::from_millis(100);

impl ServiceLock {
    /// Returns who holds the lock on a state database; `None` if nobody does.
    pub fn holder(what: &Path) -> Result<Option<Holder>, StateError> {
        let path = beside(what);
        let failed = |source| StateError::Lock {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let taken = file.metadata().and_then(|metadata| metadata.modified()).ok();
                Ok(Some(Holder {
                    pid: named_in(&mut file),
                    since: taken.and_then(|taken| Timestamp::try_from(taken).ok()),
                    host: None,
                    lease_until: None,
                    lease_age: None,
                }))
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Acquires the lock on a state database, or on another file or folder. The lock file lies beside it, under the
    /// same name with `.lock` appended.
    pub fn acquire(what: &Path) -> Result<Self, StateError> {
        let path = beside(what);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| StateError::Folder {
                path: path.clone(),
                source,
            })?;
        }
        let failed = |source| StateError::Lock {
            path: path.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let tried = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(GLANCE);
                file.try_lock()
            }
            tried => tried,
        };
        match tried {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = named_in(&mut file);
                return Err(StateError::AlreadyRunning { path, pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

/// Returns the path of a lock file.
fn beside(what: &Path) -> PathBuf {
    let mut name = OsString::from(what);
    name.push(".lock");
    name.into()
}

/// Returns the process that a lock file names.
fn named_in(file: &mut File) -> Option<u32> {
    let mut holder = String::new();
    file.read_to_string(&mut holder).ok()?;
    holder.trim().parse().ok()
}

impl Drop for ServiceLock {
    fn drop(&mut self) {
        // The file stays: deleting it could let two processes hold locks on two files of the same name. A process id
        // that cannot be erased does no harm: it is read only while a process holds the lock.
        let _ = self.file.set_len(0);
    }
}
