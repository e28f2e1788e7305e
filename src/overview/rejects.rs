//! The rejected lines of a file, as the lake has them.

use std::path::Path;

use gristmill_engine::{Reject, read_rejects};
use gristmill_state::{FileRow, StateDb, VersionRow};

use crate::lake::Lake;
use crate::settings::Settings;
use crate::usage::Usage;

/// The rejects of a file, and the version that they are of.
#[derive(Debug)]
pub(crate) struct Rejects {
    pub(crate) file: FileRow,
    pub(crate) version: VersionRow,
    /// The first of them; none if the lake's retention has removed them.
    pub(crate) lines: Vec<Reject>,
}

/// Reads the first rejects of a file: those of the version that its status is about or, if the newest submission could
/// not be read, of the version in force.
pub(crate) async fn rejects(
    settings: &Settings,
    state: &StateDb,
    file_url: &str,
    limit: usize,
) -> anyhow::Result<Rejects> {
    let file = state.file(file_url).await?;
    let version = file
        .as_ref()
        .and_then(|file| file.newest_version().or(file.in_force.as_ref()).cloned());
    let (Some(file), Some(version)) = (file, version) else {
        let unknown =
            format!("no version of {file_url:?} has been converted: `gristmill files` lists the files");
        return Err(Usage::new(unknown).into());
    };
    let lines = match &version.version.reject_lines {
        Some(object) => {
            let lake = Lake::open(&settings.lake).await?;
            let object = lake.fetch(object).await?;
            refuse_databases(settings, object.path())?;
            read_rejects(object.path(), limit)?
        }
        None => Vec::new(),
    };
    Ok(Rejects { file, version, lines })
}

/// Refuses to read a database that stands where an object of the lake should: this process has the state database open,
/// and closing another descriptor of it would drop its locks.
fn refuse_databases(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    match settings.own_databases().of(&file.metadata()?) {
        Some(what) => anyhow::bail!(
            "cannot read the rejects: {} is {what}: remove it from the lake, and send the file again",
            file.display()
        ),
        None => Ok(()),
    }
}
