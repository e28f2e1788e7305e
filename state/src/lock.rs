//! A lock that only one process can hold: on a state database, or on a lake.
//!
//! The operating system releases it when its holder dies. A process that acquires the lock therefore knows that every
//! run that is still RUNNING belongs to a dead process.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::StateError;

/// A lock held by this process; dropping it lets the next process in.
#[derive(Debug)]
pub struct ServiceLock {
    file: File,
}

impl ServiceLock {
    /// Acquires the lock on a state database, or on another file or folder. The lock file lies beside it, under the
    /// same name with `.lock` appended.
    pub fn acquire(what: &Path) -> Result<Self, StateError> {
        let mut name = OsString::from(what);
        name.push(".lock");
        let path = PathBuf::from(name);
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let pid = file
                    .read_to_string(&mut holder)
                    .ok()
                    .and_then(|_| holder.trim().parse().ok());
                return Err(StateError::AlreadyRunning { path, pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for ServiceLock {
    fn drop(&mut self) {
        // The file stays: deleting it could let two processes hold locks on two files of the same name. A process id
        // that cannot be erased does no harm: it is read only while a process holds the lock.
        let _ = self.file.set_len(0);
    }
}
