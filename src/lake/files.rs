//! Local files of the lake: those that are being written, and those that are read.

use std::io;
use std::path::{Path, PathBuf};

use super::cache::Kept;

/// A file that is being written. It is removed when this value is dropped, unless it was published.
#[derive(Debug)]
pub struct Spooled(pub(super) PathBuf);

/// The local file of an object, which stays as long as this value does.
#[derive(Clone, Debug)]
pub struct LocalFile {
    pub(super) path: PathBuf,
    pub(super) _kept: Option<Kept>,
}

impl LocalFile {
    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Spooled {
    /// Returns the path to write to.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Forgets the file, because it was moved elsewhere.
    pub(super) fn moved(mut self) {
        self.0.clear();
    }

    /// Moves the file to its name, and creates the folder for it if necessary.
    pub(super) fn rename(self, name: &Path) -> io::Result<()> {
        match std::fs::rename(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(name.parent().unwrap_or(name))?;
                std::fs::rename(&self.0, name)?;
            }
            renamed => renamed?,
        }
        self.moved();
        Ok(())
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // A published file has no path here any more. If the removal fails, the next start clears the spool.
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
