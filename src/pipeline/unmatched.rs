//! Files that no feed matches: kept in the state database for people to see, and logged once, with the pattern that each
//! was probably meant for.

use anyhow::Context;
use gristmill_engine::NearMisses;
use gristmill_state::{Role, SubmissionRecord};
use gristmill_watcher::UnmatchedFile;

use super::Components;
use super::recordable::is_rejected;
use super::retry::{StepError, with_retries};
use crate::settings::Feeds;

/// The most files that are logged by name at a time.
const LOGGED: usize = 20;

/// The feeds' patterns, to find the one that a file nearly matches.
pub(crate) struct Nearest(Vec<(String, NearMisses)>);

impl Nearest {
    /// Compiles the patterns.
    pub(crate) fn new(feeds: &Feeds) -> Self {
        let feeds = feeds.iter();
        Self(
            feeds
                .map(|feed| (feed.name.clone(), NearMisses::new(&feed.files)))
                .collect(),
        )
    }

    /// Says which pattern a file nearly matches, and what differs.
    pub(crate) fn of(&self, file: &str) -> Option<String> {
        let misses = self.0.iter();
        let misses = misses.filter_map(|(feed, misses)| Some((misses.of(file)?, feed, misses.pattern())));
        let (miss, feed, pattern) = misses.min_by(|(one, ..), (other, ..)| one.cmp(other))?;
        Some(format!(
            "the nearest is {pattern} of feed {feed}: {}",
            miss.difference
        ))
    }
}

/// Records the files that no feed matches, as a listing has found them, and logs those that are new.
pub(super) async fn note_unmatched(
    components: &Components,
    source: usize,
    files: Vec<UnmatchedFile>,
    is_all: bool,
) -> anyhow::Result<()> {
    let prefix = components.settings.sources[source].file_name("");
    let feeds = &components.settings.feeds;
    let archives = files.iter().filter(|file| feeds.of_archive(&file.path).is_some());
    let archives: Vec<String> = archives.map(|file| file.path.clone()).collect();
    let files: Vec<_> = files
        .into_iter()
        .map(|file| (file.path, file.bytes, file.modified_ns))
        .collect();
    let new = with_retries(
        &components.patience,
        "recording the files that no feed matches",
        || async {
            Ok(components
                .state
                .note_unmatched(&prefix, &files, &archives, is_all)
                .await?)
        },
    )
    .await
    .context("cannot record the files that no feed matches in the state database")?;
    log_unmatched(components, &new);
    Ok(())
}

/// Records an archive that was read, if no feed matches its name nor anything in it. Forgets it as such otherwise.
pub(super) async fn note_archive(components: &Components, record: &SubmissionRecord) -> anyhow::Result<()> {
    let path = &record.file_url;
    let (Role::Archive { read, .. }, Some((source, _))) = (&record.role, components.settings.source_of(path))
    else {
        return Ok(());
    };
    // One that is rejected is told as such.
    if *read > 0 || is_rejected(record) || components.settings.feeds.has_file(path) {
        let forget = || async {
            Ok(components
                .state
                .forget_unmatched(std::slice::from_ref(path))
                .await?)
        };
        return with_retries(
            &components.patience,
            "noting that a feed matches an archive",
            forget,
        )
        .await
        .context("cannot note in the state database that a feed matches an archive");
    }
    let modified_ns = record.stamp.modified_ns;
    let file = UnmatchedFile {
        modified_ns,
        path: path.clone(),
        bytes: record.stamp.bytes,
    };
    note_unmatched(components, source, vec![file], false).await
}

fn log_unmatched(components: &Components, new: &[String]) {
    if new.is_empty() {
        return;
    }
    let nearest = Nearest::new(&components.settings.feeds);
    for path in new.iter().take(LOGGED) {
        match nearest.of(path) {
            Some(nearest) => tracing::warn!(path, "no feed matches this file; {nearest}"),
            None => tracing::warn!(path, "no feed matches this file"),
        }
    }
    if new.len() > LOGGED {
        let more = new.len() - LOGGED;
        tracing::warn!(
            more,
            "no feed matches more files; `gristmill files --unmatched` lists them"
        );
    }
}

/// Forgets the files of sources that the settings no longer have.
pub(super) async fn forget_elsewhere(components: &Components) -> Result<(), StepError> {
    let files = components.state.unmatched_files().await?;
    let elsewhere = files.into_iter().map(|file| file.file_url);
    let elsewhere: Vec<_> = elsewhere
        .filter(|file| components.settings.source_of(file).is_none())
        .collect();
    if !elsewhere.is_empty() {
        components.state.forget_unmatched(&elsewhere).await?;
    }
    Ok(())
}
