//! Reads what is known of one store: its files, its days, and when its files came.

use jiff::Timestamp;
use jiff::civil::Date;

use super::StateDb;
use super::decode::{self, TextColumns, text};
use super::sql::stores as sql;
use super::whole::{About, whole};
use crate::dialect::{Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::FileStatus;
use crate::intervention::HeldRow;
use crate::page::{FileOfStore, FirstReport, StoreDay};

impl StateDb {
    /// Returns a part of the files of a store, those first that were submitted last; with `since`, only those that were
    /// submitted then or later. Those with impossible values are left out, and warned of.
    pub async fn files_of_store(
        &self,
        store: &str,
        since: Option<Timestamp>,
        (offset, limit): (u32, u32),
    ) -> Result<Vec<FileOfStore>, StateError> {
        let action = "list the files of store";
        let mut tx = self.readers.begin().await.during(action, store)?;
        let rows = query(sql::FILES)
            .bind(store)
            .bind(since.map(text))
            .bind(limit)
            .bind(offset)
            .fetch_all(&mut *tx)
            .await;
        let files = rows.and_then(|rows| {
            whole(rows, About::Files, |row| {
                Ok(FileOfStore {
                    file: decode::file_row(row)?,
                    is_shared: row.get("is_shared")?,
                })
            })
        });
        let mut files = self.told.tell(files.during(action, store)?);
        let rows = files.iter_mut().map(|of_store| &mut of_store.file);
        self.add_refused(&mut tx, rows).await?;
        tx.commit().await.during(action, store)?;
        Ok(files)
    }

    /// Returns how many files of a store have each status.
    pub async fn status_counts_of_store(&self, store: &str) -> Result<Vec<(FileStatus, u64)>, StateError> {
        query(sql::STATUS_COUNTS)
            .bind(store)
            .try_map(|row: Row| Ok((row.parsed("status")?, row.get("files")?)))
            .fetch_all(&self.readers)
            .await
            .during("count the files of store", store)
    }

    /// Lists what is held of a store: its days, and its files as a whole.
    pub async fn held_of_store(&self, store: &str) -> Result<Vec<HeldRow>, StateError> {
        let rows = query(sql::HELD).bind(store).fetch_all(&self.readers).await;
        let held = rows.and_then(|rows| whole(rows, About::Days, decode::held_row));
        Ok(self.told.tell(held.during("list what is held of store", store)?))
    }

    /// Returns the jobs that take files with a store in their names.
    pub async fn jobs_of_store(&self, store: &str) -> Result<Vec<String>, StateError> {
        query_scalar(sql::JOBS)
            .bind(store)
            .fetch_all(&self.readers)
            .await
            .during("list the jobs of store", store)
    }

    /// Returns what files report of the days of a store from the first to the last, ordered by day.
    pub async fn days_of_store(
        &self,
        store: &str,
        (first, last): (Date, Date),
    ) -> Result<Vec<StoreDay>, StateError> {
        let rows = query(sql::DAYS)
            .bind(store)
            .bind(first.to_string())
            .bind(last.to_string())
            .fetch_all(&self.readers)
            .await;
        let days = rows.and_then(|rows| {
            whole(rows, About::Days, |row| {
                Ok(StoreDay {
                    trans_date: row.parsed("trans_date")?,
                    file_url: row.get("file_url")?,
                    standing: row.parsed("standing")?,
                    lines: row.get("lines")?,
                    reason: row.get("reason")?,
                })
            })
        });
        Ok(self.told.tell(days.during("list the days of store", store)?))
    }

    /// Returns the days of a job that runs by day, from the first to the last, for which any file has come.
    pub async fn days_of_job(
        &self,
        job_id: &str,
        (first, last): (Date, Date),
    ) -> Result<Vec<Date>, StateError> {
        query(sql::DAYS_OF_JOB)
            .bind(job_id)
            .bind(first.to_string())
            .bind(last.to_string())
            .try_map(|row: Row| row.parsed("wave"))
            .fetch_all(&self.readers)
            .await
            .during("list the days of job", job_id)
    }

    /// Returns the minutes in which any file of a job without days came, between two moments, of which the last is excluded.
    pub async fn minutes_of_job(
        &self,
        job_id: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<Timestamp>, StateError> {
        query(sql::MINUTES_OF_JOB)
            .bind(job_id)
            .bind(text(from))
            .bind(text(to))
            .try_map(|row: Row| row.parsed("minute"))
            .fetch_all(&self.readers)
            .await
            .during("list when files came of job", job_id)
    }

    /// Returns when a store first reported to a job; `None` if it never has.
    pub async fn first_report(&self, store: &str, job_id: &str) -> Result<Option<FirstReport>, StateError> {
        let first = query(sql::FIRST_REPORT)
            .bind(store)
            .bind(job_id)
            .try_map(|row: Row| {
                let submitted: Option<Timestamp> = row.parsed_or_null("submitted")?;
                let wave = row.parsed_or_null("wave")?;
                Ok(submitted.map(|submitted| FirstReport { wave, submitted }))
            })
            .fetch_one(&self.readers)
            .await;
        first.during("look up the first report of store", store)
    }
}
