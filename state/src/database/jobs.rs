//! The jobs, as set by the settings file and by people's SQL.

use std::collections::HashSet;

use super::sql::jobs as sql;
use super::whole::{About, whole};
use super::{StateDb, begin, decode, edits};
use crate::dialect::{Connection, Result, query, query_scalar};
use crate::error::{During, StateError};
use crate::job::{JobConfig, JobRow};

impl StateDb {
    /// Adds the jobs that are missing, leaves the others unchanged, and returns the names of those added. Their caller
    /// tells of them, so they do not count as edits that are yet to be told.
    pub async fn add_jobs(&self, jobs: &[JobConfig]) -> Result<Vec<String>, StateError> {
        let known = query_scalar(sql::NAMES).fetch_all(&self.readers).await;
        let known: HashSet<String> = known.during("list", "the jobs")?.into_iter().collect();
        // Most starts add none. Thousands of statements that change nothing would make each of them wait.
        let missing = jobs.iter().filter(|job| !known.contains(&job.id));
        let missing: Vec<&JobConfig> = missing.collect();
        match missing.is_empty() {
            true => Ok(Vec::new()),
            false => self.write_jobs("add", "run", sql::ADD, missing).await,
        }
    }

    /// Overwrites the stored jobs, including edits and pauses, and returns the names of those that this added or
    /// changed.
    pub async fn apply_jobs(&self, jobs: &[JobConfig]) -> Result<Vec<String>, StateError> {
        self.write_jobs("apply", "jobs apply", sql::APPLY, jobs).await
    }

    async fn write_jobs<'j>(
        &self,
        action: &'static str,
        command: &str,
        statement: &'static str,
        jobs: impl IntoIterator<Item = &'j JobConfig>,
    ) -> Result<Vec<String>, StateError> {
        let mut writer = self.writer().await.during(action, "jobs")?;
        let mut tx = begin(&mut writer).await.during(action, "jobs")?;
        let newest = edits::newest(&mut tx).await.during(action, "jobs")?;
        let mut written = Vec::new();
        for job in jobs {
            let done = query(statement)
                .bind(&job.id)
                .bind(&job.feed)
                .bind(&job.files)
                .bind(job.min_files)
                .bind(job.trigger.as_str())
                .bind(&job.addl_criteria)
                .bind(&job.params)
                .bind(job.enabled)
                .execute(&mut *tx)
                .await
                .during(action, &job.id)?;
            if done.rows_affected() > 0 {
                written.push(job.id.clone());
            }
        }
        self.sign(&mut tx, newest, command).await.during(action, "jobs")?;
        tx.commit().await.during(action, "jobs")?;
        Ok(written)
    }

    /// Lists the jobs, ordered by name. Warns of impossible values; a job whose configuration has one is left out.
    pub async fn jobs(&self) -> Result<Vec<JobRow>, StateError> {
        let rows = query(sql::ALL).fetch_all(&self.readers).await;
        let jobs = rows.and_then(|rows| whole(rows, About::Jobs, decode::job_row));
        let jobs = self.told.tell(jobs.during("list", "the jobs")?);
        for job in &jobs {
            self.told.tell_of(job.damage.as_slice());
        }
        Ok(jobs)
    }

    /// Lists the jobs that take none of the known files, ordered by name.
    pub async fn jobs_without_files(&self) -> Result<Vec<String>, StateError> {
        query_scalar(sql::WITHOUT_FILES)
            .fetch_all(&self.readers)
            .await
            .during("list", "the jobs without files")
    }

    /// Returns one job.
    pub async fn job(&self, job_id: &str) -> Result<Option<JobRow>, StateError> {
        query(sql::ONE)
            .bind(job_id)
            .try_map(|row| decode::job_row(&row))
            .fetch_optional(&self.readers)
            .await
            .during("look up job", job_id)
    }

    /// Pauses or resumes a job.
    pub async fn set_enabled(&self, job_id: &str, enabled: bool) -> Result<(), StateError> {
        let action = if enabled { "resume job" } else { "pause job" };
        let command = if enabled { "jobs resume" } else { "jobs pause" };
        let mut writer = self.writer().await.during(action, job_id)?;
        let mut tx = begin(&mut writer).await.during(action, job_id)?;
        let newest = edits::newest(&mut tx).await.during(action, job_id)?;
        let update = query(sql::SET_ENABLED).bind(job_id).bind(enabled);
        let done = update.execute(&mut *tx).await.during(action, job_id)?;
        if done.rows_affected() == 0 {
            return Err(StateError::UnknownJob {
                job_id: job_id.to_owned(),
            });
        }
        self.sign(&mut tx, newest, command).await.during(action, job_id)?;
        tx.commit().await.during(action, job_id)
    }

    async fn sign(&self, tx: &mut Connection, newest: i64, command: &str) -> Result<()> {
        let who = format!("{} by `gristmill {command}`", self.editor);
        edits::sign(tx, newest, &who, &self.now(), command == "run").await
    }
}
