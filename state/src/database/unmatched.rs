//! The files that no feed matches, as the full listings of the sources find them.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::json;

use super::decode::{TextColumns, array, nanoseconds};
use super::sql::unmatched as sql;
use super::whole::{About, whole};
use super::{StateDb, begin};
use crate::dialect::{Result, Row, query, query_scalar};
use crate::error::{During, StateError};
use crate::file::UnmatchedFile;

/// The most files that are kept.
pub const UNMATCHED: u32 = 10_000;

impl StateDb {
    /// Records what a listing of a source found, and returns the files that were not known before, newest first. Paths
    /// of the source begin with `prefix`. If `is_all`, files of it that are not among them have vanished, or match a
    /// feed now. The oldest beyond [`UNMATCHED`] are left out. `archives` are those of them that may be archives: they
    /// are recorded only if they have been read, and no feed matches anything in them.
    pub async fn note_unmatched(
        &self,
        prefix: &str,
        files: &[(String, u64, i64)],
        archives: &[String],
        is_all: bool,
    ) -> Result<Vec<String>, StateError> {
        let (action, subject) = ("record the files", "that no feed matches");
        let now = self.now();
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let others = match archives.is_empty() {
            true => Vec::new(),
            false => {
                let archives = array(archives.iter().map(|file_url| json!(file_url)));
                let others = query_scalar(sql::NOT_TO_TELL).bind(archives).fetch_all(&mut *tx);
                others.await.during(action, subject)?
            }
        };
        let others: HashSet<String> = others.into_iter().collect();
        let files = files.iter().filter(|(file_url, ..)| !others.contains(file_url));
        let rows = array(
            files.map(|(file_url, bytes, modified_ns)| json!([file_url, bytes.cast_signed(), modified_ns])),
        );
        if is_all {
            let gone = query(sql::REMOVE_GONE).bind(&rows).bind(prefix);
            gone.execute(&mut *tx).await.during(action, subject)?;
        }
        let new = query_scalar(sql::NEW).bind(&rows).fetch_all(&mut *tx);
        let new: Vec<String> = new.await.during(action, subject)?;
        let keep = query(sql::KEEP).bind(&rows).bind(now);
        keep.execute(&mut *tx).await.during(action, subject)?;
        let trim = query(sql::TRIM).bind(UNMATCHED);
        trim.execute(&mut *tx).await.during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(new)
    }

    /// Forgets files that no feed matches.
    pub async fn forget_unmatched(&self, file_urls: &[String]) -> Result<(), StateError> {
        let (action, subject) = ("forget the files", "that no feed matched");
        let mut writer = self.writer().await.during(action, subject)?;
        query(sql::FORGET)
            .bind(array(file_urls.iter().map(|url| json!(url))))
            .execute(&mut *writer)
            .await
            .during(action, subject)?;
        Ok(())
    }

    /// Lists the files that no feed matches, ordered by path.
    pub async fn unmatched_files(&self) -> Result<Vec<UnmatchedFile>, StateError> {
        let rows = query(sql::ALL).fetch_all(&self.readers).await;
        let files = rows.and_then(|rows| whole(rows, About::Files, unmatched_file));
        Ok(self
            .told
            .tell(files.during("list the files", "that no feed matches")?))
    }

    /// Counts the files that no feed matches.
    pub async fn unmatched_count(&self) -> Result<u64, StateError> {
        query_scalar(sql::COUNT)
            .fetch_one(&self.readers)
            .await
            .during("count the files", "that no feed matches")
    }
}

fn unmatched_file(row: &Row) -> Result<UnmatchedFile> {
    Ok(UnmatchedFile {
        file_url: row.get("file_url")?,
        bytes: row.get("bytes")?,
        modified: nanoseconds(row, "modified_ns")?,
        noticed: row.parsed::<Timestamp>("noticed_timestamp")?,
    })
}
