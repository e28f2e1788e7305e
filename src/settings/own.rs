//! gristmill's own files, by the settings: none of them is ever read as input.

use std::path::{Path, PathBuf};

use gristmill_state::{Clock, SystemClock};
use gristmill_watcher::OwnFiles;

use super::{LakeSettings, Place, Settings, sqlite_path};

/// A path, and what is there, for people.
type Named = (PathBuf, String);

/// What SQLite keeps beside a database.
const BESIDE_A_DATABASE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

impl Settings {
    /// Returns gristmill's own files and folders, each with what it is.
    pub fn own_files(&self) -> OwnFiles {
        let (files, folders) = self.own_paths();
        let sources = self.sources.iter().filter_map(|source| match &source.place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::Bucket(_) => None,
        });
        OwnFiles::new(files, folders, sources.collect(), || SystemClock.now().into())
    }

    /// Returns gristmill's own files alone, for a process that reads its lake.
    pub fn own_databases(&self) -> OwnFiles {
        let (files, _) = self.own_paths();
        OwnFiles::new(files, Vec::new(), Vec::new(), || SystemClock.now().into())
    }

    /// Returns what of gristmill's own lies in a folder, with its path. It is passed over there, but would better lie
    /// elsewhere.
    pub fn own_inside(&self, folder: &Path) -> Vec<Named> {
        let Ok(folder) = folder.canonicalize() else {
            return Vec::new();
        };
        let (files, folders) = self.own_paths();
        let own = files.into_iter().chain(folders);
        let inside = own.filter(|(path, _)| path.canonicalize().is_ok_and(|path| path.starts_with(&folder)));
        inside.collect()
    }

    /// Returns the warehouse's file, if it is one of gristmill's own.
    pub(crate) fn own_warehouse(&self) -> Option<&Path> {
        self.warehouse.get().ok().and_then(sqlite_path)
    }

    /// Returns the files, and the folders.
    fn own_paths(&self) -> (Vec<Named>, Vec<Named>) {
        let mut files = Vec::new();
        if let Some(state) = self.state.file() {
            files.extend(database(state, "the state database"));
            files.push((
                with_ending(state, ".lock"),
                "the lock of the state database".into(),
            ));
        }
        if let Some(warehouse) = self.own_warehouse() {
            files.extend(database(warehouse, "the warehouse"));
        }
        files.push((self.file.clone(), "the settings file".into()));
        let lake = match &self.lake {
            LakeSettings::Folder(folder) => (folder.clone(), "part of the lake".into()),
            LakeSettings::Bucket { scratch, .. } => {
                (scratch.clone(), "part of the lake's scratch folder".into())
            }
        };
        (files, vec![lake])
    }
}

fn database(path: &Path, what: &str) -> Vec<Named> {
    let beside = BESIDE_A_DATABASE.iter();
    beside
        .map(|ending| (with_ending(path, ending), what.to_owned()))
        .collect()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
