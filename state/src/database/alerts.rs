//! What alerts have found and the notices of it, recorded together; and the questions that their conditions ask.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::decode::{self, TextColumns, array, text, wave_text};
use super::sql::alerts as sql;
use super::{StateDb, begin};
use crate::alert::{
    AlertChanges, FailedWave, Firing, HeldFile, LastReport, Notice, RejectedLines, Unloaded, Unsent,
};
use crate::dialect::{Row, query, query_as, query_scalar};
use crate::error::{During, StateError};

/// How long sent notices are kept.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

impl StateDb {
    /// Returns everything that alerts have found and is not over, or is over and not told yet; the oldest first.
    pub async fn firing(&self) -> Result<Vec<Firing>, StateError> {
        query(sql::FIRING)
            .try_map(|row: Row| {
                Ok(Firing {
                    alert: row.get("alert")?,
                    subject: row.get("subject")?,
                    facts: row.get("facts")?,
                    since: moment(&row, "since_timestamp"),
                    told: row.parsed_or_null("told_timestamp").unwrap_or_default(),
                    resolved: row.parsed_or_null("resolved_timestamp").unwrap_or_default(),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "what alerts have found")
    }

    /// Records what a look of an alert has changed, and queues its notices for some receivers: all of it, or nothing.
    pub async fn note_alert(
        &self,
        alert: &str,
        changes: &AlertChanges,
        receivers: &[String],
    ) -> Result<(), StateError> {
        let action = "record what was found by alert";
        let now = self.now();
        let rows = changes.keep.iter().map(|firing| {
            let moments = [Some(firing.since), firing.told, firing.resolved];
            let [since, told, resolved] = moments.map(|moment| moment.map(text));
            json!([firing.subject, firing.facts, since, told, resolved])
        });
        let gone = changes.forget.iter().map(|subject| json!(subject));
        let mut writer = self.writer().await.during(action, alert)?;
        let mut tx = begin(&mut writer).await.during(action, alert)?;
        let keep = query(sql::KEEP).bind(alert).bind(array(rows));
        keep.execute(&mut *tx).await.during(action, alert)?;
        let forget = query(sql::FORGET).bind(alert).bind(array(gone));
        forget.execute(&mut *tx).await.during(action, alert)?;
        for notice in &changes.notices {
            let queue = query(sql::QUEUE)
                .bind(alert)
                .bind(notice.kind.as_str())
                .bind(&notice.content)
                .bind(&now)
                .bind(json!(receivers).to_string());
            queue.execute(&mut *tx).await.during(action, alert)?;
        }
        let oldest = self.clock.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let trim = query(sql::TRIM).bind(text(oldest));
        trim.execute(&mut *tx).await.during(action, alert)?;
        tx.commit().await.during(action, alert)
    }

    /// Forgets what was found by alerts that the settings no longer have, has all notices tried at once, and removes those
    /// to receivers that the settings no longer have. Returns these receivers, each with how many notices it would have got.
    pub async fn begin_alerts(
        &self,
        alerts: &[String],
        receivers: &[String],
    ) -> Result<Vec<(String, u64)>, StateError> {
        let (action, subject) = ("begin to watch for", "alerts");
        let receivers = json!(receivers).to_string();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let forget = query(sql::FORGET_ALERTS).bind(json!(alerts).to_string());
        forget.execute(&mut *tx).await.during(action, subject)?;
        let unknown = query_as(sql::UNKNOWN_RECEIVERS).bind(&receivers);
        let unknown = unknown.fetch_all(&mut *tx).await.during(action, subject)?;
        let forget = query(sql::FORGET_RECEIVERS).bind(&receivers);
        forget.execute(&mut *tx).await.during(action, subject)?;
        let try_now = query(sql::TRY_NOW).bind(self.now());
        try_now.execute(&mut *tx).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(unknown)
    }

    /// Returns the oldest notices to a receiver that were not sent, in their order.
    pub async fn pending_notices(&self, receiver: &str, limit: u32) -> Result<Vec<Notice>, StateError> {
        query(sql::PENDING)
            .bind(receiver)
            .bind(limit)
            .try_map(|row: Row| {
                Ok(Notice {
                    notice_id: row.get("notice_id")?,
                    alert: row.get("alert")?,
                    kind: row.parsed("kind")?,
                    content: row.get("content")?,
                    queued: moment(&row, "queued_timestamp"),
                    failures: row.get("failures")?,
                    next_try: moment(&row, "next_try_timestamp"),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list the notices to", receiver)
    }

    /// Records that a notice was sent.
    pub async fn note_sent(&self, notice_id: i64) -> Result<(), StateError> {
        let (action, subject) = ("record the sending of", "a notice");
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let sent = query(sql::SENT).bind(notice_id).bind(now);
        sent.execute(&mut *writer).await.during(action, subject).map(drop)
    }

    /// Records that a notice could not be sent, and is to be tried again at `next_try`.
    pub async fn note_not_sent(
        &self,
        notice_id: i64,
        error: &str,
        next_try: Timestamp,
    ) -> Result<(), StateError> {
        let (action, subject) = ("record the failure of", "a notice");
        let mut writer = self.writer().await.during(action, subject)?;
        let failed = query(sql::NOT_SENT)
            .bind(notice_id)
            .bind(error)
            .bind(text(next_try));
        failed
            .execute(&mut *writer)
            .await
            .during(action, subject)
            .map(drop)
    }

    /// Returns the receivers that could not be reached, each with what it has not got.
    pub async fn unsent_notices(&self) -> Result<Vec<Unsent>, StateError> {
        query(sql::UNSENT)
            .try_map(|row: Row| {
                Ok(Unsent {
                    receiver: row.get("receiver")?,
                    notices: row.get("notices")?,
                    since: moment(&row, "since"),
                    error: row.get("last_error")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the notices that were not sent")
    }

    /// Lists the waves whose newest run that ended has failed, newest first.
    pub async fn failed_waves(&self) -> Result<Vec<FailedWave>, StateError> {
        query(sql::FAILED_WAVES)
            .try_map(|row: Row| {
                Ok(FailedWave {
                    job_id: row.get("job_config_id")?,
                    wave: decode::wave(&row).unwrap_or_default(),
                    run_id: row.get("run_id")?,
                    error: row.get("error")?,
                    failed: moment(&row, "finished_timestamp"),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the waves that failed")
    }

    /// Lists the files of which something is held, by path.
    pub async fn held_files(&self) -> Result<Vec<HeldFile>, StateError> {
        query(sql::HELD_FILES)
            .try_map(|row: Row| {
                let reason: Option<String> = row.get("reason")?;
                Ok(HeldFile {
                    file_url: row.get("file_url")?,
                    feed: row.get("feed")?,
                    reason: reason.unwrap_or_default(),
                    days: row.get("days")?,
                    since: moment(&row, "since"),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the files that are held")
    }

    /// Lists the files that were converted since a moment, and of whose newest submission more than `percent` of the lines
    /// are rejects, or that were rejected as a whole; by path.
    pub async fn files_with_many_rejects(
        &self,
        percent: f64,
        since: Timestamp,
    ) -> Result<Vec<RejectedLines>, StateError> {
        query(sql::MANY_REJECTS)
            .bind(text(since))
            .bind(percent)
            .try_map(|row: Row| {
                Ok(RejectedLines {
                    file_url: row.get("file_url")?,
                    feed: row.get("feed")?,
                    rejects: row.get("rejects")?,
                    lines: row.get("lines")?,
                    is_whole: row.get("is_whole")?,
                    since: moment(&row, "since"),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the files with many rejects")
    }

    /// Lists the open waves of jobs that are not paused with the files that no completed run has seen.
    pub async fn unloaded_waves(&self) -> Result<Vec<Unloaded>, StateError> {
        query(sql::UNLOADED)
            .try_map(|row: Row| {
                Ok(Unloaded {
                    job_id: row.get("job_config_id")?,
                    wave: decode::wave(&row).unwrap_or_default(),
                    files: row.get("files")?,
                    since: moment(&row, "since"),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the waves that are not loaded")
    }

    /// Returns whether a day of a job has had a run with everything, whose result is in the warehouse.
    pub async fn is_complete(&self, job_id: &str, day: Date) -> Result<bool, StateError> {
        query_scalar(sql::IS_COMPLETE)
            .bind(job_id)
            .bind(day.to_string())
            .fetch_one(&self.readers)
            .await
            .during("ask whether a day is complete of job", job_id)
    }

    /// Returns when each store that has sent files to a job was last heard of: on which day up to `today` or, for a job
    /// without days, at what time.
    pub async fn last_reports(
        &self,
        job_id: &str,
        today: Option<Date>,
    ) -> Result<Vec<LastReport>, StateError> {
        let statement = match today {
            Some(_) => sql::LAST_WAVES,
            None => sql::LAST_SUBMISSIONS,
        };
        let asked = query(statement).bind(job_id);
        let asked = match today {
            Some(today) => asked.bind(wave_text(Some(today))),
            None => asked,
        };
        asked
            .try_map(|row: Row| {
                Ok(LastReport {
                    store_id: row.get("store_id")?,
                    wave: decode::wave(&row).unwrap_or_default(),
                    submitted: row.parsed_or_null("submitted_timestamp").unwrap_or_default(),
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("ask for the last reports of stores to job", job_id)
    }

    /// Returns the newest days of a job up to `today`, newest first, each with whether it has run.
    pub async fn recent_waves(
        &self,
        job_id: &str,
        today: Date,
        limit: u32,
    ) -> Result<Vec<(Date, bool)>, StateError> {
        let rows: Vec<(String, bool)> = query_as(sql::RECENT_WAVES)
            .bind(job_id)
            .bind(today.to_string())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .during("list the newest days of job", job_id)?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(day, has_run)| Some((day.parse().ok()?, has_run)))
            .collect())
    }

    /// Returns when the newest runs of a job without days were queued that its files brought about, newest first.
    pub async fn recent_runs(&self, job_id: &str, limit: u32) -> Result<Vec<Timestamp>, StateError> {
        let rows: Vec<String> = query_scalar(sql::RECENT_RUNS)
            .bind(job_id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .during("list the newest runs of job", job_id)?;
        Ok(rows.iter().filter_map(|queued| queued.parse().ok()).collect())
    }

    /// Returns when a job was added, if that is known.
    pub async fn job_added(&self, job_id: &str) -> Result<Option<Timestamp>, StateError> {
        let added: Option<String> = query_scalar(sql::JOB_ADDED)
            .bind(job_id)
            .fetch_optional(&self.readers)
            .await
            .during("ask for the beginning of job", job_id)?;
        Ok(added.and_then(|at| at.parse().ok()))
    }
}

/// A time that a person has garbled is long ago.
fn moment(row: &Row, column: &str) -> Timestamp {
    row.parsed(column).unwrap_or(Timestamp::UNIX_EPOCH)
}
