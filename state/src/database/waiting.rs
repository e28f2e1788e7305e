//! What waits for an outage to end, and which files are being converted.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decode::{TextColumns, array, text};
use super::sql::waiting as sql;
use super::{StateDb, begin};
use crate::dialect::{Connection, Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::Stamp;
use crate::waiting::{WaitKind, Waiting, WaitingFile};

impl StateDb {
    /// Records that files cannot be converted before `next_try`. No attempt at them is in progress any more.
    pub async fn note_waiting_files(
        &self,
        files: &[WaitingFile],
        next_try: Timestamp,
    ) -> Result<(), StateError> {
        let (action, subject) = ("record the waiting of", format!("{} files", files.len()));
        let now = self.now();
        let rows = files
            .iter()
            .map(|file| json!([file.file_url, file.feed, file.store_id, file.reason]));
        let mut writer = self.writer().await.during(action, &subject)?;
        let mut tx = begin(&mut writer).await.during(action, &subject)?;
        note(&mut tx, WaitKind::File, rows, &now, next_try)
            .await
            .during(action, &subject)?;
        let files = array(files.iter().map(|file| json!(file.file_url)));
        let end = query(sql::END_ATTEMPTS).bind(files);
        end.execute(&mut *tx).await.during(action, &subject)?;
        tx.commit().await.during(action, &subject)
    }

    /// Records what the service itself waits for, until `next_try`.
    pub async fn note_waiting_service(
        &self,
        what: &str,
        reason: &str,
        next_try: Timestamp,
    ) -> Result<(), StateError> {
        let action = "record the waiting for";
        let now = self.now();
        let mut writer = self.writer().await.during(action, what)?;
        let row = [json!([what, null, null, reason])];
        note(&mut writer, WaitKind::Service, row, &now, next_try)
            .await
            .during(action, what)
    }

    /// Records that these wait no longer.
    pub async fn end_waiting(&self, kind: WaitKind, subjects: &[String]) -> Result<(), StateError> {
        let (action, subject) = ("record the end of", "waiting");
        let mut writer = self.writer().await.during(action, subject)?;
        end(&mut writer, kind, subjects.iter().map(|subject| json!(subject)))
            .await
            .during(action, subject)
    }

    /// Lists what waits for an outage to end.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StateError> {
        query(sql::ALL)
            .try_map(|row| waiting(&row))
            .fetch_all(&self.readers)
            .await
            .during("list", "what waits")
    }

    /// Has everything that waits tried at once, as at a start.
    pub async fn try_waiting_now(&self) -> Result<(), StateError> {
        let (action, subject) = ("have tried again", "what waits");
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let forget = query(sql::FORGET_SERVICE).execute(&mut *tx).await;
        forget.during(action, subject)?;
        let update = query(sql::TRY_NOW).bind(now).execute(&mut *tx).await;
        update.during(action, subject)?;
        tx.commit().await.during(action, subject)
    }

    /// Returns how often a run has failed without an end.
    pub async fn run_failures(&self, run_id: &str) -> Result<u32, StateError> {
        let failures = query_scalar(sql::RUN_FAILURES).bind(run_id);
        let failures = failures.fetch_optional(&self.readers).await;
        let failures = failures.during("ask for the failures of run", run_id)?;
        Ok(failures.unwrap_or(0))
    }

    /// Returns when the first of the queued runs that wait is tried again.
    pub async fn next_run_try(&self) -> Result<Option<Timestamp>, StateError> {
        let next: Option<String> = query_scalar(sql::NEXT_RUN)
            .fetch_one(&self.readers)
            .await
            .during("ask for the next try of", "the runs that wait")?;
        // A time that a person has garbled is now.
        Ok(next.map(|next| next.parse().unwrap_or(Timestamp::UNIX_EPOCH)))
    }

    /// Counts an attempt at each file. It outlives this process, but not the machine: the disk is not waited for.
    pub async fn begin_attempts(&self, files: &[(&str, Stamp)]) -> Result<(), StateError> {
        let rows = files.iter().map(|(file_url, stamp)| {
            json!([
                file_url,
                stamp.bytes.cast_signed(),
                stamp.modified_ns,
                stamp.inode.cast_signed()
            ])
        });
        self.unsynced(sql::BEGIN_ATTEMPTS, array(rows)).await
    }

    /// Records that attempts at files have ended without anything to record.
    pub async fn end_attempts(&self, file_urls: &[&str]) -> Result<(), StateError> {
        let rows = file_urls.iter().map(|file_url| json!(file_url));
        self.unsynced(sql::END_ATTEMPTS, array(rows)).await
    }

    /// Forgets all attempts: this process gives up what it has begun, and no file is to blame for that.
    pub async fn forget_attempts(&self) -> Result<(), StateError> {
        let (action, subject) = ("forget", "the attempts at files");
        let mut writer = self.writer().await.during(action, subject)?;
        let forget = query(sql::FORGET_ATTEMPTS).execute(&mut *writer).await;
        forget.during(action, subject).map(drop)
    }

    /// Returns the files that were being converted when their process died, as they looked then, and how often that has
    /// happened. Ask before a pipeline begins.
    pub async fn attempts(&self) -> Result<HashMap<String, (Stamp, u32)>, StateError> {
        query(sql::ATTEMPTS)
            .try_map(|row: Row| {
                let stamp = Stamp {
                    bytes: row.get::<i64>("stamp_bytes")?.cast_unsigned(),
                    modified_ns: row.get("stamp_modified_ns")?,
                    inode: row.get::<i64>("stamp_inode")?.cast_unsigned(),
                    changed_ns: None,
                };
                Ok((row.get("file_url")?, (stamp, row.get("attempts")?)))
            })
            .fetch_all(&self.readers)
            .await
            .during("list", "the attempts at files")
            .map(|attempts| attempts.into_iter().collect())
    }

    async fn unsynced(&self, statement: &'static str, rows: String) -> Result<(), StateError> {
        let (action, subject) = ("record", "attempts at files");
        let mut writer = self.writer_unsynced().await.during(action, subject)?;
        let done = query(statement).bind(rows).execute(&mut *writer).await;
        done.during(action, subject).map(drop)
    }
}

/// Records that these wait, until `next_try`: for each a row of its subject, feed, store and reason.
pub(super) async fn note(
    conn: &mut Connection,
    kind: WaitKind,
    rows: impl IntoIterator<Item = Value>,
    now: &str,
    next_try: Timestamp,
) -> Result<()> {
    let note = query(sql::NOTE)
        .bind(array(rows))
        .bind(kind.as_str())
        .bind(now)
        .bind(text(next_try));
    note.execute(conn).await.map(drop)
}

pub(super) async fn end(
    conn: &mut Connection,
    kind: WaitKind,
    subjects: impl IntoIterator<Item = Value>,
) -> Result<()> {
    let end = query(sql::END).bind(array(subjects)).bind(kind.as_str());
    end.execute(conn).await.map(drop)
}

/// Removes what is known of these files from what waits and from the attempts: they are recorded.
pub(super) async fn end_files(conn: &mut Connection, file_urls: Vec<Value>) -> Result<()> {
    let attempts = query(sql::END_ATTEMPTS).bind(array(file_urls.iter().cloned()));
    attempts.execute(&mut *conn).await?;
    end(conn, WaitKind::File, file_urls).await
}

fn waiting(row: &Row) -> Result<Waiting> {
    // A time that a person has garbled only has it tried sooner.
    let moment = |column| row.parsed(column).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Waiting {
        kind: row.parsed("kind")?,
        subject: row.get("subject")?,
        feed: row.get("feed")?,
        store_id: row.get("store_id")?,
        since: moment("since_timestamp"),
        reason: row.get("reason")?,
        failures: row.get("failures")?,
        next_try: moment("next_try_timestamp"),
    })
}
