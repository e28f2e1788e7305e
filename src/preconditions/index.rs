//! All jobs of one moment, parsed once, and found by the files that they take.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use gristmill_engine::{Captures, FilePattern};
use gristmill_state::{AsksFor, JobConfig, Named, SameJob, StateDb, StateError, Taker, Takers};
use jiff::civil::Date;

use super::by_start::ByStart;
use super::{JobParams, JobPlan, PlanError};
use crate::settings::Feeds;

/// The jobs of one edition of the state database.
#[derive(Debug)]
pub struct JobIndex {
    edition: i64,
    feeds: Feeds,
    jobs: Vec<Arc<IndexedJob>>,
    by_id: HashMap<String, usize>,
    /// The jobs whose patterns cannot be read.
    unreadable: Vec<usize>,
    /// The patterns of jobs' own files: each stands once for each feed.
    groups: Vec<Group>,
    groups_by_start: ByStart,
    required: Vec<FilePattern>,
    required_by_start: ByStart,
}

/// A job.
#[derive(Debug)]
pub struct IndexedJob {
    /// Its row.
    pub config: JobConfig,
    plan: Result<JobPlan, PlanError>,
    /// Its pattern, if it has a valid one.
    files: Option<FilePattern>,
    /// What else its row says of files, if it can be read, whatever the settings say.
    asks: Option<Asks>,
}

#[derive(Debug)]
struct Asks {
    stores: BTreeSet<String>,
    requires: Vec<FilePattern>,
    after: Vec<String>,
}

/// The jobs that have the same feed and pattern.
#[derive(Debug)]
struct Group {
    feed: String,
    files: FilePattern,
    /// All of them, in their order.
    jobs: Vec<usize>,
    /// Those that take the files of all stores.
    of_all_stores: Vec<usize>,
    /// Those that list stores.
    by_store: HashMap<String, Vec<usize>>,
}

/// What a file is to the jobs whose pattern it matches.
#[derive(Debug, Default)]
pub(crate) struct Matches<'i> {
    /// Those that take it, in their order.
    pub(crate) taking: Vec<&'i IndexedJob>,
    /// The others: they do not list its store, or their rows cannot be read.
    pub(crate) others: Vec<&'i IndexedJob>,
    /// The store in its name.
    pub(crate) store: Option<String>,
}

impl IndexedJob {
    fn new(config: JobConfig, feeds: &Feeds) -> Self {
        let files = FilePattern::parse(&config.files).ok();
        Self {
            plan: JobPlan::new(&config, feeds),
            asks: files.as_ref().and_then(|_| Asks::of(&config)),
            files,
            config,
        }
    }

    /// Returns what it requires, if its row can be used with the settings.
    pub fn plan(&self) -> Result<&JobPlan, PlanError> {
        self.plan.as_ref().map_err(Clone::clone)
    }
}

impl Asks {
    fn of(config: &JobConfig) -> Option<Self> {
        let params: JobParams = serde_json::from_str(&config.params).ok()?;
        let requires = params.requires.iter();
        Some(Self {
            requires: requires
                .map(|required| FilePattern::parse(&required.files).ok())
                .collect::<Option<_>>()?,
            stores: params.stores.into_iter().collect(),
            after: params.after,
        })
    }
}

impl JobIndex {
    /// Makes the index of no jobs.
    pub fn empty(feeds: &Feeds) -> Self {
        Self::new(Vec::new(), -1, feeds)
    }

    /// Indexes the rows of an edition.
    pub fn new(rows: impl IntoIterator<Item = JobConfig>, edition: i64, feeds: &Feeds) -> Self {
        let jobs = rows.into_iter();
        let jobs = jobs.map(|row| Arc::new(IndexedJob::new(row, feeds)));
        Self::of(jobs.collect(), edition, feeds)
    }

    /// Reads the jobs of now; those that have not changed are taken from here.
    pub async fn read_again(&self, state: &StateDb) -> Result<Self, StateError> {
        let (rows, edition) = state.jobs_and_edition().await?;
        let jobs = rows.into_iter().map(|row| match self.job(&row.config.id) {
            Some(known) if known.config == row.config => known.clone(),
            _ => Arc::new(IndexedJob::new(row.config, &self.feeds)),
        });
        Ok(Self::of(jobs.collect(), edition, &self.feeds))
    }

    /// Reads the jobs, and brings up to date which files they take.
    pub async fn matched(state: &StateDb, feeds: &Feeds) -> Result<Self, StateError> {
        let mut index = Self::empty(feeds);
        loop {
            index = index.read_again(state).await?;
            match state.match_files(&index).await {
                Err(StateError::JobsEdited) => {}
                matched => return matched.map(|()| index),
            }
        }
    }

    fn of(jobs: Vec<Arc<IndexedJob>>, edition: i64, feeds: &Feeds) -> Self {
        let mut index = Self {
            edition,
            feeds: feeds.clone(),
            by_id: HashMap::with_capacity(jobs.len()),
            unreadable: Vec::new(),
            groups: Vec::new(),
            groups_by_start: ByStart::default(),
            required: Vec::new(),
            required_by_start: ByStart::default(),
            jobs: Vec::new(),
        };
        let mut groups: HashMap<(&str, &str), usize> = HashMap::new();
        let mut required = BTreeSet::new();
        for (number, job) in jobs.iter().enumerate() {
            index.by_id.insert(job.config.id.clone(), number);
            let Some(files) = &job.files else {
                index.unreadable.push(number);
                continue;
            };
            let key = (job.config.feed.as_str(), files.as_str());
            let group = *groups.entry(key).or_insert_with(|| index.add_group(key.0, files));
            let group = &mut index.groups[group];
            group.jobs.push(number);
            let Some(asks) = &job.asks else { continue };
            if asks.stores.is_empty() {
                group.of_all_stores.push(number);
            }
            for store in &asks.stores {
                group.by_store.entry(store.clone()).or_default().push(number);
            }
            for pattern in &asks.requires {
                if required.insert(pattern.as_str()) {
                    index
                        .required_by_start
                        .add(pattern.literal_start(), index.required.len());
                    index.required.push(pattern.clone());
                }
            }
        }
        index.jobs = jobs;
        index
    }

    fn add_group(&mut self, feed: &str, files: &FilePattern) -> usize {
        let number = self.groups.len();
        self.groups_by_start.add(files.literal_start(), number);
        self.groups.push(Group {
            feed: feed.to_owned(),
            files: files.clone(),
            jobs: Vec::new(),
            of_all_stores: Vec::new(),
            by_store: HashMap::new(),
        });
        number
    }

    /// Returns whether this is the index of another edition.
    pub(crate) fn edition_is_not(&self, edition: i64) -> bool {
        self.edition != edition
    }

    /// Returns the jobs, ordered by name.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<IndexedJob>> {
        self.jobs.iter()
    }

    /// Returns a job.
    pub fn job(&self, id: &str) -> Option<&Arc<IndexedJob>> {
        self.by_id.get(id).map(|number| &self.jobs[*number])
    }

    /// Returns the jobs whose patterns cannot be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &IndexedJob> {
        self.unreadable.iter().map(|number| &*self.jobs[*number])
    }

    /// Returns the feeds of the settings.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.feeds
    }

    /// Returns what a file is to the jobs whose pattern it matches.
    pub(crate) fn matches(&self, file: Named<'_>) -> Matches<'_> {
        let (mut taking, mut others) = (BTreeSet::new(), BTreeSet::new());
        let mut store = file.store_id.map(str::to_owned);
        for (group, captures) in self.of_feed(file.feed, file.file_url) {
            let named = captures.store.or_else(|| file.store_id.map(str::to_owned));
            let of_group: BTreeSet<usize> = group.taking(named.as_deref()).collect();
            others.extend(group.jobs.iter().filter(|number| !of_group.contains(number)));
            taking.extend(of_group);
            store = store.or(named);
        }
        let job = |number: usize| &*self.jobs[number];
        Matches {
            taking: taking.into_iter().map(job).collect(),
            others: others.into_iter().map(job).collect(),
            store,
        }
    }

    /// Returns what a file's name says by the pattern of the first job that reads it.
    pub(crate) fn captures(&self, feed: &str, path: &str) -> Option<Captures> {
        let first = self
            .of_feed(feed, path)
            .min_by_key(|(group, _)| group.jobs.first());
        first.map(|(_, captures)| captures)
    }

    /// Returns the groups whose pattern a path matches.
    fn groups_of<'p>(&'p self, path: &'p str) -> impl Iterator<Item = &'p Group> {
        self.groups_by_start.of(path).map(|number| &self.groups[number])
    }

    fn of_feed<'p>(&'p self, feed: &'p str, path: &'p str) -> impl Iterator<Item = (&'p Group, Captures)> {
        let groups = self.groups_of(path).filter(move |group| group.feed == feed);
        groups.filter_map(move |group| Some((group, group.files.captures(path)?)))
    }
}

impl Group {
    /// Returns the jobs that take the files of a store.
    fn taking(&self, store: Option<&str>) -> impl Iterator<Item = usize> {
        let listing = store.and_then(|store| self.by_store.get(store));
        let all = self.of_all_stores.iter();
        all.chain(listing.into_iter().flatten()).copied()
    }
}

impl SameJob for JobIndex {
    fn are_of_one_job(&self, one: &str, other: &str) -> bool {
        let mut groups = self.groups_of(one);
        groups.any(|group| group.files.matches(one) && group.files.matches(other))
    }

    fn takers(&self) -> Option<&dyn Takers> {
        Some(self)
    }
}

impl Takers for JobIndex {
    fn edition(&self) -> i64 {
        self.edition
    }

    fn takers(&self, file: Named<'_>) -> Vec<Taker> {
        let mut takers = Vec::new();
        for (group, captures) in self.of_feed(file.feed, file.file_url) {
            let store = captures.store.or_else(|| file.store_id.map(str::to_owned));
            takers.extend(group.taking(store.as_deref()).map(|number| Taker {
                job_id: self.jobs[number].config.id.clone(),
                wave: captures.date,
                store_id: store.clone(),
            }));
        }
        takers
    }

    fn required_by(&self, file_url: &str) -> Vec<(String, Option<Date>)> {
        let patterns = self.required_by_start.of(file_url);
        patterns
            .filter_map(|number| {
                let pattern = &self.required[number];
                Some((pattern.as_str().to_owned(), pattern.captures(file_url)?.date))
            })
            .collect()
    }

    fn asks_for(&self, job_id: &str) -> Option<AsksFor> {
        let job = self.job(job_id)?;
        let asks = job.asks.as_ref()?;
        let start = |pattern: &FilePattern| pattern.literal_start().to_owned();
        let requires = asks.requires.iter();
        Some(AsksFor {
            start: start(job.files.as_ref()?),
            requires: requires
                .map(|pattern| (pattern.as_str().to_owned(), start(pattern)))
                .collect(),
            after: asks.after.clone(),
        })
    }
}
