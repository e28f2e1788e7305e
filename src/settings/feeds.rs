//! The feeds, and which of them a file belongs to.

use std::sync::Arc;

use gristmill_engine::{Captures, FeedLayout, FilePattern, has_archive_name};
use gristmill_state::{ARCHIVES, JobConfig};

/// The feeds, and which of them a file belongs to.
#[derive(Clone, Debug)]
pub struct Feeds {
    feeds: Vec<Arc<FeedLayout>>,
    /// Under which archives themselves are recorded.
    archives: Option<Arc<FeedLayout>>,
}

impl Feeds {
    /// Collects feeds that do not come from a settings file.
    pub fn new(layouts: Vec<FeedLayout>) -> Self {
        Self::of(layouts.into_iter().map(Arc::new).collect())
    }

    fn of(feeds: Vec<Arc<FeedLayout>>) -> Self {
        let archives = FeedLayout::of_archives(ARCHIVES, feeds.iter().map(|feed| &**feed));
        Self {
            feeds,
            archives: archives.map(Arc::new),
        }
    }

    /// Returns under which feed an archive itself is recorded. Its digest depends on all that decides which members are
    /// read, and how.
    pub fn archives(&self) -> Option<&Arc<FeedLayout>> {
        self.archives.as_ref()
    }

    /// Returns the same for a file that no feed matches, if its name says that it may be an archive.
    pub fn of_archive(&self, path: &str) -> Option<Arc<FeedLayout>> {
        let may_be = has_archive_name(path) && !self.has_file(path);
        self.archives.as_ref().filter(|_| may_be).cloned()
    }

    /// Finds the feed that a file belongs to, and what the file's name says. If several patterns match, the one with
    /// the longest literal start wins; among equals, the first.
    ///
    /// The layout is that of the profile which reads the file, if one does.
    pub fn of_file(&self, path: &str) -> Option<(Arc<FeedLayout>, Captures)> {
        self.feed_of(path)?.reader(path)
    }

    /// Returns whether a feed reads a file.
    pub fn has_file(&self, path: &str) -> bool {
        self.feed_of(path).is_some()
    }

    fn feed_of(&self, path: &str) -> Option<&Arc<FeedLayout>> {
        let mut best: Option<&Arc<FeedLayout>> = None;
        for feed in &self.feeds {
            let is_better = best.is_none_or(|best| feed.files.literal_prefix() > best.files.literal_prefix());
            if is_better && feed.files.matches(path) {
                best = Some(feed);
            }
        }
        best
    }

    /// Adds what the patterns of jobs capture.
    pub(super) fn with_jobs(self, jobs: &[JobConfig]) -> Result<Self, String> {
        let feed = |feed: Arc<FeedLayout>| {
            let of_feed = jobs.iter().filter(|job| job.feed == feed.name);
            let patterns = of_feed
                .filter_map(|job| FilePattern::parse(&job.files).ok())
                .collect();
            let feed = Arc::unwrap_or_clone(feed).with_jobs(patterns);
            feed.map(Arc::new).map_err(|error| error.to_string())
        };
        self.feeds
            .into_iter()
            .map(feed)
            .collect::<Result<_, _>>()
            .map(Self::of)
    }

    /// Returns the feed of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<FeedLayout>> {
        self.feeds.iter().find(|feed| feed.name == name)
    }

    /// Iterates over all feeds in the order of the settings file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<FeedLayout>> {
        self.feeds.iter()
    }

    /// Returns the digest of the layout with which a feed reads a file.
    pub fn digest_of(&self, feed: &str, path: &str) -> Option<String> {
        if feed == ARCHIVES {
            return Some(self.archives.as_ref()?.digest().to_owned());
        }
        let feed = self.get(feed)?;
        // A file keeps the feed that it was last read under, even if the pattern has changed since.
        let digest = |layout: &FeedLayout| layout.digest().to_owned();
        Some(
            feed.reader(path)
                .map_or_else(|| digest(feed), |(layout, _)| digest(&layout)),
        )
    }
}
