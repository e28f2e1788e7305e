//! Sums up files and runs for people.

use jiff::civil::Date;

use super::StateDb;
use super::decode::{self, TextColumns};
use super::sql::overview as sql;
use super::whole::{About, whole};
use crate::dialect::{Row, query, query_as, query_scalar};
use crate::error::{During, StateError};
use crate::file::FileStatus;
use crate::run::RunRow;

impl StateDb {
    /// Returns how many files have each status, as far as there are any.
    pub async fn status_counts(&self) -> Result<Vec<(FileStatus, u64)>, StateError> {
        let counts = query(sql::STATUS_COUNTS)
            .try_map(|row: Row| Ok((row.parsed("status")?, row.get("files")?)))
            .fetch_all(&self.readers)
            .await;
        let mut counts: Vec<(FileStatus, u64)> = counts.during("count", "the files")?;
        counts.retain(|(_, files)| *files > 0);
        Ok(counts)
    }

    /// Lists the files whose newest submission failed, ordered by path.
    pub async fn failed_files(&self) -> Result<Vec<String>, StateError> {
        query_scalar(sql::FAILED_FILES)
            .fetch_all(&self.readers)
            .await
            .during("list", "the files that failed")
    }

    /// Lists the files in force with rejects: path, rejects, lines. Ordered by path.
    pub async fn files_with_rejects(&self) -> Result<Vec<(String, u64, u64)>, StateError> {
        query_as(sql::WITH_REJECTS)
            .fetch_all(&self.readers)
            .await
            .during("list", "the files with rejects")
    }

    /// Lists the files in force, of one feed or of all, whose last line has no end: feed and path. Ordered by path.
    pub async fn files_without_end(&self, feed: Option<&str>) -> Result<Vec<(String, String)>, StateError> {
        query_as(sql::WITHOUT_END)
            .bind(feed)
            .fetch_all(&self.readers)
            .await
            .during("list", "the files without the end of their last line")
    }

    /// Returns whether at least so many files in force of a feed end their last lines.
    pub async fn has_ends(&self, feed: &str, least: u64) -> Result<bool, StateError> {
        query_scalar(sql::HAS_ENDS)
            .bind(feed)
            .bind(least.cast_signed())
            .fetch_one(&self.readers)
            .await
            .during("count the last lines of feed", feed)
    }

    /// Returns the newest run of each job and wave, if that run failed, newest first.
    pub async fn failed_runs(&self) -> Result<Vec<String>, StateError> {
        query_scalar(sql::FAILED_RUNS)
            .fetch_all(&self.readers)
            .await
            .during("list", "the runs that failed")
    }

    /// Returns the loaded runs that may have read something of a store's day, or emptied it, newest first. Those with
    /// impossible values are left out, and warned of.
    pub async fn loads_of_day(&self, store_id: &str, date: Date) -> Result<Vec<RunRow>, StateError> {
        let rows = query(sql::LOADS_OF_DAY)
            .bind(store_id)
            .bind(date.to_string())
            .fetch_all(&self.readers)
            .await;
        let loads = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self.told.tell(loads.during("list the loads of store", store_id)?))
    }
}
