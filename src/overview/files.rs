//! Files with the jobs that take them, what of them is held, and what is odd about them; and files that no feed matches.

use std::collections::HashSet;

use gristmill_state::{FileFilter, FileRow, StateDb, StateError, UnmatchedFile};
use serde::Serialize;

use super::held::by_file;
use super::{Held, doubts, named};
use crate::pipeline::Nearest;
use crate::preconditions::JobIndex;
use crate::settings::Feeds;

/// A file, and the jobs that take it.
#[derive(Debug, Serialize)]
pub(crate) struct ListedFile {
    #[serde(flatten)]
    pub(crate) file: FileRow,
    pub(crate) jobs: Vec<String>,
    /// What of it is held.
    pub(crate) held: Vec<Held>,
    #[serde(skip)]
    pub(crate) store: Option<String>,
    #[serde(skip)]
    pub(crate) is_stray: bool,
    /// Its last line does not end, although those of most other files of the feed do.
    pub(crate) may_be_cut: bool,
}

/// A file that no feed matches, as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Unmatched {
    #[serde(flatten)]
    pub(crate) file: UnmatchedFile,
    pub(crate) nearest: Option<String>,
}

/// Lists files with the jobs that take them.
pub(crate) async fn files(
    state: &StateDb,
    jobs: &JobIndex,
    filter: &FileFilter,
) -> Result<Vec<ListedFile>, StateError> {
    let cut = doubts::may_be_cut(state, filter.feed.as_deref()).await?;
    let cut: HashSet<String> = cut.into_iter().collect();
    let rows = state.files(filter).await?;
    let mut held = by_file(state.held().await?);
    let listed = rows.into_iter().map(|file| {
        let (taking, store) = jobs.taking(&file);
        let stray = jobs.stray(named(&file));
        ListedFile {
            jobs: taking,
            store,
            is_stray: stray.is_some(),
            may_be_cut: cut.contains(&file.file_url),
            held: held.remove(&file.file_url).unwrap_or_default(),
            file,
        }
    });
    Ok(listed.collect())
}

/// Lists the files that no feed matches, each with the pattern that it nearly matches.
pub(crate) async fn unmatched(state: &StateDb, feeds: &Feeds) -> Result<Vec<Unmatched>, StateError> {
    let nearest = Nearest::new(feeds);
    let files = state.unmatched_files().await?.into_iter();
    let listed = files.map(|file| Unmatched {
        nearest: nearest.of(&file.file_url),
        file,
    });
    Ok(listed.collect())
}
