//! Queries about files.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::json;

use super::decode::{self, TextColumns, array, text};
use super::sql::{days, files as sql};
use super::whole::{About, Told, whole};
use super::{StateDb, begin};
use crate::dialect::{Connection, DatabaseError, Result, Row, query, query_as, query_scalar};
use crate::error::{During, StateError};
use crate::file::{FileFilter, FileRow, FileToPutAway, KnownStamp, Stamp, ValidSubmission, VersionRow};
use crate::intervention::HeldRow;
use crate::order::TOLERANCE_NS;

/// How many stamps are read at a time.
const STAMPS_AT_ONCE: u32 = 10_000;

impl StateDb {
    /// Gives out, ordered by path, each file's stamp when it was last read, and when that was. Leaves out the files that
    /// must be read again: those that a person has marked, and those last converted with a layout other than the one that
    /// reads them now (`digest_of` a feed and a file of it).
    pub async fn each_known_stamp(
        &self,
        digest_of: impl Fn(&str, &str) -> Option<String>,
        mut take: impl FnMut(&str, KnownStamp),
    ) -> Result<(), StateError> {
        let (action, subject) = ("read the stamps of", "the known files");
        // There may be a million, so never all at once. The next are read while these are taken.
        let read = |after: String| {
            let readers = self.readers.clone();
            tokio::spawn(async move {
                let stamps = query(sql::STAMPS).bind(after).bind(STAMPS_AT_ONCE);
                stamps.fetch_all(&readers).await
            })
        };
        let mut next = read(String::new());
        loop {
            let rows = next.await.map_err(DatabaseError::Panicked);
            let rows = rows.flatten().during(action, subject)?;
            let Some(last) = rows.last() else { return Ok(()) };
            next = read(last.get("file_url").during(action, subject)?);
            for row in &rows {
                if let Some((path, known)) = settled_stamp(row, &digest_of).during(action, subject)? {
                    take(path, known);
                }
            }
        }
    }

    /// Returns the paths of the files that a person has marked to be read again: of a member of an archive, that of the
    /// archive.
    pub async fn files_to_look_at(&self) -> Result<Vec<String>, StateError> {
        query_scalar(sql::TO_LOOK_AT)
            .fetch_all(&self.readers)
            .await
            .during("list the files marked for", "another read")
    }

    /// Keeps the whole stamps of files, and of the members of archives among them, that are otherwise as they were last
    /// read, but may have another change time. `are_compared` says whether their bytes were read, and were the same too.
    /// Files that have been submitted since are left unchanged.
    pub async fn restamp(&self, files: &[(String, Stamp)], are_compared: bool) -> Result<(), StateError> {
        let (action, subject) = ("complete the stamps of", format!("{} files", files.len()));
        let compared = are_compared.then(|| self.now());
        let rows = files.iter().map(|(file_url, stamp)| {
            json!([
                file_url,
                stamp.bytes.cast_signed(),
                stamp.modified_ns,
                stamp.inode.cast_signed(),
                stamp.changed_ns
            ])
        });
        let rows = array(rows);
        let mut writer = self.writer().await.during(action, &subject)?;
        let mut tx = begin(&mut writer).await.during(action, &subject)?;
        for statement in [sql::RESTAMP, sql::RESTAMP_MEMBERS] {
            let restamp = query(statement).bind(&rows).bind(&compared);
            restamp.execute(&mut *tx).await.during(action, &subject)?;
        }
        tx.commit().await.during(action, &subject)
    }

    /// Returns those of the given files (path, content hash, layout digest) whose newest submission, accepted or not,
    /// had just these bytes.
    pub async fn newest_versions(
        &self,
        versions: &[(&str, &str, &str)],
    ) -> Result<HashSet<String>, StateError> {
        let action = "compare with the newest submissions of";
        let subject = subject(versions.first().map(|(file_url, ..)| file_url), versions.len());
        let same = query(sql::NEWEST_VERSIONS)
            .bind(array(versions.iter().map(|version| json!(version))))
            .try_map(|row: Row| row.get("file_url"))
            .fetch_all(&self.readers)
            .await
            .during(action, &subject)?;
        Ok(same.into_iter().collect())
    }

    /// Forgets the stamps of files, and of the members of archives among them, so that they are read again as if they had
    /// just arrived. Returns how many files that are.
    pub async fn look_again(&self, file_urls: &[String]) -> Result<u64, StateError> {
        let (action, subject) = ("request another read of", "files");
        let mut writer = self.writer().await.during(action, subject)?;
        let mut tx = begin(&mut writer).await.during(action, subject)?;
        let mut marked = 0;
        for file_url in file_urls {
            let done = query(sql::LOOK_AGAIN).bind(file_url).execute(&mut *tx).await;
            marked += done.during(action, file_url)?.rows_affected();
        }
        tx.commit().await.during(action, subject)?;
        Ok(marked)
    }

    /// Returns up to `limit` files that have yet to be put away, ordered by path: those whose paths begin with `prefix`
    /// and come after `after`.
    pub async fn files_to_put_away(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<FileToPutAway>, StateError> {
        query(sql::TO_PUT_AWAY)
            .bind(after)
            .bind(prefix)
            .bind(limit)
            .try_map(|row: Row| {
                Ok(FileToPutAway {
                    file_url: row.get("file_url")?,
                    stamp: decode::stamp(&row)?,
                    is_valid: row.get("is_valid")?,
                })
            })
            .fetch_all(&self.readers)
            .await
            .during("list the files to", "put away")
    }

    /// Records that files were put away, each with the stamp it had when it was read. Files that have been read again
    /// since are left unchanged.
    pub async fn note_put_away(&self, files: &[(String, Stamp)]) -> Result<(), StateError> {
        let (action, subject) = ("record the putting away of", format!("{} files", files.len()));
        let now = self.now();
        let rows = files.iter().map(|(file_url, stamp)| {
            json!([
                file_url,
                stamp.bytes.cast_signed(),
                stamp.modified_ns,
                stamp.inode.cast_signed()
            ])
        });
        let mut writer = self.writer().await.during(action, &subject)?;
        query(sql::NOTE_PUT_AWAY)
            .bind(array(rows))
            .bind(now)
            .execute(&mut *writer)
            .await
            .during(action, &subject)?;
        Ok(())
    }

    /// Returns those of the given files that are known, each with the size and layout of its version in force.
    pub async fn in_force(
        &self,
        file_urls: &[&str],
    ) -> Result<HashMap<String, Option<(u64, String)>>, StateError> {
        let (action, subject) = (
            "look up the versions in force of",
            subject(file_urls.first(), file_urls.len()),
        );
        let known = query(sql::IN_FORCE)
            .bind(array(file_urls.iter().map(|url| json!(url))))
            .try_map(|row: Row| {
                let layout: Option<String> = row.get("layout_digest")?;
                let version = match layout {
                    Some(layout) => Some((row.get("bytes")?, layout)),
                    None => None,
                };
                Ok((row.get("file_url")?, version))
            })
            .fetch_all(&self.readers)
            .await
            .during(action, &subject)?;
        Ok(known.into_iter().collect())
    }

    /// Returns those of the given files (path, content hash, layout digest) that have such a version: the bytes have
    /// been converted with that layout, whether they were accepted or rejected.
    pub async fn known_versions(
        &self,
        versions: &[(&str, &str, &str)],
    ) -> Result<HashSet<String>, StateError> {
        let action = "look for versions of";
        let subject = subject(versions.first().map(|(file_url, ..)| file_url), versions.len());
        let known = query(sql::KNOWN_VERSIONS)
            .bind(array(versions.iter().map(|version| json!(version))))
            .try_map(|row: Row| row.get("file_url"))
            .fetch_all(&self.readers)
            .await
            .during(action, &subject)?;
        Ok(known.into_iter().collect())
    }

    /// Lists files, ordered by path. Those with impossible values are left out, and warned of.
    pub async fn files(&self, filter: &FileFilter) -> Result<Vec<FileRow>, StateError> {
        let (action, subject) = ("list", "the files");
        let mut tx = self.readers.begin().await.during(action, subject)?;
        let rows = query(sql::FILES)
            .bind(&filter.feed)
            .bind(filter.status.map(|status| status.as_str()))
            .fetch_all(&mut *tx)
            .await;
        let files = rows.and_then(|rows| whole(rows, About::Files, decode::file_row));
        let mut files = self.told.tell(files.during(action, subject)?);
        add_refused(&mut tx, &self.told, &mut files, None)
            .await
            .during(action, subject)?;
        tx.commit().await.during(action, subject)?;
        Ok(files)
    }

    /// Returns one file.
    pub async fn file(&self, file_url: &str) -> Result<Option<FileRow>, StateError> {
        let action = "look up the file";
        let mut tx = self.readers.begin().await.during(action, file_url)?;
        let mut files = query(sql::FILE)
            .bind(file_url)
            .try_map(|row| decode::file_row(&row))
            .fetch_all(&mut *tx)
            .await
            .during(action, file_url)?;
        add_refused(&mut tx, &self.told, &mut files, Some(file_url))
            .await
            .during(action, file_url)?;
        tx.commit().await.during(action, file_url)?;
        Ok(files.pop())
    }

    /// Returns the files that no job takes, those of reference feeds among them: feed, path, and the store in the name.
    /// Ordered by path.
    pub async fn files_without_job(&self) -> Result<Vec<(String, String, Option<String>)>, StateError> {
        query_as(sql::WITHOUT_JOB)
            .fetch_all(&self.readers)
            .await
            .during("list the files that", "no job takes")
    }

    /// Returns the next paths of a feed's files, from `from` on, that begin with `start`. Ordered by path.
    pub async fn file_urls(
        &self,
        feed: &str,
        from: &str,
        start: &str,
        limit: u32,
    ) -> Result<Vec<String>, StateError> {
        query_scalar(sql::URLS)
            .bind(from)
            .bind(start)
            .bind(feed)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .during("list the files of feed", feed)
    }

    /// Returns those of some texts with which the path of a known file of a feed begins.
    pub async fn starts_of_files(
        &self,
        feed: &str,
        starts: &BTreeSet<&str>,
    ) -> Result<HashSet<String>, StateError> {
        let found = query_scalar(sql::STARTS)
            .bind(json!(starts).to_string())
            .bind(feed)
            .fetch_all(&self.readers)
            .await;
        let found: Vec<String> = found.during("look for files of feed", feed)?;
        Ok(found.into_iter().collect())
    }

    /// Returns the files in force whose time of writing lies ahead of their arrival, and how many seconds: their stores'
    /// clocks are wrong. Ordered by path.
    pub async fn written_ahead(&self) -> Result<Vec<(String, i64)>, StateError> {
        query_as(sql::WRITTEN_AHEAD)
            .bind(TOLERANCE_NS)
            .fetch_all(&self.readers)
            .await
            .during("list the files that were", "written ahead of their arrival")
    }

    /// Lists what waits until a person accepts it, ordered by path, store and day.
    pub async fn held(&self) -> Result<Vec<HeldRow>, StateError> {
        let rows = query(days::HELD).fetch_all(&self.readers).await;
        let held = rows.and_then(|rows| whole(rows, About::Files, decode::held_row));
        Ok(self.told.tell(held.during("list", "what is held")?))
    }

    /// Lists the versions of a file, newest first.
    pub async fn versions_of(&self, file_url: &str) -> Result<Vec<VersionRow>, StateError> {
        query(sql::VERSIONS_OF)
            .bind(file_url)
            .try_map(|row| decode::version_row(&row))
            .fetch_all(&self.readers)
            .await
            .during("list the versions of", file_url)
    }

    /// Returns the newest valid submission of each file between `from` and `to`, both included. Fails if one of them
    /// holds an impossible value: a replay without its file would be wrong.
    pub async fn submissions_between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ValidSubmission>, StateError> {
        let (action, subject) = ("list the submissions of", "a span of time");
        let rows = query(sql::SUBMITTED_BETWEEN)
            .bind(text(from))
            .bind(text(to))
            .fetch_all(&self.readers)
            .await;
        let submissions = rows.and_then(|rows| whole(rows, About::Files, decode::valid_submission)?.all());
        submissions.during(action, subject)
    }
}

/// Adds the refused versions to the files that have one.
async fn add_refused(
    tx: &mut Connection,
    told: &Told,
    files: &mut [FileRow],
    file_url: Option<&str>,
) -> Result<()> {
    let rows = query(sql::REFUSED).bind(file_url).fetch_all(tx).await?;
    let refused = whole(rows, About::Files, |row| {
        Ok((row.get("file_id")?, decode::version_row(row)?))
    })?;
    let mut refused: HashMap<i64, VersionRow> = told.tell(refused).into_iter().collect();
    for file in files {
        file.refused = refused.remove(&file.file_id);
    }
    Ok(())
}

/// Returns the path and stamp of a file, unless the layout it was last converted with is no longer the one that reads it.
/// A stamp that no file can have is none: the file is looked at again, which mends it.
fn settled_stamp<'r>(
    row: &'r Row,
    digest_of: &impl Fn(&str, &str) -> Option<String>,
) -> Result<Option<(&'r str, KnownStamp)>> {
    let layout: Option<&str> = row.get("layout_digest")?;
    let layout_now = digest_of(row.get("feed")?, row.get("file_url")?);
    if layout.is_some() && layout != layout_now.as_deref() {
        return Ok(None);
    }
    let Ok(stamp) = decode::stamp(row) else {
        return Ok(None);
    };
    let known = KnownStamp {
        stamp,
        // A time that a person has garbled only has the file compared sooner.
        read_at: row.parsed("read_timestamp").unwrap_or(Timestamp::UNIX_EPOCH),
    };
    Ok(Some((row.get("file_url")?, known)))
}

/// Returns the subject of an error about a group of files.
fn subject(first: Option<&&str>, count: usize) -> String {
    match (first, count) {
        (Some(file_url), 1) => format!("`{file_url}`"),
        _ => format!("{count} files"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::Row as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::dialect::Dialect;
    use crate::dialect::notation::expand;

    #[tokio::test]
    async fn files_to_put_away_are_found_without_a_full_scan() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        let to_put_away = expand(sql::TO_PUT_AWAY, Dialect::Sqlite);
        let statement = format!("EXPLAIN QUERY PLAN {to_put_away}");
        let mut reader = db.readers.acquire().await.unwrap();
        let plan = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind("")
            .bind("north/")
            .bind(64)
            .fetch_all(reader.sqlite())
            .await
            .unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        assert_eq!(
            steps,
            [
                "SEARCH f USING INDEX file_to_put_away (file_url>? AND file_url<?)",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH m USING INDEX file_of_archive (archive=?)",
            ]
        );
    }
}
