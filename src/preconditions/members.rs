//! Which files belong to a job: those of its feed that match its pattern and, if the job lists stores, come from one of
//! them.

use jiff::civil::Date;

use super::JobPlan;

/// What a file is to a job whose pattern it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The business day in the file's name, if the job's pattern has `{date}`.
    pub date: Option<Date>,
    /// The store in the file's name, by the job's pattern or else by the feed's.
    pub store: Option<String>,
    /// Whether the file is part of the job: it is not if the job lists stores, and this one is not among them.
    pub is_member: bool,
}

impl JobPlan {
    /// Compares a file with the job's feed, pattern and stores. `store_id` is the store that the feed's pattern found in
    /// the name. Returns `None` if the file does not match.
    pub fn matching(&self, feed: &str, path: &str, store_id: Option<&str>) -> Option<Match> {
        if feed != self.feed.name {
            return None;
        }
        let captures = self.files.captures(path)?;
        let store = captures.store.or_else(|| store_id.map(str::to_owned));
        let is_listed = |store: &String| self.stores.contains(store);
        Some(Match {
            date: captures.date,
            is_member: self.stores.is_empty() || store.as_ref().is_some_and(is_listed),
            store,
        })
    }

    /// Like [`matching`](Self::matching), but only for files that are part of the job.
    pub fn member(&self, feed: &str, path: &str, store_id: Option<&str>) -> Option<Match> {
        self.matching(feed, path, store_id)
            .filter(|found| found.is_member)
    }
}
