//! Files that belong to a feed but to no job, so that their rows are never loaded; and jobs whose pattern matches none
//! of the known files.

use std::collections::BTreeMap;

use gristmill_engine::FilePattern;
use gristmill_state::{FileRow, JobConfig};
use serde::Serialize;

use crate::preconditions::{JobPlan, some_of};
use crate::settings::Feeds;

/// All jobs, as far as their configurations can be read.
#[derive(Debug)]
pub(crate) struct Jobs {
    feeds: Feeds,
    jobs: Vec<Job>,
}

#[derive(Debug)]
enum Job {
    Readable(Box<JobPlan>),
    /// It has a mistake somewhere: what its feed and pattern match may be its own once that is corrected.
    Unreadable {
        id: String,
        feed: String,
        files: Option<FilePattern>,
    },
}

/// A file that no job takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stray {
    pub(crate) file: String,
    /// The jobs whose pattern it matches, but which do not list its store.
    pub(crate) unlisted_in: Vec<String>,
}

impl Jobs {
    pub(crate) fn new<'j>(jobs: impl IntoIterator<Item = &'j JobConfig>, feeds: &Feeds) -> Self {
        let read = |job: &JobConfig| match JobPlan::new(job, feeds) {
            Ok(plan) => Job::Readable(Box::new(plan)),
            Err(_) => Job::Unreadable {
                id: job.id.clone(),
                feed: job.feed.clone(),
                files: FilePattern::parse(&job.files).ok(),
            },
        };
        let jobs = jobs.into_iter().map(read).collect();
        let feeds = feeds.clone();
        Self { feeds, jobs }
    }

    /// Returns the jobs that a file is part of, and the store in its name.
    pub(crate) fn taking(&self, file: &FileRow) -> (Vec<String>, Option<String>) {
        let (feed, path) = (file.feed.as_str(), file.file_url.as_str());
        let (mut taking, mut store) = (Vec::new(), file.store_id.clone());
        for job in &self.jobs {
            match job {
                Job::Readable(plan) => {
                    if let Some(found) = plan.matching(feed, path, file.store_id.as_deref()) {
                        store = store.or(found.store);
                        taking.extend(found.is_member.then(|| plan.id.clone()));
                    }
                }
                Job::Unreadable { id, .. } => taking.extend(job.may_take(feed, path).then(|| id.clone())),
            }
        }
        (taking, store)
    }

    /// Returns the file as a stray if it is to be aggregated, and no job takes it.
    pub(crate) fn stray(&self, feed: &str, path: &str, store_id: Option<&str>) -> Option<Stray> {
        self.feeds.get(feed)?.sales()?;
        let mut unlisted_in = Vec::new();
        for job in &self.jobs {
            match job {
                Job::Readable(plan) => match plan.matching(feed, path, store_id) {
                    Some(found) if found.is_member => return None,
                    Some(_) => unlisted_in.push(plan.id.clone()),
                    None => {}
                },
                Job::Unreadable { .. } if job.may_take(feed, path) => return None,
                Job::Unreadable { .. } => {}
            }
        }
        Some(Stray {
            file: path.to_owned(),
            unlisted_in,
        })
    }

    /// Returns those of the files that no job takes.
    pub(crate) fn strays<'f>(&self, files: impl IntoIterator<Item = &'f FileRow>) -> Vec<Stray> {
        files
            .into_iter()
            .filter_map(|file| self.stray(&file.feed, &file.file_url, file.store_id.as_deref()))
            .collect()
    }

    /// Returns what to say of each job whose pattern matches none of the files, although its feed has some. Each comes
    /// with the job's id.
    pub(crate) fn without_files(&self, files: &[FileRow]) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for job in &self.jobs {
            let Job::Readable(plan) = job else { continue };
            let mut of_feed = files.iter().filter(|file| file.feed == plan.feed.name);
            let Some(first) = of_feed.clone().next() else {
                continue;
            };
            if !of_feed.any(|file| plan.files.matches(&file.file_url)) {
                let (files, feed) = (plan.files.as_str(), &plan.feed.name);
                told.push((
                    plan.id.clone(),
                    format!(
                        "none of the known files of feed {feed} matches files = {files:?}; one of them is {:?}",
                        first.file_url
                    ),
                ));
            }
        }
        told
    }
}

impl Job {
    fn may_take(&self, feed: &str, path: &str) -> bool {
        match self {
            Self::Readable(plan) => plan.member(feed, path, None).is_some(),
            Self::Unreadable { feed: own, files, .. } => {
                own == feed && files.as_ref().is_none_or(|files| files.matches(path))
            }
        }
    }
}

/// Says in sentences, one for each cause, which files no job takes and what to do.
pub(crate) fn told(strays: &[Stray]) -> Vec<String> {
    let mut by_cause: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for stray in strays {
        let jobs = stray.unlisted_in.join(", ");
        by_cause.entry(jobs).or_default().push(&stray.file);
    }
    let tell = |(jobs, files): (String, Vec<&str>)| {
        let files = some_of(&files);
        match jobs.as_str() {
            "" => format!(
                "no job takes {files}: no rows are loaded from there; correct `files` of a job, or add a [[job]]"
            ),
            _ => format!(
                "no job takes {files}: the store is not in `stores` of {jobs}; add it there, or have the file renamed"
            ),
        }
    };
    by_cause.into_iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use gristmill_engine::{FeedLayout, FeedSpec};
    use gristmill_state::Trigger;

    use super::*;

    fn job(id: &str, files: &str, params: &str) -> JobConfig {
        JobConfig {
            id: id.into(),
            feed: FeedSpec::default().name,
            files: files.into(),
            min_files: 1,
            trigger: Trigger::All,
            addl_criteria: None,
            params: params.into(),
            enabled: true,
        }
    }

    #[test]
    fn a_file_is_a_stray_if_no_job_takes_it() {
        let feeds = Feeds::new(vec![FeedLayout::new(&FeedSpec::default()).unwrap()]);
        let feed = FeedSpec::default().name;
        let stray = |jobs: &[JobConfig], path: &str| Jobs::new(jobs, &feeds).stray(&feed, path, None);
        let lists = |id, stores| job(id, "IL-{store}.tdf", &format!(r#"{{"stores":[{stores}]}}"#));
        let (north, south) = (lists("north", r#""1""#), lists("south", r#""2""#));
        let jobs = [north, south];
        assert_eq!(stray(&jobs, "IL-1.tdf"), None);
        assert_eq!(stray(&jobs, "IL-2.tdf"), None);
        let unlisted = stray(&jobs, "IL-3.tdf").unwrap();
        assert_eq!(unlisted.unlisted_in, ["north", "south"]);
        let unmatched = stray(&jobs, "CA-1.tdf").unwrap();
        assert!(unmatched.unlisted_in.is_empty());
        let told = told(&[unlisted, unmatched]);
        assert!(
            told[0].contains("CA-1.tdf") && told[0].contains("[[job]]"),
            "{told:?}"
        );
        assert!(
            told[1].contains("IL-3.tdf") && told[1].contains("`stores` of north, south"),
            "{told:?}"
        );
        assert_eq!(Jobs::new(&jobs, &feeds).stray("items", "IL-3.tdf", None), None);
    }

    #[test]
    fn a_job_that_cannot_be_read_may_take_what_its_pattern_matches() {
        let feeds = Feeds::new(vec![FeedLayout::new(&FeedSpec::default()).unwrap()]);
        let feed = FeedSpec::default().name;
        let jobs = [job("bad", "IL-{store}.tdf", r#"{"deadline":"soon"}"#)];
        let jobs = Jobs::new(&jobs, &feeds);
        assert_eq!(jobs.stray(&feed, "IL-1.tdf", None), None);
        assert!(jobs.stray(&feed, "CA-1.tdf", None).is_some());
    }
}
