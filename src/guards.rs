//! What the guards of the state database need to know from elsewhere: the feeds' settings, and which job reads a file.

use gristmill_engine::{Captures, FeedLayout, FilePattern, LateLines, SecondFile, Supersede};
use gristmill_state::{Guards, JobConfig, JobRow, Late, SameDay, SameJob, StateDb};

use crate::settings::Settings;

/// Returns the guards of a feed.
pub(crate) fn of_feed(feed: &FeedLayout) -> Guards {
    Guards {
        late: match feed.guards.late {
            LateLines::Hold => Late::Hold,
            LateLines::Add => Late::Add,
            LateLines::Replace => Late::Replace,
        },
        shrink_percent: feed.guards.shrink_percent,
        same_day: match feed.guards.same_day {
            SecondFile::Hold => SameDay::Hold,
            SecondFile::Add => SameDay::Add,
        },
        check_store: feed.guards.check_store,
        newest_file_counts: feed
            .sales()
            .is_some_and(|sales| sales.supersede == Supersede::StoreDay),
    }
}

/// Which files the jobs read.
#[derive(Debug, Default)]
pub(crate) struct JobFiles {
    jobs: Vec<JobConfig>,
    /// The feed and the pattern of each job that has a valid one.
    patterns: Vec<(String, FilePattern)>,
}

impl JobFiles {
    pub(crate) fn of(jobs: Vec<JobRow>) -> Self {
        Self::default().updated(jobs)
    }

    /// Returns the same for the jobs of now. Patterns are parsed only if a job has changed.
    pub(crate) fn updated(self, jobs: Vec<JobRow>) -> Self {
        let jobs: Vec<JobConfig> = jobs.into_iter().map(|job| job.config).collect();
        if jobs == self.jobs {
            return self;
        }
        let patterns = jobs.iter().filter_map(|job| {
            let pattern = FilePattern::parse(&job.files).ok()?;
            Some((job.feed.clone(), pattern))
        });
        Self {
            patterns: patterns.collect(),
            jobs,
        }
    }

    /// Returns what a file's name says by the pattern of the first job that reads it.
    pub(crate) fn captures(&self, feed: &str, file: &str) -> Option<Captures> {
        let mut of_feed = self.patterns.iter().filter(|(of_job, _)| of_job == feed);
        of_feed.find_map(|(_, pattern)| pattern.captures(file))
    }
}

/// Returns what `accept` and `withdraw` need to know of a file: which files the jobs read, and the guards of its feed.
pub(crate) async fn of_file(
    settings: &Settings,
    state: &StateDb,
    file: &str,
) -> anyhow::Result<(JobFiles, Guards)> {
    let jobs = JobFiles::of(state.jobs().await?);
    let row = state.file(file).await?;
    let feed = row.and_then(|row| settings.feeds.get(&row.feed).cloned());
    Ok((jobs, feed.map_or_else(Guards::default, |feed| of_feed(&feed))))
}

/// Returns who runs this command, for the record.
pub(crate) fn who() -> String {
    let of = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = of("SUDO_USER").or_else(|| of("USER")).or_else(|| of("LOGNAME"));
    user.unwrap_or_else(|| "unknown".to_owned())
}

impl SameJob for JobFiles {
    fn are_of_one_job(&self, one: &str, other: &str) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|(_, pattern)| pattern.matches(one) && pattern.matches(other))
    }
}
