//! Warns once of files that no job takes, and of jobs whose pattern matches nothing.

use std::collections::HashSet;

use gristmill_state::{FileFilter, JobConfig, JobRow};

use super::Parts;
use super::judge::{Cue, ToJudge};
use super::retry::with_retries;
use crate::overview::{Jobs, told};

/// What was told since the start.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The jobs when all files were last looked at; none before that.
    jobs: Option<(Vec<JobConfig>, Jobs)>,
    files: HashSet<String>,
    without_files: HashSet<String>,
}

impl Told {
    /// Looks at the files that have just been recorded or, at the start and whenever a job was edited, at all of them.
    pub(super) async fn tell(
        &mut self,
        parts: &Parts,
        rows: &[JobRow],
        incoming: &[ToJudge],
    ) -> anyhow::Result<()> {
        let configs = || rows.iter().map(|row| &row.config);
        let feeds = &parts.settings.feeds;
        let known = self.jobs.as_ref().filter(|(known, _)| known.iter().eq(configs()));
        let strays = if let Some((_, jobs)) = known {
            let files = incoming.iter().filter_map(|to_judge| match &to_judge.cue {
                Cue::Files(files) => Some(files),
                Cue::Everything => None,
            });
            let stray = |path: &String| {
                let (feed, captures) = feeds.of_file(path)?;
                jobs.stray(&feed.name, path, captures.store.as_deref())
            };
            files.flatten().filter_map(stray).collect()
        } else {
            let files = with_retries(&parts.patience, "reading the files", || async {
                Ok(parts.state.files(&FileFilter::default()).await?)
            });
            let files = files.await?;
            let jobs = Jobs::new(configs(), feeds);
            for (job, problem) in jobs.without_files(&files) {
                if self.without_files.insert(job.clone()) {
                    tracing::warn!(job, "{problem}: correct `files` if they should be its own");
                }
            }
            let strays = jobs.strays(&files);
            self.jobs = Some((configs().cloned().collect(), jobs));
            strays
        };
        let new: Vec<_> = strays
            .into_iter()
            .filter(|stray| self.files.insert(stray.file.clone()))
            .collect();
        for sentence in told(&new) {
            tracing::warn!(files = new.len(), "{sentence}");
        }
        Ok(())
    }
}
