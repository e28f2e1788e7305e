//! Warns once of files that no job takes, of jobs whose pattern matches nothing, and of jobs that cannot be judged.

use std::collections::HashSet;

use gristmill_state::{Named, StateDb, Takers};

use super::retry::{Patience, with_retries};
use crate::overview::{describe_strays, strays, without_files};
use crate::preconditions::JobIndex;

/// What was reported since the start.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// The edition of the jobs when all files were last looked at; none before that.
    edition: Option<i64>,
    files: HashSet<String>,
    invalid: HashSet<(String, String)>,
    without_files: HashSet<String>,
}

impl Reported {
    /// Looks at the files that have just been recorded or, at the start and whenever a job was edited, at all that no job
    /// takes.
    pub(super) async fn report(
        &mut self,
        state: &StateDb,
        patience: &Patience,
        jobs: &JobIndex,
        recorded: &[String],
    ) -> anyhow::Result<()> {
        let edition = Some(jobs.edition());
        let strays = match std::mem::replace(&mut self.edition, edition) == edition {
            true => {
                let stray = |path: &String| {
                    let (feed, captures) = jobs.feeds().of_file(path)?;
                    jobs.stray(Named {
                        feed: &feed.name,
                        file_url: path,
                        store_id: captures.store.as_deref(),
                    })
                };
                recorded.iter().filter_map(stray).collect()
            }
            false => {
                self.report_invalid(jobs);
                let without = with_retries(patience, "looking for jobs without files", || async {
                    Ok(without_files(state, jobs, None).await?)
                });
                for (job, problem) in without.await? {
                    if self.without_files.insert(job.clone()) {
                        tracing::warn!(job, "{problem}: correct `files` if they should be its own");
                    }
                }
                let all = with_retries(patience, "looking for files without jobs", || async {
                    Ok(strays(state, jobs).await?)
                });
                all.await?
            }
        };
        let new: Vec<_> = strays
            .into_iter()
            .filter(|stray| self.files.insert(stray.file.clone()))
            .collect();
        for sentence in describe_strays(&new) {
            tracing::warn!(files = new.len(), "{sentence}");
        }
        Ok(())
    }

    fn report_invalid(&mut self, jobs: &JobIndex) {
        for job in jobs.jobs() {
            let Err(error) = job.plan() else { continue };
            let (id, problem) = (job.config.id.as_str(), error.to_string());
            if self.invalid.insert((id.to_owned(), problem)) {
                tracing::warn!(
                    job = id,
                    "the job's configuration is invalid: {error}; correct it in aggr_job_configuration"
                );
            }
        }
    }
}
