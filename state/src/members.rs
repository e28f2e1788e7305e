//! Which files a job takes, as far as the state database has to know: it keeps the answer, and asks again only for what
//! is new.

use jiff::civil::Date;

/// Says which jobs take a file, by the jobs' rows of one edition. The same rows must always give the same answers.
pub trait Takers: Sync {
    /// Returns the edition of the rows, as [`StateDb::jobs_and_edition`](crate::StateDb::jobs_and_edition) gave it.
    fn edition(&self) -> i64;

    /// Returns the jobs that take a file, each at most once.
    fn takers(&self, file: Named<'_>) -> Vec<Taker>;

    /// Returns the patterns in the `requires` of any job that a path matches, each with the day in it.
    fn required_by(&self, file_url: &str) -> Vec<(String, Option<Date>)>;

    /// Returns what a job asks for; `None` if its row cannot be read, so that it takes nothing.
    fn asks_for(&self, job_id: &str) -> Option<AsksFor>;
}

/// What of a file decides which jobs take it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'f> {
    /// Name of the feed.
    pub feed: &'f str,
    /// Path relative to the source.
    pub file_url: &'f str,
    /// The store in the file's name, by the feed's pattern.
    pub store_id: Option<&'f str>,
}

/// A job that takes a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taker {
    /// The job.
    pub job_id: String,
    /// The day in the file's name, if the job's pattern has `{date}`.
    pub wave: Option<Date>,
    /// The store in the file's name, by the job's pattern or else by the feed's.
    pub store_id: Option<String>,
}

/// What a job asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsksFor {
    /// What the paths of its files begin with; may be empty.
    pub start: String,
    /// The patterns in its `requires`, each with what the paths of these files begin with.
    pub requires: Vec<(String, String)>,
    /// The jobs in its `after`.
    pub after: Vec<String>,
}
