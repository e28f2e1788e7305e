//! A job's row, parsed: patterns, times and spans are ready to be compared with facts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gristmill_engine::{FeedLayout, FilePattern, PatternError, Supersede, parse_span};
use gristmill_state::{JobConfig, Trigger};
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{JobParams, MergeEngine};
use crate::settings::{Feeds, in_plain_words};

/// What a job requires.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// The job's id.
    pub id: String,
    /// The feed whose files it aggregates.
    pub feed: Arc<FeedLayout>,
    /// Its files.
    pub files: FilePattern,
    /// How many of them must be valid; if the job lists stores, of how many stores.
    pub min_files: u32,
    /// Whether any or all of them must be new.
    pub trigger: Trigger,
    /// Whether it runs at all.
    pub is_enabled: bool,
    /// A SELECT that must return a row.
    pub criterion: Option<String>,
    /// Files of other feeds that must have been validated.
    pub requires: Vec<RequiredFile>,
    /// The minimum total size of its files.
    pub min_bytes: Option<u64>,
    /// The minimum total number of their rows.
    pub min_rows: Option<u64>,
    /// Jobs that must have completed since this one last began.
    pub after: Vec<String>,
    /// The time of day at which an incomplete wave runs anyway.
    pub deadline: Option<Time>,
    /// The zone of `deadline` and of "today".
    pub time_zone: TimeZone,
    /// The stores of the province, if the job lists them: files of others are not part of it.
    pub stores: BTreeSet<String>,
    /// Where its runs are merged.
    pub engine: MergeEngine,
    /// How many rows the files of a run may have before `auto` takes the cluster, if the job says it.
    pub cluster_rows: Option<u64>,
}

/// A file that must have been validated, and how recently.
#[derive(Clone, Debug)]
pub struct RequiredFile {
    /// Its pattern.
    pub files: FilePattern,
    /// How long ago it may have been validated.
    pub within: Option<Duration>,
    /// Whether it must have been validated today, in the job's time zone.
    pub today: bool,
}

/// A job that cannot be judged: which key is wrong, and what to write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// A pattern cannot be read.
    #[error("{key}: {source}")]
    Pattern {
        /// The key that holds it.
        key: &'static str,
        /// What is wrong with it.
        source: PatternError,
    },
    /// Another key cannot be used.
    #[error("{key} {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong, and what to write.
        problem: String,
    },
}

/// The most characters of a pattern that a job requires: they are looked up in the state database by an index.
const LONGEST_REQUIRED: usize = 500;

impl JobPlan {
    /// Parses a job. Its feed must be among `feeds`, and must not be a reference feed.
    pub fn new(job: &JobConfig, feeds: &Feeds) -> Result<Self, PlanError> {
        let feed = match feeds.get(&job.feed) {
            None => {
                let known: Vec<_> = feeds.iter().map(|feed| format!("{:?}", feed.name)).collect();
                let known = known.join(" or ");
                return Err(fail("feed", format!("{:?} is unknown: write {known}", job.feed)));
            }
            Some(feed) if feed.sales().is_none() => {
                return Err(fail(
                    "feed",
                    format!("{:?} is a reference feed, which is not aggregated", job.feed),
                ));
            }
            Some(feed) => feed.clone(),
        };
        if job.id.is_empty() || job.id.contains(['/', '\0']) {
            return Err(fail("id", "must be a name without '/'".into()));
        }
        let pattern =
            |key, text: &str| FilePattern::parse(text).map_err(|source| PlanError::Pattern { key, source });
        let params: JobParams = serde_json::from_str(&job.params).map_err(|error| {
            let problem = in_plain_words(&error.to_string());
            fail("job_params", format!("cannot be read: {problem}"))
        })?;
        // By name, so that none is forgotten.
        let JobParams {
            requires,
            min_bytes,
            min_rows,
            after,
            deadline,
            time_zone,
            stores,
            engine,
            cluster_rows,
        } = params;
        let requires = requires
            .iter()
            .map(|required| {
                if required.files.chars().count() > LONGEST_REQUIRED {
                    let problem =
                        format!("a pattern has more than {LONGEST_REQUIRED} characters: write a shorter one");
                    return Err(fail("requires", problem));
                }
                let span = required.within.as_deref().map(parse_span).transpose();
                Ok(RequiredFile {
                    files: pattern("requires", &required.files)?,
                    within: span.map_err(|problem| fail("requires: within", problem))?,
                    today: required.today,
                })
            })
            .collect::<Result<_, PlanError>>()?;
        let files = pattern("files", &job.files)?;
        let stores: BTreeSet<_> = stores.into_iter().collect();
        check_stores(&stores, job.min_files, &files, &feed.files)?;
        if cluster_rows.is_some() && engine != MergeEngine::Auto {
            let problem = "is only for `engine = \"auto\"`: write that, or leave it out";
            return Err(fail("cluster_rows", problem.into()));
        }
        Ok(Self {
            id: job.id.clone(),
            feed,
            files,
            min_files: job.min_files,
            trigger: job.trigger,
            is_enabled: job.enabled,
            criterion: job.addl_criteria.clone().filter(|sql| !sql.trim().is_empty()),
            requires,
            min_bytes,
            min_rows,
            after,
            deadline: deadline.as_deref().map(time_of_day).transpose()?,
            time_zone: zone(&time_zone)?,
            stores,
            engine,
            cluster_rows,
        })
    }

    /// Returns whether a run's result depends on the order of its files: two files may hold the same store and day.
    pub fn order_matters(&self) -> bool {
        self.feed
            .sales()
            .is_some_and(|sales| sales.supersede == Supersede::StoreDay)
    }
}

fn fail(key: &'static str, problem: String) -> PlanError {
    PlanError::Value { key, problem }
}

fn time_of_day(text: &str) -> Result<Time, PlanError> {
    let problem = || format!("{text:?} is not a time of day: write one such as \"18:00\"");
    text.parse().map_err(|_| fail("deadline", problem()))
}

fn zone(name: &str) -> Result<TimeZone, PlanError> {
    match name {
        // Looking up a zone on this host takes some milliseconds; UTC needs no lookup.
        "" | "UTC" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| {
            let example = "write an IANA name such as \"America/Chicago\"";
            fail("time_zone", format!("{name:?} is unknown: {example}"))
        }),
    }
}

/// Checks that a job's list of stores can be used: file names must say which store they are from, and the list must
/// have as many stores as the job requires.
fn check_stores(
    stores: &BTreeSet<String>,
    min_files: u32,
    files: &FilePattern,
    feed: &FilePattern,
) -> Result<(), PlanError> {
    if stores.is_empty() {
        return Ok(());
    }
    if !files.has_store() && !feed.has_store() {
        return Err(fail(
            "stores",
            format!(
                "needs to know which store a file is from: write {{store}} in place of the store's number in files, which \
                 is {:?}",
                files.as_str()
            ),
        ));
    }
    if min_files as usize > stores.len() {
        return Err(fail(
            "min_files",
            format!(
                "is {min_files}, but stores lists only {}: where stores are listed, min_files counts stores, so write \
                 {} or less",
                stores.len(),
                stores.len()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_stores_must_fit_the_pattern_and_the_number() {
        let check = |listed: &[&str], min_files, files: &str, feed: &str| {
            let stores = listed.iter().map(|store| (*store).to_owned()).collect();
            let pattern = |text| FilePattern::parse(text).unwrap();
            check_stores(&stores, min_files, &pattern(files), &pattern(feed))
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&["1", "2"], 2, "IL-{store}.tdf", "*.tdf"), Ok(()));
        assert_eq!(check(&["1", "2"], 2, "IL-*.tdf", "IL-{store}.tdf"), Ok(()));
        assert_eq!(check(&[], 9, "IL-*.tdf", "*.tdf"), Ok(()));
        let error = check(&["1", "2"], 3, "IL-{store}.tdf", "*.tdf").unwrap_err();
        assert!(
            error.starts_with("min_files is 3, but stores lists only 2"),
            "{error}"
        );
        // A store that is listed twice is one store.
        assert!(check(&["1", "1"], 2, "IL-{store}.tdf", "*.tdf").is_err());
        let error = check(&["1"], 1, "IL-*.tdf", "*.tdf").unwrap_err();
        assert!(
            error.starts_with("stores needs to know") && error.contains("{store}"),
            "{error}"
        );
    }
}
