//! `load = "reload"` is for a single job without days: its load deletes every row that the run's summary lacks.

use gristmill_engine::FilePattern;
use gristmill_loader::LoadMode;
use gristmill_state::JobConfig;

/// Jobs that would delete each other's rows, or their own of other days.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReloadConflict {
    /// Several jobs load the same table.
    #[error(
        "warehouse.load = \"reload\" deletes every row that a run's summary lacks, so the jobs {jobs} would delete each \
         other's rows: write load = \"replace-days\", or keep one job: `gristmill jobs pause JOB` pauses the others"
    )]
    SeveralJobs {
        /// Their ids.
        jobs: String,
    },
    /// Each day of a job is a run of its own.
    #[error(
        "warehouse.load = \"reload\" deletes every row that a run's summary lacks, and each day of job {job} is a run of \
         its own, which would delete the rows of all other days: write load = \"replace-days\", or take {{date}} out of \
         the job's files = {files:?}"
    )]
    Dated {
        /// Its id.
        job: String,
        /// Its pattern.
        files: String,
    },
}

/// Checks that no load deletes the rows of another. Paused jobs load nothing.
pub fn check_reload<'j>(
    mode: LoadMode,
    jobs: impl IntoIterator<Item = &'j JobConfig>,
) -> Result<(), ReloadConflict> {
    if mode != LoadMode::Reload {
        return Ok(());
    }
    let jobs: Vec<_> = jobs.into_iter().filter(|job| job.enabled).collect();
    if jobs.len() > 1 {
        let jobs: Vec<_> = jobs.iter().map(|job| job.id.as_str()).collect();
        return Err(ReloadConflict::SeveralJobs {
            jobs: jobs.join(", "),
        });
    }
    let is_dated = |job: &&&JobConfig| FilePattern::parse(&job.files).is_ok_and(|files| files.is_dated());
    match jobs.iter().find(is_dated) {
        None => Ok(()),
        Some(job) => Err(ReloadConflict::Dated {
            job: job.id.clone(),
            files: job.files.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use gristmill_state::Trigger;

    use super::*;

    #[test]
    fn only_one_job_without_days_may_replace_the_table() {
        let job = |id: &str, files: &str| JobConfig {
            id: id.into(),
            feed: "sales".into(),
            files: files.into(),
            min_files: 1,
            trigger: Trigger::All,
            addl_criteria: None,
            params: "{}".into(),
            enabled: true,
        };
        let (one, two) = (job("one", "IL-*.tdf"), job("two", "CA-*.tdf"));
        let several = ReloadConflict::SeveralJobs {
            jobs: "one, two".into(),
        };
        assert_eq!(check_reload(LoadMode::Reload, [&one, &two]), Err(several));
        assert_eq!(check_reload(LoadMode::ReplaceDays, [&one, &two]), Ok(()));
        let paused = JobConfig {
            enabled: false,
            ..two
        };
        assert_eq!(check_reload(LoadMode::Reload, [&one, &paused]), Ok(()));
        let dated = job("days", "IL-{date}.tdf");
        assert!(matches!(
            check_reload(LoadMode::Reload, [&dated]),
            Err(ReloadConflict::Dated { .. })
        ));
    }
}
