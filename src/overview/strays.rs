//! Files that belong to a feed but to no job, so that their rows are never loaded; and jobs whose pattern matches none
//! of the known files.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_engine::FilePattern;
use gristmill_state::{FileRow, Named, StateDb, StateError};
use serde::Serialize;

use crate::preconditions::{IndexedJob, JobIndex, JobPlan, some_of};

/// How many paths are read at a time.
const AT_ONCE: u32 = 1_000;

/// A file that no job takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stray {
    pub(crate) file: String,
    /// The jobs whose pattern it matches, but which do not list its store.
    pub(crate) unlisted_in: Vec<String>,
}

impl JobIndex {
    /// Returns the jobs that a file is part of, and the store in its name. A job whose row has a mistake may have a claim
    /// on it once that is corrected, so it counts.
    pub(crate) fn taking(&self, file: &FileRow) -> (Vec<String>, Option<String>) {
        let named = named(file);
        let found = self.matches(named);
        let may_take = found.others.iter().copied().filter(|job| job.plan().is_err());
        let taking = found.taking.iter().copied().chain(may_take);
        let mut taking: Vec<_> = taking.map(|job| job.config.id.clone()).collect();
        taking.extend(self.without_pattern(named.feed).map(|job| job.config.id.clone()));
        taking.sort_unstable();
        (taking, found.store)
    }

    /// Returns the file as a stray if it is to be aggregated, and no job takes it.
    pub(crate) fn stray(&self, file: Named<'_>) -> Option<Stray> {
        self.feeds().get(file.feed)?.sales()?;
        let found = self.matches(file);
        let is_taken = !found.taking.is_empty()
            || found.others.iter().any(|job| job.plan().is_err())
            || self.without_pattern(file.feed).next().is_some();
        (!is_taken).then(|| Stray {
            file: file.file_url.to_owned(),
            unlisted_in: found.others.iter().map(|job| job.config.id.clone()).collect(),
        })
    }

    /// Returns the jobs of a feed whose patterns cannot be read.
    fn without_pattern(&self, feed: &str) -> impl Iterator<Item = &IndexedJob> {
        let unreadable = self.unreadable();
        unreadable.filter(move |job| job.config.feed == feed)
    }
}

/// Returns what of a file decides which jobs take it.
pub(crate) fn named(file: &FileRow) -> Named<'_> {
    Named {
        feed: &file.feed,
        file_url: &file.file_url,
        store_id: file.store_id.as_deref(),
    }
}

/// Returns all files that no job takes. Rests on the index being the one that files were last matched with.
pub(crate) async fn strays(state: &StateDb, jobs: &JobIndex) -> Result<Vec<Stray>, StateError> {
    let files = state.files_without_job().await?;
    let stray = |(feed, file_url, store_id): &(String, String, Option<String>)| {
        jobs.stray(Named {
            feed,
            file_url,
            store_id: store_id.as_deref(),
        })
    };
    Ok(files.iter().filter_map(stray).collect())
}

/// Returns what to say of each job whose pattern matches none of the known files, although its feed has some. Each comes
/// with the job's id. With `only`, looks at this job alone.
pub(crate) async fn without_files(
    state: &StateDb,
    jobs: &JobIndex,
    only: Option<&str>,
) -> Result<Vec<(String, String)>, StateError> {
    let mut by_feed: BTreeMap<&str, Vec<&JobPlan>> = BTreeMap::new();
    for job_id in state.jobs_without_files().await? {
        if only.is_some_and(|only| only != job_id) {
            continue;
        }
        if let Some(Ok(plan)) = jobs.job(&job_id).map(|job| job.plan()) {
            by_feed.entry(&plan.feed.name).or_default().push(plan);
        }
    }
    let mut problems = Vec::new();
    for (feed, plans) in by_feed {
        let Some(first) = state.file_urls(feed, "", "", 1).await?.pop() else {
            continue;
        };
        // Of thousands of jobs, one query finds those with a file that could match.
        let starts: BTreeSet<&str> = plans.iter().map(|plan| plan.files.literal_start()).collect();
        let found = state.starts_of_files(feed, &starts).await?;
        for plan in plans {
            let files = &plan.files;
            if found.contains(files.literal_start()) && has_match(state, feed, files).await? {
                continue;
            }
            let files = files.as_str();
            problems.push((
                plan.id.clone(),
                format!(
                    "none of the known files of feed {feed} matches files = {files:?}; one of them is {first:?}"
                ),
            ));
        }
    }
    problems.sort_unstable();
    Ok(problems)
}

/// Returns whether a known file of a feed matches a pattern, in whatever job it is.
async fn has_match(state: &StateDb, feed: &str, files: &FilePattern) -> Result<bool, StateError> {
    let mut from = files.literal_start().to_owned();
    loop {
        let paths = state
            .file_urls(feed, &from, files.literal_start(), AT_ONCE)
            .await?;
        if paths.iter().any(|path| files.matches(path)) {
            return Ok(true);
        }
        match paths.last() {
            // No path sorts between the two.
            Some(last) => from = format!("{last}\0"),
            None => return Ok(false),
        }
    }
}

/// Says in sentences, one for each cause, which files no job takes and what to do.
pub(crate) fn describe_strays(strays: &[Stray]) -> Vec<String> {
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
    use gristmill_state::{JobConfig, Trigger};

    use super::*;
    use crate::settings::Feeds;

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
        let stray_of = |jobs: &[JobConfig], feed: &str, path: &str| {
            JobIndex::new(jobs.to_vec(), 0, &feeds).stray(Named {
                feed,
                file_url: path,
                store_id: None,
            })
        };
        let stray = |jobs: &[JobConfig], path: &str| stray_of(jobs, &feed, path);
        let lists = |id, stores| job(id, "IL-{store}.tdf", &format!(r#"{{"stores":[{stores}]}}"#));
        let (north, south) = (lists("north", r#""1""#), lists("south", r#""2""#));
        let jobs = [north, south];
        assert_eq!(stray(&jobs, "IL-1.tdf"), None);
        assert_eq!(stray(&jobs, "IL-2.tdf"), None);
        let unlisted = stray(&jobs, "IL-3.tdf").unwrap();
        assert_eq!(unlisted.unlisted_in, ["north", "south"]);
        let unmatched = stray(&jobs, "CA-1.tdf").unwrap();
        assert!(unmatched.unlisted_in.is_empty());
        let sentences = describe_strays(&[unlisted, unmatched]);
        assert!(
            sentences[0].contains("CA-1.tdf") && sentences[0].contains("[[job]]"),
            "{sentences:?}"
        );
        assert!(
            sentences[1].contains("IL-3.tdf") && sentences[1].contains("`stores` of north, south"),
            "{sentences:?}"
        );
        assert_eq!(stray_of(&jobs, "items", "IL-3.tdf"), None);
    }

    #[test]
    fn a_job_that_cannot_be_read_may_take_what_its_pattern_matches() {
        let feeds = Feeds::new(vec![FeedLayout::new(&FeedSpec::default()).unwrap()]);
        let feed = FeedSpec::default().name;
        let jobs = [job("bad", "IL-{store}.tdf", r#"{"deadline":"soon"}"#)];
        let jobs = JobIndex::new(jobs, 0, &feeds);
        let stray = |file_url| {
            jobs.stray(Named {
                feed: &feed,
                file_url,
                store_id: None,
            })
        };
        assert_eq!(stray("IL-1.tdf"), None);
        assert!(stray("CA-1.tdf").is_some());
    }
}
