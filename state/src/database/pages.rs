//! Reads what pages show: parts of long lists, the story of one file, and whether anything has changed.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::StateDb;
use super::decode::{self, TextColumns, array, text};
use super::sql::{pages as sql, runs};
use super::whole::{About, whole};
use crate::dialect::{Connection, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::{FileRow, FileStatus, VersionRow};
use crate::page::{FilePart, InterventionRow, LastSeen, Report, SubmissionRow};
use crate::run::RunRow;

/// Tells whether anybody has written to the state database. It has a connection of its own, because each connection counts
/// the changes that others make.
#[derive(Debug)]
pub struct Changes {
    connection: Connection,
    last: Option<i64>,
}

impl Changes {
    /// Returns whether anything was written since the last call. The first call returns true.
    pub async fn any(&mut self) -> Result<bool, StateError> {
        let version = self.connection.changes_of_others().await;
        let version = version.during("check for changes in", "the state database")?;
        let is_new = self.last != Some(version);
        self.last = Some(version);
        Ok(is_new)
    }
}

impl StateDb {
    /// Begins to watch for changes, whoever makes them.
    pub async fn watch(&self) -> Result<Changes, StateError> {
        let connection = self.place.reading().connect().await;
        Ok(Changes {
            connection: connection.during("watch", "the state database")?,
            last: None,
        })
    }

    /// Returns a part of the list of files. Those with impossible values are left out, and warned of.
    pub async fn file_part(&self, part: &FilePart) -> Result<Vec<FileRow>, StateError> {
        let (action, subject) = ("list", "the files");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let [by_path, by_time] = match (&part.store, &part.job, part.status) {
            (Some(_), _, _) => sql::FILES_OF_STORE,
            (None, Some(_), _) => sql::FILES_OF_JOB,
            (None, None, None | Some(FileStatus::Validated)) => sql::FILES,
            (None, None, Some(_)) => sql::FILES_OF_STATUS,
        };
        let rows = query(if part.newest_first { by_time } else { by_path })
            .bind(&part.feed)
            .bind(part.status.map(|status| status.as_str()))
            .bind(&part.text)
            .bind(&part.job)
            .bind(&part.store)
            .bind(part.limit)
            .bind(part.offset)
            .fetch_all(&mut *tx)
            .await;
        let files = rows.and_then(|rows| whole(rows, About::Files, decode::file_row));
        let mut files = self.told.tell(files.during(action, subject)?);
        self.add_refused(&mut tx, files.iter_mut()).await?;
        tx.commit().await.during(action, subject)?;
        Ok(files)
    }

    /// Adds to files the versions of their newest submissions, as far as these are not in force.
    pub(super) async fn add_refused<'f>(
        &self,
        conn: &mut Connection,
        files: impl Iterator<Item = &'f mut FileRow>,
    ) -> Result<(), StateError> {
        let mut files: Vec<_> = files.collect();
        let ids = files.iter().map(|file| json!(file.file_id));
        let refused = query(sql::REFUSED).bind(array(ids)).fetch_all(conn).await;
        let refused = refused.and_then(|rows| {
            whole(rows, About::Files, |row| {
                Ok((row.get("file_id")?, decode::version_row(row)?))
            })
        });
        let refused = refused.during("list", "the files that are not in force")?;
        let mut refused: HashMap<i64, VersionRow> = self.told.tell(refused).into_iter().collect();
        for file in &mut files {
            file.refused = refused.remove(&file.file_id);
        }
        Ok(())
    }

    /// Returns the newest submissions of a file, newest first.
    pub async fn submissions_of(&self, file_url: &str, limit: u32) -> Result<Vec<SubmissionRow>, StateError> {
        let rows = query(sql::SUBMISSIONS_OF)
            .bind(file_url)
            .bind(limit)
            .fetch_all(&self.readers)
            .await;
        let submissions = rows.and_then(|rows| {
            whole(rows, About::Files, |row| {
                Ok(SubmissionRow {
                    submission_id: row.get("submission_id")?,
                    submitted: row.parsed("submitted_timestamp")?,
                    outcome: row.parsed("outcome")?,
                    error: row.get("error")?,
                    version_id: row.get("version_id")?,
                    content_hash: row.get("content_hash")?,
                })
            })
        });
        Ok(self
            .told
            .tell(submissions.during("list the submissions of", file_url)?))
    }

    /// Returns what people decided about a file, newest first.
    pub async fn interventions_of(
        &self,
        file_url: &str,
        limit: u32,
    ) -> Result<Vec<InterventionRow>, StateError> {
        query(sql::INTERVENTIONS_OF)
            .bind(file_url)
            .bind(limit)
            .try_map(|row: Row| {
                Ok(InterventionRow {
                    at: row.parsed("at")?,
                    who: row.get("who")?,
                    action: row.get("action")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list the decisions about", file_url)
    }

    /// Returns the newest runs that read a file, newest first.
    pub async fn runs_of_file(&self, file_url: &str, limit: u32) -> Result<Vec<RunRow>, StateError> {
        let rows = query(sql::RUNS_OF_FILE)
            .bind(file_url)
            .bind(limit)
            .fetch_all(&self.readers)
            .await;
        let runs = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self.told.tell(runs.during("list the runs of", file_url)?))
    }

    /// Returns the newest file that each of some stores sent to a job, as far as there is one: of pairs of job and store.
    pub async fn last_seen(&self, stores: &[(&str, &str)]) -> Result<Vec<LastSeen>, StateError> {
        let rows = query(sql::LAST_SEEN)
            .bind(json!(stores).to_string())
            .fetch_all(&self.readers)
            .await;
        let seen = rows.and_then(|rows| {
            whole(rows, About::Files, |row| {
                Ok(LastSeen {
                    job_id: row.get("job_config_id")?,
                    store_id: row.get("store_id")?,
                    file_url: row.get("file_url")?,
                    submitted: row.parsed("submitted_timestamp")?,
                })
            })
        });
        Ok(self
            .told
            .tell(seen.during("look up", "the last files of stores")?))
    }

    /// Returns some of the stores that have sent files to a job, in their order.
    pub async fn stores_of_job(
        &self,
        job_id: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<String>, StateError> {
        query_scalar(sql::STORES_OF_JOB)
            .bind(job_id)
            .bind(limit)
            .bind(offset)
            .fetch_all(&self.readers)
            .await
            .during("list the stores of job", job_id)
    }

    /// Returns what some stores have reported to a job, in the order of recording: if the job runs by day, of the days
    /// from the first to the last; otherwise, what was recorded between two moments, of which the last is excluded.
    pub async fn reports(
        &self,
        job_id: &str,
        stores: &[String],
        (first, last): (Date, Date),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<Report>, StateError> {
        let rows = query(sql::REPORTS)
            .bind(job_id)
            .bind(json!(stores).to_string())
            .bind(first.to_string())
            .bind(last.to_string())
            .bind(text(from))
            .bind(text(to))
            .fetch_all(&self.readers)
            .await;
        let reports = rows.and_then(|rows| {
            whole(rows, About::Files, |row| {
                Ok(Report {
                    store_id: row.get("store_id")?,
                    wave: decode::wave(row)?,
                    file_url: row.get("file_url")?,
                    outcome: row.parsed("outcome")?,
                    submitted: row.parsed("submitted_timestamp")?,
                })
            })
        });
        Ok(self.told.tell(reports.during("list the reports of job", job_id)?))
    }

    /// Returns the newest run of each job that had everything that the job asks for, and whose result is in the warehouse.
    pub async fn last_complete(&self, jobs: &[&str]) -> Result<Vec<RunRow>, StateError> {
        let rows = query(sql::LAST_COMPLETE)
            .bind(json!(jobs).to_string())
            .fetch_all(&self.readers)
            .await;
        let runs = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self
            .told
            .tell(runs.during("look up", "the last complete runs of jobs")?))
    }

    /// Returns the runs with some names, as far as there are such.
    pub async fn runs_named(&self, names: &[&str]) -> Result<Vec<RunRow>, StateError> {
        let rows = query(runs::THESE)
            .bind(json!(names).to_string())
            .fetch_all(&self.readers)
            .await;
        let runs = rows.and_then(|rows| whole(rows, About::Runs, decode::run_row));
        Ok(self.told.tell(runs.during("look up", "runs")?))
    }
}
